"""Certificates in the ledger: signed envelopes, append-only. A later state of the same case is a new row.

Those of media destroyed by hand stand with their lot and in the log's order, and in no case: they are listed and found among the
others, by the id of the lot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, insert, or_, select

from retention.errors import UsageError
from retention.facts import State
from storage.ledger import tables
from storage.ledger.cases import CaseState, end_case
from storage.ledger.connection import LedgerConnection, stamp, unstamp
from storage.ledger.log_entries import EntryKind, append


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """``case_id``: of the case, or the lot of media. ``envelope``: DSSE bytes. ``leaves_digest``: SHA-256 (hex) of the leaf file;
    ``None`` for media destroyed by hand, of which there are no leaves. ``final_from``: day it may become final."""

    id: str
    case_id: str
    state: str
    envelope: bytes
    leaves_digest: str | None
    final_from: date | None
    at: datetime

    @property
    def attested(self) -> bool:
        """Whether it rests on what people attest and not on read-backs: there is no case, and nothing follows it."""
        return self.leaves_digest is None


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
        """By certificate id, or the latest of a case by case id, or by the id of a lot. Raises `UsageError` for an unknown id."""
        query = (
            select(tables.certificate)
            .where((tables.certificate.c.id == id) | (tables.certificate.c.case_id == id))
            .order_by(*_NEWEST_FIRST)
            .limit(1)
        )
        with self._db.read() as connection:
            row = connection.execute(query).first()
            lot = connection.execute(attested_query(id, None, 1)).first() if row is None else None
        if row is not None:
            return _certificate(row)
        if lot is not None and lot.id == id:
            return _of_lot(lot)
        raise UsageError(f"there is no certificate {id}", "see: retention certificate list")

    def attested(
        self, *, text: str = "", before: tuple[datetime, str] | None = None, limit: int | None = None
    ) -> list[Certificate]:
        """Those of media destroyed by hand, newest first. ``text``: what the id begins with; ``before``: to go on behind it."""
        with self._db.read() as connection:
            return [_of_lot(row) for row in connection.execute(attested_query(text, before, limit))]

    def latest(self, *, final_by: date | None = None) -> Iterator[Certificate]:
        """The latest of each case, however many there are; none of media, which nothing follows. ``final_by``: only those that are not
        final and may become so by that day."""
        table = tables.certificate
        place = func.row_number().over(partition_by=table.c.case_id, order_by=_NEWEST_FIRST).label("place")
        each = select(table.c.id, place).subquery("each_one")
        query = select(table).join(each, each.c.id == table.c.id).where(each.c.place == 1)
        if final_by is not None:
            due = table.c.final_from <= final_by.isoformat()
            query = query.where(table.c.state != State.FINAL.value, due)
        with self._db.read() as connection:
            ids = (
                connection.execute(query.with_only_columns(table.c.id).order_by(table.c.at, table.c.id))
                .scalars()
                .all()
            )
        return map(self.get, ids)

    def list(self, *, limit: int = 1000) -> list[Certificate]:
        """Newest first."""
        query = select(tables.certificate).order_by(*_NEWEST_FIRST).limit(limit)
        with self._db.read() as connection:
            of_cases = [_certificate(row) for row in connection.execute(query)]
            of_lots = [_of_lot(row) for row in connection.execute(attested_query("", None, limit))]
        return sorted([*of_lots, *of_cases], key=lambda one: one.at, reverse=True)[:limit]


def attested_query(text: str, before: tuple[datetime, str] | None, limit: int | None) -> Select[Any]:
    """Newest first; by the primary key of the lots, which are few."""
    lot, entry = tables.media_lot.c.id, tables.log_entry.c
    query = (
        select(lot, entry.envelope, entry.at)
        .join(tables.log_entry, entry.subject == lot)
        .where(entry.kind == EntryKind.ATTESTED.value, starting(lot, text))
        .order_by(entry.at.desc(), lot.desc())
    )
    query = query if before is None else query.where(behind(entry.at, lot, before))
    return query if limit is None else query.limit(limit)


def starting(id: Any, text: str) -> Any:
    """A range, not a pattern: both engines find it by the primary key."""
    return and_(id >= text, id < text + "\U0010ffff")


def behind(at: Any, id: Any, before: tuple[datetime, str]) -> Any:
    """What comes after this line, where the newest come first."""
    moment, last = stamp(before[0]), before[1]
    return and_(at <= moment, or_(at < moment, id < last))


def _of_lot(row: Row[Any]) -> Certificate:
    return Certificate(
        id=row.id, case_id=row.id, state=State.FINAL.value, envelope=row.envelope, leaves_digest=None, final_from=None, at=unstamp(row.at),
    )  # fmt: skip


def _certificate(row: Row[Any]) -> Certificate:
    return Certificate(
        id=row.id, case_id=row.case_id, state=row.state, envelope=row.envelope, leaves_digest=row.leaves_digest,
        final_from=None if row.final_from is None else date.fromisoformat(row.final_from), at=unstamp(row.at),
    )  # fmt: skip
