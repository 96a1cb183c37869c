"""Copies of held rows: which rows, with what hangs on them, and every value exactly as the database has it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from retention.condition import Compare
from retention.decide import Criteria
from retention.holds import Hold, HoldState, Scope
from retention.records import Personal
from retention.schedule import TriggerKind
from storage.row_copy import read_about
from tests.storage.sql.conftest import Database
from tests.storage.sql.library import LOCATION, OLD, WHOLE, at, build, criteria, hold

ODD = {
    "sqlite": (
        "CREATE TABLE loan (id INTEGER PRIMARY KEY, patron TEXT, returned TEXT, amount NUMERIC, photo BLOB, share REAL, open BOOLEAN, note)",
        "INSERT INTO loan VALUES (1, 'p', '2024-01-15 12:00:00.123456', 12.5, x'00ff', 0.1, 1, 'ü\u2028\"')",
        "INSERT INTO loan VALUES (2, 'p', 'no date', 'text', NULL, NULL, NULL, x'80')",
    ),
    "postgresql": (
        "CREATE TABLE loan (id bigint PRIMARY KEY, patron text, returned timestamptz, amount numeric(12,4), photo bytea, share float4,"
        " open boolean, note jsonb, days daterange, marks int[], due date)",
        "INSERT INTO loan VALUES (1, 'p', '2024-01-15 12:00:00.123456+00', 12.5, '\\x00ff', 0.1, true, '{\"a\": \"ü\"}', '[2024-01-01,2024-02-01)',"
        " '{1,NULL,3}', '4000-01-01 BC')",
        "INSERT INTO loan VALUES (2, 'p', 'infinity', 'NaN', NULL, 'Infinity', NULL, NULL, NULL, NULL, NULL)",
    ),
    "mariadb": (
        "CREATE TABLE loan (id bigint PRIMARY KEY, patron varchar(20), returned datetime(6), amount decimal(12,4), photo blob, share float,"
        " open bit(1), note json, took time, due date) ENGINE=InnoDB",
        "INSERT INTO loan VALUES (1, 'p', '2024-01-15 12:00:00.123456', 12.5, x'00ff', 1234567.875, b'1', '{\"a\": \"ü\"}', '-100:00:01', '2024-01-01')",
        "SET SESSION sql_mode = ''",
        "INSERT INTO loan VALUES (2, 'p', '0000-00-00', NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    ),
}  # fmt: skip
VALUES: dict[str, dict[int, dict[str, Any]]] = {
    "sqlite": {
        1: {"returned": "2024-01-15 12:00:00.123456", "amount": {"float": "12.5"}, "photo": {"bytes": "AP8="},
            "share": {"float": "0.1"}, "open": 1, "note": 'ü\u2028"'},
        2: {"returned": "no date", "amount": "text", "photo": None, "share": None, "open": None, "note": {"bytes": "gA=="}},
    },
    "postgresql": {
        1: {"returned": "2024-01-15 12:00:00.123456+00", "amount": {"decimal": "12.5000"}, "photo": "\\x00ff", "share": "0.1",
            "open": True, "note": '{"a": "ü"}', "days": "[2024-01-01,2024-02-01)", "marks": "{1,NULL,3}", "due": "4000-01-01 BC"},
        2: {"returned": "infinity", "amount": {"decimal": "NaN"}, "photo": None, "share": "Infinity", "open": None,
            "note": None, "days": None, "marks": None, "due": None},
    },
    "mariadb": {
        1: {"returned": "2024-01-15 12:00:00.123456", "amount": {"decimal": "12.5000"}, "photo": {"bytes": "AP8="},
            "share": {"float": "1234567.875"}, "open": {"bytes": "AQ=="}, "note": '{"a": "ü"}', "took": {"duration": "-360001000000"},
            "due": "2024-01-01"},
        2: {"returned": "0000-00-00 00:00:00.000000", "amount": None, "photo": None, "share": None, "open": None, "note": None,
            "took": None, "due": None},
    },
}  # fmt: skip
EVERYTHING = Hold(id="h", state=HoldState.ACTIVE, scope=Scope(record_types=frozenset({"loans"})))


def copied(database: Database, asked: Criteria, *holds: Hold) -> list[list[Any]]:
    """The lines of each copy, read."""
    found = database.store.copies(asked, holds)
    return [[json.loads(line) for line in content.splitlines()] for some in found for content in some]


def test_every_value_of_every_column_survives_exactly(database: Database) -> None:
    database.run(*ODD[database.backend])
    rows = [lines[1] for lines in copied(database, criteria(), EVERYTHING)]
    assert {row["values"].pop("id"): row["values"] for row in rows} == {
        number: {"patron": "p", **values} for number, values in VALUES[database.backend].items()
    }
    declared = {
        "sqlite": "REAL",
        "postgresql": "real",
        "mariadb": "float",
    }[database.backend]
    assert rows[0]["columns"]["share"].lower().startswith(declared.lower()), rows[0]["columns"]


def test_a_held_row_is_copied_with_all_that_hangs_on_it_and_no_other_is(database: Database) -> None:
    build(database)
    found = copied(database, criteria(WHOLE), hold(1))
    assert [
        [(line["table"].rpartition(".")[2], line["values"].get("id")) for line in lines[1:] if line["table"].rpartition(".")[2] != "payment"]
        for lines in found
    ] == [
        [("loan", number), ("bill", 10 * number), ("shadow", number)] for number in (1, 4, 7)
    ]  # fmt: skip
    payments = [
        line["values"]["bill"] for lines in found for line in lines[1:] if line["table"].endswith("payment")
    ]
    assert payments == [10, 40, 70]
    assert copied(database, criteria(WHOLE)) == []


def test_the_same_row_makes_the_same_bytes_and_an_edited_one_does_not(database: Database) -> None:
    build(database)
    asked = criteria(WHOLE)
    first, again = ([*database.store.copies(asked, [hold(1)])] for _ in range(2))
    assert first == again
    database.run("UPDATE payment SET bill = 10 WHERE bill = 40")
    (before,), (after,) = first, [*database.store.copies(asked, [hold(1)])]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, False, True]


def test_more_rows_than_are_read_at_a_time_are_all_copied(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sql.copying.AT_ONCE", 3)
    build(database)
    batches = [len(some) for some in database.store.copies(criteria(WHOLE), [EVERYTHING])]
    assert batches == [3, 3, 2]


def test_rows_with_text_keys_are_copied_each_by_its_very_own(database: Database) -> None:
    database.run(
        "CREATE TABLE loan (id VARCHAR(20) PRIMARY KEY, patron VARCHAR(20), returned VARCHAR(20))",
        "CREATE TABLE note (id INTEGER PRIMARY KEY, loan VARCHAR(20))",
        """INSERT INTO loan VALUES ('a''b"c', 'P', NULL), ('ü', 'p', NULL), ('10', 'p', NULL), ('9', 'p', NULL)""",
        "INSERT INTO note VALUES (1, 'ü'), (2, '9'), (3, '9'), (4, 'x')",
    )
    dependents = (replace(WHOLE.dependents[0], table="note", column="loan", soft=True),)
    asked = criteria(at(trigger="returned", trigger_kind=TriggerKind.TIMESTAMP, dependents=dependents))
    if database.backend != "sqlite":
        database.run(
            "ALTER TABLE loan DROP COLUMN returned", "ALTER TABLE loan ADD COLUMN returned date NULL"
        )
    about_p = replace(EVERYTHING, scope=Scope(subjects=frozenset({Personal("p")})))
    found = {lines[1]["values"]["id"]: len(lines) - 2 for lines in copied(database, asked, about_p)}
    assert found == {"ü": 1, "10": 0, "9": 2}


def test_a_copy_says_itself_what_the_row_said(database: Database) -> None:
    build(database, old=[4])
    rules = criteria().record_type.rules
    location = replace(LOCATION, branch="title")
    asked = criteria(location, rules=(replace(rules[0], when=Compare("patron", "=", 1)),))
    ((content,),) = database.store.copies(asked, [EVERYTHING])
    about, row = read_about(content.split(b"\n", 1)[0]), database.store.read(asked, "4")
    assert row is not None
    assert about.trigger == datetime(2024, 1, 15, 12, tzinfo=UTC) == OLD
    assert (about.start, about.end) == (row.span.start, row.span.end)
    assert (about.subject, about.branch, dict(about.fields)) == (row.subject, "title 4", row.fields)


def test_holds_of_other_times_copy_nothing(database: Database) -> None:
    build(database)
    late = replace(EVERYTHING, scope=Scope(since=datetime(2025, 1, 1, tzinfo=UTC)))
    assert copied(database, criteria(WHOLE), late) == []
