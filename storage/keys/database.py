"""Opening the key store: one writer at a time, every change counted, every removal wiped from SQLite's log.

A removed wrap must not stay in the log: ``wal_checkpoint(TRUNCATE)`` follows each transaction that removed one. A reader can
block that; then it is noted as outstanding, and no rotation goes past it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select, update

from retention.errors import KeyStoreUnavailable, Refused
from storage.database import BUSY_SECONDS, Database, Kind, stamp
from storage.keys import tables

WRITE_LOCK = 0x52_45_54_4B_45_59_53
"""Advisory lock that makes writers queue on PostgreSQL ("RETKEYS"); also the hold gate of everything sealed."""
ROTATION_LOCK = WRITE_LOCK + 1
TRUNCATE = "truncate"
KEYS = Kind(
    noun="the key store", setting="RETENTION_KEYS_URL", file="keys.db", migrations=Path(__file__).parent / "migrations",
    lock=WRITE_LOCK, error=KeyStoreUnavailable,
)  # fmt: skip


@dataclass(slots=True)
class Entry:
    """One write transaction of the key store. ``removed``: a wrap was removed in it."""

    connection: Connection
    at: datetime
    removed: bool = False
    _epoch: int = 0

    def epoch(self) -> int:
        """The store's epoch after this transaction: advanced once, by the first change of wraps in it."""
        if not self._epoch:
            self._epoch = self.next("epoch")
        return self._epoch

    def next(self, name: str) -> int:
        """Advance a counter and return its new value."""
        table = tables.counter
        value = self.connection.execute(select(table.c.value).where(table.c.name == name)).scalar()
        if value is None:
            self.connection.execute(insert(table).values(name=name, value=1))
            return 1
        self.connection.execute(update(table).where(table.c.name == name).values(value=value + 1))
        return int(value) + 1

    def record(self, kind: str, *, child: str = "", wrapper: str = "", count: int = 1) -> None:
        """Append to the log of wrap events: ids and numbers only."""
        self.connection.execute(
            insert(tables.event).values(
                at=stamp(self.at), epoch=self.epoch(), kind=kind, child=child, wrapper=wrapper, count=count
            )
        )


class KeyDatabase(Database):
    """``patience``: seconds that the truncation of the log waits for readers."""

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS, patience: float = 2.0) -> None:
        super().__init__(url, KEYS, busy_seconds=busy_seconds)
        self._patience = patience

    @contextmanager
    def write(self, at: datetime) -> Iterator[Entry]:
        """A write transaction; durable when the block ends well, and removed wraps are wiped. Raises `KeyStoreUnavailable`."""
        with self.writing() as connection:
            entry = Entry(connection, at)
            yield entry
        if entry.removed:
            self.truncate(at)

    def truncate(self, at: datetime) -> bool:
        """Write SQLite's log into the file and cut it to nothing. Whether that succeeded; if not, it is noted as outstanding."""
        if not self.sqlite:
            return True
        done = self._truncated()
        with self.reading() as connection:
            noted = connection.execute(
                select(tables.note.c.name).where(tables.note.c.name == TRUNCATE)
            ).scalar()
        if done == (noted is None):
            return done
        with self.writing() as connection:
            connection.execute(delete(tables.note).where(tables.note.c.name == TRUNCATE))
            if not done:
                connection.execute(insert(tables.note).values(name=TRUNCATE, at=stamp(at)))
        return done

    def _truncated(self) -> bool:
        deadline = time.monotonic() + self._patience
        while True:
            with self.answering(), self.engine.connect() as connection:
                raw = connection.connection.cursor()
                try:
                    raw.execute("PRAGMA busy_timeout = 50")
                    answer = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                finally:
                    raw.execute(f"PRAGMA busy_timeout = {round(self._busy_seconds * 1000)}")
            # (0, 0, 0): not blocked, and no frame is left in the log.
            if answer is not None and tuple(answer) == (0, 0, 0):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)

    def turn(self) -> AbstractContextManager[None]:
        """Only one rotation at a time, on all machines. Raises `Refused` at once when another is at work."""
        busy = Refused("another rotation of the root is at work", "wait until it has ended")
        return self.alone("rotating", ROTATION_LOCK, busy)
