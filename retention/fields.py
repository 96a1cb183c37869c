"""What a single value of the schedule file may be. Each reader takes a raw TOML value and returns a typed one.

Readers refuse with `Wrong` and never repair: a zone is an IANA name, a period is whole calendar units, a column or table is a
plain identifier. Names that are not plain identifiers have no way past this module into a statement.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo, available_timezones

import isodate  # type: ignore[import-untyped]

from retention import dates, expression
from retention.condition import Condition
from retention.problems import did_you_mean, quote
from retention.records import Value
from retention.schedule import Authority, Period

T = TypeVar("T")
Reader = Callable[[object], T]
Choice = TypeVar("Choice", bound=StrEnum)

_TABLE = re.compile(rf"{expression.NAME.pattern}(?:\.{expression.NAME.pattern})?")
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_MACHINE_ZONES = frozenset({"localtime", "posixrules", "Factory", "leapseconds"})


NO_VALUES: Mapping[str, Value] = {}

BROKEN_PERIOD = Period()
"""Stands for a minimum with a problem. Known by identity: it is compared with nothing."""


class Wrong(Exception):
    """A value is not what its key needs. ``code`` is that of the problem."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint


def text(value: object) -> str:
    """Text with something in it."""
    if not isinstance(value, str):
        raise Wrong("P005", f"must be text, not {_kind(value)}", 'write it in quotes: "..."')
    if not value.strip():
        raise Wrong("P007", "is empty", "say it, or leave the key out where it is optional")
    return value


def texts(value: object) -> tuple[str, ...]:
    """A list of texts, at least one."""
    if not isinstance(value, list):
        raise Wrong("P005", f"must be a list of texts, not {_kind(value)}", 'write ["...", "..."]')
    if not value:
        raise Wrong("P007", "is an empty list", "name at least one")
    return tuple(map(text, value))


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise Wrong("P005", f"must be true or false, not {_kind(value)}")
    return value


def choice(kind: type[Choice]) -> Reader[Choice]:
    """One of the values of an enumeration."""

    def read(value: object) -> Choice:
        word = text(value)
        try:
            return kind(word)
        except ValueError:
            raise Wrong("P006", f"{quote(word)} is not known", did_you_mean(word, kind)) from None

    return read


def one_of(*words: str) -> Reader[str]:
    """One of these words."""

    def read(value: object) -> str:
        word = text(value)
        if word not in words:
            raise Wrong("P006", f"{quote(word)} is not known", did_you_mean(word, words))
        return word

    return read


def identifier(value: object) -> str:
    """An id of the schedule itself: lower-case words joined by hyphens."""
    word = text(value)
    if not _ID.fullmatch(word) or len(word) > 63:
        raise Wrong(
            "P020",
            f"{quote(word)} is not an id",
            "use lower-case letters and digits joined by hyphens, at most 63",
        )
    return word


def column(value: object) -> str:
    """A plain column name."""
    word = text(value)
    if not expression.NAME.fullmatch(word):
        raise Wrong(
            "P020",
            f"{quote(word)} is not a plain column name",
            "letters, digits and _ only, no quotes, at most 63",
        )
    return word


def columns(value: object) -> tuple[str, ...]:
    """A list of plain column names, at least one."""
    return tuple(map(column, texts(value)))


def encoding(value: object) -> str:
    """An encoding in which a line end and a comma are the bytes that ASCII has for them."""
    word = text(value)
    try:
        plain = '\r\n",;\t|'.encode(word) == b'\r\n",;\t|'
    except LookupError:
        raise Wrong("P006", f"{quote(word)} is not an encoding", 'for example "utf-8" or "cp1252"') from None
    if not plain:
        raise Wrong("P006", f"{quote(word)} cannot be read row by row", 'for example "utf-8" or "cp1252"')
    return word


def date_format(value: object) -> str:
    """How text means a date: ``strptime`` with a year, a month and a day."""
    word = text(value)
    day = date(2001, 2, 3)
    try:
        whole = datetime.strptime(day.strftime(word), word).date() == day  # noqa: DTZ007  # a day, no moment
    except ValueError:
        whole = False
    if not whole:
        raise Wrong("P006", f"{quote(word)} does not name a whole date", 'for example "%m/%d/%Y"')
    return word


def table_name(value: object) -> str:
    """``table`` or ``schema.table``, plain names."""
    word = text(value)
    if not _TABLE.fullmatch(word):
        raise Wrong(
            "P020",
            f"{quote(word)} is not a plain table name",
            "write table or schema.table: letters, digits and _ only",
        )
    return word


def folder(value: object) -> str:
    """A relative folder of a file store; ``"."`` is the store's own root, given back as ``""``."""
    word = text(value)
    parts = word.rstrip("/").split("/")
    if word == ".":
        return ""
    if word.startswith("/") or "\\" in word or "\0" in word or any(part in {"", ".", ".."} for part in parts):
        raise Wrong(
            "P034",
            f"{quote(word)} leaves its store or is not a plain folder",
            'write a relative folder, or "." for the root',
        )
    return "/".join(parts)


def template(value: object) -> str:
    """The layout of a file tree; its fields are checked by `retention.layout`."""
    word = text(value)
    if word.startswith("/") or "\\" in word or "\0" in word or ".." in word.split("/"):
        raise Wrong(
            "P034",
            f"{quote(word)} leaves its folder",
            "write the layout of the path below the location's path",
        )
    return word


