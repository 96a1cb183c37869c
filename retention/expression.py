"""Conditions of the schedule from text, and back to text.

``parse`` accepts an allow-list and refuses everything else: one expression made of unqualified columns, literals (text,
numbers, true, false, ``DATE '2026-01-31'``), comparisons of one column with one literal, ``[not] in`` lists of literals,
``is [not] null``, ``and``, ``or``, ``not`` and parentheses. Functions, subqueries, arithmetic, casts, parameters, comments,
quoted names, a second statement: all refused by name. Nothing is executed, and no text of the schedule reaches a database:
sqlglot only makes the tree from which the typed `retention.condition` values are copied.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from retention.condition import And, Compare, Condition, In, IsNull, Not, Or
from retention.records import Value

LONGEST = 2000
"""Characters. Longer conditions are refused: nobody can read them."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
"""A plain column name. 63 characters is the shortest limit of the databases we know (PostgreSQL)."""

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

_HINTS: tuple[tuple[tuple[type[exp.Expr], ...], str, str], ...] = (
    ((exp.Subquery, exp.Select, exp.Exists), "a subquery", "declare the other table as blocked-by of the location"),
    ((exp.Between,), "between", "write: column >= low and column <= high"),
    ((exp.Like, exp.ILike, exp.RegexpLike, exp.SimilarTo), "a text pattern", "list the values: column in ('a', 'b')"),
    ((exp.Cast, exp.TryCast), "a cast", "only dates are cast: DATE '2026-01-31'"),
    ((exp.Placeholder, exp.Parameter), "a parameter", "write the value itself"),
    ((exp.Alias, exp.Aliases), "something after the expression", "join conditions with and / or"),
    ((exp.Star,), "*", "name one column"),
    ((exp.Case, exp.If), "a case", "use and / or"),
    ((exp.Is,), "is with a value", "only: column is null, column is not null; write column = true for truth"),
    ((exp.NullSafeEQ, exp.NullSafeNEQ), "is distinct from", "use = or <> together with is null"),
    ((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg), "arithmetic", "write the result as a number"),
    ((exp.DPipe, exp.Concat), "joining texts", "compare each column by itself"),
    ((exp.ByteString, exp.RawString, exp.HexString, exp.BitString, exp.UnicodeString, exp.National), "a special literal", "write text as 'text'"),
    ((exp.Func,), "a function", "compare columns with values; make a generated column or a view for anything computed"),
)  # fmt: skip


