"""Conditions decided on values in memory, with SQL's three-valued logic: true, false, or ``None`` for unknown.

Refuses to guess: an empty column, two values that do not compare (text with a number, a date with text, a zoned time with a
calendar date, text by size: its order depends on the database's collation) and an empty list all come out unknown.
Never raises on a value. Must agree with what `storage.sql.predicate` compiles for databases.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from retention.condition import And, Compare, Condition, In, IsNull, Not, Or
from retention.records import Value

_OPERATORS: dict[str, Callable[[Any, Any], object]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def evaluate(condition: Condition, fields: Mapping[str, Value]) -> bool | None:
    """The condition's truth for a record with these columns; a column that is not there is NULL."""
    match condition:
        case Compare(column, comparator, value):
            return compare(fields.get(column), comparator, value)
        case In(column, values, negated):
            found = _any(compare(fields.get(column), "=", value) for value in values) if values else None
            return _not(found) if negated else found
        case IsNull(column, negated):
            return (fields.get(column) is None) is not negated
        case Not(part):
            return _not(evaluate(part, fields))
        case And(parts):
            return _not(_any(_not(evaluate(part, fields)) for part in parts)) if parts else None
        case Or(parts):
            return _any(evaluate(part, fields) for part in parts) if parts else None


def columns(condition: Condition) -> frozenset[str]:
    """Every column the condition asks for."""
    match condition:
        case Compare(column) | In(column) | IsNull(column):
            return frozenset({column})
        case Not(part):
            return columns(part)
        case And(parts) | Or(parts):
            return frozenset[str]().union(*map(columns, parts))


def compare(left: Value, comparator: str, right: Value) -> bool | None:
    """Compare two values as SQL does; ``None`` when one is missing or they are of kinds that do not compare."""
    test = _OPERATORS.get(comparator)
    pair = _comparable(left, right)
    if test is None or pair is None:
        return None
    if comparator not in {"=", "<>"} and isinstance(pair[0], str | bool):
        return None
    return bool(test(*pair))


def _comparable(left: Value, right: Value) -> tuple[object, object] | None:
    if left is None or right is None:
        return None
    if isinstance(left, str) or isinstance(right, str):
        return (left, right) if isinstance(left, str) and isinstance(right, str) else None
    if isinstance(left, date) or isinstance(right, date):
        return _comparable_dates(left, right) if isinstance(left, date) and isinstance(right, date) else None
    if isinstance(left, float) or isinstance(right, float):
        return _comparable_floats(left, right)
    if any(isinstance(value, Decimal) and not value.is_finite() for value in (left, right)):
        return None
    if isinstance(left, bool) != isinstance(right, bool) and not {left, right} <= {0, 1}:
        return None
    return left, right


def _comparable_dates(left: date, right: date) -> tuple[object, object] | None:
    zoned = [isinstance(value, datetime) and value.tzinfo is not None for value in (left, right)]
    if zoned[0] != zoned[1]:
        return None
    if isinstance(left, datetime) == isinstance(right, datetime):
        return left, right
    return _midnight(left), _midnight(right)


def _midnight(day: date) -> datetime:
    return day if isinstance(day, datetime) else datetime.combine(day, time.min)


def _comparable_floats(left: float | Decimal, right: float | Decimal) -> tuple[object, object] | None:
    if isinstance(left, bool) or isinstance(right, bool):
        return None
    try:
        pair = float(left), float(right)
    except (OverflowError, ValueError):
        return None
    return pair if all(map(math.isfinite, pair)) else None


def _not(truth: bool | None) -> bool | None:
    return None if truth is None else not truth


def _any(truths: Iterable[bool | None]) -> bool | None:
    unknown = False
    for truth in truths:
        if truth:
            return True
        unknown = unknown or truth is None
    return None if unknown else False
