"""Values compared in SQL exactly as `retention.evaluate` compares them in Python: the same truth, and the same "unknown".

Every comparison that Python calls unknown comes out NULL here. Values travel as bound parameters, never as text in a statement.
`Comparing` holds what all engines share; each engine's subclass says how it tells texts apart, what it counts as a
readable date, and how a long list of values is passed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.sql.elements import Grouping

from retention.records import Value
from storage.sql.kinds import NUMBERS, Cut, Kind, Plain, Ref, Truth

UNKNOWN: Truth = sa.literal_column("NULL", sa.Boolean())
Operator = Literal["<", "<=", "=", "<>", ">", ">="]

FIRST_YEAR, LAST_YEAR = 2, 9998
"""Dates outside are called missing: Python cannot carry them through a change of zone, and "-infinity" is no date."""
FIRST = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
END = datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
FINITE = 1.7976931348623157e308


def apply(left: sa.ColumnElement[Any], operator: str, right: sa.ColumnElement[Any]) -> Truth:
    """``left operator right`` for one of the six comparators."""
    match operator:
        case "=":
            return left == right
        case "<>":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right
    return UNKNOWN


def surely(truth: Truth) -> Truth:
    """True or false, never NULL: whether it is true."""
    # Always in brackets: "NOT x IS TRUE" asks for the opposite of x IS TRUE.
    return sa.false() if truth is UNKNOWN else Grouping(truth).is_(sa.true())


def surely_not(truth: Truth) -> Truth:
    """True or false, never NULL: whether it is false."""
    return sa.false() if truth is UNKNOWN else Grouping(truth).is_(sa.false())


def unsurely(truth: Truth) -> Truth:
    """True or false, never NULL: whether it is unknown."""
    return sa.true() if truth is UNKNOWN else Grouping(truth).is_(sa.null())


def provided(guard: Truth, truth: Truth) -> Truth:
    """``truth`` where ``guard`` holds, else unknown."""
    return UNKNOWN if truth is UNKNOWN else sa.case((guard, truth), else_=sa.null())


def either(*truths: Truth) -> Truth:
    """Whether one of them is true; false when there are none."""
    return sa.or_(*truths) if truths else sa.false()


def against_whole(operator: str, number: int | Decimal) -> tuple[str, int] | bool:
    """The same comparison of a whole number with a whole number; or the answer, where that is the same for every one."""
    floor = int(number.to_integral_value(ROUND_FLOOR)) if isinstance(number, Decimal) else number
    ceiling = int(number.to_integral_value(ROUND_CEILING)) if isinstance(number, Decimal) else number
    if operator in {"=", "<>"}:
        return (operator, floor) if floor == ceiling else operator == "<>"
    return (operator, ceiling if operator in {"<", ">="} else floor)


class Comparing:
    """Expressions that all engines share."""

    whole_numbers: tuple[int, int] = (-(2**63), 2**63 - 1)
    double: sa.types.TypeEngine[Any] = sa.Double()
    grain: timedelta = timedelta(0)
    """How coarsely the engine hands times over: so far before and after a time, a record may still be about it."""
    groups_by_truths: bool = False
    """Whether rows are counted by each reason's truth, instead of by one word for the first that is true."""

    # What the engine's subclass says

    def text(self, ref: Ref) -> sa.ColumnElement[Any]:
        """A text column so that ``=`` tells every two texts apart."""
        raise NotImplementedError

    def present(self, ref: Ref) -> Truth:
        """Whether a date or time is there and can be read. May come out NULL for "no"."""
        raise NotImplementedError

    def text_among(self, ref: Ref, values: Iterable[str]) -> Truth:
        """Whether the column's text is one of the values; thousands are fine. NULL for NULL."""
        raise NotImplementedError

    def instant(self, moment: datetime) -> sa.ColumnElement[Any]:
        """A bound instant."""
        return sa.literal(moment.astimezone(UTC), sa.DateTime(timezone=True))

    def decimal(self, number: Decimal) -> sa.ColumnElement[Any]:
        return sa.literal(number, sa.Numeric(asdecimal=True))

    def finite(self, ref: Ref) -> Truth | None:
        """Whether a decimal or floating number is a number; ``None`` when the engine has no others."""
        return None

    # Conditions

    def compare(self, ref: Ref, operator: str, value: Value) -> Truth:
        """``column operator value``; NULL wherever `retention.evaluate.compare` gives ``None``."""
        if value is None or ref.kind is Kind.OPAQUE:
            return UNKNOWN
        if ref.kind in {Kind.TEXT, Kind.UUID}:
            if not isinstance(value, str) or operator not in {"=", "<>"}:
                return UNKNOWN
            return self.compare_text(ref, operator, value)
        if ref.kind in {Kind.DATE, Kind.WALL, Kind.INSTANT}:
            return self._compare_moment(ref, operator, value)
        if isinstance(value, str | date):
            return UNKNOWN
        if ref.kind is Kind.BOOLEAN:
            if isinstance(value, float) or value not in {0, 1} or operator not in {"=", "<>"}:
                return UNKNOWN
            return apply(ref.at, operator, sa.literal(bool(value), sa.Boolean()))
        if isinstance(value, bool):
            return self._compare_truth(ref, operator, value)
        if isinstance(value, float) or ref.kind is Kind.FLOAT:
            return self._compare_floats(ref, operator, value)
        if isinstance(value, Decimal) and not value.is_finite():
            return UNKNOWN
        if ref.kind is Kind.INTEGER:
            return self.compare_whole(ref.at, operator, value)
        return self._if_finite(ref, apply(ref.at, operator, self.decimal(Decimal(value))))

    def same(self, theirs: Ref, ours: Ref) -> Truth:
        """Whether a row of another table refers to ours. Wide, since it only ever keeps: whatever the database itself takes for
        equal, as its foreign keys do; where it has no say, the very same text."""
        kinds = {theirs.kind, ours.kind}
        if kinds <= NUMBERS or (len(kinds) == 1 and theirs.column.equality == ours.column.equality):
            return theirs.at == ours.at
        left, right = self.text(theirs), self.text(ours)
        # An identifier may be written in capitals.
        return sa.func.lower(left) == sa.func.lower(right) if Kind.UUID in kinds else left == right

    def compare_text(self, ref: Ref, operator: str, value: str) -> Truth:
        return apply(self.text(ref), operator, sa.literal(value, sa.Text()))

    def compare_whole(self, at: sa.ColumnElement[Any], operator: str, value: int | Decimal) -> Truth:
        reduced = against_whole(operator, value)
        if isinstance(reduced, tuple):
            operator, number = reduced
            low, high = self.whole_numbers
            if low <= number <= high:
                return apply(at, operator, sa.literal(number, sa.BigInteger()))
            reduced = operator == "<>" or (operator[0] == "<") == (number > 0)
        return provided(at.is_not(sa.null()), sa.true() if reduced else sa.false())

    def _compare_truth(self, ref: Ref, operator: str, value: bool) -> Truth:
        if ref.kind is Kind.FLOAT:
            return UNKNOWN
        is_truth = ref.at.in_([sa.literal_column("0"), sa.literal_column("1")])
        return provided(is_truth, apply(ref.at, operator, sa.literal(int(value), sa.BigInteger())))

    def _compare_floats(self, ref: Ref, operator: str, value: float | Decimal) -> Truth:
        try:
            number = float(value)
        except (OverflowError, ValueError):
            return UNKNOWN
        if not math.isfinite(number):
            return UNKNOWN
        left = sa.cast(ref.at, self.double)
        return self._if_finite(ref, apply(left, operator, sa.literal(number, self.double)))

    def _if_finite(self, ref: Ref, truth: Truth) -> Truth:
        finite = self.finite(ref)
        return truth if finite is None else provided(finite, truth)

    def _compare_moment(self, ref: Ref, operator: str, value: Value) -> Truth:
        if not isinstance(value, date):
            return UNKNOWN
        zoned = isinstance(value, datetime) and value.tzinfo is not None
        if zoned is not (ref.kind is Kind.INSTANT):
            return UNKNOWN
        left = ref.at
        if isinstance(value, datetime):
            if ref.kind is Kind.DATE:
                left = sa.cast(ref.at, self.wall_type)
            right = self.instant(value) if zoned else self.wall(value)
        elif ref.kind is Kind.DATE:
            right = self.day(value)
        else:
            right = self.wall(datetime.combine(value, time.min))
        return provided(self.present(ref), apply(left, operator, right))

    wall_type: sa.types.TypeEngine[datetime] = sa.DateTime()

    def wall(self, moment: datetime) -> sa.ColumnElement[Any]:
        return sa.literal(moment, self.wall_type)

    def day(self, day: date) -> sa.ColumnElement[Any]:
        return sa.literal(day, sa.Date())

    def missing(self, ref: Ref) -> Truth:
        """Whether Python reads the column as ``None``. Never NULL."""
        return (
            sa.not_(surely(self.present(ref)))
            if ref.kind in {Kind.DATE, Kind.WALL, Kind.INSTANT}
            else ref.at.is_(sa.null())
        )

    # Time

    def cut(self, ref: Ref, operator: str, cut: Cut) -> Truth:
        """``column operator cut`` for a readable value; no function stands around the column, so that an index can serve it."""
        bound = {
            Kind.DATE: lambda: self.day(cut.day),
            Kind.WALL: lambda: self.wall(cut.wall),
            Kind.INSTANT: lambda: self.instant(cut.instant),
        }[ref.kind]()
        return apply(ref.at, operator, bound)

    def fixed(self, ref: Ref, value: Value) -> sa.ColumnElement[Any]:
        """A value to write into the column, as anonymizing does."""
        if isinstance(value, datetime):
            return self.instant(value) if value.tzinfo is not None else self.wall(value)
        if isinstance(value, date):
            return self.day(value)
        if ref.kind is Kind.BOOLEAN:
            return sa.literal(bool(value), sa.Boolean())
        if isinstance(value, Decimal):
            return self.decimal(value)
        return sa.literal(int(value) if isinstance(value, bool) else value)

    # Reading

    def value(self, ref: Ref) -> sa.ColumnElement[Any]:
        """What to select so that `plain` can make the Python value of it."""
        if ref.kind in {Kind.DATE, Kind.WALL, Kind.INSTANT}:
            return sa.case((self.present(ref), self.readable(ref)), else_=sa.null())
        if ref.kind is Kind.OPAQUE:
            return sa.case((ref.at.is_not(sa.null()), sa.literal_column("1")), else_=sa.null())
        if ref.column.single:
            return sa.cast(ref.at, self.double)
        return ref.at

    def readable(self, ref: Ref) -> sa.ColumnElement[Any]:
        return ref.at

    def plain(self, kind: Kind, raw: Any) -> Value:
        """The value as `retention.records` has it. What nothing compares with becomes a number that is none."""
        if raw is None:
            return None
        if kind is Kind.OPAQUE:
            return Decimal("NaN")
        if kind is Kind.INSTANT and isinstance(raw, datetime):
            return raw.astimezone(UTC) if raw.tzinfo is not None else raw.replace(tzinfo=UTC)
        if kind is Kind.UUID:
            return str(raw)
        value: Value = raw
        return value

    def form(self, ref: Ref) -> sa.ColumnElement[Any]:
        """Which form a time has, where a column holds several."""
        return sa.literal_column("''", sa.Text())

    def rank(self, ref: Ref) -> sa.ColumnElement[Any]:
        """A time as what the database can find the smallest and largest of, form by form."""
        return ref.at

    def ranked(self, kind: Kind, form: str, raw: Any) -> date:
        """The time that `rank` stands for."""
        value = self.plain(kind, raw)
        assert isinstance(value, date)
        return value

    def shown(self, ref: Ref) -> sa.ColumnElement[Any]:
        """What to select for a subject or a branch; ``str`` of it is the text that holds are compared with."""
        return ref.at

    # Keys

    def is_key(self, ref: Ref) -> Truth:
        """Whether the row has a key at all. Never NULL."""
        return sa.true()

    def key_type(self, kind: Kind) -> sa.types.TypeEngine[Any]:
        if kind is Kind.INTEGER:
            return sa.BigInteger()
        return sa.Uuid(as_uuid=True) if kind is Kind.UUID else sa.Text()

    def among(self, ref: Ref, name: str) -> Truth:
        """Whether the column is one of the values given as parameter ``name`` (through `listed`) at execution."""
        raise NotImplementedError

    def exactly_among(self, ref: Ref, name: str) -> Truth:
        """The same, where only the very same text counts: "abc" may be one patron and "ABC" another."""
        return self.among(ref, name)

    def joined(self, key: sa.ColumnElement[Any], kind: Kind) -> sa.ColumnElement[Any] | None:
        """Manifest lines of many keys as one text, made in the database; ``None`` where the keys are fetched instead."""
        return None

    def listed(self, values: Sequence[Plain]) -> Any:
        """Values as the parameter that `among` expects."""
        return list(values)
