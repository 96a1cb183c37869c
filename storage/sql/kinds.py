"""What the store knows of tables and columns: kinds of values, shapes of tables, and cuts in time. Facts only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

Truth = sa.ColumnElement[bool]
"""A condition in SQL; may come out NULL (unknown)."""

Plain = int | str | float | bool | object
"""A value as a driver hands it over."""


class Kind(StrEnum):
    """What a column's values are to Python, whatever its database calls them."""

    INTEGER = "whole numbers"
    DECIMAL = "decimal numbers"
    FLOAT = "floating-point numbers"
    TEXT = "text"
    UUID = "uuid"
    BOOLEAN = "truth values"
    DATE = "dates"
    WALL = "times without a zone"
    INSTANT = "times with a zone"
    LOOSE = "values of any type"
    """SQLite: each value has a type of its own."""
    LOOSE_TIME = "dates and times as text"
    """SQLite: a local date, a naive or a zoned time, told apart value by value."""
    LOOSE_DAY = "dates as text"
    """SQLite: only the day counts."""
    OPAQUE = "values that nothing compares with"


TEMPORAL = frozenset({Kind.DATE, Kind.WALL, Kind.INSTANT, Kind.LOOSE_TIME, Kind.LOOSE_DAY})
NUMBERS = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT})
NAMES_SOMEBODY = frozenset({Kind.INTEGER, Kind.TEXT, Kind.UUID, Kind.LOOSE})
"""Kinds that a subject or a branch may have: their text is the same in SQL and in Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. ``exact``: its database's ``=`` tells every two texts apart (no folding of case, no padding).

    ``auto_updates``: the database sets it to the present moment whenever the row changes.
    ``single``: single-precision floating point. ``declared``: the database's name for its type, for findings.
    """

    name: str
    kind: Kind
    nullable: bool = True
    exact: bool = True
    auto_updates: bool = False
    single: bool = False
    declared: str = ""
    generated: bool = False
    equality: str = ""
    """How the database tells two texts of this column apart (collation; type, where that folds): columns with the same word here
    are compared in one way."""
    folds: bool = False
    """Text that its database changes on the way (case-insensitive or padded types of PostgreSQL): no key."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A column where it stands in a statement."""

    column: Column
    at: sa.ColumnElement[Any]

    @property
    def kind(self) -> Kind:
        return self.column.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something about a table that its schema tells. ``fatal``: nothing may be destroyed there."""

    message: str
    hint: str = ""
    fatal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """A foreign key of another table (or the same one) onto a table. ``on_delete``: the database's words, upper case."""

    schema: str | None
    table: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]
    on_delete: str
    on_update: str

    @property
    def title(self) -> str:
        return f"{self.schema}.{self.table}" if self.schema else self.table


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A table as it is, in its own schema (SQLite: none). ``distinct``: columns that are unique alone; ``unique``: those of them
    that are never NULL.

    ``indexed``: columns that lead an index. ``remarks``: what its kind of table means for destroying in it.
    """

    name: str
    schema: str | None
    columns: Mapping[str, Column]
    distinct: frozenset[str]
    unique: frozenset[str]
    indexed: frozenset[str]
    remarks: tuple[Remark, ...] = ()
    hides: bool = False
    """Rows of it may be hidden from this account."""

    @property
    def title(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def is_same(self, other: Shape | ForeignKey) -> bool:
        """Whether the other is, or belongs to, this very table."""
        name = other.name if isinstance(other, Shape) else other.table
        return (self.schema, self.name) == (other.schema, name)

    def clause(self, alias: str | None = None) -> sa.FromClause:
        """The table for a statement; names are always quoted, so that no name can be read as anything else."""
        quoted: list[Any] = [sa.column(sa.sql.quoted_name(name, quote=True)) for name in self.columns]
        schema = None if self.schema is None else sa.sql.quoted_name(self.schema, quote=True)
        table = sa.table(sa.sql.quoted_name(self.name, quote=True), *quoted, schema=schema)
        return table if alias is None else table.alias(alias)

    def ref(self, clause: sa.FromClause, name: str) -> Ref:
        """Raises ``KeyError`` when the table has no such column."""
        return Ref(self.columns[name], clause.c[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One cut through time, said in the three ways in which a column may hold time."""

    day: date
    wall: datetime
    instant: datetime


def split(table: str) -> tuple[str | None, str]:
    """Schema and name of ``schema.table`` or ``table``."""
    schema, dot, name = table.rpartition(".")
    return (schema, name) if dot else (None, name)
