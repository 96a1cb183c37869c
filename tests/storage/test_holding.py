"""The life of a hold: who may do what, what *placed* guarantees, and that nothing but two people, a document and a full grace period releases it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retention.document import JSON, write
from retention.errors import LedgerUnavailable, Refused, StoreUnavailable, UsageError
from retention.holds import CounselVerification, HoldState, Matter, MatterKind, Scope
from retention.loader import load
from retention.outcomes import Outcome
from retention.permissions import Role
from retention.records import Personal
from retention.signed import Signed
from retention.signing import PublicKey
from storage.hold_steps import new_hold_id
from storage.ledger.holds import HoldFile
from storage.ledger.ledger import Ledger
from storage.ledger.people import Person
from storage.planning import criteria_for
from storage.rehearsal import Presigned, Rehearsal, SignatureNeeded
from storage.signatures import Signatory
from tests.simulator.store import SimulatorBatch
from tests.storage.desk import MATTER, NOW, person
from tests.storage.site import Site, about, text

GRACE = timedelta(days=7)
WAIT = 20.0
DOCUMENT = b"The court releases the library."


class Office:
    """A site and the people in it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.enforcing = site.enforcing
        self.holding = site.holding
        self.amara, self.boris, self.chen = (person(site.ledger, name) for name in ("amara", "boris", "chen"))
        self.operator = person(site.ledger, "operator", Role.OPERATOR)
        self.auditor = person(site.ledger, "auditor", Role.AUDITOR)

    def placed(self, *subjects: str) -> HoldFile:
        return self.enforcing.place(about(*(subjects or ("p-1",))), MATTER, self.amara).file

    def active(self) -> HoldFile:
        return self.holding.confirm(self.placed().id, self.boris)

    def requested(self) -> HoldFile:
        return self.holding.request_release(self.active().id, self.amara, DOCUMENT)

    def in_grace(self) -> HoldFile:
        return self.holding.approve_release(self.requested().id, self.boris, GRACE)

    def state(self, file: HoldFile) -> HoldState:
        return self.site.ledger.holds.get(file.id).state

    def keeps(self, file: HoldFile) -> bool:
        return file.id in {hold.id for hold in self.site.ledger.holds.in_force().holds}


@pytest.fixture
def office(ledger: Ledger, tmp_path: Path) -> Office:
    return Office(Site(ledger, tmp_path))


@pytest.fixture
def desk(sqlite_ledger: Ledger, tmp_path: Path) -> Office:
    """For what does not depend on the engine."""
    return Office(Site(sqlite_ledger, tmp_path))


def test_a_hold_goes_its_whole_way(office: Office) -> None:
    placed = office.enforcing.place(about("p-1"), MATTER, office.amara, sealed=True, need_to_know=["boris"])
    file = placed.file
    assert (file.state, file.sealed, placed.stores) == (HoldState.PROVISIONAL, True, ("ils",))
    assert file.provisional_until == file.placed_at + timedelta(days=14)
    assert office.holding.confirm(file.id, office.boris).state is HoldState.ACTIVE
    assert (
        office.holding.request_release(file.id, office.boris, DOCUMENT).state is HoldState.RELEASE_REQUESTED
    )
    approved = office.holding.approve_release(file.id, office.amara, GRACE)
    assert approved.state is HoldState.IN_GRACE
    assert approved.grace_until is not None
    assert office.keeps(file)
    office.site.clock.at = approved.grace_until
    assert office.holding.end_grace(actor="test") == [], "the end of a sealed one is not told"
    assert not office.keeps(file)
    whole = office.site.ledger.holds.get(file.id)
    assert [(step.action, step.person) for step in whole.actions] == [
        ("place", "amara"),
        ("confirm", "boris"),
        ("request-release", "boris"),
        ("approve-release", "amara"),
    ]
    assert [step.document_digest is not None for step in whole.actions] == [False, False, True, True]
    assert whole.grace_until == approved.grace_until


