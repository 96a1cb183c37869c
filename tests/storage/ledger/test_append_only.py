"""Evidence is never changed: the database itself refuses, whoever asks and in whatever words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Integer, LargeBinary, text
from sqlalchemy.exc import DBAPIError

from retention.errors import LedgerUnavailable
from retention.holds import HoldState
from retention.signing import generate
from storage.ledger.ledger import Ledger
from storage.ledger.tables import metadata
from tests.storage.desk import NOW, behind_its_back, filled, given_passkey, opened, person, written_hold

EVIDENCE = (
    "event",
    "schedule_version",
    "part",
    "intent",
    "outcome",
    "hold_action",
    "person",
    "approval",
    "certificate",
    "export",
    "export_step",
    "withdrawal",
    "log_entry",
    "person_step",
    "passkey",
    "hold_revision",
    "item_exception",
    "ruling",
    "media_lot",
    "media_step",
)
CHANGEABLE = {"case_file", "hold", "counter"}
NO_EVIDENCE = {
    "lease", "switch", "account", "invitation", "session", "draft", "question", "look", "attempt",
}  # fmt: skip
REFUSAL = re.compile(
    "append-only|frozen|four eyes|too few different people|one key, one person|their own role"
)


def refused(url: str, statement: str, **values: object) -> None:
    with (
        pytest.raises(DBAPIError) as caught,
        behind_its_back(url) as connection,
    ):
        connection.execute(text(statement), values)
    assert REFUSAL.search(str(caught.value.orig)), caught.value.orig


def rows(url: str, table: str) -> list[tuple[object, ...]]:
    with behind_its_back(url) as connection:
        return [tuple(row) for row in connection.execute(text(f'SELECT * FROM "{table}"'))]


def other(column: Column[Any]) -> object:
    """A value of the column's kind that is not there."""
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, LargeBinary):
        return b"x"
    return 99 if isinstance(column.type, Integer) else "x"


def test_every_table_is_looked_at_here() -> None:
    assert {*EVIDENCE, *CHANGEABLE, *NO_EVIDENCE} == set(metadata.tables)


def test_evidence_can_be_neither_changed_nor_removed(ledger: Ledger, ledger_url: str) -> None:
    filled(ledger)
    for table in EVIDENCE:
        before = rows(ledger_url, table)
        assert before, table
        for column in metadata.tables[table].columns:
            refused(ledger_url, f'UPDATE "{table}" SET "{column.name}" = :value', value=other(column))
        refused(ledger_url, f'DELETE FROM "{table}"')
        if not ledger_url.startswith("sqlite"):
            refused(ledger_url, f'TRUNCATE "{table}" CASCADE')
        assert rows(ledger_url, table) == before, table


def test_sqlite_cannot_replace_a_row_either(sqlite_ledger: Ledger, sqlite_url: str) -> None:
    """REPLACE deletes the row in its way without asking the DELETE trigger; so does the hidden row id."""
    filled(sqlite_ledger)
    for table in (*EVIDENCE, *sorted(CHANGEABLE)):
        columns = ", ".join(f'"{column.name}"' for column in metadata.tables[table].columns)
        before = rows(sqlite_url, table)
        refused(sqlite_url, f'REPLACE INTO "{table}" SELECT * FROM "{table}"')
        key = next(iter(metadata.tables[table].primary_key))
        if not isinstance(key.type, Integer):  # else the key is the row id
            fresh = columns.replace(f'"{key.name}"', "'fresh'").replace('"public_key"', "'fresh'")
            refused(
                sqlite_url, f'REPLACE INTO "{table}" (rowid, {columns}) SELECT rowid, {fresh} FROM "{table}"'
            )
        assert rows(sqlite_url, table) == before, table


def test_a_persons_key_cannot_be_given_to_another_name(sqlite_ledger: Ledger, sqlite_url: str) -> None:
    person(sqlite_ledger, "director")
    columns = "full_name, title, role, public_key, added_at"
    refused(sqlite_url, f"REPLACE INTO person (name, {columns}) SELECT 'mallory', {columns} FROM person")


