"""The compiled decision and the one in Python are the same decision: on generated rows, on every engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from sqlalchemy.dialects import mysql, postgresql

from retention import dates
from retention.decide import Due, Keep, KeepReason, decide
from retention.evaluate import compare, evaluate
from retention.schedule import Relation, TableLocation
from tests.storage.sql.conftest import Database
from tests.storage.sql.worlds import World, worlds

SLOW = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.function_scoped_fixture,
    HealthCheck.filter_too_much,
]

# A world is read as it is drawn: shrinking one takes minutes against a real server.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


def tables(backend: str) -> tuple[sa.Table, sa.Table]:
    """The same columns in each engine's own types."""
    made = sa.MetaData()
    exact = sa.DateTime() if backend != "mariadb" else mysql.DATETIME(fsp=6)
    zoned = sa.DateTime(timezone=True) if backend != "mariadb" else mysql.TIMESTAMP(fsp=6)
    opaque: Any = postgresql.JSONB() if backend == "postgresql" else sa.LargeBinary()
    types: dict[str, Any] = {
        "whole": sa.BigInteger(), "amount": sa.Numeric(12, 4), "ratio": sa.Double(), "note": sa.String(40),
        "patron": sa.String(40), "patron_number": sa.BigInteger(), "branch": sa.String(40), "day": sa.Date(), "wall": exact,
        "instant": zoned, "flag": sa.Boolean(), "opaque": opaque,
    }  # fmt: skip
    columns = [sa.Column(name, type_, nullable=True) for name, type_ in types.items()]
    loan = sa.Table(
        "loan", made, sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False), *columns
    )
    related = sa.Table(
        "related", made, sa.Column("number", sa.Integer()), sa.Column("ref", sa.Integer()),
        sa.Column("ref_text", sa.String(40)), sa.Column("state", sa.String(10)),
    )  # fmt: skip
    return loan, related


SQLITE = (
    "CREATE TABLE loan (id INTEGER PRIMARY KEY, whole INTEGER, amount NUMERIC, ratio REAL, note TEXT COLLATE NOCASE, patron TEXT,"
    " patron_number, branch, day DATE, wall TEXT, instant TIMESTAMP, flag BOOLEAN, opaque BLOB)",
    "CREATE TABLE related (number INTEGER, ref INTEGER, ref_text TEXT, state TEXT)",
)


