"""Calendar arithmetic of the schedule: periods, cutoffs, due days, and the cut between "kept" and "past its period".

Pure: the day is always passed in. This module refuses to make anything due by accident: a date that leaves the calendar
(year 9999) counts as never reached, an ambiguous or impossible local time is read the way that keeps the record longer.
Periods are ISO 8601 durations in whole calendar units; month ends and 29 February clamp to the last day of the month.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import isodate  # type: ignore[import-untyped]
from dateutil.relativedelta import relativedelta

from retention.schedule import Cutoff, Library, Period

NEVER = date.max
"""A due day that the calendar cannot hold: never over."""

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)
_NEARBY = timedelta(hours=24)
"""No zone has moved its clocks by more than a day at once (Samoa and Kwajalein skipped exactly one)."""
_MARGIN = timedelta(days=4)
"""Closer to either end of the calendar no clock changes are looked for: there is no room for both readings."""


def parse_period(text: str) -> Period:
    """Read an ISO 8601 duration of whole years, months, weeks and days: ``P3Y``, ``P1Y6M``, ``P2W``, ``P0D``.

    Raises ``ValueError`` for anything else: hours, fractions, signs, the alternative format, text around it.
    """
    wanted = "write whole years, months, weeks or days, such as P3Y, P18M, P2W or P0D"
    if not text.startswith("P") or "-" in text or not text.isascii():
        raise ValueError(f"not an ISO 8601 period; {wanted}")
    if "T" in text:
        raise ValueError(f"a retention period has no hours, minutes or seconds; {wanted}")
    if "." in text or "," in text:
        raise ValueError(f"a retention period has no fractions; {wanted}")
    try:
        duration = isodate.parse_duration(text, as_timedelta_if_possible=False)
    except (ValueError, ArithmeticError) as error:
        raise ValueError(f"not an ISO 8601 period; {wanted}") from error
    return Period(years=int(duration.years), months=int(duration.months), days=duration.tdelta.days)


def format_period(period: Period) -> str:
    """The period in ISO 8601: ``P1Y6M``; ``P0D`` for none."""
    parts = ((period.years, "Y"), (period.months, "M"), (period.days, "D"))
    return "P" + ("".join(f"{count}{unit}" for count, unit in parts if count) or "0D")


def describe_period(period: Period) -> str:
    """The period in words: "3 years", "1 year and 6 months", "no time"."""
    parts = ((period.years, "year"), (period.months, "month"), (period.days, "day"))
    words = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in parts if count]
    if not words:
        return "no time"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def nominal_days(period: Period) -> float:
    """Length in mean Gregorian days, to order periods only; never to compute a date."""
    return (period.years * 12 + period.months) * (146097 / 4800) + period.days


def may_exceed(minimum: Period, maximum: Period) -> bool:
    """Whether on some day of the calendar ``minimum`` ends later than ``maximum`` (P1M against P30D: in most months)."""
    if abs(nominal_days(minimum) - nominal_days(maximum)) > 8:
        return nominal_days(minimum) > nominal_days(maximum)
    first = date(
        2095, 1, 1
    ).toordinal()  # ten years around 2100, which is no leap year: every month length and clamp
    return any(
        add(day, minimum) > add(day, maximum) for day in map(date.fromordinal, range(first, first + 3653))
    )


def add(day: date, period: Period) -> date:
    """``day`` plus the period: years and months first, clamped to the month's last day, then days. `NEVER` past year 9999."""
    try:
        return day + relativedelta(years=period.years, months=period.months, days=period.days)
    except (ValueError, OverflowError):
        return NEVER


def day_after(day: date) -> date:
    """The next day; the last day of the calendar stays."""
    return day if day == date.max else day + timedelta(days=1)


def cutoff_day(day: date, cutoff: Cutoff, library: Library) -> date:
    """The day on which the unit of a trigger on ``day`` closes: itself, or the last day of its month or fiscal year."""
    if cutoff is Cutoff.MONTH:
        return day + relativedelta(day=31)
    if cutoff is Cutoff.FISCAL_YEAR:
        month, first = library.fiscal_year_start
        begins = date(day.year, month, first)
        if begins <= day:
            if day.year == date.max.year:
                return NEVER if (month, first) != (1, 1) else date.max
            begins = date(day.year + 1, month, first)
        return begins - timedelta(days=1)
    return day


@lru_cache(maxsize=4096)
def due_day(day: date, period: Period, cutoff: Cutoff, library: Library) -> date:
    """The last day it must be kept: cutoff plus period. Eligible strictly after the local end of that day.

    Never decreases when ``day`` grows; `boundary` relies on it.
    """
    return add(cutoff_day(day, cutoff, library), period)


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _EARLIEST if moment.year < 5000 else _LATEST


def _wall(instant: datetime, zone: ZoneInfo) -> datetime:
    try:
        return instant.astimezone(zone).replace(tzinfo=None, fold=0)
    except OverflowError:
        return datetime.min if instant.year < 5000 else datetime.max  # noqa: DTZ901  # a wall time has no zone


def earliest_reading(wall: datetime, zone: ZoneInfo) -> datetime:
    """The earliest instant (UTC) that the naive ``wall`` may mean in ``zone``; in a gap, both readings are considered."""
    if zone.key == "UTC":
        return wall.replace(tzinfo=UTC, fold=0)
    return min(_utc(wall.replace(tzinfo=zone, fold=0)), _utc(wall.replace(tzinfo=zone, fold=1)))


