"""Intents and outcomes: what a batch was about to destroy, and what the read-back saw. Both are append-only.

``staged``: one letter per line of the batch's range, ``C`` chosen, ``A`` already absent, ``W`` withheld, ``.`` not part of this
batch (settled by an earlier one over the same range). ``codes``: the letters of `retention.outcomes`, ``-`` for an item that
was interrupted before its commit and is to be done again, ``.`` as above.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, select

from retention.errors import Refused, VerificationFailed
from retention.outcomes import CODES, OPEN, OUTCOMES, Outcome
from storage.ledger import tables
from storage.ledger.cases import Case, Lease, keep_lease, require_started
from storage.ledger.connection import Entry, LedgerConnection, stamp, unstamp

CHOSEN, ABSENT, WITHHELD, ELSEWHERE = "C", "A", "W", "."
READ_AT_ONCE = 20
"""Batches in memory while a case is folded: about 7 MB with their leaves, at 10,000 items each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A run of lines of one part: ``offset`` in bytes, ``first`` line (0-based), ``items`` lines."""

    part: int
    offset: int
    first: int
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    id: int
    case_id: str
    range: Range
    staged: str
    witness: str
    epoch: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A batch with its outcome. ``leaves``: 32 bytes for each letter of ``codes`` that is a final outcome, in order."""

    range: Range
    codes: str
    leaves: bytes
    epoch: int
    intended_at: datetime
    at: datetime
    witness: str = ""


class Batches:
    def __init__(self, connection: LedgerConnection) -> None:
        self._db = connection

    def intend(
        self,
        case: Case,
        range: Range,
        *,
        staged: str,
        witness: str,
        epoch: int,
        lease: Lease,
        actor: str,
        at: datetime,
    ) -> int:
        """Step 6: durable before anything is destroyed. Returns the intent's id.

        Raises `Refused` when the lease was lost or the case has ended.
        """
        with self._db.write(at) as entry:
            keep_lease(entry, lease, case)
            require_started(entry, case.id)
            made = entry.connection.execute(
                insert(tables.intent).values(
                    case_id=case.id, part=range.part, offset=range.offset, first=range.first, items=range.items,
                    staged=staged, witness=witness, epoch=epoch, at=stamp(at),
                )
            )  # fmt: skip
            (id,) = made.inserted_primary_key or (0,)
            entry.record(
                "batch.intended", actor=actor, subject=case.id,
                body={"intent": id, "part": range.part, "first": range.first, "items": range.items, "chosen": staged.count(CHOSEN), "epoch": epoch},
            )  # fmt: skip
        return int(id)

    def conclude(
        self,
        case: Case,
        intent_id: int,
        *,
        codes: str,
        leaves: bytes,
        settled: bool,
        lease: Lease,
        actor: str,
        at: datetime,
    ) -> None:
        """Step 9: what the read-back saw. ``settled``: written after an interruption.

        Raises `Refused` when the lease was lost or the batch has its outcome already, `VerificationFailed` for outcomes that do
        not follow from what was staged.
        """
        with self._db.write(at) as entry:
            keep_lease(entry, lease, case)
            _require_coherent(entry, case, intent_id, codes, leaves)
            entry.connection.execute(
                insert(tables.outcome).values(
                    intent_id=intent_id, codes=codes, leaves=leaves, settled=settled, at=stamp(at)
                )
            )
            counts = {outcome.value: codes.count(code) for code, outcome in OUTCOMES.items() if code in codes}
            if OPEN in codes:
                counts["interrupted"] = codes.count(OPEN)
            entry.record(
                "batch.settled" if settled else "batch.read-back", actor=actor, subject=case.id,
                body={"intent": intent_id, "counts": counts},
            )  # fmt: skip

    def open_intents(self, case_id: str | None = None) -> list[Intent]:
        """Intents without an outcome, oldest first."""
        query = (
            select(tables.intent)
            .outerjoin(tables.outcome, tables.outcome.c.intent_id == tables.intent.c.id)
            .where(tables.outcome.c.intent_id.is_(None))
            .order_by(tables.intent.c.id)
        )
        if case_id is not None:
            query = query.where(tables.intent.c.case_id == case_id)
        with self._db.read() as connection:
            return [_intent(row) for row in connection.execute(query)]

    def settled(self, case_id: str, *, with_leaves: bool = False) -> Iterator[Settled]:
        """All concluded batches of a case, oldest first, a few at a time: a batch may hold hundreds of kilobytes.

        Their ids first. SQLite sorts whole rows, in memory: one statement for all would hold the leaves of the whole case at once.
        """
        made, outcome = tables.intent.c, tables.outcome.c
        ids = select(made.id).where(made.case_id == case_id).order_by(made.id)
        columns: list[Any] = [
            made.part, made.offset, made.first, made["items"], made.witness, made.epoch, made.at,
            outcome.codes, outcome.at.label("concluded_at"),
        ]  # fmt: skip
        if with_leaves:
            columns.append(outcome.leaves)
        few = (
            select(*columns)
            .join(tables.outcome, outcome.intent_id == made.id)
            .where(made.id.in_(bindparam("few", expanding=True)))
            .order_by(made.id)
        )
        with self._db.read() as connection:
            wanted = connection.execute(ids).scalars().all()
            for start in range(0, len(wanted), READ_AT_ONCE):
                for row in connection.execute(few, {"few": wanted[start : start + READ_AT_ONCE]}):
                    yield Settled(
                        range=_range(row), codes=row.codes, leaves=row.leaves if with_leaves else b"", witness=row.witness,
                        epoch=row.epoch, intended_at=unstamp(row.at), at=unstamp(row.concluded_at),
                    )  # fmt: skip


def _require_coherent(entry: Entry, case: Case, intent_id: int, codes: str, leaves: bytes) -> None:
    """Only what was chosen can have been destroyed; one leaf per final outcome; one outcome per intent."""
    row = entry.connection.execute(
        select(tables.intent.c.case_id, tables.intent.c.staged, tables.outcome.c.intent_id.label("concluded"))
        .outerjoin(tables.outcome, tables.outcome.c.intent_id == tables.intent.c.id)
        .where(tables.intent.c.id == intent_id)
    ).first()
    if row is None or row.case_id != case.id:
        raise VerificationFailed(
            f"case {case.id} has no batch {intent_id}", "compare the ledger with its backup"
        )
    if row.concluded is not None:
        raise Refused(f"batch {intent_id} of case {case.id} has its outcome already", "run it again")
    if codes.translate(_AS_STAGED) != row.staged or len(leaves) != 32 * sum(map(codes.count, OUTCOMES)):
        raise VerificationFailed(
            f"the outcomes of a batch of case {case.id} do not follow from what was staged",
            "report this: it is a fault",
        )


_AS_STAGED = str.maketrans(
    dict.fromkeys(
        (CODES[Outcome.DESTROYED], CODES[Outcome.NOT_DESTROYED], CODES[Outcome.UNKNOWN], OPEN), CHOSEN
    )
    | {CHOSEN: "?"}
)
"""What an outcome letter was staged as; a letter that is no outcome matches nothing."""


def _range(row: Row[Any]) -> Range:
    return Range(part=row.part, offset=row.offset, first=row.first, items=row.items)


def _intent(row: Row[Any]) -> Intent:
    return Intent(
        id=row.id,
        case_id=row.case_id,
        range=_range(row),
        staged=row.staged,
        witness=row.witness,
        epoch=row.epoch,
        at=unstamp(row.at),
    )
