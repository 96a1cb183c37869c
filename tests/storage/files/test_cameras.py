"""The register of cameras: clocks that drift, names that changed, and the branch a camera stands in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retention.decide import Due, Keep, decide
from retention.holds import Scope
from retention.schedule import Camera
from storage.files.survey import Judged, Look
from tests.storage.files.shelf import FRIGATE, ON, Shelf, hold, record_segments

START = datetime(2026, 3, 1, 14, tzinfo=UTC)
REGISTER = {
    "door": Camera(branch="main", drift=120.0, also_called=("entry", "door-sub")),
    "hall": Camera(branch="east"),
}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(root=tmp_path, location=replace(FRIGATE, cameras=REGISTER))


def kept_by(shelf: Shelf, scope: Scope) -> set[str]:
    free = set(shelf.due())
    shelf.holds = [hold(scope)]
    kept = free - set(shelf.due())
    shelf.holds = []
    return kept


def minutes(camera: str, since: int, until: int) -> Scope:
    return Scope(
        cameras=frozenset({camera}),
        since=START + timedelta(minutes=since),
        until=START + timedelta(minutes=until),
    )


def test_a_hold_keeps_as_much_more_as_the_cameras_clock_may_be_off(shelf: Shelf) -> None:
    paths = record_segments(shelf, "door", START, 60)
    kept = kept_by(shelf, minutes("door", 4, 5))
    assert kept == set(
        paths[11:43]
    )  # from 14:01:50, which ends at 2:00, to 14:07:00: two minutes on each side, ends included


def test_a_camera_whose_clock_is_right_keeps_no_more_than_was_asked_for(shelf: Shelf) -> None:
    paths = record_segments(shelf, "hall", START, 60)
    assert kept_by(shelf, minutes("hall", 4, 5)) == set(paths[23:31])


def test_a_hold_on_any_name_of_a_camera_keeps_what_was_recorded_under_each(shelf: Shelf) -> None:
    before = record_segments(shelf, "entry", START, 3)
    now = record_segments(shelf, "door", START + timedelta(minutes=1), 3)
    stream = record_segments(shelf, "door-sub", START + timedelta(minutes=2), 3)
    record_segments(shelf, "hall", START, 6)
    everything = {*before, *now, *stream} & set(shelf.due())
    assert len(everything) == 8, "all but the newest of the one camera that they are"
    for name in ("entry", "door", "door-sub"):
        assert kept_by(shelf, minutes(name, 0, 5)) == everything


def test_the_last_segment_under_an_old_name_is_not_the_newest_of_its_camera(shelf: Shelf) -> None:
    old = record_segments(shelf, "entry", START, 2)
    record_segments(shelf, "door", START + timedelta(days=1), 2)
    assert set(old) <= set(shelf.due())


def test_the_period_begins_when_the_recording_can_have_ended_at_the_latest(shelf: Shelf) -> None:
    """A clock that is slow by two minutes: what says 23:59 on the last day may be of the day after."""
    midnight = datetime(
        2026, 10, 24, 4, tzinfo=UTC
    )  # 24 October in New York: thirty days before the 23rd of November
    paths = record_segments(shelf, "door", midnight - timedelta(seconds=30), 3)
    record_segments(shelf, "door", midnight + timedelta(hours=1), 2)
    record_segments(shelf, "hall", midnight - timedelta(seconds=30), 2)
    record_segments(shelf, "hall", midnight + timedelta(hours=1), 2)
    shelf.on = datetime(2026, 11, 23, tzinfo=UTC).date()
    shelf.now = datetime(2026, 11, 23, 18, tzinfo=UTC)
    due = set(shelf.due())
    assert not set(paths) & due
    assert any("/hall/" in path for path in due), "the one whose clock is right is due"


def test_a_hold_on_a_branch_keeps_what_its_cameras_recorded(shelf: Shelf) -> None:
    record_segments(shelf, "door", START, 2)
    record_segments(shelf, "hall", START, 2)
    looking = Look(shelf.criteria, shelf.root, shelf.now, ())
    branches = {looking.facts.record(judged.seen).branch for judged in looking if isinstance(judged, Judged)}
    assert branches == {"main", "east"}


def test_deciding_in_groups_comes_out_as_deciding_singly(shelf: Shelf) -> None:
    record_segments(shelf, "door", START, 40)
    record_segments(shelf, "entry", START + timedelta(minutes=7), 40)
    looking = Look(shelf.criteria, shelf.root, shelf.now, [hold(minutes("entry", 5, 6))])
    holds = looking.facts.holds([hold(minutes("entry", 5, 6))])
    assert shelf.on == ON
    for judged in looking:
        assert isinstance(judged, Judged)
        alone = decide(looking.facts.record(judged.seen), shelf.criteria, holds)
        assert isinstance(alone, Due | Keep)
        assert judged.decision == alone
