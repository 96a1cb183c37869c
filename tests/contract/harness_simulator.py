"""The in-memory simulator in the contract suite: what the suite and the choke point's machine rest on must pass it too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from retention.condition import Compare
from retention.decide import Criteria
from retention.records import Personal, Record, Span
from retention.schedule import Disposition, TableLocation, TriggerKind
from storage.contract import Store
from tests.contract.harness import ZONE, HarnessFactory, Seed, StoreHarness, Supports, criteria_for
from tests.simulator.store import SimulatorStore
from tests.simulator.target import Target

LOCATION = TableLocation(
    name="shelf",
    store="simulator",
    zone=ZONE,
    trigger_kind=TriggerKind.TIMESTAMP,
    subject="patron",
    blocked=Compare("open", "=", True),
    table="records",
    key="id",
    trigger="finished_at",
    branch="branch",
)


class SimulatorHarness:
    """A shelf of records in memory."""

    def __init__(self, seeds: Sequence[Seed], disposition: Disposition, *, transactional: bool) -> None:
        self._target = Target(transactional=transactional)
        self._disposition = disposition
        self._place = ("contract-suite", LOCATION.name)
        self._seeds: dict[int, Seed] = {}
        self._target.known.add(self._place)
        for seed in seeds:
            self.add(seed)
        self._store = SimulatorStore(self._target)

    @property
    def store(self) -> Store:
        return self._store

    def reopen(self) -> Store:
        return SimulatorStore(self._target)

    def criteria(self, on: date) -> Criteria:
        return criteria_for(LOCATION, on, self._disposition)

    def key(self, number: int) -> str:
        return f"record {number}"

    def number(self, line: bytes) -> int:
        return int(json.loads(line)[0].removeprefix("record "))

    def exists(self, number: int) -> bool:
        item = self._target.find((self._place, self.key(number)))
        return item is not None and not item.record.done

    def change(self, number: int) -> None:
        seed = self._seeds[number]
        if self.exists(number) and seed.trigger is not None:
            self._target.put(replace(self._record(seed), trigger=seed.trigger + timedelta(days=3650)))

    def remove(self, number: int) -> None:
        self._target.remove(self._place, self.key(number))

    def restore(self, number: int) -> None:
        self._target.put(self._record(self._seeds[number]))

    def add(self, seed: Seed) -> None:
        self._seeds[seed.number] = seed
        self._target.put(self._record(seed))

    def ruin(self) -> None:
        self._target.known.clear()

    def close(self) -> None:
        """Nothing outside this process."""

    def _record(self, seed: Seed) -> Record:
        start = None if seed.trigger is None else seed.trigger - timedelta(minutes=10)
        return Record(
            record_type="contract-suite",
            store="simulator",
            location=LOCATION.name,
            key=Personal(self.key(seed.number)),
            trigger=seed.trigger,
            span=Span(start=start, end=seed.trigger),
            subject=None if seed.subject is None else Personal(seed.subject),
            camera=seed.camera,
            branch=seed.branch,
            fields={"open": seed.blocked},
        )


def _factory(disposition: Disposition, *, transactional: bool) -> HarnessFactory:
    def build(request: pytest.FixtureRequest, folder: Path, seeds: Sequence[Seed]) -> StoreHarness:
        return SimulatorHarness(seeds, disposition, transactional=transactional)

    return HarnessFactory(
        label=f"simulator-{disposition}-{'transactions' if transactional else 'one-by-one'}",
        supports=Supports(
            subjects=True,
            cameras=True,
            branches=True,
            spans=True,
            blocking=True,
            undated=True,
            transactions=transactional,
            purges=disposition is Disposition.PURGE,
        ),
        build=build,
    )


HARNESSES = (
    _factory(Disposition.PURGE, transactional=True),
    _factory(Disposition.PURGE, transactional=False),
    _factory(Disposition.ANONYMIZE, transactional=True),
)
