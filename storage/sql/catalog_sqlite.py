"""SQLite's pragmas: what a table is made of, what refers to it, what runs when its rows go.

A column's declared type binds nothing here. Times are texts of mixed forms, so that each value is judged for itself.
"""

from __future__ import annotations

import sqlalchemy as sa

from storage.sql.kinds import Column, ForeignKey, Kind, Remark, Shape

_TABLE = sa.text(
    "SELECT name, type, sql FROM sqlite_master WHERE lower(name) = lower(:name) AND type IN ('table', 'view')"
)
_COLUMNS = sa.text('SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(:name) ORDER BY cid')
_INDEXES = sa.text('SELECT name, "unique", partial FROM pragma_index_list(:name)')
_INDEX = sa.text("SELECT name FROM pragma_index_info(:name) ORDER BY seqno")
_TABLES = sa.text(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)
_FOREIGN_KEYS = sa.text(
    'SELECT id, "table", "from", "to", on_delete, on_update FROM pragma_foreign_key_list(:name) ORDER BY id, seq'
)
_TRIGGERS = sa.text(
    "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(:name) ORDER BY 1"
)


def kind_of(declared: str) -> Kind:
    """What a column of that declared type is likely to hold. Only what holds time is read as something else than it is."""
    words = declared.upper()
    return Kind.LOOSE_TIME if "DATE" in words or "TIME" in words else Kind.LOOSE


def affinity(declared: str) -> str:
    """What SQLite makes of values put into a column of that declared type (its five rules, in their order)."""
    words = declared.upper()
    if "INT" in words:
        return "integer"
    if any(part in words for part in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if "BLOB" in words or not words:
        return "blob"
    return "real" if any(part in words for part in ("REAL", "FLOA", "DOUB")) else "numeric"


def key_kind(declared: str) -> Kind:
    """The kind of a key of that declared type."""
    return {"integer": Kind.INTEGER, "text": Kind.TEXT}.get(affinity(declared), Kind.LOOSE)


def shape(connection: sa.Connection, table: str) -> Shape | None:
    """The table as it is; ``None`` when there is none."""
    found = connection.execute(_TABLE, {"name": table}).first()
    if found is None:
        return None
    name, what, sql = found
    rows = connection.execute(_COLUMNS, {"name": name}).all()
    columns = {
        row[0]: Column(
            name=row[0],
            kind=kind_of(row[1]),
            nullable=not row[2],
            exact=False,
            declared=row[1],
            generated=row[4] in {2, 3},
        )
        for row in rows
        if row[4] != 1
    }
    primary = [row[0] for row in rows if row[3]]
    # A primary key may hold NULL here unless it is declared NOT NULL; such rows are undecidable and stay.
    unique = set(primary) if len(primary) == 1 else set()
    distinct, indexed = set(unique), set(primary[:1])
    for index, is_unique, partial in connection.execute(_INDEXES, {"name": name}).all():
        names = list(connection.execute(_INDEX, {"name": index}).scalars())
        if partial or names[0] is None:
            continue
        indexed.add(names[0])
        if is_unique and len(names) == 1:
            distinct.add(names[0])
            if not columns[names[0]].nullable:
                unique.add(names[0])
    return Shape(
        name=name,
        schema=None,
        columns=columns,
        distinct=frozenset(distinct),
        unique=frozenset(unique),
        indexed=frozenset(indexed),
        remarks=tuple(_remarks(what, sql or "")),
    )


def _remarks(what: str, sql: str) -> list[Remark]:
    if what != "table" or sql.upper().split()[:2] == ["CREATE", "VIRTUAL"]:
        hint = "name the table behind it: what a view hides cannot be read back"
        return [Remark(message="is not an ordinary table", hint=hint, fatal=True)]
    return []


def tables(connection: sa.Connection) -> list[str]:
    return list(connection.execute(_TABLES).scalars())


def foreign_keys(connection: sa.Connection, onto: Shape) -> list[ForeignKey]:
    found = []
    for table in tables(connection):
        grouped: dict[int, list[tuple[str, str | None, str, str]]] = {}
        for number, parent, column, parent_column, on_delete, on_update in connection.execute(
            _FOREIGN_KEYS, {"name": table}
        ).all():
            if parent.lower() == onto.name.lower():
                grouped.setdefault(number, []).append((column, parent_column, on_delete, on_update))
        for rows in grouped.values():
            found.append(
                ForeignKey(
                    schema=None,
                    table=table,
                    columns=tuple(row[0] for row in rows),
                    # Without a column the key refers to the primary key.
                    parent_columns=tuple(row[1] or _primary(connection, onto) for row in rows),
                    on_delete=rows[0][2],
                    on_update=rows[0][3],
                )
            )
    return found


def _primary(connection: sa.Connection, of: Shape) -> str:
    rows = connection.execute(_COLUMNS, {"name": of.name}).all()
    return next((row[0] for row in rows if row[3]), "rowid")


def triggers(connection: sa.Connection, of: Shape, event: str) -> list[str]:
    # The text of a trigger is not worth parsing: one that merely mentions the word is reported as well.
    return [
        name for name, sql in connection.execute(_TRIGGERS, {"name": of.name}) if event in (sql or "").upper()
    ]
