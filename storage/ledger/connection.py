"""Opening the ledger: engine, durable transactions, schema version, the chain of events.

Fail closed: an unreachable, locked, read-only or outdated ledger raises `LedgerUnavailable`, and nothing is destroyed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import rfc8785
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, func, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from retention.errors import LedgerUnavailable, UsageError, VerificationFailed
from storage.ledger import tables

BUSY_SECONDS = 20.0
"""How long anything waits for the ledger while another process holds it."""
CHAIN_LOCK = 0x52_45_54_4C_45_44_47
"""Advisory lock that makes writers of the event chain queue on PostgreSQL ("RETLEDG")."""
GENESIS = "0" * 64


def stamp(at: datetime) -> str:
    """An aware datetime as the ledger writes it. Raises ``ValueError`` on a naive one."""
    if at.tzinfo is None:
        raise ValueError("ledger times are aware")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def unstamp(written: str) -> datetime:
    return datetime.strptime(written, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


@dataclass(slots=True)
class Entry:
    """One write transaction of the ledger: committed whole and durable, or not at all."""

    connection: Connection
    at: datetime

    def record(self, kind: str, *, actor: str, subject: str, body: Mapping[str, Any] | None = None) -> None:
        """Append an event to the chain. ``body`` holds opaque ids, counts and names from the schedule only."""
        last = self.connection.execute(
            select(tables.event.c.seq, tables.event.c.hash).order_by(tables.event.c.seq.desc()).limit(1)
        ).first()
        seq, previous = (1, GENESIS) if last is None else (last.seq + 1, last.hash)
        written = {"seq": seq, "at": stamp(self.at), "kind": kind, "actor": actor, "subject": subject}
        payload = json.dumps(body or {}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.connection.execute(
            insert(tables.event).values(
                **written,
                body=payload,
                previous=previous,
                hash=chain_hash(previous, {**written, "body": payload}),
            )
        )

    def next(self, name: str) -> int:
        """Advance a counter and return its new value."""
        current = self.value(name)
        table = tables.counter
        if current is None:
            self.connection.execute(insert(table).values(name=name, value=1))
            return 1
        self.connection.execute(table.update().where(table.c.name == name).values(value=current + 1))
        return current + 1

    def value(self, name: str) -> int | None:
        found = self.connection.execute(
            select(tables.counter.c.value).where(tables.counter.c.name == name)
        ).scalar()
        return None if found is None else int(found)


def chain_hash(previous: str, written: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over the previous hash and the canonical JSON (RFC 8785) of the event."""
    return hashlib.sha256(previous.encode() + rfc8785.dumps(dict(written))).hexdigest()


