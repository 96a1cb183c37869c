"""``seal`` and ``open`` from the command line: dry by default, private output, every opening an event."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flows.settings import load_settings
from flows.wiring import Site
from retention.errors import KeyDestroyed
from storage.sealed import opening
from tests.console.library import Library

PLAIN = b"number,amount\n1,2\n"


@pytest.fixture
def sealing(staffed: Library) -> Library:
    """Footage and exports are crypto-shredded."""
    staffed.amend(
        'disposition = "purge"\napproval = "standing"\nlimits = { percent = 95 }',
        'disposition = "crypto-shred"\napproval = "standing"\nlimits = { percent = 100 }',
    )
    staffed.amend(
        'disposition = "purge"\napproval = "two-person"',
        'disposition = "crypto-shred"\napproval = "two-person"',
    )
    return staffed


def sealed_files(library: Library) -> list[Path]:
    return sorted(library.root.rglob("*.sealed"))


def object_of(path: Path) -> str:
    return path.name.split(".")[-2]


def events(kind: str) -> list[dict[str, Any]]:
    site = Site(load_settings())
    try:
        return [
            {"actor": one.actor, "subject": one.subject, **json.loads(one.body)}
            for one in site.ledger.events()
            if one.kind == kind
        ]
    finally:
        site.close()


@pytest.fixture
def one(sealing: Library) -> Path:
    """An export, sealed."""
    sealing.done("seal", "--execute", "--record-type", "vendor-exports")
    return sealed_files(sealing)[0]


def test_without_execute_nothing_is_touched(sealing: Library) -> None:
    said = sealing.done("seal")
    assert "3 to be sealed" in said.out
    assert "nothing was touched; to seal: retention seal --execute" in said.out
    assert sealed_files(sealing) == []
    assert events("store.sealed") == []


def test_sealing_says_what_it_did_and_notes_it(sealing: Library) -> None:
    said = sealing.done("seal", "--execute", "--json")
    assert said.json["format"] == "retention.seal/1"
    counts = {one["location"]: (one["sealed"], one["bytes"]) for one in said.json["locations"]}
    assert counts == {"agency": (3, 54), "recordings": (2, 36)}
    assert said.json["failures"] == []
    assert len(sealed_files(sealing)) == 5
    assert sealing.footage() != []  # the newest
    noted = events("store.sealed")
    assert {(one["subject"], one["sealed"]) for one in noted} == {
        ("vendor-exports/agency", 3),
        ("camera-footage/recordings", 2),
    }
    assert "submission" not in json.dumps(noted)
    assert "3 sealed before" in sealing.done("seal").out


def test_only_what_the_schedule_shreds_is_sealed(sealing: Library) -> None:
    said = sealing("seal", "--record-type", "past-checkouts")
    assert said.code == 2
    assert "not sealed by the schedule" in said.err
    assert sealing("seal", "--record-type", "nonsense").code == 2


def test_a_schedule_that_seals_nothing_says_so(staffed: Library) -> None:
    assert "nothing is sealed by this schedule" in staffed.done("seal").out


def test_the_kill_switch_stops_sealing_too(sealing: Library) -> None:
    sealing.done("halt", "--as", "ada")
    said = sealing("seal", "--execute")
    assert said.code == 5
    assert sealed_files(sealing) == []
    sealing.done("seal")


def test_a_strangers_file_with_our_suffix_makes_the_command_say_so(sealing: Library) -> None:
    stranger = sealing.root / "exports" / "agency" / "submission-20350101.csv.0123456789abcdef.sealed"
    stranger.write_bytes(b"a stranger's")
    said = sealing("seal", "--execute", "--record-type", "vendor-exports")
    assert said.code == 3
    assert "not known to the key store" in said.out
    assert stranger.read_bytes() == b"a stranger's"


def test_one_stores_failure_does_not_keep_the_other_from_being_sealed(sealing: Library) -> None:
    (sealing.root / "exports").rename(sealing.root / "unmounted")
    said = sealing("seal", "--execute")
    assert said.code == 7
    assert "2 sealed and read back" in said.out


def test_a_custodian_opens_an_object_into_a_private_file(sealing: Library, one: Path) -> None:
    target = sealing.root / "opened.csv"
    said = sealing.done("open", object_of(one), "-o", target, "--as", "ada")
    assert target.read_bytes() == PLAIN
    assert target.stat().st_mode & 0o777 == 0o600
    assert f"object {object_of(one)} opened" in said.out
    assert events("object.opened") == [
        {
            "actor": "ada", "subject": object_of(one), "record_type": "vendor-exports", "location": "agency", "start": 0,
            "end": None,
        }
    ]  # fmt: skip
    assert sorted(path.name for path in sealing.root.glob("*opened*")) == ["opened.csv"]


def test_a_range_is_opened_into_a_pipe(sealing: Library, one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe(io.StringIO):
        buffer = io.BytesIO()

    def piped(*words: str) -> bytes:
        pipe = Pipe()
        pipe.buffer = io.BytesIO()
        from console.cli.main import main

        monkeypatch.setattr(sys, "stdout", pipe)
        code = main(["open", *words, "-o", "-", "--as", "ada"], now=lambda: sealing.now)
        monkeypatch.undo()
        assert code == 0
        assert pipe.getvalue() == ""
        return pipe.buffer.getvalue()

    settings = sealing.settings()

    def again(*words: str) -> bytes:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return piped(*words)

    id = object_of(one)
    assert again(id) == PLAIN
    assert again(id, "--range", "0-5") == PLAIN[:6]
    assert again(id, "--range", "7-") == PLAIN[7:]
    assert again(str(one), "--range", "17-17") == PLAIN[17:18]


@pytest.mark.parametrize("given", ["5", "-5", "a-b", "9-3", "1-2-3", "²-3"])
def test_a_range_that_is_none_is_refused(sealing: Library, one: Path, given: str) -> None:
    said = sealing("open", object_of(one), "-o", sealing.root / "x", "--as", "ada", f"--range={given}")
    assert said.code == 2
    assert "not a range" in said.err


def test_a_range_outside_the_object_is_refused_and_leaves_no_file(sealing: Library, one: Path) -> None:
    said = sealing("open", object_of(one), "-o", sealing.root / "x", "--as", "ada", "--range", "0-99")
    assert said.code == 2
    assert "the object has 18 bytes" in said.err
    assert not (sealing.root / "x").exists()
    assert list(sealing.root.glob(".x.*")) == []


def test_nobody_but_a_custodian_with_their_own_key_opens_anything(sealing: Library, one: Path) -> None:
    sealing.done(
        "person", "add", "olga", "--full-name", "Olga Example", "--title", "Operator", "--role", "operator"
    )
    assert sealing("open", object_of(one), "-o", sealing.root / "x", "--as", "olga").code == 5
    other = sealing.root / "keys" / "bela.pem"
    said = sealing("open", object_of(one), "-o", sealing.root / "x", "--as", "ada", "--key-file", other)
    assert said.code == 5
    assert sealing("open", object_of(one), "-o", sealing.root / "x", "--as", "nobody").code == 2
    assert not (sealing.root / "x").exists()
    assert events("object.opened") == []


def test_plaintext_is_not_written_into_a_store_nor_over_a_file(sealing: Library, one: Path) -> None:
    inside = sealing.root / "cameras" / "recordings" / "x.csv"
    said = sealing("open", object_of(one), "-o", inside, "--as", "ada")
    assert said.code == 2
    assert "not written into a store" in said.err
    (sealing.root / "way-in").symlink_to(sealing.root / "exports")
    assert sealing("open", object_of(one), "-o", sealing.root / "way-in" / "x", "--as", "ada").code == 2
    there = sealing.root / "there"
    there.write_text("mine")
    assert sealing("open", object_of(one), "-o", there, "--as", "ada").code == 2
    assert there.read_text() == "mine"
    assert events("object.opened") == []


def test_the_three_reasons_why_nothing_opens_are_told_apart(sealing: Library, one: Path) -> None:
    id = object_of(one)

    def opened() -> tuple[int, str]:
        said = sealing("open", id, "-o", sealing.root / "x", "--as", "ada")
        assert not (sealing.root / "x").exists()
        return said.code, said.err

    whole = one.read_bytes()
    one.write_bytes(whole[:-1])
    code, told = opened()
    assert code == 6
    assert "cannot be read" in told
    one.write_bytes(whole)
    roots = sealing.state / "roots"
    roots.rename(sealing.state / "elsewhere")
    code, told = opened()
    assert code == 7
    (sealing.state / "elsewhere").rename(roots)
    site = Site(load_settings())
    with site.keys.gate(at=sealing.now) as writing:
        writing.destroy([id], witness="a test")
        writing.commit()
    site.close()
    code, told = opened()
    assert code == 5
    assert "was destroyed" in told


def test_an_object_whose_file_is_gone_or_unknown_is_told(sealing: Library, one: Path) -> None:
    away = sealing.root / one.name
    one.rename(away)
    said = sealing("open", object_of(one), "-o", sealing.root / "x", "--as", "ada")
    assert said.code == 2
    assert "give its path" in said.err
    sealing.done("open", away, "-o", sealing.root / "x", "--as", "ada")
    assert (sealing.root / "x").read_bytes() == PLAIN
    assert sealing("open", "0123456789abcdef", "-o", sealing.root / "y", "--as", "ada").code == 2


def test_standard_output_is_not_shared_with_a_json_document(sealing: Library, one: Path) -> None:
    assert sealing("open", object_of(one), "-o", "-", "--as", "ada", "--json").code == 2


def test_the_key_is_asked_for_again_after_its_time(
    sealing: Library, one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is destroyed while somebody reads on is not read to its end."""
    id = object_of(one)
    site = Site(load_settings())
    try:
        clock = iter(range(0, 10**6, 3600))
        monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
        portions = opening.read(io.FileIO(one), site.keys, id, start=0, end=None)
        monkeypatch.setattr(opening, "FULL", 4)
        assert bytes(next(portions)) == PLAIN[:4]
        with site.keys.gate(at=sealing.now) as writing:
            writing.destroy([id], witness="a test")
            writing.commit()
        with pytest.raises(KeyDestroyed):
            next(portions)
    finally:
        site.close()


