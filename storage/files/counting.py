"""Counting a survey: what was decided on each record of a tree or a bucket, and a line for each that is due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache

from retention import dates
from retention.decide import Criteria, Decision, Due, KeepReason
from retention.schedule import TreeLocation
from storage.contract import Survey
from storage.files.facts import Sighting

_LINES_AT_ONCE = 500
_TOLD_EVERY = 1000


class _Range:
    """The earliest and the latest of some moments."""

    def __init__(self) -> None:
        self.first: datetime | None = None
        self.last: datetime | None = None

    def add(self, moment: datetime) -> None:
        if self.first is None or moment < self.first:
            self.first = moment
        if self.last is None or moment > self.last:
            self.last = moment


class Counting:
    """One survey while it runs. For each record `is_due`, and when it says so, `write`; then `end`."""

    def __init__(
        self, criteria: Criteria, write: Callable[[bytes], object], progress: Callable[[int], None]
    ) -> None:
        self._criteria = criteria
        self._write = write
        self._progress = progress
        self._result = Survey(location=criteria.location.name)
        self._due = _Range()
        self._held = _Range()
        self._waiting: list[bytes] = []
        location = criteria.location
        cameras = location.cameras if isinstance(location, TreeLocation) else {}
        self._branches: dict[str | None, str | None] = {
            name: camera.branch for name, camera in cameras.items()
        }
        self._year_of = lru_cache(maxsize=4096)(self._year)

    def is_due(self, seen: Sighting, decision: Decision) -> bool:
        """Count one record with what was decided on it."""
        result = self._result
        result.population += 1
        if result.population % _TOLD_EVERY == 0:
            self._progress(result.population)
        if not isinstance(decision, Due):
            result.kept[decision.primary] += 1
            if decision.primary is KeepReason.HELD and seen.trigger is not None:
                self._held.add(seen.trigger)
            return False
        result.due += 1
        if decision.maximum is not None and decision.days_past_maximum(self._criteria.on) > 0:
            result.past_maximum += 1
        result.volume += seen.it.identity.size
        if seen.start is not None and seen.end is not None:
            result.seconds += (seen.end - seen.start).total_seconds()
        trigger = seen.trigger
        assert trigger is not None  # nothing is due without a trigger
        self._due.add(trigger)
        result.spread[self._branches.get(seen.camera), self._year_of(trigger)] += 1
        return True

    def write(self, line: bytes) -> None:
        """A whole line of the manifest, in its turn."""
        self._waiting.append(line)
        if len(self._waiting) == _LINES_AT_ONCE:
            self._hand_on()

    def end(self) -> Survey:
        """What was counted. Findings are the caller's."""
        self._hand_on()
        self._progress(self._result.population)
        self._result.oldest, self._result.newest = self._day(self._due.first), self._day(self._due.last)
        self._result.held_oldest, self._result.held_newest = (
            self._day(self._held.first),
            self._day(self._held.last),
        )
        return self._result

    def _hand_on(self) -> None:
        if self._waiting:
            self._write(b"".join(self._waiting))
            self._waiting.clear()

    def _year(self, moment: datetime) -> int:
        return dates.local_day(moment, self._criteria.location.zone, self._criteria.library.zone).year

    def _day(self, moment: datetime | None) -> date | None:
        if moment is None:
            return None
        return dates.local_day(moment, self._criteria.location.zone, self._criteria.library.zone)


def date_of(nanoseconds: int) -> str:
    """The day of a time on the file system or in a bucket, for people."""
    try:
        return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return "an impossible day"
