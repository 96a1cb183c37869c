"""``scan``: exit codes, masks, and who answers for a file."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from console.cli.progress import LOOK_AGAIN, Interrupted, Reporter
from flows.scanning import shown, written
from flows.scans import places_to_scan, scan
from flows.settings import load_settings
from flows.wiring import Site
from tests.console.library import NOW, Library
from tests.storage.scanning import corpus

CARDS = [corpus.barcode(random.Random(n)) for n in range(12)]


def put(library: Library, name: str, text: str = "\n".join(CARDS)) -> Path:
    path = library.root / "exports" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_clean_place_ends_with_0_and_personal_data_that_nobody_answers_for_with_3(library: Library) -> None:
    assert library("scan").code == 0
    (library.root / "bare").mkdir()
    assert "nothing lies there" in library.done("scan", library.root / "bare").out
    put(library, f"drop/{CARDS[0]}.txt")
    said = library("scan")
    assert said.code == 3
    assert "1 file with personal data that nobody answers for" in said.out
    assert not [card for card in CARDS if card in said.out + said.err]


def test_a_scan_tells_how_far_it_is_and_can_be_stopped(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def stop(self: Reporter, files: int) -> None:
        told.append(files)
        if files == 2:
            raise Interrupted(LOOK_AGAIN)

    monkeypatch.setattr(Reporter, "scanning", stop)
    for name in ("a", "b", "c"):
        put(library, f"drop/{name}.txt")
    said = library("scan", library.root / "exports" / "drop")
    assert (said.code, told, LOOK_AGAIN in said.err) == (130, [1, 2], True)
    assert said.out == ""


def test_a_mask_names_the_same_file_the_same_way_and_no_path(library: Library) -> None:
    put(library, "drop/cards.txt")
    one, two = library("scan", "--mask", "--json"), library("scan", "--mask", "--all", "--json")
    assert "cards.txt" not in one.out
    assert one.json["results"][0]["file"] == two.json["results"][0]["file"] == one.json["results"][0]["mask"]
    assert two.json["results"][0]["new"] == []


def test_registered_and_scheduled_files_are_answered_for_until_their_day_has_passed(library: Library) -> None:
    put(library, "agency/submission-20350601.csv")
    path = put(library, "drop/cards.txt")
    told = (
        "--purpose",
        "a study",
        "--recipient",
        "University",
        "--ground",
        "Contract 7",
        "--due",
        "2035-06-20",
    )
    library.done("export", "register", path, *told)
    found = {
        Path(one["file"]).name: one["answers"]
        for one in library.done("scan", "--all", "--json").json["results"]
    }
    assert set(found.values()) == {"registered", "scheduled"}
    library.now = NOW + timedelta(days=10)
    said = library("scan", "--json")
    assert (said.code, [one["answers"] for one in said.json["results"]]) == (3, ["overdue"])
    assert "1 file with personal data whose day to be gone has passed" in library("scan").out


def test_people_who_withdrew_or_were_remembered_are_looked_for(staffed: Library) -> None:
    assert staffed("scan", "--known").code == 2
    (staffed.root / "who.txt").write_text(f"{CARDS[0]}\n")
    staffed.done("export", "withdraw", "--subject-file", staffed.root / "who.txt", "--as", "ada")
    (staffed.root / "more.txt").write_text(f"{CARDS[1]}\n")
    assert staffed.done("scan", "--remember", staffed.root / "more.txt", "--json").json["known"] == 2
    put(staffed, "drop/kiosk.log", f"session {CARDS[0]} ended, session {CARDS[1]} ended\n")
    (result,) = staffed("scan", "--known", "--json").json["results"]
    assert result["kinds"]["known person"] == 2
    kept = b"".join(path.read_bytes() for path in staffed.state.rglob("*") if path.is_file())
    assert not [card for card in CARDS if card.encode() in kept]


def test_the_weekly_scan_tells_counts_and_masks_only(library: Library) -> None:
    put(library, f"drop/{CARDS[0]}.txt")
    site = Site(load_settings(), lambda: NOW)
    found = shown(scan(site, places_to_scan(site)))
    site.close()
    assert found.counts == {"files": 4, "alarms": 1, "drifted": 1, "unread": 0}
    text = written(found)
    assert found.alarms[0] in text
    assert CARDS[0] not in text + repr(found)
    assert "drop" not in text


@pytest.mark.parametrize(("setting", "value"), [("BARCODES", "x"), ("REGION", "Oregon")])
def test_a_wrong_setting_is_named(
    library: Library, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setenv(f"RETENTION_{setting}", value)
    said = library("scan")
    assert (said.code, f"RETENTION_{setting}" in said.err) == (2, True)
