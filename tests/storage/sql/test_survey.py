"""Surveys: long lists in stretches, one moment, nothing that Python cannot carry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from retention.decide import KeepReason
from retention.errors import StoreUnavailable, VerificationFailed
from retention.outcomes import Presence
from retention.schedule import TriggerKind
from tests.storage.sql.conftest import Database
from tests.storage.sql.library import LOCATION, WHOLE, at, build, criteria, hold, lines


def survey(database: Database, asked: Any, holds: Any = ()) -> tuple[Any, list[bytes], list[int]]:
    written: list[bytes] = []
    told: list[int] = []
    found = database.store.survey(asked, holds, written.append, told.append)
    return found, b"".join(written).splitlines(), told


@pytest.mark.parametrize("many", [0, 1, 9, 10, 11, 20, 25])
def test_a_list_longer_than_a_stretch_is_whole_and_in_order(
    database: Database, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr("storage.sql.survey.STRETCH", 10)
    build(database, old=range(-5, many - 5), new=[1000])
    found, written, told = survey(database, criteria(WHOLE))
    assert written == lines(*range(-5, many - 5))
    assert (found.due, found.population, found.kept[KeepReason.NOT_YET]) == (many, many + 1, 1)
    assert told == sorted(told)
    assert told[-1] == many + 1
    assert found.spread.total() == many, "each stretch is counted once"


def test_text_keys_travel_unharmed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.sql.survey.STRETCH", 3)
    names = [
        "plain",
        'quo"te',
        "back\\slash",
        "nül",
        "per%cent",
        "a'b",
        "tab\there",
        "new\nline",
        "x y ",
        "雪",
        "-1",
        "007",
    ]
    database.run("CREATE TABLE member (name VARCHAR(40) PRIMARY KEY, seen DATE)")
    with database.engine.begin() as connection:
        mark = "?" if database.backend == "sqlite" else "%s"
        for name in names:
            connection.exec_driver_sql(f"INSERT INTO member VALUES ({mark}, '2020-01-01')", (name,))
    asked = criteria(
        at(table="member", key="name", trigger="seen", trigger_kind=TriggerKind.DATE, subject="name")
    )
    found, written, _ = survey(database, asked)
    assert sorted(json.loads(line) for line in written) == sorted(names)
    assert found.due == len(names)
    assert {database.store.reference(line) for line in written} == set(names)
    for name in names:
        record = database.store.read(asked, name)
        assert record is not None
        assert record.key.reveal() == name
    with database.store.batch(asked) as batch:
        assert len(batch.stage(written[2:], ()).chosen) == len(names) - 2
        batch.destroy()
        assert set(batch.read_back()) == {Presence.ABSENT}
    assert survey(database, asked)[1] == written[:2]


@pytest.mark.postgresql
def test_infinite_and_ancient_times_are_no_triggers(postgresql_database: Database) -> None:
    build(postgresql_database, old=[1])
    postgresql_database.run(
        "INSERT INTO loan VALUES (2, 1, '', '-infinity'), (3, 1, '', 'infinity'), (4, 1, '', '0044-03-15 BC')"
    )
    asked = criteria(LOCATION)
    for disposition_free in ("2", "3", "4"):
        record = postgresql_database.store.read(asked, disposition_free)
        assert record is not None
        assert record.trigger is None
    found, _, _ = survey(postgresql_database, criteria(WHOLE))
    assert found.kept[KeepReason.NO_TRIGGER] == 3
    assert found.due == 1


@pytest.mark.mariadb
def test_dates_that_are_none_are_no_triggers(mariadb_database: Database) -> None:
    mariadb_database.run(
        "CREATE TABLE old_issues (issue_id INTEGER PRIMARY KEY, borrowernumber INTEGER, returndate DATETIME, day DATE)",
    )
    with mariadb_database.engine.connect() as connection:
        connection.exec_driver_sql("SET sql_mode = 'ALLOW_INVALID_DATES'")
        connection.exec_driver_sql(
            "INSERT INTO old_issues VALUES (1, 1, '0000-00-00 00:00:00', '0000-00-00'), (2, 1, '2020-00-15 00:00:00', '2020-00-15'),"
            " (3, 1, '2020-02-31 00:00:00', '2020-02-31'), (4, 1, '2020-02-28 00:00:00', '2020-02-28')"
        )
        connection.commit()
    for trigger, kind in (("returndate", TriggerKind.TIMESTAMP), ("day", TriggerKind.DATE)):
        asked = criteria(
            at(
                table="old_issues",
                key="issue_id",
                subject="borrowernumber",
                trigger=trigger,
                trigger_kind=kind,
            )
        )
        found, written, _ = survey(mariadb_database, asked)
        assert written == lines(4)
        assert found.kept[KeepReason.NO_TRIGGER] == 3
        assert [key for key, _, _ in mariadb_database.store.cannot_decide(asked, (), 10)] == ["1", "2", "3"]
        assert [database_read(mariadb_database, asked, key) for key in "123"] == [None, None, None]


def database_read(database: Database, asked: Any, key: str) -> object:
    record = database.store.read(asked, key)
    assert record is not None
    return record.trigger


def test_sqlite_rows_without_a_proper_key_stay(sqlite_database: Database) -> None:
    sqlite_database.run(
        "CREATE TABLE member (name TEXT PRIMARY KEY, seen DATE)",
        "INSERT INTO member VALUES ('a', '2020-01-01'), (NULL, '2020-01-01'), (x'41', '2020-01-01'), ('b', '2020-01-01')",
    )
    asked = criteria(at(table="member", key="name", trigger="seen", subject="none"))
    found, written, _ = survey(sqlite_database, asked)
    assert written == [b'"a"', b'"b"']
    assert found.kept[KeepReason.UNDECIDABLE] == 2


def test_a_sealed_hold_keeps_under_a_generic_reason(database: Database) -> None:
    build(database)
    sealed = type(hold(1))(id="s", state=hold(1).state, scope=hold(1).scope, sealed=True)
    found, written, _ = survey(database, criteria(WHOLE), [sealed, hold(2)])
    assert written == lines(3, 6)
    assert (found.kept[KeepReason.NOT_ELIGIBLE], found.kept[KeepReason.HELD]) == (3, 3)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("width", "largest"), [("smallint", 32_767), ("integer", 2**31 - 1), ("bigint", 2**63 - 1)]
)
def test_a_hold_on_a_number_too_large_for_its_column_keeps_nothing_and_hinders_nothing(
    postgresql_database: Database, width: str, largest: int
) -> None:
    build(postgresql_database)
    postgresql_database.run(
        f"ALTER TABLE loan ALTER COLUMN patron TYPE {width}",
        f"UPDATE loan SET patron = CASE id WHEN 4 THEN {largest} WHEN 5 THEN {-largest - 1} ELSE 1 END",
    )
    found, written, _ = survey(
        postgresql_database, criteria(WHOLE), [hold(largest, -largest - 1, largest + 1, -largest - 2, 2**80)]
    )
    assert written == lines(1, 2, 3, 6, 7, 8)
    assert found.kept[KeepReason.HELD] == 2


@pytest.mark.postgresql
def test_held_numbers_are_compared_as_what_the_column_holds(postgresql_database: Database) -> None:
    """A list of another width is searched one by one for every row of the table, a list of its own by hash."""
    build(postgresql_database)
    with listening() as asked:
        survey(postgresql_database, criteria(WHOLE), [hold(1, 2)])
    held = [statement for statement, _ in asked if '"patron" = ANY' in statement]
    assert held
    assert all("::INTEGER[]" in statement for statement in held)


@pytest.mark.postgresql
def test_the_planner_knows_that_counting_makes_few_groups_and_may_do_it_in_parallel(
    postgresql_database: Database,
) -> None:
    build(postgresql_database)
    postgresql_database.run(
        "INSERT INTO loan SELECT n, n, '', now() - n * interval '1 hour' FROM generate_series(100, 20000) AS n",
        "ANALYZE loan",
    )
    with listening() as asked:
        survey(postgresql_database, criteria(WHOLE), [hold(1, 2)])
    ((statement, parameters),) = [one for one in asked if "GROUP BY" in one[0] and "stretch" not in one[0]]
    with postgresql_database.engine.connect() as connection:
        explained = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    assert explained[0]["Plan"]["Plan Rows"] < 100


@contextmanager
def listening() -> Iterator[list[tuple[str, Any]]]:
    """Statements, with their parameters, that are sent meanwhile."""
    asked: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", listen)
    try:
        yield asked
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", listen)


@pytest.mark.parametrize(
    "line",
    [b"", b" 1", b"1 ", b"1_0", b"01", b"1.0", b"+1", b'"1"', b"null", b"[1]", b"1\n2", b"1e2", b"\xb2"],
)
def test_a_line_that_no_survey_writes_is_refused(sqlite_database: Database, line: bytes) -> None:
    build(sqlite_database)
    for asked in ([line], [b"2", line, b"3"]):
        with pytest.raises(VerificationFailed), sqlite_database.store.batch(criteria(WHOLE)) as batch:
            batch.stage(asked, ())
    assert len(survey(sqlite_database, criteria(WHOLE))[1]) == 8


def test_a_table_that_is_gone_is_not_an_empty_one(database: Database) -> None:
    build(database)
    asked = criteria(at(dependents=()))
    other = criteria(WHOLE)
    database.store.read(other, "1")
    database.run("DROP TABLE payment", "DROP TABLE bill", "DROP TABLE loan")
    with pytest.raises(StoreUnavailable):
        survey(database, asked)
    with pytest.raises(StoreUnavailable):
        survey(database, other)
