"""Which stores the contract suite runs on. A plain list with explicit imports: nothing is left out in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.contract.harness import HarnessFactory, Seed, StoreHarness
from tests.contract.harness_files import HARNESSES as FILES
from tests.contract.harness_rows import HARNESSES as ROWS
from tests.contract.harness_s3 import HARNESSES as S3
from tests.contract.harness_sealed import HARNESSES as SEALED
from tests.contract.harness_simulator import HARNESSES as SIMULATOR
from tests.contract.harness_sql import HARNESSES as SQL

FACTORIES: tuple[HarnessFactory, ...] = (*SIMULATOR, *SQL, *FILES, *ROWS, *SEALED, *S3)

Build = Callable[[Sequence[Seed]], StoreHarness]


@pytest.fixture(
    params=[pytest.param(factory, id=factory.label, marks=factory.marks) for factory in FACTORIES]
)
def factory(request: pytest.FixtureRequest) -> HarnessFactory:
    """Every store, one after the other."""
    chosen: HarnessFactory = request.param
    return chosen


@pytest.fixture
def build(request: pytest.FixtureRequest, factory: HarnessFactory, tmp_path: Path) -> Iterator[Build]:
    """Build a target with its store from seeds; closed at the end of the test."""
    built: list[StoreHarness] = []

    def once(seeds: Sequence[Seed]) -> StoreHarness:
        folder = tmp_path / f"target-{len(built)}"
        folder.mkdir()
        harness = factory.build(request, folder, seeds)
        built.append(harness)
        return harness

    yield once
    for harness in built:
        harness.close()
