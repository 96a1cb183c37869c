"""A row's key on its way: manifest line, text, and the value that a driver carries. Refuses a line that a survey never writes."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from typing import Any

from retention.errors import VerificationFailed
from storage.contract import Lines
from storage.sql.kinds import Kind, Plain
from storage.sql.postgresql import canonical_uuid, whole

Key = Any
"""A key as the driver gives it: hashable, equal only to itself."""

_WHOLE_LINES = re.compile(rb"(?:-?(?:0|[1-9][0-9]{0,19})\n)*")
_LONGEST = 4096
_LONGEST_NUMBER = 20


def _malformed() -> VerificationFailed:
    return VerificationFailed("a line of the manifest is not a key of this table", "survey again")


def read_lines(lines: Lines, kind: Kind) -> list[Key]:
    """The keys in these manifest lines. Raises `VerificationFailed`, without quoting one."""
    if kind is Kind.INTEGER:
        joined = b"\n".join(lines) + b"\n" if lines else b""
        if joined.count(b"\n") != len(lines) or not _WHOLE_LINES.fullmatch(joined):
            raise _malformed()
        return [int(line) for line in lines]
    return [_read_text(line, kind) for line in lines]


def _read_text(line: bytes, kind: Kind) -> Key:
    try:
        text = json.loads(line)
    except ValueError:
        raise _malformed() from None
    if not isinstance(text, str):
        raise _malformed()
    if kind is not Kind.UUID:
        return text
    identity = canonical_uuid(text)
    if identity is None:
        raise _malformed()
    return identity


def text_of(line: bytes) -> str:
    """The key in a line, as text, whatever the kind of the table's keys."""
    if len(line) <= _LONGEST_NUMBER and line.isdigit() and (line == b"0" or not line.startswith(b"0")):
        return line.decode()  # most keys are: ten times as fast as reading JSON
    try:
        key = json.loads(line)
    except ValueError:
        raise _malformed() from None
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise _malformed()
    return str(key)


def write_lines(keys: Iterable[Key], kind: Kind) -> bytes:
    """Manifest lines, each with its newline."""
    if kind is Kind.INTEGER:
        text = "".join([f"{key}\n" for key in keys])
    else:
        text = "".join([json.dumps(str(key), ensure_ascii=False) + "\n" for key in keys])
    return text.encode()


def from_person(text: str, kind: Kind, bounds: tuple[int, int]) -> Key | None:
    """The key that a person typed; ``None`` when no row can have it."""
    if kind is Kind.INTEGER:
        return whole(text, bounds)
    if kind is Kind.UUID:
        return canonical_uuid(text)
    # Nothing that a text column of every engine can hold.
    return None if "\0" in text or len(text) > _LONGEST else text


def as_kind(values: Iterable[Plain], kind: Kind, bounds: tuple[int, int]) -> list[Key]:
    """Values of one column as values of another that refers to it; those that cannot occur there are left out.

    For references without a foreign key the two columns may be of different types (a patron's number kept as text).
    """
    known = [value for value in values if value is not None]
    if kind is Kind.INTEGER and all(type(value) is int for value in known):
        return [value for value in known if bounds[0] <= value <= bounds[1]]  # type: ignore[operator]  # just asked
    chosen: list[Key] = []
    for value in known:
        if kind is Kind.INTEGER:
            number = value if isinstance(value, int) else whole(str(value), bounds)
            if number is not None and bounds[0] <= number <= bounds[1]:
                chosen.append(number)
        elif kind is Kind.UUID:
            identity = value if isinstance(value, uuid.UUID) else canonical_uuid(str(value))
            if identity is not None:
                chosen.append(identity)
        elif kind is Kind.TEXT:
            chosen.append(str(value))
        else:
            # SQLite: a value and its text are two values, and a column may hold either.
            number = whole(value, bounds) if isinstance(value, str) else None
            chosen += [value, str(value)] if number is None else [value, number]
    return chosen