class ExpressionRefused(ValueError):
    """The text is not an allowed condition. ``reason`` says what and where, ``hint`` what to write instead."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason, hint)
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return self.reason


def parse(text: str) -> Condition:
    """Make a condition from text. Raises `ExpressionRefused` for whatever is not on the allow-list."""
    if len(text) > LONGEST:
        raise ExpressionRefused(f"longer than {LONGEST} characters", "split it into several narrower rules")
    if not text.isprintable() and any(ord(letter) < 32 and letter not in "\t\r\n" for letter in text):
        raise ExpressionRefused("control characters in it", "write it by hand, on one line")
    try:
        tokens = sqlglot.tokenize(text, read="postgres")
        if any(token.comments for token in tokens):
            raise ExpressionRefused("a comment in it", "use a TOML comment: # at the end of the line")
        statements = sqlglot.parse(text, read="postgres") if tokens else []
        if not statements or statements[0] is None:
            raise ExpressionRefused("empty", "leave the key out when there is no condition")
        if len(statements) > 1 or any(
            token.text == ";" for token in tokens if token.token_type.name == "SEMICOLON"
        ):
            raise ExpressionRefused(
                "more than one statement (a semicolon)", "write one expression, without ;"
            )
        return _condition(statements[0])
    except SqlglotError as error:
        raise ExpressionRefused(
            f"not an expression{_where(error)}", "for example: status = 'open' and amount > 0"
        ) from error
    except RecursionError as error:
        raise ExpressionRefused("nested too deeply", "split it into several narrower rules") from error


def _where(error: SqlglotError) -> str:
    details = getattr(error, "errors", None) or [{}]
    column, near = details[0].get("col"), details[0].get("highlight")
    return (f" at character {column}" if column else "") + (f", near {near!r}" if near else "")


def _condition(node: exp.Expr) -> Condition:
    match node:
        case exp.Paren():
            _only(node, "this")
            return _condition(node.this)
        case exp.And() | exp.Or():
            _only(node, "this", "expression")
            return _joined(node)
        case exp.Not():
            _only(node, "this")
            if isinstance(
                node.this, exp.In | exp.Is
            ):  # "not in", "is not null", as older sqlglot writes them
                return _negated(_condition(node.this))
            return Not(_condition(node.this))
        case exp.Is():
            return _is_null(node)
        case exp.In():
            return _in(node)
        case exp.Column():
            return Compare(_column(node), "=", True)
    comparator = _COMPARISONS.get(type(node))
    if comparator is None:
        raise _refusal(node)
    return _compare(node, comparator)


def _joined(node: exp.Expr) -> Condition:
    kind = And if isinstance(node, exp.And) else Or
    parts: list[Condition] = []
    for side in (node.this, node.expression):
        part = _condition(side)
        parts.extend(part.parts if isinstance(part, kind) else (part,))
    return kind(tuple(parts))


def _negated(part: Condition) -> Condition:
    if isinstance(part, In):
        return In(part.column, part.values, negated=not part.negated)
    if isinstance(part, IsNull):
        return IsNull(part.column, negated=not part.negated)
    return Not(part)


def _is_null(node: exp.Is) -> Condition:
    _only(node, "this", "expression", "negate")
    if not isinstance(node.expression, exp.Null):
        raise _refusal(node)
    return IsNull(_column(node.this), negated=bool(node.args.get("negate")))


def _in(node: exp.In) -> Condition:
    if node.args.get("query") is not None:
        raise _refusal(node.args["query"])
    _only(node, "this", "expressions")
    column = _column(node.this)
    values = tuple(_value(item) for item in node.expressions)
    if not values:
        raise ExpressionRefused(f"an empty list for {column}", "name at least one value")
    return In(column, values)


def _compare(node: exp.Expr, comparator: str) -> Condition:
    _only(node, "this", "expression")
    left, right = node.this, node.expression
    if isinstance(left, exp.Column) and isinstance(right, exp.Column):
        raise ExpressionRefused(
            f"compares two columns: {_excerpt(node)}",
            "compare a column with a value; make a generated column otherwise",
        )
    if isinstance(right, exp.Column):
        left, right, comparator = right, left, _MIRRORED[comparator]
    column, value = _column(left), _value(right)
    if isinstance(value, str | bool) and comparator not in {"=", "<>"}:
        raise ExpressionRefused(
            f"orders {'text' if isinstance(value, str) else 'truth'}: {_excerpt(node)}",
            "databases sort text differently: use =, <> or in; for dates write DATE '2026-01-31'",
        )
    return Compare(column, comparator, value)


def _column(node: exp.Expr) -> str:
    if not isinstance(node, exp.Column):
        if isinstance(node, exp.Literal | exp.Boolean | exp.Null):
            raise ExpressionRefused(
                f"a value where a column belongs: {_excerpt(node)}", "compare a column with a value"
            )
        raise _refusal(node)
    identifier = node.this
    if not isinstance(identifier, exp.Identifier):
        raise _refusal(identifier)
    if any(node.args.get(part) for part in ("table", "db", "catalog")):
        raise ExpressionRefused(
            f"a qualified column: {_excerpt(node)}",
            f"columns belong to the location's own table: write {identifier.this}",
        )
    _only(node, "this")
    if identifier.args.get("quoted") or not NAME.fullmatch(identifier.this):
        raise ExpressionRefused(
            f"a quoted or special name: {_excerpt(node)}",
            "names are plain letters, digits and _; text is written 'text'",
        )
    return str(identifier.this)


def _value(node: exp.Expr) -> Value:
    match node:
        case exp.Null():
            raise ExpressionRefused(
                "compares with NULL, which is never true", "write: column is null, column is not null"
            )
        case exp.Boolean():
            return bool(node.this)
        case exp.Literal():
            _only(node, "this", "is_string")
            return str(node.this) if node.is_string else _number(node.this)
        case exp.Neg(this=exp.Literal(is_string=False) as literal):
            return -_number(literal.this)
        case exp.Cast(this=exp.Literal(is_string=True) as literal) if node.to.this == exp.DataType.Type.DATE:
            _only(node, "this", "to")
            return _date(literal.this)
        case exp.Paren():
            return _value(node.this)
        case exp.Column():
            raise ExpressionRefused(
                f"a column where a value belongs: {_excerpt(node)}", "text is written 'text'"
            )
    raise _refusal(node)


def _number(text: str) -> int | Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ExpressionRefused(f"not a number: {text[:40]!r}", "write 12 or 12.50") from error
    if not text.isdigit() and not (number.is_finite() and abs(number.adjusted()) < 100):
        raise ExpressionRefused(f"a number out of range: {text[:40]!r}", "write 12 or 12.50")
    return int(text) if text.isdigit() else number


def _date(text: str) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise ExpressionRefused(f"not a date: {text[:40]!r}", "write DATE '2026-01-31'")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ExpressionRefused(f"no such day: {text!r}", "write DATE '2026-01-31'") from error


def _only(node: exp.Expr, *known: str) -> None:
    """Refuse what a version of sqlglot may hang on a node beyond the parts we read."""
    for name, part in node.args.items():
        if part and name not in known and not name.startswith("_"):
            raise ExpressionRefused(
                f"not allowed: {_excerpt(node)} ({name})", "see docs/schedule.md, Conditions"
            )


def _refusal(node: exp.Expr) -> ExpressionRefused:
    for kinds, name, hint in _HINTS:
        if isinstance(node, kinds):
            return ExpressionRefused(f"{name} is not allowed: {_excerpt(node)}", hint)
    if isinstance(node, exp.Literal | exp.Boolean | exp.Null):
        return ExpressionRefused(f"not a condition: {_excerpt(node)}", "compare a column with a value")
    return ExpressionRefused(f"not allowed: {_excerpt(node)}", "see docs/schedule.md, Conditions")


def _excerpt(node: exp.Expr) -> str:
    text = " ".join(node.sql(dialect="postgres").split())
    return repr(text if len(text) <= 60 else text[:57] + "...")


def format(condition: Condition) -> str:
    """The condition as text that `parse` reads back to the same value."""
    match condition:
        case Compare(column, comparator, value):
            return f"{column} {comparator} {_literal(value)}"
        case In(column, values, negated):
            return f"{column} {'not in' if negated else 'in'} ({', '.join(map(_literal, values))})"
        case IsNull(column, negated):
            return f"{column} is {'not ' if negated else ''}null"
        case Not(part):
            return f"not ({format(part)})"
        case And(parts):
            return " and ".join(map(_grouped, parts))
        case Or(parts):
            return " or ".join(map(_grouped, parts))


def _grouped(part: Condition) -> str:
    return f"({format(part)})" if isinstance(part, And | Or) else format(part)


def _literal(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | Decimal() | float():
            return f"{value:f}" if isinstance(value, Decimal) else repr(value)
        case str():
            return "'" + value.replace("'", "''") + "'"
        case datetime() | None:
            raise TypeError("conditions compare with text, numbers, truth and days only")
        case date():
            return f"DATE '{value.isoformat()}'"
