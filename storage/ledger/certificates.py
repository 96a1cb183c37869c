"""Certificates in the ledger: signed envelopes, append-only. A later state of the same case is a new row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, func, insert, select

from retention.errors import UsageError
from storage.ledger import tables
from storage.ledger.cases import CaseState, end_case
from storage.ledger.connection import LedgerConnection, stamp, unstamp
from storage.ledger.log_entries import EntryKind, append


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """``envelope``: DSSE bytes. ``leaves_digest``: SHA-256 (hex) of the leaf file. ``final_from``: day it may become final."""

    id: str
    case_id: str
    state: str
    envelope: bytes
    leaves_digest: str
    final_from: date | None
    at: datetime


_NEWEST_FIRST = (
    tables.certificate.c.at.desc(),
    func.length(tables.certificate.c.id).desc(),
    tables.certificate.c.id.desc(),
)
"""Of two of the same moment the one with the higher number is the later state."""


class Certificates:
    def __init__(self, connection: LedgerConnection) -> None:
        self._db = connection

    def issue(
        self, certificate: Certificate, *, actor: str, closing: Mapping[str, Any] | None = None
    ) -> None:
        """Write a certificate down, and its place in the log; with ``closing``, end its case in the same transaction (step 10)."""
        with self._db.write(certificate.at) as entry:
            entry.connection.execute(
                insert(tables.certificate).values(
                    id=certificate.id, case_id=certificate.case_id, state=certificate.state, envelope=certificate.envelope,
                    leaves_digest=certificate.leaves_digest,
                    final_from=None if certificate.final_from is None else certificate.final_from.isoformat(), at=stamp(certificate.at),
                )
            )  # fmt: skip
            entry.record(
                "certificate.issued",
                actor=actor,
                subject=certificate.id,
                body={"case": certificate.case_id, "state": certificate.state},
            )
            append(entry, EntryKind.CERTIFICATE, certificate.id, certificate.envelope)
            if closing is not None:
                end_case(entry, certificate.case_id, CaseState.CLOSED, actor=actor, body=closing)

    def get(self, id: str) -> Certificate:
        """By certificate id, or the latest of a case by case id. Raises `UsageError` for an unknown id."""
        query = (
            select(tables.certificate)
            .where((tables.certificate.c.id == id) | (tables.certificate.c.case_id == id))
            .order_by(*_NEWEST_FIRST)
            .limit(1)
        )
        with self._db.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise UsageError(f"there is no certificate {id}", "see: retention certificate list")
        return _certificate(row)

    def list(self, *, limit: int = 1000) -> list[Certificate]:
        """Newest first."""
        query = select(tables.certificate).order_by(*_NEWEST_FIRST).limit(limit)
        with self._db.read() as connection:
            return [_certificate(row) for row in connection.execute(query)]


def _certificate(row: Row[Any]) -> Certificate:
    return Certificate(
        id=row.id, case_id=row.case_id, state=row.state, envelope=row.envelope, leaves_digest=row.leaves_digest,
        final_from=None if row.final_from is None else date.fromisoformat(row.final_from), at=unstamp(row.at),
    )  # fmt: skip
