"""No ledger, no destruction: locked, read-only, unreachable or unreadable, each is one error of ours and names no value."""

from __future__ import annotations

import re
import sqlite3
import time
import traceback
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import insert, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from retention.errors import LedgerUnavailable
from retention.holds import HoldState, Scope
from retention.permissions import Role
from retention.signing import generate
from storage.ledger import tables
from storage.ledger.connection import CHAIN_LOCK, LedgerConnection
from storage.ledger.drafts import LIVES, DraftKind
from storage.ledger.ledger import Ledger
from storage.ledger.people import Person
from storage.signatures import Signatory
from tests.storage.desk import (
    NOW,
    OFFICER,
    SEALING_KEY,
    SUBJECT,
    act,
    behind_its_back,
    certificate,
    filled,
    person,
    written_hold,
)

ROOT = Path(__file__).parents[3]
SOON = 0.3
LATE = 5.0
"""Seconds. Far below the patience of 20 seconds that a ledger has otherwise."""


def test_a_ledger_locked_by_another_process_is_unavailable_in_time(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", SEALING_KEY, busy_seconds=SOON)
    ledger.connection.upgrade()
    with sqlite3.connect(tmp_path / "ledger.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(LedgerUnavailable, match=r"locked for 0\.3 seconds"):
            person(ledger, "director")
        assert SOON * 0.8 <= time.monotonic() - began < LATE
        assert ledger.people.list() == []  # readers are not kept out
        other.execute("ROLLBACK")
    other.close()
    person(ledger, "director")
    ledger.close()


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "lock", [f"SELECT pg_advisory_lock({CHAIN_LOCK})", "LOCK TABLE event IN ACCESS EXCLUSIVE MODE"]
)
def test_a_ledger_locked_by_another_session_is_unavailable_in_time(postgresql_url: str, lock: str) -> None:
    ledger = Ledger(postgresql_url, SEALING_KEY, busy_seconds=SOON)
    ledger.connection.upgrade()
    with psycopg.connect(postgresql_url.replace("+psycopg", "")) as other:
        other.execute(lock)
        began = time.monotonic()
        with pytest.raises(LedgerUnavailable, match=r"locked for 0\.3 seconds"):
            ledger.note("test", actor="test", subject="x", body={}, at=NOW)
        assert SOON * 0.8 <= time.monotonic() - began < LATE
    ledger.note("test", actor="test", subject="x", body={}, at=NOW)
    ledger.close()


@pytest.mark.parametrize("options", ["mode=ro", "immutable=1"])
def test_a_read_only_file_is_unavailable_for_writing_and_fine_for_reading(
    tmp_path: Path, options: str
) -> None:
    file = tmp_path / "ledger.db"
    made = Ledger(f"sqlite:///{file}", SEALING_KEY)
    made.connection.upgrade()
    filled(made)
    made.close()
    ledger = Ledger(f"sqlite:///file:{file}?{options}&uri=true", SEALING_KEY)
    assert len(ledger.people.list()) == 1
    with pytest.raises(LedgerUnavailable, match="read-only"):
        person(ledger, "deputy")
    ledger.close()


@pytest.mark.postgresql
def test_a_role_without_the_right_to_write_is_told_so(postgresql_url: str) -> None:
    made = Ledger(postgresql_url, SEALING_KEY)
    made.connection.upgrade()
    made.close()
    with behind_its_back(postgresql_url) as connection:
        name = connection.execute(text("SELECT current_database()")).scalar()
        role = f"reader_{name}"
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))
    ledger = Ledger(
        make_url(postgresql_url).set(username=role).render_as_string(hide_password=False), SEALING_KEY
    )
    assert ledger.people.list() == []
    with pytest.raises(LedgerUnavailable, match="read-only"):
        ledger.note("test", actor="test", subject="x", body={}, at=NOW)
    ledger.close()
    with behind_its_back(postgresql_url) as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))


