"""``sign``, and the signatures that ``db check`` and ``doctor`` look at."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path

import pytest
import rfc8785

from retention.signing import load_private
from storage.statements import RULING
from tests.console.library import Library

STATEMENT = {
    "type": RULING, "recordType": "loans", "kind": "extended", "until": "2026-01-01", "person": "ada", "at": "2025-06-02T15:00:00Z",
}  # fmt: skip
MATTER = ("--matter", "2035-CV-7", "--kind", "subpoena", "--authority", "District Court")
DATA = rfc8785.dumps(STATEMENT)


@pytest.fixture
def file(library: Library, tmp_path: Path) -> Path:
    library.add_people("ada", "ben")
    path = tmp_path / "statement"
    path.write_bytes(DATA + b"\n")
    return path


def test_a_statement_is_told_in_words_and_signed(library: Library, file: Path) -> None:
    said = library.done("sign", "--as", "ada", file)
    key = load_private((library.root / "keys" / "ada.pem").read_bytes())
    assert key.public.verifies(base64.b64decode(said.out), DATA)
    assert said.out.count("\n") == 1
    for word in (
        "decision on a record type",
        "recordType: loans",
        "until: 2026-01-01",
        "without effect until",
    ):
        assert word in said.err


def test_the_signature_is_told_to_programs_too(library: Library, file: Path) -> None:
    said = library.done("sign", "--as", "ada", file, "--json").json
    key = load_private((library.root / "keys" / "ada.pem").read_bytes())
    assert (said["person"], said["type"], said["keyid"]) == ("ada", RULING, key.keyid)
    assert key.public.verifies(base64.b64decode(said["signature"]), DATA)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"hello", "not readable as JSON"),
        (DATA.replace(b":", b": "), "not canonical"),
        (
            rfc8785.dumps({**STATEMENT, "type": "https://example/other"}),
            "not a statement that people sign here",
        ),
        (rfc8785.dumps({"payloadType": "x"}), "not a statement that people sign here"),
        (rfc8785.dumps({**STATEMENT, "more": {"hidden": 1}}), "cannot be shown"),
        (rfc8785.dumps({**STATEMENT, "person": "ben"}), "another person"),
        (b"[" * 2_000_000, "too long"),
    ],
)
def test_anything_else_is_not_signed(library: Library, file: Path, data: bytes, why: str) -> None:
    file.write_bytes(data)
    said = library("sign", "--as", "ada", file)
    assert said.code in (2, 5)
    assert said.out == ""
    assert why in said.err


def test_another_persons_key_does_not_sign(library: Library, file: Path) -> None:
    said = library("sign", "--as", "ada", "--key-file", library.root / "keys" / "ben.pem", file)
    assert (said.code, said.out) == (5, "")
    assert "not a signing key of ada" in said.err


def test_a_changed_decision_is_found_by_db_check_and_doctor(library: Library) -> None:
    library.add_people("ada")
    library.done("hold", "place", "--record-type", "past-checkouts", "--as", "ada", *MATTER)
    assert library.done("db", "check", "--json").json["signatures"] == 1
    with sqlite3.connect(library.state / "ledger.db") as connection:
        connection.execute("DROP TRIGGER refuse_update_hold_action")
        connection.execute("UPDATE hold_action SET action = 'confirm'")
    for words in (("db", "check"), ("doctor",)):
        said = library(*words)
        assert said.code == 6
        assert "step of a hold 1 is not what was signed" in said.out + said.err
