"""PostgreSQL's own catalogue: what a table is made of, what refers to it, what runs when its rows go."""

from __future__ import annotations

import sqlalchemy as sa

from storage.sql.kinds import Column, ForeignKey, Kind, Remark, Shape, split

_KINDS = {
    "int2": Kind.INTEGER, "int4": Kind.INTEGER, "int8": Kind.INTEGER, "numeric": Kind.DECIMAL, "float4": Kind.FLOAT,
    "float8": Kind.FLOAT, "bool": Kind.BOOLEAN, "uuid": Kind.UUID, "date": Kind.DATE, "timestamp": Kind.WALL,
    "timestamptz": Kind.INSTANT, "text": Kind.TEXT, "varchar": Kind.TEXT, "bpchar": Kind.TEXT, "citext": Kind.TEXT,
    "name": Kind.TEXT,
}  # fmt: skip
_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_EVENTS = {"DELETE": (8, "4"), "UPDATE": (16, "2")}

_TABLE = sa.text("""
    SELECT c.oid, n.nspname, c.relname, c.relkind::text, row_security_active(c.oid),
           EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid),
           EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) AND NOT c.relispartition
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = to_regclass(CASE WHEN CAST(:schema AS text) IS NULL THEN format('%I', CAST(:name AS text))
                               ELSE format('%I.%I', CAST(:schema AS text), CAST(:name AS text)) END)
""")
_COLUMNS = sa.text("""
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), coalesce(b.typname, t.typname), coalesce(b.typtype, t.typtype)::text,
           a.attnotnull, coalesce(l.collisdeterministic, true), a.attgenerated <> '', a.attcollation
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
      LEFT JOIN pg_collation l ON l.oid = a.attcollation
     WHERE a.attrelid = :oid AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attnum
""")
_INDEXES = sa.text("""
    SELECT a.attname, i.indisunique AND i.indnkeyatts = 1 AND i.indimmediate, i.indpred IS NULL
      FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
     WHERE i.indrelid = :oid AND i.indisvalid
""")
_FOREIGN_KEYS = sa.text("""
    SELECT n.nspname, c.relname, k.confdeltype::text, k.confupdtype::text,
           (SELECT array_agg(a.attname::text ORDER BY u.at) FROM unnest(k.conkey) WITH ORDINALITY AS u (number, at)
              JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number),
           (SELECT array_agg(a.attname::text ORDER BY u.at) FROM unnest(k.confkey) WITH ORDINALITY AS u (number, at)
              JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number)
      FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace m ON m.oid = p.relnamespace
     WHERE k.contype = 'f' AND k.conparentid = 0 AND m.nspname = :schema AND p.relname = :name
     ORDER BY 1, 2, 5
""")
_TRIGGERS = sa.text("""
    SELECT t.tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = :schema AND c.relname = :name AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & :bit <> 0
     UNION ALL
    SELECT r.rulename::text FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = :schema AND c.relname = :name AND r.ev_type::text = :event ORDER BY 1
""")
_TABLES = sa.text("""
    SELECT n.nspname, c.relname, n.nspname = ANY (current_schemas(false))
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
""")


def shape(connection: sa.Connection, table: str) -> Shape | None:
    """The table as it is; ``None`` when there is none."""
    schema, name = split(table)
    found = connection.execute(_TABLE, {"schema": schema, "name": name}).first()
    if found is None:
        return None
    oid, schema, name, relkind, secured, has_children, inherits = found
    columns = {
        row[0]: Column(
            name=row[0],
            kind=Kind.TEXT if row[3] == "e" else _KINDS.get(row[2], Kind.OPAQUE),
            nullable=not row[4],
            exact=(exact := row[5] and row[2] in {"text", "varchar"}),
            folds=not exact,
            equality=f"{row[7]}" if exact else f"{row[7]} {row[2]}",
            single=row[2] == "float4",
            declared=row[1],
            generated=row[6],
        )
        for row in connection.execute(_COLUMNS, {"oid": oid})
    }
    indexes = connection.execute(_INDEXES, {"oid": oid}).all()
    distinct = frozenset(column for column, unique, whole in indexes if unique and whole)
    return Shape(
        name=name,
        schema=schema,
        columns=columns,
        distinct=distinct,
        unique=frozenset(column for column in distinct if not columns[column].nullable),
        indexed=frozenset(column for column, _, whole in indexes if whole),
        hides=secured,
        remarks=tuple(_remarks(relkind, secured=secured, has_children=has_children, inherits=inherits)),
    )


def _remarks(relkind: str, *, secured: bool, has_children: bool, inherits: bool) -> list[Remark]:
    remarks = []
    if relkind not in {"r", "p"}:
        hint = "name the table behind it: what a view hides cannot be read back"
        remarks.append(Remark(message="is not an ordinary table", hint=hint, fatal=True))
    if secured:
        message = "row security hides rows from this account: a hidden row would pass for a destroyed one"
        remarks.append(Remark(message=message, hint="give the account BYPASSRLS", fatal=True))
    if relkind == "r" and has_children:
        message = "other tables inherit from it: their rows would go with its own"
        remarks.append(
            Remark(message=message, hint="name the inheriting tables as locations instead", fatal=True)
        )
    if inherits:
        message = "inherits from another table: foreign keys onto that one do not protect these rows"
        hint = "declare what refers to them as soft dependents, or as relations that block"
        remarks.append(Remark(message=message, hint=hint))
    return remarks


def tables(connection: sa.Connection) -> list[str]:
    rows = connection.execute(_TABLES).all()
    return [f"{schema}.{name}" for schema, name, _ in rows] + [name for _, name, near in rows if near]


def foreign_keys(connection: sa.Connection, onto: Shape) -> list[ForeignKey]:
    rows = connection.execute(_FOREIGN_KEYS, {"schema": onto.schema, "name": onto.name})
    return [
        ForeignKey(
            schema=row[0],
            table=row[1],
            on_delete=_ACTIONS[row[2]],
            on_update=_ACTIONS[row[3]],
            columns=tuple(row[4]),
            parent_columns=tuple(row[5]),
        )
        for row in rows
    ]


def triggers(connection: sa.Connection, of: Shape, event: str) -> list[str]:
    bit, letter = _EVENTS[event]
    parameters = {"schema": of.schema, "name": of.name, "bit": bit, "event": letter}
    return list(connection.execute(_TRIGGERS, parameters).scalars())
