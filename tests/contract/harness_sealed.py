"""Sealed locations in the contract suite: a seed is an object in a cohort of its own, in a real key store with a root in a file.

What a hold covers is known to the push-down alone, so `Supports.tells` is false: `Store.read` gives neither camera nor subject.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from retention.decide import Criteria
from retention.errors import KeyDestroyed
from retention.records import Personal, Span
from retention.schedule import Camera, Disposition, TableLocation, TreeLocation, TriggerKind
from storage.contract import Store
from storage.files.store import FileStore
from storage.keys.keystore import KeyStore
from storage.keys.roots.local import LocalRoot
from storage.keys.roots.root import RootKind, Roots
from storage.keys.values import Facts
from storage.sealed.store import SealedStore
from tests.contract.harness import (
    CAMERAS,
    ON,
    ZONE,
    HarnessFactory,
    Seed,
    StoreHarness,
    Supports,
    criteria_for,
)
from tests.simulator.store import SimulatorStore
from tests.simulator.target import Target
from tests.storage.sealed.inside import InsideWorker

NOW = datetime(ON.year, ON.month, ON.day, 18, tzinfo=UTC)
LENGTH = timedelta(minutes=10)

CLIPS = TreeLocation(
    name="clips",
    store="cameras",
    zone=ZONE,
    trigger_kind=TriggerKind.NAME,
    subject="unknown",
    path="clips",
    template="{camera}/{Y}{m}{d}-{H}{M}{S}.mp4",
    max_length=600.0,
    cameras={name: Camera(branch=branch) for name, branch in CAMERAS.items()},
)
NOTES = TableLocation(
    name="notes",
    store="ils",
    zone=ZONE,
    trigger_kind=TriggerKind.TIMESTAMP,
    subject="patron",
    table="notes",
    key="id",
    trigger="written",
    sealed=("note",),
)
_TABLES = ("holder", "wrapping_key", "wrap", "sealed_object")


class SealedHarness:
    def __init__(self, folder: Path, location: TreeLocation | TableLocation) -> None:
        self._folder = folder
        self._location = location
        self._ids: dict[int, str] = {}
        self._cohorts: dict[str, int] = {}
        self._seeds: dict[int, Seed] = {}
        self._saved: dict[int, dict[str, list[tuple[object, ...]]]] = {}
        self._opened: list[KeyStore] = []
        (folder / "files" / "clips").mkdir(parents=True, exist_ok=True)
        (folder / "files" / "mounted").touch()
        self._keys = self._key_store()
        if not (folder / "roots").exists():
            self._keys.upgrade(at=NOW)
        self._store = self._wrapped(self._keys)

    def copied(self, folder: Path) -> SealedHarness:
        """The same target again, in another folder."""
        self.close()
        shutil.copytree(self._folder, folder, dirs_exist_ok=True)
        other = SealedHarness(folder, self._location)
        other._ids, other._cohorts = dict(self._ids), dict(self._cohorts)
        other._seeds, other._saved = dict(self._seeds), dict(self._saved)
        return other

    def _key_store(self) -> KeyStore:
        roots = Roots(chosen=RootKind.LOCAL, known={RootKind.LOCAL: LocalRoot(self._folder / "roots")})
        keys = KeyStore(f"sqlite:///{self._folder / 'keys.db'}", roots, backups=self._folder / "backups")
        self._opened.append(keys)
        return keys

    def _wrapped(self, keys: KeyStore) -> SealedStore:
        inner: Store = (
            FileStore(self._location.store, self._folder / "files", now=lambda: NOW)
            if isinstance(self._location, TreeLocation)
            else SimulatorStore(self._simulated(), name=self._location.store)
        )
        return SealedStore(
            inner, keys, worker=InsideWorker(keys), remover=inner if isinstance(inner, FileStore) else None, remembered=lambda: 0,
            now=lambda: NOW,
        )  # fmt: skip

    def _simulated(self) -> Target:
        target = Target(transactional=True)
        target.known.add(("contract-suite", self._location.name))
        return target

    @property
    def store(self) -> Store:
        return self._store

    def reopen(self) -> Store:
        return self._wrapped(self._key_store())

    def criteria(self, on: date) -> Criteria:
        return criteria_for(self._location, on, Disposition.CRYPTO_SHRED)

    def key(self, number: int) -> str:
        return self._ids.get(number, f"{number:016x}")

    def number(self, line: bytes) -> int:
        return self._cohorts[json.loads(line)[1]]

    def exists(self, number: int) -> bool:
        try:
            self._keys.key_of(self._ids[number]).wipe()
        except KeyDestroyed:
            return False
        return True

    def change(self, number: int) -> None:
        """Its cohort grows by an object that is not due."""
        seed = self._seeds[number]
        if self.exists(number) and seed.trigger is not None:
            self._seal(replace(seed, trigger=seed.trigger + timedelta(days=3650)))

    def remove(self, number: int) -> None:
        item = self._keys.object(self._ids[number])
        if item.cohort is not None and self.exists(number):
            with self._keys.gate(at=NOW) as writing:
                writing.destroy([item.cohort], witness=f"another's {number}")
                writing.commit()

    def restore(self, number: int) -> None:
        """As a backup would bring it back: what forbids that to everybody else is set aside meanwhile."""
        with closing(sqlite3.connect(self._folder / "keys.db", timeout=20)) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            guards = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall()
            for name, _ in guards:
                connection.execute(f"DROP TRIGGER {name}")
            for table, rows in self._saved[number].items():
                for row in rows:
                    marks = ", ".join("?" * len(row))
                    connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)
            for _, guard in guards:
                connection.execute(guard)

    def add(self, seed: Seed) -> None:
        self._seeds[seed.number] = seed
        id = self._seal(seed)
        cohort = self._keys.object(id).cohort
        assert cohort is not None
        self._ids[seed.number], self._cohorts[cohort] = id, seed.number
        self._saved[seed.number] = self._rows(id, cohort)

    def _seal(self, seed: Seed) -> str:
        assert seed.trigger is not None
        facts = Facts(
            record_type="contract-suite", location=self._location.name, store=self._location.store, trigger=seed.trigger,
            span=Span(start=seed.trigger - LENGTH, end=seed.trigger),
            subject=None if seed.subject is None else Personal(seed.subject), camera=seed.camera, branch=seed.branch, size=1000,
        )  # fmt: skip
        new = self._keys.begin_sealing(facts, period=str(seed.number), at=NOW)
        new.key.wipe()
        self._keys.finish_sealing(new.id, sealed_size=1016, digest="0" * 64, at=NOW)
        return new.id

    def _rows(self, id: str, cohort: str) -> dict[str, list[tuple[object, ...]]]:
        with closing(sqlite3.connect(self._folder / "keys.db", timeout=20)) as connection:
            (kid,) = connection.execute("SELECT kid FROM sealed_object WHERE id = ?", (id,)).fetchone()
            (wrapper,) = connection.execute("SELECT kid FROM holder WHERE id = ?", (cohort,)).fetchone()
            return {
                "holder": connection.execute("SELECT * FROM holder WHERE id = ?", (cohort,)).fetchall(),
                "wrapping_key": connection.execute("SELECT * FROM wrapping_key WHERE kid = ?", (wrapper,)).fetchall(),
                "wrap": connection.execute("SELECT * FROM wrap WHERE child IN (?, ?)", (kid, wrapper)).fetchall(),
            }  # fmt: skip

    def rotate(self, at: datetime) -> None:
        """What a run does after its cases."""
        self._keys.rotate(at=at)

    def ruin(self) -> None:
        with closing(sqlite3.connect(self._folder / "keys.db", timeout=20)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            for table in _TABLES:
                connection.execute(f"DROP TABLE IF EXISTS {table}")

    def close(self) -> None:
        for keys in self._opened:
            keys.close()


_TEMPLATES: dict[tuple[str, tuple[Seed, ...]], SealedHarness] = {}
"""Sealing is durable, hence slow: each shelf of seeds is made once and copied."""


def _factory(label: str, location: TreeLocation | TableLocation, supports: Supports) -> HarnessFactory:
    def build(request: pytest.FixtureRequest, folder: Path, seeds: Sequence[Seed]) -> StoreHarness:
        known = (location.name, tuple(seeds))
        if known not in _TEMPLATES:
            made = SealedHarness(request.getfixturevalue("tmp_path_factory").mktemp("sealed"), location)
            for seed in seeds:
                made.add(seed)
            _TEMPLATES[known] = made
        return _TEMPLATES[known].copied(folder)

    return HarnessFactory(label=label, supports=supports, build=build)


HARNESSES: tuple[HarnessFactory, ...] = (
    _factory(
        "sealed-clips",
        CLIPS,
        Supports(cameras=True, branches=True, spans=True, transactions=True, tells=False),
    ),
    _factory("sealed-notes", NOTES, Supports(subjects=True, spans=True, transactions=True, tells=False)),
)
