"""What every form of file with rows can do: name its columns, give its rows, and be written anew without some of them.

A form decides nothing. It refuses what it does not fully understand (`Unreadable`): a file that cannot be read to its end, row
for row, is not changed at all. Reasons quote nothing of the file.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

from retention.columns import places

DIGEST_BYTES = 16


class Unreadable(Exception):
    """The file cannot be read as rows. ``reason`` is for people and holds no data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Row(NamedTuple):
    """One row. ``values``: of the columns asked for, as text; ``None`` for empty. ``odd``: why the row cannot be understood, or
    ``""``. ``raw``: what `Form.rewrite` knows the row by."""

    values: tuple[str | None, ...]
    odd: str
    raw: bytes

    @property
    def digest(self) -> str:
        """Of the whole row without its line end (hex)."""
        return digest_of(self.raw.rstrip(b"\r\n"))


class Change(NamedTuple):
    """How rows are anonymized: new values by column, ``None`` for empty."""

    values: Mapping[str, str | None]


class Rewritten(NamedTuple):
    """What a file was written without. ``rows``: those that were in it, by content; ``gone``: how many of the file's rows that
    were; ``kept``: how many others there are, as `Form.look` counts them.
    """

    rows: frozenset[bytes]
    gone: int
    kept: int


class Form(ABC):
    """One open file. ``file`` stands at its start whenever a method is called, and where it likes afterwards."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    @property
    @abstractmethod
    def columns(self) -> Sequence[str]:
        """The headers. Raises `Unreadable`."""

    @abstractmethod
    def rows(self, wanted: Sequence[str], keys: Collection[str] | None = None) -> Iterator[Row]:
        """Every row that is not empty, with the columns ``wanted`` (plain names). Raises `Unreadable`, also in the middle.

        ``keys``: only rows whose first wanted columns may be one of these; a form may give others too.
        """

    @abstractmethod
    def cells(self) -> Iterator[Sequence[object]]:
        """Every row that is not empty, with all its cells as they are. For looking, not for deciding. Raises `Unreadable`."""

    @abstractmethod
    def rewrite(self, target: BinaryIO, rows: Mapping[bytes, int], change: Change | None) -> Rewritten:
        """Write the file to ``target`` without these rows (by their ``raw``), or with them changed. Nothing else in the file
        changes. Raises `Unreadable`.
        """

    @abstractmethod
    def look(self, rows: Mapping[bytes, int]) -> tuple[frozenset[bytes], int]:
        """Which of these rows are in the file, and how many rows it has; reads it to its end. Raises `Unreadable`."""

    def count(self) -> int:
        """How many rows there are."""
        return sum(1 for _ in self.rows(()))

    def places(self, wanted: Sequence[str]) -> list[int]:
        """Where the wanted columns stand. Raises `Unreadable` for one that is not there, or there twice."""
        found = places(self.columns)
        at = [found.get(name.casefold()) for name in wanted]
        if None in at:
            raise Unreadable("a column that the schedule names is missing")
        if -1 in at:
            raise Unreadable("two columns have a name that the schedule gives")
        return [place for place in at if place is not None]


def digest_of(raw: bytes) -> str:
    """What tells a row's content from any other's. For the case's own spool only: it can be tested against a guess."""
    return hashlib.blake2b(raw, digest_size=DIGEST_BYTES).hexdigest()


def text_of(value: object) -> str | None:
    """A cell's value as text. A whole number that a spreadsheet keeps as a float is that number; ``None`` for nothing."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace") or None
    isoformat = getattr(value, "isoformat", None)
    text = isoformat() if callable(isoformat) else str(value)
    return text.strip() or None
