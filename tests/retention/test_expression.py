"""Conditions from text: an allow-list, and everything else is refused with what, where and what to write instead."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention import expression
from retention.condition import And, Compare, Condition, In, IsNull, Not, Or
from tests.retention.conditions import conditions


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("status = 'open'", Compare("status", "=", "open")),
        ("status != 'it''s'", Compare("status", "<>", "it's")),
        ("amount > 0", Compare("amount", ">", 0)),
        ("amount >= -1.50", Compare("amount", ">=", Decimal("-1.50"))),
        ("0 < amount", Compare("amount", ">", 0)),
        ("opted_in", Compare("opted_in", "=", True)),
        ("not opted_in", Not(Compare("opted_in", "=", True))),
        ("opted_in = false", Compare("opted_in", "=", False)),
        ("closed < DATE '2026-01-31'", Compare("closed", "<", date(2026, 1, 31))),
        ("kind in ('a', 'b')", In("kind", ("a", "b"))),
        ("kind NOT IN ('a')", In("kind", ("a",), negated=True)),
        ("not kind in ('a')", In("kind", ("a",), negated=True)),
        ("closed is null", IsNull("closed")),
        ("closed IS NOT NULL", IsNull("closed", negated=True)),
        ("a and b and c", And((Compare("a", "=", True), Compare("b", "=", True), Compare("c", "=", True)))),
        (
            "(a or b) and c",
            And((Or((Compare("a", "=", True), Compare("b", "=", True))), Compare("c", "=", True))),
        ),
        ("user = 'x'", Compare("user", "=", "x")),
        (" \n a \t= 1 ", Compare("a", "=", 1)),
    ],
)
def test_an_allowed_expression_becomes_a_condition(text: str, condition: Condition) -> None:
    assert expression.parse(text) == condition


REFUSED = [
    ("", "empty", "leave the key out"),
    ("   ", "empty", "leave the key out"),
    ("x = NULL", "compares with NULL", "is null"),
    ("x <> null", "compares with NULL", "is null"),
    ("x in (1, null)", "compares with NULL", "is null"),
    ("x = lower('A')", "a function is not allowed: \"LOWER('A')\"", "compare columns with values"),
    ("now() > x", "a function is not allowed", "compare columns"),
    ("x = current_date", "a function is not allowed", "compare columns"),
    ("pg_sleep(10)", "a function is not allowed: 'PG_SLEEP(10)'", "compare columns"),
    ("count(*) > 1", "a function is not allowed", "compare columns"),
    ("x in (select id from patrons)", "a subquery is not allowed", "blocked-by"),
    ("exists (select 1)", "a subquery is not allowed", "blocked-by"),
    ("x = (select 1)", "a subquery is not allowed", "blocked-by"),
    ("select 1", "a subquery is not allowed", "blocked-by"),
    ("drop table patrons", "not allowed", "docs/schedule.md"),
    ("x = 1; drop table patrons", "more than one statement", "one expression"),
    ("x = 1;", "more than one statement", "one expression"),
    ("x = 1 -- y", "a comment", "TOML comment"),
    ("x = 1 /* y */", "a comment", "TOML comment"),
    ("x + 1 = 2", "arithmetic is not allowed: 'x + 1'", "write the result"),
    ("x = -(-1)", "arithmetic", "write the result"),
    ("x || y = 'z'", "joining texts", "by itself"),
    ("x = 'a' 'b'", "joining texts", "by itself"),
    ("x = y", "compares two columns: 'x = y'", "with a value"),
    ("x in (y)", "a column where a value belongs", "'text'"),
    ("t.x = 1", "a qualified column: 't.x'", "write x"),
    ('"weird name" = 1', "a quoted or special name", "plain letters"),
    ('x = "text"', "compares two columns", "with a value"),
    ("naïve = 1", "a quoted or special name", "plain letters"),
    ("*", "* is not allowed", "name one column"),
    ("1 = 1", "a value where a column belongs", "compare a column"),
    ("true", "not a condition", "compare a column"),
    ("1", "not a condition", "compare a column"),
    ("x = ?", "a parameter", "the value itself"),
    ("x = :name", "a parameter", "the value itself"),
    ("x = $1", "a parameter", "the value itself"),
    ("x between 1 and 2", "between", "x >= low".replace("x", "column")),
    ("x like 'a%'", "a text pattern", "list the values"),
    ("x < 'b'", "orders text", "DATE"),
    ("x > true", "orders truth", "DATE"),
    ("x is true", "is with a value", "column = true"),
    ("x is distinct from 1", "is distinct from", "is null"),
    ("x in ()", "an empty list", "at least one"),
    ("case when x then 1 end", "a case", "and / or"),
    ("cast(x as int) = 1", "a cast", "only dates"),
    ("x::text = 'a'", "a cast", "only dates"),
    ("x = DATE '2026-02-30'", "no such day: '2026-02-30'", "DATE '2026-01-31'"),
    ("x = DATE 'yesterday'", "not a date", "DATE '2026-01-31'"),
    ("x = 1e400", "a number out of range", "12.50"),
    ("x = 0x10", "a special literal", "write text"),
    ("x = E'\\n'", "a special literal", "write text"),
    ("x = $$a$$", "a special literal", "write text"),
    ("x = 1 y", "something after the expression", "and / or"),
    ("x =", "not an expression at character 3", "for example"),
    ("x = 'open", "not an expression", "for example"),
    ("(x = 1", "not an expression", "for example"),
    ("x = 1\x00", "control characters", "one line"),
    ("x = 1 or " * 400 + "x = 1", "longer than 2000", "narrower rules"),
    ("(" * 900 + "x" + ")" * 900, "nested too deeply", "narrower rules"),
]


@pytest.mark.parametrize(
    ("text", "reason", "hint"), REFUSED, ids=[text[:30] or "empty" for text, _, _ in REFUSED]
)
def test_everything_else_is_refused_with_what_and_a_hint(text: str, reason: str, hint: str) -> None:
    with pytest.raises(expression.ExpressionRefused) as refused:
        expression.parse(text)
    assert reason in refused.value.reason
    assert hint in refused.value.hint
    assert "\n" not in refused.value.reason


@given(conditions)
def test_a_condition_survives_being_written_and_read(condition: Condition) -> None:
    text = expression.format(condition)
    if len(text) <= expression.LONGEST:
        assert expression.parse(text) == condition


@given(st.text(max_size=60) | st.text("xy=<>()'\" ;-*/.,%$1n", max_size=40))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    try:
        condition = expression.parse(text)
    except expression.ExpressionRefused:
        return
    assert expression.parse(expression.format(condition)) == condition
