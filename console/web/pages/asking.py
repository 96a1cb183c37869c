"""What only the stores know: asked in the ledger, answered there by the keeper, shown when the answer has come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from console.web.doors import Doors, Here, Visit
from console.web.problems import NotFound
from retention.errors import UsageError
from retention.permissions import Act
from storage.ledger.cases import CaseState
from storage.ledger.questions import Question

doors = Doors()
HOLD_PREVIEW, CASE_SAMPLE, CASE_NAMED, FORECAST = "hold-preview", "case-sample", "case-named", "forecast"
ITEMS = (CASE_SAMPLE, CASE_NAMED)
"""Kinds whose answer is items of a case."""
PATIENCE = timedelta(seconds=20)
"""After that a page says that nobody answers."""


@doors.get("/questions/{id}", Act.READ)
def answer(visit: Here, id: str) -> Response:
    """The answer to a question of yours, once there is one: a part of its page."""
    asked = found(visit, id)
    facts = {"question": asked.id, "kind": asked.kind, "answer": asked.answer, "late": is_late(visit, asked)}
    return visit.page(
        "answer.html", title="Answer", facts=facts, asked=asked, picked=frozenset(), values={}, errors={}, **_items(visit, asked)
    )  # fmt: skip


def about_items(visit: Visit, case: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the page of a case shows of items of it that were asked for. ``values``: of its forms, ``items`` being the question's id."""
    asked = maybe(visit, str(next(iter(values.get("items", ())), "")), *ITEMS)
    if asked is None or asked.body["case"] != case:
        return {"asked": None}
    picked = frozenset(values.get("positions", ()))
    return {**_items(visit, asked), "asked": asked, "late": is_late(visit, asked), "picked": picked}


def _items(visit: Visit, asked: Question) -> dict[str, Any]:
    """What is to be known beside an answer of items: which were taken out, and whether this person may take some out."""
    if asked.kind not in ITEMS:
        return {}
    case = visit.desk.ledger.cases.get(str(asked.body["case"]))
    open_ = case.state is CaseState.STARTED and case.destroying_since is None
    return {
        "of_case": case.id, "out": visit.desk.ledger.exceptions.ordinals(case.id), "picking": open_ and visit.may(Act.APPROVE),
    }  # fmt: skip


def found(visit: Visit, id: str) -> Question:
    """Raises `NotFound` for anybody else's, and for one that is too old."""
    try:
        return visit.desk.ledger.questions.find(id, person=visit.who.name, at=visit.desk.now())
    except UsageError:
        raise NotFound from None


def maybe(visit: Visit, id: str, *kinds: str) -> Question | None:
    """A question that an address names; ``None`` when it is gone."""
    try:
        asked = found(visit, id) if id else None
    except NotFound:
        return None
    return asked if asked is not None and asked.kind in kinds else None


def is_late(visit: Visit, asked: Question) -> bool:
    return asked.answer is None and visit.desk.now() > asked.asked_at + PATIENCE
