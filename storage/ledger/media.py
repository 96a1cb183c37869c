"""Lots of physical media in the ledger, and the signed steps about them. Append-only; what a lot is, is sealed.

Refuses a step that was taken, one before its turn, and any step where holds changed since they were looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select

from retention.document import encode, parse, read, write
from retention.errors import Refused, UsageError
from retention.media import Lot, Step
from storage.ledger import tables
from storage.ledger.connection import Entry, LedgerConnection, stamp, unstamp
from storage.ledger.holds import EPOCH
from storage.ledger.log_entries import EntryKind, append
from storage.ledger.sealing import Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTaken:
    """``epoch``: hold epoch at which no hold touched the lot."""

    step: Step
    person: str
    statement: Mapping[str, Any]
    signature: str
    epoch: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotFile:
    """A lot with its steps, in their order."""

    lot: Lot
    steps: tuple[StepTaken, ...]

    @property
    def next(self) -> Step | None:
        """The step whose turn it is; ``None``: it is certified."""
        return next((step for step in Step if all(taken.step is not step for taken in self.steps)), None)

    def taken(self, step: Step) -> StepTaken | None:
        return next((taken for taken in self.steps if taken.step is step), None)


class Media:
    def __init__(self, connection: LedgerConnection, sealer: Sealer) -> None:
        self._db = connection
        self._sealer = sealer

    def plan(self, lot: Lot, taken: StepTaken) -> LotFile:
        """Write a new lot down with its first step."""
        with self._db.write(taken.at) as entry:
            entry.connection.execute(
                insert(tables.media_lot).values(
                    id=lot.id, body=self._sealer.seal(encode(write(lot)), lot.id), at=stamp(taken.at)
                )
            )
            self._step(entry, lot.id, taken, media=len(lot.media))
        return self.get(lot.id)

    def take(self, lot_id: str, taken: StepTaken, *, certificate: bytes | None = None) -> LotFile:
        """Write a step down; the last with its certificate, which gets its place in the log. Raises `Refused`."""
        with self._db.write(taken.at) as entry:
            there = select(tables.media_step.c.step).where(tables.media_step.c.lot_id == lot_id)
            done = set(entry.connection.execute(there).scalars())
            if done != {step.value for step in list(Step)[: list(Step).index(taken.step)]}:
                raise Refused(f"lot {lot_id} was changed meanwhile", f"see: retention media show {lot_id}")
            self._step(entry, lot_id, taken)
            if certificate is not None:
                append(entry, EntryKind.ATTESTED, lot_id, certificate)
                entry.record("media.certified", actor=taken.person, subject=lot_id, body={})
        return self.get(lot_id)

    def get(self, lot_id: str) -> LotFile:
        """Raises `UsageError` for an unknown id."""
        with self._db.read() as connection:
            row = connection.execute(select(tables.media_lot).where(tables.media_lot.c.id == lot_id)).first()
            if row is None:
                raise UsageError(f"there is no lot {lot_id}", "see: retention media list")
            query = select(tables.media_step).where(tables.media_step.c.lot_id == lot_id)
            steps = {Step(one.step): one for one in connection.execute(query)}
        body = self._sealer.open(row.body, row.id)
        lot = read(Lot, parse(body, "a lot of media"), "lot")
        return LotFile(lot=lot, steps=tuple(_taken(steps[step]) for step in Step if step in steps))

    def list(self) -> list[LotFile]:
        """Newest first."""
        query = select(tables.media_lot.c.id).order_by(tables.media_lot.c.at.desc(), tables.media_lot.c.id)
        with self._db.read() as connection:
            ids = connection.execute(query).scalars().all()
        return [self.get(id) for id in ids]

    @staticmethod
    def _step(entry: Entry, lot_id: str, taken: StepTaken, **told: int) -> None:
        if (entry.value(EPOCH) or 0) != taken.epoch:
            raise Refused("holds were changed at this moment", "give the same command again")
        entry.connection.execute(
            insert(tables.media_step).values(
                lot_id=lot_id, step=taken.step.value, person=taken.person, statement=json.dumps(taken.statement, sort_keys=True),
                signature=taken.signature, epoch=taken.epoch, at=stamp(taken.at),
            )
        )  # fmt: skip
        entry.record(
            f"media.{taken.step.value}",
            actor=taken.person,
            subject=lot_id,
            body={"epoch": taken.epoch, **told},
        )


def _taken(row: Row[Any]) -> StepTaken:
    return StepTaken(
        step=Step(row.step), person=row.person, statement=json.loads(row.statement), signature=row.signature, epoch=row.epoch,
        at=unstamp(row.at),
    )  # fmt: skip
