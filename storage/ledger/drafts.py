"""Forms on their way: typed before a session ended, or waiting for a signature. Sealed, of one person, used once. No evidence."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from storage.ledger import tables
from storage.ledger.connection import LedgerConnection, stamp, unstamp
from storage.ledger.sealing import Sealer


class DraftKind(StrEnum):
    TYPED = "typed"
    """A form that came in when its session was over; shown again after signing in."""
    TO_SIGN = "to-sign"
    """An act that was rehearsed and waits for its signature."""
    CODE = "code"
    """The code of an invitation, for whoever invited: shown after they signed."""


LIVES = {
    DraftKind.TYPED: timedelta(days=1),
    DraftKind.TO_SIGN: timedelta(hours=1),
    DraftKind.CODE: timedelta(hours=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """``done_at``: when it was used; a draft is used once."""

    id: str
    person: str
    kind: DraftKind
    body: Mapping[str, Any]
    expires_at: datetime
    done_at: datetime | None


class Drafts:
    def __init__(self, connection: LedgerConnection, sealer: Sealer) -> None:
        self._db = connection
        self._sealer = sealer

    def keep(self, person: str, kind: DraftKind, body: Mapping[str, Any], at: datetime) -> str:
        """Seal and keep a form. Returns its id, which nobody can guess. What is too old goes."""
        id = secrets.token_urlsafe(24)
        table = tables.draft
        with self._db.write(at) as entry:
            entry.connection.execute(delete(table).where(table.c.expires_at < stamp(at)))
            entry.connection.execute(
                insert(table).values(
                    id=id, person=person, kind=kind.value, body=self._sealer.seal(json.dumps(body).encode(), id),
                    expires_at=stamp(at + LIVES[kind]),
                )
            )  # fmt: skip
        return id

    def get(self, id: str, person: str, kind: DraftKind, at: datetime) -> Draft | None:
        """A draft of this person's, used or not; ``None`` when it is too old, somebody else's or unknown."""
        table = tables.draft
        query = select(table).where(table.c.id == id, table.c.person == person, table.c.kind == kind.value)
        with self._db.read() as connection:
            row = connection.execute(query.where(table.c.expires_at > stamp(at))).first()
        return None if row is None else self._draft(row)

    def use(self, draft: Draft, at: datetime) -> bool:
        """Take the draft for oneself; false when somebody was faster. Whoever then fails gives it back (`give_back`)."""
        table = tables.draft
        with self._db.write(at) as entry:
            used = entry.connection.execute(
                update(table).where(table.c.id == draft.id, table.c.done_at.is_(None)).values(done_at=stamp(at))
            )  # fmt: skip
        return used.rowcount == 1

    def give_back(self, draft: Draft, at: datetime) -> None:
        table = tables.draft
        with self._db.write(at) as entry:
            entry.connection.execute(update(table).where(table.c.id == draft.id).values(done_at=None))

    def forget(self, draft: Draft, at: datetime) -> None:
        with self._db.write(at) as entry:
            entry.connection.execute(delete(tables.draft).where(tables.draft.c.id == draft.id))

    def expire(self, *, at: datetime) -> int:
        """Delete what is too old: it may name patrons. Returns how many."""
        old = tables.draft.c.expires_at <= stamp(at)
        with self._db.read() as connection:
            if connection.execute(select(tables.draft.c.id).where(old).limit(1)).first() is None:
                return 0
        with self._db.write(at) as entry:
            return entry.connection.execute(delete(tables.draft).where(old)).rowcount

    def _draft(self, row: Row[Any]) -> Draft:
        return Draft(
            id=row.id, person=row.person, kind=DraftKind(row.kind), body=json.loads(self._sealer.open(row.body, row.id)),
            expires_at=unstamp(row.expires_at), done_at=None if row.done_at is None else unstamp(row.done_at),
        )  # fmt: skip