def latest_reading(wall: datetime, zone: ZoneInfo) -> datetime:
    """The latest instant (UTC) that the naive ``wall`` may mean in ``zone``; in a gap, both readings are considered."""
    if zone.key == "UTC":
        return wall.replace(tzinfo=UTC, fold=0)
    return max(_utc(wall.replace(tzinfo=zone, fold=0)), _utc(wall.replace(tzinfo=zone, fold=1)))


def local_day(trigger: date | datetime, zone: ZoneInfo, library_zone: ZoneInfo) -> date:
    """The calendar day of a trigger in the library's zone. A naive time is read in ``zone``, the later way if ambiguous."""
    if not isinstance(trigger, datetime):
        return trigger
    instant = latest_reading(trigger, zone) if trigger.tzinfo is None else trigger
    return _wall(instant, library_zone).date()


def wall_not_before(instant: datetime, zone: ZoneInfo) -> datetime:
    """The smallest naive time in ``zone`` whose latest reading is at or after ``instant``.

    Everything below it is surely before ``instant``. The first pass through an ambiguous hour gives the start of that hour.
    """
    wall = _wall(instant, zone)
    if instant < _EARLIEST + _MARGIN:
        return datetime.min  # noqa: DTZ901  # a wall time has no zone
    if instant > _LATEST - _MARGIN:
        return wall
    in_gap = wall + _shift(instant - _NEARBY, instant, zone)
    if in_gap < wall and latest_reading(in_gap, zone) >= instant:
        return in_gap
    width = latest_reading(wall, zone) - instant
    if width <= timedelta(0):
        return wall
    return _first(wall - width, wall, lambda moment: latest_reading(moment, zone) >= instant)


def wall_not_after(instant: datetime, zone: ZoneInfo) -> datetime:
    """The largest naive time in ``zone`` whose earliest reading is at or before ``instant``.

    Everything above it is surely after ``instant``. The second pass through an ambiguous hour gives the last microsecond of it.
    """
    wall = _wall(instant, zone)
    if instant > _LATEST - _MARGIN:
        return datetime.max  # noqa: DTZ901  # a wall time has no zone
    if instant < _EARLIEST + _MARGIN:
        return wall
    in_gap = wall + _shift(instant + _NEARBY, instant, zone)
    if in_gap > wall and earliest_reading(in_gap, zone) <= instant:
        return in_gap
    width = instant - earliest_reading(wall, zone)
    if width <= timedelta(0):
        return wall
    after = _first(wall, wall + width, lambda moment: earliest_reading(moment, zone) > instant)
    return after - timedelta(microseconds=1)


def _shift(other: datetime, instant: datetime, zone: ZoneInfo) -> timedelta:
    """How far the clocks at ``other`` are ahead of those at ``instant``."""
    there, here = other.astimezone(zone).utcoffset(), instant.astimezone(zone).utcoffset()
    return timedelta(0) if there is None or here is None else there - here


def _first(low: datetime, high: datetime, holds: Callable[[datetime], bool]) -> datetime:
    """The first whole second in (low, high] from which ``holds`` is true; clocks change on whole seconds."""
    start = low.replace(microsecond=0)
    above, below = int((high - start).total_seconds()) + 1, 0
    while above - below > 1:
        middle = (above + below) // 2
        if holds(start + timedelta(seconds=middle)):
            above = middle
        else:
            below = middle
    return min(high, start + timedelta(seconds=above))


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant (UTC) of a local day. Midnight twice: the earlier. No midnight: when the clocks jump past it."""
    midnight = datetime.combine(day, time.min)
    start = earliest_reading(midnight, zone)
    if start == _EARLIEST or _wall(start, zone) >= midnight:
        return start
    return _first(start, latest_reading(midnight, zone), lambda moment: _wall(moment, zone) >= midnight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """A cut in trigger time: what was triggered before it is past the period, everything else is not.

    ``day``: the first local day that is not past. ``instant``: when that day starts in the library's zone, in UTC.
    """

    day: date
    instant: datetime

    def wall(self, zone: ZoneInfo) -> datetime:
        """The cut as naive time in ``zone``; when its hour is ambiguous there, the start of that hour (keeps more)."""
        return _boundary_wall(self.instant, zone)

    def is_after(self, trigger: date | datetime, zone: ZoneInfo) -> bool:
        """Whether the cut lies after the trigger, so that the trigger is past the period. Naive times are read in ``zone``."""
        if not isinstance(trigger, datetime):
            return trigger < self.day
        if trigger.tzinfo is None:
            return trigger < self.wall(zone)
        return trigger < self.instant


@lru_cache(maxsize=1024)
def _boundary_wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return wall_not_before(instant, zone)


@lru_cache(maxsize=1024)
def boundary(period: Period, cutoff: Cutoff, on: date, library: Library) -> Boundary:
    """Where "past the period" ends on day ``on``: a trigger before the cut has ``due_day < on``, any other has not."""
    past, kept = 0, on.toordinal()  # due_day(day) >= day, so the day itself is never past
    while kept - past > 1:
        middle = (past + kept) // 2
        if due_day.__wrapped__(date.fromordinal(middle), period, cutoff, library) < on:
            past = middle
        else:
            kept = middle
    day = date.fromordinal(kept)
    return Boundary(day=day, instant=start_of_day(day, library.zone))
