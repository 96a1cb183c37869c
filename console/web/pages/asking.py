"""What only the stores know: asked in the ledger, answered there by the keeper, shown when the answer has come."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from console.web.doors import Doors, Here, Visit
from console.web.problems import NotFound
from retention.errors import UsageError
from retention.permissions import Act
from storage.ledger.questions import Question

doors = Doors()
HOLD_PREVIEW, CASE_SAMPLE, FORECAST = "hold-preview", "case-sample", "forecast"
PATIENCE = timedelta(seconds=20)
"""After that a page says that nobody answers."""


@doors.get("/questions/{id}", Act.READ)
def answer(visit: Here, id: str) -> Response:
    """The answer to a question of yours, once there is one: a part of its page."""
    asked = found(visit, id)
    facts = {"question": asked.id, "kind": asked.kind, "answer": asked.answer, "late": is_late(visit, asked)}
    return visit.page("answer.html", title="Answer", facts=facts, asked=asked)


def found(visit: Visit, id: str) -> Question:
    """Raises `NotFound` for anybody else's, and for one that is too old."""
    try:
        return visit.desk.ledger.questions.find(id, person=visit.who.name, at=visit.desk.now())
    except UsageError:
        raise NotFound from None


def maybe(visit: Visit, id: str, kind: str) -> Question | None:
    """A question that an address names; ``None`` when it is gone."""
    try:
        asked = found(visit, id) if id else None
    except NotFound:
        return None
    return asked if asked is not None and asked.kind == kind else None


def is_late(visit: Visit, asked: Question) -> bool:
    return asked.answer is None and visit.desk.now() > asked.asked_at + PATIENCE
