"""Forecast: what comes due in each of the next months, by record type; what is due already, and how late it is. Counts only.

The same surveys as tonight's, asked for days to come, with the holds that are in force now: each count is the one that a plan for that day
gives. Without them the difference between the two would tell how many records sealed holds keep. Refuses to take longer than its
time: places it did not get to are named as not counted.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from dateutil.relativedelta import relativedelta

from flows.wiring import Site
from retention.dates import due_day
from retention.errors import RetentionError
from retention.schedule import RecordType
from storage.contract import Survey
from storage.ledger.holds import HoldView
from storage.planning import criteria_for, store_of

SECONDS = 120.0
"""Most time for a whole forecast."""
MONTHS = 12
MOST_MONTHS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One record type. ``backlog``: due today and not held; ``past_maximum``: of these, past their maximum, the oldest by at most ``days_past``
    days. ``months``: how many come due in each, by its name (2026-12). ``not_counted``: places without an answer, with the reason."""

    record_type: str
    backlog: int
    past_maximum: int
    days_past: int
    months: Mapping[str, int]
    not_counted: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """``on``: the day it was made; ``schedule``: digest of the schedule it was made under."""

    on: str
    schedule: str
    record_types: tuple[Expected, ...]

    @property
    def facts(self) -> dict[str, Any]:
        return asdict(self)


def forecast(site: Site, months: int = MONTHS, *, fresh: bool = False) -> Forecast:
    """Made once a day and kept in the state folder, unless a ``fresh`` one is asked for or a hold changed since."""
    on, holds = site.today(), site.ledger.holds.in_force()
    epoch = site.ledger.holds.published(holds.epoch, "forecast")
    path = site.settings.state_dir / f"forecast-{months}.json"
    if not fresh:
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            kept = _read(told["forecast"]) if told["holds"] == epoch else None
        except (OSError, ValueError, KeyError, TypeError):
            kept = None
        if kept is not None and (kept.on, kept.schedule) == (on.isoformat(), site.schedule.digest):
            return kept
    deadline = time.monotonic() + SECONDS
    days = _days(on, months)
    made = Forecast(
        on=on.isoformat(), schedule=site.schedule.digest,
        record_types=tuple(_expected(site, one, days, holds, deadline) for one in site.schedule.record_types),
    )  # fmt: skip
    whole = not any("time" in why for one in made.record_types for why in one.not_counted.values())
    if whole:
        aside = path.with_suffix(f".{os.getpid()}.tmp")
        aside.write_text(json.dumps({"holds": epoch, "forecast": made.facts}), encoding="utf-8")
        aside.replace(path)
    return made


def _days(on: date, months: int) -> list[date]:
    """Today, and the first day of each of the next months."""
    first = on.replace(day=1)
    return [on, *(first + relativedelta(months=number) for number in range(1, months + 1))]


def _expected(
    site: Site, record_type: RecordType, days: list[date], holds: HoldView, deadline: float
) -> Expected:
    due = [0] * len(days)
    past_maximum = days_past = 0
    not_counted: dict[str, str] = {}
    for location in record_type.locations:
        try:
            found = []
            for day in days:
                if time.monotonic() > deadline:
                    raise TimeoutError
                found.append(_survey(site, record_type, location.name, day, holds))
        except TimeoutError:
            not_counted[location.name] = "it would take more time than a forecast has"
            continue
        except RetentionError as error:
            not_counted[location.name] = error.message
            continue
        for index, survey in enumerate(found):
            due[index] += survey.records
        past_maximum += found[0].past_maximum
        if found[0].past_maximum:
            days_past = max(days_past, _days_past(site, record_type, found[0], days[0]))
    names = [f"{day:%Y-%m}" for day in days[:-1]]
    months = {
        name: max(0, after - before) for name, before, after in zip(names, due[:-1], due[1:], strict=True)
    }
    return Expected(
        record_type=record_type.id, backlog=due[0], past_maximum=past_maximum, days_past=days_past, months=months, not_counted=not_counted,
    )  # fmt: skip


def _survey(site: Site, record_type: RecordType, location: str, day: date, holds: HoldView) -> Survey:
    criteria = criteria_for(site.schedule, record_type, location, day)
    store = store_of(site.stores, criteria.location.store)
    touching = holds.touching(record_type.id, *criteria.location.stores)
    return store.survey(criteria, touching, lambda _lines: None, lambda _count: None)


def _days_past(site: Site, record_type: RecordType, survey: Survey, on: date) -> int:
    """By how much the oldest is late, under the shortest maximum: no record is later than that."""
    maxima = [rule.maximum for rule in record_type.rules if rule.maximum is not None]
    if survey.oldest is None or not maxima:
        return 0
    first = min(
        due_day(survey.oldest, maximum, record_type.cutoff, site.schedule.library) for maximum in maxima
    )
    return max(0, (on - first).days)


def _read(kept: Any) -> Forecast:
    types = tuple(Expected(**one) for one in kept["record_types"])
    return Forecast(on=kept["on"], schedule=kept["schedule"], record_types=types)
