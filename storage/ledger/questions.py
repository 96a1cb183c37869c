"""Questions of pages that only somebody who reaches the stores can answer: asked here, answered here, gone after an hour.

Question and answer are sealed: a scope names patrons. No evidence: nothing of this is an event.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, update

from retention.errors import UsageError
from storage.ledger import tables
from storage.ledger.connection import LedgerConnection, stamp, unstamp
from storage.ledger.sealing import Sealer

LIFE = timedelta(hours=1)
"""How long a question and its answer are kept."""
MOST = 50
"""Most questions of one person that wait at a time: a page that asks again and again keeps nobody else waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """``answer``: ``None`` until answered; with ``error`` (and ``hint``) in it when nobody could."""

    id: str
    person: str
    kind: str
    body: Mapping[str, Any] = field(repr=False)
    asked_at: datetime
    answer: Mapping[str, Any] | None = field(default=None, repr=False)


class Questions:
    def __init__(self, connection: LedgerConnection, sealer: Sealer) -> None:
        self._db = connection
        self._sealer = sealer

    def ask(self, kind: str, body: Mapping[str, Any], *, person: str, at: datetime) -> str:
        """Write a question down. Returns its id, by which the person finds the answer. What is too old goes.

        Raises `UsageError` for too many at once.
        """
        id = f"Q{secrets.token_hex(16)}"
        waiting = select(tables.question.c.id).where(
            tables.question.c.person == person, tables.question.c.answered_at.is_(None)
        )
        with self._db.write(at) as entry:
            entry.connection.execute(delete(tables.question).where(_old(at)))
            if len(entry.connection.execute(waiting.limit(MOST)).all()) >= MOST:
                raise UsageError(
                    "too many questions wait for an answer", "is `retention serve holds` running?"
                )
            entry.connection.execute(
                insert(tables.question).values(
                    id=id, person=person, kind=kind, body=self._seal(body, id), asked_at=stamp(at)
                )
            )
        return id

    def waiting(self, limit: int = MOST) -> list[Question]:
        """Unanswered ones, oldest first."""
        query = (
            select(tables.question)
            .where(tables.question.c.answered_at.is_(None))
            .order_by(tables.question.c.asked_at, tables.question.c.id)
            .limit(limit)
        )
        with self._db.read() as connection:
            return [self._open(row) for row in connection.execute(query)]

    def answer(self, id: str, answer: Mapping[str, Any], *, at: datetime) -> None:
        """The first answer stands; a question that is gone meanwhile needs none."""
        with self._db.write(at) as entry:
            entry.connection.execute(
                update(tables.question)
                .where(tables.question.c.id == id, tables.question.c.answered_at.is_(None))
                .values(answer=self._seal(answer, f"{id}:answer"), answered_at=stamp(at))
            )

    def find(self, id: str, *, person: str, at: datetime) -> Question:
        """A person's own question, with its answer once there is one. Raises `UsageError` for anybody else's, and when it has expired."""
        query = select(tables.question).where(tables.question.c.id == id, tables.question.c.person == person)
        with self._db.read() as connection:
            row = connection.execute(query).first()
        if row is None or unstamp(row.asked_at) + LIFE <= at:
            raise UsageError("there is no such question any more", "ask again")
        return self._open(row)

    def expire(self, *, at: datetime) -> int:
        """Delete what is older than `LIFE`, answered or not. Returns how many."""
        old = _old(at)
        with self._db.read() as connection:
            if connection.execute(select(tables.question.c.id).where(old).limit(1)).first() is None:
                return 0
        with self._db.write(at) as entry:
            return entry.connection.execute(delete(tables.question).where(old)).rowcount

    def _seal(self, body: Mapping[str, Any], row: str) -> bytes:
        return self._sealer.seal(json.dumps(body, sort_keys=True).encode(), row)

    def _open(self, row: Row[Any]) -> Question:
        answer = None if row.answer is None else self._sealer.open(row.answer, f"{row.id}:answer")
        return Question(
            id=row.id,
            person=row.person,
            kind=row.kind,
            body=json.loads(self._sealer.open(row.body, row.id)),
            asked_at=unstamp(row.asked_at),
            answer=None if answer is None else json.loads(answer),
        )


def _old(at: datetime) -> ColumnElement[bool]:
    return tables.question.c.asked_at <= stamp(at - LIFE)
