"""Answers to the questions of pages: what needs a store, and is only looked at. One function per kind, in `ANSWERS`.

Refuses: a person whose role may not act upon the answer. An answer is sealed in the ledger and goes to whoever asked alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flows import case_items
from flows.forecasting import MONTHS, MOST_MONTHS, forecast
from flows.previewing import preview
from flows.wiring import Site
from retention.errors import RetentionError, UsageError
from retention.permissions import Act, may
from storage.ledger.cases import Case
from storage.ledger.holds import scope_from_json
from storage.ledger.questions import Question

HOLD_PREVIEW = "hold-preview"
CASE_SAMPLE = "case-sample"
CASE_NAMED = "case-named"
FORECAST = "forecast"

Answer = dict[str, Any]


def answer(site: Site, question: Question, kinds: Mapping[str, Callable[[Site, Question], Answer]]) -> Answer:
    """The answer, or why there is none."""
    try:
        asked = kinds.get(question.kind)
        if asked is None:
            raise UsageError(
                "nobody here answers this question", "the keeper is older than the page: restart it"
            )
        return asked(site, question)
    except RetentionError as error:
        return {"error": error.message, "hint": error.hint}


def hold_preview(site: Site, question: Question) -> Answer:
    """``scope`` (as `scope_to_json` writes it) → what a hold with it would keep, how old it is, and how many cases it could stop."""
    _may(site, question, Act.REQUEST_HOLD, Act.PLACE_HOLD)
    found = preview(site, scope_from_json(question.body["scope"]))
    return {**found.facts, "cases": len(found.cases)}


def case_sample(site: Site, question: Question) -> Answer:
    """``case`` → some of its items, evenly over its manifest: see `flows.case_items.Item`."""
    return _items(site, question, lambda case: case_items.sample(site, case))


def case_named(site: Site, question: Question) -> Answer:
    """``case``, ``references`` → the items with these keys."""
    return _items(site, question, lambda case: case_items.named(site, case, question.body["references"]))


def what_comes_due(site: Site, question: Question) -> Answer:
    """``months`` → see `flows.forecasting.Forecast`."""
    _may(site, question, Act.READ)
    months = int(question.body.get("months", MONTHS))
    if not 1 <= months <= MOST_MONTHS:
        raise UsageError(f"a forecast is for 1 to {MOST_MONTHS} months", "give another number")
    return forecast(site, months).facts


def _items(site: Site, question: Question, find: Callable[[Case], list[case_items.Item]]) -> Answer:
    _may(site, question, Act.APPROVE, Act.SECOND)
    case = site.ledger.cases.get(str(question.body["case"]))
    return {"case": case.id, "items": find(case), "of": case.items}


def _may(site: Site, question: Question, *acts: Act) -> None:
    person = site.ledger.people.get(question.person)
    if not any(may(person.role, act) for act in acts):
        raise UsageError(f"{person.name} may not ask this", "somebody who decides on it may")


ANSWERS: Mapping[str, Callable[[Site, Question], Answer]] = {
    HOLD_PREVIEW: hold_preview,
    CASE_SAMPLE: case_sample,
    CASE_NAMED: case_named,
    FORECAST: what_comes_due,
}
