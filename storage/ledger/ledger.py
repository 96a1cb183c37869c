"""The ledger as one thing: opened once, given to whoever needs it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from retention.errors import Refused
from storage.ledger import tables
from storage.ledger.accounts import Accounts
from storage.ledger.batches import Batches
from storage.ledger.cases import Cases
from storage.ledger.certificates import Certificates
from storage.ledger.connection import BUSY_SECONDS, LedgerConnection, unstamp
from storage.ledger.drafts import Drafts
from storage.ledger.exceptions import Exceptions
from storage.ledger.exports import Exports
from storage.ledger.holds import Holds
from storage.ledger.lists import Lists
from storage.ledger.log_entries import LogEntries
from storage.ledger.looks import Looks
from storage.ledger.media import Media
from storage.ledger.people import People
from storage.ledger.person_steps import PersonSteps
from storage.ledger.questions import Questions
from storage.ledger.rulings import RulingRows
from storage.ledger.sealing import Sealer

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far behind the last event a clock may be (several machines write) before nothing runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of the chain; ``body`` is canonical JSON text."""

    seq: int
    at: datetime
    kind: str
    actor: str
    subject: str
    body: str


class Ledger:
    """Its parts, each of which writes its own tables and the shared chain of events."""

    def __init__(self, url: str, sealing_key: bytes, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.connection = LedgerConnection(url, busy_seconds=busy_seconds)
        self.cases = Cases(self.connection)
        self.batches = Batches(self.connection)
        self.sealer = sealer = Sealer(sealing_key)
        self.holds = Holds(self.connection, sealer)
        self.exports = Exports(self.connection, sealer)
        self.exceptions = Exceptions(self.connection, sealer)
        self.media = Media(self.connection, sealer)
        self.people = People(self.connection)
        self.steps = PersonSteps(self.connection)
        self.rulings = RulingRows(self.connection)
        self.questions = Questions(self.connection, sealer)
        self.certificates = Certificates(self.connection)
        self.log = LogEntries(self.connection)
        self.accounts = Accounts(self.connection, sealer)
        self.drafts = Drafts(self.connection, sealer)
        self.lists = Lists(self.connection)
        self.looks = Looks(self.connection)

    def require_ready(self, at: datetime) -> None:
        """The schema is current, and the clock is not behind what is written. Raises `LedgerUnavailable` or `Refused`."""
        self.connection.require_current()
        last = self.connection.last_event_at()
        if last is not None and at < last - CLOCK_TOLERANCE:
            raise Refused(
                f"this machine's clock is behind the ledger's last event by {timedelta(seconds=round((last - at).total_seconds()))}",
                "set the clock; nothing runs until it is right",
            )

    def note(self, kind: str, *, actor: str, subject: str, body: dict[str, Any], at: datetime) -> None:
        """Append one event of its own."""
        with self.connection.write(at) as entry:
            entry.record(kind, actor=actor, subject=subject, body=body)

    def events(
        self, *, subject: str | None = None, limit: int = 200, without: Collection[str] = ()
    ) -> Sequence[Event]:
        """Newest first. ``without``: subjects to leave out."""
        query = select(tables.event).order_by(tables.event.c.seq.desc()).limit(limit)
        if subject is not None:
            query = query.where(tables.event.c.subject == subject)
        if without:
            query = query.where(tables.event.c.subject.not_in(without))
        with self.connection.read() as connection:
            return [
                Event(
                    seq=row.seq,
                    at=unstamp(row.at),
                    kind=row.kind,
                    actor=row.actor,
                    subject=row.subject,
                    body=row.body,
                )
                for row in connection.execute(query)
            ]

    def close(self) -> None:
        self.connection.close()
