"""The smallest size of seven benches, through the whole product. Their own assertions check that both sides destroyed the same."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bench.__main__ import run


@pytest.mark.slow
@pytest.mark.postgresql
@pytest.mark.parametrize("name", ["purge-postgresql", "plan", "files", "s3", "objects", "exports", "console"])
def test_a_bench_compares_with_its_peer_and_writes_its_numbers_down(name: str, tmp_path: Path) -> None:
    printed = io.StringIO()
    (found,) = run([name], size="tiny", pairs=1, out=tmp_path, console=Console(file=printed, width=200))
    assert found.title in printed.getvalue()
    written = json.loads((tmp_path / f"{name}.json").read_text())
    assert written["bench"] == name
    assert written["machine"]["cpus"] >= 1
    judged = [measure for measure in written["measures"] if measure["goal"] is not None]
    assert judged
    for measure in judged:
        assert measure["met"] in (True, False)
        assert [pair["ours"] > 0 for pair in measure["pairs"]] == [True]
        if measure["peer"]:  # others are held against a limit
            assert measure["ratio"] > 0
