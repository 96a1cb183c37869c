"""The size of batches follows what the store takes for them, and nothing else."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from retention.outcomes import Outcome
from storage.contract import Pace
from storage.ledger.batches import Batches
from tests.choke_point.workbench import Workbench
from tests.contract.harness_simulator import HARNESSES, SimulatorHarness
from tests.contract.shelf import many
from tests.simulator.store import SimulatorStore

PACE = Pace(workers=1, first=200, most=400, seconds=0.2)


def test_a_slow_ledger_does_not_shrink_batches(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "target").mkdir()
    harness = HARNESSES[0].build(request, tmp_path / "target", many(HARNESSES[0].supports, 1400))
    assert isinstance(harness, SimulatorHarness)
    bench = Workbench.around(tmp_path / "site", harness)
    name = harness.store.name
    bench.stores[name] = SimulatorStore(harness._target, name=name, pace=PACE)
    case = bench.opened()
    intend, sizes = Batches.intend, []

    def slowly(self: Batches, *arguments: Any, **options: Any) -> int:
        time.sleep(2 * PACE.seconds)
        sizes.append(arguments[1].items)
        return intend(self, *arguments, **options)

    monkeypatch.setattr(Batches, "intend", slowly)
    assert bench.destroyer.dispose(case.id).counts == {Outcome.DESTROYED: 1400}
    assert sizes[:2] == [1, PACE.first]  # the canary goes alone
    assert sizes[2] == PACE.most
    bench.close()
