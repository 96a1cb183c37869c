"""`SimulatorStore`: the store contract in memory, honest by default, and failing on demand.

It decides nothing itself: every choice is `retention.decide.decide`, so that what the choke point does with it can be
checked against that one function.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime

from retention import coverage, dates
from retention.decide import CANNOT_DECIDE, Criteria, Due, Keep, KeepReason, decide
from retention.errors import StoreUnavailable, VerificationFailed
from retention.holds import Hold
from retention.outcomes import Fate, Presence
from retention.records import Record
from retention.schedule import Disposition
from storage.contract import Claim, Finding, Lines, Pace, Staged, Survey
from tests.simulator.power import Power, PowerCut
from tests.simulator.target import Address, Commit, InFlight, Item, Place, Target


def parse(line: bytes) -> tuple[str, int]:
    """Key and version in a manifest line. Raises `VerificationFailed`, without quoting it."""
    try:
        key, version = json.loads(line)
    except (ValueError, TypeError):
        raise VerificationFailed("a line of the manifest cannot be read", "survey again") from None
    if not isinstance(key, str) or not isinstance(version, int):
        raise VerificationFailed("a line of the manifest cannot be read", "survey again")
    return key, version


def place_of(criteria: Criteria) -> Place:
    return (criteria.record_type.id, criteria.location.name)


class SimulatorBatch:
    """One batch. ``destroy`` has its steps on the store's power, so that a cut can fall before, inside and after the commit."""

    def __init__(self, target: Target, power: Power, criteria: Criteria) -> None:
        self._target = target
        self._power = power
        self._criteria = criteria
        self._chosen: dict[Address, Item] = {}
        self._locks: set[Address] = set()
        self._holds: tuple[Hold, ...] = ()
        self._witness = ""
        self._over = False
        self.adrift = False
        """The transaction outlives its sender: whoever delivers it lets go of gate and locks."""

    @property
    def _anonymize(self) -> bool:
        return self._criteria.record_type.disposition is Disposition.ANONYMIZE

    def stage(self, lines: Lines, holds: Iterable[Hold]) -> Staged:
        self._power.step("store: stage")
        reach(self._target)
        place = place_of(self._criteria)
        self._holds = tuple(holds)
        wanted = [parse(line) for line in lines]
        self._target.at(place)
        self._target.lock([(place, key) for key, _ in wanted])
        chosen, absent = [], []
        locked = {(place, key) for key, _ in wanted}
        for index, (key, version) in enumerate(wanted):
            item = self._target.find((place, key))
            if item is None or item.record.done:
                absent.append(index)
            elif item.version == version and self._due(item) and (place, key) not in self._chosen:
                chosen.append(index)
                self._chosen[(place, key)] = item
        self._locks = set(self._chosen)
        self._target.unlock(locked - self._locks)
        self._witness = self._target.begin()
        return Staged(chosen=tuple(chosen), absent=tuple(absent), witness=self._witness)

    def _due(self, item: Item) -> bool:
        return isinstance(decide(item.record, self._criteria, self._holds), Due)

    def destroy(self) -> None:
        if self._over:
            raise StoreUnavailable("the batch is over", "open another one")
        reach(self._target)
        self._over = True
        if self._target.transactional:
            self._commit()
            self._unlock()
        else:
            for address, item in self._chosen.items():
                self._power.step("store: destroy one")
                self._target.erase(address, item, anonymize=self._anonymize)
        self._power.step("store: destroyed")

    def _commit(self) -> None:
        fault = self._target.faults.commits.pop(0) if self._target.faults.commits else Commit.GOOD
        try:
            self._power.step("store: commit")
        except PowerCut:
            if self._target.faults.late:
                self.adrift = True
                self._target.leave_in_flight(
                    InFlight(witness=self._witness, chosen=dict(self._chosen), anonymize=self._anonymize)
                )
            raise
        if fault is not Commit.FAILED:
            self._target.commit(self._witness, self._chosen, anonymize=self._anonymize)
        if fault is not Commit.GOOD:
            raise StoreUnavailable(
                "the store did not answer the commit", "it will be settled by reading back"
            )

    def read_back(self) -> list[Presence]:
        self._power.step("store: read back")
        return [look(self._target, address) for address in self._chosen]

    def let_go(self) -> None:
        """The end of the batch, or of its machine: locks go with the connection."""
        if not self.adrift:
            self._unlock()
            self._target.gate.let_go_shared()

    def _unlock(self) -> None:
        """Once: after that, others may have the same locks."""
        self._target.unlock(self._locks)
        self._locks = set()


def reach(target: Target) -> None:
    """Raises `StoreUnavailable` when nothing answers."""
    target.pause()
    if target.faults.unreachable:
        raise StoreUnavailable("the store does not answer", "see whether it runs")


