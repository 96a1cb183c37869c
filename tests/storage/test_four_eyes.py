"""Four eyes stand in three places: the domain decides, the ledger's database counts, the destroyer looks again. Each alone suffices.

In every test the other two are switched off.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from retention import approval
from retention.approval import Decision
from retention.clearance import Clearance
from retention.errors import LedgerUnavailable, VerificationFailed
from retention.outcomes import Outcome
from retention.permissions import Role
from storage import destroy
from storage.dispositions import Dispositions
from storage.ledger.cases import Case
from storage.ledger.connection import stamp
from storage.ledger.ledger import Ledger
from storage.ledger.people import SignedDecision
from storage.signatures import Signatory, marked_epoch
from storage.statements import verify_statements
from tests.storage.desk import MATTER, behind_its_back, person, without_triggers
from tests.storage.site import TWO_PEOPLE, Site, about


class Desk:
    """A case of three loans that two people have to approve, and a hand that writes decisions as it likes."""

    def __init__(self, ledger: Ledger, folder: Path, limits: str = "records = 1000000") -> None:
        self.ledger = ledger
        self.site = Site(ledger, folder, approval=TWO_PEOPLE, limits=limits)
        for number in range(3):
            self.site.add("loan", number)
        self.ada, self.bela, self.cato = (person(ledger, name) for name in ("ada", "bela", "cato"))
        self.olga = person(ledger, "olga", Role.OPERATOR)
        self.seconds = [person(ledger, name, Role.SECOND_CUSTODIAN) for name in ("sara", "sven")]
        self.case = self.site.opened("loans", actor="ada")

    def decide(
        self, by: Signatory, decision: Decision = Decision.APPROVE, *, key: Signatory | None = None, manifest: str | None = None,
        older: bool = False,
    ) -> None:  # fmt: skip
        at, epoch = self.site.clock(), self.ledger.holds.epoch()
        mark = marked_epoch(self.ledger, case=self.case.id, person=by.person.name, at=at, epoch=epoch)
        said = approval.statement(
            case=self.case.id, manifest=manifest or self.case.manifest_digest, schedule=self.case.schedule_digest,
            record_type="loans", items=3, decision=decision, at=at, hold_epoch=mark if decision is Decision.APPROVE else None,
        )  # fmt: skip
        if older:
            said = {name: value for name, value in said.items() if name != "holdEpoch"} | {
                "type": approval.WITHOUT_EPOCH
            }
        self.ledger.people.sign_off(
            SignedDecision(
                case_id=self.case.id, person=by.person.name, decision=decision.value, statement=said,
                signature=(key or by).sign(said).text, epoch=epoch, at=at,
            )
        )  # fmt: skip

    def approvals(self) -> tuple[int, ...]:
        return tuple(
            one.id for one in self.ledger.people.decisions(self.case.id) if one.decision == "approve"
        )

    def standing(self) -> Clearance:
        found = Dispositions(ledger=self.ledger, now=self.site.clock).standing(self.case)
        assert found is not None
        return found

    def untouched(self) -> bool:
        return len(self.site.left("loan")) == 3


@pytest.fixture
def desk(ledger: Ledger, tmp_path: Path) -> Desk:
    return Desk(ledger, tmp_path)


def blind_domain(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    def ready(*_: Any) -> Clearance:
        return Clearance(ready=True, counted=desk.approvals())

    patch.setattr(destroy, "clearance", ready)


def blind_destroyer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(destroy, "require_people", lambda *_: None)


def blind_database(url: str) -> None:
    with behind_its_back(url) as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER refuse_unapproved"))
        else:
            connection.execute(text("ALTER TABLE case_file DISABLE TRIGGER refuse_unapproved"))


def one(desk: Desk) -> None:
    desk.decide(desk.bela)


def one_twice(desk: Desk) -> None:
    desk.decide(desk.bela)
    desk.decide(desk.bela)


def taken_back(desk: Desk) -> None:
    desk.decide(desk.bela)
    desk.decide(desk.cato)
    desk.decide(desk.bela, Decision.WITHDRAW)


def by_who_opened_it(desk: Desk) -> None:
    desk.decide(desk.ada)
    desk.decide(desk.bela)


def before_an_exception(desk: Desk) -> None:
    desk.decide(desk.bela)
    desk.decide(desk.cato)
    Dispositions(ledger=desk.ledger, now=desk.site.clock).except_items(desk.case.id, desk.bela, [0], "why")


def by_an_operator(desk: Desk) -> None:
    desk.decide(desk.bela)
    desk.decide(desk.olga)


def by_seconds_alone(desk: Desk) -> None:
    for second in desk.seconds:
        desk.decide(second)


def forged(desk: Desk) -> None:
    desk.decide(desk.bela)
    desk.decide(desk.cato, key=desk.bela)


def of_another_manifest(desk: Desk) -> None:
    desk.decide(desk.bela)
    desk.decide(desk.cato, manifest="0" * 64)


COUNTABLE = (one, one_twice, taken_back, by_who_opened_it, before_an_exception)
"""What a database can tell."""
READABLE = (
    one, one_twice, taken_back, by_who_opened_it, by_an_operator, by_seconds_alone, forged, of_another_manifest,
)  # fmt: skip
"""What somebody can tell who reads signatures and roles."""


@pytest.mark.parametrize("given", [*COUNTABLE, *READABLE[4:]])
def test_the_domain_alone_keeps_a_case_from_beginning(
    desk: Desk, ledger_url: str, monkeypatch: pytest.MonkeyPatch, given: Callable[[Desk], None]
) -> None:
    blind_database(ledger_url)
    blind_destroyer(monkeypatch)
    given(desk)
    try:
        assert desk.site.destroyer.dispose(desk.case.id).waiting
    except VerificationFailed:
        assert given is forged
    assert desk.untouched()


@pytest.mark.parametrize("given", COUNTABLE)
def test_the_database_alone_keeps_a_case_from_beginning(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, given: Callable[[Desk], None]
) -> None:
    blind_domain(desk, monkeypatch)
    blind_destroyer(monkeypatch)
    given(desk)
    with pytest.raises(LedgerUnavailable, match="too few different people"):
        desk.site.destroyer.dispose(desk.case.id)
    assert desk.ledger.cases.get(desk.case.id).destroying_since is None
    assert desk.untouched()


@pytest.mark.parametrize("given", READABLE)
def test_the_destroyer_alone_keeps_a_case_from_beginning(
    desk: Desk, ledger_url: str, monkeypatch: pytest.MonkeyPatch, given: Callable[[Desk], None]
) -> None:
    blind_domain(desk, monkeypatch)
    blind_database(ledger_url)
    given(desk)
    with pytest.raises(VerificationFailed):
        desk.site.destroyer.dispose(desk.case.id)
    assert desk.ledger.cases.get(desk.case.id).destroying_since is None
    assert desk.untouched()


def copied_to_the_end(desk: Desk, url: str) -> None:
    """Bela's approval that she took back, in a row of its own after that."""
    taken_back(desk)
    columns = "case_id, person, decision, statement, signature, epoch, at"
    with behind_its_back(url) as connection:
        connection.execute(
            text(
                f"INSERT INTO approval ({columns}) SELECT {columns} FROM approval WHERE person = 'bela' AND decision = 'approve'"
            )  # our own names
        )


