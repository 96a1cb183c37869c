"""From a file as it was found to the record that is decided on. Everything odd about a file is turned into a reason to keep it.

The decision itself is `retention.decide.decide`; nothing here chooses. Times of a file of footage come from its path; times of
other files from path and file system, the later one counting: a copy made with old times must not go early, and an export that
was written to again is as young as its youngest row.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from retention.decide import Criteria
from retention.errors import ScheduleInvalid
from retention.holds import Hold
from retention.layout import EARLIEST_YEAR, Impossible, Layout, Placed, compile_layout
from retention.naming import Naming
from retention.records import Personal, Record, Span, Value
from retention.schedule import Camera, ConsentRecord, TreeLocation, TriggerKind
from storage.consents import Consents, Unasked
from storage.files.footage import Readings, Timeline, is_footage, span_of
from storage.files.lines import Identity, to_text
from storage.files.recorder import NOTHING, PROTECTED, Protection
from storage.files.sealed_name import read_name
from storage.files.tree import join, oddity

SIDECAR = ".retention.json"
"""Ending of what lies beside an export and says what it is: no record, and it goes with its export."""
NEWEST = "the newest file of its camera: it may still be growing"
GROWING = "changed a short while ago: it may still be growing"
AHEAD_NAME = "the time in its name lies in the future"
AHEAD_FILE = "its modification time lies in the future"
CONTRADICTION = "the time in its name and the time on the file differ by more than a day"
NEVER_SET = "its modification time is that of a clock that was never set"
UNRECOGNISED = "its path does not match the layout"
SEALED = "a sealed file: its key decides, not its name"

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER_SET = datetime(EARLIEST_YEAR, 1, 1, tzinfo=UTC)
_NOTHING: Mapping[str, Value] = {}
_UNKNOWN_CAMERA = Camera()


class Register(Protocol):
    """What the registry of exports knows, at one moment. ``path``: below the store's root, as `to_text` writes it."""

    def produced(self, store: str, path: str) -> datetime | None:
        """When the file was produced; ``None`` for one that is not registered."""
        ...

    def identity(self, store: str, path: str) -> tuple[int, int, int] | None:
        """What the registered one changes whenever it is written again (`storage.exports.lying`); ``None``: not registered."""
        ...

    def withdrew(self, subject: str) -> bool:
        """Whether it was noted that the person withdrew consent."""
        ...

    def consents(self, recorded: ConsentRecord) -> Consents:
        """Who consents, as the store that records it says at this moment. Raises `StoreUnavailable`."""
        ...


class NoRegister:
    """Of a site without a registry: nothing is registered, nobody withdrew."""

    def produced(self, store: str, path: str) -> datetime | None:
        return None

    def identity(self, store: str, path: str) -> tuple[int, int, int] | None:
        return None

    def withdrew(self, subject: str) -> bool:
        return False

    def consents(self, recorded: ConsentRecord) -> Consents:
        return Unasked()


class Found(NamedTuple):
    """A file, or a folder that is one record, as it was seen. Times are nanoseconds since 1970.

    ``modified``: of the file, or of the newest file in the folder (``None``: it is empty). ``changed``: the latest of all times,
    inode changes included. ``touched``: the latest modification, the folder's own included. ``odd``: why nothing can be decided
    on it, or ``""``. ``first``: when it was first written, where that is known apart from its last modification.
    """

    identity: Identity
    modified: int | None
    changed: int
    touched: int
    odd: str
    first: int | None = None


class Sighting(NamedTuple):
    """One file or folder with all that a decision needs. ``start``/``end``: its span; ``undecidable``: as in `Record`."""

    path: str
    it: Found
    placed: Placed | Impossible | None
    camera: str | None
    start: datetime | None
    end: datetime | None
    trigger: datetime | None
    undecidable: str | None


def found(status: os.stat_result) -> Found:
    """What a look at a plain file says."""
    modified, changed = status.st_mtime_ns, status.st_ctime_ns
    identity = Identity(status.st_ino, status.st_dev, status.st_size, modified)
    return Found(identity, modified, changed if changed > modified else modified, modified, oddity(status))


def tree_location(criteria: Criteria) -> TreeLocation:
    """The location, which must be a tree. Raises `ScheduleInvalid`."""
    if not isinstance(criteria.location, TreeLocation):
        raise ScheduleInvalid("a table is not in a file store", "name a database store at this location")
    return criteria.location


