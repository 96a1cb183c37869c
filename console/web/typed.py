"""Fields as people type them: numbers, days, moments on the library's clock, times before and after. Each says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from console.cli import times
from retention.errors import UsageError

Value = TypeVar("Value")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Wrong(ValueError):
    """What is wrong with what was typed, for the person who typed it."""


class Reading:
    """Reads the fields of one form, and gathers what is wrong by field."""

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}

    def __call__(self, name: str, read: Callable[[], Value], otherwise: Value) -> Value:
        try:
            return read()
        except Wrong as wrong:
            self.errors.setdefault(name, str(wrong))
            return otherwise

    def need(self, name: str, value: str, told: str) -> str:
        if not value:
            self.errors.setdefault(name, told)
        return value


def count(text: str) -> int:
    """ "1,234" or "1 234"."""
    plain = text.replace(",", "").replace(" ", "").replace("\u00a0", "")
    if not (plain.isascii() and plain.isdecimal()) or len(plain) > 15:
        raise Wrong("Type the number in digits.")
    return int(plain)


def day(text: str) -> date | None:
    """``2025-06-02``; ``None`` for nothing."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Wrong("This is not a day. Write it as year-month-day: 2025-06-02.") from None


def moment(text: str, zone: ZoneInfo) -> datetime | None:
    """``2025-06-02 14:30`` on the library's clock, in UTC; ``None`` for nothing.

    A time that the clock skipped does not exist and is refused. A time that it showed twice is ambiguous and is refused too, unless
    its offset is given: a hold must not depend on a guess.
    """
    if not text:
        return None
    plain = text.replace("T", " ").replace("Z", "+00:00").strip()
    try:
        local = datetime.fromisoformat(plain)
    except ValueError:
        raise Wrong("This is not a time. Write it as 2025-06-02 14:30, on the library's clock.") from None
    if local.tzinfo is not None:
        return _in_range(local)
    first, second = local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return _in_range(first)
    if _in_range(first).astimezone(zone).replace(tzinfo=None) != local:
        raise Wrong("The clock skipped this time when summer time began. Give an earlier or a later one.")
    raise Wrong(
        "The clock showed this time twice when summer time ended. Add the offset: "
        f"{local:%Y-%m-%d %H:%M}{_offset(first)} for the first, {_offset(second)} for the second."
    )


def bound(text: str, zone: ZoneInfo, *, last: bool = False) -> datetime | None:
    """A moment; or a day alone, which begins with its first moment, and as the ``last`` one ends with its last."""
    if not _DAY.fullmatch(text):
        return moment(text, zone)
    day(text)
    try:
        return times.end(text, zone) if last else times.beginning(text, zone)
    except UsageError:
        raise Wrong("This time is out of range.") from None


def minutes(text: str) -> timedelta:
    """ "15", "15 minutes", "2 hours" or "1 day"; nothing is none."""
    if not text:
        return timedelta(0)
    found = re.fullmatch(
        r"([0-9]{1,6})\s*(?:(m(?:in(?:utes?)?)?)|(h(?:ours?)?)|(d(?:ays?)?))?", text.strip().lower()
    )
    if found is None:
        raise Wrong("Write minutes as a number, or 2 hours, or 1 day.")
    number = int(found[1])
    try:
        return (
            timedelta(hours=number)
            if found[3]
            else timedelta(days=number)
            if found[4]
            else timedelta(minutes=number)
        )
    except OverflowError:
        raise Wrong("This is too long.") from None


def _in_range(local: datetime) -> datetime:
    try:
        return local.astimezone(UTC)
    except OverflowError:
        raise Wrong("This time is out of range.") from None


def _offset(at: datetime) -> str:
    return f"{at:%z}"[:3] + ":" + f"{at:%z}"[3:]
