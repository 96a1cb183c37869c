"""A record as the product sees it: just what a decision needs, never its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Generic, TypeVar

Value = str | int | float | bool | Decimal | date | datetime | None
"""Values that conditions compare. Text, numbers, truth, dates, or missing."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Personal(Generic[T]):
    """Personal data on its way through the program: its ``repr`` and ``str`` hide it.

    ``reveal()`` is the one way to the value; only a comparison with a store or a person's own terminal calls it.
    """

    _value: T

    def reveal(self) -> T:
        return self._value

    def __repr__(self) -> str:
        return "Personal(hidden)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The time a record is about, in UTC, both ends included. ``None`` is unbounded on that side (unknown = may overlap)."""

    start: datetime | None
    end: datetime | None

    def overlaps(self, other: Span) -> bool:
        """Whether the two share a moment, ends included."""
        starts_in_time = self.start is None or other.end is None or self.start <= other.end
        ends_late_enough = self.end is None or other.start is None or self.end >= other.start
        return starts_in_time and ends_late_enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of one record type at one location.

    ``trigger``: an aware datetime; or a naive one, read in the location's zone; or a local date; ``None`` when missing.
    ``subject``: the patron it is about, as text; ``None`` when the record names nobody.
    ``created``: the earliest moment at which it can have come into being (aware); ``None`` when nobody knows.
    ``fields``: the columns that conditions mention. ``related``: for each blocking relation of the location, whether a
    related row exists (``None`` = could not be told). ``undecidable``: a reason why the store itself could not make
    sense of the record (impossible name, symbolic link, several hard links); such a record is always kept.
    """

    record_type: str
    store: str
    location: str
    key: Personal[str]
    trigger: date | datetime | None
    span: Span = Span(start=None, end=None)
    subject: Personal[str] | None = None
    created: datetime | None = None
    camera: str | None = None
    branch: str | None = None
    fields: Mapping[str, Value] = field(default_factory=dict)
    related: Mapping[str, bool | None] = field(default_factory=dict)
    undecidable: str | None = None
    done: bool = False
    """Already de-identified: nothing left to do."""
    kept_by: frozenset[str] | None = None
    """Ids of the holds that cover it, where its store knows and its facts do not tell: they are sealed with the record.
    ``None``: the facts tell."""
    withdrawn: bool = False
    """Somebody entitled withdrew it by name: it does not wait for its minimum. A hold keeps it all the same."""
