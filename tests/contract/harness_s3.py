"""Buckets in the contract suite: footage whose keys name its time, with and without versioning, on moto and on LocalStack.

A bucket's own time of an object is the moment of its upload and cannot be set, so the suite's triggers are all in the keys and the
uploads are late by the schedule's leave. Triggers from upload times: `tests.storage.s3.test_exports`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from retention.decide import Criteria
from retention.schedule import Camera, TreeLocation, TriggerKind
from storage.contract import Store
from storage.s3.store import S3Store
from tests.contract.harness import CAMERAS, ZONE, HarnessFactory, Seed, StoreHarness, Supports, criteria_for
from tests.contract.harness_files import NOW, footage
from tests.storage.s3.buckets import Bucket

FOOTAGE = TreeLocation(
    name="archive",
    store="bucket",
    zone=ZONE,
    trigger_kind=TriggerKind.NAME,
    subject="unknown",
    path="cameras/archive",
    template="{camera}/{Y}-{m}-{d}/{H}{M}{S}-{eH}{eM}{eS}_{event}.mp4",
    max_length=10.0,
    upload_within=100 * 365 * 86_400.0,
    cameras={name: Camera(branch=branch) for name, branch in CAMERAS.items()},
)


class S3Harness:
    """A bucket with one location in it. Odd records have a history: an older version, or one behind a delete marker."""

    def __init__(self, bucket: Bucket, folder: Path, seeds: Sequence[Seed]) -> None:
        self._bucket = bucket
        self._folder = folder
        self._seeds: dict[int, Seed] = {}
        self._stores: list[S3Store] = []
        self._ruined = False
        for seed in seeds:
            self.add(seed)
        self._store = self._open()

    def _open(self) -> S3Store:
        store = S3Store(
            FOOTAGE.store, self._bucket.address, state=self._folder, now=lambda: datetime.now(UTC), in_flight=0.5
        )  # fmt: skip
        self._stores.append(store)
        return store

    @property
    def store(self) -> Store:
        return self._store

    def reopen(self) -> Store:
        return self._open()

    def criteria(self, on: date) -> Criteria:
        return criteria_for(FOOTAGE, on)

    def key(self, number: int) -> str:
        unknown = Seed(number=number, trigger=NOW, camera="stacks")
        return f"{footage(self._seeds.get(number, unknown))}.mp4"

    def _full(self, number: int) -> str:
        return f"{FOOTAGE.path}/{self.key(number)}"

    def number(self, line: bytes) -> int:
        found = re.search(r"73\d{5}", str(json.loads(line)[0]))
        assert found is not None
        return int(found[0])

    def exists(self, number: int) -> bool:
        return not self._ruined and self._bucket.holds(self._full(number))

    def change(self, number: int) -> None:
        if self.exists(number):
            self._bucket.put(self._full(number), b"replaced, and longer")

    def remove(self, number: int) -> None:
        self._bucket.wipe(self._full(number))

    def restore(self, number: int) -> None:
        self.add(self._seeds[number])

    def add(self, seed: Seed) -> None:
        self._seeds[seed.number] = seed
        key = self._full(seed.number)
        self._bucket.put(key, b"first")
        if seed.number % 3 == 0:
            self._bucket.put(key, b"second")
        if self._bucket.versioned and seed.number % 4 == 0:
            self._bucket.hide(key)

    def ruin(self) -> None:
        self._bucket.drop()
        self._ruined = True

    def close(self) -> None:
        for store in self._stores:
            store.close()


def _factory(label: str, server: str, *, versioned: bool | str) -> HarnessFactory:
    def build(request: pytest.FixtureRequest, folder: Path, seeds: Sequence[Seed]) -> StoreHarness:
        bucket = Bucket(request.getfixturevalue(server), versioned=versioned, prefix="library/")
        return S3Harness(bucket, folder, seeds)

    supports = Supports(cameras=True, branches=True, spans=True)
    return HarnessFactory(label=label, supports=supports, build=build)


HARNESSES: tuple[HarnessFactory, ...] = (
    _factory("s3-moto", "moto_endpoint", versioned=False),
    _factory("s3-localstack", "localstack_endpoint", versioned="locked"),
)
