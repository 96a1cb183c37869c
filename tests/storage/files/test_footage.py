"""Footage: the time a file covers, read so that a hold never catches too little."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention import dates
from retention.holds import Scope
from retention.layout import Placed, compile_layout
from retention.schedule import TriggerKind
from storage.files import facts
from storage.files.footage import Readings, Timeline, span_of
from tests.storage.files.shelf import FRIGATE, NEW_YORK, NOW, Shelf, hold, record_segments, segment

START = datetime(2026, 3, 1, 14, tzinfo=UTC)
LOCAL = replace(FRIGATE, zone=NEW_YORK, template="preset:date-tree")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(root=tmp_path, location=FRIGATE)


def held_between(since: datetime, until: datetime, camera: str = "door") -> Scope:
    return Scope(cameras=frozenset({camera}), since=since, until=until)


def kept_by(shelf: Shelf, scope: Scope) -> set[str]:
    shelf.holds = [hold(scope)]
    held = set(shelf.due())
    shelf.holds = []
    return set(shelf.due()) - held


def test_a_hold_keeps_what_overlaps_it_ends_included(shelf: Shelf) -> None:
    paths = record_segments(shelf, "door", START, 30)
    record_segments(shelf, "hall", START, 30)
    scope = held_between(START + timedelta(seconds=100), START + timedelta(seconds=130))
    assert kept_by(shelf, scope) == set(
        paths[9:14]
    )  # 14:01:30 ends and 14:02:10 starts on the hold's own second
    inside = held_between(START + timedelta(seconds=104), START + timedelta(seconds=105))
    assert kept_by(shelf, inside) == {paths[10]}


def test_the_last_segment_before_a_gap_ends_after_the_longest_length(shelf: Shelf) -> None:
    paths = record_segments(shelf, "door", START, 3)
    record_segments(shelf, "door", START + timedelta(hours=2), 2)
    near = held_between(START + timedelta(seconds=75), START + timedelta(seconds=79))
    far = held_between(START + timedelta(seconds=95), START + timedelta(seconds=99))
    assert kept_by(shelf, near) == {paths[2]}
    assert kept_by(shelf, far) == set()


def test_without_a_longest_length_a_segment_lasts_until_the_next(shelf: Shelf) -> None:
    shelf.location = replace(FRIGATE, max_length=0)
    shelf.write(segment("door", START), START + timedelta(hours=1, minutes=59))
    record_segments(shelf, "door", START + timedelta(hours=2), 2)
    scope = held_between(START + timedelta(hours=1), START + timedelta(hours=1, seconds=1))
    assert kept_by(shelf, scope) == {segment("door", START)}


def test_the_newest_segment_of_each_camera_is_never_due(shelf: Shelf) -> None:
    door = record_segments(shelf, "door", START, 3)
    hall = record_segments(shelf, "hall", START, 2)
    assert set(shelf.due()) == {*door[:2], *hall[:1]}
    assert shelf.undecided() == {door[2]: facts.NEWEST, hall[1]: facts.NEWEST}


def test_a_file_with_a_time_ahead_does_not_pass_for_the_newest(shelf: Shelf) -> None:
    door = record_segments(shelf, "door", START, 3)
    ahead = shelf.write(segment("door", NOW + timedelta(days=400)), START)
    assert set(shelf.due()) == set(door[:2])
    assert shelf.undecided() == {door[2]: facts.NEWEST, str(ahead.relative_to(shelf.place)): facts.AHEAD_NAME}


def test_what_was_written_a_short_while_ago_may_still_be_growing(shelf: Shelf) -> None:
    door = record_segments(shelf, "door", START, 3)
    shelf.write(door[0], NOW - timedelta(seconds=299))
    shelf.write(door[1], NOW + timedelta(seconds=30))
    assert shelf.due() == []
    assert [shelf.undecided()[path] for path in door[:2]] == [facts.GROWING, facts.GROWING]


@pytest.mark.parametrize("away", [timedelta(days=-2), timedelta(days=2), timedelta(days=100)])
def test_a_file_whose_times_contradict_each_other_is_not_judged(shelf: Shelf, away: timedelta) -> None:
    door = record_segments(shelf, "door", START, 3)
    shelf.write(door[0], START + away)
    assert set(shelf.due()) == {door[1]}
    assert shelf.undecided()[door[0]] == facts.CONTRADICTION


def test_the_trigger_of_footage_is_its_end(tmp_path: Path) -> None:
    """23:59:50 in the library's zone ends on the next day: one day more of keeping."""
    shelf = Shelf(root=tmp_path, location=FRIGATE)
    start = datetime(2026, 10, 22, 3, 59, 50, tzinfo=UTC)  # 23:59:50 of the 21st in New York
    paths = record_segments(shelf, "door", start, 3)
    shelf.on = datetime(2026, 11, 21, tzinfo=UTC).date()
    assert shelf.due() == []
    shelf.on = datetime(2026, 11, 22, tzinfo=UTC).date()
    assert set(shelf.due()) == set(paths[:2])


def local_path(moment: str) -> str:
    return f"door/{moment[:10].replace('-', '/')}/{moment[11:].replace(':', '-')}.mp4"


def local_shelf(tmp_path: Path, *moments: str) -> Shelf:
    """Files named by New York's wall clock, with true times that fit the first reading."""
    shelf = Shelf(root=tmp_path, location=LOCAL, now=datetime(2027, 11, 22, tzinfo=UTC))
    shelf.on = shelf.now.date()
    for moment in moments:
        shelf.write(local_path(moment), datetime.fromisoformat(moment).replace(tzinfo=NEW_YORK))
    shelf.write(local_path("2026-12-24 12:00:00"), datetime(2026, 12, 24, 17, tzinfo=UTC))
    return shelf


