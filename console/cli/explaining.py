"""Explaining one record: the decision with every reason in words, its dates, its rules with their authority, its holds.

The same `decide` that the destroyer uses. A sealed hold is not told: what it keeps is *not eligible*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from console.cli import words
from console.cli.answer import Answer, Line, bad, day, good, heading
from console.cli.session import Session
from console.cli.site import opened
from flows.running import chosen_types
from flows.wiring import Site
from retention import dates
from retention.decide import Criteria, Decision, Due, Keep, decide
from retention.errors import UsageError
from retention.evaluate import evaluate
from retention.naming import Naming
from retention.records import Record
from retention.schedule import Period, Rule
from storage.planning import criteria_for, store_of


@dataclass(frozen=True, kw_only=True)
class _Applied:
    """A rule and this record: ``applies`` yes, no or unclear; the last days of its minimum and maximum."""

    rule: Rule
    applies: str
    minimum_ends: date | None
    maximum_ends: date | None


def explain(session: Session, record_type: str, key: str, *, location: str | None, on: date | None) -> Answer:
    """Every record of that type with this key, at all locations or one. Raises `UsageError` when there is none."""
    with opened(session) as site:
        (chosen,) = chosen_types(site, [record_type])
        places = [place.name for place in chosen.locations]
        if location is not None and location not in places:
            raise UsageError(f"{record_type} has no location {location}", f"one of: {', '.join(places)}")
        when = on or site.today()
        lines: list[Line] = []
        records: list[dict[str, Any]] = []
        for name in places if location is None else [location]:
            criteria = criteria_for(site.schedule, chosen, name, when)
            record = store_of(site.stores, criteria.location.store).read(criteria, key)
            if record is not None:
                decision = _decide(site, record, criteria)
                applied = list(_applied(record, criteria))
                records.append(_facts(record, criteria, decision, applied))
                lines += (
                    ["", *_told(record, criteria, decision, applied)]
                    if lines
                    else _told(record, criteria, decision, applied)
                )
        digest = site.schedule.digest
    if not records:
        where = f"at {location}" if location else f"at {words.listed(places)}"
        raise UsageError(
            f"no record of type {record_type} has this key {where}", "keys are written as the store has them"
        )
    return Answer(
        command="explain",
        body={"record_type": record_type, "on": when, "schedule": digest, "records": records},
        lines=lines,
    )


def _decide(site: Site, record: Record, criteria: Criteria) -> Decision:
    holds = site.ledger.holds.in_force().touching(record.record_type, *criteria.location.stores)
    return decide(record, criteria, Naming.of(criteria.location).holds(holds))


def _applied(record: Record, criteria: Criteria) -> Iterator[_Applied]:
    for rule in criteria.record_type.rules:
        answer = True if rule.when is None else evaluate(rule.when, record.fields)
        yield _Applied(
            rule=rule,
            applies={True: "yes", False: "no", None: "unclear"}[answer],
            minimum_ends=_ends(record, rule.minimum, criteria),
            maximum_ends=_ends(record, rule.maximum, criteria),
        )


def _ends(record: Record, period: Period | None, criteria: Criteria) -> date | None:
    triggered = _trigger_day(record, criteria)
    if triggered is None or period is None:
        return None
    return dates.due_day(triggered, period, criteria.record_type.cutoff, criteria.library)


def _trigger_day(record: Record, criteria: Criteria) -> date | None:
    if record.trigger is None:
        return None
    return dates.local_day(record.trigger, criteria.location.zone, criteria.library.zone)


def _facts(record: Record, criteria: Criteria, decision: Decision, applied: list[_Applied]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "location": record.location,
        "store": record.store,
        "trigger": _trigger_day(record, criteria),
        "rules": [
            {
                "id": one.rule.id,
                "applies": one.applies,
                "authority": one.rule.authority.citation,
                "series": one.rule.authority.series,
                "minimum": dates.format_period(one.rule.minimum),
                "maximum": None if one.rule.maximum is None else dates.format_period(one.rule.maximum),
                "minimum_ends": one.minimum_ends,
                "maximum_ends": one.maximum_ends,
            }
            for one in applied
        ],
    }
    if isinstance(decision, Due):
        late = decision.days_past_maximum(criteria.on)
        return {
            "decision": "due",
            "since": decision.since,
            "maximum": decision.maximum,
            "days_past_maximum": late,
            **facts,
        }
    reasons = [{"reason": name, "words": words.REASONS[name]} for name in _classes(decision)]
    told = {"reasons": reasons, "detail": list(decision.detail), "holds": list(decision.holds)}
    return {"decision": "keep", "until": _until(decision, criteria), **told, **facts}


def _classes(decision: Keep) -> list[str]:
    return list(dict.fromkeys(words.reason_class(reason) for reason in decision.reasons))


def _until(decision: Keep, criteria: Criteria) -> date | None:
    """The last day it must be kept; nothing once that is past and something else keeps it."""
    until = decision.until
    return until if until is not None and until >= criteria.on and until != dates.NEVER else None


def _told(record: Record, criteria: Criteria, decision: Decision, applied: list[_Applied]) -> list[Line]:
    place = f"{record.record_type} at {record.location} (store {record.store}), on {criteria.on}"
    lines: list[Line] = [heading(place)]
    _, gone = words.DISPOSITIONS[criteria.record_type.disposition]
    if isinstance(decision, Due):
        late = decision.days_past_maximum(criteria.on)
        lines.append(bad(f"goes: due to be {gone} since {decision.since}"))
        if late:
            lines.append(f"  {words.plural(late, 'day')} past its maximum of {decision.maximum}")
    else:
        lines.append(good("stays"))
        lines += [f"  because: {words.REASONS[name]}" for name in _classes(decision)]
        lines += [f"  namely: {detail}" for detail in decision.detail]
        lines += [f"  hold {id}: see retention hold show {id}" for id in decision.holds]
        until = _until(decision, criteria)
        lines += [f"  at least until the end of {until}"] if until else []
    return lines + _rules_told(record, criteria, applied)


def _rules_told(record: Record, criteria: Criteria, applied: list[_Applied]) -> list[Line]:
    triggered = _trigger_day(record, criteria)
    record_type = criteria.record_type
    closes = words.CUTOFFS[record_type.cutoff]
    lines: list[Line] = [
        f"clock: {record_type.trigger_event} on {day(triggered) or 'an unknown day'}; counted from {closes}"
    ]
    for one in applied:
        if one.applies == "no":
            continue
        ending = (
            f", over after {one.minimum_ends}" if one.minimum_ends and one.minimum_ends != dates.NEVER else ""
        )
        doubt = "" if one.applies == "yes" else " (whether it applies cannot be told)"
        lines.append(
            f"rule {one.rule.id}{doubt}: keep at least {dates.describe_period(one.rule.minimum)}{ending}"
        )
        if one.rule.maximum is not None:
            ending = (
                f", until {one.maximum_ends}" if one.maximum_ends and one.maximum_ends != dates.NEVER else ""
            )
            lines.append(f"  at most {dates.describe_period(one.rule.maximum)}{ending}")
        series = f", series {one.rule.authority.series}" if one.rule.authority.series else ""
        lines.append(f"  authority: {one.rule.authority.citation}{series}")
    return lines
