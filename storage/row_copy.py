"""A copy of a row, as it lies in the evidence vault: one version of one record with everything that hangs on it.

JSON Lines in one canonical form, so that the same row makes the same bytes. The first line says whom and what the record is about,
as the decision on the row saw it; holds are matched with it for as long as the copy lives. Each further line is a row: its table, what
its columns are declared as, and its values, which survive exactly. It refuses to guess: a value of a kind that it does not know
is an error, and a first line that it cannot read makes the copy one that nobody can decide on.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from retention.errors import VerificationFailed
from retention.records import Personal, Value

FORM = "retention row copy 1"
LONGEST_HEAD = 1024 * 1024
"""Bytes of the first line, at most."""
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a decision needs of a copied row. Moments are UTC; ``trigger`` is the last one that the row's trigger can mean."""

    trigger: datetime | None
    start: datetime | None
    end: datetime | None
    subject: Personal[str] | None
    branch: str | None
    fields: Mapping[str, Value] = field(default_factory=dict)


def write(about: About, rows: Sequence[bytes]) -> bytes:
    """The whole content of a copy. ``rows``: lines of `write_row`, the record's own first."""
    head = {
        "form": FORM,
        "trigger": _told(about.trigger), "start": _told(about.start), "end": _told(about.end),
        "subject": None if about.subject is None else about.subject.reveal(), "branch": about.branch,
        "fields": {name: encode(value) for name, value in about.fields.items()},
    }  # fmt: skip
    return b"\n".join((_line(head), *rows, b""))


def write_row(table: str, declared: Mapping[str, str], values: Mapping[str, Any]) -> bytes:
    """One row. ``declared``: the database's own names for the types of its columns."""
    named = {name: encode(value) for name, value in values.items()}
    return _line({"table": table, "columns": dict(declared), "values": named})


def read_about(head: bytes) -> About:
    """The first line. Raises `VerificationFailed`, without quoting anything, for one that was not written here."""
    try:
        told = json.loads(head)
        if told["form"] != FORM:
            raise ValueError
        subject, branch = told["subject"], told["branch"]
        if not all(text is None or isinstance(text, str) for text in (subject, branch)):
            raise TypeError
        trigger, start, end = (_moment(told[name]) for name in ("trigger", "start", "end"))
        fields = {name: decode(value) for name, value in told["fields"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise VerificationFailed(
            "a copy of a row cannot be read", "compare the vault with its backup"
        ) from None
    return About(
        trigger=trigger, start=start, end=end, branch=branch, fields=fields,
        subject=None if subject is None else Personal(subject),
    )  # fmt: skip


def encode(value: Any) -> Any:
    """A value as JSON. Text, whole numbers, truth and NULL stand for themselves; everything else says what it is."""
    if value is None or isinstance(value, str | bool | int):
        return value
    for word, kind, text in _KINDS:
        if isinstance(value, kind):
            return {word: text(value)}
    raise VerificationFailed(
        "a column has values of a kind that cannot be copied exactly", "leave the table out of the vault"
    )


def decode(told: Any) -> Value:
    """The value again, of the kinds that conditions compare. Raises ``ValueError`` or ``KeyError``."""
    if told is None or isinstance(told, str | bool | int):
        return told
    ((word, text),) = told.items()
    value: Value = _READERS[word](text)
    return value


_KINDS: tuple[tuple[str, type | tuple[type, ...], Any], ...] = (
    ("decimal", Decimal, str),
    ("float", float, repr),
    ("moment", datetime, datetime.isoformat),
    ("day", date, date.isoformat),
    ("duration", timedelta, lambda value: str(value // _MICROSECOND)),
    ("uuid", UUID, str),
    ("bytes", (bytes, bytearray, memoryview), lambda value: b64encode(bytes(value)).decode()),
)
"""A moment before a day: it is one too."""
_READERS: dict[str, Any] = {
    "decimal": Decimal,
    "float": float,
    "moment": datetime.fromisoformat,
    "day": date.fromisoformat,
}


def _told(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment


def _line(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
