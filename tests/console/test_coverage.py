"""``coverage`` at the command line: uncovered tables and folders, drift, and stores that do not answer."""

from __future__ import annotations

import sqlite3

import pytest

from tests.console.library import Library


def alter(library: Library, *statements: str) -> None:
    connection = sqlite3.connect(library.ils)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_library_whose_data_all_has_rules_is_covered(library: Library) -> None:
    said = library.done("coverage")
    assert "3 tables and folders: 3 covered" in said.out
    assert "No columns were ever accepted" in said.out


def test_a_forgotten_table_and_a_forgotten_folder_are_found(library: Library) -> None:
    alter(library, "CREATE TABLE newsletter (id INTEGER PRIMARY KEY, email TEXT, street TEXT)")
    forgotten = library.root / "exports" / "outreach"
    forgotten.mkdir()
    (forgotten / "list.csv").write_text("name\n")
    said = library("coverage", "--json")
    assert said.code == 3
    uncovered = [place for place in said.json["places"] if place["standing"] == "uncovered"]
    assert [(place["store"], place["name"], place["signs"], place["files"]) for place in uncovered] == [
        ("ils", "newsletter", ["email", "street"], None), ("exports", "outreach", [], 1),
    ]  # fmt: skip
    shown = library("coverage").out
    assert "email, street" in shown
    assert "[[exempt]]" in shown


def test_an_exemption_with_its_reason_settles_it(library: Library) -> None:
    alter(library, "CREATE TABLE newsletter (id INTEGER PRIMARY KEY, email TEXT)")
    text = library.policies.read_text(encoding="utf-8")
    library.policies.write_text(
        text
        + '\n[[exempt]]\nstore = "ils"\nwhat = "newsletter"\nreason = "Kept by the Friends of the Library"\n',
        encoding="utf-8",
    )
    assert "Kept by the Friends of the Library" in library.done("coverage", "--all").out


def test_a_new_column_is_reported_until_somebody_accepts_it(library: Library) -> None:
    library.done("coverage", "--accept")
    library.done("coverage")
    alter(library, "ALTER TABLE loan ADD COLUMN pickup_person TEXT")
    said = library("coverage")
    assert said.code == 3
    assert "Drift: ils, loan: new pickup_person" in said.out
    library.done("coverage", "--accept")
    library.done("coverage")


def test_a_store_that_does_not_answer_is_no_covered_store(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETENTION_STORES__CAMERAS__ROOT", str(library.root / "unplugged"))
    said = library("coverage", "--json")
    assert said.code == 7
    assert [error["store"] for error in said.json["errors"]] == ["cameras"]
    refused = library("coverage", "--accept")
    assert refused.code == 7
    assert not (library.state / "coverage.json").exists()


def test_an_unknown_store_is_named_with_those_there_are(library: Library) -> None:
    said = library("coverage", "--store", "isl")
    assert said.code == 2
    assert "one of: cameras, exports, ils" in said.err


def test_what_came_out_is_noted_in_counts(library: Library) -> None:
    alter(library, "CREATE TABLE newsletter (id INTEGER PRIMARY KEY, email TEXT)")
    library("coverage")
    connection = sqlite3.connect(library.state / "ledger.db")
    (body,) = connection.execute("SELECT body FROM event WHERE kind = 'coverage'").fetchone()
    connection.close()
    assert '"uncovered":1' in body
    assert "newsletter" not in body
