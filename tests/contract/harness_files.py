"""File trees in the contract suite: exports, footage, and event folders that go whole."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from retention.condition import Compare
from retention.decide import Criteria
from retention.schedule import Camera, TreeLocation, TriggerKind
from storage.contract import Store
from storage.files.store import FileStore
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

NOW = datetime(ON.year, ON.month, ON.day, 18, tzinfo=UTC)
LENGTH = timedelta(seconds=10)

EXPORTS = TreeLocation(
    name="exports",
    store="drop-folder",
    zone=ZONE,
    trigger_kind=TriggerKind.MODIFIED,
    subject="none",
    blocked=Compare("event", "=", "disputed"),
    path="out/collection-agency",
    template="{event}/patrons-{any}.csv",
)
FOOTAGE = TreeLocation(
    name="recordings",
    store="cameras",
    zone=ZONE,
    trigger_kind=TriggerKind.NAME,
    subject="unknown",
    path="",
    template="{camera}/{Y}-{m}-{d}/{H}{M}{S}-{eH}{eM}{eS}_{event}.mp4",
    cameras={name: Camera(branch=branch) for name, branch in CAMERAS.items()},
)
EVENTS = TreeLocation(
    name="events",
    store="cameras",
    zone=ZONE,
    trigger_kind=TriggerKind.NAME,
    subject="none",
    path="events",
    template="{camera}/{Y}-{m}-{d}/{H}{M}{S}-{eH}{eM}{eS}_{event}",
    unit="folder",
    cameras={name: Camera(branch=branch) for name, branch in CAMERAS.items()},
)


@dataclass(frozen=True, slots=True)
class Made:
    """How one layout puts a seed on the disk: its path below the location, and the files that are in it ("" = it is a file)."""

    location: TreeLocation
    path: Callable[[Seed], str]
    files: tuple[str, ...] = ("",)


def export(seed: Seed) -> str:
    return f"{'disputed' if seed.blocked else 'settled'}/patrons-{seed.number}.csv"


def footage(seed: Seed) -> str:
    trigger = seed.trigger or NOW
    end = trigger.astimezone(ZONE)
    start = (trigger - LENGTH).astimezone(ZONE)
    return f"{seed.camera}/{start:%Y-%m-%d}/{start:%H%M%S}-{end:%H%M%S}_{seed.number}"


class FilesHarness:
    """A root folder with one location in it."""

    def __init__(self, root: Path, made: Made, seeds: Sequence[Seed]) -> None:
        self._root = root
        self._made = made
        self._seeds: dict[int, Seed] = {}
        self._place.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            self.add(seed)
        self._store = self._open()

    def _open(self) -> FileStore:
        return FileStore(self._made.location.store, self._root, now=lambda: NOW)

    @property
    def _place(self) -> Path:
        return self._root / self._made.location.path

    def _path(self, number: int) -> Path:
        return self._place / self.key(number)

    @property
    def store(self) -> Store:
        return self._store

    def reopen(self) -> Store:
        return self._open()

    def criteria(self, on: date) -> Criteria:
        return criteria_for(self._made.location, on)

    def key(self, number: int) -> str:
        unknown = Seed(number=number, trigger=NOW, camera="stacks")
        return self._made.path(self._seeds.get(number, unknown))

    def number(self, line: bytes) -> int:
        found = re.search(r"73\d{5}", str(json.loads(line)[0]))
        assert found is not None
        return int(found[0])

    def exists(self, number: int) -> bool:
        return os.path.lexists(self._path(number))

    def change(self, number: int) -> None:
        if self.exists(number):
            self._write(self._seeds[number], "changed", timedelta(days=20))

    def remove(self, number: int) -> None:
        path = self._path(number)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def restore(self, number: int) -> None:
        self.add(self._seeds[number])

    def add(self, seed: Seed) -> None:
        self._seeds[seed.number] = seed
        self._write(seed, "", timedelta(0))

    def _write(self, seed: Seed, text: str, later: timedelta) -> None:
        assert seed.trigger is not None
        stamp = (seed.trigger + later).timestamp()
        path = self._path(seed.number)
        for name in self._made.files:
            file = path / name if name else path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{seed.number} {text}")
            os.utime(file, (stamp, stamp))
        for folder in sorted(path.rglob("*/"), reverse=True):
            os.utime(folder, (stamp, stamp))
        os.utime(path, (stamp, stamp))

    def ruin(self) -> None:
        place = self._place
        place.rename(self._root.parent / f"{self._root.name}-aside")
        place.write_text("not a folder")

    def close(self) -> None:
        self._store.close()


def _factory(label: str, supports: Supports, made: Made) -> HarnessFactory:
    def build(request: pytest.FixtureRequest, folder: Path, seeds: Sequence[Seed]) -> StoreHarness:
        return FilesHarness(folder, made, seeds)

    return HarnessFactory(label=label, supports=supports, build=build)


_OF_CAMERAS = Supports(cameras=True, branches=True, spans=True)

HARNESSES: tuple[HarnessFactory, ...] = (
    _factory("files", Supports(blocking=True), Made(EXPORTS, export)),
    _factory("footage", _OF_CAMERAS, Made(FOOTAGE, lambda seed: footage(seed) + ".mp4")),
    _factory(
        "event-folders",
        _OF_CAMERAS,
        Made(EVENTS, footage, ("00001-capture.jpg", "00002-capture.jpg", "audio/sound.aac")),
    ),
)
