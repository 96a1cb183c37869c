"""``export``: registering by hand, by what lies beside a file and by rule; age, attestation, withdrawal. No patron in any output."""

from __future__ import annotations

import json
import os
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from tests.console.library import NOW, Library

PATRON = "21234000000011"
RULE = """
[record-type.analytics]
title = "Analytics exports"
description = "Rows of people who opted in."
authority = { citation = "Policy 5-9" }
owner = "Systems"
personal-data = ["name"]
trigger = "file exported"
cutoff = "day"
minimum = "P0D"
maximum = "P60D"
disposition = "purge"
approval = "standing"
limits = { records = 100 }
effective-from = 2020-01-01

[[record-type.analytics.location]]
name = "savannah"
store = "exports"
path = "savannah"
template = "{any}.csv"
trigger-kind = "registered"
time-zone = "library"
subject = "cardnumber"
consent = "withdrawn = false"

[record-type.analytics.location.rows]
key = ["cardnumber"]

[record-type.analytics.location.export]
purpose = "use of the collection"
recipient = "Savannah"
consent = "opted in to analytics"
attestation = true
"""


@pytest.fixture
def shelf(staffed: Library) -> Library:
    staffed.policies.write_text(staffed.policies.read_text() + RULE)
    return staffed


def put(library: Library, name: str, content: str, days: int = 5) -> Path:
    path = library.root / "exports" / "savannah" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    stamp = (NOW - timedelta(days=days)).timestamp()
    os.utime(path, (stamp, stamp))
    return path


def rows(*numbers: str) -> str:
    return "cardnumber,name\n" + "".join(f"{number},Canary Q\n" for number in numbers)


