"""The choke point under a machine that does everything in every order: records, holds, several workers, faults, power cuts.

Hypothesis chooses what happens and after how many steps the power fails. `World` keeps the book and judges.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import storage.destroy
import storage.enforcing
import storage.planning
from retention.errors import StoreUnavailable
from retention.holds import Scope
from retention.records import Personal
from storage.ledger.cases import CaseState
from tests.reliability.world import LEASE_IS_OVER, PATIENCE, START, Worker, World
from tests.simulator.power import PowerCut
from tests.simulator.target import Commit
from tests.storage.ledgers import blank

PLACES = (("loans", "loan"), ("loans", "aged-loan"), ("requests", "request"), ("sign-ins", "sign-in"))
TYPES = ("loans", "requests", "sign-ins")
SUBJECTS = ("ada", "bela")

places = st.sampled_from(PLACES)
numbers = st.integers(1, 9)
ages = st.sampled_from((31, 31, 32, 45, 61, 75, 100, 31, 90, 30, 29, 5))
subjects = st.sampled_from((*SUBJECTS, None))
Moment = tuple[str, int]
"""A step by its name, and its so-manieth occurrence."""

STEPS = (
    "ledger.cases.open",  # 1
    "ledger.cases.acquire",
    "ledger.cases.begin_destroying",  # 3
    "store: open batch",  # 4
    "ledger.holds.in_force",
    "store: stage",  # 5
    "ledger.batches.intend",  # 6
    "store: commit",  # 7
    "store: destroy one",
    "store: destroyed",
    "store: read back",  # 8
    "ledger.batches.conclude",  # 9
    "ledger.certificates.issue",  # 10
    "ledger.cases.close",
    "spool.drop_manifests",
    "store: barrier",  # after a crash
    "store: fate",
    "store: presence",
)
"""The choke point's steps, as they show on a machine's power. The test below says when one of them is not taken any more."""

moments = st.tuples(st.sampled_from(STEPS), st.integers(1, 5))
cuts = st.one_of(st.none(), moments, moments, st.integers(1, 60))
"""Before which step, or after how many of them, the machine loses power; ``None``: it does not."""
Cut = Moment | int | None
workers = st.integers(0, 1)
picks = st.integers(0, 5)


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    """Wide and narrow: everything of a type, a store, a patron, a time."""
    kind = draw(st.sampled_from(("type", "store", "subject", "subject and time", "time", "subject and time")))
    first, last = sorted((draw(st.integers(0, 110)), draw(st.integers(0, 110))), reverse=True)
    return Scope(
        record_types=frozenset({draw(st.sampled_from(TYPES))}) if kind == "type" else frozenset(),
        stores=frozenset({draw(st.sampled_from(("ils", "kiosk")))}) if kind == "store" else frozenset(),
        subjects=frozenset({Personal(draw(st.sampled_from(SUBJECTS)))}) if "subject" in kind else frozenset(),
        since=START.replace(hour=0) - timedelta(days=first) if "time" in kind else None,
        until=START.replace(hour=0) - timedelta(days=last) if "time" in kind else None,
    )


@pytest.fixture(autouse=True)
def _one_thread_and_no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """A barrier that would have to wait gives up at once; ids come in order, so that a run can be repeated."""
    ids = count(1)
    monkeypatch.setattr(storage.planning, "new_case_id", lambda at: f"C{next(ids):09}")
    monkeypatch.setattr(storage.destroy, "BARRIER_SECONDS", PATIENCE)
    monkeypatch.setattr(storage.destroy, "PLACING_PATIENCE", 0.0)
    monkeypatch.setattr(storage.destroy, "STAGE_TRIES", 1)
    monkeypatch.setattr(storage.enforcing, "BARRIER_SECONDS", PATIENCE)


class ChokePoint(RuleBasedStateMachine):
    """Everything that can happen around the choke point."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="retention-machine-"))
        self.world = World(self._folder, blank())

    @initialize(data=st.lists(st.tuples(places, numbers, ages, subjects), min_size=12, max_size=36))
    def a_library_with_records(self, data: list[tuple[tuple[str, str], int, int, str | None]]) -> None:
        for place, number, days, subject in data:
            self.world.add(*place, number, days, subject)

    # The library's own life, and its faults.

    @rule(place=places, number=numbers, days=ages, subject=subjects, gone=st.booleans())
    def a_record_comes_or_changes_or_goes(
        self, place: tuple[str, str], number: int, days: int, subject: str | None, gone: bool
    ) -> None:
        if gone:
            self.world.remove(*place, number)
        else:
            self.world.add(*place, number, days, subject)

    @rule(minutes=st.sampled_from((2, 2, 24 * 60)))
    def time_passes(self, minutes: int) -> None:
        self.world.now += timedelta(minutes=minutes)

    @rule(
        store=st.sampled_from(("ils", "kiosk")),
        stubborn=st.frozensets(numbers.map("{:03}".format), max_size=2),
        commits=st.lists(st.sampled_from(Commit), max_size=3),
        late=st.booleans(),
        down=st.sampled_from((False, False, False, True)),
    )
    def a_store_behaves_like_this(
        self, store: str, stubborn: frozenset[str], commits: list[Commit], late: bool, down: bool
    ) -> None:
        """``late``: a commit whose sender died still arrives."""
        faults = self.world.targets[store].faults
        faults.stubborn, faults.commits, faults.late, faults.unreachable = set(stubborn), commits, late, down

    # The product.

    def do(self, index: int, action: Callable[[Worker], object], cut: Cut) -> None:
        worker = self.world.workers[index]
        if isinstance(cut, int):
            worker.power.cut_at(cut)
        elif cut is not None:
            worker.power.cut_before(*cut)
        self.world.attempt(worker, lambda: action(worker))
        self.world.remember_manifests()

    @rule(index=workers, record_type=st.sampled_from(TYPES), cut=cuts)
    def the_schedule_is_applied_to_a_record_type(self, index: int, record_type: str, cut: Cut) -> None:
        def run(worker: Worker) -> None:
            self.world.open(worker, record_type)
            self.world.remember_manifests()
            for case in self.world.ledger.cases.list(state=CaseState.STARTED, record_type=record_type):
                self.world.dispose(worker, case.id)

        self.do(index, run, cut)

    @rule(index=workers, record_type=st.sampled_from(TYPES), cut=st.one_of(st.none(), st.integers(1, 25)))
    def a_case_is_opened(self, index: int, record_type: str, cut: Cut) -> None:
        self.do(index, lambda worker: self.world.open(worker, record_type), cut)

    def open_cases(self) -> list[str]:
        return sorted(case.id for case in self.world.ledger.cases.list(state=CaseState.STARTED))

    def open_case(self, pick: int) -> str:
        """Any one of them: the count is not drawn, since it may differ from what Hypothesis saw before."""
        cases = self.open_cases()
        return cases[pick % len(cases)]

    @precondition(lambda self: self.open_cases())
    @rule(index=workers, cut=cuts, pick=picks)
    def a_case_is_worked_on(self, index: int, cut: Cut, pick: int) -> None:
        case_id = self.open_case(pick)
        self.do(index, lambda worker: self.world.dispose(worker, case_id), cut)

    @precondition(lambda self: self.open_cases())
    @rule(
        index=workers,
        moment=moments,
        cut=cuts,
        event=st.sampled_from(
            ("hold", "other worker", "other worker settles", "record changes", "record goes", "day passes")
        ),
        scope=scopes(),
        place=places,
        number=numbers,
        pick=picks,
    )
    def something_happens_while_a_case_is_worked_on(  # noqa: PLR0917  # Hypothesis gives the arguments by name
        self,
        index: int,
        moment: Moment,
        cut: Cut,
        event: str,
        scope: Scope,
        place: tuple[str, str],
        number: int,
        pick: int,
    ) -> None:
        """In the middle, at a step: the worker is held up there, long enough to lose its lease, and then goes on."""
        world = self.world
        case_id = self.open_case(pick)
        worker, other = world.workers[index], world.workers[1 - index]
        happenings: dict[str, Callable[[], object]] = {
            "hold": lambda: world.place(other, scope),
            "other worker": lambda: world.dispose(other, case_id),
            "other worker settles": other.destroyer.settle,
            "record changes": lambda: world.add(*place, number, 5, None),
            "record goes": lambda: world.remove(*place, number),
            "day passes": lambda: None,
        }

        def interrupt(name: str) -> None:
            if (name, worker.power.trace.count(name)) != moment:
                return
            world.now += timedelta(days=1) if event == "day passes" else LEASE_IS_OVER
            world.attempt(other, happenings[event])

        worker.power.interrupt = interrupt
        self.do(index, lambda one: world.dispose(one, case_id), cut)

    @rule(index=workers, cut=cuts)
    def everything_interrupted_is_settled(self, index: int, cut: Cut) -> None:
        self.do(index, lambda worker: worker.destroyer.settle(), cut)

    @rule(index=workers, scope=scopes(), cut=st.one_of(st.none(), st.integers(1, 8)))
    def a_hold_is_placed(self, index: int, scope: Scope, cut: Cut) -> None:
        self.do(index, self.world.complete_placing, None)
        self.do(index, lambda worker: self.world.place(worker, scope), cut)

    @precondition(lambda self: self.world.effective)
    @rule(index=workers, cut=st.one_of(st.none(), st.none(), st.integers(1, 12)))
    def every_hold_is_released(self, index: int, cut: Cut) -> None:
        for id in list(self.world.effective):
            self.do(index, partial(self.world.release, id=id), cut)
        self.world.now += timedelta(days=1, minutes=2)
        self.do(index, self.world.end_grace, None)

    @invariant()
    def nothing_held_or_undue_is_destroyed_and_nothing_is_claimed_that_did_not_happen(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self.world.finish()
        finally:
            self.world.close()
            shutil.rmtree(self._folder, ignore_errors=True)


def test_every_numbered_step_is_a_place_where_the_power_can_fail(tmp_path: Path) -> None:
    world = World(tmp_path, blank())
    taken: set[str] = set()
    worker = world.workers[0]
    worker.power.interrupt = taken.add
    for place in PLACES:
        for number in range(1, 5):
            world.add(*place, number, 45, None)
    world.targets["ils"].faults.commits[:] = [Commit.GOOD, Commit.UNCERTAIN]
    for record_type in TYPES:
        world.open(worker, record_type)
    world.remember_manifests()
    world.remove("sign-ins", "sign-in", 1)
    world.place(worker, Scope(record_types=frozenset({"requests"})))
    for case in world.ledger.cases.list():
        with suppress(StoreUnavailable):
            world.dispose(worker, case.id)
    world.finish()
    world.close()
    assert taken >= set(STEPS)


Happening = Callable[[World, Worker], object]
EVERYTHING = Scope(stores=frozenset({"ils", "kiosk"}))


def leaves_nothing(world: World) -> None:
    """Somebody else takes away whatever is left."""
    for record_type, location in PLACES:
        for number in range(1, 5):
            world.remove(record_type, location, number)


def takes_over(world: World, other: Worker) -> None:
    for case in world.ledger.cases.list(state=CaseState.STARTED):
        world.dispose(other, case.id)


def changes_some(world: World) -> None:
    for record_type, location in PLACES:
        for number in (1, 2, 4):
            world.add(record_type, location, number, 5, None)


MIDDLES: dict[str, Happening] = {
    "a hold on everything is placed": lambda world, other: world.place(other, EVERYTHING),
    "a hold on a patron is placed": lambda world, other: world.place(
        other, Scope(subjects=frozenset({Personal("ada")}))
    ),
    "another worker takes over": takes_over,
    "another worker settles": lambda world, other: other.destroyer.settle(),
    "records change": lambda world, other: changes_some(world),
}
"""What happens while the worker is held up at a step."""

ENDS: dict[str, Happening] = {
    "nothing": lambda world, other: None,
    "somebody else takes away the rest": lambda world, other: leaves_nothing(world),
    "a hold on everything is placed": lambda world, other: world.place(other, EVERYTHING),
}
"""What happens between a power cut and the settling."""


def one_case(folder: Path, record_type: str, *, late: bool = False) -> tuple[World, str]:
    """Four due records at each place, and one open case."""
    folder.mkdir()
    world = World(folder, blank())
    for place in PLACES:
        for number in range(1, 5):
            world.add(*place, number, 45, SUBJECTS[number % 2])
    world.targets["ils"].faults.late = late
    world.open(world.workers[0], record_type)
    world.remember_manifests()
    for worker in world.workers:
        worker.power.restore()
    return world, world.ledger.cases.list()[0].id


def steps_of(folder: Path, record_type: str) -> int:
    """How many steps an undisturbed case takes."""
    world, case_id = one_case(folder, record_type)
    world.dispose(world.workers[0], case_id)
    taken = len(world.workers[0].power.trace)
    world.finish()
    world.close()
    assert taken > 25
    return taken


STRIDE = {"loans": 6, "requests": 3, "sign-ins": 3}
"""Every so-many-th step is cut: most of them are the same again, and the state machine below cuts anywhere."""


@pytest.mark.slow
@pytest.mark.parametrize("record_type", TYPES)
@pytest.mark.parametrize("late", [False, True], ids=["lost", "late"])
@pytest.mark.parametrize("end", ENDS)
def test_the_power_may_fail_before_any_step_of_a_case(
    tmp_path: Path, record_type: str, late: bool, end: str
) -> None:
    """``late``: a commit that was under way when the sender died still arrives."""
    if late and record_type == "sign-ins":
        return  # nothing is ever under way where there are no transactions
    for step in range(1, steps_of(tmp_path / "whole", record_type) + 1, STRIDE[record_type]):
        world, case_id = one_case(tmp_path / f"{step}", record_type, late=late)
        worker, other = world.workers
        worker.power.cut_at(step)
        ended = world.attempt(worker, partial(world.dispose, worker, case_id))
        assert isinstance(ended, PowerCut)
        world.attempt(other, partial(ENDS[end], world, other))
        world.check()
        world.finish()
        world.close()


@pytest.mark.slow
@pytest.mark.parametrize("record_type", TYPES)
@pytest.mark.parametrize("middle", MIDDLES)
def test_anything_may_happen_at_any_step_of_a_case(tmp_path: Path, record_type: str, middle: str) -> None:
    """The worker is held up at the step for longer than its lease lives, and then goes on."""
    for step in range(1, steps_of(tmp_path / "whole", record_type) + 1, STRIDE[record_type]):
        world, case_id = one_case(tmp_path / f"{step}", record_type)
        worker, other = world.workers

        def interrupt(
            name: str, world: World = world, worker: Worker = worker, other: Worker = other, step: int = step
        ) -> None:
            if len(worker.power.trace) == step:
                world.now += LEASE_IS_OVER
                world.attempt(other, partial(MIDDLES[middle], world, other))

        worker.power.interrupt = interrupt
        world.attempt(worker, partial(world.dispose, worker, case_id))
        world.check()
        world.finish()
        world.close()


@pytest.mark.slow
def test_nothing_held_or_undue_is_destroyed_and_everything_destroyed_is_certified() -> None:
    run_state_machine_as_test(
        ChokePoint,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.data_too_large,
                HealthCheck.filter_too_much,
            ],
        ),
    )