def look(target: Target, address: Address) -> Presence:
    """What is really there, now."""
    if target.faults.unreachable or target.faults.unreadable or address[0] not in target.known:
        return Presence.UNREADABLE
    item = target.find(address)
    return Presence.ABSENT if item is None or item.record.done else Presence.PRESENT


class SimulatorStore:
    """A store on a shared target. Each object is another worker; give each its own `Power` to kill it alone."""

    sealed: None = None

    def __init__(
        self, target: Target, *, name: str = "simulator", power: Power | None = None, pace: Pace | None = None
    ) -> None:
        self.target = target
        self.power = Power() if power is None else power
        self._name = name
        self._pace = Pace() if pace is None else pace

    @property
    def name(self) -> str:
        return self._name

    def check(self, criteria: Criteria) -> list[Finding]:
        reach(self.target)
        if place_of(criteria) in self.target.known:
            return []
        return [Finding(location=criteria.location.name, message="the location does not exist", fatal=True)]

    def inventory(self) -> Iterator[coverage.Place]:
        reach(self.target)
        for place in sorted(self.target.known):
            yield coverage.Place(kind="table", names=(place[1],))

    def survey(
        self,
        criteria: Criteria,
        holds: Sequence[Hold],
        write: Callable[[bytes], object],
        progress: Callable[[int], None],
    ) -> Survey:
        self.power.step("store: survey")
        reach(self.target)
        found = Survey(location=criteria.location.name)
        for item in self.target.at(place_of(criteria)):
            found.population += 1
            progress(found.population)
            decision = decide(item.record, criteria, holds)
            if isinstance(decision, Keep):
                found.kept[decision.primary] += 1
                if decision.primary is KeepReason.HELD and item.record.trigger is not None:
                    found.note_held(_day(item.record.trigger, criteria))
                continue
            write(json.dumps([item.record.key.reveal(), item.version]).encode() + b"\n")
            self._count(found, item.record, decision, criteria)
        return found

    def _count(self, found: Survey, record: Record, decision: Due, criteria: Criteria) -> None:
        assert record.trigger is not None
        found.due += 1
        day = _day(record.trigger, criteria)
        found.note_due(day)
        found.spread[record.branch, day.year] += 1
        found.past_maximum += decision.days_past_maximum(criteria.on) > 0

    def read(self, criteria: Criteria, key: str) -> Record | None:
        reach(self.target)
        self.target.at(place_of(criteria))
        item = self.target.find((place_of(criteria), key))
        return None if item is None else item.record

    def cannot_decide(
        self, criteria: Criteria, holds: Sequence[Hold], limit: int
    ) -> Iterator[tuple[str, KeepReason, str]]:
        reach(self.target)
        for item in self.target.at(place_of(criteria)):
            if limit <= 0:
                return
            decision = decide(item.record, criteria, holds)
            if isinstance(decision, Keep) and decision.primary in CANNOT_DECIDE:
                limit -= 1
                yield item.record.key.reveal(), decision.primary, " ".join(decision.detail)

    def reference(self, line: bytes) -> str:
        return parse(line)[0]

    @contextmanager
    def batch(self, criteria: Criteria) -> Iterator[SimulatorBatch]:
        self.power.step("store: open batch")
        reach(self.target)
        self.target.gate.take_shared(self.target.patience)
        batch = SimulatorBatch(self.target, self.power, criteria)
        try:
            yield batch
        finally:
            batch.let_go()

    def barrier(self, timeout: float) -> None:
        self.power.step("store: barrier")
        reach(self.target)
        self.target.deliver()
        with self.target.gate.exclusive(timeout):
            self.target.pause()

    def preserve(self, criteria: Criteria, holds: Sequence[Hold]) -> int:
        return 0

    def fate(self, witness: str) -> Fate:
        self.power.step("store: fate")
        reach(self.target)
        return self.target.fate(witness)

    def presence(self, criteria: Criteria, lines: Lines) -> list[Presence]:
        self.power.step("store: presence")
        return [look(self.target, (place_of(criteria), parse(line)[0])) for line in lines]

    def claim(self, criteria: Criteria) -> Claim:
        purging = criteria.record_type.disposition is Disposition.PURGE
        return Claim(
            method="none-claimed" if purging else "de-identify",
            technique="removed from memory" if purging else "personal data cleared in memory",
            verification="looked up again by key",
            not_claimed=("Nothing is said about copies of the memory.",),
        )

    @property
    def pace(self) -> Pace:
        return self._pace

    def close(self) -> None:
        """Nothing to let go of."""


def _day(trigger: date | datetime, criteria: Criteria) -> date:
    return dates.local_day(trigger, criteria.location.zone, criteria.library.zone)