def test_an_export_is_registered_by_hand_and_keeps_its_age(shelf: Library) -> None:
    path = put(shelf, f"{PATRON}-patrons.csv", rows(PATRON, "2"))
    words = (
        "export",
        "register",
        path,
        "--purpose",
        "a study",
        "--recipient",
        "University",
        "--ground",
        "Contract 7",
    )
    said = shelf.done(*words, "--json")
    export = said.json["export"]
    assert (export["rows"], export["columns"], export["age_rests_on"]) == (
        2,
        ["cardnumber", "name"],
        "first-seen",
    )
    assert export["produced_at"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert shelf(*words).code == 2
    shown = shelf.done("export", "show", export["id"])
    assert PATRON not in said.out + said.err + shown.out + shelf.done("export", "list").out
    assert str(PATRON) in shelf.done("export", "show", export["id"], "--reveal").out
    with sqlite3.connect(shelf.state / "ledger.db") as ledger:
        dumped = "\n".join(ledger.iterdump())
    ledger.close()
    assert PATRON not in dumped
    assert export["sha256"] not in dumped


@pytest.mark.parametrize(
    "words",
    [
        ("--purpose", "x", "--recipient", "y"),
        ("--purpose", "x", "--recipient", "y", "--ground", "a", "--consent", "b"),
        ("--purpose", "x", "--recipient", "y", "--ground", "a", "--produced-at", "2099-01-01"),
    ],
)
def test_an_export_without_a_ground_or_from_the_future_is_refused(
    shelf: Library, words: tuple[str, ...]
) -> None:
    path = put(shelf, "patrons.csv", rows(PATRON))
    assert shelf("export", "register", path, *words).code == 2
    assert shelf.done("export", "list", "--json").json["exports"] == []


def test_links_and_absent_files_are_refused_without_a_word_about_them(shelf: Library) -> None:
    path = put(shelf, "patrons.csv", rows(PATRON))
    (shelf.root / "link.csv").symlink_to(path)
    told = ("--purpose", "x", "--recipient", "y", "--ground", "z")
    for wrong in (shelf.root / "link.csv", shelf.root / PATRON, shelf.root):
        said = shelf("export", "register", wrong, *told)
        assert said.code == 2
        assert PATRON not in said.err


def test_a_folder_rule_registers_each_file_once_and_a_saved_one_keeps_its_age(shelf: Library) -> None:
    path = put(shelf, "patrons.csv", rows(PATRON))
    assert shelf.done("export", "sight", "--json").json["locations"][0]["registered"]
    (before,) = shelf.done("export", "list", "--json").json["exports"]
    assert before["due_on"] == "2035-08-15", "people agreed to it: overdue only past the maximum"
    shelf.now = NOW + timedelta(days=20)
    put(shelf, "patrons.csv", rows(PATRON, "3"), days=-19)
    (seen,) = shelf.done("export", "sight", "--json").json["locations"]
    assert (seen["registered"], seen["saved_again"]) == ([], [before["id"]])
    (after,) = shelf.done("export", "list", "--json").json["exports"]
    assert after["produced_at"] == before["produced_at"]
    path.unlink()
    (seen,) = shelf.done("export", "sight", "--json").json["locations"]
    assert seen["gone"] == [before["id"]]
    assert (
        shelf.done("export", "list", "--json").json["exports"][0]["state"] == "gone here, attestation awaited"
    )


def test_an_export_that_comes_back_from_a_backup_is_as_old_as_it_was(shelf: Library) -> None:
    path = put(shelf, "patrons.csv", rows(PATRON))
    shelf.done("export", "sight")
    path.unlink()
    shelf.now = NOW + timedelta(days=20)
    shelf.done("export", "sight")
    put(shelf, "patrons.csv", rows(PATRON), days=-20)
    shelf.done("export", "sight")
    before, after = shelf.done("export", "list", "--all", "--json").json["exports"]
    assert (before["produced_at"], before["due_on"]) == (after["produced_at"], after["due_on"])
    assert before["id"] != after["id"]


def test_where_names_are_used_again_another_content_is_another_export(shelf: Library) -> None:
    shelf.amend("attestation = true", "names-reused = true")
    put(shelf, "patrons.csv", rows(PATRON))
    shelf.done("export", "sight")
    shelf.now = NOW + timedelta(days=1)
    put(shelf, "patrons.csv", rows("4"), days=0)
    assert len(shelf.done("export", "sight", "--json").json["locations"][0]["registered"]) == 1
    put(shelf, "patrons.csv", rows("4"), days=1)  # the same content with another time
    assert shelf.done("export", "sight", "--json").json["locations"][0]["registered"] == []


def test_a_sidecar_tells_what_a_file_is_for_and_a_wrong_one_is_not_half_believed(shelf: Library) -> None:
    put(shelf, "a.csv", rows(PATRON))
    put(shelf, "b.csv", rows(PATRON))
    beside = {
        "purpose": "a study",
        "recipient": "University",
        "ground": "Contract 7",
        "produced_at": "2035-05-01T00:00:00Z",
        "reason": "moved from the old server",
    }
    put(shelf, "c.csv", rows(PATRON))
    put(shelf, "a.csv.retention.json", json.dumps(beside))
    put(shelf, "b.csv.retention.json", json.dumps(beside | {"owner": PATRON}))
    put(shelf, "c.csv.retention.json", json.dumps(beside | {"reason": ""}))
    said = shelf.done("export", "sight")
    assert "savannah: 2 sidecars" in said.err
    assert PATRON not in said.out + said.err
    (export,) = shelf.done("export", "list", "--json").json["exports"]
    assert (export["recipient"], export["age_rests_on"]) == ("University", "declared")


def test_rows_of_a_person_who_withdrew_go_and_the_certificate_says_who_else_has_them(shelf: Library) -> None:
    path = put(shelf, "patrons.csv", rows(PATRON, "5"))
    shelf.done("export", "sight")
    shelf.now = NOW + timedelta(days=1)
    (shelf.root / "who.txt").write_text(f"{PATRON}\n")
    said = shelf.done("export", "withdraw", "--subject-file", shelf.root / "who.txt", "--as", "ada", "--json")
    assert (said.json["changed"], PATRON in said.out) == (1, False)
    again = shelf.done(
        "export", "withdraw", "--subject-file", shelf.root / "who.txt", "--as", "ada", "--json"
    )
    assert again.json["changed"] == 0
    (export,) = shelf.done("export", "list", "--json").json["exports"]
    (shelf.root / "letter.pdf").write_bytes(b"we destroyed it")
    attested = shelf.done(
        "export", "attest", export["id"], "--document", shelf.root / "letter.pdf", "--as", "ada", "--json"
    )
    assert attested.json["export"]["state"] == "attested by third party"
    ran = shelf.done("run", "--record-type", "analytics", "--execute", "--json")
    assert path.read_text() == rows("5")
    (certificate,) = shelf.done("certificate", "list", "--json").json["certificates"]
    envelope = (shelf.state / "evidence" / f"{certificate['id']}.dsse.json").read_text()
    shown = shelf.done("certificate", "show", certificate["id"], "--json")
    assert "attested by third party for 1" in shown.out
    assert (
        "copies elsewhere: Savannah: received 1 export"
        in shelf.done("certificate", "show", certificate["id"]).out
    )
    assert PATRON not in ran.out + ran.err + shown.out + envelope


def test_a_hold_keeps_the_rows_of_a_person_who_withdrew(shelf: Library) -> None:
    path = put(shelf, "patrons.csv", rows(PATRON, "5"))
    (shelf.root / "who.txt").write_text(f"{PATRON}\n")
    shelf.done("export", "withdraw", "--subject-file", shelf.root / "who.txt", "--as", "ada")
    (shelf.root / "subpoena.pdf").write_bytes(b"keep it")
    shelf.done(
        "hold", "place", "--matter", "M1", "--kind", "subpoena", "--authority", "Court", "--subject-file",
        shelf.root / "who.txt", "--document", shelf.root / "subpoena.pdf", "--as", "ada",
    )  # fmt: skip
    shelf.now = NOW + timedelta(days=1)
    shelf.done("run", "--record-type", "analytics", "--execute")
    assert path.read_text() == rows(PATRON, "5")


def test_consent_that_was_given_again_keeps_the_rows(shelf: Library) -> None:
    path = put(shelf, "patrons.csv", rows(PATRON))
    (shelf.root / "who.txt").write_text(f"{PATRON}\n")
    for more in ((), ("--again",)):
        shelf.done("export", "withdraw", "--subject-file", shelf.root / "who.txt", "--as", "ada", *more)
    shelf.done("export", "sight")
    shelf.now = NOW + timedelta(days=2)
    shelf.done("run", "--record-type", "analytics", "--execute")
    assert path.read_text() == rows(PATRON)


def test_whole_files_go_by_their_registered_age_however_often_they_were_saved(shelf: Library) -> None:
    text = shelf.policies.read_text()
    start, end = (
        text.index("[record-type.analytics.location.rows]"),
        text.index("[record-type.analytics.location.export]"),
    )
    text = (text[:start] + text[end:]).replace('consent = "withdrawn = false"\n', "")
    shelf.policies.write_text(
        text.replace('subject = "cardnumber"', 'subject = "none"').replace('"P0D"', '"P30D"')
    )
    path = put(shelf, "patrons.csv", rows(PATRON))
    (path.parent / "patrons.csv.retention.json").write_text(
        json.dumps(
            {
                "purpose": "x",
                "recipient": "Savannah",
                "consent": "opted in",
                "produced_at": "2035-05-10T00:00:00Z",
                "reason": "moved from the old server",
            }
        )
    )
    unregistered = shelf.done("run", "--record-type", "analytics", "--json")
    assert PATRON not in unregistered.out
    put(shelf, "patrons.csv", rows(PATRON, "6"), days=0)
    shelf.done("run", "--record-type", "analytics", "--execute")
    assert list(path.parent.iterdir()) == [], "the export is 36 days old, and what said so went with it"


RECORDED = """consent = { category = "opted in to analytics", store = "ils", table = "opted_in", subject = "card", when = "entry = 'yes'" }"""


def opted_in(library: Library, *statements: str) -> None:
    with sqlite3.connect(library.ils) as ils:
        for statement in statements:
            ils.execute(statement)
    ils.close()


@pytest.fixture
def asking(shelf: Library) -> Library:
    """The same, with the consent recorded in the library system."""
    shelf.amend('consent = "opted in to analytics"', RECORDED)
    opted_in(
        shelf,
        "CREATE TABLE opted_in (id INTEGER PRIMARY KEY, card TEXT, entry TEXT)",
        f"INSERT INTO opted_in (card, entry) VALUES ('{PATRON}', 'yes'), ('5', 'yes'), ('9', 'no')",
    )
    return shelf


def test_rows_go_when_the_library_system_says_that_nobody_consents_any_more(asking: Library) -> None:
    path = put(asking, "patrons.csv", rows(PATRON, "5", "9"))
    asking.done("export", "sight")
    asking.now = NOW + timedelta(days=1)
    dry = asking.done("run", "--record-type", "analytics")
    assert "1 row that is due is of a person whose consent is withdrawn" in dry.out
    opted_in(
        asking,
        f"DELETE FROM opted_in WHERE card = '{PATRON}'",
        "UPDATE opted_in SET entry = 'yes' WHERE card = '9'",
    )
    ran = asking.done("run", "--record-type", "analytics", "--execute", "--json")
    assert path.read_text() == rows("5", "9")
    (certificate,) = asking.done("certificate", "list", "--json").json["certificates"]
    envelope = (asking.state / "evidence" / f"{certificate['id']}.dsse.json").read_text()
    assert PATRON not in dry.out + ran.out + ran.err + envelope


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM opted_in", "nobody consents there"),
        ("DROP TABLE opted_in", "there is no such table"),
        ("ALTER TABLE opted_in RENAME COLUMN entry TO answer", "it has no column entry"),
    ],
)
def test_a_library_system_that_cannot_tell_destroys_nothing(
    asking: Library, statement: str, told: str
) -> None:
    path = put(asking, "patrons.csv", rows(PATRON, "9"))
    asking.done("export", "sight")
    asking.now = NOW + timedelta(days=1)
    opted_in(asking, statement)
    said = asking("run", "--record-type", "analytics", "--execute")
    assert said.code != 0
    assert f"the record of consent ils/opted_in: {told}" in said.out + said.err
    assert path.read_text() == rows(PATRON, "9")
    assert told in asking("check", "--stores").out


def test_an_export_of_ids_of_another_kind_is_nobody_s_withdrawal(asking: Library) -> None:
    path = put(asking, "patrons.csv", rows("1001", "1002"))
    asking.done("export", "sight")
    asking.now = NOW + timedelta(days=1)
    said = asking("run", "--record-type", "analytics", "--execute")
    assert said.code == 7
    assert "it knows nobody of those in the rows of savannah" in said.out + said.err
    assert path.read_text() == rows("1001", "1002")


def test_coverage_knows_a_table_that_is_asked_for_consent(asking: Library) -> None:
    said = asking("coverage", "--all", "--json")
    (found,) = [one for one in said.json["places"] if one["name"] == "opted_in"]
    assert (found["standing"], found["by"]) == ("uncovered", ["asked for the consent of analytics"])
    assert "card" in found["signs"]
