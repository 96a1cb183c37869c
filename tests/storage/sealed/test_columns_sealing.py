"""Sealing a table's columns in place, on each kind of database: read back before it is committed, resumable, touching nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from retention.decide import Criteria
from retention.errors import Refused, StoreUnavailable
from retention.records import Personal
from retention.schedule import TriggerKind
from storage.keys.keystore import KeyStore
from storage.keys.secret import SecretKey
from storage.keys.values import ObjectState
from storage.sealed import columns_sealing
from storage.sealed.columns_cabinet import Cabinet
from storage.sealed.columns_sealing import NO_TEXT, NO_TRIGGER, ColumnSealer
from storage.sealed.columns_token import Place, from_text, seal, text_length, to_text
from tests.storage.files.shelf import NOW
from tests.storage.sealed.test_columns import LOANS, criteria
from tests.storage.sql.conftest import Database

AUTO = {
    "mariadb": "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
    "mysql": "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
}


def two_columns() -> Criteria:
    whole = criteria()
    location = replace(LOANS, sealed=("note", "address"), trigger_kind=TriggerKind.DATE)
    return replace(whole, location=location, record_type=replace(whole.record_type, locations=(location,)))


def fill(database: Database, rows: int = 5, width: str = "TEXT") -> None:
    auto = AUTO.get(database.backend, "VARCHAR(20) DEFAULT 'x'")
    database.run(
        f"CREATE TABLE loan (id INTEGER PRIMARY KEY, patron VARCHAR(20), returned DATE, note {width}, address TEXT, touched {auto})"
    )
    for id in range(1, rows + 1):
        database.run(
            "INSERT INTO loan (id, patron, returned, note, address) "
            f"VALUES ({id}, 'p{id % 3}', '2026-03-0{1 + id % 2}', 'note {id}', 'Elm St {id}')"
        )


def sealer(database: Database, keys: KeyStore, **more: Any) -> ColumnSealer:
    return ColumnSealer(two_columns(), database.store, keys, now=lambda: NOW, **more)


def opened(database: Database, keys: KeyStore) -> dict[int, tuple[str | None, ...]]:
    """Note and address of each row, opened."""
    cabinet = Cabinet(keys, two_columns(), now=lambda: NOW)
    found: dict[int, tuple[str | None, ...]] = {}
    for id, *values in database.rows("SELECT id, note, address FROM loan ORDER BY id"):
        tokens = [None if value is None else from_text(value) for value in values]
        found[id] = tuple(
            None if token is None else cabinet.open(token, name).decode()
            for token, name in zip(tokens, ("note", "address"), strict=True)
        )
    return found


EXPECTED: dict[int, tuple[str | None, ...]] = {id: (f"note {id}", f"Elm St {id}") for id in range(1, 6)}


def test_every_value_is_sealed_and_opens_to_what_it_was(database: Database, keys: KeyStore) -> None:
    fill(database)
    done = sealer(database, keys).seal()
    assert done.sealed == 10
    assert done.left == {}
    assert opened(database, keys) == EXPECTED
    # A patron and a period have one key; the periods' index keys come on top.
    subjects = {(one.period, one.plaintext_since is None) for one in keys.objects(state=ObjectState.SEALED)}
    assert subjects == {(period, born) for period in ("2026-03-31", "2026-04-01") for born in (True, False)}
    assert len(list(keys.objects(state=ObjectState.SEALING))) == 0
    assert sum(one.unsealed_before for one in keys.cohorts("files", "loans")) == 5


def test_the_plaintext_before_sealing_is_dated(database: Database, keys: KeyStore) -> None:
    fill(database)
    sealer(database, keys).seal()
    since = [one.plaintext_since for one in keys.objects() if one.plaintext_since is not None]
    assert min(since) == datetime(2026, 3, 1, 5, tzinfo=UTC)  # midnight in New York


def test_a_plan_counts_and_changes_nothing(database: Database, keys: KeyStore) -> None:
    fill(database)
    before = database.rows("SELECT * FROM loan ORDER BY id")
    planned = sealer(database, keys).plan()
    assert (planned.sealed, planned.before) == (10, 0)
    assert planned.size == 5 * (len("note 1") + len("Elm St 1"))
    assert database.rows("SELECT * FROM loan ORDER BY id") == before
    assert list(keys.objects()) == []


def test_what_is_sealed_is_passed_over_and_what_came_since_is_sealed(
    database: Database, keys: KeyStore
) -> None:
    fill(database)
    sealer(database, keys).seal()
    before = database.rows("SELECT id, note FROM loan ORDER BY id")
    database.run("INSERT INTO loan (id, patron, returned, note) VALUES (6, 'p1', '2026-03-01', 'new')")
    objects = len(list(keys.objects()))
    assert sealer(database, keys).seal().sealed == 1
    assert database.rows("SELECT id, note FROM loan WHERE id < 6 ORDER BY id") == before
    assert len(list(keys.objects())) == objects
    planned = sealer(database, keys).plan()
    assert (planned.sealed, planned.before) == (0, 11)


def test_a_row_without_a_trigger_and_missing_values_stay(database: Database, keys: KeyStore) -> None:
    fill(database, rows=1)
    database.run(
        "INSERT INTO loan (id, patron, returned, note) VALUES (2, 'p0', NULL, 'undated')",
        "INSERT INTO loan (id, patron, returned, note) VALUES (3, NULL, '2026-03-01', 'nobody')",
        "INSERT INTO loan (id, patron, returned) VALUES (4, 'p0', '2026-03-01')",
    )
    done = sealer(database, keys).seal()
    assert done.sealed == 3
    assert done.left == {NO_TRIGGER: 1}
    assert database.one("SELECT note FROM loan WHERE id = 2") == "undated"
    assert opened(database, keys)[3] == ("nobody", None)
    assert opened(database, keys)[4] == (None, None)


@pytest.mark.mariadb
def test_sealing_moves_no_time_that_the_database_keeps_itself(
    mariadb_database: Database, keys: KeyStore
) -> None:
    fill(mariadb_database)
    mariadb_database.run("UPDATE loan SET touched = '2020-01-01 00:00:00'")
    sealer(mariadb_database, keys).seal()
    assert {str(row[0]) for row in mariadb_database.rows("SELECT touched FROM loan")} == {
        "2020-01-01 00:00:00"
    }


def test_many_rows_are_sealed_in_batches_and_progress_is_told(
    database: Database, keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns_sealing, "ROWS", 2)
    fill(database)
    told: list[int] = []
    pulses: list[None] = []
    sealer(database, keys, pulse=lambda: pulses.append(None)).seal(told.append)
    assert told == [4, 8, 10]
    assert len(pulses) == 3
    assert opened(database, keys) == EXPECTED


def test_a_column_too_narrow_is_told_and_keeps_its_plaintext(database: Database, keys: KeyStore) -> None:
    fill(database, width="VARCHAR(60)")
    if database.backend == "sqlite":  # which cuts nothing off by itself
        database.run(
            "CREATE TRIGGER cut AFTER UPDATE OF note ON loan BEGIN UPDATE loan SET note = substr(new.note, 1, 60) WHERE id = new.id; END"
        )
    with pytest.raises((Refused, StoreUnavailable)) as caught:
        sealer(database, keys).seal()
    assert "note 1" not in f"{caught.value!r}{caught.value.__context__!r}"
    assert database.rows("SELECT note, address FROM loan ORDER BY id") == list(EXPECTED.values())


def test_a_run_that_stops_between_batches_goes_on(
    database: Database, keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns_sealing, "ROWS", 2)
    fill(database)

    class Stopped(Exception):
        pass

    beats = iter(range(100))

    def stop() -> None:
        if next(beats) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        sealer(database, keys, pulse=stop).seal()
    assert sealer(database, keys).plan().sealed == 2
    assert sealer(database, keys).seal().sealed == 2
    assert opened(database, keys) == EXPECTED


@pytest.mark.parametrize("point", ["_update", "_require_readable", "finish_sealing", "begin_sealing"])
def test_an_interruption_inside_a_batch_leaves_the_rows_as_they_were(
    sqlite_database: Database, keys: KeyStore, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    database = sqlite_database
    fill(database)
    made = sealer(database, keys)

    class Killed(BaseException):
        pass

    def die(*_args: Any, **_kwargs: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(keys if point.endswith("sealing") else made, point, die)
        with pytest.raises(Killed):
            made.seal()
    assert database.rows("SELECT note, address FROM loan ORDER BY id") == list(EXPECTED.values())
    assert sealer(database, keys).seal().sealed == 10
    assert opened(database, keys) == EXPECTED


def test_values_that_are_no_text_are_left_and_counted(sqlite_database: Database, keys: KeyStore) -> None:
    fill(sqlite_database, rows=1)
    sqlite_database.run(
        "INSERT INTO loan (id, patron, returned, note) VALUES (2, 'p0', '2026-03-01', x'00ff')"
    )
    done = sealer(sqlite_database, keys).seal()
    assert (done.sealed, done.left) == (2, {NO_TEXT: 1})


def test_the_directory_names_no_patron(database: Database, keys: KeyStore) -> None:
    fill(database)
    sealer(database, keys).seal()
    rows = str(database.rows("SELECT * FROM retention_sealed"))
    assert "p1" not in rows
    cabinet = Cabinet(keys, two_columns(), now=lambda: NOW)
    with database.engine.connect() as connection:
        assert len(cabinet.objects_of(Personal("p1"), connection)) == 2


def test_a_sealed_value_is_as_long_as_is_said() -> None:
    with SecretKey(bytes(32)) as key:
        for size in range(50):
            token = seal(bytes(size), key, "0" * 16, Place("t", "c"))
            assert len(to_text(token)) == text_length(size)


@pytest.mark.postgresql
def test_a_value_changed_by_somebody_else_meanwhile_is_waited_for_or_left(
    postgresql_database: Database, keys: KeyStore
) -> None:
    fill(postgresql_database)
    with postgresql_database.engine.connect() as other:
        other.execute(sa.text("UPDATE loan SET note = 'newer' WHERE id = 1"))
        with pytest.raises(StoreUnavailable):
            sealer(postgresql_database, keys).seal()  # the row is locked: nothing is overwritten unseen
        other.commit()
    sealer(postgresql_database, keys).seal()
    assert opened(postgresql_database, keys)[1] == ("newer", "Elm St 1")