def test_columns_of_a_table_are_sealed_in_place(staffed: Library) -> None:
    with sqlite3.connect(staffed.ils) as connection:
        connection.execute("ALTER TABLE loan ADD COLUMN note TEXT")
        connection.execute("UPDATE loan SET note = 'note ' || id")
    connection.close()
    staffed.amend(
        'disposition = "purge"\napproval = "standing"\nlimits = { percent = 90 }',
        'disposition = "crypto-shred"\napproval = "standing"\nlimits = { percent = 90 }',
    )
    staffed.amend('blocked = "balance > 0"', 'sealed = ["note"]')
    said = staffed("seal", "--execute", "--json")
    assert said.json["locations"][0]["sealed"] == 9
    assert said.json["locations"][0]["left"] == {"the date that starts its period is missing": 1}
    with sqlite3.connect(staffed.ils) as connection:
        notes = [row[0] for row in connection.execute("SELECT note FROM loan WHERE returned IS NOT NULL")]
    connection.close()
    assert all(note.startswith("s1v.") for note in notes)


def test_objects_are_sealed_anew_by_a_custodian(sealing: Library, one: Path) -> None:
    old = object_of(one)
    others = [path for path in sealed_files(sealing) if path != one]
    said = sealing.done("reseal", old, "--as", "ada", "--json")
    new = said.json["resealed"][old]
    assert {object_of(path) for path in sealed_files(sealing)} == {new, *map(object_of, others)}
    sealing.done("open", new, "-o", sealing.root / "x", "--as", "bela")
    assert (sealing.root / "x").read_bytes() == PLAIN
    assert [(noted["actor"], noted["subject"], noted["as"]) for noted in events("object.resealed")] == [
        ("ada", old, new)
    ]
    assert sealing("reseal", old, "--as", "ada").code == 5
    assert sealing("reseal", "--as", "ada").code == 2