@pytest.mark.postgresql
def test_the_rights_in_the_documentation_are_enough_and_no_more(postgresql_url: str) -> None:
    made = Ledger(postgresql_url, SEALING_KEY)
    made.connection.upgrade()
    made.close()
    rights, _pages = re.findall("```sql\n(.*?)```", (ROOT / "docs" / "ledger.md").read_text(), re.DOTALL)
    with behind_its_back(postgresql_url) as connection:
        role = f"app_{connection.execute(text('SELECT current_database()')).scalar()}"
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(text(rights.replace("retention_app", role)))
    url = make_url(postgresql_url).set(username=role).render_as_string(hide_password=False)
    ledger = Ledger(url, SEALING_KEY)
    file = written_hold(ledger, person(ledger, "deputy"), "H0")
    ledger.holds.move(file, to=HoldState.PROVISIONAL, actor="director", at=NOW)
    filled(ledger)
    for _ in range(2):
        ledger.accounts.invite("director", actor="test", at=NOW)
        ledger.accounts.bind("director", "https://login.library.example d", actor="test", at=NOW)
    ledger.drafts.keep("director", DraftKind.TYPED, {}, NOW)
    assert ledger.drafts.expire(at=NOW + LIVES[DraftKind.TYPED]) == 1
    ledger.require_ready(NOW)
    assert ledger.connection.verify_chain() > 0
    ledger.close()
    for table in ("event", "intent", "outcome", "approval", "certificate", "person", "alembic_version"):
        for statement in (
            f"DELETE FROM {table}",
            f"TRUNCATE {table} CASCADE",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        ):
            with (
                pytest.raises(DBAPIError, match=r"permission denied|must be owner"),
                behind_its_back(url) as connection,
            ):
                connection.execute(text(statement))
    with behind_its_back(postgresql_url) as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))


@pytest.mark.postgresql
def test_a_server_or_database_that_is_not_there_is_not_taken_for_an_empty_ledger(postgresql_url: str) -> None:
    url = make_url(postgresql_url)
    for wrong in (url.set(port=1), url.set(database="nowhere")):
        ledger = Ledger(wrong.render_as_string(hide_password=False), SEALING_KEY)
        with pytest.raises(LedgerUnavailable, match="does not answer"):
            ledger.holds.in_force()
        ledger.close()


@pytest.mark.postgresql
def test_a_connection_cut_in_the_middle_is_unavailable_and_writes_nothing(postgresql_url: str) -> None:
    ledger = Ledger(postgresql_url, SEALING_KEY)
    ledger.connection.upgrade()
    with pytest.raises(LedgerUnavailable, match="does not answer"):
        write_and_cut(ledger, postgresql_url)
    assert ledger.connection.verify_chain() == 0
    ledger.note("test", actor="test", subject="x", body={}, at=NOW)
    ledger.close()


def write_and_cut(ledger: Ledger, url: str) -> None:
    with ledger.connection.write(NOW) as entry:
        entry.record("test", actor="test", subject="x")
        process = entry.connection.execute(text("SELECT pg_backend_pid()")).scalar()
        with behind_its_back(url) as other:
            other.execute(text("SELECT pg_terminate_backend(:process)"), {"process": process})


def test_with_another_sealing_key_nothing_runs(ledger: Ledger, ledger_url: str) -> None:
    director = person(ledger, "director")
    written_hold(ledger, director)
    wrong = Ledger(ledger_url, b"w" * 32)
    for action in (
        wrong.holds.in_force,
        wrong.holds.list,
        lambda: wrong.holds.get("H1"),
        lambda: written_hold(wrong, director, "H2"),
    ):
        with pytest.raises(LedgerUnavailable, match="sealing key"):
            action()
    wrong.close()
    assert [hold.id for hold in ledger.holds.in_force().holds] == ["H1"]


@pytest.mark.parametrize("key", [b"", b"k" * 31, b"k" * 33])
def test_a_key_of_another_length_is_no_key(key: bytes, sqlite_url: str) -> None:
    with pytest.raises(LedgerUnavailable, match="32 bytes"):
        Ledger(sqlite_url, key)


