"""``person``, ``db``, ``halt`` and ``doctor``."""

from __future__ import annotations

import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from flows.settings import load_settings
from flows.wiring import Site
from tests.console.library import Library

ADA = ("person", "add", "ada", "--full-name", "Ada Example", "--title", "Director", "--role", "custodian")


def test_a_new_person_gets_a_private_key_that_is_private(library: Library) -> None:
    said = library.done(*ADA)
    key = library.root / "keys" / "ada.pem"
    assert str(key) in said.out
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "PRIVATE" not in said.out + said.err
    (person,) = library.done("person", "list", "--json").json["people"]
    assert (person["name"], person["full_name"], person["role"]) == ("ada", "Ada Example", "custodian")


def test_a_key_is_never_replaced(library: Library) -> None:
    (library.root / "mine.pem").write_bytes(b"precious")
    assert library(*ADA, "--key-file", library.root / "mine.pem").code == 2
    assert (library.root / "mine.pem").read_bytes() == b"precious"
    assert library.done("person", "list", "--json").json["people"] == []


def test_a_name_that_is_taken_leaves_no_key_behind(library: Library) -> None:
    library.done(*ADA)
    key = library.root / "second.pem"
    said = library(
        "person", "add", "ada", "--full-name", "Other", "--title", "T", "--role", "auditor", "--key-file", key
    )
    assert said.code == 2
    assert not key.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("../ada", "Ada Example", "Director"),
        ("ADA", "Ada Example", "Director"),
        ("ada", " ", "Director"),
        ("ada", "Ada\nExample", "Director"),
        ("ada", "Ada Example", ""),
    ],
)
def test_a_name_that_would_mislead_is_refused(library: Library, words: tuple[str, str, str]) -> None:
    name, full_name, title = words
    assert (
        library("person", "add", name, "--full-name", full_name, "--title", title, "--role", "custodian").code
        == 2
    )


def test_two_people_of_one_full_name_are_refused_since_a_certificate_could_not_tell_them_apart(
    library: Library,
) -> None:
    library.done(*ADA)
    said = library(
        "person", "add", "ada2", "--full-name", "ada  EXAMPLE", "--title", "Deputy", "--role", "custodian"
    )
    assert said.code == 2
    assert not (library.root / "keys" / "ada2.pem").exists()


def test_an_upgrade_makes_what_is_missing_and_keeps_what_is_there(bare: Library) -> None:
    first = bare.done("db", "upgrade", "--json").json["done"]
    names = ("signing.pem", "document-signing.pem")
    keys = [(bare.state / name).read_bytes() for name in names]
    assert len(first) == 7
    assert len(bare.done("db", "upgrade", "--json").json["done"]) == 2
    assert [(bare.state / name).read_bytes() for name in names] == keys


def test_a_check_of_the_ledger_finds_a_broken_chain(library: Library) -> None:
    library.done("run", "--execute", "--record-type", "past-checkouts")
    document = library.done("db", "check", "--json").json
    assert (document["open_intents"], document["halted"]) == (0, False)
    connection = sqlite3.connect(library.state / "ledger.db")
    for (name,) in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'event'"
    ).fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute("UPDATE event SET body = '{}' WHERE seq = 2")
    connection.commit()
    connection.close()
    said = library("db", "check")
    assert said.code == 6
    assert "event 2" in said.err


def test_without_a_ledger_everything_says_how_to_make_one(bare: Library) -> None:
    for words in (
        ("db", "check"),
        ("case", "list"),
        ("hold", "list"),
        ("person", "list"),
        ("certificate", "list"),
    ):
        said = bare(*words)
        assert said.code == 7, words
        assert "retention db upgrade" in said.err, words


def test_the_kill_switch_stops_runs_until_it_is_lifted(staffed: Library) -> None:
    staffed.done(
        "person", "add", "olga", "--full-name", "Olga Example", "--title", "Operator", "--role", "operator"
    )
    said = staffed.done("halt", "--as", "olga", "--reason", "disk alarm")
    assert "engaged" in said.out
    said = staffed("run", "--execute", "--record-type", "past-checkouts")
    assert said.code == 5
    assert "disk alarm" in said.out
    assert len(staffed.loans()) == 10
    assert staffed("halt", "--lift", "--as", "olga").code == 5, "only a custodian lifts it"
    staffed.done("halt", "--lift", "--as", "ada")
    assert staffed("halt", "--lift", "--as", "ada").code == 2
    staffed.done("run", "--execute", "--record-type", "past-checkouts")
    assert len(staffed.loans()) == 6


def test_the_doctor_finds_nothing_on_a_sound_site(staffed: Library) -> None:
    document = staffed.done("doctor", "--json").json
    assert document["ok"] is True
    assert {one["subject"] for one in document["checks"]} >= {
        "schedule",
        "keys",
        "ledger",
        "clock",
        "cases",
        "store ils",
    }
    assert {one["level"] for one in document["checks"]} == {"ok"}


def test_the_doctor_goes_on_after_a_failure_and_ends_with_the_gravest(
    staffed: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    (staffed.state / "signing.pem").chmod(0o644)
    assert staffed("doctor").code == 2
    monkeypatch.setenv("RETENTION_STORES__ILS__URL", f"sqlite:///{staffed.root}/nowhere/ils.db")
    said = staffed("doctor")
    assert said.code == 7
    assert "chmod 600" in said.out
    assert "ok    store cameras" in said.out


def test_the_doctor_on_a_site_without_ledger_or_schedule(bare: Library) -> None:
    assert bare("doctor").code == 7
    bare.policies.write_text("nonsense", encoding="utf-8")
    assert bare("doctor").code == 4


def test_the_doctor_sees_a_clock_set_back_and_a_changed_manifest(staffed: Library) -> None:
    staffed.done("run", "--execute", "--record-type", "vendor-exports")
    (case,) = staffed.done("case", "list", "--json").json["cases"]
    path = staffed.state / "cases" / case["id"] / "part-0.lines"
    path.write_bytes(b"")
    assert staffed("doctor").code == 6
    staffed.now -= timedelta(days=1)
    assert "fail  clock" in staffed("doctor").out


def test_the_doctor_warns_of_an_engaged_kill_switch(staffed: Library) -> None:
    staffed.done("halt", "--as", "ada")
    said = staffed.done("doctor")
    assert "warn  kill switch: engaged" in said.out


def test_the_doctor_leaves_the_ledger_as_it_was(staffed: Library) -> None:
    site = Site(load_settings(), lambda: staffed.now)
    before = len(site.ledger.events())
    staffed.done("doctor")
    assert len(site.ledger.events()) == before
    site.close()


def test_settings_that_are_wrong_are_named_without_their_value(
    bare: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETENTION_GRACE_DAYS", "soon-secret")
    said = bare("doctor")
    assert said.code == 2
    assert "RETENTION_GRACE_DAYS" in said.err
    assert "soon-secret" not in said.err


def test_stores_that_are_no_json_are_a_wrong_setting(bare: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETENTION_STORES", "soon-secret")
    said = bare("doctor")
    assert said.code == 2
    assert "soon-secret" not in said.err


def test_a_key_file_that_is_no_key_is_refused_without_quoting_it(staffed: Library) -> None:
    path: Path = staffed.root / "keys" / "ada.pem"
    path.write_bytes(b"not a key at all")
    said = staffed("halt", "--as", "ada")
    assert said.code == 2
    assert "not a key at all" not in said.err
