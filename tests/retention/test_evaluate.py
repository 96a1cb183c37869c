"""Conditions on values: SQL's three-valued logic, checked against a database that has it."""

# ruff: noqa: DTZ001  # columns without a zone are part of what is compared

import sqlite3
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.condition import And, Compare, Condition, In, IsNull, Not, Or
from retention.evaluate import columns, compare, evaluate
from retention.records import Value
from tests.retention import conditions as made


@pytest.mark.parametrize(
    ("left", "comparator", "right", "truth"),
    [
        (1, "=", 1, True),
        (1, "<>", 2, True),
        (2, "<", 10, True),
        (Decimal("1.50"), "=", Decimal("1.5"), True),
        (0.1, "=", Decimal("0.1"), True),
        (1, ">=", 1.5, False),
        ("a", "=", "a", True),
        ("a", "=", "A", False),
        (True, "=", True, True),
        (1, "=", True, True),
        (0, "=", True, False),
        (date(2026, 1, 1), "<", date(2026, 1, 2), True),
        (datetime(2026, 1, 1, 1), ">", date(2026, 1, 1), True),
        (datetime(2026, 1, 1), "=", date(2026, 1, 1), True),
        (datetime(2026, 1, 1, tzinfo=UTC), "<=", datetime(2026, 1, 1, tzinfo=UTC), True),
        # unknown: missing, or kinds that do not compare
        (None, "=", 1, None),
        (1, "=", None, None),
        (None, "=", None, None),
        ("1", "=", 1, None),
        (2, "=", True, None),
        ("2026-01-01", "=", date(2026, 1, 1), None),
        (datetime(2026, 1, 1, tzinfo=UTC), "<", date(2026, 1, 2), None),
        (datetime(2026, 1, 1, tzinfo=UTC), "<", datetime(2026, 1, 2), None),
        ("a", "<", "b", None),
        (False, "<", True, None),
        (float("nan"), "=", 1, None),
        (float("inf"), ">", 1, None),
        (Decimal("NaN"), "=", Decimal("NaN"), None),
        (10**400, "=", 1.5, None),
        (1, "~", 1, None),
    ],
)
def test_values_compare_as_in_sql_or_are_unknown(
    left: Value, comparator: str, right: Value, truth: bool | None
) -> None:
    assert compare(left, comparator, right) is truth


@pytest.mark.parametrize(
    ("condition", "fields", "truth"),
    [
        (In("kind", ("a", "b")), {"kind": "b"}, True),
        (In("kind", ("a", "b")), {"kind": "c"}, False),
        (In("kind", ("a", None)), {"kind": "c"}, None),
        (In("kind", ("a", None)), {"kind": "a"}, True),
        (In("kind", ("a", None), negated=True), {"kind": "c"}, None),
        (In("kind", ("a", None), negated=True), {"kind": "a"}, False),
        (In("kind", ("a",), negated=True), {}, None),
        (In("kind", ()), {"kind": "a"}, None),
        (IsNull("kind"), {}, True),
        (IsNull("kind", negated=True), {"kind": None}, False),
        (Not(Compare("kind", "=", "a")), {}, None),
        (And((Compare("kind", "=", "a"), IsNull("amount", negated=True))), {}, False),
        (Or((Compare("kind", "=", "a"), IsNull("amount"))), {}, True),
        (And(()), {}, None),
        (Or(()), {}, None),
        (Not(And(())), {}, None),
    ],
)
def test_unknown_travels_as_in_sql_and_nothing_is_vacuously_true(
    condition: Condition, fields: Mapping[str, Value], truth: bool | None
) -> None:
    assert evaluate(condition, fields) is truth


@given(made.conditions, made.fields)
def test_no_value_makes_a_condition_fail(condition: Condition, fields: dict[str, Value]) -> None:
    assert evaluate(condition, fields) in {True, False, None}
    assert columns(condition) <= set(made.NAMES)


@given(made.conditions, made.fields, made.fields)
def test_only_the_columns_of_a_condition_decide_it(
    condition: Condition, fields: dict[str, Value], others: dict[str, Value]
) -> None:
    asked = columns(condition)
    rest = {name: value for name, value in others.items() if name not in asked}
    assert evaluate(
        condition, {name: value for name, value in fields.items() if name in asked} | rest
    ) is evaluate(condition, fields)


_integers = st.integers(-3, 3)
_conditions = st.recursive(
    st.builds(Compare, made.names, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), _integers)
    | st.builds(
        In, made.names, st.lists(_integers | st.none(), min_size=1, max_size=3).map(tuple), st.booleans()
    )
    | st.builds(IsNull, made.names, st.booleans()),
    lambda inner: (
        inner.map(Not)
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: And(tuple(parts)))
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: Or(tuple(parts)))
    ),
    max_leaves=6,
)


def _sql(condition: Condition, values: list[Value]) -> str:
    match condition:
        case Compare(column, comparator, value):
            values.append(value)
            return f"({column} {comparator} ?)"
        case In(column, members, negated):
            values.extend(members)
            return f"({column} {'NOT ' if negated else ''}IN ({', '.join('?' * len(members))}))"
        case IsNull(column, negated):
            return f"({column} IS {'NOT ' if negated else ''}NULL)"
        case Not(part):
            return f"(NOT {_sql(part, values)})"
        case And(parts):
            return "(" + " AND ".join(_sql(part, values) for part in parts) + ")"
        case Or(parts):
            return "(" + " OR ".join(_sql(part, values) for part in parts) + ")"


@given(_conditions, st.fixed_dictionaries(dict.fromkeys(made.NAMES, st.none() | _integers)))
def test_a_database_comes_to_the_same_truth(condition: Condition, fields: dict[str, int | None]) -> None:
    values: list[Value] = []
    text = _sql(condition, values)
    row = ", ".join(f"? AS {name}" for name in fields)
    with sqlite3.connect(":memory:") as connection:
        statement = f"WITH record AS (SELECT {row}) SELECT {text} FROM record"
        (answer,) = connection.execute(statement, [*fields.values(), *values]).fetchone()
    connection.close()
    assert evaluate(condition, fields) is (None if answer is None else bool(answer))
