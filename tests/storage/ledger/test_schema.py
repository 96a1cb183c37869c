"""The schema: migrations, versions, and who may open what."""

from __future__ import annotations

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from retention.errors import LedgerUnavailable, UsageError
from storage.ledger.connection import LedgerConnection
from storage.ledger.ledger import Ledger
from storage.ledger.tables import metadata
from tests.storage.desk import NOW, SEALING_KEY, behind_its_back, filled


def test_the_migrations_make_exactly_the_tables_of_the_code(ledger: Ledger) -> None:
    with ledger.connection.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_upgrading_twice_changes_nothing(ledger: Ledger) -> None:
    case = filled(ledger)
    length = ledger.connection.verify_chain()
    assert ledger.connection.upgrade() == ledger.connection.head()
    assert ledger.connection.verify_chain() == length
    assert ledger.cases.get(case.id) == case
    ledger.require_ready(NOW)


def test_two_upgrades_at_once_make_one_ledger(ledger_url: str) -> None:
    first, second = LedgerConnection(ledger_url), LedgerConnection(ledger_url)
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(LedgerConnection.upgrade, (first, second))) == {first.head()}
    first.require_current()
    first.close()
    second.close()


def test_a_ledger_that_was_never_made_is_unavailable(ledger_url: str) -> None:
    ledger = Ledger(ledger_url, SEALING_KEY)
    with pytest.raises(LedgerUnavailable) as caught:
        ledger.require_ready(NOW)
    assert "db upgrade" in caught.value.hint
    with pytest.raises(LedgerUnavailable, match="no tables"):
        ledger.holds.in_force()
    ledger.close()


def test_looking_whether_there_is_a_ledger_makes_none(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="no ledger"):
        LedgerConnection(f"sqlite:///{tmp_path / 'none' / 'ledger.db'}").require_current()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("revision", "advice"), [(None, "db upgrade"), ("0000", "newer"), ("9999", "newer")], ids=str
)
def test_a_ledger_of_another_version_is_unavailable(
    ledger: Ledger, ledger_url: str, revision: str | None, advice: str
) -> None:
    with behind_its_back(ledger_url) as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        if revision is not None:
            connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
    with pytest.raises(LedgerUnavailable, match="this version needs") as caught:
        ledger.require_ready(NOW)
    assert advice in caught.value.hint


def test_two_revisions_at_once_are_no_version(ledger: Ledger, ledger_url: str) -> None:
    with behind_its_back(ledger_url) as connection:
        connection.execute(text("INSERT INTO alembic_version VALUES ('0000')"))
    with pytest.raises(LedgerUnavailable, match="this version needs"):
        ledger.require_ready(NOW)


def test_a_newer_ledger_is_not_upgraded(ledger: Ledger, ledger_url: str) -> None:
    with behind_its_back(ledger_url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerUnavailable, match="does not know"):
        ledger.connection.upgrade()


def test_the_ledger_and_its_logs_are_private_from_the_first_moment(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}", SEALING_KEY)
    ledger.connection.upgrade()
    filled(ledger)
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert names == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm"), 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    ledger.close()


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a folder")
    with pytest.raises(LedgerUnavailable, match="cannot be made"):
        LedgerConnection(f"sqlite:///{tmp_path / 'state' / 'ledger.db'}").upgrade()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"minutes of the board, " * 1000)
    with pytest.raises(LedgerUnavailable):
        LedgerConnection(f"sqlite:///{tmp_path / 'ledger.db'}").require_current()


@pytest.mark.parametrize(
    "url",
    [
        "no address",
        "postgresql://host:many/ledger",
        "mariadb+pymysql://localhost/ledger",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_an_address_that_cannot_be_a_ledger_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        LedgerConnection(url)
    assert url not in str(caught.value)


@pytest.mark.postgresql
def test_a_plain_postgresql_address_is_understood(postgresql_url: str) -> None:
    connection = LedgerConnection(postgresql_url.replace("+psycopg", ""))
    connection.upgrade()
    connection.require_current()
    connection.close()


def test_an_upgrade_that_fails_halfway_leaves_nothing(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = LedgerConnection(sqlite_url)

    def fail(*given: object) -> None:
        raise sqlite3.OperationalError("the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr("alembic.runtime.migration.HeadMaintainer.update_to_step", fail)
        with pytest.raises(sqlite3.OperationalError):
            connection.upgrade()
    with sqlite3.connect(tmp_path / "ledger.db") as raw:
        assert raw.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    raw.close()
    connection.upgrade()
    connection.require_current()
    connection.close()
