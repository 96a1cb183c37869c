"""A ledger on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.ledger.ledger import Ledger
from tests.conftest import database_name
from tests.storage.desk import SEALING_KEY
from tests.storage.ledgers import new_database, new_ledger


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a ledger: of the one that the test asks for, else of one that does not exist yet."""
    new = "ledger" in request.fixturenames
    if request.param == "sqlite":
        path = tmp_path / "ledger.db"
        if new:
            new_ledger(path).close()
        yield f"sqlite:///{path}"
        return
    server, name = request.getfixturevalue("postgresql_server"), database_name()
    yield new_database(server, name) if new else server.create_database(name)
    server.drop_database(name)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger(ledger_url, SEALING_KEY)
    yield made
    made.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def sqlite_ledger(sqlite_url: str, tmp_path: Path) -> Iterator[Ledger]:
    """For what does not depend on the engine, at ``sqlite_url``."""
    made = new_ledger(tmp_path / "ledger.db")
    assert sqlite_url.endswith(str(tmp_path / "ledger.db"))
    yield made
    made.close()
