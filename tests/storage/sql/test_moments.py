"""The time a row is about, as moments and as cuts, says the same around every change of the clocks."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.sql.moments import ends_from, first_moment, last_moment, starts_by
from tests.storage.sql.worlds import ZONES, days, instants, walls

nudges = st.sampled_from(
    [timedelta(0), timedelta(microseconds=1), timedelta(microseconds=-1), timedelta(minutes=30)]
)


@given(zone=st.sampled_from(ZONES), wall=walls, instant=instants, nudge=nudges, near=st.booleans())
@settings(max_examples=600, deadline=None)
def test_a_naive_time(
    zone: ZoneInfo, wall: datetime, instant: datetime, nudge: timedelta, near: bool
) -> None:
    start, end = first_moment(wall, zone), last_moment(wall, zone)
    assert start <= end
    for moment in (instant, start + nudge, end + nudge) if near else (instant,):
        assert (start <= moment) is (wall <= starts_by(moment, zone).wall)
        assert (end >= moment) is (wall >= ends_from(moment, zone).wall)


@given(zone=st.sampled_from(ZONES), day=days, instant=instants, nudge=nudges)
@settings(max_examples=600, deadline=None)
def test_a_date_is_its_whole_day(zone: ZoneInfo, day: datetime, instant: datetime, nudge: timedelta) -> None:
    start, end = first_moment(day, zone), last_moment(day, zone)
    assert timedelta(0) <= end - start < timedelta(hours=26)
    for moment in (instant, start + nudge, end + nudge):
        assert (start <= moment) is (day <= starts_by(moment, zone).day)
        assert (end >= moment) is (day >= ends_from(moment, zone).day)