def test_sqlite_cannot_push_a_row_out_by_its_row_id(sqlite_ledger: Ledger, sqlite_url: str) -> None:
    opened(sqlite_ledger)
    opened(sqlite_ledger)
    refused(sqlite_url, "UPDATE OR REPLACE case_file SET rowid = 2 WHERE rowid = 1")
    assert len(rows(sqlite_url, "case_file")) == 2


def test_an_opened_case_is_frozen(ledger: Ledger, ledger_url: str) -> None:
    filled(ledger)
    opened(ledger)
    changeable = {"state", "closed_at", "destroying_since", "cleared_by"}
    for column in metadata.tables["case_file"].columns:
        if column.name not in changeable:
            value = 99 if column.name in {"items", "opened_epoch"} else "x"
            refused(ledger_url, f'UPDATE case_file SET "{column.name}" = :value', value=value)
    refused(ledger_url, "DELETE FROM case_file")
    if not ledger_url.startswith("sqlite"):
        refused(ledger_url, "TRUNCATE case_file CASCADE")


@pytest.mark.parametrize("column", ["closed_at", "destroying_since", "cleared_by"])
def test_what_is_written_once_stays(ledger: Ledger, ledger_url: str, column: str) -> None:
    filled(ledger)
    for value in ("2031-01-01T00:00:00.000000Z", None):
        refused(ledger_url, f"UPDATE case_file SET {column} = :value", value=value)


@pytest.mark.parametrize("state", ["started", "failed", "returned", "x"])
def test_an_ended_case_stays_ended(ledger: Ledger, ledger_url: str, state: str) -> None:
    filled(ledger)
    refused(ledger_url, "UPDATE case_file SET state = :state", state=state)


WAYS = {
    "placing": {"provisional", "active"},
    "provisional": {"active", "release-requested", "placing"},
    "active": {"release-requested", "placing"},
    "release-requested": {"in-grace", "active", "provisional"},
    "in-grace": {"released", "active", "provisional"},
    "released": set(),
}
TO = {
    "placing": [],
    "provisional": ["provisional"],
    "active": ["provisional", "active"],
    "release-requested": ["provisional", "release-requested"],
    "in-grace": ["provisional", "release-requested", "in-grace"],
    "released": ["provisional", "release-requested", "in-grace", "released"],
}


@pytest.mark.parametrize("state", WAYS)
def test_a_hold_keeps_to_its_ways_whoever_moves_it(ledger: Ledger, ledger_url: str, state: str) -> None:
    written_hold(ledger, person(ledger, "director"))
    for step in TO[state]:
        move(ledger_url, step)
    for aim in (*WAYS, "Released", ""):
        if aim not in {*WAYS[state], state}:
            refused(ledger_url, "UPDATE hold SET state = :aim, grace_until = '2025'", aim=aim)
    for column in ("id", "placed_at", "provisional_until", "review_on"):
        refused(ledger_url, f"UPDATE hold SET {column} = 'x'")
    refused(ledger_url, "UPDATE hold SET body = :body", body=b"x")
    refused(ledger_url, "UPDATE hold SET epoch = 0")
    refused(ledger_url, "DELETE FROM hold")
    if state in {"in-grace", "released"}:
        refused(ledger_url, "UPDATE hold SET grace_until = '1999'")


def test_a_request_gets_its_dates_when_it_is_placed_and_then_keeps_them(
    ledger: Ledger, ledger_url: str
) -> None:
    written_hold(ledger, person(ledger, "director"), state=HoldState.REQUESTED)
    for column in ("placed_at", "provisional_until"):
        refused(ledger_url, f"UPDATE hold SET {column} = 'x'")
        refused(ledger_url, f"UPDATE hold SET state = 'declined', {column} = 'x'")
    for aim in ("provisional", "active", "released", "in-grace"):
        refused(ledger_url, "UPDATE hold SET state = :aim, grace_until = '2099'", aim=aim)
    with behind_its_back(ledger_url) as connection:
        connection.execute(
            text("UPDATE hold SET state = 'placing', placed_at = 'x', provisional_until = 'y'")
        )
    refused(ledger_url, "UPDATE hold SET placed_at = 'z'")


