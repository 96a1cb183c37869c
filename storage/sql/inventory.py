"""Every table of a database with its columns and what it refers to: names, never a row."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedForeignKeyConstraint
from sqlalchemy.engine.reflection import ObjectKind, ObjectScope

from retention.coverage import Place

_SYSTEM = frozenset({"information_schema", "pg_catalog", "pg_toast", "mysql", "performance_schema", "sys"})
_PARTITIONS = sa.text(
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition"
)


def inventory(connection: sa.Connection, prefix: str) -> Iterator[Place]:
    """Tables and materialized views, by schema and name. ``prefix``: of the store's own helper tables, left out.

    Partitions are their table's, and a plain view shows what its tables hold: both are left out.
    """
    looking = sa.inspect(connection)
    backend = connection.engine.url.get_backend_name()
    default = looking.default_schema_name
    schemas: list[str | None] = [None]
    partitions: set[tuple[str, str]] = set()
    if backend == "postgresql":
        schemas = [name for name in looking.get_schema_names() if name not in _SYSTEM]
        partitions = {(row.nspname, row.relname) for row in connection.execute(_PARTITIONS)}
    kind = ObjectKind.TABLE | ObjectKind.MATERIALIZED_VIEW
    for schema in schemas:
        columns = looking.get_multi_columns(schema=schema, kind=kind, scope=ObjectScope.DEFAULT)
        keys = looking.get_multi_foreign_keys(schema=schema, kind=kind, scope=ObjectScope.DEFAULT)
        for (own, table), listed in sorted(columns.items(), key=lambda item: item[0][1]):
            if table.startswith(prefix) or (own or "", table) in partitions:
                continue
            yield Place(
                kind="table",
                names=_names(own, table, default),
                columns=tuple(column["name"] for column in listed),
                refers_to=_referred(keys.get((own, table), []), default),
            )


def _names(schema: str | None, table: str, default: str | None) -> tuple[str, ...]:
    """As a schedule may write it: a table of the default schema goes with and without its schema."""
    if schema is None or schema == default:
        return (table, f"{default}.{table}") if default else (table,)
    return (f"{schema}.{table}",)


def _referred(keys: list[ReflectedForeignKeyConstraint], default: str | None) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for key in keys:
        for name in _names(key["referred_schema"], key["referred_table"], default):
            names[name] = None
    return tuple(names)
