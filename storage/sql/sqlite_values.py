"""SQLite's values compared as Python compares them, each by the type it has itself.

Times are texts of mixed forms (a date, a naive time, a time with "Z" or "+02:00"). Each is brought into one form in SQL, and
both sides work from that: text of 26 characters that sorts as time does. Refused as no time at all: numbers (nobody
knows whether they count days or seconds), "now", "12:00" (SQLite reads it as noon of a day in 2000) and 31 February.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from retention.records import Value
from storage.sql.catalog_sqlite import affinity
from storage.sql.comparing import FINITE, FIRST_YEAR, LAST_YEAR, UNKNOWN, Comparing, apply, provided
from storage.sql.kinds import Cut, Kind, Plain, Ref, Truth

GRAIN = timedelta(milliseconds=1)
"""SQLite keeps milliseconds; a finer time is about the millisecond before and after as well."""

DATE, WALL, INSTANT = "d", "n", "z"
_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"
_ZONED = ("*[Zz]", "*[+-][0-9][0-9]:[0-9][0-9]")
_MIDNIGHT = " 00:00:00.000000"


def written(moment: datetime) -> sa.ColumnElement[Any]:
    """A bound time in the one form."""
    return sa.literal(moment.replace(tzinfo=None).isoformat(" ", "microseconds"), sa.Text())


def _fixed(text: str) -> sa.ColumnElement[Any]:
    return sa.literal_column(f"'{text}'", sa.Text())


def _glob(at: sa.ColumnElement[Any], pattern: str) -> Truth:
    found: Truth = at.op("GLOB", is_comparison=True)(_fixed(pattern))
    return found


class SqliteComparing(Comparing):
    grain = GRAIN

    def text(self, ref: Ref) -> sa.ColumnElement[Any]:
        return sa.cast(ref.at, sa.Text()).collate("BINARY")

    def same(self, theirs: Ref, ours: Ref) -> Truth:
        # This way round: a foreign key goes by the collation and the affinity of the column that is referred to.
        equal = ours.at == theirs.at
        if affinity(theirs.column.declared) == affinity(ours.column.declared):
            return equal
        return sa.or_(equal, self.text(theirs) == self.text(ours))

    # Times in one form

    def _zoned(self, ref: Ref) -> Truth:
        return sa.or_(*(_glob(ref.at, pattern) for pattern in _ZONED))

    def _form(self, ref: Ref) -> sa.ColumnElement[Any]:
        """Which of the three a readable value is."""
        if ref.kind is Kind.LOOSE_DAY:
            return _fixed(DATE)
        return sa.case(
            (self._zoned(ref), _fixed(INSTANT)),
            (sa.func.length(ref.at) == 10, _fixed(DATE)),
            else_=_fixed(WALL),
        )

    def readable(self, ref: Ref) -> sa.ColumnElement[Any]:
        """The value in the one form; NULL when it is no time."""
        # The modifier makes SQLite work it out anew: without it "24:00" and 31 February come back as they are.
        form, again = _fixed("%Y-%m-%d %H:%M:%f"), _fixed("+0 seconds")
        exact = sa.func.strftime(form, ref.at, again, type_=sa.Text())
        day = sa.func.substr(ref.at, 1, 10)
        guards = [
            sa.func.typeof(ref.at) == _fixed("text"),
            _glob(ref.at, _DAY),
            _glob(ref.at, "*[0-9Zz]"),  # no white space after it: the zone is looked for at the end
            day == sa.func.date(day, again),
            day
            >= _fixed(
                f"{FIRST_YEAR:04}"
            ),  # the column itself would turn the bound into a number (its affinity)
            day < _fixed(f"{LAST_YEAR:04}"),
        ]
        if ref.kind is Kind.LOOSE_DAY:
            guards += [sa.not_(self._zoned(ref)), exact.is_not(sa.null())]
            return sa.case((sa.and_(*guards), day.op("||")(_fixed(_MIDNIGHT))), else_=sa.null())
        return sa.case((sa.and_(*guards), exact.op("||")(_fixed("000"))), else_=sa.null())

    def present(self, ref: Ref) -> Truth:
        return self.readable(ref).is_not(sa.null())

    def cut(self, ref: Ref, operator: str, cut: Cut) -> Truth:
        wall, instant = cut.wall, cut.instant
        day = datetime.combine(cut.day, time.min)
        value = self.readable(ref)
        if ref.kind is Kind.LOOSE_DAY:
            return apply(value, operator, written(day))
        return sa.case(
            (self._form(ref) == _fixed(DATE), apply(value, operator, written(day))),
            (self._form(ref) == _fixed(WALL), apply(value, operator, written(wall))),
            else_=apply(value, operator, written(instant)),
        )

    # Conditions

    def compare(self, ref: Ref, operator: str, value: Value) -> Truth:
        if value is None:
            return UNKNOWN
        if ref.kind in {Kind.LOOSE_TIME, Kind.LOOSE_DAY}:
            return self._compare_time(ref, operator, value)
        if isinstance(value, str):
            if operator not in {"=", "<>"}:
                return UNKNOWN
            return provided(
                self._is(ref, "text"), apply(self.text(ref), operator, sa.literal(value, sa.Text()))
            )
        if isinstance(value, date):
            return UNKNOWN
        return self._compare_number(ref, operator, value)

    def _is(self, ref: Ref, type_: str) -> Truth:
        found: Truth = sa.func.typeof(ref.at) == _fixed(type_)
        return found

    def _compare_time(self, ref: Ref, operator: str, value: Value) -> Truth:
        if not isinstance(value, date):
            return UNKNOWN
        zoned = isinstance(value, datetime) and value.tzinfo is not None
        if isinstance(value, datetime):
            bound = written(value.astimezone(UTC) if zoned else value)
        else:
            bound = written(datetime.combine(value, time.min))
        is_zoned = self._form(ref) == _fixed(INSTANT)
        return provided(is_zoned if zoned else sa.not_(is_zoned), apply(self.readable(ref), operator, bound))

    def _compare_number(self, ref: Ref, operator: str, value: bool | int | float | Decimal) -> Truth:
        if isinstance(value, float | Decimal) and not math.isfinite(value):
            return UNKNOWN
        # The cast takes the column's affinity away; each value already has the type that is cast to.
        whole: sa.ColumnElement[Any] = sa.cast(ref.at, sa.Integer())
        real: sa.ColumnElement[Any] = sa.cast(ref.at, sa.Double())
        if isinstance(value, bool):
            truth = sa.and_(
                self._is(ref, "integer"), whole.in_([sa.literal_column("0"), sa.literal_column("1")])
            )
            return provided(truth, apply(whole, operator, sa.literal(int(value), sa.Integer())))
        in_wholes: Any = UNKNOWN if isinstance(value, float) else self.compare_whole(whole, operator, value)
        in_reals: Any = UNKNOWN
        with suppress(OverflowError):
            against = apply(real, operator, sa.literal(float(value), sa.Double()))
            in_reals = provided(sa.func.abs(real) <= sa.literal(FINITE, sa.Double()), against)
            if isinstance(value, float):
                in_wholes = against
        return sa.case(
            (self._is(ref, "integer"), in_wholes), (self._is(ref, "real"), in_reals), else_=sa.null()
        )

    def missing(self, ref: Ref) -> Truth:
        return (
            self.readable(ref).is_(sa.null())
            if ref.kind in {Kind.LOOSE_TIME, Kind.LOOSE_DAY}
            else ref.at.is_(sa.null())
        )

    def text_among(self, ref: Ref, values: Iterable[str]) -> Truth:
        chosen = sorted(values)
        if not chosen:
            return sa.false()
        return self.text(ref).in_(_each(sa.literal(json.dumps(chosen), sa.Text())))

    # Reading

    def value(self, ref: Ref) -> sa.ColumnElement[Any]:
        if ref.kind in {Kind.LOOSE_TIME, Kind.LOOSE_DAY}:
            return self._form(ref).op("||")(self.readable(ref))
        # A blob is no value of a condition, and it is not missing either.
        return sa.case((self._is(ref, "blob"), sa.literal_column("9e999")), else_=ref.at)

    def plain(self, kind: Kind, raw: Any) -> Value:
        if raw is None:
            return None
        if kind in {Kind.LOOSE_TIME, Kind.LOOSE_DAY}:
            moment = datetime.fromisoformat(raw[1:])
            if raw[0] == DATE:
                return moment.date()
            return moment.replace(tzinfo=UTC) if raw[0] == INSTANT else moment
        value: Value = raw
        return value

    def form(self, ref: Ref) -> sa.ColumnElement[Any]:
        return self._form(ref)

    def rank(self, ref: Ref) -> sa.ColumnElement[Any]:
        return self.readable(ref)

    def ranked(self, kind: Kind, form: str, raw: Any) -> date:
        return super().ranked(kind, form, f"{form}{raw}")

    def fixed(self, ref: Ref, value: Value) -> sa.ColumnElement[Any]:
        if isinstance(value, datetime):
            return sa.literal(value.isoformat(" "), sa.Text())
        if isinstance(value, date):
            return sa.literal(value.isoformat(), sa.Text())
        return sa.literal(float(value) if isinstance(value, Decimal) else value)

    def shown(self, ref: Ref) -> sa.ColumnElement[Any]:
        return sa.cast(ref.at, sa.Text())

    def is_key(self, ref: Ref) -> Truth:
        return self._is(ref, "integer" if ref.kind is Kind.INTEGER else "text")

    def among(self, ref: Ref, name: str) -> Truth:
        return ref.at.in_(_each(sa.bindparam(name, type_=sa.Text())))

    def exactly_among(self, ref: Ref, name: str) -> Truth:
        return self.among(Ref(ref.column, ref.at.collate("BINARY")), name)

    def listed(self, values: Sequence[Plain]) -> Any:
        return json.dumps(values)


def _each(listed: sa.ColumnElement[Any]) -> Any:
    """The values of a JSON array as rows: one parameter, whatever its length."""
    each = sa.func.json_each(listed).table_valued("value")
    return sa.select(each.c.value)
