"""An empty database of each kind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storage.sql import SqlStore

BACKENDS = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgresql),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@dataclass(kw_only=True)
class Database:
    """One database: the store on it, and a way to act behind the store's back."""

    url: str
    store: SqlStore
    engine: sa.Engine

    @property
    def backend(self) -> str:
        return self.engine.url.get_backend_name()

    def run(self, *statements: str) -> None:
        """Each statement, then commit."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    def one(self, statement: str) -> Any:
        return self.rows(statement)[0][0]


def open_database(url: str) -> Database:
    options: dict[str, Any] = {"connect_args": {"timeout": 30}} if url.startswith("sqlite") else {}
    return Database(
        url=url,
        store=SqlStore("library", url),
        engine=sa.create_engine(url, poolclass=sa.pool.NullPool, **options),
    )


def address(backend: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if backend == "sqlite":
        file = folder / "library.db"
        sqlite3.connect(file).close()
        return f"sqlite:///{file}"
    url: str = request.getfixturevalue(f"{backend}_url")
    return url


@pytest.fixture(params=BACKENDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database, once of each kind."""
    opened = open_database(address(request.param, request, tmp_path))
    yield opened
    opened.store.close()
    opened.engine.dispose()


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[Database]:
    opened = open_database(postgresql_url)
    yield opened
    opened.store.close()
    opened.engine.dispose()


@pytest.fixture
def mariadb_database(mariadb_url: str) -> Iterator[Database]:
    opened = open_database(mariadb_url)
    yield opened
    opened.store.close()
    opened.engine.dispose()


@pytest.fixture
def sqlite_database(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    opened = open_database(address("sqlite", request, tmp_path))
    yield opened
    opened.store.close()
    opened.engine.dispose()
