"""Decisions on record types as they stand in the ledger: signed, never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert, select

from storage.ledger import tables
from storage.ledger.connection import LedgerConnection, stamp, unstamp


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRuling:
    """``statement``: see `retention.ruling.RulingStatement`. ``signature``: as `retention.signed.Signed.text`."""

    record_type: str
    kind: str
    until: date | None
    person: str
    statement: Mapping[str, Any]
    signature: str
    at: datetime


class RulingRows:
    def __init__(self, connection: LedgerConnection) -> None:
        self._db = connection

    def add(self, ruling: SignedRuling) -> None:
        with self._db.write(ruling.at) as entry:
            entry.connection.execute(
                insert(tables.ruling).values(
                    record_type=ruling.record_type, kind=ruling.kind, person=ruling.person,
                    until=None if ruling.until is None else ruling.until.isoformat(),
                    statement=json.dumps(ruling.statement, sort_keys=True), signature=ruling.signature, at=stamp(ruling.at),
                )
            )  # fmt: skip
            body = {"until": None if ruling.until is None else ruling.until.isoformat()}
            entry.record(f"ruling.{ruling.kind}", actor=ruling.person, subject=ruling.record_type, body=body)

    def of(self, record_type: str) -> list[SignedRuling]:
        """Oldest first."""
        query = (
            select(tables.ruling)
            .where(tables.ruling.c.record_type == record_type)
            .order_by(tables.ruling.c.id)
        )
        with self._db.read() as connection:
            return [
                SignedRuling(
                    record_type=row.record_type, kind=row.kind, person=row.person, signature=row.signature,
                    until=None if row.until is None else date.fromisoformat(row.until),
                    statement=json.loads(row.statement), at=unstamp(row.at),
                )
                for row in connection.execute(query)
            ]  # fmt: skip
