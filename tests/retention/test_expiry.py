"""Expiry periods: what shares one shares a key, and none is over before its last record is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.decide import Criteria
from retention.expiry import last_trigger, period_of
from retention.schedule import Cutoff, Period
from tests.storage.files.shelf import EXPORTS, criteria_for

DAYS = st.dates(min_value=date(2000, 1, 1), max_value=date(2090, 12, 31))
MINIMUMS = st.sampled_from(
    [Period(), Period(days=14), Period(days=30), Period(months=11), Period(days=365), Period(years=1), Period(years=3, days=5)]
)  # fmt: skip


def criteria(minimum: Period, cutoff: Cutoff = Cutoff.DAY) -> Criteria:
    whole = criteria_for(EXPORTS)
    rule = replace(whole.record_type.rules[0], minimum=minimum)
    return replace(whole, record_type=replace(whole.record_type, rules=(rule,), cutoff=cutoff))


@pytest.mark.parametrize(
    ("minimum", "cutoff", "trigger", "period"),
    [
        (Period(days=30), Cutoff.DAY, date(2026, 3, 1), "2026-03-31"),
        (Period(days=30), Cutoff.MONTH, date(2026, 3, 1), "2026-04-30"),
        (Period(days=364), Cutoff.DAY, date(2026, 3, 1), "2027-02-28"),
        (Period(days=365), Cutoff.DAY, date(2026, 3, 1), "2027-03"),
        (Period(years=1), Cutoff.DAY, date(2028, 2, 29), "2029-02"),
        (Period(years=3), Cutoff.FISCAL_YEAR, date(2026, 7, 1), "2030-06"),
        (Period(days=30), Cutoff.DAY, date(9999, 12, 31), "9999-12-31"),
    ],
)
def test_the_period_is_the_last_day_it_must_be_kept_or_its_month(
    minimum: Period, cutoff: Cutoff, trigger: date, period: str
) -> None:
    assert period_of(criteria(minimum, cutoff), trigger) == period


def test_a_time_counts_by_the_librarys_day() -> None:
    late = datetime(2026, 3, 2, 3, tzinfo=UTC)  # still the first of March in New York
    assert period_of(criteria(Period(days=30)), late) == "2026-03-31"
    assert period_of(criteria(Period(days=30)), late + timedelta(hours=3)) == "2026-04-01"


@given(day=DAYS, minimum=MINIMUMS, cutoff=st.sampled_from([Cutoff.DAY, Cutoff.MONTH, Cutoff.FISCAL_YEAR]))
def test_the_last_trigger_of_a_period_is_in_it_and_the_day_after_is_not(
    day: date, minimum: Period, cutoff: Cutoff
) -> None:
    asked = criteria(minimum, cutoff)
    last = last_trigger(asked, day)
    assert last >= day
    assert period_of(asked, last) == period_of(asked, day)
    assert period_of(asked, last + timedelta(days=1)) != period_of(asked, day)
