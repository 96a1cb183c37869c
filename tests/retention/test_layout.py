"""Layouts: what paths say, and that nothing is guessed."""

from __future__ import annotations

import datetime as calendar
import time
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.layout import PRESETS, Impossible, Layout, Placed, compile_layout


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def read(template: str, path: str) -> Placed | Impossible | None:
    return compile_layout(template).read(path)


READ = {
    "frigate": ("2026-03-01/14/front/05.10.mp4", "front", "2026-03-01T14:05:10", "2026-03-01T14:05:10.999999"),
    "frigate-legacy": ("2026-03/01/14/front/05.10.mp4", "front", "2026-03-01T14:05:10", "2026-03-01T14:05:10.999999"),
    "zoneminder-medium": ("3/2026-03-01/4711", "3", "2026-03-01", "2026-03-01T23:59:59.999999"),
    "zoneminder-deep": ("3/26/03/01/14/05/10", "3", "2026-03-01T14:05:10", "2026-03-01T14:05:10.999999"),
    "shinobi": ("g1/door/2026-03-01T14-05-10.mp4", "door", "2026-03-01T14:05:10", "2026-03-01T14:05:10.999999"),
    "motioneye": ("Camera1/2026-03-01/14-05-10.mp4.thumb", "Camera1", "2026-03-01T14:05:10", "2026-03-01T14:05:10.999999"),
    "motion": ("hall/01-02-20260301140510.mkv", "hall", "2026-03-01T14:05:10", "2026-03-01T14:05:10.999999"),
    "date-tree": ("hall/2026/03/01/14-05-10.mkv", "hall", "2026-03-01T14:05:10", "2026-03-01T14:05:10.999999"),
    "s3-hive": ("camera=hall/dt=2026-03-01/hr=14/part-0001.mp4", "hall", "2026-03-01T14:00:00", "2026-03-01T14:59:59.999999"),
}  # fmt: skip


def test_there_is_an_example_for_every_preset() -> None:
    assert READ.keys() == PRESETS.keys()


@pytest.mark.parametrize("name", READ)
def test_a_preset_reads_what_its_recorder_writes(name: str) -> None:
    path, camera, start, until = READ[name]
    placed = read(f"preset:{name}", path)
    assert isinstance(placed, Placed)
    assert (placed.camera, placed.start, placed.until) == (camera, wall(start), wall(until))
    assert PRESETS[name].unit in {"file", "folder"}
    assert PRESETS[name].zone in {"UTC", "local"}
    assert read(f"preset:{name}", f"more/{path}") is None
    assert read(f"preset:{name}", f"{path}/more") is None


@pytest.mark.parametrize(
    ("template", "path", "until"),
    [
        ("{Y}.csv", "2026.csv", "2026-12-31T23:59:59.999999"),
        ("{Y}-{m}.csv", "2026-02.csv", "2026-02-28T23:59:59.999999"),
        ("{Y}-{m}.csv", "2024-02.csv", "2024-02-29T23:59:59.999999"),
        ("{Y}-{m}.csv", "2026-12.csv", "2026-12-31T23:59:59.999999"),
        ("{Y}-{m}-{d}.csv", "2026-12-31.csv", "2026-12-31T23:59:59.999999"),
        ("{Y}-{m}-{d}/{H}.csv", "2026-03-01/14.csv", "2026-03-01T14:59:59.999999"),
        ("{Y}-{m}-{d}/{H}{M}.csv", "2026-03-01/1405.csv", "2026-03-01T14:05:59.999999"),
    ],
)
def test_a_time_ends_with_what_is_named_least(template: str, path: str, until: str) -> None:
    placed = read(template, path)
    assert isinstance(placed, Placed)
    assert placed.until == wall(until)


def test_an_epoch_is_an_aware_time() -> None:
    placed = read("{camera}/{epoch}.{ext}", "door/1772374510.m4s")
    assert isinstance(placed, Placed)
    assert placed.start == datetime(2026, 3, 1, 14, 15, 10, tzinfo=UTC)
    assert placed.until == placed.start + timedelta(microseconds=999_999)


BRICKCOM = "{Y}{m}{d}-{H}{M}{S}-{eH}{eM}{eS}_{camera}.{ext}"


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("20260301-140500-141500_ch2.mp4", "2026-03-01T14:15:00.999999"),
        ("20260228-235500-000500_ch2.mp4", "2026-03-01T00:05:00.999999"),
    ],
)
def test_a_named_end_without_a_date_is_the_first_such_time_after_the_start(path: str, end: str) -> None:
    placed = read(BRICKCOM, path)
    assert isinstance(placed, Placed)
    assert placed.end == wall(end)


def test_a_dated_end_before_the_start_is_impossible() -> None:
    template = "{Y}{m}{d}-{eY}{em}{ed}.csv"
    assert isinstance(read(template, "20260301-20260228.csv"), Impossible)
    assert isinstance(read(template, "20260301-20260302.csv"), Placed)


@pytest.mark.parametrize(
    "path",
    [
        "2026-13-01/14/door/05.10.mp4",
        "2026-00-01/14/door/05.10.mp4",
        "2026-02-30/14/door/05.10.mp4",
        "2025-02-29/14/door/05.10.mp4",
        "2026-03-01/24/door/05.10.mp4",
        "2026-03-01/14/door/60.10.mp4",
        "2026-03-01/14/door/05.60.mp4",
        "0000-03-01/14/door/05.10.mp4",
        "1970-01-01/00/door/00.10.mp4",
        "9999-12-31/23/door/59.59.mp4",
    ],
)
def test_a_time_that_cannot_be_is_impossible_and_not_old(path: str) -> None:
    found = read("preset:frigate", path)
    assert isinstance(found, Impossible)
    assert "door" not in found.reason


