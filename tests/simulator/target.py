"""What a simulated store stands on: the records themselves, a reader–writer gate, row locks, and its ways to misbehave.

Several `tests.simulator.store.SimulatorStore` share one `Target`, as several processes share one database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial

from retention.errors import StoreUnavailable
from retention.outcomes import Fate
from retention.records import Record

Place = tuple[str, str]
"""Record type and location."""

Address = tuple[Place, str]
"""Place and key: one record."""

PATIENCE = 20.0
"""Seconds that anybody waits for a lock before the target counts as out of reach."""


class Gate:
    """A reader–writer lock. A waiting writer keeps new readers out, so that a barrier is never starved."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers = 0
        self._writing = False
        self._waiting = 0

    def take_shared(self, timeout: float = PATIENCE) -> None:
        with self._condition:
            if not self._condition.wait_for(lambda: not self._writing and not self._waiting, timeout):
                raise StoreUnavailable("the gate of the store did not open", "somebody holds it exclusively")
            self._readers += 1

    def let_go_shared(self) -> None:
        with self._condition:
            self._readers -= 1
            self._condition.notify_all()

    @contextmanager
    def exclusive(self, timeout: float) -> Iterator[None]:
        with self._condition:
            self._waiting += 1
            try:
                if not self._condition.wait_for(lambda: not self._writing and not self._readers, timeout):
                    raise StoreUnavailable("batches in flight did not end in time", "try again")
                self._writing = True
            finally:
                self._waiting -= 1
                self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._writing = False
                self._condition.notify_all()


class Commit(StrEnum):
    """What becomes of a commit."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    """It happens, but the answer is lost: `StoreUnavailable`."""
    FAILED = "failed"
    """It does not happen: `StoreUnavailable`."""


@dataclass(kw_only=True)
class Faults:
    """How the target misbehaves. ``commits``: what becomes of the next commits, in order; good ones when it runs out.

    ``stubborn``: keys that survive their destruction although the target says it was done (a soft delete that lies).
    ``unreachable``: nothing answers. ``unreadable``: read-backs get no answer, all else works. ``late``: a commit whose
    sender loses power is still under way, and arrives only when somebody passes the barrier.
    """

    commits: list[Commit] = field(default_factory=list)
    stubborn: set[str] = field(default_factory=set)
    unreachable: bool = False
    unreadable: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A record in the target. ``version`` grows with every change: a survey remembers it."""

    record: Record
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """A transaction that was sent by a machine now dead."""

    witness: str
    chosen: dict[Address, Item]
    anonymize: bool


class Target:
    """Records by place and key. ``transactional`` false behaves like a folder: item by item, nothing to ask afterwards."""

    def __init__(self, *, transactional: bool = True, patience: float = PATIENCE) -> None:
        self.transactional = transactional
        self.patience = patience
        self.faults = Faults()
        self.gate = Gate()
        self.items: dict[Place, dict[str, Item]] = {}
        self.known: set[Place] = set()
        """Places that exist. Looking for records at another is an error, not an empty answer."""
        self._condition = threading.Condition(threading.RLock())
        self._locked: set[Address] = set()
        self._versions = 0
        self._transactions = 0
        self._committed: set[str] = set()
        self._in_flight: list[InFlight] = []

    # What people and programs outside do.

    def put(self, record: Record) -> None:
        """Add or replace a record, as the library's own software would."""
        place = (record.record_type, record.location)
        address = (place, record.key.reveal())
        with self._unlocked(address):
            self._versions += 1
            self.known.add(place)
            self.items.setdefault(place, {})[address[1]] = Item(record=record, version=self._versions)

    def remove(self, place: Place, key: str) -> None:
        with self._unlocked((place, key)):
            self.items.get(place, {}).pop(key, None)

    def find(self, address: Address) -> Item | None:
        with self._condition:
            return self.items.get(address[0], {}).get(address[1])

    def at(self, place: Place) -> list[Item]:
        """All records at a place, in order of their keys. Raises `StoreUnavailable` when there is no such place."""
        with self._condition:
            if place not in self.known:
                raise StoreUnavailable(
                    "the store has no such location", "check the schedule against the store"
                )
            found = self.items.get(place, {})
            return [found[key] for key in sorted(found)]

    @contextmanager
    def _unlocked(self, address: Address) -> Iterator[None]:
        """Outsiders wait for a transaction; where there is none, nothing keeps them out."""
        with self._condition:
            if not self._condition.wait_for(
                lambda: not self.transactional or address not in self._locked, self.patience
            ):
                raise TimeoutError("the record is locked by a batch")
            yield

    # What batches do.

    def begin(self) -> str:
        """A witness for a new transaction."""
        with self._condition:
            self._transactions += 1
            return f"transaction-{self._transactions}" if self.transactional else ""

    def lock(self, addresses: Iterable[Address]) -> None:
        """Take the row locks, in one order for everybody. Raises `StoreUnavailable` when another batch keeps one too long."""
        taken: list[Address] = []
        with self._condition:
            for address in sorted(set(addresses)):
                if not self._condition.wait_for(partial(self._is_free, address), self.patience):
                    self.unlock(taken)
                    raise StoreUnavailable("records are locked by another batch", "try again")
                self._locked.add(address)
                taken.append(address)

    def _is_free(self, address: Address) -> bool:
        return address not in self._locked

    def unlock(self, addresses: Iterable[Address]) -> None:
        with self._condition:
            self._locked.difference_update(addresses)
            self._condition.notify_all()

    def commit(self, witness: str, chosen: dict[Address, Item], *, anonymize: bool) -> None:
        """Apply a whole transaction: all of what is still as it was chosen."""
        with self._condition:
            for address, item in chosen.items():
                self.erase(address, item, anonymize=anonymize)
            self._committed.add(witness)

    def erase(self, address: Address, item: Item, *, anonymize: bool) -> bool:
        """Destroy one record, unless it is stubborn or another one than the one chosen. Whether it went."""
        place, key = address
        with self._condition:
            found = self.find(address)
            if found is None or found.version != item.version or key in self.faults.stubborn:
                return False
            if anonymize:
                self._versions += 1
                bare = replace(found.record, subject=None, fields={}, done=True)
                self.items[place][key] = Item(record=bare, version=self._versions)
            else:
                del self.items[place][key]
            return True

    def leave_in_flight(self, transaction: InFlight) -> None:
        """The sender is dead, its transaction is not: it keeps its locks and its share of the gate."""
        with self._condition:
            self._in_flight.append(transaction)

    def deliver(self) -> None:
        """Everything in flight arrives. The barrier would wait for it; a simulation may as well let it happen first."""
        with self._condition:
            arriving, self._in_flight = self._in_flight, []
            for transaction in arriving:
                self.commit(transaction.witness, transaction.chosen, anonymize=transaction.anonymize)
                self.unlock(transaction.chosen)
        for _ in arriving:
            self.gate.let_go_shared()

    def fate(self, witness: str) -> Fate:
        with self._condition:
            if not self.transactional:
                return Fate.NONE
            if any(transaction.witness == witness for transaction in self._in_flight):
                return Fate.UNKNOWN
            return Fate.COMMITTED if witness in self._committed else Fate.ROLLED_BACK

    def pause(self) -> None:
        """Let other threads run: what a round trip to a server does."""
        time.sleep(0)
