"""A scan: every file and object at the given places, what it holds, whether anybody answers for it, and what is new since the last one.

It reads nothing that did not change since it was last read. What it says of a file is counts; what it remembers is counts under a
keyed digest of its name.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any

from retention.exports import shown_columns
from storage.s3.wire import Wire
from storage.scanning.judging import Found, judge
from storage.scanning.known import Known
from storage.scanning.lying import Lying, in_bucket, in_folders
from storage.scanning.memory import Memory
from storage.scanning.patterns import Kind, Patterns
from storage.scanning.reading import Opaque, read

GROWN = 2.0
"""How many times as much of a kind as at the last scan is an alarm, from `GROWN_FROM` on."""
GROWN_FROM = 100


class Cover(StrEnum):
    """Who answers for a file."""

    REGISTERED = "registered"
    SCHEDULED = "scheduled"
    OVERDUE = "overdue"
    """Registered, and its day has passed."""
    NOBODY = "nobody"


class Drift(StrEnum):
    """What is new about a file since the last scan."""

    NEW = "new file"
    COLUMNS = "new columns"
    KINDS = "new kinds"
    GROWN = "grown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One file or object. ``path`` is for a person's own terminal; ``mask`` names it for anybody: the same file has the same mask."""

    path: str
    mask: str
    size: int
    found: Found
    cover: Cover
    drift: tuple[Drift, ...] = ()
    first_seen: datetime

    @property
    def alarm(self) -> bool:
        return self.found.personal and self.cover in (Cover.NOBODY, Cover.OVERDUE)


@dataclass(kw_only=True)
class Report:
    """A whole scan. ``unread``: by reason, how many files were not looked into."""

    files: int = 0
    size: int = 0
    results: list[Result] = field(default_factory=list)
    unread: dict[str, int] = field(default_factory=dict)

    @property
    def alarms(self) -> list[Result]:
        return [result for result in self.results if result.alarm]

    @property
    def drifted(self) -> list[Result]:
        return [result for result in self.results if result.drift]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """``cover``: who answers for a name. ``mark``: keyed digest of a text. ``memory``: file with what earlier scans saw, or ``None``."""

    patterns: Patterns
    cover: Callable[[str], Cover]
    mark: Callable[[str], str]
    memory: Path | None
    leave_out: Path | None = None
    """This program's own state, which names records by nature."""
    known: Known | None = None
    whole: bool = False

    def scan(
        self, places: Iterable[Path], at: datetime, progress: Callable[[int], None] = lambda _: None, *, buckets: Sequence[Wire] = ()
    ) -> Report:  # fmt: skip
        """Raises `UsageError` for a place that is not there, `StoreUnavailable` for a bucket that does not answer: nothing is
        remembered then, so that nothing new is missed."""
        report = Report()
        lying = chain(
            in_folders(places, report.unread, self.leave_out), *(in_bucket(wire, report.unread) for wire in buckets)
        )  # fmt: skip
        with Memory(self.memory) as memory:
            for one in lying:
                report.files += 1
                report.size += one.size
                progress(report.files)
                mark = self.mark(one.name)
                last = memory.get(mark)
                try:
                    entry = self._look(one, mark, last, at)
                except Opaque as opaque:
                    report.unread[opaque.reason] = report.unread.get(opaque.reason, 0) + 1
                    continue
                except OSError as error:
                    reason = (error.strerror or "it cannot be read").lower()
                    report.unread[reason] = report.unread.get(reason, 0) + 1
                    continue
                memory.put(mark, entry)
                result = self._result(one, mark, entry, last)
                if result.found.personal or result.drift:
                    report.results.append(result)
        return report

    def _look(self, one: Lying, mark: str, last: Mapping[str, Any] | None, at: datetime) -> dict[str, Any]:
        identity = list(one.identity)
        if (
            last is not None
            and last["identity"] == identity
            and self.known is None
            and last["whole"] >= self.whole
        ):
            return dict(last)
        with one.open() as file:
            text = read(one.name, file, whole=self.whole, chance=random.Random(mark))  # noqa: S311  # which blocks, no secret
            people: set[str] = set()
            found = judge(text, self.patterns, self._swept(text.blocks, people))
        kinds = {kind.value: count for kind, count in found.kinds.items()}
        if people:
            kinds[Kind.KNOWN.value] = len(people)
        return {
            "identity": identity,
            "whole": not found.sampled,
            "kinds": kinds,
            "named": {kind.value: count for kind, count in found.columns.items()},
            "columns": sorted(set(shown_columns(text.headers))) if text.headers else [],
            "first_seen": at.isoformat() if last is None else last["first_seen"],
        }

    def _swept(self, blocks: Iterator[bytes], people: set[str]) -> Iterator[bytes]:
        for block in blocks:
            if self.known is not None:
                people |= self.known.seen(block)
            yield block

    def _result(
        self, one: Lying, mark: str, entry: Mapping[str, Any], last: Mapping[str, Any] | None
    ) -> Result:
        found = Found(
            kinds={Kind(kind): count for kind, count in entry["kinds"].items()},
            columns={Kind(kind): count for kind, count in entry["named"].items()},
            sampled=not entry["whole"],
        )
        return Result(
            path=one.name, mask=f"f:{mark[:12]}", size=one.size, found=found, cover=self.cover(one.name),
            drift=drift(entry, last) if found.personal else (), first_seen=datetime.fromisoformat(entry["first_seen"]),
        )  # fmt: skip


def drift(entry: Mapping[str, Any], last: Mapping[str, Any] | None) -> tuple[Drift, ...]:
    """What is new about a file with personal data."""
    if last is None:
        return (Drift.NEW,)
    found: list[Drift] = []
    if set(entry["columns"]) - set(last["columns"]) and last["columns"]:
        found.append(Drift.COLUMNS)
    if entry["kinds"].keys() - last["kinds"].keys():
        found.append(Drift.KINDS)
    for kind, count in entry["kinds"].items():
        if count >= GROWN_FROM and count > GROWN * last["kinds"].get(kind, count):
            found.append(Drift.GROWN)
            break
    return tuple(found)
