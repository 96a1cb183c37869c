"""Event folders of ZoneMinder: one record each, destroyed whole or left whole."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retention.decide import KeepReason
from retention.holds import Scope
from retention.outcomes import Presence
from storage.files import facts
from tests.storage.files.shelf import EVENTS, NOW, Shelf, hold, stamp

DAY = datetime(2026, 3, 1, 15, tzinfo=UTC)
ABSENT, PRESENT = Presence.ABSENT, Presence.PRESENT


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(root=tmp_path, location=EVENTS)
    for event, day in ((11, 0), (12, 0), (13, 1)):
        put_event(shelf, event, DAY + timedelta(days=day))
    return shelf


def put_event(shelf: Shelf, number: int, when: datetime, camera: str = "3") -> str:
    path = f"{camera}/{when:%Y-%m-%d}/{number}"
    for name in ("00001-capture.jpg", "00002-capture.jpg", "snapshots/alarm.jpg"):
        shelf.write(f"{path}/{name}", when)
    settle(shelf.place / path, when)
    return path


def settle(folder: Path, when: datetime) -> None:
    for path in [*folder.rglob("*/"), folder]:
        stamp(path, when)


def test_an_event_is_one_record_and_goes_whole(shelf: Shelf) -> None:
    found, lines = shelf.survey()
    assert (found.population, found.due, found.volume) == (3, 2, 6 * len("content"))
    assert found.findings == []
    assert shelf.undecided() == {"3/2026-03-02/13": facts.NEWEST}
    assert shelf.destroy(lines) == {"3/2026-03-01/11": ABSENT, "3/2026-03-01/12": ABSENT}
    assert shelf.folders() == {"3", "3/2026-03-02", "3/2026-03-02/13", "3/2026-03-02/13/snapshots"}


def add_a_file(folder: Path) -> None:
    (folder / "late.jpg").touch()
    stamp(folder / "late.jpg", DAY)
    settle(folder, DAY)


def remove_a_file(folder: Path) -> None:
    (folder / "00001-capture.jpg").unlink()
    settle(folder, DAY)


def rename_a_file(folder: Path) -> None:
    (folder / "00001-capture.jpg").rename(folder / "00003-capture.jpg")
    settle(folder, DAY)


def grow_a_file(folder: Path) -> None:
    (folder / "snapshots/alarm.jpg").write_text("longer than before")
    stamp(folder / "snapshots/alarm.jpg", DAY)


def add_a_folder(folder: Path) -> None:
    (folder / "more").mkdir()
    settle(folder, DAY)


@pytest.mark.parametrize("meddle", [add_a_file, remove_a_file, rename_a_file, grow_a_file, add_a_folder])
def test_an_event_that_changed_since_the_survey_is_withheld(shelf: Shelf, meddle: object) -> None:
    assert callable(meddle)
    _, lines = shelf.survey()
    meddle(shelf.place / "3/2026-03-01/11")
    assert shelf.destroy(lines) == {"3/2026-03-01/12": ABSENT}


@pytest.mark.parametrize("meddle", [add_a_file, rename_a_file, grow_a_file, add_a_folder])
def test_an_event_that_changes_after_it_was_chosen_is_read_back_as_present(
    shelf: Shelf, meddle: object
) -> None:
    assert callable(meddle)
    _, lines = shelf.survey()
    with shelf.store.batch(shelf.criteria) as batch:
        batch.stage(lines, ())
        meddle(shelf.place / "3/2026-03-01/11")
        batch.destroy()
        assert sorted(batch.read_back()) == [ABSENT, PRESENT]
    assert (shelf.place / "3/2026-03-01/11").is_dir()


def test_an_event_left_half_destroyed_is_present_and_due_again_at_the_next_survey(shelf: Shelf) -> None:
    _, lines = shelf.survey()
    event = shelf.place / "3/2026-03-01/11"
    for path in sorted(event.rglob("*.jpg")):
        path.unlink()
    assert PRESENT in shelf.store.presence(shelf.criteria, lines)
    assert "3/2026-03-01/11" not in shelf.destroy(lines)
    shelf.now = datetime.now(UTC) + timedelta(days=1)
    shelf.on = shelf.now.date()
    assert shelf.due() == ["3/2026-03-01/11"]


def test_an_event_with_a_link_or_a_second_name_in_it_is_not_judged(shelf: Shelf) -> None:
    one, other = (shelf.place / f"3/2026-03-01/{event}" for event in (11, 12))
    (one / "way").symlink_to("/etc")
    os.link(other / "00001-capture.jpg", shelf.root / "kept")
    for folder in (one, other):
        settle(folder, DAY)
    assert shelf.due() == []
    reasons = shelf.undecided()
    assert reasons["3/2026-03-01/11"].startswith("holds a symbolic link")
    assert reasons["3/2026-03-01/12"].startswith("holds several hard links")


def test_what_stands_beside_events_is_left_alone_and_told(shelf: Shelf) -> None:
    (shelf.place / "3/2026-03-01/.11").symlink_to("11")
    (shelf.place / "3/alias").symlink_to("2026-03-01")
    shelf.write("3/2026-03-01/99")
    shelf.write("3/notes.txt")
    found, lines = shelf.survey()
    assert len(lines) == 2
    assert [finding.count for finding in found.findings] == [2, 1]
    linked = [
        key
        for key, reason in shelf.undecided().items()
        if "symbolic link" in reason or reason == facts.UNRECOGNISED
    ]
    assert set(linked) == {"3/2026-03-01/.11", "3/alias", "3/2026-03-01/99", "3/notes.txt"}
    shelf.destroy(lines)
    assert {"3/2026-03-01/99", "3/notes.txt", "3/alias", "3/2026-03-01/.11"} <= shelf.files()


def test_a_link_in_the_place_of_an_event_is_not_judged(shelf: Shelf) -> None:
    (shelf.place / "3/2026-03-01/21").symlink_to("11")
    assert shelf.survey()[0].kept == {KeepReason.UNDECIDABLE: 2}
    assert "symbolic link" in shelf.undecided()["3/2026-03-01/21"]


def test_a_hold_on_any_hour_keeps_the_whole_day_and_what_ran_past_midnight(shelf: Shelf) -> None:
    """The path names the day in New York only: from 05:00 UTC to ten minutes past the next 05:00 UTC."""
    for at, kept in (
        ("01T04:59:59", 0),
        ("01T05:00:00", 2),
        ("02T03:00:00", 2),
        ("02T05:09:59", 2),
        ("02T05:10:01", 0),
    ):
        moment = datetime.fromisoformat(f"2026-03-{at}+00:00")
        shelf.holds = [hold(Scope(cameras=frozenset({"3"}), since=moment, until=moment))]
        assert 2 - len(shelf.due()) == kept
    shelf.holds = [hold(Scope(cameras=frozenset({"4"}), since=DAY, until=DAY))]
    assert len(shelf.due()) == 2


def test_an_event_written_to_a_short_while_ago_may_still_be_growing(shelf: Shelf) -> None:
    stamp(shelf.place / "3/2026-03-01/11", NOW - timedelta(seconds=10))
    assert shelf.undecided()["3/2026-03-01/11"] == facts.GROWING


def test_an_event_is_read_by_its_path(shelf: Shelf) -> None:
    record = shelf.store.read(shelf.criteria, "3/2026-03-01/11")
    assert record is not None
    assert record.camera == "3"
    for key in ("3", "3/2026-03-01", "3/2026-03-01/77", "3/2026-03-01/11/snapshots"):
        assert shelf.store.read(shelf.criteria, key) is None
    inside = shelf.store.read(shelf.criteria, "3/2026-03-01/11/00001-capture.jpg")
    assert inside is not None
    assert inside.undecidable == facts.UNRECOGNISED
