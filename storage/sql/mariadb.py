"""MariaDB 10.6 and later.

Fence: one row of a helper table, locked shared by every batch and exclusively by the barrier. Fate: a marker row written in each
batch's transaction. Both tables are made on first use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from storage.contract import Pace
from storage.sql import catalog_mariadb
from storage.sql.comparing import FIRST, Comparing
from storage.sql.engine import IDLE_SECONDS, LOCK_SECONDS, MarkedEngine
from storage.sql.failures import StoreRefused
from storage.sql.kinds import TEMPORAL, ForeignKey, Kind, Plain, Ref, Shape, Truth
from storage.sql.postgresql import whole

_SESSION = (
    "SET SESSION time_zone = '+00:00', sql_mode = 'TRADITIONAL', foreign_key_checks = 1, unique_checks = 1,"
    f" innodb_lock_wait_timeout = {LOCK_SECONDS}, lock_wait_timeout = {LOCK_SECONDS},"
    # Room for the lines of a manifest, a stretch at a time.
    " group_concat_max_len = 16000000,"
    f" idle_transaction_timeout = {IDLE_SECONDS}, sql_safe_updates = 0"
)
_EXACT = "utf8mb4_nopad_bin"
"""The collation under which only equal texts are equal: no folding of case or accents, no padding with spaces."""


_NO_FENCE = "the row of the fence is missing: nothing would make a batch wait for a hold"


_WHOLES = re.compile(r"\((?:-?[0-9]+,)*-?[0-9]+\)")


class _Wholes(sa.types.UserDefinedType[str]):
    """A list of whole numbers, written into the statement: thousands of parameters would cost more than the lookup.

    Refuses any text that is not just that.
    """

    cache_ok = True

    def literal_processor(self, dialect: sa.Dialect) -> Callable[[str], str]:
        return _only_wholes


def _only_wholes(text: str) -> str:
    if not _WHOLES.fullmatch(text):
        raise ValueError("not a list of whole numbers")
    return text


class MariadbComparing(Comparing):
    whole_numbers = (-(2**63), 2**64 - 1)
    wall_type = mysql.DATETIME(fsp=6)
    double = mysql.DOUBLE()

    def text(self, ref: Ref) -> sa.ColumnElement[Any]:
        converted = sa.func.convert(
            ref.at.op("USING", is_comparison=False)(sa.literal_column("utf8mb4")), type_=sa.Text()
        )
        return converted.collate(_EXACT)

    def present(self, ref: Ref) -> Truth:
        first = FIRST.replace(tzinfo=None)
        edge = self.day(first.date()) if ref.kind is Kind.DATE else self.wall(first)
        return sa.and_(ref.at >= edge, self.readable(ref).is_not(sa.null()))

    def readable(self, ref: Ref) -> sa.ColumnElement[Any]:
        # Arithmetic gives NULL for the dates that are none: 0000-00-00, 2024-00-15, 31 February.
        return ref.at.op("+")(sa.literal_column("INTERVAL 0 DAY"))

    def instant(self, moment: datetime) -> sa.ColumnElement[Any]:
        return self.wall(moment.astimezone(UTC).replace(tzinfo=None))

    def decimal(self, number: Decimal) -> sa.ColumnElement[Any]:
        # The driver would write 1E+2, which is a floating-point number here.
        return sa.literal(Decimal(format(number, "f")), sa.Numeric(asdecimal=True))

    def text_among(self, ref: Ref, values: Iterable[str]) -> Truth:
        if ref.kind is Kind.INTEGER:
            numbers = sorted(
                number for value in values if (number := whole(value, self.whole_numbers)) is not None
            )
            return ref.at.in_(numbers) if numbers else sa.false()
        chosen = sorted(values)
        return (
            self.text(ref).in_(sa.bindparam(None, chosen, sa.Text(), expanding=True))
            if chosen
            else sa.false()
        )

    def among(self, ref: Ref, name: str) -> Truth:
        if ref.kind is Kind.INTEGER:
            found: Truth = ref.at.op("IN", is_comparison=True)(
                sa.bindparam(name, type_=_Wholes(), literal_execute=True)
            )
            return found
        return ref.at.in_(sa.bindparam(name, type_=sa.Text(), expanding=True))

    def listed(self, values: Sequence[Plain]) -> Any:
        return (
            "(" + ",".join(map(str, values)) + ")" if values and isinstance(values[0], int) else list(values)
        )

    def exactly_among(self, ref: Ref, name: str) -> Truth:
        if ref.kind is not Kind.TEXT:
            return self.among(ref, name)
        # The first for the index, the second for the truth.
        return sa.and_(self.among(ref, name), self.among(Ref(ref.column, self.text(ref)), name))

    def joined(self, key: sa.ColumnElement[Any], kind: Kind) -> sa.ColumnElement[Any] | None:
        if kind is not Kind.INTEGER:
            return None
        return sa.func.group_concat(key.op("SEPARATOR")(sa.literal_column("'\\n'")), type_=sa.Text())


class Mariadb(MarkedEngine):
    values: ClassVar[Comparing] = MariadbComparing()
    returns_rows: ClassVar[bool] = False
    locks_aggregates: ClassVar[bool] = True
    pace: ClassVar[Pace] = Pace(workers=2, first=2_000, most=10_000, seconds=0.25)

    @property
    def fence(self) -> sa.TableClause:
        return sa.table(f"{self.prefix}fence", sa.column("id"), sa.column("epoch"))

    def make(self) -> sa.Engine:
        url = self.url.set(drivername="mariadb+pymysql").update_query_dict({"charset": "utf8mb4"})
        return sa.create_engine(
            url,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "local_infile": False},
        )

    def connected(self, connection: Any, record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_SESSION)

    def prepare(self) -> None:
        if self._prepared:
            return
        number = sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=True)
        token = sa.Column("token", mysql.CHAR(32, charset="ascii"), nullable=False)
        key = sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False)
        epoch = sa.Column("epoch", sa.BigInteger(), nullable=False)
        made = sa.MetaData()
        fence = sa.Table(self.fence.name, made, key, epoch, mariadb_engine="InnoDB")
        sa.Table(self.markers.name, made, number, token, mariadb_engine="InnoDB")
        with self.pool.connect() as connection:
            # Looks first, and creates only what is missing: creating needs a right that the account may have given back.
            # Two workers may find it missing at the same moment: the second must not mind.
            looking = sa.inspect(connection)
            for table in made.sorted_tables:
                if not looking.has_table(table.name):
                    connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
            if connection.execute(sa.select(fence.c.id).where(fence.c.id == 1)).first() is None:
                connection.execute(sa.insert(fence).prefix_with("IGNORE").values(id=1, epoch=0))
            connection.commit()
        self._prepared = True

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        with self.pool.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            yield connection
            connection.rollback()

    def copied(self, ref: Ref) -> sa.ColumnElement[Any]:
        if ref.kind in TEMPORAL:  # 0000-00-00 has no value in Python
            return sa.cast(ref.at, sa.CHAR())
        # Six digits are shown of a FLOAT, all of a DOUBLE; as a decimal number it would lose the small ones.
        return sa.cast(ref.at, mysql.DOUBLE(asdecimal=False)) if ref.column.single else ref.at

    def begin_batch(self) -> tuple[sa.Connection, str]:
        connection = self.pool.connect()
        fence = self.fence
        shared = sa.select(fence.c.epoch).where(fence.c.id == 1).with_for_update(read=True)
        try:
            if connection.execute(shared).first() is None:
                raise StoreRefused(_NO_FENCE, "see docs/stores-databases.md")
        except BaseException:
            connection.close()
            raise
        return connection, ""

    def pass_barrier(self, timeout: float) -> None:
        self.prepare()
        fence = self.fence
        passing = sa.update(fence).where(fence.c.id == 1).values(epoch=fence.c.epoch + 1)
        with self.pool.connect() as connection:
            waiting = "SET SESSION innodb_lock_wait_timeout = {}".format
            try:
                connection.exec_driver_sql(waiting(max(1, math.ceil(timeout))))
                changed = connection.execute(passing).rowcount
                connection.commit()
                connection.exec_driver_sql(waiting(LOCK_SECONDS))
            except BaseException:
                # Not for the next user of this connection: a batch must not wait as long as a barrier may.
                connection.invalidate()
                raise
        if changed != 1:
            raise StoreRefused(_NO_FENCE, "see docs/stores-databases.md")

    def shape(self, connection: sa.Connection, table: str) -> Shape | None:
        return catalog_mariadb.shape(connection, table)

    def tables(self, connection: sa.Connection) -> list[str]:
        return catalog_mariadb.tables(connection)

    def foreign_keys(self, connection: sa.Connection, shape: Shape) -> list[ForeignKey]:
        return catalog_mariadb.foreign_keys(connection, shape)

    def triggers(self, connection: sa.Connection, shape: Shape, event: str) -> list[str]:
        return catalog_mariadb.triggers(connection, shape, event)
