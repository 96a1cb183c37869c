"""The inventory of a database: every table with its columns and references, and nothing that is no table of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from retention.coverage import Place
from tests.storage.sql.conftest import BACKENDS, Database, open_database


@pytest.fixture(params=BACKENDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = (
        f"sqlite:///{tmp_path / 'ils.db'}"
        if request.param == "sqlite"
        else str(request.getfixturevalue(f"{request.param}_url"))
    )
    with opened(url) as made:
        yield made


@contextmanager
def opened(url: str) -> Iterator[Database]:
    made = open_database(url)
    try:
        yield made
    finally:
        made.store.close()
        made.engine.dispose()


def places(database: Database) -> dict[str, Place]:
    return {place.name: place for place in database.store.inventory()}


def test_tables_are_listed_with_columns_and_what_they_refer_to(database: Database) -> None:
    database.run(
        "CREATE TABLE patron (id INTEGER PRIMARY KEY, surname VARCHAR(40))",
        "CREATE TABLE loan (id INTEGER PRIMARY KEY, patron INTEGER, FOREIGN KEY (patron) REFERENCES patron (id))",
        "CREATE VIEW late AS SELECT id FROM loan",
    )
    found = places(database)
    assert set(found) == {"patron", "loan"}
    assert found["patron"].columns == ("id", "surname")
    assert found["loan"].refers_to[0] == "patron"


def test_the_stores_own_tables_are_left_out(database: Database) -> None:
    database.run("CREATE TABLE retention_marker (number INTEGER)", "CREATE TABLE loan (id INTEGER)")
    assert set(places(database)) == {"loan"}


def test_an_empty_database_has_no_places(database: Database) -> None:
    database.run("CREATE TABLE gone (id INTEGER)", "DROP TABLE gone")
    assert places(database) == {}


@pytest.mark.postgresql
def test_schemas_are_looked_through_and_partitions_are_their_tables(postgresql_url: str) -> None:
    with opened(postgresql_url) as database:
        database.run(
            "CREATE SCHEMA action",
            "CREATE TABLE action.circulation (id int, at date) PARTITION BY RANGE (at)",
            "CREATE TABLE action.circulation_2026 PARTITION OF action.circulation FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
            "CREATE MATERIALIZED VIEW action.summary AS SELECT id FROM action.circulation",
            "CREATE TABLE loan (id int)",
        )
        found = places(database)
        assert set(found) == {"action.circulation", "action.summary", "loan"}
        assert found["loan"].names == ("loan", "public.loan")
