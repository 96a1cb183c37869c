"""Lists for pages: one query each, by an index, a page at a time, however long the ledger has grown. Writes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import Select, select

from retention.envelope import read
from retention.schedule import ApprovalKind
from storage.ledger import tables
from storage.ledger.cases import CaseState
from storage.ledger.certificates import Certificate, Certificates, behind, starting
from storage.ledger.connection import LedgerConnection, unstamp

PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLine:
    id: str
    record_type: str
    on: date
    items: int
    records: int
    approval_kind: ApprovalKind
    opened_at: datetime
    state: CaseState
    destroying_since: datetime | None
    closed_at: datetime | None
    brakes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateLine:
    """``record_types``: one, but for media destroyed by hand, which may hold several. ``attested``: whether it is of those."""

    id: str
    case_id: str
    record_types: tuple[str, ...]
    state: str
    attested: bool
    final_from: date | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """``body``: as it was written; not everybody may see everything in it."""

    seq: int
    at: datetime
    kind: str
    actor: str
    subject: str
    body: Mapping[str, Any]


class Lists:
    """``before``: the last line of the page before, to go on behind it."""

    def __init__(self, connection: LedgerConnection) -> None:
        self._db = connection

    def cases(
        self, *, state: CaseState | None = None, record_type: str | None = None,
        before: tuple[datetime, str] | None = None, limit: int = PAGE,
    ) -> list[CaseLine]:  # fmt: skip
        """Newest first."""
        return [_case(row) for row in self._rows(cases_query(state, record_type, before, limit))]

    def certificates(
        self, *, record_type: str | None = None, text: str = "", before: tuple[datetime, str] | None = None, limit: int = PAGE
    ) -> list[CertificateLine]:  # fmt: skip
        """Newest first. ``text``: what the id of the certificate, and so of its case, begins with."""
        found = [
            _certificate(row) for row in self._rows(certificates_query(record_type, text, before, limit))
        ]
        of_lots = Certificates(self._db).attested(
            text=text, before=before, limit=limit if record_type is None else None
        )
        found += [line for line in map(_of_lot, of_lots) if record_type in (None, *line.record_types)]
        return sorted(found, key=lambda line: (line.at, line.id), reverse=True)[:limit]

    def of_case(self, case_id: str) -> list[CertificateLine]:
        """Every certificate of a case, newest first."""
        return self.certificates(text=case_id, limit=1000)

    def events(
        self, *, subject: str | None = None, before: int | None = None, limit: int = PAGE
    ) -> list[EventLine]:
        """Newest first; ``before``: an event's number."""
        return [
            EventLine(
                seq=row.seq, at=unstamp(row.at), kind=row.kind, actor=row.actor, subject=row.subject, body=json.loads(row.body)
            )
            for row in self._rows(events_query(subject, before, limit))
        ]  # fmt: skip

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        with self._db.read() as connection:
            return connection.execute(query).all()


def cases_query(
    state: CaseState | None, record_type: str | None, before: tuple[datetime, str] | None, limit: int
) -> Select[Any]:
    table = tables.case_file
    query = select(table).order_by(table.c.opened_at.desc(), table.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(table.c.state == state.value)
    if record_type is not None:
        query = query.where(table.c.record_type == record_type)
    return query if before is None else query.where(behind(table.c.opened_at, table.c.id, before))


def certificates_query(
    record_type: str | None, text: str, before: tuple[datetime, str] | None, limit: int
) -> Select[Any]:
    table, case = tables.certificate, tables.case_file
    columns = (table.c.id, table.c.case_id, table.c.state, table.c.final_from, table.c.at, case.c.record_type)
    query = (
        select(*columns)
        .join(case, case.c.id == table.c.case_id)
        .order_by(table.c.at.desc(), table.c.id.desc())
        .limit(limit)
    )
    if record_type is not None:
        query = query.where(case.c.record_type == record_type)
    if text:
        query = query.where(starting(table.c.id, text))
    return query if before is None else query.where(behind(table.c.at, table.c.id, before))


def events_query(subject: str | None, before: int | None, limit: int) -> Select[Any]:
    table = tables.event
    query = select(table).order_by(table.c.seq.desc()).limit(limit)
    if subject is not None:
        query = query.where(table.c.subject == subject)
    return query if before is None else query.where(table.c.seq < before)


def _case(row: Any) -> CaseLine:
    survey = json.loads(row.survey)
    return CaseLine(
        id=row.id, record_type=row.record_type, on=date.fromisoformat(row.on_day), items=row.items,
        records=max(row.items, sum(int(entry.get("records", 0)) for entry in survey.values())),
        approval_kind=ApprovalKind(row.approval_kind), opened_at=unstamp(row.opened_at), state=CaseState(row.state),
        destroying_since=None if row.destroying_since is None else unstamp(row.destroying_since),
        closed_at=None if row.closed_at is None else unstamp(row.closed_at), brakes=json.loads(row.brakes),
    )  # fmt: skip


def _certificate(row: Any) -> CertificateLine:
    return CertificateLine(
        id=row.id, case_id=row.case_id, record_types=(row.record_type,), state=row.state, attested=False,
        final_from=None if row.final_from is None else date.fromisoformat(row.final_from), at=unstamp(row.at),
    )  # fmt: skip


def _of_lot(certificate: Certificate) -> CertificateLine:
    """What kinds of record it names stands in its envelope alone: the lot is sealed."""
    predicate = cast("dict[str, Any]", read(certificate.envelope).statement()["predicate"])
    kinds = tuple(str(authority["recordType"]) for authority in predicate["lot"]["authorities"])
    return CertificateLine(
        id=certificate.id, case_id=certificate.case_id, record_types=kinds, state=certificate.state, attested=True, final_from=None,
        at=certificate.at,
    )  # fmt: skip
