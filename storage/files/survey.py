"""Looking through a location: every file once, in a stable order, with what is decided on it.

What no layout recognises is no record: it is counted and reported, never judged. Memory stays flat: one folder's names at a
time, and for footage eight bytes a file.
"""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from retention.decide import Criteria, Decision, Keep
from retention.holds import Hold
from retention.layout import Placed
from retention.records import Record
from retention.schedule import Disposition
from storage.contract import Finding, Survey
from storage.files.counting import Counting, date_of
from storage.files.deciding import decide_all
from storage.files.facts import SIDECAR, UNRECOGNISED, Register, Sighting, found
from storage.files.folder import look, take_inventory
from storage.files.footage import Timeline
from storage.files.lines import Line, write_line
from storage.files.recorder import NOTHING, Protection
from storage.files.row_copies import facts_at
from storage.files.sealed_name import SealedName, read_name
from storage.files.tree import Bar, Barred, Entry, Tree, Visit, join

_FILES_AT_ONCE = 1000


class Judged(NamedTuple):
    """One record with its decision."""

    seen: Sighting
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """Something below the location that the layout does not recognise. ``modified``: nanoseconds since 1970, if known."""

    path: str
    modified: int | None
    link: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFile:
    """A file that is called like a sealed one. No layout judges it."""

    path: str
    name: SealedName


class Look:
    """One look through a location. ``bars`` counts the folders that could not be entered.

    Of copies in a vault it passes over what is neither due nor kept by an open hold, whether a sealed one keeps it or its own rule: that they
    are there tells of a sealed hold, and so would their going from the count when one is placed.
    """

    def __init__(
        self,
        criteria: Criteria,
        root: Path,
        now: datetime,
        holds: Iterable[Hold],
        *,
        protection: Protection = NOTHING,
        register: Register | None = None,
    ) -> None:
        self._criteria = criteria
        self._root = root
        self.facts = facts_at(criteria, root, now, protection, register)
        self._holds = self.facts.holds(holds)
        self._in_vault = self.facts.location.vault_of is not None
        self._by_folder = self.facts.location.unit == "folder"
        self.bars: Counter[Bar] = Counter()

    def __iter__(self) -> Iterator[Judged | Stranger | SealedFile]:
        """Raises `StoreUnavailable` when the root or the location's folder is not there."""
        with Tree(self._root, self.facts.location.path) as tree:
            timeline = self.timeline(tree) if self.facts.needs_timeline else None
            self.bars.clear()
            for visit in self._walk(tree):
                for entries in _batched(visit.entries, _FILES_AT_ONCE):
                    sightings: list[Sighting] = []
                    for entry in entries:
                        seen = self._entry(tree, visit, entry, timeline)
                        if isinstance(seen, SealedFile):
                            yield seen
                        elif isinstance(seen, Stranger):
                            if not seen.path.endswith(SIDECAR):
                                yield seen
                        elif seen is not None:
                            sightings.append(seen)
                    decisions = decide_all(self._criteria, self.facts, self._holds, sightings)
                    for judged in map(Judged, sightings, decisions):
                        if not (self._in_vault and _is_secret(judged.decision)):
                            yield judged

    def one(self, path: str) -> Record | None:
        """The record at a path; ``None`` when nothing is there. Raises `StoreUnavailable`."""
        with Tree(self._root, self.facts.location.path) as tree:
            seen = self.sighting(tree, path)
            return None if seen is None else self.facts.record(seen)

    def sighting(self, tree: Tree, path: str) -> Sighting | None:
        """What is at a path. Raises `StoreUnavailable`."""
        folder, _, name = path.rpartition("/")
        try:
            status = look(tree, folder, name)
            if status is None:
                return None
            if stat.S_ISDIR(status.st_mode):
                if not self._is_record_folder(path):
                    return None
                it = take_inventory(tree, path).found
            else:
                it = found(status)
                if self._by_folder:
                    it = it._replace(odd=UNRECOGNISED)
        except Barred:
            return None
        timeline = self.timeline(tree) if self.facts.needs_timeline else None
        return self.facts.sight(path, it, timeline)

    def timeline(self, tree: Tree) -> Timeline:
        """The starts of all footage at the location, from the names alone. Links and special files do not count."""
        timeline = Timeline(self.facts.readings, self.facts.now)
        read = self.facts.read
        kind = "d" if self._by_folder else "f"
        for visit in self._walk(tree):
            for entry in visit.entries:
                if entry.kind == kind:
                    # A sealed file still tells when the one before it ended: its name begins with the plaintext's.
                    path = join(visit.path, entry.name)
                    sealed = read_name(path)
                    placed = read(path if sealed is None else sealed.original)
                    if isinstance(placed, Placed):
                        timeline.add(placed)
        timeline.seal()
        return timeline

    def _walk(self, tree: Tree) -> Iterator[Visit]:
        return tree.walk(self._is_record_folder, lambda bar: self.bars.update((bar,)))

    def _is_record_folder(self, path: str) -> bool:
        return self._by_folder and self.facts.layout.read(path) is not None

    def _entry(
        self, tree: Tree, visit: Visit, entry: Entry, timeline: Timeline | None
    ) -> Sighting | Stranger | SealedFile | None:
        path = join(visit.path, entry.name)
        sealed = read_name(path) if entry.kind == "f" else None
        if sealed is not None:
            return SealedFile(path=path, name=sealed)
        if entry.kind == "d" and not self._is_record_folder(path):
            return None
        try:
            if entry.kind == "d":
                it = take_inventory(tree, path).found
            else:
                status = look(tree, visit.path, entry.name)
                if status is None:
                    return None
                it = found(status)
        except Barred as barred:
            self.bars[barred.bar] += 1
            return None
        seen = self.facts.sight(path, it, timeline)
        if seen.placed is None or (self._by_folder and entry.kind == "f"):
            return Stranger(path=path, modified=it.modified, link=entry.kind == "l")
        return seen


