"""The order of the transparency log: every row is one entry, written in the transaction of what it is about.

The log's files are made from these rows. So a file that was torn can be made again, and a killed run loses nothing: what
stands here and not yet in the files is appended by the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, func, insert, select

from storage.ledger import tables
from storage.ledger.connection import GENESIS, Entry, LedgerConnection, stamp, unstamp

_AT_ONCE = 256


class EntryKind(StrEnum):
    CERTIFICATE = "certificate"
    CASE_STARTED = "case-started"
    """A case was cleared; nothing of it is destroyed yet."""
    NOTHING_DESTROYED = "nothing-destroyed"
    """A case that ended without destroying anything."""
    EVENTS = "events"
    """The head of the ledger's chain of events."""
    SIGNING_KEYS = "signing-keys"
    ATTESTED = "attested"
    """A certificate of media destroyed by hand, as attested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """``subject``: id of the certificate or case, or what else it is about. ``envelope``: DSSE bytes."""

    position: int
    kind: EntryKind
    subject: str
    envelope: bytes
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last event of the chain: number and hash (hex)."""

    seq: int
    hash: str


def append(entry: Entry, kind: EntryKind, subject: str, envelope: bytes) -> int:
    """Give an envelope its place in the log, inside a transaction of the ledger. Returns the place."""
    last = entry.connection.execute(select(func.max(tables.log_entry.c.position))).scalar()
    position = 0 if last is None else int(last) + 1
    entry.connection.execute(
        insert(tables.log_entry).values(
            position=position, kind=kind.value, subject=subject, envelope=envelope, at=stamp(entry.at)
        )
    )
    return position


def append_noted(entry: Entry, kind: EntryKind, subject: str, envelope: bytes, *, actor: str) -> int:
    """`append`, with an event of its own."""
    position = append(entry, kind, subject, envelope)
    entry.record(
        "log.appended", actor=actor, subject=subject, body={"kind": kind.value, "position": position}
    )
    return position


class LogEntries:
    def __init__(self, connection: LedgerConnection) -> None:
        self._db = connection

    def append(
        self, kind: EntryKind, subject: str, envelope: bytes, *, actor: str, at: datetime
    ) -> int:  # fmt: skip
        """Append one entry that is about nothing else in the ledger. Returns its place."""
        with self._db.write(at) as entry:
            return append_noted(entry, kind, subject, envelope, actor=actor)

    def size(self) -> int:
        with self._db.read() as connection:
            last = connection.execute(select(func.max(tables.log_entry.c.position))).scalar()
        return 0 if last is None else int(last) + 1

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[LogEntry]:
        """The entries from ``start`` up to ``end``, some hundred in memory at a time."""
        position = tables.log_entry.c.position
        while end is None or start < end:
            until = start + _AT_ONCE if end is None else min(end, start + _AT_ONCE)
            query = select(tables.log_entry).where(position >= start, position < until).order_by(position)
            with self._db.read() as connection:
                rows = connection.execute(query).all()
            yield from map(_entry, rows)
            start += len(rows)
            if len(rows) < _AT_ONCE:
                return

    def find(self, subject: str, kind: EntryKind) -> LogEntry | None:
        """The last entry of a kind about a subject."""
        return self._last(tables.log_entry.c.subject == subject, kind)

    def of_kind(self, kind: EntryKind) -> list[LogEntry]:
        """All entries of a kind, oldest first. For kinds of which there are few."""
        table = tables.log_entry
        query = select(table).where(table.c.kind == kind.value).order_by(table.c.position)
        with self._db.read() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def begun(self) -> list[LogEntry]:
        """The beginnings of cases that have neither a certificate nor a record that they destroyed nothing, oldest first."""
        begun, ended = tables.log_entry.alias(), tables.log_entry.alias()
        certified = select(tables.certificate.c.id).where(tables.certificate.c.case_id == begun.c.subject)
        without = select(ended.c.position).where(
            ended.c.subject == begun.c.subject, ended.c.kind == EntryKind.NOTHING_DESTROYED.value
        )
        query = (
            select(begun)
            .where(begun.c.kind == EntryKind.CASE_STARTED.value, ~certified.exists(), ~without.exists())
            .order_by(begun.c.position)
        )
        with self._db.read() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def last(self, kind: EntryKind) -> LogEntry | None:
        return self._last(True, kind)

    def head(self) -> Head:
        """The last event now."""
        event = tables.event.c
        with self._db.read() as connection:
            row = connection.execute(
                select(event.seq, event.hash).order_by(event.seq.desc()).limit(1)
            ).first()
        return Head(seq=0, hash=GENESIS) if row is None else Head(seq=row.seq, hash=row.hash)

    def event_hash(self, seq: int) -> str | None:
        """The hash of an event; ``None`` when there is none of that number."""
        if seq == 0:
            return GENESIS
        with self._db.read() as connection:
            found = connection.execute(select(tables.event.c.hash).where(tables.event.c.seq == seq)).scalar()
        return None if found is None else str(found)

    def _last(self, condition: Any, kind: EntryKind) -> LogEntry | None:
        table = tables.log_entry
        query = (
            select(table).where(condition, table.c.kind == kind.value).order_by(table.c.position.desc()).limit(1)
        )  # fmt: skip
        with self._db.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _entry(row)


def _entry(row: Row[Any]) -> LogEntry:
    return LogEntry(
        position=row.position, kind=EntryKind(row.kind), subject=row.subject, envelope=row.envelope, at=unstamp(row.at)
    )  # fmt: skip
