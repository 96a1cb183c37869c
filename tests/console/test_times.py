"""Times of a hold as a person types them: in doubt the wider reading."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from console.cli import times
from retention.errors import UsageError

DENVER = ZoneInfo("America/Denver")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]  # year, month, day and so on


def test_a_day_begins_with_its_first_moment_and_ends_with_its_last() -> None:
    assert times.beginning("2026-03-01", DENVER) == utc(2026, 3, 1, 7)
    assert times.end("2026-03-01", DENVER) == utc(2026, 3, 2, 7) - timedelta(microseconds=1)


def test_a_time_without_an_offset_is_on_the_librarys_clock() -> None:
    assert times.beginning("2026-03-01T14:00", DENVER) == utc(2026, 3, 1, 21)
    assert times.beginning("2026-03-01T14:00:00Z", DENVER) == utc(2026, 3, 1, 14)
    assert times.end("2026-03-01T14:00-05:00", DENVER) == utc(2026, 3, 1, 19)


def test_in_the_hour_that_a_clock_change_repeats_the_wider_reading_is_taken() -> None:
    assert times.beginning("2026-11-01T01:30", DENVER) == utc(2026, 11, 1, 7, 30)
    assert times.end("2026-11-01T01:30", DENVER) == utc(2026, 11, 1, 8, 30)


def test_in_the_hour_that_a_clock_change_skips_the_wider_reading_is_taken() -> None:
    assert times.beginning("2026-03-08T02:30", DENVER) == utc(2026, 3, 8, 8, 30)
    assert times.end("2026-03-08T02:30", DENVER) == utc(2026, 3, 8, 9, 30)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("PT5M", timedelta(minutes=5)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("P2D", timedelta(days=2)),
        ("2d", timedelta(days=2)),
        ("P1DT12H", timedelta(hours=36)),
        ("90s", timedelta(seconds=90)),
        ("0s", timedelta(0)),
    ],
)
def test_a_length_of_time_is_read(text: str, length: timedelta) -> None:
    assert times.duration(text) == length


@pytest.mark.parametrize("text", ["", "P", "PT", "5", "m", "-5m", "5 minutes", "P5", "1m1h", "T5", "5M5D"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        times.duration(text)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "2026-13-01T00:00", "14:00", "9999-12-31"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        times.end(text, DENVER)
