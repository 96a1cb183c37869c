"""From the values of a row to the time it is about, and back: the cuts that say the same in SQL.

Refuses to be narrower than `retention.dates`: an ambiguous or impossible local time is about every moment it may mean, a
date is about its whole local day. `first_moment`/`last_moment` (for one record, in Python) and `starts_by`/`ends_from` (for a
hold, as cuts for SQL) are exact inverses: ``first_moment(v) <= t`` if and only if ``v <= starts_by(t)``, and so for the end.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from retention import dates
from storage.sql.kinds import Cut

MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
Moment = date | datetime


def first_moment(value: Moment, zone: ZoneInfo) -> datetime:
    """The earliest instant (UTC) that a value of a row may be about."""
    if not isinstance(value, datetime):
        return dates.start_of_day(value, zone)
    if value.tzinfo is not None:
        return value.astimezone(UTC)
    earliest = dates.earliest_reading(value, zone)
    if dates.wall_not_after(earliest - MICROSECOND, zone) < value:
        return earliest
    # Just before the clocks jump: impossible times above this one may mean an earlier instant than it does.
    low, high = earliest - DAY, earliest
    while high - low > MICROSECOND:
        middle = low + (high - low) // 2
        if dates.wall_not_after(middle, zone) >= value:
            high = middle
        else:
            low = middle
    return high


def last_moment(value: Moment, zone: ZoneInfo) -> datetime:
    """The latest instant (UTC) that a value of a row may be about."""
    if not isinstance(value, datetime):
        return _end_of_day(value, zone)
    if value.tzinfo is not None:
        return value.astimezone(UTC)
    latest = dates.latest_reading(value, zone)
    if dates.wall_not_before(latest + MICROSECOND, zone) > value:
        return latest
    low, high = latest, latest + DAY
    while high - low > MICROSECOND:
        middle = low + (high - low) // 2
        if dates.wall_not_before(middle, zone) <= value:
            low = middle
        else:
            high = middle
    return low


def _end_of_day(day: date, zone: ZoneInfo) -> datetime:
    return dates.latest_reading(datetime.combine(dates.day_after(day), time.min), zone) - MICROSECOND


def starts_by(instant: datetime, zone: ZoneInfo, grain: timedelta = timedelta(0)) -> Cut:
    """Values at or below this cut may be about something at or before ``instant``; times widened by ``grain``, days not."""
    day = _local(instant, zone)
    while dates.start_of_day(dates.day_after(day), zone) <= instant and day < date.max:
        day += DAY
    while day > date.min and dates.start_of_day(day, zone) > instant:
        day -= DAY
    moment = instant + grain
    return Cut(day=day, wall=dates.wall_not_after(moment, zone), instant=moment)


def ends_from(instant: datetime, zone: ZoneInfo, grain: timedelta = timedelta(0)) -> Cut:
    """Values at or above this cut may be about something at or after ``instant``; times widened by ``grain``, days not."""
    day = _local(instant, zone)
    while day > date.min and _end_of_day(day - DAY, zone) >= instant:
        day -= DAY
    while day < date.max and _end_of_day(day, zone) < instant:
        day += DAY
    moment = instant - grain
    return Cut(day=day, wall=dates.wall_not_before(moment, zone), instant=moment)


def _local(instant: datetime, zone: ZoneInfo) -> date:
    try:
        return instant.astimezone(zone).date()
    except OverflowError:
        return date.min if instant.year < 5000 else date.max
