"""The sealing flow: everything the schedule seals, one trouble never keeping the rest, and nothing personal in Prefect's database."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flows.door import StepFailed
from flows.sealing import seal
from flows.settings import Settings
from tests.flows.conftest import CANARY, RECORD_TYPE, SCHEDULE

LONG_AGO = 1_767_600_000.0

EXPORTS = """
[store.exports]
kind = "files"
title = "Drop folder"
[record-type.exports]
title = "Exports"
description = "Files"
authority = { citation = "Policy 1" }
owner = "Systems"
personal-data = ["name"]
trigger = "exported"
cutoff = "day"
minimum = "P30D"
disposition = "crypto-shred"
approval = "standing"
limits = { records = 1000 }
effective-from = 2026-01-01
[[record-type.exports.location]]
name = "drop"
store = "exports"
path = "drop"
template = "{path}"
trigger-kind = "modified"
time-zone = "library"
subject = "unknown"
"""


@pytest.fixture
def sealing(library: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drop folder of two exports, and a table with a sealed column."""
    table = RECORD_TYPE.format(name="loans", approval="standing", cooling="")
    table = table.replace('disposition = "purge"', 'disposition = "crypto-shred"')
    table += 'sealed = ["name"]\n'
    (tmp_path / "policies.toml").write_text(SCHEDULE + EXPORTS + table, encoding="utf-8")
    drop = tmp_path / "files" / "drop"
    drop.mkdir(parents=True)
    monkeypatch.setenv("RETENTION_STORES__EXPORTS__ROOT", str(tmp_path / "files"))
    for name in (f"{CANARY}-1.csv", f"{CANARY}-2.csv"):
        (drop / name).write_text(f"{CANARY} Person")
        os.utime(drop / name, (LONG_AGO, LONG_AGO))
    return drop


def names() -> list[str]:
    with closing(sqlite3.connect("library.db")) as connection:
        return [row[0] for row in connection.execute("select name from loans")]


def test_files_and_columns_are_sealed_and_prefect_is_told_counts_only(
    sealing: Path, prefect_database: Path, tidy: None
) -> None:
    done = {one.record_type: one for one in seal()}
    assert (done["exports"].sealed, done["loans"].sealed) == (2, 10)
    assert all(path.name.endswith(".sealed") for path in sealing.iterdir())
    assert all(name.startswith("s1v.") for name in names())
    assert {one.sealed for one in seal()} == {0}
    for part in prefect_database.parent.glob(f"{prefect_database.name}*"):
        assert CANARY.encode() not in part.read_bytes()


def test_trouble_at_one_place_keeps_nothing_else_from_being_sealed(
    sealing: Path, prefect_database: Path, tidy: None
) -> None:
    sealing.parent.rename(sealing.parent.with_name("unmounted"))
    with pytest.raises(StepFailed, match="not everything could be sealed: exports/drop"):
        seal()
    assert all(name.startswith("s1v.") for name in names())