@pytest.mark.parametrize(
    "path",
    ["", "2026-3-1/14/door/05.10.mp4", "2026-03-01/14/door/05.10.mp4.tmp", "2026-03-01/14/a/b/05.10.mp4", "٢٠٢٦-03-01/14/door/05.10.mp4"],
)  # fmt: skip
def test_a_path_of_another_shape_is_not_recognised(path: str) -> None:
    assert read("preset:frigate", path) is None


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{any}-{Y}{m}{d}-{any}", "a-20260301-b-20270301-c"),
        ("{any}{Y}{m}{d}{any}", "202603011202603022"),
        ("{camera}-{event}", "front-door-7"),
        ("{path}/{camera}/{path}", "a/b/c/d"),
        ("{camera}{epoch}.mp4", "cam11772374510.mp4"),
    ],
)
def test_a_path_that_can_be_read_in_two_ways_is_impossible(template: str, path: str) -> None:
    assert isinstance(read(template, path), Impossible)


def test_a_camera_with_dots_and_dashes_is_read_whole() -> None:
    placed = read("{camera}-{Y}{m}{d}.{ext}", "10.0.0.1-ch-2-20260301.mp4")
    assert isinstance(placed, Placed)
    assert placed.camera == "10.0.0.1-ch-2"


def test_a_field_that_stands_twice_must_agree() -> None:
    template = "{camera}/{Y}-{m}-{d}/{Y}{m}{d}{H}_{camera}.mp4"
    assert isinstance(read(template, "door/2026-03-01/2026030114_door.mp4"), Placed)
    assert read(template, "door/2026-03-01/2026030214_door.mp4") is None
    assert read(template, "door/2026-03-01/2026030114_hall.mp4") is None


def test_a_camera_is_the_same_however_its_accents_are_written() -> None:
    composed, decomposed = (
        read("{camera}/{Y}.mp4", f"{name}/2026.mp4") for name in ("Foye\u0301r", "Foy\u00e9r")
    )
    assert isinstance(composed, Placed)
    assert composed == decomposed


def test_a_camera_whose_name_is_no_text_is_impossible() -> None:
    assert isinstance(
        read("{camera}/{Y}.mp4", b"T\xfcr/2026.mp4".decode(errors="surrogateescape")), Impossible
    )


def test_names_with_newlines_are_names() -> None:
    placed = read("{camera}/{Y}-{m}-{d}.{ext}", "a\nb/2026-03-01.mp4")
    assert isinstance(placed, Placed)
    assert placed.camera == "a\nb"


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("{Z}/{Y}", "{Z}"),
        ("{Y}-{y}", "once"),
        ("{epoch}-{Y}", "once"),
        ("{m}-{d}", "{Y}"),
        ("{Y}-{d}", "{m}"),
        ("{Y}{m}{d}{M}", "{H}"),
        ("{H}{M}", "{d}"),
        ("{eH}", "start"),
        ("{Y}-{eH}", "{d}"),
        ("{Y}{m}{d}-{em}", "{eY}"),
        ("{epoch}-{eH}", "calendar"),
        ("{camera", "brace"),
        ("camera}", "brace"),
        ("", "relative path"),
        ("/{Y}", "relative path"),
        ("{Y}//{m}", "relative path"),
        ("../{Y}", "relative path"),
        ("{Y}/", "relative path"),
        ("a\0{Y}", "NUL"),
        ("preset:nvr9000", "frigate"),
    ],
)
def test_a_template_that_makes_no_sense_is_refused_with_a_reason(template: str, word: str) -> None:
    with pytest.raises(ValueError, match="layout") as caught:
        compile_layout(template)
    assert word in str(caught.value)


def test_signs_in_a_template_mean_themselves() -> None:
    assert read("a.b*(c)/{Y}.csv", "axb*(c)/2026.csv") is None
    assert isinstance(read("a.b*(c)/{Y}.csv", "a.b*(c)/2026.csv"), Placed)


def test_a_layout_knows_which_folders_are_its_own() -> None:
    layout = compile_layout("out/{event}/weekly/{Y}.csv")
    assert [layout.is_fixed(depth) for depth in range(5)] == [True, False, True, False, False]
    deep = compile_layout("out/{path}/weekly/x.csv")
    assert [deep.is_fixed(depth) for depth in range(4)] == [True, False, False, False]


@given(
    day=st.dates(min_value=date(1990, 1, 1), max_value=date(9990, 1, 1)),
    clock=st.times(),
    camera=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1),
)
def test_what_was_written_by_a_layout_is_read_back(day: date, clock: calendar.time, camera: str) -> None:
    path = f"{day.year:04}-{day:%m-%d}/{clock:%H}/{camera}/{clock:%M.%S}.mp4"
    placed = read("preset:frigate", path)
    assert isinstance(placed, Placed)
    assert placed.start is not None
    assert placed.start == datetime.combine(day, clock.replace(microsecond=0))
    assert placed.camera is not None


@given(st.text())
def test_no_path_makes_a_layout_fail(path: str) -> None:
    for preset in PRESETS:
        read(f"preset:{preset}", path)


def test_reading_takes_a_few_microseconds() -> None:
    """At most 15 µs a path on a quiet machine; ten times that here, since the machine may be busy."""
    layout = compile_layout("preset:frigate")
    best = min(_seconds_for(layout) for _ in range(5))
    assert best < 150e-6


def _seconds_for(layout: Layout) -> float:
    began = time.process_time()
    for _ in range(500):
        layout.read("2026-03-01/14/front/05.10.mp4")
    return (time.process_time() - began) / 500
