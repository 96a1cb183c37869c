"""Looking through the rows of a location: every file once, every row once, in the order in which they stand.

A file that cannot be read row for row counts as one record that nobody can decide on, and is reported with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import NamedTuple

from retention import dates
from retention.decide import Criteria, Decision, Due, Keep, KeepReason, decide
from retention.records import Personal, Record
from storage.contract import Finding, Survey
from storage.files.facts import Sighting
from storage.files.lines import from_text, to_text
from storage.files.survey import Stranger
from storage.rows.facts import RowFacts
from storage.rows.form import Row, Unreadable
from storage.rows.lines import RowLine, write_row
from storage.rows.shelf import Shelf

_LINES_AT_ONCE = 500
_TOLD_EVERY = 10_000


class RowSeen(NamedTuple):
    """One row with its decision."""

    seen: Sighting
    row: Row
    decision: Decision
    trigger: date | datetime | None


class Closed(NamedTuple):
    """A file that cannot be read row for row."""

    seen: Sighting
    reason: str


class RowLook:
    """One look through the rows of a location."""

    def __init__(self, criteria: Criteria, facts: RowFacts, shelf: Shelf) -> None:
        self.facts = facts
        self.shelf = shelf
        self._criteria = criteria

    def __iter__(self) -> Iterator[RowSeen | Closed | Stranger]:
        """Raises `StoreUnavailable` when the location is not there."""
        with self.shelf:
            for seen in self.shelf:
                if isinstance(seen, Stranger):
                    yield seen
                elif seen.it.odd:
                    yield Closed(seen, seen.it.odd)
                else:
                    yield from self._rows(seen)

    def _rows(self, seen: Sighting) -> Iterator[RowSeen | Closed]:
        locked: str | None = None
        try:
            for row in self.shelf.rows(seen, self.facts.wanted):
                decision, trigger = self.facts.decide(seen, row)
                if isinstance(decision, Due):
                    locked = self.shelf.locked(seen) if locked is None else locked
                    if locked:
                        decision = Keep(reasons=(KeepReason.UNDECIDABLE,), detail=(locked,))
                yield RowSeen(seen, row, decision, trigger)
        except Unreadable as unreadable:
            yield Closed(seen, unreadable.reason)

    def one(self, key: str) -> Record | None:
        """The record of a row by ``path#key``; ``None`` when there is none. Raises `StoreUnavailable`."""
        at = key.find("#")
        while at >= 0:
            try:
                path = from_text(key[:at])
            except ValueError:
                return None
            found = self._in_file(path, key[at + 1 :])
            if found is not None:
                return found
            at = key.find("#", at + 1)
        return None

    def _in_file(self, path: str, key: str) -> Record | None:
        with self.shelf:
            seen = self.shelf.sighting(path)
            if seen is None or seen.it.odd:
                return None
            few = (
                frozenset({key}) if len(self.facts.rows.key) == 1 else frozenset({key, key.partition("|")[0]})
            )
            try:
                for row in self.shelf.rows(seen, self.facts.wanted, few):
                    if self.facts.key(row) == key:
                        return self.facts.record(seen, row)
            except Unreadable:
                return None
        return None

    def record_of(self, closed: Closed) -> Record:
        """What a file that cannot be read counts as."""
        location = self.facts.location
        return Record(
            record_type=self._criteria.record_type.id,
            store=location.store,
            location=location.name,
            key=Personal(to_text(closed.seen.path)),
            trigger=None,
            undecidable=closed.reason,
        )


def survey(
    look: RowLook, criteria: Criteria, write: Callable[[bytes], object], progress: Callable[[int], None]
) -> Survey:
    """Count every row and write a line per due one. Raises `StoreUnavailable`."""
    result = Survey(location=criteria.location.name)
    closed: Counter[str] = Counter()
    strangers = links = withdrawn = 0
    oldest_stranger: int | None = None
    waiting: list[bytes] = []
    for seen in look:
        if isinstance(seen, Stranger):
            links += seen.link
            strangers += not seen.link
            if seen.modified is not None and not seen.link:
                oldest_stranger = min(seen.modified, oldest_stranger or seen.modified)
            continue
        result.population += 1
        if result.population % _TOLD_EVERY == 0:
            progress(result.population)
        if isinstance(seen, Closed):
            closed[seen.reason] += 1
            decision = decide(look.record_of(seen), criteria, ())
            assert isinstance(decision, Keep)  # what is undecidable is kept
            result.kept[decision.primary] += 1
            continue
        if isinstance(seen.decision, Keep):
            result.kept[seen.decision.primary] += 1
            if seen.decision.primary is KeepReason.HELD and seen.trigger is not None:
                result.note_held(_day(seen.trigger, criteria))
            continue
        waiting.append(write_row(_line(look, seen)))
        if len(waiting) == _LINES_AT_ONCE:
            write(b"".join(waiting))
            waiting.clear()
        withdrawn += look.facts.is_withdrawn(seen.row)
        _count(result, seen, seen.decision, criteria)
    look.facts.require_plausible()
    if waiting:
        write(b"".join(waiting))
    progress(result.population)
    result.findings = [
        *_withdrawn(criteria.location.name, withdrawn),
        *(_unreadable(criteria.location.name, reason, count) for reason, count in sorted(closed.items())),
        *look.shelf.findings(criteria.location.name, strangers, oldest_stranger, links),
    ]
    return result


def _line(look: RowLook, seen: RowSeen) -> RowLine:
    return RowLine(seen.seen.path, seen.seen.it.identity.device, look.facts.key(seen.row), seen.row.digest)


def _count(result: Survey, seen: RowSeen, decision: Due, criteria: Criteria) -> None:
    result.due += 1
    result.volume += len(seen.row.raw)
    if decision.maximum is not None and decision.days_past_maximum(criteria.on) > 0:
        result.past_maximum += 1
    assert seen.trigger is not None  # nothing is due without a trigger
    day = _day(seen.trigger, criteria)
    result.note_due(day)
    result.spread[None, day.year] += 1


def _day(trigger: date | datetime, criteria: Criteria) -> date:
    return dates.local_day(trigger, criteria.location.zone, criteria.library.zone)


def _withdrawn(location: str, count: int) -> Iterator[Finding]:
    if count:
        rows = (
            "1 row that is due is of a person" if count == 1 else f"{count} rows that are due are of people"
        )
        yield Finding(
            location=location,
            count=count,
            message=f"{rows} whose consent is withdrawn, as the store that records it says",
            hint="who consents again before they go is kept",
        )


def _unreadable(location: str, reason: str, count: int) -> Finding:
    files = "file was" if count == 1 else "files were"
    return Finding(
        location=location,
        count=count,
        message=f"{count} {files} not read row by row: {reason}",
        hint="its rows stay; mend the file, or give it a location where files go whole",
    )


def undecidable(look: RowLook, wanted: frozenset[KeepReason]) -> Iterator[tuple[str, KeepReason, str]]:
    """Rows and files that nobody can decide on: key, reason, detail."""
    for seen in look:
        if isinstance(seen, Stranger):
            yield to_text(seen.path), KeepReason.UNDECIDABLE, "its path does not match the layout"
        elif isinstance(seen, Closed):
            yield to_text(seen.seen.path), KeepReason.UNDECIDABLE, seen.reason
        elif isinstance(seen.decision, Keep) and seen.decision.primary in wanted:
            key = look.facts.record(seen.seen, seen.row).key.reveal()
            yield key, seen.decision.primary, " ".join(seen.decision.detail)