FOLD = ("2026-11-01 00:50:00", "2026-11-01 01:20:00", "2026-11-01 01:50:00", "2026-11-01 02:10:00")


@pytest.mark.parametrize(
    ("since", "until", "kept"),
    [
        ("05:15", "05:25", {FOLD[1]}),
        ("06:15", "06:25", {FOLD[1]}),
        ("05:15", "06:45", {FOLD[1], FOLD[2]}),
        ("04:45", "04:51", {FOLD[0]}),
        ("07:05", "07:11", {FOLD[3]}),
    ],
)
def test_a_time_that_exists_twice_is_held_at_both(
    tmp_path: Path, since: str, until: str, kept: set[str]
) -> None:
    """Clocks go back at 06:00 UTC: 01:20 is 05:20 and 06:20."""
    shelf = local_shelf(tmp_path, *FOLD)
    first, last = (datetime.fromisoformat(f"2026-11-01T{at}+00:00") for at in (since, until))
    scope = held_between(first, last)
    held = {local_path(moment) for moment in kept}
    assert kept_by(shelf, scope) >= held
    # The last one before each gap lasts a minute at most, so nothing else is caught.
    assert kept_by(shelf, scope) - held <= {local_path(FOLD[2])}


def test_a_time_that_does_not_exist_is_held_at_both_readings(tmp_path: Path) -> None:
    """Clocks go forward at 07:00 UTC: 02:30 would be 06:30 or 07:30."""
    shelf = local_shelf(tmp_path, "2026-03-08 02:30:00")
    for hour in (6, 7):
        middle = datetime(2026, 3, 8, hour, 30, tzinfo=UTC)
        scope = held_between(middle - timedelta(seconds=60), middle + timedelta(seconds=60))
        assert kept_by(shelf, scope) == {local_path("2026-03-08 02:30:00")}


def test_a_camera_hour_is_kept_whole_over_the_day_the_clocks_go_back(tmp_path: Path) -> None:
    """A day of ten-second files named in UTC; the hold is on the doubled hour of New York."""
    shelf = Shelf(root=tmp_path, location=FRIGATE, now=datetime(2027, 1, 22, tzinfo=UTC))
    shelf.on = shelf.now.date()
    start = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)
    paths = record_segments(shelf, "door", start, 6 * 60 * 2, seconds=20)
    scope = held_between(datetime(2026, 11, 1, 5, 15, tzinfo=UTC), datetime(2026, 11, 1, 6, 45, tzinfo=UTC))
    first, last = 45 * 3 - 1, 135 * 3
    assert kept_by(shelf, scope) == set(paths[first : last + 1])


def test_footage_that_names_no_camera_is_kept_by_a_hold_on_any(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=replace(FRIGATE, template="{Y}-{m}-{d}/{H}{M}{S}.mp4"))
    paths = []
    for index in range(3):
        moment = START + timedelta(seconds=10 * index)
        paths.append(f"{moment:%Y-%m-%d}/{moment:%H%M%S}.mp4")
        shelf.write(paths[-1], moment)
    assert kept_by(shelf, held_between(START, START + timedelta(seconds=5))) == {paths[0]}


def test_footage_without_a_time_in_its_path_is_held_by_its_file_time(tmp_path: Path) -> None:
    location = replace(FRIGATE, template="{camera}/{any}.mp4")
    shelf = Shelf(root=tmp_path, location=replace(location, trigger_kind=TriggerKind.MODIFIED))
    shelf.write("door/0000a1.mp4", START)
    assert shelf.due() == ["door/0000a1.mp4"]
    assert kept_by(shelf, held_between(START - timedelta(days=9), START - timedelta(days=8))) == {
        "door/0000a1.mp4"
    }


ZONES = [
    ZoneInfo(name)
    for name in ("UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu")
]
walls = st.datetimes(
    min_value=datetime.fromisoformat("1991-01-01"), max_value=datetime.fromisoformat("2036-01-01")
)


@given(wall=walls, zone=st.sampled_from(ZONES))
def test_remembered_readings_are_those_of_the_calendar(wall: datetime, zone: ZoneInfo) -> None:
    readings = Readings(zone)
    for moment in (wall, wall.replace(minute=0), wall):
        assert readings.earliest(moment) == dates.earliest_reading(moment, zone)
        assert readings.latest(moment) == dates.latest_reading(moment, zone)


@given(
    moments=st.lists(walls, min_size=2, max_size=12, unique=True),
    zone=st.sampled_from(ZONES),
    length=st.integers(0, 90_000),
)
def test_a_span_always_covers_the_recording_under_every_reading(
    moments: list[datetime], zone: ZoneInfo, length: int
) -> None:
    """Whatever the true start is, and however long it lasted up to the longest length and the next start: it is inside."""
    layout = compile_layout("preset:date-tree")
    readings = Readings(zone)
    timeline = Timeline(readings, NOW + timedelta(days=10_000))
    starts = [moment.replace(microsecond=0) for moment in moments]
    places = [layout.read(f"door/{start:%Y/%m/%d/%H-%M-%S}.mp4") for start in starts]
    for placed in places:
        assert isinstance(placed, Placed)
        timeline.add(placed)
    timeline.seal()
    true = {
        start: {dates.earliest_reading(start, zone), dates.latest_reading(start, zone)} for start in starts
    }
    for start, placed in zip(starts, places, strict=True):
        assert isinstance(placed, Placed)
        first, last = span_of(placed, timedelta(seconds=length), readings, timeline)
        assert first is not None
        for begins in true[start]:
            assert first <= begins
            following = [min(true[other]) for other in starts if min(true[other]) > max(true[start])]
            ends = [begins + timedelta(seconds=length)] if length else []
            ends += [min(following)] if following else []
            assert last is None or not ends or min(ends) <= last