def layout_of(location: TreeLocation) -> Layout:
    """The compiled layout. Raises `ScheduleInvalid`."""
    try:
        return compile_layout(location.template)
    except ValueError as error:
        raise ScheduleInvalid(
            f"location {location.name}: {error}", "correct the layout in the schedule"
        ) from None


class Facts:
    """Makes records for one location at one moment. ``now``: aware. ``protection``: what the recorder was told to retain.

    ``needs_timeline``: the end of a file here is known only from its neighbours. ``has_conditions``: rules look at single files.
    ``growing``: the newest file of a camera may still be written to (never so in a bucket: an upload is whole or not there).
    """

    def __init__(
        self,
        criteria: Criteria,
        now: datetime,
        protection: Protection = NOTHING,
        register: Register | None = None,
        *,
        growing: bool = True,
    ) -> None:
        self._protection = protection
        self.location = tree_location(criteria)
        self.register = register or NoRegister()
        self.layout = layout_of(self.location)
        self.now = now
        self.readings = Readings(self.location.zone)
        self.footage = is_footage(self.layout, self.location.max_length)
        self.needs_timeline = self.footage and self.layout.names_time and not self.layout.names_end
        location, rules = self.location, criteria.record_type.rules
        conditions = (location.consent, location.blocked, *(rule.when for rule in rules))
        self.has_conditions = any(condition is not None for condition in conditions)
        self._record_type = criteria.record_type.id
        self.naming = Naming.of(location)
        self._present: dict[str | None, str] = dict(self.naming.cameras)
        self._longest = timedelta(seconds=location.max_length)
        self._settled_before = _nanoseconds(now) - round(location.settle * 1e9)
        self._tomorrow = _nanoseconds(now + _DAY)
        self._growing = growing
        self._late = max(_DAY, timedelta(seconds=self.location.upload_within))

    def holds(self, holds: Iterable[Hold]) -> list[Hold]:
        """The holds as they apply here; see `retention.naming`."""
        return self.naming.holds(holds)

    def read(self, path: str) -> Placed | Impossible | None:
        """What a path says, its camera by its present name. The layout has no say over a sealed file, whose name it may well match."""
        placed = self.layout.read(path) if read_name(path) is None else Impossible(SEALED)
        if isinstance(placed, Placed) and placed.camera in self._present:
            return placed._replace(camera=self._present[placed.camera])
        return placed

    def has_sidecar(self, path: str) -> bool:
        """Whether what is called like the sidecar of a file would be one, and not a record of its own."""
        return self.read(path + SIDECAR) is None

    def _camera(self, name: str | None) -> Camera:
        return self.location.cameras.get(name, _UNKNOWN_CAMERA) if name is not None else _UNKNOWN_CAMERA

    def sight(self, path: str, it: Found, timeline: Timeline | None) -> Sighting:
        """What a file says at a survey. ``timeline``: of its neighbours, where `needs_timeline`."""
        placed = self.read(path)
        if not isinstance(placed, Placed):
            return _unreadable(path, it, placed)
        start, end = span_of(placed, self._longest, self.readings, timeline) if self.footage else (None, None)
        growing = self._growing and self.location.vault_of is None
        newest = growing and timeline is not None and timeline.is_newest(placed)
        return self._sighting(path, it, placed, start, end, newest=newest)

    def sight_again(self, path: str, it: Found, end: datetime | None) -> Sighting:
        """What a surveyed file says now. Its ``end`` is the survey's: the neighbour that told it may be gone since."""
        if not self.needs_timeline:
            return self.sight(path, it, None)
        placed = self.read(path)
        if not isinstance(placed, Placed):
            return _unreadable(path, it, placed)
        start, _ = span_of(placed, self._longest, self.readings, None)
        if start is not None and end is not None and end < start:
            end = None
        return self._sighting(path, it, placed, start, end, newest=False)

    def record(self, seen: Sighting) -> Record:
        """The record of a sighting."""
        camera = self._camera(seen.camera)
        drift = timedelta(seconds=camera.drift)
        start = None if seen.start is None else seen.start - drift
        written = seen.it.modified if seen.it.first is None else seen.it.first
        return Record(
            record_type=self._record_type,
            store=self.location.store,
            location=self.location.name,
            key=Personal(to_text(seen.path)),
            trigger=seen.trigger,
            span=Span(
                start=start,
                end=None if seen.end is None else seen.end + drift,
            ),
            # Both the camera's clock and the file system's have to say so.
            created=None if start is None or written is None else min(start, _moment(written)),
            camera=seen.camera,
            branch=camera.branch,
            fields=_fields(seen, camera.branch) if self.has_conditions else _NOTHING,
            undecidable=seen.undecidable,
        )

    def _sighting(
        self,
        path: str,
        it: Found,
        placed: Placed,
        start: datetime | None,
        end: datetime | None,
        *,
        newest: bool,
    ) -> Sighting:
        if self.footage and start is None:
            # Without a time in the path: it was recorded before it was last written, nobody knows how long before.
            end = _moment(it.changed)
        trigger, undecidable = self._trigger(it, placed, start, end, newest=newest)
        if self.location.trigger_kind is TriggerKind.REGISTERED and undecidable is None:
            trigger = self._registered(path, it)
        return Sighting(path, it, placed, placed.camera, start, end, trigger, undecidable)

    def _registered(self, path: str, it: Found) -> datetime | None:
        """What lies beside an export, where the layout takes it for a record, is as old as its export and goes when that does."""
        export = to_text(join(self.location.path, path.removesuffix(SIDECAR)))
        produced = self.register.produced(self.location.store, export)
        rule = self.location.export
        if produced is None or rule is None or not rule.reused or it.modified is None:
            return produced
        written = it.identity.inode, it.identity.size, it.identity.stamp
        if it.first is None and self.register.identity(self.location.store, export) == written:
            return produced
        # Under a name that is used again what came last is another export, whether it has been sighted yet or not; and
        # nobody can set back when an object was uploaded.
        return max(produced, _moment(it.modified))

    def _trigger(
        self, it: Found, placed: Placed, start: datetime | None, end: datetime | None, *, newest: bool
    ) -> tuple[datetime | None, str | None]:
        """The trigger, and why nothing can be decided (or ``None``)."""
        if it.odd:
            return None, it.odd
        if it.touched > self._tomorrow:
            return None, AHEAD_FILE
        if it.touched > self._settled_before:
            return None, GROWING
        if placed.start is not None and (start or self.readings.earliest(placed.start)) > self.now:
            return None, AHEAD_NAME
        if newest:
            return None, NEWEST
        if self.footage and self._protection.covers(placed.camera, start, end):
            return None, PROTECTED
        modified = _moment(it.touched if it.modified is None else it.modified)
        written = modified if it.first is None else _moment(it.first)
        if self.footage and it.modified is not None and not self._agree(written, start, end):
            return None, CONTRADICTION
        kind = self.location.trigger_kind
        if kind is TriggerKind.CHANGED:
            return _moment(it.changed), None
        if kind is TriggerKind.MODIFIED:
            return (None, NEVER_SET) if modified < _NEVER_SET else (modified, None)
        if kind is not TriggerKind.NAME or placed.until is None:
            return None, None
        if self.footage:
            return (end if end is None else end + timedelta(seconds=self._camera(placed.camera).drift)), None
        named = self.readings.latest(placed.until if placed.end is None else max(placed.until, placed.end))
        return max(named, modified), None

    def _agree(self, written: datetime, start: datetime | None, end: datetime | None) -> bool:
        """Whether a file was written about when its path says it was recorded. A day is let pass for clocks and zones, and more
        for uploads that come late by the schedule's own word."""
        early = start is not None and written < start - _DAY
        late = end is not None and written > end + self._late
        return not early and not late


def _unreadable(path: str, it: Found, placed: Impossible | None) -> Sighting:
    why = it.odd or (UNRECOGNISED if placed is None else placed.reason)
    return Sighting(path, it, placed, None, None, None, None, why)


def _fields(seen: Sighting, branch: str | None) -> Mapping[str, Value]:
    """The columns that a condition of the schedule may name at a file location."""
    event = seen.placed.event if isinstance(seen.placed, Placed) else None
    return {"size": seen.it.identity.size, "branch": branch, "camera": seen.camera, "event": event}


def _moment(nanoseconds: int) -> datetime:
    """Rounded up to the microsecond: never earlier than what the file system says."""
    try:
        return _ZERO + timedelta(microseconds=-(-nanoseconds // 1000))
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if nanoseconds > 0 else _ZERO


def _nanoseconds(moment: datetime) -> int:
    return (moment - _ZERO) // _MICROSECOND * 1000
