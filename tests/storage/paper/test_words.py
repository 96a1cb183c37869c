"""Codes, numbers and dates in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from retention.facts import AppliedRule, Method, Window
from storage.paper import words


@pytest.mark.parametrize(
    ("duration", "told"),
    [
        ("P30D", "30 days"),
        ("P1Y6M", "1 year and 6 months"),
        ("P3Y6M1D", "3 years, 6 months and 1 day"),
        ("P0D", ""),
        ("P2W", "P2W"),
        ("P", "P"),
    ],
)
def test_a_period(duration: str, told: str) -> None:
    assert words.period(duration) == told


@pytest.mark.parametrize(
    ("minimum", "maximum", "told"),
    [
        (
            "P30D",
            "P90D",
            "Kept at least 30 days and at most 90 days after “returned”, counted from the end of that day.",
        ),
        ("P30D", None, "Kept at least 30 days after “returned”, counted from the end of that day."),
        ("P0D", "P1Y", "No minimum; kept at most 1 year after “returned”, counted from the end of that day."),
        ("P0D", None, "No minimum after “returned”, counted from the end of that day."),
    ],
)
def test_a_rule(minimum: str, maximum: str | None, told: str) -> None:
    one = AppliedRule(id="r", citation="Policy 5-9", series="CIR-20", minimum=minimum, maximum=maximum)
    assert words.rule(one, "returned", "day") == f"{told} Authority: Policy 5-9, series CIR-20."


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (1_250_000, "1.2 MB"),
        (7 * 10**18, "7,000.0 PB"),
    ],
)
def test_a_size(octets: int, told: str) -> None:
    assert words.size(octets) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (12_060, "3 h 21 min")]
)
def test_a_length(seconds: int, told: str) -> None:
    assert words.length(seconds) == told


def test_days_and_times() -> None:
    late = datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=-7)))
    assert words.moment(late) == "March 2, 2026, 06:30:00 UTC"
    assert words.span(late, late) == "March 2, 2026"
    assert words.span(late, late + timedelta(days=1)) == "March 2, 2026 to March 3, 2026"
    assert (
        words.span(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 23, tzinfo=UTC))
        == "January 1, 2026"
    )
    assert (
        words.until(Window(copy="backups", store="ils", until=date(2026, 12, 31)))
        == "until December 31, 2026"
    )
    assert words.until(Window(copy="backups", store="ils", until=None)) == "without a known end"


def test_every_method_has_words() -> None:
    assert set(words.METHODS) == set(Method)
