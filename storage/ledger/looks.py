"""What a person saw of a case when they last looked, so that the page can say what changed. No evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from storage.ledger import tables
from storage.ledger.connection import LedgerConnection, stamp, unstamp


class Looks:
    def __init__(self, connection: LedgerConnection) -> None:
        self._db = connection

    def last(self, person: str, subject: str) -> tuple[datetime, Mapping[str, Any]] | None:
        """When they looked, and what they saw."""
        table = tables.look
        query = select(table).where(table.c.person == person, table.c.subject == subject)
        with self._db.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else (unstamp(row.at), json.loads(row.seen))

    def note(self, person: str, subject: str, seen: Mapping[str, Any], at: datetime) -> None:
        table = tables.look
        with self._db.write(at) as entry:
            entry.connection.execute(
                delete(table).where(table.c.person == person, table.c.subject == subject)
            )
            entry.connection.execute(
                insert(table).values(
                    person=person, subject=subject, seen=json.dumps(seen, sort_keys=True), at=stamp(at)
                )
            )
