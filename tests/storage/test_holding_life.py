"""Whatever people do to a hold, in whatever order: it keeps in every state but *released*, and only one way leads there."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from retention.errors import RetentionError
from retention.holds import HoldState
from retention.permissions import Role
from retention.signing import generate
from storage.hold_proof import HoldProof
from storage.ledger.ledger import Ledger
from storage.ledger.people import Person
from storage.signatures import Signatory
from tests.storage.desk import MATTER, NOW, SEALING_KEY
from tests.storage.site import Site, about

NAMES = {
    "amara": Role.CUSTODIAN,
    "boris": Role.CUSTODIAN,
    "chen": Role.CUSTODIAN,
    "dora": Role.OPERATOR,
}


@cache
def office() -> tuple[Path, dict[str, Signatory]]:
    """An empty ledger with its people, made once."""
    folder = Path(tempfile.mkdtemp(prefix="retention-holds-"))
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}", SEALING_KEY)
    ledger.connection.upgrade()
    people = {}
    for name, role in NAMES.items():
        key = generate(name)
        added = Person(
            name=name, full_name=name, title="", role=role, public_key=key.public.text, added_at=NOW
        )
        ledger.people.add(added, actor="test")
        people[name] = Signatory(person=added, key=key)
    ledger.close()
    return folder / "ledger.db", people


@dataclass
class Known:
    """What a hold's history would say if somebody had stood beside it."""

    placed_by: str
    confirmed_by: str | None = None
    requested_by: str | None = None
    approved_by: str | None = None
    documented: bool = False
    released_from: datetime | None = None
    states: list[HoldState] = field(default_factory=list)


people = st.sampled_from(sorted(NAMES))
which = st.integers(0, 2)


class Life(RuleBasedStateMachine):
    """Any person, any action, any hold, any time, stores that fail."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="retention-holds-"))
        blank, self.people = office()
        shutil.copy(blank, self.folder / "ledger.db")
        self.ledger = Ledger(f"sqlite:///{self.folder / 'ledger.db'}", SEALING_KEY)
        self.site = Site(self.ledger, self.folder)
        self.known: dict[str, Known] = {}

    def ids(self) -> list[str]:
        return sorted(self.known)

    @precondition(lambda self: len(self.known) < 3)
    @rule(by=people, down=st.booleans())
    def place(self, by: str, down: bool) -> None:
        self.site.targets["ils"].faults.unreachable = down
        before = {file.id for file in self.ledger.holds.list(released=True)}
        try:
            self.site.enforcing.place(about("p-1"), MATTER, self.people[by])
        except RetentionError:
            assert down or NAMES[by] is not Role.CUSTODIAN
        for file in self.ledger.holds.list(released=True):
            if file.id not in before:
                self.known[file.id] = Known(placed_by=by)
                assert NAMES[by] is Role.CUSTODIAN

    @precondition(lambda self: self.known)
    @rule(number=which, down=st.booleans())
    def resume(self, number: int, down: bool) -> None:
        self.site.targets["ils"].faults.unreachable = down
        self.attempt("resume", number, None)

    @precondition(lambda self: self.known)
    @rule(
        action=st.sampled_from(("confirm", "request", "request", "approve", "approve", "approve", "cancel")),
        number=which,
        by=people,
        document=st.sampled_from((b"order", b"order", b"order", b"")),
        days=st.sampled_from((7, 7, 7, 1, 0, -1)),
    )
    def act(self, action: str, number: int, by: str, document: bytes, days: int) -> None:
        self.attempt(action, number, by, document, timedelta(days=days))

    def attempt(
        self, action: str, number: int, by: str | None, document: bytes = b"", grace: timedelta = timedelta(0)
    ) -> None:
        id = self.ids()[number % len(self.known)]
        known, holding = self.known[id], self.site.holding
        before = self.ledger.holds.get(id)
        who = None if by is None else self.people[by]
        try:
            if who is None or by is None:
                self.site.enforcing.resume(id, actor="test")
            elif action == "confirm":
                holding.confirm(id, who)
                known.confirmed_by = by
                assert by != known.placed_by
            elif action == "request":
                holding.request_release(id, who, document)
                known.requested_by, known.documented = by, bool(document)
            elif action == "approve":
                after = holding.approve_release(id, who, grace)
                known.approved_by = by
                known.released_from = self.site.clock.at + grace
                assert after.grace_until is not None
                assert abs(after.grace_until - known.released_from) < timedelta(seconds=1)
                assert grace > timedelta(0)
            else:
                holding.cancel_release(id, who)
                known.requested_by = known.approved_by = known.released_from = None
                known.documented = False
        except RetentionError:
            assert self.ledger.holds.get(id) == before, "refused, and yet something was written"
        else:
            assert by is None or NAMES[by] is Role.CUSTODIAN
            assert before.state is not HoldState.RELEASED

    @rule(hours=st.sampled_from((1, 23, 24, 100, 168)))
    def time_passes(self, hours: int) -> None:
        self.site.clock.at += timedelta(hours=hours)

    @rule()
    def the_nightly_run_ends_grace_periods(self) -> None:
        now = self.site.clock.at
        for id in self.site.holding.end_grace(actor="test"):
            known = self.known[id]
            assert known.requested_by is not None
            assert known.approved_by is not None
            assert known.requested_by != known.approved_by
            assert known.documented
            assert known.released_from is not None
            assert known.released_from <= now + timedelta(seconds=1)

    @invariant()
    def a_hold_keeps_in_every_state_but_released(self) -> None:
        view = self.ledger.holds.in_force()
        keeping = {hold.id for hold in view.holds}
        assert view.epoch == self.ledger.holds.epoch()
        HoldProof(self.ledger).require_all(self.site.clock.at)
        for id, known in self.known.items():
            file = self.ledger.holds.get(id)
            assert (id in keeping) is (file.state is not HoldState.RELEASED)
            if not known.states or known.states[-1] is not file.state:
                assert HoldState.RELEASED not in known.states, "a released hold moved"
                known.states.append(file.state)
            if file.state is HoldState.RELEASED:
                assert known.states[-2:] == [HoldState.IN_GRACE, HoldState.RELEASED]
            if file.state is HoldState.ACTIVE:
                assert known.confirmed_by is not None

    def teardown(self) -> None:
        if self.known:
            assert self.ledger.connection.verify_chain() > 0
        self.ledger.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.mark.slow
def test_only_two_people_a_document_and_a_full_grace_period_release_a_hold() -> None:
    run_state_machine_as_test(Life, settings=settings(max_examples=30, stateful_step_count=25, deadline=None))