def period(value: object) -> Period:
    """An ISO 8601 period of whole calendar units."""
    if not isinstance(value, str):
        raise Wrong("P015", f"must be an ISO 8601 period, not {_kind(value)}", 'write "P3Y", "P90D", "P0D"')
    try:
        return dates.parse_period(value)
    except ValueError as error:
        reason, _, hint = str(error).partition("; ")
        raise Wrong(
            "P015",
            f"{quote(value)} is {reason}" if reason.startswith("not") else f"{quote(value)}: {reason}",
            hint,
        ) from None


def periods(value: object) -> tuple[tuple[str, Period], ...]:
    """Periods by name."""
    if not isinstance(value, dict):
        raise Wrong(
            "P005", f"must be a table of periods, not {_kind(value)}", 'write { "database backups" = "P35D" }'
        )
    return tuple((text(name), period(item)) for name, item in value.items())


def seconds(value: object) -> float:
    """A length of time in seconds: a number, or ISO 8601 without calendar units (``PT60S``)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        length = float(value)
    else:
        try:
            duration = isodate.parse_duration(text(value))
        except (ValueError, ArithmeticError):
            raise Wrong(
                "P015",
                f"{quote(value)} is not a length of time",
                'write seconds or ISO 8601: 60, "PT60S", "PT1H"',
            ) from None
        if not isinstance(duration, timedelta):
            raise Wrong(
                "P015",
                f"{quote(value)} has months or years, which have no fixed length",
                'write "PT60S", "PT1H"',
            )
        length = duration.total_seconds()
    if not math.isfinite(length) or length < 0:
        raise Wrong(
            "P015", "must be a length of time that is not negative", 'write seconds or ISO 8601: 60, "PT60S"'
        )
    return length


def number(accepts: Callable[[float], bool], hint: str, *, whole: bool = False) -> Reader[float]:
    """A number that ``accepts`` allows; ``hint`` says which those are."""

    def read(value: object) -> float:
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise Wrong("P005", f"must be a {'whole ' if whole else ''}number, not {_kind(value)}", hint)
        if not math.isfinite(value) or not accepts(value):
            raise Wrong("P018", f"{value} is out of range", hint)
        return value

    return read


def day(value: object) -> date:
    """A calendar day: a TOML date, or the same as text."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(text(value))
    except ValueError:
        raise Wrong("P016", f"{quote(value)} is not a day", "write 2026-01-31") from None


def month_and_day(value: object) -> tuple[int, int]:
    """The first day of the fiscal year, ``MM-DD``; never 29 February, which most years lack."""
    word = text(value)
    if not re.fullmatch(r"\d\d-\d\d", word, re.ASCII):
        raise Wrong("P016", f"{quote(word)} is not a month and day", 'write "07-01" for 1 July')
    try:
        found = date.fromisoformat(f"2023-{word}")  # 2023 has no 29 February
    except ValueError:
        raise Wrong("P016", f"{quote(word)} is not a day of every year", 'write "07-01" for 1 July') from None
    return found.month, found.day


def zone(value: object) -> ZoneInfo:
    """An IANA time zone by its name."""
    word = text(value)
    try:
        if word in _MACHINE_ZONES or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+\-/]*", word):
            raise ValueError
        return ZoneInfo(word)
    except (ValueError, KeyError, OSError):
        known = available_timezones() - _MACHINE_ZONES
        near = did_you_mean(word, known) or 'write an IANA name such as "America/Denver" or "UTC"'
        raise Wrong("P014", f"{quote(word)} is not a known time zone", near) from None


def condition(value: object) -> Condition:
    """A condition, see `retention.expression`."""
    try:
        return expression.parse(text(value))
    except expression.ExpressionRefused as error:
        raise Wrong("P024", error.reason, error.hint) from None


def authority(value: object) -> Authority:
    """A citation, or a table with ``citation`` and ``series``."""
    if isinstance(value, str):
        return Authority(citation=text(value))
    if not isinstance(value, dict) or "citation" not in value or not set(value) <= {"citation", "series"}:
        raise Wrong(
            "P005", "must be a citation", 'write "C.R.S. 24-90-119" or { citation = "...", series = "..." }'
        )
    series = value.get("series")
    return Authority(citation=text(value["citation"]), series=None if series is None else text(series))


def scalar(value: object) -> Value:
    """Text, number, truth or date: what a column can hold or a condition compare."""
    if isinstance(value, str | bool | int | date) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise Wrong("P005", f"must be text, a number, true, false or a date, not {_kind(value)}")


def by_column(value: object) -> Mapping[str, Value]:
    """Values by column name."""
    if not isinstance(value, dict):
        raise Wrong("P005", f"must be a table, not {_kind(value)}", "write { column = value }")
    return {column(name): scalar(item) for name, item in value.items()}


def truths(value: object) -> Mapping[str, bool]:
    """True or false by name."""
    if not isinstance(value, dict):
        raise Wrong("P005", f"must be a table, not {_kind(value)}", "write { name = true }")
    return {text(name): boolean(item) for name, item in value.items()}


def moment(value: object) -> str:
    """A trigger of an example as ISO 8601 text: a day, a local time, or a time with its offset."""
    if isinstance(value, date):
        return value.isoformat()
    word = text(value)
    try:
        datetime.fromisoformat(word)
    except ValueError:
        raise Wrong(
            "P016", f"{quote(word)} is neither a day nor a time", "write 2026-01-31 or 2026-01-31T14:30:00Z"
        ) from None
    return word


def _kind(value: object) -> str:
    kinds = {
        bool: "true or false",
        str: "text",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a table",
    }
    return kinds.get(type(value), "a date or time")
