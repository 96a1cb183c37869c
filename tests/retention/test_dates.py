"""Calendar arithmetic: what is kept is kept long enough, in every zone and through every clock change."""

# ruff: noqa: DTZ001, DTZ901, PLR0917  # naive wall times and their readings are what is tested here; six facts make a case

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retention import dates
from retention.schedule import Cutoff, Library, Period

DENVER = ZoneInfo("America/Denver")
NEW_YORK = ZoneInfo("America/New_York")
ZONES = (
    "UTC",
    "America/Denver",
    "America/New_York",
    "America/Sao_Paulo",  # clocks went forward at midnight: 00:00 did not exist
    "America/Havana",  # falls back at 01:00 to 00:00: midnight twice
    "America/St_Johns",  # fell back at 00:01 to 23:01 of the day before
    "Pacific/Apia",  # skipped 30 December 2011 as a whole
    "Australia/Lord_Howe",  # half an hour of summer time
    "Asia/Kathmandu",
    "Europe/Berlin",
)


def library(zone: str = "America/Denver", start: tuple[int, int] = (7, 1)) -> Library:
    return Library(organization="L", custodian="Director", zone=ZoneInfo(zone), fiscal_year_start=start)


zones = st.sampled_from(ZONES).map(ZoneInfo)
libraries = st.builds(
    lambda zone, day: library(zone, (day.month, day.day)),
    st.sampled_from(ZONES),
    st.dates(date(2023, 1, 1), date(2023, 12, 31)),
)
periods = st.builds(
    Period, years=st.integers(0, 12), months=st.integers(0, 30), days=st.integers(0, 800)
) | st.sampled_from([Period(), Period(years=9999), Period(months=10**12), Period(days=10**12)])
cutoffs = st.sampled_from(Cutoff)
days = st.dates(date(1980, 1, 1), date(2060, 1, 1))
any_days = st.dates()
changes = st.sampled_from(
    [
        datetime(2026, 3, 8, 9), datetime(2026, 11, 1, 7), datetime(2026, 11, 1, 6), datetime(2017, 10, 15, 3),
        datetime(2018, 2, 18, 2), datetime(2026, 3, 8, 5), datetime(2010, 11, 7, 2, 31), datetime(2011, 12, 30, 10),
        datetime(2026, 4, 4, 15), datetime(2026, 10, 25, 1),
    ]
)  # fmt: skip
near_changes = st.builds(
    lambda moment, shift: moment + shift, changes, st.timedeltas(-timedelta(hours=30), timedelta(hours=30))
)
walls = st.datetimes(datetime(1990, 1, 1), datetime(2050, 1, 1)) | near_changes
instants = walls.map(lambda wall: wall.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "period", "words"),
    [
        ("P3Y", Period(years=3), "3 years"),
        ("P1Y6M", Period(years=1, months=6), "1 year and 6 months"),
        ("P2W", Period(days=14), "14 days"),
        ("P0D", Period(), "no time"),
        ("P1Y2M3D", Period(years=1, months=2, days=3), "1 year, 2 months and 3 days"),
    ],
)
def test_a_period_is_read_from_iso_8601_and_said_in_words(text: str, period: Period, words: str) -> None:
    assert dates.parse_period(text) == period
    assert dates.describe_period(period) == words


@pytest.mark.parametrize(
    "text",
    ["", "P", "3Y", "p3y", " P3Y", "P3Y ", "P-1Y", "-P1Y", "+P1Y", "P1.5Y", "P1.0Y", "P1,5D", "PT24H", "P1YT", "P1DT0S",
     "P0003-06-04", "P٣Y", "P1Y;", "three years", "P999999999999999D"],
)  # fmt: skip
def test_what_is_not_a_whole_calendar_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="P3Y"):
        dates.parse_period(text)


@given(periods)
def test_a_period_survives_being_written_and_read(period: Period) -> None:
    if period.days < 10**9:
        assert dates.parse_period(dates.format_period(period)) == period


@pytest.mark.parametrize(
    ("day", "period", "expected"),
    [
        (date(2024, 2, 29), Period(years=1), date(2025, 2, 28)),
        (date(2024, 2, 29), Period(years=4), date(2028, 2, 29)),
        (date(2026, 1, 31), Period(months=1), date(2026, 2, 28)),
        (date(2024, 1, 31), Period(months=1), date(2024, 2, 29)),
        (date(2026, 8, 31), Period(months=1), date(2026, 9, 30)),
        (date(2026, 1, 31), Period(months=1, days=1), date(2026, 3, 1)),
        (date(9999, 1, 1), Period(years=1), dates.NEVER),
        (date(2026, 1, 1), Period(years=9999), dates.NEVER),
        (date(2026, 1, 1), Period(years=10**30), dates.NEVER),
        (date(2026, 1, 1), Period(days=10**30), dates.NEVER),
    ],
)
def test_month_ends_clamp_and_the_end_of_the_calendar_is_never(
    day: date, period: Period, expected: date
) -> None:
    assert dates.add(day, period) == expected


