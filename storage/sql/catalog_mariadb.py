"""MariaDB's information schema: what a table is made of, what refers to it, what runs when its rows go.

It shows an account only what that account has some right on: `docs/stores-databases.md` asks for SELECT on the whole database,
so that a foreign key of a table nobody thought of is seen.
"""

from __future__ import annotations

import sqlalchemy as sa

from storage.sql.kinds import Column, ForeignKey, Kind, Remark, Shape, split

_KINDS = {
    "tinyint": Kind.INTEGER, "smallint": Kind.INTEGER, "mediumint": Kind.INTEGER, "int": Kind.INTEGER,
    "bigint": Kind.INTEGER, "year": Kind.INTEGER, "decimal": Kind.DECIMAL, "float": Kind.FLOAT, "double": Kind.FLOAT,
    "char": Kind.TEXT, "varchar": Kind.TEXT, "tinytext": Kind.TEXT, "text": Kind.TEXT, "mediumtext": Kind.TEXT,
    "longtext": Kind.TEXT, "enum": Kind.TEXT, "set": Kind.TEXT, "uuid": Kind.TEXT, "date": Kind.DATE,
    "datetime": Kind.WALL, "timestamp": Kind.INSTANT,
}  # fmt: skip

_TABLE = sa.text("""
    SELECT table_schema, table_name, table_type, engine FROM information_schema.tables
     WHERE table_schema = coalesce(:schema, DATABASE()) AND table_name = :name
""")
_COLUMNS = sa.text("""
    SELECT column_name, data_type, column_type, is_nullable, extra, is_generated, collation_name FROM information_schema.columns
     WHERE table_schema = :schema AND table_name = :name ORDER BY ordinal_position
""")
_INDEXES = sa.text("""
    SELECT max(CASE WHEN seq_in_index = 1 THEN column_name END), max(non_unique) = 0 AND count(*) = 1 AND max(sub_part) IS NULL
      FROM information_schema.statistics WHERE table_schema = :schema AND table_name = :name GROUP BY index_name
""")
_FOREIGN_KEYS = sa.text("""
    SELECT k.table_schema, k.table_name, k.constraint_name, k.column_name, k.referenced_column_name, r.delete_rule, r.update_rule
      FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r
        ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name
     WHERE k.referenced_table_schema = :schema AND k.referenced_table_name = :name
     ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position
""")
_TRIGGERS = sa.text("""
    SELECT trigger_name FROM information_schema.triggers
     WHERE event_object_schema = :schema AND event_object_table = :name AND event_manipulation = :event ORDER BY 1
""")
_TABLES = sa.text("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")


def shape(connection: sa.Connection, table: str) -> Shape | None:
    """The table as it is; ``None`` when there is none."""
    schema, name = split(table)
    found = connection.execute(_TABLE, {"schema": schema, "name": name}).first()
    if found is None:
        return None
    schema, name, table_type, engine = found
    where = {"schema": schema, "name": name}
    columns = {
        row[0]: Column(
            name=row[0],
            kind=_KINDS.get(row[1].lower(), Kind.OPAQUE),
            nullable=row[3] == "YES",
            exact=False,
            auto_updates="on update" in row[4].lower(),
            single=row[1].lower() == "float",
            declared=row[2],
            generated=row[5] not in {None, "NEVER"},
            equality=row[6] or "",
        )
        for row in connection.execute(_COLUMNS, where)
    }
    indexes = connection.execute(_INDEXES, where).all()
    distinct = frozenset(column for column, unique in indexes if column in columns and unique)
    return Shape(
        name=name,
        schema=schema,
        columns=columns,
        distinct=distinct,
        unique=frozenset(column for column in distinct if not columns[column].nullable),
        indexed=frozenset(column for column, _ in indexes),
        remarks=tuple(_remarks(table_type, engine)),
    )


def _remarks(table_type: str, engine: str | None) -> list[Remark]:
    if table_type == "SYSTEM VERSIONED":
        message = "keeps its own history (WITH SYSTEM VERSIONING): what is deleted stays there"
        return [Remark(message=message, hint="take the versioning off, or leave the table alone", fatal=True)]
    if table_type != "BASE TABLE":
        hint = "name the table behind it: what a view hides cannot be read back"
        return [Remark(message="is not an ordinary table", hint=hint, fatal=True)]
    if engine != "InnoDB":
        message = "is not an InnoDB table: nothing done in it can be taken back or fenced"
        return [Remark(message=message, hint="ALTER TABLE … ENGINE=InnoDB", fatal=True)]
    return []


def tables(connection: sa.Connection) -> list[str]:
    return list(connection.execute(_TABLES).scalars())


def foreign_keys(connection: sa.Connection, onto: Shape) -> list[ForeignKey]:
    grouped: dict[tuple[str, str, str], list[tuple[str, str, str, str]]] = {}
    for row in connection.execute(_FOREIGN_KEYS, {"schema": onto.schema, "name": onto.name}):
        grouped.setdefault((row[0], row[1], row[2]), []).append((row[3], row[4], row[5], row[6]))
    return [
        ForeignKey(
            schema=schema,
            table=table,
            columns=tuple(row[0] for row in rows),
            parent_columns=tuple(row[1] for row in rows),
            on_delete=rows[0][2],
            on_update=rows[0][3],
        )
        for (schema, table, _), rows in grouped.items()
    ]


def triggers(connection: sa.Connection, of: Shape, event: str) -> list[str]:
    where = {"schema": of.schema, "name": of.name, "event": event}
    return list(connection.execute(_TRIGGERS, where).scalars())