def test_an_object_whose_period_was_destroyed_names_its_certificate(sealing: Library) -> None:
    sealing.done("seal", "--execute", "--record-type", "camera-footage")
    (due,) = [path for path in sealed_files(sealing) if "2035-05-06" in str(path)]
    copy = sealing.root / due.name
    copy.write_bytes(due.read_bytes())  # as it lies in some backup
    ran = sealing("run", "--execute", "--record-type", "camera-footage")
    assert ran.code == 0, ran
    assert not due.exists()
    newest = sealing.done("certificate", "list", "--json").json["certificates"][0]["id"]
    said = sealing("open", copy, "-o", sealing.root / "x", "--as", "ada")
    assert said.code == 5
    assert f"certificate {newest} says when and why" in said.err


def test_nothing_is_destroyed_while_a_plaintext_lies_beside_its_sealed_copy(sealing: Library) -> None:
    sealing.done("seal", "--execute", "--record-type", "camera-footage")
    due = next(path for path in sealed_files(sealing) if "2035-05-06" in str(path))
    plain = due.with_name(due.name.split(".mp4")[0] + ".mp4")
    plain.write_bytes(PLAIN)  # as a crash between registering and removing leaves it
    os.utime(plain, (due.stat().st_mtime, due.stat().st_mtime))
    said = sealing("run", "--execute", "--record-type", "camera-footage")
    assert said.code == 5
    assert "a sealing was interrupted" in said.out
    assert due.exists()
    sealing.done("seal", "--execute", "--record-type", "camera-footage")
    assert not plain.exists()
    assert sealing("run", "--execute", "--record-type", "camera-footage").code == 0
    assert not due.exists()
