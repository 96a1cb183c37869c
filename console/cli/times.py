"""Times and durations as a person types them for a hold. Where a reading is in doubt, the wider one is taken.

A time without an offset is read on the library's clock. In the hour that a clock change repeats or skips both readings are
considered: the earlier one for a beginning, the later one for an end, so that a hold never keeps less than was meant.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from retention.errors import UsageError

_WANTED = "write 2026-03-01, 2026-03-01T14:00 or 2026-03-01T14:00:00-07:00"
_DURATION = re.compile(
    r"(?:P(?=.))?(?:(?P<days>\d{1,5})D)?(?:T?(?=\d))?(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,7})M)?(?:(?P<seconds>\d{1,9})S)?",
    re.IGNORECASE,
)
_TICK = timedelta(microseconds=1)


def beginning(text: str, zone: ZoneInfo) -> datetime:
    """The first moment meant, in UTC. A day alone begins with its first moment. Raises `UsageError`."""
    if (day := _day(text)) is not None:
        return min(_readings(datetime.combine(day, time.min), zone))
    return min(_readings(_moment(text), zone))


def end(text: str, zone: ZoneInfo) -> datetime:
    """The last moment meant, in UTC. A day alone ends with its last moment. Raises `UsageError`."""
    if (day := _day(text)) is not None:
        if day == date.max:
            raise UsageError(f"{text} is too late", _WANTED)
        return max(_readings(datetime.combine(day + timedelta(days=1), time.min), zone)) - _TICK
    return max(_readings(_moment(text), zone))


def duration(text: str) -> timedelta:
    """A length of time: ``PT5M``, ``5m``, ``1h30m``, ``2d``. Raises `UsageError`."""
    found = _DURATION.fullmatch(text.strip())
    parts = {} if found is None else {unit: int(count) for unit, count in found.groupdict().items() if count}
    if not parts:
        raise UsageError(f"{text!r} is not a length of time", "write PT5M, 5m, 1h30m or 2d")
    return timedelta(**parts)


def calendar_day(text: str) -> date:
    """A day: ``2026-03-01``. Raises `UsageError`."""
    day = _day(text)
    if day is None:
        raise UsageError(f"{text!r} is not a day", "write 2026-03-01")
    return day


def _day(text: str) -> date | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"there is no day {text}", _WANTED) from None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a time", _WANTED) from None


def _readings(at: datetime, zone: ZoneInfo) -> list[datetime]:
    try:
        if at.tzinfo is not None:
            return [at.astimezone(UTC)]
        return [at.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    except OverflowError:
        raise UsageError(f"{at.date()} is out of range", _WANTED) from None
