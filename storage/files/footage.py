"""Which stretch of time a file of footage covers, read so that a hold catches too much rather than too little.

A span starts at the earliest and ends at the latest reading of what the path says; both ends are included. Without a named end
it ends with the next file of the same camera or after the longest possible length, whichever comes first. A local time that
exists twice (clocks set back) or not at all (set forward) is read both ways. The newest file of each camera has no end yet: it
is never judged.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from retention import dates
from retention.layout import Layout, Placed

_HOUR = timedelta(hours=1)
_WALL_ZERO = datetime(1970, 1, 1)  # noqa: DTZ001  # wall clock: compared with wall clocks only
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


class Readings:
    """What wall clock times of one zone may mean, in UTC. Remembers each hour in which the clocks stand still."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._hours: dict[int, tuple[datetime, datetime] | None] = {}
        """By hour: its start on the wall and in UTC; ``None`` when clocks change in it."""

    def earliest(self, moment: datetime) -> datetime:
        """The earliest instant that a naive time may mean; an aware one means itself."""
        if moment.tzinfo is not None:
            return moment
        hour = self._hour(moment)
        return dates.earliest_reading(moment, self._zone) if hour is None else hour[1] + (moment - hour[0])

    def latest(self, moment: datetime) -> datetime:
        """The latest instant that a naive time may mean; an aware one means itself."""
        if moment.tzinfo is not None:
            return moment
        hour = self._hour(moment)
        return dates.latest_reading(moment, self._zone) if hour is None else hour[1] + (moment - hour[0])

    def _hour(self, moment: datetime) -> tuple[datetime, datetime] | None:
        number = moment.toordinal() * 24 + moment.hour
        if number not in self._hours:
            start = moment.replace(minute=0, second=0, microsecond=0, fold=0)
            ends = [
                at.replace(tzinfo=self._zone, fold=fold) for at in (start, start + _HOUR) for fold in (0, 1)
            ]
            still = len({end.utcoffset() for end in ends}) == 1
            self._hours[number] = (start, dates.earliest_reading(start, self._zone)) if still else None
        return self._hours[number]


class Timeline:
    """When the files of each camera start: 8 bytes a file. Fill with `add`, then `seal`, then ask."""

    def __init__(self, readings: Readings, now: datetime) -> None:
        self._readings = readings
        self._now = now
        self._surely_past = _seconds(now) - 2 * 86_400
        """In seconds on any wall: no zone is two days off."""
        self._starts: dict[str | None, array[float]] = {}
        self._granule = timedelta(0)
        self._aware = False

    def add(self, placed: Placed) -> None:
        """A regular file. One whose time lies ahead says nothing about the others and is left out."""
        if placed.start is None or placed.until is None:
            return
        seconds = _seconds(placed.start)
        if seconds > self._surely_past and self._readings.earliest(placed.start) > self._now:
            return
        self._aware = placed.start.tzinfo is not None
        self._granule = max(self._granule, placed.until - placed.start)
        starts = self._starts.get(placed.camera)
        if starts is None:
            starts = self._starts[placed.camera] = array("d")
        starts.append(seconds)

    def seal(self) -> None:
        """Put the starts in order."""
        self._starts = {camera: array("d", sorted(starts)) for camera, starts in self._starts.items()}

    def is_newest(self, placed: Placed) -> bool:
        """Whether no file of the camera starts later. True when in doubt."""
        starts = self._starts.get(placed.camera)
        return placed.start is None or not starts or _seconds(placed.start) >= starts[-1]

    def next_start(self, placed: Placed, latest: datetime) -> datetime | None:
        """The latest reading of the first start of the camera that surely comes after ``latest``; ``None`` without one."""
        starts = self._starts.get(placed.camera)
        if not starts or placed.start is None:
            return None
        at = bisect_right(starts, _seconds(placed.start))
        while at < len(starts):
            start = self._moment(starts[at])
            if self._readings.earliest(start) > latest:
                return self._readings.latest(start) + self._granule
            at = bisect_right(starts, starts[at], at)
        return None

    def _moment(self, seconds: float) -> datetime:
        return (_ZERO if self._aware else _WALL_ZERO) + timedelta(seconds=seconds)


def is_footage(layout: Layout, max_length: float) -> bool:
    """Whether files at a location are footage: their paths name a camera, or the schedule gives them a longest length."""
    return layout.names_camera or max_length > 0


def span_of(
    placed: Placed, max_length: timedelta, readings: Readings, timeline: Timeline | None
) -> tuple[datetime | None, datetime | None]:
    """First and last moment that a file of footage may cover; ``None`` is unknown. ``max_length`` of zero: no limit known."""
    if placed.start is None or placed.until is None:
        return None, None
    start, latest = readings.earliest(placed.start), readings.latest(placed.until)
    if placed.end is not None:
        return start, max(latest, readings.latest(placed.end))
    follows = None if timeline is None else timeline.next_start(placed, latest)
    if not max_length:
        return start, follows
    longest = latest + max_length
    return start, longest if follows is None or longest < follows else follows


def _seconds(moment: datetime) -> float:
    return (moment - (_WALL_ZERO if moment.tzinfo is None else _ZERO)).total_seconds()
