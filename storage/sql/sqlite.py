"""SQLite: one writer at a time, so the batch's own write lock (BEGIN IMMEDIATE) is the fence.

Refuses to make a database: the file must be there. Leaves its journal mode alone. ``secure_delete`` overwrites what is deleted.
"""

from __future__ import annotations

import sqlite3
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa

from storage.contract import Pace
from storage.sql import catalog_sqlite
from storage.sql.engine import LOCK_SECONDS, MarkedEngine
from storage.sql.failures import StoreRefused
from storage.sql.kinds import ForeignKey, Shape
from storage.sql.sqlite_values import SqliteComparing

_POLL_BATCH, _POLL_BARRIER = 0.01, 0.001
"""Seconds between tries for the write lock. SQLite has no queue: the barrier asks ten times as often as batches do, so that
it gets in between two of them however many workers there are."""


class Sqlite(MarkedEngine):
    values: ClassVar[SqliteComparing] = SqliteComparing()
    locks_rows: ClassVar[bool] = False
    # One writer anyway, and every batch rewrites index pages: large batches.
    pace: ClassVar[Pace] = Pace(workers=1, first=5_000, most=50_000, seconds=1.0)

    def make(self) -> sa.Engine:
        if sqlite3.sqlite_version_info < (3, 35):
            raise StoreRefused("this Python's SQLite is older than 3.35", "use a newer Python")
        return sa.create_engine(
            "sqlite://", creator=self._open, hide_parameters=True, poolclass=sa.pool.QueuePool
        )

    def _open(self) -> sqlite3.Connection:
        path = self.url.database or ""
        address = f"file:{urllib.parse.quote(str(Path(path).absolute()))}?mode=rw"
        # No implicit transactions: this module begins them itself.
        return sqlite3.connect(
            address, uri=True, isolation_level=None, check_same_thread=False, timeout=LOCK_SECONDS
        )

    def connected(self, connection: Any, record: object) -> None:
        for pragma in (
            "secure_delete = ON",
            "foreign_keys = ON",
            "synchronous = FULL",
            f"busy_timeout = {LOCK_SECONDS * 1000}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    def prepare(self) -> None:
        if self._prepared:
            return
        number = sa.Column("number", sa.Integer(), primary_key=True, autoincrement=True)
        token = sa.Column("token", sa.Text(), nullable=False)
        made = sa.MetaData()
        sa.Table(self.markers.name, made, number, token, sqlite_autoincrement=True)
        with self._writing(LOCK_SECONDS, _POLL_BATCH) as connection:
            made.create_all(connection)
            connection.commit()
        self._prepared = True

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        with self.pool.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection

    def begin_batch(self) -> tuple[sa.Connection, str]:
        connection = self.pool.connect()
        try:
            self._begin(connection, LOCK_SECONDS, _POLL_BATCH)
        except BaseException:
            connection.close()
            raise
        return connection, ""

    def _begin(self, connection: sa.Connection, timeout: float, pause: float) -> None:
        """BEGIN IMMEDIATE, tried again and again: SQLite's own waiting sleeps up to 100 ms and starves the barrier."""
        deadline = time.monotonic() + timeout
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                    return
                except sa.exc.OperationalError as error:
                    if "locked" not in str(error.orig) or time.monotonic() >= deadline:
                        raise
                time.sleep(pause)
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}")

    @contextmanager
    def _writing(self, timeout: float, pause: float) -> Iterator[sa.Connection]:
        with self.pool.connect() as connection:
            self._begin(connection, timeout, pause)
            yield connection

    def pass_barrier(self, timeout: float) -> None:
        with self._writing(timeout, _POLL_BARRIER) as connection:
            connection.exec_driver_sql("ROLLBACK")

    def shape(self, connection: sa.Connection, table: str) -> Shape | None:
        return catalog_sqlite.shape(connection, table)

    def tables(self, connection: sa.Connection) -> list[str]:
        return catalog_sqlite.tables(connection)

    def foreign_keys(self, connection: sa.Connection, shape: Shape) -> list[ForeignKey]:
        return catalog_sqlite.foreign_keys(connection, shape)

    def triggers(self, connection: sa.Connection, shape: Shape, event: str) -> list[str]:
        return catalog_sqlite.triggers(connection, shape, event)