@pytest.mark.parametrize(
    ("day", "cutoff", "start", "expected"),
    [
        (date(2026, 2, 10), Cutoff.DAY, (7, 1), date(2026, 2, 10)),
        (date(2026, 2, 10), Cutoff.EVENT, (7, 1), date(2026, 2, 10)),
        (date(2026, 2, 10), Cutoff.MONTH, (7, 1), date(2026, 2, 28)),
        (date(2024, 2, 1), Cutoff.MONTH, (7, 1), date(2024, 2, 29)),
        (date(2026, 6, 30), Cutoff.FISCAL_YEAR, (7, 1), date(2026, 6, 30)),
        (date(2026, 7, 1), Cutoff.FISCAL_YEAR, (7, 1), date(2027, 6, 30)),
        (date(2026, 7, 1), Cutoff.FISCAL_YEAR, (1, 1), date(2026, 12, 31)),
        (date(2026, 4, 5), Cutoff.FISCAL_YEAR, (4, 6), date(2026, 4, 5)),
        (date(2024, 3, 1), Cutoff.FISCAL_YEAR, (3, 1), date(2025, 2, 28)),
        (date(2024, 2, 29), Cutoff.FISCAL_YEAR, (3, 1), date(2024, 2, 29)),
        (date(9999, 8, 1), Cutoff.FISCAL_YEAR, (7, 1), dates.NEVER),
        (date(9999, 8, 1), Cutoff.FISCAL_YEAR, (1, 1), date(9999, 12, 31)),
        (date(9999, 12, 1), Cutoff.MONTH, (1, 1), date(9999, 12, 31)),
    ],
)
def test_the_unit_closes_at_its_cutoff(
    day: date, cutoff: Cutoff, start: tuple[int, int], expected: date
) -> None:
    assert dates.cutoff_day(day, cutoff, library(start=start)) == expected


@given(any_days, any_days, periods, cutoffs, libraries)
def test_a_later_trigger_is_never_due_earlier(
    one: date, other: date, period: Period, cutoff: Cutoff, where: Library
) -> None:
    first, second = sorted((one, other))
    due = dates.due_day(first, period, cutoff, where)
    assert first <= due <= dates.due_day(second, period, cutoff, where)


@given(any_days, any_days, periods, cutoffs, libraries)
def test_the_boundary_says_the_same_of_a_day_as_its_due_day(
    day: date, on: date, period: Period, cutoff: Cutoff, where: Library
) -> None:
    cut = dates.boundary(period, cutoff, on, where)
    assert cut.is_after(day, DENVER) == (dates.due_day(day, period, cutoff, where) < on)


@given(instants, days, periods, cutoffs, libraries)
@example(
    datetime(2017, 10, 15, 2, 59, 59, tzinfo=UTC),
    date(2017, 10, 15),
    Period(),
    Cutoff.DAY,
    library("America/Sao_Paulo"),
)
@example(
    datetime(2017, 10, 15, 3, tzinfo=UTC),
    date(2017, 10, 15),
    Period(),
    Cutoff.DAY,
    library("America/Sao_Paulo"),
)
@example(
    datetime(2011, 12, 30, 9, 59, tzinfo=UTC),
    date(2011, 12, 31),
    Period(),
    Cutoff.DAY,
    library("Pacific/Apia"),
)
def test_the_boundary_says_the_same_of_an_instant_as_its_due_day(
    instant: datetime, on: date, period: Period, cutoff: Cutoff, where: Library
) -> None:
    cut = dates.boundary(period, cutoff, on, where)
    past = dates.due_day(dates.local_day(instant, DENVER, where.zone), period, cutoff, where) < on
    if cut.is_after(instant, DENVER):
        assert past
    elif where.zone.key != "America/St_Johns":  # there a day ended twice; the cut keeps its second end too
        assert not past


@given(walls, zones, days, periods, cutoffs, libraries)
def test_a_naive_time_before_the_boundary_is_past_in_each_of_its_readings(
    wall: datetime, zone: ZoneInfo, on: date, period: Period, cutoff: Cutoff, where: Library
) -> None:
    cut = dates.boundary(period, cutoff, on, where)
    if cut.is_after(wall, zone):
        for reading in (dates.earliest_reading(wall, zone), dates.latest_reading(wall, zone)):
            assert dates.due_day(dates.local_day(reading, zone, where.zone), period, cutoff, where) < on
            assert cut.is_after(reading, zone)