def survey(
    look_through: Look, criteria: Criteria, write: Callable[[bytes], object], progress: Callable[[int], None]
) -> Survey:
    """Count everything and write a line per due record. Raises `StoreUnavailable`."""
    counting = Counting(criteria, write, progress)
    strangers = links = sealed = 0
    oldest_stranger: int | None = None
    for judged in look_through:
        if isinstance(judged, SealedFile):
            # Where the schedule seals they are as they should be; elsewhere somebody has to know that no rule here ends them.
            sealed += criteria.record_type.disposition is not Disposition.CRYPTO_SHRED
            continue
        if isinstance(judged, Stranger):
            links += judged.link
            strangers += not judged.link
            if judged.modified is not None and not judged.link:
                oldest_stranger = min(judged.modified, oldest_stranger or judged.modified)
        elif counting.is_due(judged.seen, judged.decision):
            counting.write(write_line(line_of(judged.seen)))
    result = counting.end()
    result.findings = list(
        findings_of(
            criteria.location.name,
            strangers=strangers,
            oldest=oldest_stranger,
            links=links,
            sealed=sealed,
            bars=look_through.bars,
        )
    )
    return result


def line_of(seen: Sighting) -> Line:
    """What the manifest says of a due record. Spans are footage's only: those of other files are unknown."""
    start = None if seen.start is None else seen.start.timestamp()
    end = None if seen.end is None else seen.end.timestamp()
    return Line(seen.path, seen.it.identity, start, end, seen.camera)


def findings_of(
    location: str, *, strangers: int, oldest: int | None, links: int, sealed: int = 0, bars: Counter[Bar]
) -> Sequence[Finding]:
    findings = []
    if strangers:
        since = "" if oldest is None else f"; the oldest was modified on {date_of(oldest)}"
        told = (
            "1 file matches no layout and is"
            if strangers == 1
            else f"{strangers} files match no layout and are"
        )
        findings.append(
            Finding(
                location=location, count=strangers, message=f"{told} left alone{since}",
                hint="move them away, or give them a location of their own",
            )
        )  # fmt: skip
    if links:
        findings.append(
            Finding(
                location=location, count=links, message=f"{links} symbolic {'link is' if links == 1 else 'links are'} not followed and left alone",
                hint="what they lead to needs a location of its own",
            )
        )  # fmt: skip
    if sealed:
        findings.append(
            Finding(
                location=location, count=sealed, message=f"{sealed} sealed {_files(sealed)} {'is' if sealed == 1 else 'are'} left alone",
                hint="what is sealed goes with its key, under a record type with disposition crypto-shred",
            )
        )  # fmt: skip
    for bar, count in sorted(bars.items()):
        if bar is not Bar.ABSENT:
            findings.append(
                Finding(
                    location=location, count=count, message=f"{count} {'folder was' if count == 1 else 'folders were'} not entered: {bar}",
                    hint="its files were not looked at",
                )
            )  # fmt: skip
    return findings


def _files(count: int) -> str:
    return "file" if count == 1 else "files"


def _is_secret(decision: Decision) -> bool:
    return isinstance(decision, Keep) and not decision.holds


def _batched(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
    for at in range(0, len(entries), size):
        yield entries[at : at + size]
