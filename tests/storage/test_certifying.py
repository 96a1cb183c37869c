"""Certificates claim what was read back, once, under the schedule the case ran under; final only when nothing is left open."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from retention.envelope import read as read_envelope
from retention.errors import Refused, Unavailable, VerificationFailed
from retention.outcomes import Outcome
from retention.tiles import entry_hash
from retention.verify import verify
from retention.verify_log import find
from storage.files.batch import FileBatch
from storage.ledger.batches import Range, Settled
from storage.ledger.cases import Case, CaseState
from storage.ledger.certificates import Certificate
from storage.ledger.ledger import Ledger
from storage.ledger.log_entries import EntryKind
from tests.choke_point.workbench import Workbench
from tests.contract.harness_files import HARNESSES
from tests.contract.shelf import many
from tests.simulator.target import Commit
from tests.storage.desk import LEAF, MATTER, concluded, intended, person
from tests.storage.site import Site, about


@pytest.fixture
def site(ledger: Ledger, tmp_path: Path) -> Site:
    made = Site(ledger, tmp_path)
    for number in range(7):
        made.add("loan", number)
    made.add("aged-loan", 9)
    return made


def told(certificate: Certificate) -> dict[str, Any]:
    statement: dict[str, Any] = json.loads(base64.b64decode(json.loads(certificate.envelope)["payload"]))
    predicate: dict[str, Any] = statement["predicate"]
    return predicate


def certified(site: Site) -> Certificate:
    disposal = site.destroyer.dispose(site.opened().id)
    assert disposal.certificate is not None
    return disposal.certificate


def by_hand(site: Site, codes: str, staged: str | None = None) -> Case:
    """A case of eight items with these outcomes in the ledger, whatever the stores hold."""
    case = site.opened()
    lease = site.ledger.cases.acquire(case.record_type, at=site.clock())
    site.ledger.cases.begin_destroying(case, cleared_by=(), actor="test", at=site.clock())
    for part, letters in zip(case.parts, (codes[:7], codes[7:]), strict=True):
        where = Range(part=part.number, offset=0, first=0, items=part.items)
        chosen = "".join("C" if letter in "DNU-" else letter for letter in letters)
        intent = intended(site.ledger, case, lease, staged=chosen, where=where, at=site.clock())
        concluded(site.ledger, case, lease, intent, codes=letters, at=site.clock())
    site.ledger.cases.release(lease, at=site.clock())
    return site.ledger.cases.get(case.id)


def test_a_certificate_says_what_the_read_backs_saw_and_verifies(site: Site) -> None:
    director = person(site.ledger, "director")
    site.add("loan", 3, subject="p-3")
    site.enforcing.place(about("p-3"), MATTER, director)
    site.add("aged-loan", 10)
    site.targets["ils"].remove(("loans", "aged-loan"), "009")
    certificate = certified(site)
    content = told(certificate)
    assert content["summary"]["destroyed"] == 7
    leaves = (site.folder / "evidence" / f"{certificate.id}.leaves").read_bytes()
    assert certificate.leaves_digest == hashlib.sha256(leaves).hexdigest()
    path = site.certifier.path(certificate)
    assert path.read_bytes() == certificate.envelope
    keys = {site.signer.keyid: site.signer.public}
    assert verify(certificate.envelope, keys=keys, leaves=leaves).ok
    assert sorted(found.name for found in path.parent.iterdir()) == [
        f"{certificate.id}.dsse.json",
        f"{certificate.id}.leaves",
    ]


def test_every_outcome_is_counted_where_it_belongs(site: Site) -> None:
    case = by_hand(site, "DDAWNU" + "D" + "W")
    certificate = site.certifier.certify(case, site.schedule, at=site.clock(), actor="test")
    first, second = told(certificate)["what"]["locations"]
    names = ("destroyed", "alreadyAbsent", "withheld", "notDestroyed", "unknown", "seenAbsent")
    assert [first[name] for name in names] == [3, 1, 1, 1, 1, 4]
    assert [second[name] for name in names] == [0, 0, 1, 0, 0, 0]
    assert site.ledger.cases.get(case.id).state is CaseState.CLOSED


def test_a_case_that_destroyed_nothing_certifies_nothing(site: Site) -> None:
    case = by_hand(site, "AAWWNUAW")
    with pytest.raises(Refused, match="certifies nothing"):
        site.certifier.certify(case, site.schedule, at=site.clock(), actor="test")
    assert site.ledger.certificates.list() == []
    assert site.ledger.cases.get(case.id).state is CaseState.STARTED


def test_a_case_that_destroyed_nothing_is_entered_into_the_log(site: Site) -> None:
    case = site.opened()
    for number in range(7):
        site.targets["ils"].remove(("loans", "loan"), f"{number:03}")
    site.targets["ils"].remove(("loans", "aged-loan"), "009")
    disposal = site.destroyer.dispose(case.id)
    assert disposal.certificate is None
    assert disposal.case.state is CaseState.CLOSED
    entry = site.ledger.log.find(case.id, EntryKind.NOTHING_DESTROYED)
    assert entry is not None
    statement = read_envelope(entry.envelope).statement()
    assert statement["subject"] == [{"name": case.id, "digest": {"sha256": case.manifest_digest}}]
    said = cast("dict[str, Any]", statement["predicate"])
    assert (said["items"], said["alreadyAbsent"], said["withheld"], said["notReached"]) == (8, 8, 0, 0)
    assert read_envelope(entry.envelope).check({site.signer.keyid: site.signer.public})
    opened = site.certifier._log.opened()
    assert opened is not None
    assert opened.root.size == 2, "it began, and it ended"


def test_a_run_killed_between_the_ledger_and_the_files_is_finished_by_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = site.certifier._log
    case = by_hand(site, "DDDDDDDD")

    def killed() -> Any:
        raise KeyboardInterrupt

    really, calls = log.publish, iter([log.publish, killed])

    def publish() -> Any:
        return next(calls)()

    monkeypatch.setattr(log, "publish", publish)
    with pytest.raises(KeyboardInterrupt):
        site.certifier.certify(case, site.schedule, at=site.clock(), actor="test")
    (certificate,) = site.ledger.certificates.list()
    assert log.opened() is None
    assert not site.certifier.path(certificate).exists()
    monkeypatch.setattr(log, "publish", really)
    site.certifier.catch_up(at=site.clock(), actor="test")
    opened = log.opened()
    assert opened is not None
    assert find(log.files, opened.root, entry_hash(certificate.envelope)) == 0
    assert site.certifier.path(certificate).read_bytes() == certificate.envelope


def test_an_item_without_an_outcome_stops_the_certificate(site: Site) -> None:
    case = by_hand(site, "DDDDDD" + "-" + "D")
    with pytest.raises(VerificationFailed, match="exactly one outcome"):
        site.certifier.certify(case, site.schedule, at=site.clock(), actor="test")


def test_a_batch_nobody_has_looked_at_stops_the_certificate(site: Site) -> None:
    case = by_hand(site, "DDDDDDDD")
    lease = site.ledger.cases.acquire(case.record_type, at=site.clock())
    intended(site.ledger, case, lease, staged="C", at=site.clock())
    with pytest.raises(VerificationFailed, match="not been read back"):
        site.certifier.certify(case, site.schedule, at=site.clock(), actor="test")


@pytest.mark.parametrize(
    "batches",
    [
        [(0, 0, 7, "DDDDDDD")],
        [(0, 0, 7, "DDDDDDD"), (0, 0, 7, "D......")],
        [(0, 0, 7, "DDDDDDD"), (0, 7, 1, "D")],
        [(0, 0, 6, "DDDDDD"), (1, 0, 1, "D"), (1, 1, 1, "D")],
    ],
    ids=["a part left out", "an item twice", "an item too many", "an item in another's place"],
)
def test_outcomes_that_do_not_cover_the_manifest_stop_the_certificate(
    site: Site, monkeypatch: pytest.MonkeyPatch, batches: list[tuple[int, int, int, str]]
) -> None:
    """Eight leaves for eight items are not enough."""
    case = site.opened()
    settled = [
        Settled(
            range=Range(part=part, offset=0, first=first, items=items),
            codes=codes,
            leaves=LEAF * sum(map(codes.count, "DAWNU")),
            epoch=0,
            intended_at=site.clock(),
            at=site.clock(),
        )
        for part, first, items, codes in batches
    ]
    monkeypatch.setattr(site.ledger.batches, "settled", lambda *_given, **_named: iter(settled))
    with pytest.raises(VerificationFailed):
        site.certifier.certify(case, site.schedule, at=site.clock(), actor="test")
    assert site.ledger.certificates.list() == []


def test_only_the_schedule_the_case_ran_under_certifies_it(site: Site) -> None:
    case = by_hand(site, "DDDDDDDD")
    other = replace(site.schedule, digest="0" * 64)
    with pytest.raises(VerificationFailed, match="not the schedule"):
        site.certifier.certify(case, other, at=site.clock(), actor="test")
    assert site.ledger.certificates.list() == []


def test_a_case_is_certified_once(site: Site) -> None:
    certificate = certified(site)
    case = site.ledger.cases.get(certificate.case_id)
    with pytest.raises((Refused, Unavailable)):
        site.certifier.certify(case, site.schedule, at=site.clock(), actor="test")
    assert site.ledger.certificates.list() == [certificate]


def test_it_becomes_final_on_the_day_after_its_last_window_and_once(site: Site) -> None:
    certificate = certified(site)
    assert certificate.state == "provisional"
    assert certificate.final_from is not None
    assert certificate.final_from == (site.clock.at + timedelta(days=36)).date()
    site.clock.at = site.clock.at.replace(hour=23, minute=59, second=59) + timedelta(days=35)
    assert site.certifier.follow_up(certificate, site.schedule, at=site.clock(), actor="test") is None
    site.clock.at += timedelta(seconds=2)
    final = site.certifier.follow_up(certificate, site.schedule, at=site.clock(), actor="test")
    assert final is not None
    assert (final.state, final.id) == ("final", f"{certificate.case_id}-2")
    assert told(final)["identity"]["supersedes"] == certificate.id
    for name in ("root", "leaves"):
        assert told(final)["evidence"][name] == told(certificate)["evidence"][name]
    for one in (certificate, final):
        assert site.certifier.follow_up(one, site.schedule, at=site.clock(), actor="test") is None
    assert site.ledger.certificates.get(certificate.case_id) == final


def test_with_an_unknown_outcome_it_stays_provisional_for_good(site: Site) -> None:
    """And no further certificate of it is made, night after night."""
    case = by_hand(site, "DDDDDDUD")
    certificate = site.certifier.certify(case, site.schedule, at=site.clock(), actor="test")
    for _ in range(3):
        site.clock.at += timedelta(days=40)
        assert site.certifier.follow_up(certificate, site.schedule, at=site.clock(), actor="test") is None
    assert site.ledger.certificates.list() == [certificate]


def test_a_commit_that_was_not_answered_is_certified_after_it_was_looked_at(site: Site) -> None:
    site.targets["ils"].faults.commits[:] = [Commit.GOOD, Commit.UNCERTAIN, Commit.FAILED]
    case = site.opened()
    for _ in range(2):
        with pytest.raises(Unavailable):
            site.destroyer.dispose(case.id)
        assert site.ledger.certificates.list() == []
    disposal = site.destroyer.dispose(case.id)
    assert disposal.counts == {Outcome.DESTROYED: 8}
    assert disposal.certificate is not None
    assert told(disposal.certificate)["summary"]["destroyed"] == 8


def test_an_evidence_folder_that_cannot_be_made_is_found_before_anything_is_certified(site: Site) -> None:
    case = by_hand(site, "DDDDDDDD")
    (site.folder / "evidence").write_text("not a folder")
    with pytest.raises(Unavailable, match="evidence folder"):
        site.certifier.certify(case, site.schedule, at=site.clock(), actor="test")
    assert site.ledger.cases.get(case.id).state is CaseState.STARTED
    (site.folder / "evidence").unlink()
    certificate = site.certifier.certify(case, site.schedule, at=site.clock(), actor="test")
    site.certifier.path(certificate).unlink()
    assert site.certifier.publish(certificate).read_bytes() == certificate.envelope


def test_a_canary_that_cannot_be_read_back_is_no_proof_against_the_store(site: Site) -> None:
    """Nobody knows whether it went, until the store can be asked again: then it is settled, and the case goes on."""
    case = site.opened()
    site.targets["ils"].faults.unreadable = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            site.destroyer.dispose(case.id)
        assert site.ledger.cases.get(case.id).state is CaseState.STARTED
        assert len(site.left("loan")) == 6, "one record, and no more"
        site.targets["ils"].faults.unreachable = True
    site.targets["ils"].faults.unreadable = site.targets["ils"].faults.unreachable = False
    disposal = site.destroyer.dispose(case.id)
    assert disposal.counts == {Outcome.DESTROYED: 8}
    assert disposal.certificate is not None


def test_a_canary_that_is_still_there_ends_the_case(site: Site) -> None:
    case = site.opened()
    site.targets["ils"].faults.stubborn = {f"{number:03}" for number in range(7)}
    disposal = site.destroyer.dispose(case.id)
    assert disposal.case.state is CaseState.FAILED
    assert disposal.counts == {Outcome.NOT_DESTROYED: 1}
    assert site.ledger.certificates.list() == []
    assert not (site.spool.root / case.id).exists()


def test_a_case_that_was_sent_back_while_a_run_waited_for_it_is_left_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = site.opened()
    really = site.ledger.cases.acquire

    def acquire(name: str, *, at: Any) -> Any:
        site.ledger.cases.close(case.id, CaseState.RETURNED, actor="director", at=at, body={})
        return really(name, at=at)

    monkeypatch.setattr(site.ledger.cases, "acquire", acquire)
    with pytest.raises(Refused, match="already ended"):
        site.destroyer.dispose(case.id)
    assert len(site.left("loan")) == 7


@pytest.mark.parametrize("count", [1, 3])
def test_a_file_that_somebody_moved_away_is_never_certified_as_destroyed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Between the choice and the unlinking. It is gone from its place, and it exists."""
    folder = tmp_path / "target"
    folder.mkdir()
    harness = HARNESSES[0].build(request, folder, many(HARNESSES[0].supports, count))
    bench = Workbench.around(tmp_path / "site", harness)
    case = bench.opened()
    really = FileBatch.destroy
    moved: list[Path] = []

    def destroy(self: FileBatch) -> None:
        if not moved:
            (item,) = self._chosen
            (found,) = folder.rglob(Path(item.line.path).name)
            moved.append(Path(shutil.move(found, tmp_path / found.name)))
        really(self)

    monkeypatch.setattr(FileBatch, "destroy", destroy)
    with pytest.raises(Unavailable, match="nobody can say"):
        bench.destroyer.dispose(case.id)
    disposal = bench.destroyer.dispose(case.id)
    assert moved[0].exists()
    assert disposal.counts[Outcome.UNKNOWN] == 1
    assert disposal.counts[Outcome.DESTROYED] == count - 1
    assert (disposal.certificate is None) is (count == 1)
    harness.close()
    bench.close()
