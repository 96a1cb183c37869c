"""Into which expiry period something sealed falls: what shares a period shares the key that dies with it.

The period is the day until which it must be kept, or that day's month where the schedule counts in years: there a month more or
less hides how few records a single day may have, and keeps the number of keys small. A period is never due before its last
record is; see `last_trigger`.
"""

from __future__ import annotations

from datetime import date, datetime

from retention import dates
from retention.decide import Criteria

_YEAR = 365.0
"""Days. Minimums from here on are grouped by month."""
_LONGEST = 366 + 31
"""Days that triggers of one period can lie apart at most: a fiscal year, and a month of due days."""


def period_of(criteria: Criteria, trigger: date | datetime) -> str:
    """``2027-03-31``, or ``2031-04`` where the shortest minimum is a year or more. A naive time is read in the location's zone."""
    return _period(criteria, dates.local_day(trigger, criteria.location.zone, criteria.library.zone))


def last_trigger(criteria: Criteria, trigger: date | datetime) -> date:
    """The last local day whose triggers fall into the same period: what comes into the period later is no younger than that."""
    day = dates.local_day(trigger, criteria.location.zone, criteria.library.zone)
    period = _period(criteria, day)
    low, high = day.toordinal(), min(day.toordinal() + _LONGEST, date.max.toordinal())
    while low < high:  # due days never decrease with the trigger's
        middle = (low + high + 1) // 2
        if _period(criteria, date.fromordinal(middle)) == period:
            low = middle
        else:
            high = middle - 1
    return date.fromordinal(low)


def _period(criteria: Criteria, day: date) -> str:
    rules = criteria.record_type.rules
    until = max(criteria.last_day(day, rule.minimum) for rule in rules)
    by_month = min(dates.nominal_days(rule.minimum) for rule in rules) >= _YEAR
    return until.isoformat()[:7] if by_month else until.isoformat()
