"""One-time codes with which a person sets their first password or passkey. Here only as digests; no evidence."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select

from retention.errors import Refused
from storage.ledger import tables
from storage.ledger.connection import LedgerConnection, stamp, unstamp

LIVES = timedelta(hours=48)
CODE_BYTES = 20


class Invitations:
    def __init__(self, connection: LedgerConnection) -> None:
        self._db = connection

    def make(self, person: str, *, actor: str, at: datetime) -> str:
        """A new code for a person; an earlier one no longer works. The only time that the code is seen."""
        code = secrets.token_urlsafe(CODE_BYTES)
        table = tables.invitation
        with self._db.write(at) as entry:
            entry.connection.execute(delete(table).where(table.c.person == person))
            entry.connection.execute(
                insert(table).values(token=_digest(code), person=person, expires_at=stamp(at + LIVES))
            )
            entry.record("person.invited", actor=actor, subject=person)
        return code

    def use(self, code: str, *, at: datetime) -> str:
        """The name of the invited person, once. Raises `Refused` for a code that is unknown, used or over."""
        table = tables.invitation
        with self._db.write(at) as entry:
            row = entry.connection.execute(select(table).where(table.c.token == _digest(code))).first()
            if row is None or unstamp(row.expires_at) <= at:
                raise Refused(
                    "this code is unknown, used or over", "ask for another: retention person invite NAME"
                )
            entry.connection.execute(delete(table).where(table.c.token == row.token))
            entry.record("person.accepted", actor=row.person, subject=row.person)
        return str(row.person)


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
