"""New ledgers, copied rather than made: running every migration takes longer than most tests.

What migrations themselves do is tested on ledgers that are made by them (`tests.storage.ledger.test_schema`).
"""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from storage.ledger.ledger import Ledger
from tests.servers.postgresql import PostgresqlServer
from tests.storage.desk import SEALING_KEY

TEMPLATE = "ledger_template"


@cache
def blank() -> Path:
    """A ledger on SQLite with its tables and nothing in them, made once in a process."""
    path = Path(mkdtemp(prefix="retention-blank-")) / "ledger.db"
    _migrated(f"sqlite:///{path}")
    return path


def new_ledger(path: Path) -> Ledger:
    """A new ledger on SQLite."""
    shutil.copyfile(blank(), path)
    path.chmod(0o600)
    return Ledger(f"sqlite:///{path}", SEALING_KEY)


def new_database(server: PostgresqlServer, name: str) -> str:
    """A database with a new ledger on PostgreSQL. Gives its address."""
    if not server.has(TEMPLATE):
        _migrated(server.create_database(TEMPLATE))
    return server.create_database(name, template=TEMPLATE)


def _migrated(url: str) -> None:
    ledger = Ledger(url, SEALING_KEY)
    ledger.connection.upgrade()
    ledger.close()
