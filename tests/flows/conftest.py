"""A tiny library in SQLite whose every personal value is a canary, and one Prefect server for the session."""

from __future__ import annotations

import gc
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from prefect.testing.utilities import prefect_test_harness

from flows.settings import Settings, load_settings
from flows.wiring import Site

CANARY = "Xylocanary"
"""Stands in every personal value of the library."""

DUE, KEPT = 7, 3

SCHEDULE = """
version = "1"
[library]
organization = "Test Library"
custodian = "Director"
time-zone = "America/Denver"
fiscal-year-start = "07-01"
[store.ils]
kind = "database"
title = "Test database"
"""

RECORD_TYPE = """
[record-type.{name}]
title = "{name}"
description = "Rows of {name}"
authority = {{ citation = "Policy 1" }}
owner = "Circulation"
personal-data = ["name"]
trigger = "finished"
cutoff = "day"
minimum = "P30D"
disposition = "purge"
approval = "{approval}"
{cooling}
limits = {{ records = 1000 }}
effective-from = 2026-01-01
[[record-type.{name}.location]]
name = "rows"
store = "ils"
table = "{name}"
key = "id"
trigger-column = "finished"
trigger-kind = "timestamp"
time-zone = "library"
subject = "patron"
"""

TYPES = {"loans": "standing", "rooms": "standing", "fees": "two-person"}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return furnish(tmp_path, monkeypatch)


def furnish(root: Path, patch: pytest.MonkeyPatch) -> Settings:
    """A site of three record types, set up and current; its settings come from the environment, as in production."""
    parts = [
        RECORD_TYPE.format(
            name=name, approval=approval, cooling="" if approval == "standing" else 'cooling-off = "P0D"'
        )
        for name, approval in TYPES.items()
    ]
    (root / "policies.toml").write_text(SCHEDULE + "".join(parts), encoding="utf-8")
    with closing(sqlite3.connect(root / "library.db")) as connection, connection:
        for name in TYPES:
            connection.execute(
                f"create table {name} (id integer primary key not null, patron text, name text, finished timestamp)"
            )
            days = ["2026-01-05 10:00:00"] * DUE + ["2099-01-05 10:00:00"] * KEPT
            rows = [
                (number, f"{CANARY}-{number}", f"{CANARY} Person", day) for number, day in enumerate(days, 1)
            ]
            connection.executemany(f"insert into {name} values (?, ?, ?, ?)", rows)
    for setting, value in {
        "POLICIES": "policies.toml", "STATE_DIR": "state", "KEYRING": "keys", "STORES__ILS__URL": f"sqlite:///{root / 'library.db'}",
    }.items():  # fmt: skip
        patch.setenv(f"RETENTION_{setting}", value)
    patch.chdir(root)
    settings = load_settings()
    site = Site(settings)
    site.set_up()
    site.close()
    return settings


@pytest.fixture
def site(library: Settings) -> Iterator[Site]:
    site = Site(library)
    yield site
    site.close()


def left(name: str) -> int:
    """Rows left in a table of the library."""
    with closing(sqlite3.connect("library.db")) as connection:
        return int(connection.execute(f"select count(*) from {name}").fetchone()[0])


@pytest.fixture(scope="session")
def prefect_database() -> Iterator[Path]:
    """A running Prefect server; the file of its database."""
    with prefect_test_harness(server_startup_timeout=300):
        url = PREFECT_API_DATABASE_CONNECTION_URL.value()
        assert url is not None
        yield Path(str(url if isinstance(url, str) else url.get_secret_value()).split("///", 1)[1])
    swept()


def swept() -> None:
    """Let go of the sockets that Prefect's clients leave to the collector, so that no later test is blamed for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def tidy() -> Iterator[None]:
    """Sweep after the test."""
    yield
    swept()