@given(near_changes, zones, st.integers(-2, 2), libraries)
def test_a_naive_time_is_kept_longer_only_around_a_clock_change(
    wall: datetime, zone: ZoneInfo, shift: int, where: Library
) -> None:
    on = wall.date() + timedelta(days=shift)
    cut = dates.boundary(Period(), Cutoff.DAY, on, where)
    past = cut.is_after(dates.latest_reading(wall, zone), zone)
    if past and not cut.is_after(wall, zone):
        nearby = (wall.replace(tzinfo=zone) + timedelta(hours=hours) for hours in (-25, 25))
        assert len({moment.utcoffset() for moment in nearby}) == 2, "kept although no clock changed"


@given(walls, instants, zones)
def test_walls_around_an_instant_leave_out_no_reading(
    wall: datetime, instant: datetime, zone: ZoneInfo
) -> None:
    if wall < dates.wall_not_before(instant, zone):
        assert dates.latest_reading(wall, zone) < instant
    if wall > dates.wall_not_after(instant, zone):
        assert dates.earliest_reading(wall, zone) > instant


@given(near_changes, zones)
def test_walls_around_an_instant_are_the_tightest_possible(wall: datetime, zone: ZoneInfo) -> None:
    instant = wall.replace(tzinfo=UTC)
    assert dates.latest_reading(dates.wall_not_before(instant, zone), zone) >= instant
    assert dates.earliest_reading(dates.wall_not_after(instant, zone), zone) <= instant


def test_an_ambiguous_hour_is_kept_whole() -> None:
    first, second = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert dates.wall_not_before(first, NEW_YORK) == datetime(2026, 11, 1, 1)
    assert dates.wall_not_after(second, NEW_YORK) == datetime(2026, 11, 1, 1, 59, 59, 999999)
    assert dates.earliest_reading(datetime(2026, 11, 1, 1, 30), NEW_YORK) == first
    assert dates.latest_reading(datetime(2026, 11, 1, 1, 30), NEW_YORK) == second


def test_a_missing_hour_is_read_both_ways() -> None:
    gap = datetime(2026, 3, 8, 2, 30)
    assert dates.earliest_reading(gap, NEW_YORK) == datetime(2026, 3, 8, 6, 30, tzinfo=UTC)
    assert dates.latest_reading(gap, NEW_YORK) == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)


def test_the_local_day_is_that_of_the_library() -> None:
    late = datetime(2026, 3, 2, 5, 30)
    assert dates.local_day(late, ZoneInfo("UTC"), DENVER) == date(2026, 3, 1)
    assert dates.local_day(late.replace(tzinfo=UTC), NEW_YORK, DENVER) == date(2026, 3, 1)
    assert dates.local_day(late, DENVER, DENVER) == date(2026, 3, 2)
    assert dates.local_day(date(2026, 3, 2), ZoneInfo("UTC"), DENVER) == date(2026, 3, 2)


@given(
    st.sampled_from(Cutoff),
    periods,
    zones,
    st.sampled_from([date.min, date.max, date(1, 1, 2), date(9999, 12, 30)]),
)
def test_the_ends_of_the_calendar_crash_nothing(
    cutoff: Cutoff, period: Period, zone: ZoneInfo, on: date
) -> None:
    where = library(zone.key)
    cut = dates.boundary(period, cutoff, on, where)
    for trigger in (datetime.max, datetime.max.replace(tzinfo=UTC), date.max):
        assert not cut.is_after(trigger, zone)
    for extreme in (datetime.min, datetime.max):
        cut.is_after(extreme, zone)
        assert dates.earliest_reading(extreme, zone) <= dates.latest_reading(extreme, zone)
        dates.local_day(extreme, zone, where.zone)
        dates.wall_not_before(extreme.replace(tzinfo=UTC), zone)
        dates.wall_not_after(extreme.replace(tzinfo=UTC), zone)
    assert dates.day_after(date.max) == date.max


@pytest.mark.parametrize(
    ("minimum", "maximum", "exceeds"),
    [
        (Period(years=1), Period(months=12), False),
        (Period(months=1), Period(days=31), False),
        (Period(months=1), Period(days=30), True),
        (Period(days=365), Period(years=1), False),
        (Period(days=366), Period(years=1), True),
        (Period(years=2), Period(years=1), True),
        (Period(), Period(), False),
    ],
)
def test_a_minimum_exceeds_a_maximum_when_it_does_so_on_any_day(
    minimum: Period, maximum: Period, exceeds: bool
) -> None:
    assert dates.may_exceed(minimum, maximum) is exceeds
