"""Items that a person took out of a case before anything was destroyed under it. They only ever make a case smaller."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select

from storage.ledger import tables
from storage.ledger.cases import require_not_begun, require_started
from storage.ledger.connection import LedgerConnection, stamp, unstamp
from storage.ledger.holds import EPOCH
from storage.ledger.sealing import Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemException:
    """One item: its position in the manifest, counted from 0. ``epoch``: approvals given before it are void."""

    case_id: str
    ordinal: int
    reason: str = field(repr=False)
    person: str
    statement: Mapping[str, Any]
    signature: str
    epoch: int = 0
    at: datetime


class Exceptions:
    def __init__(self, connection: LedgerConnection, sealer: Sealer) -> None:
        self._db = connection
        self._sealer = sealer

    def mark(self, case_id: str, reason: str) -> str:
        """The reason as a keyed digest: what is signed in its place, since the reason itself is sealed."""
        return self._sealer.mark("exception", f"{case_id}\0{reason}")

    def add(self, found: Iterable[ItemException]) -> int:
        """Write the exceptions of one act down. Returns their epoch. Raises `Refused` when the case has ended or begun."""
        found = tuple(found)
        first = found[0]
        with self._db.write(first.at) as entry:
            require_started(entry, first.case_id)
            require_not_begun(entry, first.case_id)
            epoch = entry.next(EPOCH)
            for one in found:
                entry.connection.execute(
                    insert(tables.item_exception).values(
                        case_id=one.case_id, ordinal=one.ordinal, person=one.person, epoch=epoch, at=stamp(one.at),
                        reason=self._sealer.seal(one.reason.encode(), _row(one.case_id, one.ordinal)),
                        statement=json.dumps(one.statement, sort_keys=True), signature=one.signature,
                    )
                )  # fmt: skip
            body = {"items": len(found), "epoch": epoch}
            entry.record("case.except", actor=first.person, subject=first.case_id, body=body)
        return epoch

    def of(self, case_id: str) -> list[ItemException]:
        """Oldest first, with their reasons."""
        query = (
            select(tables.item_exception)
            .where(tables.item_exception.c.case_id == case_id)
            .order_by(tables.item_exception.c.id)
        )
        with self._db.read() as connection:
            return [
                ItemException(
                    case_id=row.case_id, ordinal=row.ordinal, person=row.person, statement=json.loads(row.statement),
                    reason=self._sealer.open(row.reason, _row(row.case_id, row.ordinal)).decode(),
                    signature=row.signature, epoch=row.epoch, at=unstamp(row.at),
                )
                for row in connection.execute(query)
            ]  # fmt: skip

    def ordinals(self, case_id: str) -> frozenset[int]:
        """Positions that nothing may be destroyed at."""
        query = select(tables.item_exception.c.ordinal).where(tables.item_exception.c.case_id == case_id)
        with self._db.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def epoch(self, case_id: str) -> int:
        """The epoch of the last exception; 0 without one."""
        return self.epochs([case_id])[case_id]

    def epochs(self, cases: Sequence[str]) -> dict[str, int]:
        """The same of each of these cases."""
        table = tables.item_exception.c
        last = select(table.case_id, func.max(table.epoch).label("epoch")).where(table.case_id.in_(cases))
        found = dict.fromkeys(cases, 0)
        with self._db.read() as connection:
            found |= {row.case_id: row.epoch for row in connection.execute(last.group_by(table.case_id))}
        return found


def _row(case_id: str, ordinal: int) -> str:
    """What a sealed reason belongs to."""
    return f"exception {case_id} {ordinal}"