class LedgerConnection:
    """The engine behind the ledger. ``read`` and ``write`` are the only doors."""

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._busy_seconds = busy_seconds
        try:
            parsed = make_url(url)
        except (SQLAlchemyError, ValueError):
            raise UsageError(
                "the ledger's address is not a database URL", "set RETENTION_LEDGER_URL"
            ) from None
        if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
            raise UsageError(
                "the ledger lives in SQLite or PostgreSQL", "set RETENTION_LEDGER_URL to one of the two"
            )
        self._sqlite = parsed.get_backend_name() == "sqlite"
        named = parsed.database or ""
        if self._sqlite and (not named or ":memory:" in named):
            raise UsageError(
                "the ledger must outlive this process", "give its file: sqlite:////path/ledger.db"
            )
        self._path = Path(named) if self._sqlite and not named.startswith("file:") else None
        if self._sqlite:
            self.engine: Engine = create_engine(
                parsed.set(drivername="sqlite"),
                hide_parameters=True,
                poolclass=QueuePool,
                connect_args={"timeout": busy_seconds, "check_same_thread": False},
            )
            event.listen(self.engine, "connect", _set_up_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                hide_parameters=True,
                pool_pre_ping=True,
                connect_args={"connect_timeout": 10},
            )
            event.listen(self.engine, "connect", partial(_set_up_postgresql, busy_seconds))

    @contextmanager
    def write(self, at: datetime) -> Iterator[Entry]:
        """A write transaction; commits durably when the block ends well. Raises `LedgerUnavailable`."""
        try:
            with self._writing() as connection:
                yield Entry(connection, at)
        except SQLAlchemyError as error:
            raise self._unavailable(error) from None

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Alone among writers. On PostgreSQL every statement must see what the writer before us committed."""
        with self.engine.connect() as connection:
            connection.execution_options(retention_write=True)
            if not self._sqlite:
                connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                if not self._sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CHAIN_LOCK})
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction: one snapshot, however many statements. Raises `LedgerUnavailable`."""
        try:
            with self.engine.connect() as connection:
                if not self._sqlite:
                    connection.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    yield connection
        except SQLAlchemyError as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: SQLAlchemyError) -> LedgerUnavailable:
        """What happened, in words that hold no value of any statement: the database's own text is never passed on."""
        cause = getattr(error, "orig", None)
        told, state = str(cause or error), getattr(cause, "sqlstate", None)
        if "no such table" in told or state == "42P01":
            return LedgerUnavailable("the ledger has no tables yet", "run: retention db upgrade")
        if "locked" in told or state == "55P03":
            return LedgerUnavailable(
                f"the ledger stayed locked for {self._busy_seconds:g} seconds",
                "another process holds it; try again",
            )
        if "readonly" in told or state in {"25006", "42501"}:
            return LedgerUnavailable("the ledger is read-only", "give this user the right to write to it")
        if "append-only" in told or "frozen" in told:
            return LedgerUnavailable("the ledger refused a change to evidence", "evidence is never changed")
        if isinstance(error, IntegrityError):
            return LedgerUnavailable(
                "the ledger refused an entry that does not fit what it has", "see: retention doctor"
            )
        return LedgerUnavailable(
            f"the ledger does not answer ({type(error).__name__})", "see: retention doctor"
        )

    def upgrade(self) -> str:
        """Bring the schema to this version, keeping everything. Returns the revision. Raises `LedgerUnavailable`."""
        if self._path is not None:
            _make_private(self._path)
        script = _alembic()
        try:
            with self._writing() as connection:
                script.attributes["connection"] = connection
                command.upgrade(script, "head")
        except SQLAlchemyError as error:
            raise self._unavailable(error) from None
        except CommandError:
            raise LedgerUnavailable(
                "the ledger is at a revision that this version does not know",
                "it was written by a newer version: install that one",
            ) from None
        return self.head()

    @staticmethod
    def head() -> str:
        """The schema revision this version of the product needs."""
        return ScriptDirectory.from_config(_alembic()).get_current_head() or ""

    def require_current(self) -> None:
        """Raises `LedgerUnavailable` unless the schema is of this version."""
        if self._path is not None and not self._path.exists():
            raise LedgerUnavailable("there is no ledger yet", "run: retention db upgrade")
        with self.read() as connection:
            current = ", ".join(MigrationContext.configure(connection).get_current_heads())
        if current != self.head():
            known = {script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions()}
            raise LedgerUnavailable(
                f"the ledger is at revision {current or 'none'}, this version needs {self.head()}",
                "run: retention db upgrade"
                if not current or current in known
                else "it was written by a newer version: install that one",
            )

    def verify_chain(self) -> int:
        """Recompute the chain of events. Returns its length. Raises `VerificationFailed` with the first broken event."""
        previous, expected = GENESIS, 1
        with self.read() as connection:
            for row in connection.execute(select(tables.event).order_by(tables.event.c.seq)):
                written = {
                    "seq": row.seq,
                    "at": row.at,
                    "kind": row.kind,
                    "actor": row.actor,
                    "subject": row.subject,
                    "body": row.body,
                }
                if (
                    row.seq != expected
                    or row.previous != previous
                    or row.hash != chain_hash(previous, written)
                ):
                    raise VerificationFailed(
                        f"the chain of events breaks at event {expected}",
                        "compare with a backup of the ledger",
                    )
                previous, expected = row.hash, expected + 1
        return expected - 1

    def last_event_at(self) -> datetime | None:
        with self.read() as connection:
            at = connection.execute(select(func.max(tables.event.c.at))).scalar()
        return None if at is None else unstamp(at)

    def close(self) -> None:
        self.engine.dispose()


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _set_up_postgresql(busy_seconds: float, connection: Any, _record: object) -> None:
    """Wait for locks only so long, and hold a commit for done when it is on disk, whatever the server's defaults are."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {max(1, round(busy_seconds * 1000))}")
        cursor.execute("SET synchronous_commit = on")
    connection.commit()


def _make_private(path: Path) -> None:
    """Make the ledger's file before SQLite does: SQLite gives its log files the rights that the file has."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise LedgerUnavailable(
            f"the ledger cannot be made: {os.strerror(error.errno or 0)}",
            "give this user the right to its folder",
        ) from None


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("retention_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


__all__ = ["Entry", "LedgerConnection", "chain_hash", "stamp", "unstamp"]