def test_the_grace_ends_exactly_at_its_time(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    file = office.in_grace()
    assert file.grace_until is not None
    until: datetime = file.grace_until
    now = [until - timedelta(microseconds=1)]
    monkeypatch.setattr(office.holding, "_now", lambda: now[0])
    assert office.holding.end_grace(actor="test") == []
    now[0] = until
    assert office.holding.end_grace(actor="test") == [file.id]
    assert office.holding.end_grace(actor="test") == []


def test_a_hold_needs_two_people_to_be_confirmed_and_two_to_be_released(desk: Office) -> None:
    placed = desk.placed()
    with pytest.raises(Refused, match="cannot confirm"):
        desk.holding.confirm(placed.id, desk.amara)
    desk.holding.confirm(placed.id, desk.boris)
    with pytest.raises(Refused, match="nothing to confirm"):
        desk.holding.confirm(placed.id, desk.chen)
    desk.holding.request_release(placed.id, desk.boris, DOCUMENT)
    with pytest.raises(Refused, match="cannot approve"):
        desk.holding.approve_release(placed.id, desk.boris, GRACE)
    assert desk.state(placed) is HoldState.RELEASE_REQUESTED


def actions(desk: Office, file: HoldFile, by: Signatory) -> list[Any]:
    return [
        lambda: desk.enforcing.place(about("p-2"), MATTER, by),
        lambda: desk.holding.confirm(file.id, by),
        lambda: desk.holding.request_release(file.id, by, DOCUMENT),
        lambda: desk.holding.approve_release(file.id, by, GRACE),
        lambda: desk.holding.cancel_release(file.id, by),
    ]


def test_whoever_is_no_custodian_decides_nothing_whatever_they_say_they_are(desk: Office) -> None:
    file = desk.placed()
    epoch = desk.site.ledger.holds.epoch()
    pretending = replace(desk.operator, person=replace(desk.operator.person, role=Role.CUSTODIAN))
    for by in (desk.operator, desk.auditor, pretending):
        for action in actions(desk, file, by):
            with pytest.raises(Refused, match="not custodian"):
                action()
    assert desk.site.ledger.holds.epoch() == epoch


def test_a_name_is_proven_by_the_key_the_ledger_has(desk: Office) -> None:
    """Also against a caller that brings its own idea of the person's key."""
    file = desk.placed()
    epoch = desk.site.ledger.holds.epoch()
    stolen = replace(desk.boris, key=desk.operator.key)
    forged = replace(stolen, person=replace(desk.boris.person, public_key=desk.operator.key.public.text))
    for by in (stolen, forged):
        for action in actions(desk, file, by):
            with pytest.raises(Refused, match="not a signing key"):
                action()
    stranger = replace(desk.boris, person=replace(desk.boris.person, name="mallory"))
    for action in actions(desk, file, stranger):
        with pytest.raises(UsageError, match="no person mallory"):
            action()
    assert desk.site.ledger.holds.epoch() == epoch


@pytest.mark.parametrize("document", [b"", b" \n\t"])
def test_a_release_needs_its_document(desk: Office, document: bytes) -> None:
    file = desk.active()
    with pytest.raises(UsageError, match="document"):
        desk.holding.request_release(file.id, desk.amara, document)


@pytest.mark.parametrize("grace", [timedelta(0), timedelta(days=-7)])
def test_a_release_needs_a_grace_period(desk: Office, grace: timedelta) -> None:
    file = desk.requested()
    with pytest.raises(UsageError, match="grace"):
        desk.holding.approve_release(file.id, desk.boris, grace)
    assert desk.state(file) is HoldState.RELEASE_REQUESTED


def test_a_release_can_be_cancelled_until_it_is_over(desk: Office) -> None:
    for file in (desk.requested(), desk.in_grace()):
        back = desk.holding.cancel_release(file.id, desk.chen)
        assert (back.state, back.grace_until) == (HoldState.ACTIVE, None)
    desk.site.clock.at += GRACE * 2
    assert desk.holding.end_grace(actor="test") == []
    with pytest.raises(Refused, match="no release to cancel"):
        desk.holding.cancel_release(file.id, desk.chen)


def test_a_cancelled_release_confirms_nothing(desk: Office) -> None:
    """Or one person alone could place, request, cancel, and have an active hold."""
    file = desk.placed()
    desk.holding.request_release(file.id, desk.amara, DOCUMENT)
    assert desk.holding.cancel_release(file.id, desk.amara).state is HoldState.PROVISIONAL


def test_a_new_request_needs_a_second_person_of_its_own(desk: Office) -> None:
    """Who read the first request and comes late does not approve their own second one."""
    file = desk.requested()
    seen = desk.site.ledger.holds.get(file.id)
    desk.holding.cancel_release(file.id, desk.boris)
    desk.holding.request_release(file.id, desk.boris, DOCUMENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk.site.ledger.holds, "get", lambda _id: seen)
        with pytest.raises(Refused, match="changed meanwhile"):
            desk.holding.approve_release(file.id, desk.boris, GRACE)


def test_a_grace_period_that_began_anew_is_not_ended_by_the_old_one(desk: Office) -> None:
    file = desk.in_grace()
    other = desk.in_grace()
    desk.site.clock.at += GRACE
    seen = desk.site.ledger.holds.list()
    desk.holding.cancel_release(file.id, desk.chen)
    desk.holding.request_release(file.id, desk.amara, DOCUMENT)
    desk.holding.approve_release(file.id, desk.boris, GRACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk.site.ledger.holds, "list", lambda: seen)
        assert desk.holding.end_grace(actor="test") == [other.id]
    assert desk.state(file) is HoldState.IN_GRACE


def test_a_request_that_counsel_rejected_places_nothing(desk: Office) -> None:
    with pytest.raises(Refused, match="counsel rejected"):
        desk.enforcing.place(about("p-1"), replace(MATTER, counsel=CounselVerification.REJECTED), desk.amara)
    assert desk.site.ledger.holds.list() == []
    verified = replace(MATTER, counsel=CounselVerification.VERIFIED)
    assert desk.enforcing.place(about("p-1"), verified, desk.amara).file.matter == verified


SENSELESS = {
    "empty": Scope(),
    "only margins": Scope(margin_before=timedelta(days=1)),
    "unknown record type": Scope(record_types=frozenset({"laons"})),
    "unknown store": Scope(stores=frozenset({"ISL"})),
    "no place matches": Scope(record_types=frozenset({"loans"}), stores=frozenset({"kiosk"})),
    "ends before it begins": Scope(since=NOW, until=NOW - timedelta(seconds=1)),
    "negative margin": Scope(since=NOW, margin_after=timedelta(seconds=-1)),
    "no time zone": Scope(since=NOW.replace(tzinfo=None)),
    "one time zone of two": Scope(since=NOW.replace(tzinfo=None), until=NOW),
    "empty subject": Scope(subjects=frozenset({Personal("")})),
    "subject with a space": Scope(subjects=frozenset({Personal("p-1 ")})),
    "blank camera": Scope(cameras=frozenset({" "})),
    "blank branch": Scope(branches=frozenset({"main", ""})),
}


@pytest.mark.parametrize("what", SENSELESS)
def test_a_hold_that_was_not_thought_about_is_refused_and_not_written(desk: Office, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        desk.enforcing.place(SENSELESS[what], MATTER, desk.amara)
    assert "p-1" not in str(caught.value) + caught.value.hint
    assert desk.site.ledger.holds.list(released=True) == []
    assert desk.site.ledger.holds.epoch() == 0


def test_a_clock_that_was_set_back_moves_no_hold(desk: Office) -> None:
    file = desk.in_grace()
    desk.site.clock.at -= timedelta(hours=1)
    for action in (
        desk.placed,
        lambda: desk.holding.end_grace(actor="test"),
        lambda: desk.holding.cancel_release(file.id, desk.amara),
    ):
        with pytest.raises(Refused, match="clock"):
            action()
    assert desk.state(file) is HoldState.IN_GRACE


# What *placed* means.


def test_a_store_that_is_down_leaves_a_hold_that_keeps_and_can_be_completed(office: Office) -> None:
    site = office.site
    site.targets["ils"].faults.unreachable = True
    with pytest.raises(StoreUnavailable, match="written down and keeps") as caught:
        office.placed()
    assert "--resume" in caught.value.hint
    (file,) = site.ledger.holds.list()
    assert file.state is HoldState.PLACING
    assert office.keeps(file)
    assert site.ledger.holds.in_force().placing
    with pytest.raises(StoreUnavailable):
        office.enforcing.resume(file.id, actor="amara")
    site.targets["ils"].faults.unreachable = False
    for number in range(3):
        site.add("loan", number)
    assert site.open()[1] is None, "it keeps before it is completed"
    assert office.enforcing.resume(file.id, actor="amara").file.state is HoldState.PROVISIONAL
    with pytest.raises(Refused, match="nothing to complete"):
        office.enforcing.resume(file.id, actor="amara")


def test_a_ledger_that_fails_while_placing_places_nothing_or_a_hold_that_keeps(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: object, **_named: object) -> None:
        raise LedgerUnavailable("the ledger does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(office.site.ledger.holds, "move", fail)
        with pytest.raises(LedgerUnavailable):
            office.placed()
    (file,) = office.site.ledger.holds.list()
    assert office.keeps(file)
    office.enforcing.resume(file.id, actor="amara")


def in_a_batch(site: Site) -> Any:
    loans = site.schedule.record_type("loans")
    return site.stores["ils"].batch(criteria_for(site.schedule, loans, "loan", site.today))


def test_placing_waits_for_a_batch_in_flight_and_no_longer(office: Office) -> None:
    site = office.site
    with ThreadPoolExecutor(1) as beside, ExitStack() as batch:
        batch.enter_context(in_a_batch(site))
        placing = beside.submit(office.placed)
        deadline = time.monotonic() + WAIT
        while not site.ledger.holds.in_force().placing and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        assert not placing.done()
        assert site.ledger.holds.in_force().placing, "whoever reads the holds now sees it"
        batch.close()
        file = placing.result(WAIT)
    assert file.state is HoldState.PROVISIONAL


def test_a_batch_that_read_the_holds_before_is_over_when_placing_returns(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hold arrives after the batch has read the holds: the batch goes through, and only then the hold is placed."""
    site = office.site
    for number in range(4):
        site.add("loan", number, subject="p-1")
    case = site.opened()
    really, order = SimulatorBatch.stage, []
    placing: list[Any] = []

    with ThreadPoolExecutor(1) as beside:

        def place() -> HoldFile:
            file = office.placed()
            order.append("placed")
            return file

        def stage(self: SimulatorBatch, *given: Any) -> Any:
            if not placing:
                placing.append(beside.submit(place))
                while not site.ledger.holds.in_force().placing:
                    time.sleep(0.01)
            staged = really(self, *given)
            order.append(f"chose {len(staged.chosen)}")
            return staged

        monkeypatch.setattr(SimulatorBatch, "stage", stage)
        disposal = site.destroyer.dispose(case.id)
        placing[0].result(WAIT)
    assert order[:2] == ["chose 1", "placed"]
    assert disposal.counts == {Outcome.DESTROYED: 1, Outcome.WITHHELD: 3}
    assert len(site.left("loan")) == 3


def test_the_barrier_is_passed_in_stores_that_only_an_open_cases_own_schedule_names(office: Office) -> None:
    """The schedule in force has no sign-ins any more; a case opened under the old one still destroys them."""
    site = office.site
    for number in range(2):
        site.add("sign-in", number)
    case = site.opened("sign-ins")
    now = site.enforcing_under(load(text(without="sign-ins"), "policies.toml"))
    everything = Scope(until=site.clock.at)
    assert now.place(everything, MATTER, office.amara).stores == ("ils",), (
        "nothing is being destroyed there yet"
    )
    site.ledger.cases.begin_destroying(case, cleared_by=(), actor="test", at=site.clock())
    assert now.place(everything, MATTER, office.amara).stores == ("ils", "kiosk")
    site.targets["kiosk"].faults.unreachable = True
    with pytest.raises(StoreUnavailable, match="kiosk"):
        now.place(everything, MATTER, office.amara)


def test_a_store_in_which_a_case_destroys_needs_an_address_here(office: Office) -> None:
    """Another machine has one, and its worker may be in a batch."""
    site = office.site
    site.add("sign-in", 1)
    case = site.opened("sign-ins")
    del site.stores["kiosk"]
    everything = Scope(until=site.clock.at)
    assert office.enforcing.place(everything, MATTER, office.amara).stores == ("ils",)
    site.ledger.cases.begin_destroying(case, cleared_by=(), actor="test", at=site.clock())
    with pytest.raises(StoreUnavailable, match="kiosk has no address"):
        office.enforcing.place(everything, MATTER, office.amara)
    assert [file.state for file in site.ledger.holds.list()] == [HoldState.PLACING, HoldState.PROVISIONAL]


def test_a_sealed_hold_keeps_and_leaves_no_word_in_the_events(desk: Office) -> None:
    secret = Matter(
        number="zq-17", kind=MatterKind.WARRANT, issuing_authority="zq-court", officer="zq-officer"
    )
    desk.enforcing.place(about("zq-patron"), secret, desk.amara, sealed=True)
    events = "".join(f"{event.kind}{event.body}{event.subject}" for event in desk.site.ledger.events())
    assert "hold.placing" in events
    assert "zq" not in events
    statements = "".join(
        str(step.statement) for file in desk.site.ledger.holds.list() for step in file.actions
    )
    assert "zq" not in statements


# The ledger's side alone, as a page uses it.


def test_what_a_page_places_keeps_at_once_and_is_effective_when_its_barriers_are_passed(
    office: Office,
) -> None:
    site = office.site
    id = new_hold_id(site.clock())
    file = office.holding.place(about("p-1"), MATTER, office.amara, id=id)
    assert (file.id, file.state) == (id, HoldState.PLACING)
    for number in range(3):
        site.add("loan", number)
    assert site.open()[1] is None, "it keeps before any store was asked"
    assert office.enforcing.resume(id, actor="keeper").file.state is HoldState.PROVISIONAL


def test_several_who_complete_a_hold_at_once_all_see_it_effective(office: Office) -> None:
    file = office.holding.place(about("p-1"), MATTER, office.amara)
    with ThreadPoolExecutor(4) as several:
        looked = [
            several.submit(office.enforcing._complete, file, "keeper", 0.0) for _ in range(4)
        ]  # all saw it *placing*
        assert {placed.result(WAIT).file.state for placed in looked} == {HoldState.PROVISIONAL}
    events = [event.kind for event in office.site.ledger.events(subject=file.id)]
    assert events.count("hold.provisional") == 1


def test_a_signed_step_binds_what_the_hold_is_about_and_tells_nobody_whom(desk: Office) -> None:
    one, other = desk.placed("p-1"), desk.placed("p-2")
    holds = desk.site.ledger.holds
    said = [desk.site.ledger.holds.get(file.id).actions[0].statement for file in (one, other)]
    assert [statement["body"] for statement in said] == [holds.mark(one), holds.mark(other)]
    exchanged = replace(one, scope=other.scope)
    for changed in (
        exchanged,
        replace(one, sealed=True),
        replace(one, continuing=False),
        replace(one, id=other.id),
    ):
        assert holds.mark(changed) != holds.mark(one)
    assert "p-1" not in str(said)
    assert hashlib.sha256(b"p-1").hexdigest() not in str(said)


def test_a_step_bears_the_moment_at_which_its_signature_was_asked_for(desk: Office) -> None:
    asked = desk.site.clock().replace(microsecond=0)
    desk.site.clock.at += timedelta(minutes=3)
    file = desk.holding.place(about("p-1"), MATTER, Asked(by=desk.amara, at=asked))
    assert (file.actions[0].at, file.actions[0].statement["at"]) == (asked, write(asked))
    assert file.placed_at > asked


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A person whose signature was asked for earlier."""

    by: Signatory
    at: datetime

    @property
    def person(self) -> Person:
        return self.by.person

    @property
    def public(self) -> PublicKey:
        return self.by.public

    def sign(self, statement: Mapping[str, JSON]) -> Signed:
        return self.by.sign(statement)


def test_a_release_is_approved_with_the_document_it_was_requested_with(office: Office) -> None:
    """Whoever approves signs under that document: not under another that was put in its place meanwhile."""
    file = office.requested()
    rehearsed = Rehearsal(person=office.boris.person, public=office.boris.public, at=office.site.clock.at)
    with pytest.raises(SignatureNeeded) as needed:
        office.holding.approve_release(file.id, rehearsed, GRACE)
    assert needed.value.statement["document"] == hashlib.sha256(DOCUMENT).hexdigest()
    signed = Presigned(
        person=office.boris.person, public=office.boris.public, at=office.site.clock.at,
        statement=needed.value.statement, signed=office.boris.sign(needed.value.statement),
    )  # fmt: skip
    office.holding.cancel_release(file.id, office.amara)
    office.holding.request_release(file.id, office.amara, DOCUMENT)
    with pytest.raises(Refused, match="would be done now"):
        office.holding.approve_release(file.id, signed, GRACE)
    assert office.state(file) is HoldState.RELEASE_REQUESTED