class Library:
    """The tables, filled anew for each example."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.loan, self.related = tables(database.backend)
        if database.backend == "sqlite":
            database.run(*SQLITE)
        else:
            self.loan.metadata.create_all(database.engine)

    def fill(self, world: World) -> None:
        with self.database.engine.begin() as connection:
            if self.database.backend == "sqlite":
                self._fill_plainly(connection, world)
                return
            connection.execute(sa.delete(self.loan))
            connection.execute(sa.delete(self.related))
            connection.execute(sa.insert(self.loan), [self._typed(row) for row in world.rows])
            if world.related:
                connection.execute(sa.insert(self.related), list(world.related))

    def _fill_plainly(self, connection: sa.Connection, world: World) -> None:
        """Values go in as they are: the tests want SQLite's loose types, not SQLAlchemy's strict ones."""
        for table, rows in (("loan", world.rows), ("related", world.related)):
            connection.exec_driver_sql(f"DELETE FROM {table}")
            for row in rows:
                names, marks = ", ".join(row), ", ".join("?" * len(row))
                connection.exec_driver_sql(
                    f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values())
                )

    def _typed(self, row: dict[str, Any]) -> dict[str, Any]:
        if self.database.backend == "postgresql":
            return row
        typed = dict(row)
        if isinstance(typed["instant"], datetime):
            typed["instant"] = typed["instant"].astimezone(UTC).replace(tzinfo=None)
        if typed["opaque"] is not None:
            typed["opaque"] = b"x"
        return typed


@pytest.fixture
def sqlite_library(sqlite_database: Database) -> Library:
    return Library(sqlite_database)


@pytest.fixture
def postgresql_library(postgresql_database: Database) -> Library:
    return Library(postgresql_database)


@pytest.fixture
def mariadb_library(mariadb_database: Database) -> Library:
    return Library(mariadb_database)


@given(world=worlds(typed=False))
@settings(max_examples=150, deadline=None, suppress_health_check=SLOW, phases=PHASES)
def test_sqlite_decides_as_python_does(sqlite_library: Library, world: World) -> None:
    agree(sqlite_library, world)


@pytest.mark.postgresql
@given(world=worlds(typed=True))
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW, phases=PHASES)
def test_postgresql_decides_as_python_does(postgresql_library: Library, world: World) -> None:
    agree(postgresql_library, world)


@pytest.mark.mariadb
@given(world=worlds(typed=True))
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW, phases=PHASES)
def test_mariadb_decides_as_python_does(mariadb_library: Library, world: World) -> None:
    agree(mariadb_library, world)


def agree(library: Library, world: World) -> None:
    """Every row's primary reason, every count, the manifest, and each record as it was written."""
    library.fill(world)
    store, criteria = library.database.store, world.criteria
    assume(not any(finding.fatal for finding in store.check(criteria)))
    kept: Counter[KeepReason] = Counter()
    due: list[bytes] = []
    days: list[date] = []
    held: list[date] = []
    late = 0
    for row in world.rows:
        record = store.read(criteria, str(row["id"]))
        assert record is not None
        for relation in relations_of(criteria.location):
            assert record.related[relation.name] is related_by(library, world, row, relation), relation
        if library.database.backend != "sqlite":
            as_written(record.fields, row)
            assert record.trigger == row[table(criteria.location).trigger]
            assert record.done is done_by(world, row)
        decision = decide(record, criteria, world.holds)
        day = (
            None
            if record.trigger is None
            else dates.local_day(record.trigger, criteria.location.zone, criteria.library.zone)
        )
        if isinstance(decision, Keep):
            kept[decision.primary] += 1
            event(decision.primary)
            if decision.primary is KeepReason.HELD and day is not None:
                held.append(day)
            continue
        assert isinstance(decision, Due)
        event("due")
        due.append(str(row["id"]).encode())
        assert day is not None
        days.append(day)
        late += decision.days_past_maximum(criteria.on) > 0
    written: list[bytes] = []
    found = store.survey(criteria, world.holds, written.append, lambda looked_at: None)
    assert found.kept == kept
    assert b"".join(written).splitlines() == due
    assert (found.due, found.population, found.past_maximum) == (len(due), len(world.rows), late)
    assert (found.oldest, found.newest) == ((min(days), max(days)) if days else (None, None))
    assert (found.held_oldest, found.held_newest) == ((min(held), max(held)) if held else (None, None))


def table(location: object) -> TableLocation:
    assert isinstance(location, TableLocation)
    return location


def relations_of(location: object) -> Iterator[Relation]:
    yield from table(location).relations


def related_by(library: Library, world: World, row: dict[str, Any], relation: Relation) -> bool:
    """Worked out from what was written, without the store."""
    sought = row[relation.matches]
    taken_for_equal = equals(library, row, relation)
    if library.database.backend == "sqlite":
        # What the column made of it: SQLite changes values on their way in.
        [(sought,)] = library.database.rows(f"SELECT {relation.matches} FROM loan WHERE id = {row['id']}")
        if not isinstance(sought, str | int) and sought is not None:
            sought = object()
    for other in world.related:
        reference = other[relation.column]
        if sought is None or reference is None:
            continue
        if str(reference) != str(sought) and reference not in taken_for_equal:
            continue
        if relation.where is None or evaluate(relation.where, other) is not False:
            return True
    return False


def equals(library: Library, row: dict[str, Any], relation: Relation) -> set[Any]:
    """References that the database itself takes for equal to the row's, where it compares the two columns at all."""
    texts = {name.startswith("ref_text") or name == "note" for name in (relation.column, relation.matches)}
    if library.database.backend != "sqlite" and len(texts) > 1:
        return set()
    found = library.database.rows(
        f"SELECT {relation.column} FROM loan, related WHERE id = {row['id']} AND {relation.matches} = {relation.column}"
    )
    return {reference for (reference,) in found}


def as_written(fields: Any, row: dict[str, Any]) -> None:
    for name, value in fields.items():
        if name != "opaque":
            assert value == row[name], name
            assert (value is None) is (row[name] is None)


def done_by(world: World, row: dict[str, Any]) -> bool:
    location = table(world.criteria.location)
    if not location.clear and not location.replace:
        return False
    cleared = all(row[name] is None for name in location.clear)
    return cleared and all(compare(row[name], "=", value) is True for name, value in location.replace)


def test_the_test_itself_sees_decimal_columns_as_decimals() -> None:
    assert compare(Decimal("0.5"), "=", Decimal("0.50")) is True
