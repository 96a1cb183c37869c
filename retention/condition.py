"""Conditions of the schedule: one SQL-like expression, allow-listed, with SQL's three-valued logic.

A condition is data. It is never pasted into a statement as text: stores compile this tree with bound values.
"""

from __future__ import annotations

from dataclasses import dataclass

from retention.records import Value

Comparator = str
"""One of ``=``, ``<>``, ``<``, ``<=``, ``>``, ``>=``."""


@dataclass(frozen=True, slots=True)
class Compare:
    column: str
    operator: Comparator
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    column: str
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class IsNull:
    column: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Condition, ...]


Condition = Compare | In | IsNull | Not | And | Or
