"""What a person saw of a case when they last looked, so that it can be said what changed since. No evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from storage.ledger import tables
from storage.ledger.connection import LedgerConnection, stamp, unstamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    at: datetime
    seen: Mapping[str, Any]


class Looks:
    def __init__(self, connection: LedgerConnection) -> None:
        self._db = connection

    def last(self, person: str, subject: str) -> Look | None:
        look = tables.look.c
        query = select(tables.look).where(look.person == person, look.subject == subject)
        with self._db.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else Look(at=unstamp(row.at), seen=json.loads(row.seen))

    def note(self, person: str, subject: str, seen: Mapping[str, Any], *, at: datetime) -> None:
        """In place of what was noted before."""
        look = tables.look
        with self._db.write(at) as entry:
            entry.connection.execute(delete(look).where(look.c.person == person, look.c.subject == subject))
            entry.connection.execute(
                insert(look).values(
                    person=person, subject=subject, seen=json.dumps(seen, sort_keys=True), at=stamp(at)
                )
            )
