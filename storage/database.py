"""A database of our own (the ledger, the key store): engine, durable transactions, schema version. SQLite or PostgreSQL.

Fail closed: unreachable, locked, read-only, full or outdated raises the owner's error, in words that hold no value of any statement.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from retention.errors import RetentionError, Unavailable, UsageError

BUSY_SECONDS = 20.0
"""How long anything waits for the database while another process holds it."""


def stamp(at: datetime) -> str:
    """An aware datetime as our databases write it: text that both engines sort alike. Raises ``ValueError`` on a naive one."""
    if at.tzinfo is None:
        raise ValueError("times are aware here")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def unstamp(written: str) -> datetime:
    """Raises ``ValueError`` for what `stamp` did not write."""
    at = datetime.fromisoformat(written)
    if at.tzinfo is not UTC:
        raise ValueError("times in our databases are in UTC")
    return at


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a database is for. ``setting``: the variable with its address. ``lock``: advisory lock that makes its writers queue on
    PostgreSQL. ``error``: what is raised when it is not there."""

    noun: str
    setting: str
    file: str
    migrations: Path
    lock: int
    error: type[Unavailable]


class Database:
    """The engine behind one of our databases. `reading` and `writing` are the only doors."""

    def __init__(self, url: str, kind: Kind, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.kind = kind
        self._busy_seconds = busy_seconds
        try:
            parsed = make_url(url)
        except (SQLAlchemyError, ValueError):
            raise UsageError(f"{kind.noun}'s address is not a database URL", f"set {kind.setting}") from None
        if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
            raise UsageError(
                f"{kind.noun} lives in SQLite or PostgreSQL", f"set {kind.setting} to one of the two"
            )
        self.sqlite = parsed.get_backend_name() == "sqlite"
        named = parsed.database or ""
        if self.sqlite and (not named or ":memory:" in named):
            raise UsageError(
                f"{kind.noun} must outlive this process", f"give its file: sqlite:////path/{kind.file}"
            )
        self.path = Path(named) if self.sqlite and not named.startswith("file:") else None
        if self.sqlite:
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
    def writing(self, *, wait: float | None = None) -> Iterator[Connection]:
        """A write transaction, alone among writers; durable when the block ends well.

        ``wait``: how many seconds to queue behind other writers, instead of the usual. Raises the owner's error.
        """
        with self.answering(), self._writing(wait) as connection:
            yield connection

    @contextmanager
    def answering(self) -> Iterator[None]:
        """What the database raises in this block becomes the owner's error."""
        try:
            yield
        except SQLAlchemyError as error:
            raise self._unavailable(error) from None

    @contextmanager
    def _writing(self, wait: float | None = None) -> Iterator[Connection]:
        """On PostgreSQL every statement must see what the writer before us committed."""
        with self.engine.connect() as connection:
            connection.execution_options(retention_write=True)
            if not self.sqlite:
                connection.execution_options(isolation_level="READ COMMITTED")
            elif wait is not None:
                connection.connection.cursor().execute(f"PRAGMA busy_timeout = {round(wait * 1000)}")
            try:
                with connection.begin():
                    if not self.sqlite:
                        if wait is not None:
                            connection.execute(text(f"SET LOCAL lock_timeout = {max(1, round(wait * 1000))}"))
                        connection.execute(
                            text("SELECT pg_advisory_xact_lock(:key)"), {"key": self.kind.lock}
                        )
                    yield connection
            finally:
                if self.sqlite and wait is not None:
                    usual = round(self._busy_seconds * 1000)
                    connection.connection.cursor().execute(f"PRAGMA busy_timeout = {usual}")

    @contextmanager
    def alone(self, what: str, lock: int, busy: RetentionError, *, patience: float = 0.0) -> Iterator[None]:
        """Only one at a time does ``what``, on all machines that share this database; whoever dies lets go.

        ``lock``: advisory lock on PostgreSQL; beside SQLite's file it is a file of that name. Raises ``busy`` when it is not free
        within ``patience`` seconds, and the owner's error.
        """
        take = self._take_file(what) if self.sqlite else self._take_advisory(lock)
        with take as taken:
            deadline = time.monotonic() + patience
            while not taken():
                if time.monotonic() > deadline:
                    raise busy
                time.sleep(0.02)
            yield

    @contextmanager
    def _take_file(self, what: str) -> Iterator[Callable[[], bool]]:
        with self.reading() as connection:
            path = connection.execute(
                text("SELECT file FROM pragma_database_list WHERE name = 'main'")
            ).scalar()
        try:
            descriptor = os.open(f"{path}.{what}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self.kind.error(
                f"the folder of {self.kind.noun} cannot be written: {os.strerror(error.errno or 0)}",
                "give this user the right to it",
            ) from None

        def take() -> bool:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        try:
            yield take
        finally:
            os.close(descriptor)

    @contextmanager
    def _take_advisory(self, lock: int) -> Iterator[Callable[[], bool]]:
        """Of the session: it lasts until it is let go, or until the connection does not exist any more."""
        key, held = {"key": lock}, False
        with self.answering(), self.engine.connect() as connection:

            def take() -> bool:
                nonlocal held
                held = bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar())
                connection.commit()
                return held

            try:
                yield take
            finally:
                if held:
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
                    connection.commit()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction: one snapshot, however many statements. Raises the owner's error."""
        with self.answering(), self.engine.connect() as connection:
            if not self.sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def _unavailable(self, error: SQLAlchemyError) -> Unavailable:
        """What happened, in words that hold no value of any statement: the database's own text is never passed on."""
        noun, raised = self.kind.noun, self.kind.error
        cause = getattr(error, "orig", None)
        told, state = str(cause or error), getattr(cause, "sqlstate", None)
        if "no such table" in told or state == "42P01":
            return raised(f"{noun} has no tables yet", "run: retention db upgrade")
        if "locked" in told or state == "55P03":
            return raised(
                f"{noun} stayed locked for {self._busy_seconds:g} seconds",
                "another process holds it; try again",
            )
        if "readonly" in told or state in {"25006", "42501"}:
            return raised(f"{noun} is read-only", "give this user the right to write to it")
        if "is full" in told or state == "53100":
            return raised(f"the disk of {noun} is full", "make room and run it again: nothing was lost")
        if "too few different people" in told:
            return raised(
                f"{noun} refused to let a case begin that too few different people have approved",
                "see: retention case show CASE",
            )
        if "append-only" in told or "frozen" in told:
            return raised(f"{noun} refused a change to evidence", "evidence is never changed")
        if isinstance(error, IntegrityError):
            return raised(f"{noun} refused an entry that does not fit what it has", "see: retention doctor")
        return raised(f"{noun} does not answer ({type(error).__name__})", "see: retention doctor")

    def upgrade(self) -> str:
        """Bring the schema to this version, keeping everything. Returns the revision. Raises the owner's error."""
        if self.path is not None:
            self._make_private(self.path)
        script = _alembic(self.kind.migrations)
        try:
            with self._writing() as connection:
                script.attributes["connection"] = connection
                command.upgrade(script, "head")
        except SQLAlchemyError as error:
            raise self._unavailable(error) from None
        except CommandError:
            raise self.kind.error(
                f"{self.kind.noun} is at a revision that this version does not know",
                "it was written by a newer version: install that one",
            ) from None
        return self.head()

    def head(self) -> str:
        """The schema revision this version of the product needs."""
        return _scripts(self.kind.migrations).get_current_head() or ""

    def require_current(self) -> None:
        """Raises the owner's error unless the schema is of this version."""
        if self.path is not None and not self.path.exists():
            raise self.kind.error(f"there is no {self._bare} yet", "run: retention db upgrade")
        with self.reading() as connection:
            current = ", ".join(MigrationContext.configure(connection).get_current_heads())
        if current != self.head():
            known = {script.revision for script in _scripts(self.kind.migrations).walk_revisions()}
            raise self.kind.error(
                f"{self.kind.noun} is at revision {current or 'none'}, this version needs {self.head()}",
                "run: retention db upgrade"
                if not current or current in known
                else "it was written by a newer version: install that one",
            )

    def close(self) -> None:
        self.engine.dispose()

    @property
    def _bare(self) -> str:
        return self.kind.noun.removeprefix("the ")

    def _make_private(self, path: Path) -> None:
        """Make the file before SQLite does: SQLite gives its log files the rights that the file has."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)
        except OSError as error:
            raise self.kind.error(
                f"{self.kind.noun} cannot be made: {os.strerror(error.errno or 0)}",
                "give this user the right to its folder",
            ) from None


def _alembic(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations))
    return config


@lru_cache(maxsize=4)
def _scripts(migrations: Path) -> ScriptDirectory:
    """Read once: they do not change while a process runs, and reading them takes longer than asking the database."""
    return ScriptDirectory.from_config(_alembic(migrations))


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    # temp_store: nothing a statement sorts or keeps aside may reach a temporary file.
    settings = (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        "temp_store=MEMORY",
    )
    for pragma in settings:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _set_up_postgresql(busy_seconds: float, connection: Any, _record: object) -> None:
    """Wait for locks only so long, and hold a commit for done when it is on disk, whatever the server's defaults are."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {max(1, round(busy_seconds * 1000))}")
        cursor.execute("SET synchronous_commit = on")
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("retention_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
