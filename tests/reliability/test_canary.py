"""Distinctive personal values in every column and file name: after a run with holds, approvals and errors they are in no log,
ledger table, certificate or error. A positive control shows that the scan finds what is there."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from retention.holds import Matter, MatterKind, Scope
from retention.records import Personal
from tests.reliability.site import CANARY, ON, build, patron


def findings(folder: Path) -> set[Path]:
    """Files below the folder that hold a canary, in any of the encodings in which one could stand."""
    spellings = [CANARY.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be")]
    spellings.append(CANARY.encode().hex().encode())
    return {
        path
        for path in folder.rglob("*")
        if path.is_file() and any(spelling in path.read_bytes() for spelling in spellings)
    }


def test_no_personal_value_leaves_the_stores(tmp_path: Path) -> None:
    made = build(tmp_path, f"sqlite:///{tmp_path / 'ils.db'}", loans=3_000, files=300)
    site = made.site()
    scope = Scope(subjects=frozenset({Personal(patron(7))}))
    officer = Matter(
        number="2026-19",
        kind=MatterKind.SUBPOENA,
        issuing_authority="District Court",
        officer=f"{CANARY}-officer",
    )
    site.enforcing.place(scope, officer, site.signatory("director"))
    site.close()
    assert made.run("run", "--on", ON) == 0
    made.kill_after(1)
    assert made.run("run", "--on", ON, "--execute") == 0
    assert made.run("run", "--on", ON, "--execute", "--json") == 0
    assert made.run("explain", "loans", "no-such-key") == 2
    with made.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE bill")
    assert made.run("run", "--on", ON, "--execute") != 0
    for command in (
        ("hold", "list"),
        ("case", "list"),
        ("certificate", "list"),
        ("doctor",),
        ("db", "check"),
    ):
        made.run(*command)
    assert (tmp_path / "output").stat().st_size > 0
    assert findings(tmp_path / "state") | findings(tmp_path / "keys") == set()
    assert CANARY.encode() not in (tmp_path / "output").read_bytes()


def test_the_scan_finds_what_is_there(tmp_path: Path) -> None:
    made = build(tmp_path, f"sqlite:///{tmp_path / 'ils.db'}", loans=20, files=2)
    assert findings(tmp_path) == {tmp_path / "ils.db", *(tmp_path / "files" / "drop").iterdir()}
    ledger = sqlite3.connect(tmp_path / "state" / "ledger.db")
    ledger.execute("INSERT INTO counter VALUES (?, 1)", (f"{CANARY}-leaked",))
    ledger.commit()
    ledger.close()
    assert findings(made.folder / "state")
