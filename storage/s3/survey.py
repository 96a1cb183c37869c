"""Looking through a location of a bucket: every key once, in order, with what is decided on it.

What no layout recognises is no record: it is counted and reported, never judged. An object that the store itself locks is
reported with the day until which it does; no lock is ever bypassed or shortened. Locks are asked for only where an object would
otherwise go: they cost a request each, and what a hold keeps says nothing of why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from retention.decide import Criteria, Due, Keep, KeepReason
from retention.holds import Hold
from retention.layout import Placed
from retention.records import Record
from retention.schedule import TreeLocation
from storage.contract import Finding, Survey
from storage.files.counting import Counting, date_of
from storage.files.deciding import decide_all
from storage.files.facts import Facts, Register, Sighting
from storage.files.footage import Timeline
from storage.files.survey import Judged
from storage.s3.items import Item, found
from storage.s3.lines import Line, write_line
from storage.s3.listing import at
from storage.s3.locks import Locks
from storage.s3.sheet import Sheet
from storage.s3.wire import Wire

_AT_ONCE = 1000
_DUE = "object that is due is", "objects that are due are"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A key that the layout does not recognise. ``modified``: nanoseconds since 1970, if known."""

    key: str
    modified: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """One record with its decision. ``until``: where the store locks it, how long, in words."""

    item: Item
    judged: Judged
    until: str = ""


def prefix_of(wire: Wire, location: TreeLocation) -> str:
    """What the keys of a location begin with."""
    return wire.address.prefix + (f"{location.path}/" if location.path else "")


class Look:
    """One look through a location, from a listing of its own."""

    def __init__(
        self, criteria: Criteria, locks: Locks, scratch: Path, now: datetime, holds: Iterable[Hold],
        *, register: Register,
    ) -> None:  # fmt: skip
        self._criteria = criteria
        self._wire = locks.wire
        self._locks = locks
        self._scratch = scratch
        self.facts = Facts(criteria, now, register=register, growing=False)
        self._holds = self.facts.holds(holds)
        self.prefix = prefix_of(locks.wire, self.facts.location)

    def __iter__(self) -> Iterator[Seen | Stranger]:
        """Raises `StoreUnavailable`."""
        with Sheet(self._wire, self.prefix, self._scratch) as sheet:
            timeline = self._timeline(sheet)
            items = iter(sheet)
            while group := list(islice(items, _AT_ONCE)):
                records: list[tuple[Item, Sighting]] = []
                for item in group:
                    seen = self.facts.sight(item.key, found(item), timeline)
                    if seen.placed is None:
                        yield Stranger(key=item.key, modified=seen.it.modified)
                    else:
                        records.append((item, seen))
                yield from self._decided(records)

    def records(self) -> Iterator[tuple[Item, Record]]:
        """The records without a decision."""
        with Sheet(self._wire, self.prefix, self._scratch) as sheet:
            timeline = self._timeline(sheet)
            for item in sheet:
                seen = self.facts.sight(item.key, found(item), timeline)
                if seen.placed is not None:
                    yield item, self.facts.record(seen)

    def one(self, key: str) -> Record | None:
        """The record at a key; ``None`` when nothing is there. Raises `StoreUnavailable`."""
        entries = at(self._wire, [self.prefix + key], 1)[self.prefix + key]
        if not entries:
            return None
        if not self.facts.needs_timeline:
            return self.facts.record(self.facts.sight(key, found(Item(key, entries)), None))
        with Sheet(self._wire, self.prefix, self._scratch) as sheet:
            return self.facts.record(self.facts.sight(key, found(Item(key, entries)), self._timeline(sheet)))

    def _timeline(self, sheet: Sheet) -> Timeline | None:
        if not self.facts.needs_timeline:
            return None
        timeline = Timeline(self.facts.readings, self.facts.now)
        for item in sheet:
            placed = self.facts.read(item.key)
            if isinstance(placed, Placed):
                timeline.add(placed)
        timeline.seal()
        return timeline

    def _decided(self, records: Sequence[tuple[Item, Sighting]]) -> Iterator[Seen]:
        decisions = decide_all(self._criteria, self.facts, self._holds, [seen for _, seen in records])
        going = [
            item for (item, _), decision in zip(records, decisions, strict=True) if isinstance(decision, Due)
        ]
        locked = self._locks.until(going, self.facts.now) if going and self._locks.enabled else {}
        for (item, seen), decision in zip(records, decisions, strict=True):
            until = locked.get(item.key) if isinstance(decision, Due) else None
            if until is not None:
                why = Keep(reasons=(KeepReason.UNDECIDABLE,), detail=(until,))
                yield Seen(item, Judged(seen, why), until)
            else:
                yield Seen(item, Judged(seen, decision))


def survey(
    look: Look, criteria: Criteria, write: Callable[[bytes], object], progress: Callable[[int], None]
) -> Survey:
    """Count everything and write a line per due record. Raises `StoreUnavailable`."""
    counting = Counting(criteria, write, progress)
    strangers = 0
    oldest: int | None = None
    locked: dict[str, int] = {}
    for seen in look:
        if isinstance(seen, Stranger):
            strangers += 1
            oldest = oldest if seen.modified is None else min(seen.modified, oldest or seen.modified)
            continue
        if seen.until:
            locked[seen.until] = locked.get(seen.until, 0) + 1
        if counting.is_due(seen.judged.seen, seen.judged.decision):
            counting.write(write_line(line_of(seen.item, seen.judged.seen)))
    result = counting.end()
    result.findings = list(findings(criteria.location.name, strangers, oldest, locked))
    return result


def line_of(item: Item, seen: Sighting) -> Line:
    """What the manifest says of a due record. Spans are footage's only: those of other objects are unknown."""
    start = None if seen.start is None else seen.start.timestamp()
    end = None if seen.end is None else seen.end.timestamp()
    tokens = tuple(sorted(entry.token for entry in item.entries))
    return Line(item.key, seen.it.identity.size, tokens, start, end, seen.camera)


def findings(
    location: str, strangers: int, oldest: int | None, locked: Mapping[str, int], due: tuple[str, str] = _DUE
) -> Iterator[Finding]:
    """What a person has to know. ``locked``: how many are, by until when in words. ``due``: what one is, and what several are."""
    if strangers:
        since = "" if oldest is None else f"; the oldest was written on {date_of(oldest)}"
        told = (
            "1 object matches no layout and is"
            if strangers == 1
            else f"{strangers} objects match no layout and are"
        )
        message = f"{told} left alone{since}"
        hint = "move them away, or give them a location of their own"
        yield Finding(location=location, message=message, hint=hint, count=strangers)
    for until, count in sorted(locked.items()):
        message = f"{count} {due[count > 1]} {until}"
        yield Finding(
            location=location, message=message, hint="it goes by itself once the lock is over", count=count
        )