def test_an_approval_that_was_taken_back_does_not_count_again_as_a_copied_row(
    desk: Desk, ledger_url: str
) -> None:
    copied_to_the_end(desk, ledger_url)
    assert desk.site.destroyer.dispose(desk.case.id).waiting
    desk.site.clock.at += timedelta(minutes=1)
    desk.decide(desk.bela)
    assert desk.site.destroyer.dispose(desk.case.id).counts == {Outcome.DESTROYED: 3}, "she said it anew"


def test_the_destroyer_alone_knows_a_copied_row_as_taken_back(
    desk: Desk, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind_database(ledger_url)
    copied_to_the_end(desk, ledger_url)
    copied = desk.approvals()[1:]
    assert len(copied) == 2
    monkeypatch.setattr(destroy, "clearance", lambda *_, **__: Clearance(ready=True, counted=copied))
    with pytest.raises(VerificationFailed, match="taken back"):
        desk.site.destroyer.dispose(desk.case.id)
    assert desk.untouched()


def test_an_approval_that_a_hold_voided_is_not_revived_in_the_database(desk: Desk, ledger_url: str) -> None:
    """Its hold epoch is signed: the column beside it may say what it likes."""
    desk.decide(desk.bela)
    desk.decide(desk.cato)
    desk.site.holding.place(about("nobody"), MATTER, desk.bela)
    assert desk.site.destroyer.dispose(desk.case.id).waiting
    with behind_its_back(ledger_url) as connection:
        without_triggers(connection, "approval")
        connection.execute(text("UPDATE approval SET epoch = epoch + 1000"))
    with pytest.raises(VerificationFailed, match="hold epoch"):
        desk.site.destroyer.dispose(desk.case.id)
    with pytest.raises(VerificationFailed, match="not what was signed"):
        verify_statements(desk.ledger)
    assert desk.ledger.cases.get(desk.case.id).destroying_since is None
    assert desk.untouched()


def test_a_case_that_a_hand_in_the_database_marked_as_begun_has_not_begun(
    desk: Desk, ledger_url: str
) -> None:
    """The pages' own role may write that. The log does not say it, so what voids approvals and puts a case off goes on to count."""
    desk.decide(desk.bela)
    desk.decide(desk.cato)
    desk.site.holding.place(about("nobody"), MATTER, desk.bela)
    begun = {"at": stamp(desk.site.clock()), "by": json.dumps(desk.approvals())}
    with behind_its_back(ledger_url) as connection:
        connection.execute(text("UPDATE case_file SET destroying_since = :at, cleared_by = :by"), begun)
    assert desk.ledger.cases.get(desk.case.id).destroying_since is not None
    assert desk.site.destroyer.dispose(desk.case.id).waiting
    assert desk.untouched()


def test_an_approval_of_a_version_that_signed_no_epoch_is_older_than_every_hold(desk: Desk) -> None:
    desk.decide(desk.bela, older=True)
    desk.decide(desk.cato, older=True)
    ready = desk.standing()
    assert ready.ready, "no hold touches the case"
    desk.site.holding.place(about("nobody"), MATTER, desk.bela)
    desk.decide(desk.seconds[0], older=True)
    assert desk.standing().void == ("bela", "cato", "sara")
    assert desk.site.destroyer.dispose(desk.case.id).waiting
    assert desk.untouched()


def test_two_different_people_pass_all_three(desk: Desk) -> None:
    desk.decide(desk.bela)
    desk.decide(desk.cato)
    assert desk.site.destroyer.dispose(desk.case.id).counts == {Outcome.DESTROYED: 3}


def test_a_brake_needs_somebody_who_lifts_it_in_all_three(
    ledger: Ledger, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(ledger, tmp_path, limits="records = 2")
    assert list(desk.case.brakes) == ["records"]
    desk.decide(desk.bela)
    desk.decide(desk.cato)
    assert desk.site.destroyer.dispose(desk.case.id).waiting
    blind_domain(desk, monkeypatch)
    blind_database(ledger_url)
    with pytest.raises(VerificationFailed, match="brakes"):
        desk.site.destroyer.dispose(desk.case.id)
    assert desk.untouched()


def test_no_case_comes_into_the_ledger_as_begun_already(desk: Desk, ledger_url: str) -> None:
    columns = "record_type, on_day, schedule_digest, manifest_digest, items, approval_kind, opened_at, opened_by, opened_epoch, survey, brakes, state"
    with (
        pytest.raises(Exception, match="too few different people"),
        behind_its_back(ledger_url) as connection,
    ):
        connection.execute(
            text(
                f"INSERT INTO case_file (id, destroying_since, {columns}) SELECT 'C9', '2025', {columns} FROM case_file"  # our own names
            )
        )
    cases: list[Case] = desk.ledger.cases.list()
    assert [case.id for case in cases] == [desk.case.id]
    assert isinstance(cases[0].opened_at, datetime)
