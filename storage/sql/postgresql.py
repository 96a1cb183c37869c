"""PostgreSQL 15 and later.

Fence: an advisory lock held by the batch's transaction, `FENCE` in the target's database. No helper table is needed; the
server itself remembers what became of a transaction (``pg_xact_status``).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from retention.outcomes import Fate
from retention.records import Value
from storage.contract import Pace
from storage.sql import catalog_postgresql
from storage.sql.comparing import END, FINITE, FIRST, Comparing
from storage.sql.engine import IDLE_SECONDS, LOCK_SECONDS, Engine
from storage.sql.kinds import ForeignKey, Kind, Plain, Ref, Shape, Truth

FENCE = int.from_bytes(b"retentio", "big")
"""The advisory lock's key (8243122671965202799): one per database, since advisory locks belong to a database."""

_SESSION = (
    f"SET lock_timeout = '{LOCK_SECONDS}s'",
    f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'",
    "SET TimeZone = 'UTC'",
    # Compiling a statement takes longer than running it over a few thousand rows.
    "SET jit = off",
    # What is certified must survive a crash of the server, even where the library turned that off for speed.
    "SELECT set_config('synchronous_commit', CASE setting WHEN 'off' THEN 'on' ELSE setting END, false)"
    " FROM pg_settings WHERE name = 'synchronous_commit'",
)
_FENCED = sa.text(
    # In this order: a batch touches few rows of large tables, so indexes, and no join that walks one from its beginning;
    # then the fence; then the transaction's number.
    "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_mergejoin', 'off', true),"
    " pg_advisory_xact_lock_shared(:key), pg_current_xact_id()::text"
)


_AS_THEY_ARE = frozenset({Kind.TEXT, Kind.INTEGER, Kind.DECIMAL, Kind.BOOLEAN, Kind.UUID})
"""Kinds whose values the driver hands over exactly."""
_WIDEST: tuple[sa.types.TypeEngine[int], int] = (sa.BigInteger(), 64)
_WIDTHS: dict[str, tuple[sa.types.TypeEngine[int], int]] = {
    "smallint": (sa.SmallInteger(), 16),
    "integer": (sa.Integer(), 32),
}
"""Bits of a column's whole numbers; a value that does not fit is in none of its rows."""


class PostgresqlComparing(Comparing):
    """Texts are compared byte by byte under collation "C" wherever a column's own ``=`` may fold them."""

    groups_by_truths = True
    """The planner knows how few groups truths can make, and counts in parallel; of a word it expects as many as there are rows."""

    def text(self, ref: Ref) -> sa.ColumnElement[Any]:
        if ref.kind is not Kind.TEXT:
            return sa.cast(ref.at, sa.Text())
        return ref.at if ref.column.exact else sa.cast(ref.at, sa.Text()).collate("C")

    def compare_text(self, ref: Ref, operator: str, value: str) -> Truth:
        if "\0" in value:  # no text of this database holds one
            found = sa.true() if operator == "<>" else sa.false()
            return sa.case((ref.at.is_not(sa.null()), found), else_=sa.null())
        return super().compare_text(ref, operator, value)

    def present(self, ref: Ref) -> Truth:
        first, end = FIRST.replace(tzinfo=None), END.replace(tzinfo=None)
        if ref.kind is Kind.DATE:
            return sa.and_(ref.at >= self.day(first.date()), ref.at < self.day(end.date()))
        if ref.kind is Kind.WALL:
            return sa.and_(ref.at >= self.wall(first), ref.at < self.wall(end))
        return sa.and_(ref.at >= self.instant(FIRST), ref.at < self.instant(END))

    def finite(self, ref: Ref) -> Truth | None:
        if ref.kind is Kind.INTEGER:
            return None
        edge: sa.ColumnElement[Any] = sa.literal(FINITE, sa.Double())
        bound: sa.ColumnElement[Any] = sa.cast(edge, sa.Numeric()) if ref.kind is Kind.DECIMAL else edge
        return sa.and_(ref.at >= -bound, ref.at <= bound)

    def text_among(self, ref: Ref, values: Iterable[str]) -> Truth:
        at, chosen, type_ = self.text(ref), [], sa.Text()  # type: sa.ColumnElement[Any], list[Any], Any
        for value in values:
            if ref.kind is Kind.INTEGER:
                # Of the column's own width: only then does the server look a value up by its hash, and not one after the other.
                at, (type_, bits) = ref.at, _WIDTHS.get(ref.column.declared, _WIDEST)
                if (number := whole(value, (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))) is not None:
                    chosen.append(number)
            elif ref.kind is Kind.UUID:
                at, type_ = ref.at, sa.Uuid(as_uuid=True)
                if (identity := canonical_uuid(value)) is not None:
                    chosen.append(identity)
            elif "\0" not in value:
                chosen.append(value)
        if not chosen:
            return sa.false()
        listed: Any = sa.literal(sorted(chosen), postgresql.ARRAY(type_))
        return at == sa.any_(listed)

    def value(self, ref: Ref) -> sa.ColumnElement[Any]:
        if ref.kind is Kind.TEXT and not ref.column.exact:
            return sa.cast(ref.at, sa.Text())
        return super().value(ref)

    def shown(self, ref: Ref) -> sa.ColumnElement[Any]:
        return sa.cast(ref.at, sa.Text())

    def fixed(self, ref: Ref, value: Value) -> sa.ColumnElement[Any]:
        if isinstance(value, str):
            # Without a type of its own: the column may be an enumeration or a uuid.
            return sa.bindparam(None, value, sa.types.NULLTYPE, unique=True)
        return super().fixed(ref, value)

    def joined(self, key: sa.ColumnElement[Any], kind: Kind) -> sa.ColumnElement[Any] | None:
        line: sa.ColumnElement[Any] = key if kind is Kind.INTEGER else sa.func.to_json(key)
        return sa.func.string_agg(
            sa.cast(line, sa.Text()), sa.literal_column("E'\\n'", sa.Text()), type_=sa.Text()
        )

    def among(self, ref: Ref, name: str) -> Truth:
        at = self.text(ref) if ref.kind is Kind.TEXT else ref.at
        array = postgresql.ARRAY(self.key_type(ref.kind))
        if ref.kind is Kind.INTEGER:
            listed: Any = sa.cast(sa.bindparam(name, type_=sa.Text()), array)
        else:
            listed = sa.bindparam(name, type_=array)
        return at == sa.any_(listed)

    def listed(self, values: Sequence[Plain]) -> Any:
        # Numbers as one text: the driver takes a list apart item by item.
        return (
            "{" + ",".join(map(str, values)) + "}" if values and isinstance(values[0], int) else list(values)
        )