STEP = (
    "INSERT INTO hold_action (hold_id, action, person, statement, signature, epoch, at) "
    "VALUES ('H1', :action, :person, '{}', 'c2ln', 9, '2031')"
)


@pytest.mark.parametrize(("before", "after"), [("place", "confirm"), ("request-release", "approve-release")])
def test_nobody_does_both_steps_that_need_two_people(
    ledger: Ledger, ledger_url: str, before: str, after: str
) -> None:
    """With the database's password and nothing of the product in between."""
    written_hold(ledger, person(ledger, "amara"))
    person(ledger, "boris")

    def take(action: str, name: str) -> None:
        with behind_its_back(ledger_url) as connection:
            connection.execute(text(STEP), {"action": action, "person": name})

    if before != "place":
        refused(ledger_url, STEP, action=after, person="boris")  # nobody did the first step yet
        take(before, "amara")
    refused(ledger_url, STEP, action=after, person="amara")
    take(after, "boris")
    take(before, "boris")
    refused(ledger_url, STEP, action=after, person="boris")
    take(after, "amara")


def test_no_grace_no_release(ledger: Ledger, ledger_url: str) -> None:
    written_hold(ledger, person(ledger, "director"))
    for step in ("provisional", "release-requested"):
        move(ledger_url, step)
    refused(ledger_url, "UPDATE hold SET state = 'in-grace'")


def move(url: str, state: str) -> None:
    grace = ", grace_until = '2025-07-01T00:00:00.000000Z'" if state == "in-grace" else ""
    with behind_its_back(url) as connection:
        connection.execute(text(f"UPDATE hold SET state = :state{grace}"), {"state": state})


def test_a_counter_never_goes_back(ledger: Ledger, ledger_url: str) -> None:
    filled(ledger)
    for statement in ("value = value", "value = value - 1", "name = 'x', value = value + 1"):
        refused(ledger_url, f"UPDATE counter SET {statement}")
    refused(ledger_url, "DELETE FROM counter")


def test_the_product_says_so_when_the_database_refuses(ledger: Ledger) -> None:
    filled(ledger)
    with (
        pytest.raises(LedgerUnavailable, match="refused a change to evidence"),
        ledger.connection.write(NOW) as entry,
    ):
        entry.connection.execute(text("UPDATE event SET kind = 'x'"))
    assert ledger.connection.verify_chain()


PASSKEY = "INSERT INTO passkey (credential, person, public_key, label, added_at) VALUES ('C', :person, :key, 'x', '')"
PERSON = "INSERT INTO person (name, full_name, title, role, public_key, added_at) VALUES ('x', 'X', 'X', 'auditor', :key, '')"
ROLE = "INSERT INTO person_step (person, step, value, actor, at) VALUES (:person, :step, 'custodian', :actor, '')"


def test_the_database_takes_no_key_of_two_people(ledger: Ledger, ledger_url: str) -> None:
    """Four eyes would be one pair: a key is one person's, as their own or in a passkey, whoever writes the rows."""
    director, deputy = person(ledger, "director"), person(ledger, "deputy")
    stick = generate("stick")
    given_passkey(ledger, director, stick.public)
    for key in (director.key, deputy.key):
        line = f"retention-ed25519 {key.public.text}"
        refused(ledger_url, PASSKEY, person="deputy", key=line)
    refused(ledger_url, PERSON, key=stick.public.text)
    for statement, values in (
        (PASSKEY, {"person": "deputy", "key": f"retention-ed25519 {generate('y').public.text}"}),
        (PERSON, {"key": generate("z").public.text}),
    ):
        with behind_its_back(ledger_url) as connection:
            connection.execute(text(statement), values)


def test_the_database_lets_nobody_change_their_own_role(ledger: Ledger, ledger_url: str) -> None:
    person(ledger, "director")
    refused(ledger_url, ROLE, person="director", step="role", actor="director")
    with behind_its_back(ledger_url) as connection:
        connection.execute(text(ROLE), {"person": "director", "step": "role", "actor": "deputy"})
        connection.execute(text(ROLE), {"person": "director", "step": "disabled", "actor": "director"})