def test_a_body_belongs_to_its_row(sqlite_ledger: Ledger, sqlite_url: str) -> None:
    director = person(sqlite_ledger, "director")
    written_hold(sqlite_ledger, director, "H1", Scope(record_types=frozenset({"loans"})))
    written_hold(sqlite_ledger, director, "H2")
    with behind_its_back(sqlite_url) as connection:
        connection.execute(text("DROP TRIGGER refuse_update_hold"))
        connection.execute(
            text("UPDATE hold SET body = (SELECT body FROM hold WHERE id = 'H1') WHERE id = 'H2'")
        )
    sqlite_ledger.close()
    with pytest.raises(LedgerUnavailable, match="H2"):
        Ledger(sqlite_url, SEALING_KEY).holds.in_force()


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"no json", b'{"scope": {}}'], ids=["list", "empty", "no-json", "half"]
)
def test_a_hold_of_a_later_version_stops_everything_and_shows_nothing(
    sqlite_ledger: Ledger, sqlite_url: str, body: bytes
) -> None:
    director = person(sqlite_ledger, "director")
    written_hold(sqlite_ledger, director)
    sealed = sqlite_ledger.holds._sealer.seal(body, "H1")
    with behind_its_back(sqlite_url) as connection:
        connection.execute(text("DROP TRIGGER refuse_update_hold"))
        connection.execute(text("UPDATE hold SET body = :body"), {"body": sealed})
    with pytest.raises(LedgerUnavailable, match="cannot be read by this version"):
        Ledger(sqlite_url, SEALING_KEY).holds.in_force()


def test_a_matter_that_does_not_fit_is_not_quoted(sqlite_ledger: Ledger, sqlite_url: str) -> None:
    director = person(sqlite_ledger, "director")
    written_hold(sqlite_ledger, director)
    sealer = sqlite_ledger.holds._sealer
    with behind_its_back(sqlite_url) as connection:
        body = connection.execute(text("SELECT body FROM hold")).scalar()
        assert isinstance(body, bytes)
        changed = sealer.open(body, "H1").replace(b'"subpoena"', f'"{OFFICER} {SUBJECT}"'.encode())
        connection.execute(text("DROP TRIGGER refuse_update_hold"))
        connection.execute(text("UPDATE hold SET body = :body"), {"body": sealer.seal(changed, "H1")})
    with pytest.raises(LedgerUnavailable) as caught:
        Ledger(sqlite_url, SEALING_KEY).holds.in_force()
    told = "".join(traceback.format_exception(caught.value))
    assert OFFICER not in told
    assert SUBJECT not in told


def test_no_error_shows_a_value_of_its_statement(ledger: Ledger, ledger_url: str) -> None:
    """Positive control: the database's own error does show it, on PostgreSQL."""
    case = filled(ledger)
    secret = "zqcanary-value"
    values = {**{column.name: secret for column in tables.person.columns}, "name": "director"}
    with (
        pytest.raises(LedgerUnavailable) as caught,
        ledger.connection.write(NOW) as entry,
    ):
        entry.connection.execute(insert(tables.person).values(**values))
    with pytest.raises(LedgerUnavailable) as twice:
        ledger.certificates.issue(certificate(case), actor=secret)
    with pytest.raises(LedgerUnavailable) as unknown:
        ledger.holds.move(
            ledger.holds.get("H1"), to=HoldState.PROVISIONAL, actor=secret, at=NOW, action=act(nobody())
        )
    for error in (caught.value, twice.value, unknown.value):
        told = "".join(traceback.format_exception(error)) + repr(error)
        assert secret not in told
        assert case.id not in told
    if not ledger_url.startswith("sqlite"):
        assert case.id in str(getattr(twice.value.__context__, "orig", None))


def nobody() -> Signatory:
    """Somebody the ledger does not know."""
    key = generate("nobody")
    unknown = Person(
        name="nobody",
        full_name="Nobody",
        title="",
        role=Role.CUSTODIAN,
        public_key=key.public.text,
        added_at=NOW,
    )
    return Signatory(person=unknown, key=key)


def test_an_error_without_words_is_an_error_of_ours_too(sqlite_url: str) -> None:
    silent = OperationalError("SELECT", {}, sqlite3.OperationalError())
    with pytest.raises(LedgerUnavailable, match="does not answer"), LedgerConnection(sqlite_url).read():
        raise silent
