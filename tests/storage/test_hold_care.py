"""The care of a hold: every step signed, none of them changing what it keeps, and a sealed one's only among those who may see it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from retention.errors import LedgerUnavailable, Refused, UsageError
from retention.holds import CounselVerification, HoldState
from retention.permissions import Role
from storage.documents import MOST_BYTES, Documents
from storage.holding import PROVISIONAL
from storage.ledger.holds import HoldFile
from storage.ledger.ledger import Ledger
from storage.ledger.person_steps import PersonStep
from storage.seeing import all_seen, events_for, hidden, may_see, seen
from tests.storage.desk import MATTER, NOW, person
from tests.storage.site import Site, about
from tests.storage.test_holding import DOCUMENT, GRACE, Office


@pytest.fixture
def desk(sqlite_ledger: Ledger, tmp_path: Path) -> Office:
    return Office(Site(sqlite_ledger, tmp_path))


def sealed(desk: Office, *known: str, until: date | None = None) -> HoldFile:
    return desk.enforcing.place(
        about("p-1"), MATTER, desk.amara, sealed=True, need_to_know=known, nondisclosure_until=until
    ).file


def test_counsels_word_is_recorded_and_a_rejected_hold_keeps_until_it_is_released(desk: Office) -> None:
    file = desk.active()
    counsel = person(desk.site.ledger, "counsel", Role.COUNSEL)
    rejected = desk.site.care.verify(file.id, counsel, CounselVerification.REJECTED)
    assert (rejected.state, rejected.matter.counsel) == (HoldState.ACTIVE, CounselVerification.REJECTED)
    assert desk.keeps(file)
    assert rejected.epoch == file.epoch, "approvals of cases are not void for it"
    with pytest.raises(Refused):
        desk.site.care.verify(file.id, desk.operator, CounselVerification.VERIFIED)


def test_a_review_sets_the_day_of_the_next_one(desk: Office) -> None:
    file = desk.active()
    day = NOW.date() + timedelta(days=200)
    assert desk.site.care.review(file.id, desk.amara, day).review_on == day
    assert desk.site.ledger.holds.list()[0].review_on == day
    with pytest.raises(UsageError, match="day to come"):
        desk.site.care.review(file.id, desk.amara, NOW.date())


def test_those_who_were_told_acknowledge_it_once_each(desk: Office) -> None:
    file = desk.enforcing.place(about("p-1"), MATTER, desk.amara, told=["operator"]).file
    assert desk.site.care.tell(file.id, desk.amara, ["auditor"]).told == ("auditor", "operator")
    with pytest.raises(Refused, match="not among those told"):
        desk.site.care.acknowledge(file.id, desk.chen)
    assert desk.site.care.acknowledge(file.id, desk.operator).unacknowledged == ("auditor",)
    with pytest.raises(Refused, match="already"):
        desk.site.care.acknowledge(file.id, desk.operator)
    with pytest.raises(UsageError, match="no person"):
        desk.site.care.tell(file.id, desk.amara, ["nobody"])


def test_holds_are_linked_and_not_with_themselves(desk: Office) -> None:
    one, other = desk.placed(), desk.placed("p-2")
    assert desk.site.care.link(one.id, desk.amara, [other.id]).links == (other.id,)
    with pytest.raises(UsageError, match="itself"):
        desk.site.care.link(one.id, desk.amara, [one.id])
    with pytest.raises(UsageError, match="already"):
        desk.site.care.link(one.id, desk.amara, [other.id])


def test_every_step_of_care_is_signed_over_what_it_makes_of_the_hold(desk: Office) -> None:
    file = desk.active()
    care = desk.site.care
    steps: list[Callable[[], HoldFile]] = [
        lambda: care.review(file.id, desk.amara, date(2031, 1, 1)),
        lambda: care.verify(file.id, desk.amara, CounselVerification.VERIFIED),
        lambda: care.tell(file.id, desk.amara, ["boris"]),
        lambda: care.acknowledge(file.id, desk.boris),
    ]
    marks = set()
    for number, step in enumerate(steps, 3):
        after = step()
        assert len(after.actions) == number
        assert after.actions[-1].statement["body"] == desk.site.ledger.holds.mark(after)
        assert (after.state, after.scope, after.epoch) == (HoldState.ACTIVE, file.scope, file.epoch)
        marks.add(after.actions[-1].statement["body"])
    assert len(marks) == 3, "an acknowledgement changes nothing"
    assert desk.site.ledger.connection.verify_chain() > 0


def test_care_in_the_grace_period_does_not_prolong_it(desk: Office) -> None:
    file = desk.in_grace()
    assert desk.site.care.review(file.id, desk.amara, date(2031, 1, 1)).grace_until == file.grace_until
    desk.site.clock.at += GRACE
    assert desk.holding.end_grace(actor="scheduler") == [file.id]


# Sealed ones


def test_whoever_may_not_see_a_sealed_hold_gets_the_same_words_as_for_none(desk: Office) -> None:
    file = sealed(desk, "boris")
    care, holding = desk.site.care, desk.holding

    def acts(id: str) -> list[Callable[[], object]]:
        return [
            lambda: holding.confirm(id, desk.chen),
            lambda: holding.request_release(id, desk.chen, DOCUMENT),
            lambda: holding.approve_release(id, desk.chen, GRACE),
            lambda: holding.cancel_release(id, desk.chen),
            lambda: holding.accept(id, desk.chen),
            lambda: holding.decline(id, desk.chen, "no"),
            lambda: holding.widen(id, about("p-1", "p-2"), desk.chen),
            lambda: holding.check_narrower(id, about("p-1"), desk.chen),
            lambda: holding.place(about("p-3"), MATTER, desk.chen, links=[id]),
            lambda: care.link(id, desk.chen, [id]),
            lambda: care.verify(id, desk.chen, CounselVerification.REJECTED),
            lambda: care.review(id, desk.chen, date(2031, 1, 1)),
            lambda: care.tell(id, desk.chen, ["chen"]),
            lambda: care.acknowledge(id, desk.chen),
            lambda: care.know(id, desk.chen, add=["chen"]),
            lambda: care.unseal(id, desk.chen),
            lambda: seen(desk.site.ledger, id, "chen"),
            lambda: seen(desk.site.ledger, id, None),
        ]

    nothing = "H20250615-00000000"
    for secret, absent in zip(acts(file.id), acts(nothing), strict=True):
        with pytest.raises(UsageError) as for_secret:
            secret()
        with pytest.raises(UsageError) as for_absent:
            absent()
        said = [
            (str(one.value).replace(file.id, nothing), one.value.hint) for one in (for_secret, for_absent)
        ]
        assert said[0] == said[1]
    assert desk.site.ledger.holds.get(file.id) == file


def test_a_sealed_hold_is_in_no_list_and_no_event_of_others(desk: Office) -> None:
    file, other = sealed(desk, "boris"), desk.placed("p-2")
    ledger = desk.site.ledger
    for name in ("chen", "auditor", None):
        assert not may_see(file, name)
        assert [one.id for one in all_seen(ledger, name)] == [other.id]
        assert hidden(ledger, name) == {file.id}
        assert file.id not in {event.subject for event in events_for(ledger, name)}
        assert events_for(ledger, name, subject=file.id) == []
    for name in ("amara", "boris"):
        assert file.id in {event.subject for event in events_for(ledger, name)}
        assert len(all_seen(ledger, name)) == 2


def test_the_list_of_who_may_see_is_changed_by_those_on_it_and_leaves_somebody_who_can_release(
    desk: Office,
) -> None:
    file = sealed(desk, "boris")
    assert desk.site.care.know(file.id, desk.boris, add=["chen"], remove=["amara"]).need_to_know == (
        "boris",
        "chen",
    )
    with pytest.raises(UsageError, match="no hold"):
        desk.site.care.know(file.id, desk.amara, add=["amara"])
    with pytest.raises(Refused, match="ever release"):
        desk.site.care.know(file.id, desk.boris, remove=["boris", "chen"])
    with pytest.raises(Refused, match="not sealed"):
        desk.site.care.know(desk.placed("p-2").id, desk.amara, add=["boris"])
    desk.site.care.know(file.id, desk.boris, add=["amara"])
    ledger, now = desk.site.ledger, desk.site.clock()
    ledger.steps.take(PersonStep(person="amara", step="disabled", value="", actor="console", at=now))
    with pytest.raises(Refused, match="ever release"):
        desk.site.care.know(file.id, desk.boris, remove=["boris", "chen"])


def test_a_seal_is_lifted_by_hand_and_not_before_its_day_is_over(desk: Office) -> None:
    day = desk.site.clock.at.date() + timedelta(days=30)
    file = sealed(desk, "boris", until=day)
    desk.holding.confirm(file.id, desk.boris)
    with pytest.raises(Refused, match="may not be told"):
        desk.site.care.unseal(file.id, desk.amara)
    desk.site.clock.at += timedelta(days=32)
    assert not may_see(desk.site.ledger.holds.get(file.id), "chen"), "no day lifts it by itself"
    assert may_see(desk.site.care.unseal(file.id, desk.amara), "chen")


def test_a_hold_that_nobody_confirmed_in_time_is_not_unsealed_into_its_lapse(desk: Office) -> None:
    """Sealed it did not lapse and nobody was reminded; without its seal the next run would begin its grace period."""
    file = sealed(desk, "boris")
    desk.site.clock.at += PROVISIONAL
    with pytest.raises(Refused, match="not confirmed in time"):
        desk.site.care.unseal(file.id, desk.amara)
    desk.holding.confirm(file.id, desk.boris)
    assert not desk.site.care.unseal(file.id, desk.amara).sealed
    assert desk.holding.lapse(GRACE, actor="scheduler") == []
    assert desk.site.care.unseal(sealed(desk).id, desk.amara).state is HoldState.PROVISIONAL


def test_nobody_is_told_of_a_sealed_hold_who_may_not_see_it(desk: Office) -> None:
    with pytest.raises(UsageError, match="need-to-know"):
        desk.holding.place(about("p-1"), MATTER, desk.amara, sealed=True, told=["chen"])
    file = sealed(desk)
    with pytest.raises(Refused, match="need-to-know"):
        desk.site.care.tell(file.id, desk.amara, ["chen"])
    with pytest.raises(UsageError, match="only a sealed hold"):
        desk.holding.place(about("p-1"), MATTER, desk.amara, need_to_know=["chen"])


# Documents


def test_a_document_is_kept_encrypted_and_found_by_its_digest(desk: Office, tmp_path: Path) -> None:
    documents = Documents(tmp_path / "documents", desk.site.ledger.sealer)
    digest = documents.keep(DOCUMENT)
    assert documents.keep(DOCUMENT) == digest
    (path,) = (tmp_path / "documents").iterdir()
    assert digest not in path.name, "who has the document cannot tell that it was served here"
    assert DOCUMENT not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    assert documents.open(digest) == DOCUMENT
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(LedgerUnavailable):
        documents.open(digest)
    path.unlink()
    with pytest.raises(UsageError, match="not kept here"):
        documents.open(digest)


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"x" * (MOST_BYTES + 1)], ids=["empty", "blank", "too large"]
)
def test_what_is_no_document_is_not_kept(desk: Office, tmp_path: Path, content: bytes) -> None:
    documents = Documents(tmp_path / "documents", desk.site.ledger.sealer)
    with pytest.raises(UsageError):
        documents.keep(content)
    assert not (tmp_path / "documents").exists()