def whole(text: str, bounds: tuple[int, int]) -> int | None:
    """The whole number that is written just so, or ``None``."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if str(number) == text and bounds[0] <= number <= bounds[1] else None


def canonical_uuid(text: str) -> uuid.UUID | None:
    """The identifier whose usual form is just this text, or ``None``."""
    try:
        identity = uuid.UUID(text)
    except ValueError:
        return None
    return identity if str(identity) == text else None


class Postgresql(Engine):
    values: ClassVar[Comparing] = PostgresqlComparing()
    names_locked_tables: ClassVar[bool] = True
    chains: ClassVar[bool] = True
    pace: ClassVar[Pace] = Pace(workers=2, first=2_000, most=10_000, seconds=0.25)

    def make(self) -> sa.Engine:
        return sa.create_engine(
            self.url.set(drivername="postgresql+psycopg"),
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            # Never prepared: statements carry long lists of held subjects, which with the values known become a hash lookup. Not by
            # plan_cache_mode: that would plan the check of a foreign key anew for every row (measured: 84 µs a row instead of 25).
            connect_args={"connect_timeout": 10, "prepare_threshold": None},
        )

    def connected(self, connection: Any, record: object) -> None:
        with connection.cursor() as cursor:
            for statement in _SESSION:
                cursor.execute(statement)
        connection.commit()

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self.pool.connect().execution_options(**options) as connection:
            # A dozen groups are counted by hashing; the planner expects thousands and would sort the whole table.
            connection.exec_driver_sql("SELECT set_config('enable_sort', 'off', true)")
            yield connection
            connection.rollback()

    def walk_by_key(self, connection: sa.Connection) -> None:
        # Stretch by stretch along the key's index; sorting the whole table for each would be the planner's other idea.
        # By one process: a stretch is over before others have been started and have handed in what they found.
        connection.exec_driver_sql(
            "SELECT set_config('enable_seqscan', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)"
        )

    def see_whole(self, connection: sa.Connection) -> None:
        # Also behind views, where the catalogue does not tell: they may read with the rights of whoever asks.
        connection.exec_driver_sql("SELECT set_config('row_security', 'off', true)")

    def copied(self, ref: Ref) -> sa.ColumnElement[Any]:
        # Its own text of a value is what a dump of it has; in Python an infinite time or an array would be another thing, or an error.
        return ref.at if ref.kind in _AS_THEY_ARE else sa.cast(ref.at, sa.Text())

    def begin_batch(self) -> tuple[sa.Connection, str]:
        connection = self.pool.connect()
        try:
            row = connection.execute(_FENCED, {"key": FENCE}).one()
        except BaseException:
            connection.close()
            raise
        return connection, str(row[3])

    def witness(self, connection: sa.Connection, opened: str) -> str:
        return opened

    def settle_constraints(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    def pass_barrier(self, timeout: float) -> None:
        with self.pool.connect() as connection:
            wait = f"{max(1, round(timeout * 1000))}ms"
            connection.execute(sa.text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": wait})
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": FENCE})
            connection.rollback()

    def fate(self, witness: str) -> Fate:
        if whole(witness, (1, 2**64 - 1)) is None:
            return Fate.UNKNOWN
        asked = sa.text("SELECT pg_xact_status(CAST(CAST(:witness AS text) AS xid8))")
        with self.looking() as connection:
            try:
                told = connection.execute(asked, {"witness": witness}).scalar()
            except sa.exc.DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != "22023":
                    raise
                return (
                    Fate.UNKNOWN
                )  # a number from the future: the database was restored to before that batch
        return {"committed": Fate.COMMITTED, "aborted": Fate.ROLLED_BACK}.get(told or "", Fate.UNKNOWN)

    def shape(self, connection: sa.Connection, table: str) -> Shape | None:
        return catalog_postgresql.shape(connection, table)

    def tables(self, connection: sa.Connection) -> list[str]:
        return catalog_postgresql.tables(connection)

    def foreign_keys(self, connection: sa.Connection, shape: Shape) -> list[ForeignKey]:
        return catalog_postgresql.foreign_keys(connection, shape)

    def triggers(self, connection: sa.Connection, shape: Shape, event: str) -> list[str]:
        return catalog_postgresql.triggers(connection, shape, event)
