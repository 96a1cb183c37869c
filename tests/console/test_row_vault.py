"""Rows under a hold, copied out because staff go on editing them: from the subpoena to the certificate of the copies."""

from __future__ import annotations

import base64
import json
import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.console.library import Library
from tests.console.test_hold import MATTER, place

STORE = """\
[store.evidence]
kind = "files"
title = "Evidence vault"

[record-type.past-checkouts]"""


@pytest.fixture
def vault(staffed: Library, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the copies of loans."""
    root = staffed.root / "evidence-disk"
    monkeypatch.setenv("RETENTION_STORES__EVIDENCE__ROOT", str(root))
    staffed.amend("[record-type.past-checkouts]", STORE)
    staffed.amend('table = "loan"', 'table = "loan"\nvault = "evidence"')
    said = staffed.done("db", "upgrade")
    assert "made the vault of past-checkouts/loans-vault in store evidence" in said.out
    return root / "ils" / "past-checkouts" / "loans"


def copies(vault: Path) -> list[dict[str, Any]]:
    """The values of the rows in the vault, in the order of their ids and of their copying."""
    found = [path.read_bytes().splitlines() for path in sorted(vault.rglob("*.jsonl"), key=_age)]
    rows: list[dict[str, Any]] = [json.loads(lines[1])["values"] for lines in found]
    return sorted(rows, key=lambda row: int(row["id"]))


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns


def edit(library: Library, statement: str) -> None:
    with closing(sqlite3.connect(library.ils)) as connection, connection:
        connection.execute(statement)


def release(library: Library, id: str) -> None:
    paper = library.root / "release.pdf"
    paper.write_bytes(b"the court releases it")
    library.done("hold", "release", id, "--document", paper, "--as", "ada")
    library.done("hold", "release", id, "--as", "bela")
    library.now += timedelta(days=8)
    library.done("run", "--execute", "--record-type", "past-checkouts")


def test_held_rows_are_copied_whole_when_the_hold_is_placed(staffed: Library, vault: Path) -> None:
    place(staffed, "--subject", "101")
    rows = copies(vault)
    assert [row["id"] for row in rows] == [2, 4, 6, 8, 10]
    assert set(rows[0]) == {"id", "patron", "branch", "returned", "balance"}
    for path in vault.parents[2].rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_an_edited_row_is_a_further_copy_and_an_unchanged_one_is_not_written_again(
    staffed: Library, vault: Path
) -> None:
    place(staffed, "--subject", "101")
    first = {path: path.read_bytes() for path in vault.rglob("*.jsonl")}
    edit(staffed, "UPDATE loan SET balance = 1 WHERE id = 2")
    edit(staffed, "INSERT INTO loan VALUES (11, 101, 'main', NULL, 0)")
    staffed.now += timedelta(hours=1)
    staffed.done("run", "--execute", "--record-type", "past-checkouts")
    again = {path: path.read_bytes() for path in vault.rglob("*.jsonl")}
    assert {path: again[path] for path in first} == first
    assert [(row["id"], row["balance"]) for row in copies(vault) if row["id"] in (2, 11)] == [
        (2, 0), (2, 1), (11, 0)
    ]  # fmt: skip
    assert len(again) == len(first) + 2


def test_copies_go_after_the_last_release_through_the_choke_point(staffed: Library, vault: Path) -> None:
    id = place(staffed, "--subject", "101")
    staffed.done("hold", "confirm", id, "--as", "bela")
    other = place(staffed, "--subject", "101", "--branch", "main")
    staffed.done("hold", "confirm", other, "--as", "bela")
    edit(staffed, "DELETE FROM loan WHERE id = 2")
    staffed.now += timedelta(days=400)
    release(staffed, id)
    assert [row["id"] for row in copies(vault)] == [2, 4, 6, 8, 10], "another matter keeps them still"
    staffed.done("doctor")
    release(staffed, other)
    assert copies(vault) == []
    latest = staffed.done("certificate", "list", "--json").json["certificates"][0]
    staffed.done("certificate", "verify", latest["path"])
    payload = json.loads(base64.b64decode(json.loads(Path(latest["path"]).read_bytes())["payload"]))
    said = {place["location"]: place for place in payload["predicate"]["what"]["locations"]}
    assert (said["loans-vault"]["copyClass"], said["loans-vault"]["destroyed"]) == ("evidence copy", 5)
    staffed.done("doctor")


def test_a_copy_outlives_the_release_while_its_own_minimum_lasts(staffed: Library, vault: Path) -> None:
    id = place(staffed, "--subject", "101")
    staffed.done("hold", "confirm", id, "--as", "bela")
    release(staffed, id)
    assert [row["id"] for row in copies(vault)] == [2, 4, 6, 8, 10]


def test_a_hold_takes_effect_without_its_vault_and_says_what_is_missing(
    staffed: Library, vault: Path
) -> None:
    away = vault.parents[2].rename(staffed.root / "unplugged")
    vault.parents[2].mkdir()  # where the disk would be mounted
    said = staffed("hold", "place", *MATTER, "--subject", "101", "--as", "ada")
    assert said.code == 7
    assert "is in force" in said.out
    assert "rows of past-checkouts/loans that a hold may keep are not copied into the vault" in said.out
    staffed("run", "--execute", "--record-type", "past-checkouts")
    assert set(staffed.loans()) >= {2, 4}, "kept where they are"
    alarm = staffed("doctor")
    assert "vault evidence: the vault is not there" in alarm.out
    vault.parents[2].rmdir()
    away.rename(vault.parents[2])
    staffed.done("run", "--execute", "--record-type", "past-checkouts")
    assert [row["id"] for row in copies(vault)] == [2, 4, 6, 8, 10]


def test_a_vault_that_does_not_answer_at_all_keeps_the_hold_placing_and_the_rows_kept(
    staffed: Library, vault: Path
) -> None:
    vault.parents[2].rename(staffed.root / "unplugged")
    said = staffed("hold", "place", *MATTER, "--subject", "101", "--as", "ada")
    assert said.code == 7
    assert "is written down and keeps, but store evidence did not confirm it" in said.err
    staffed("run", "--execute", "--record-type", "past-checkouts")
    assert set(staffed.loans()) >= {2, 4}


@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_a_missing_or_changed_copy_is_an_alarm(staffed: Library, vault: Path, harm: str) -> None:
    place(staffed, "--subject", "101")
    staffed.done("doctor")
    path = next(vault.rglob("*.jsonl"))
    path.chmod(0o600)
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes().replace(b"main", b"Main"))
    said = staffed("doctor")
    assert said.code == 6
    assert f"1 copy is {'missing' if harm == 'missing' else 'not what was copied'}" in said.out
