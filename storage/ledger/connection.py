"""Opening the ledger: engine, durable transactions, schema version, the chain of events.

Fail closed: an unreachable, locked, read-only or outdated ledger raises `LedgerUnavailable`, and nothing is destroyed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import rfc8785
from sqlalchemy import Connection, func, insert, select

from retention.errors import LedgerUnavailable, VerificationFailed
from storage.database import BUSY_SECONDS, Database, Kind, stamp, unstamp
from storage.ledger import tables

CHAIN_LOCK = 0x52_45_54_4C_45_44_47
"""Advisory lock that makes writers of the event chain queue on PostgreSQL ("RETLEDG")."""
GENESIS = "0" * 64
LEDGER = Kind(
    noun="the ledger", setting="RETENTION_LEDGER_URL", file="ledger.db", migrations=Path(__file__).parent / "migrations",
    lock=CHAIN_LOCK, error=LedgerUnavailable,
)  # fmt: skip


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


class LedgerConnection(Database):
    """The engine behind the ledger. ``read`` and ``write`` are the only doors."""

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS) -> None:
        super().__init__(url, LEDGER, busy_seconds=busy_seconds)

    @contextmanager
    def write(self, at: datetime) -> Iterator[Entry]:
        """A write transaction; commits durably when the block ends well. Raises `LedgerUnavailable`."""
        with self.writing() as connection:
            yield Entry(connection, at)

    def read(self) -> AbstractContextManager[Connection]:
        """A read transaction: one snapshot, however many statements. Raises `LedgerUnavailable`."""
        return self.reading()

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


__all__ = ["BUSY_SECONDS", "Entry", "LedgerConnection", "chain_hash", "stamp", "unstamp"]
