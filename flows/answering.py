"""Answers to the questions of pages: what needs a store, and is only looked at. One function per kind, in `ANSWERS`.

Refuses: a person whose role may not act upon the answer. An answer is sealed in the ledger and goes to whoever asked alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flows.forecasting import MONTHS, MOST_MONTHS, forecast
from flows.previewing import preview
from flows.wiring import Site, frozen
from retention.errors import RetentionError, UsageError
from retention.permissions import Act, may
from storage.ledger.cases import Case, CaseState, Part
from storage.ledger.holds import scope_from_json
from storage.ledger.questions import Question
from storage.planning import criteria_for, store_of

SAMPLE = 20
"""Items of a case that a person is shown: enough to see what it is about."""

HOLD_PREVIEW = "hold-preview"
CASE_SAMPLE = "case-sample"
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
    """``case`` → up to `SAMPLE` of its items, evenly over its manifest: position, place, key, date and branch as the store has them now."""
    _may(site, question, Act.APPROVE, Act.SECOND)
    case = site.ledger.cases.get(str(question.body["case"]))
    if case.state is not CaseState.STARTED:
        raise UsageError(f"case {case.id} has ended: its list of records is gone", "see its certificate")
    site.spool.verify(case)
    wanted = {number * case.items // SAMPLE for number in range(SAMPLE)}
    items = [item for part in case.parts for item in _sampled(site, case, part, wanted)]
    return {"case": case.id, "items": items, "of": case.items}


def what_comes_due(site: Site, question: Question) -> Answer:
    """``months`` → see `flows.forecasting.Forecast`."""
    _may(site, question, Act.READ)
    months = int(question.body.get("months", MONTHS))
    if not 1 <= months <= MOST_MONTHS:
        raise UsageError(f"a forecast is for 1 to {MOST_MONTHS} months", "give another number")
    return forecast(site, months).facts


def _sampled(site: Site, case: Case, part: Part, wanted: set[int]) -> Iterator[Answer]:
    schedule = frozen(site.ledger.cases.schedule_text(case.schedule_digest))
    criteria = criteria_for(schedule, schedule.record_type(case.record_type), part.location, case.on)
    store = store_of(site.stores, part.store)
    with site.spool.open(case.id, part) as manifest:
        offset = 0
        for ordinal in range(part.first_ordinal, part.first_ordinal + part.items):
            (line,), offset = manifest.lines(offset, 1)
            if ordinal not in wanted:
                continue
            key = store.reference(line)
            record = store.read(criteria, key)
            yield {
                "ordinal": ordinal,
                "location": part.location,
                "key": key,
                "there": record is not None,
                "date": None if record is None or record.trigger is None else record.trigger.isoformat(),
                "branch": None if record is None else record.branch,
            }


def _may(site: Site, question: Question, *acts: Act) -> None:
    person = site.ledger.people.get(question.person)
    if not any(may(person.role, act) for act in acts):
        raise UsageError(f"{person.name} may not ask this", "somebody who decides on it may")


ANSWERS: Mapping[str, Callable[[Site, Question], Answer]] = {
    HOLD_PREVIEW: hold_preview,
    CASE_SAMPLE: case_sample,
    FORECAST: what_comes_due,
}
