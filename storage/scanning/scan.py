"""A scan: every file below the given places, what it holds, whether anybody answers for it, and what is new since the last one.

It follows no link, enters no other file system unless it is named, and reads nothing that changed neither in size, time nor inode
since it was last read. What it says of a file is counts; what it remembers is counts under a keyed digest of the path.
"""

from __future__ import annotations

import json
import os
import random
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from retention.errors import Unavailable, UsageError
from retention.exports import shown_columns
from storage.scanning.judging import Found, judge
from storage.scanning.known import Known
from storage.scanning.patterns import Kind, Patterns
from storage.scanning.reading import Opaque, read
from storage.spool import create_private

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
    """One file. ``path`` is for a person's own terminal; ``mask`` names it for anybody: the same file has the same mask."""

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
    """``cover``: who answers for a path. ``mark``: keyed digest of a text. ``memory``: file with what earlier scans saw, or ``None``."""

    patterns: Patterns
    cover: Callable[[Path], Cover]
    mark: Callable[[str], str]
    memory: Path | None
    leave_out: Path | None = None
    """This program's own state, which names records by nature."""
    known: Known | None = None
    whole: bool = False

    def scan(
        self, places: Iterable[Path], at: datetime, progress: Callable[[int], None] = lambda _: None
    ) -> Report:
        """Raises `UsageError` for a place that is not there."""
        report = Report()
        before = self._remembered()
        after: dict[str, Any] = {}
        for path, status in _walk(places, report.unread):
            if self.leave_out is not None and path.resolve().is_relative_to(self.leave_out.resolve()):
                continue
            report.files += 1
            report.size += status.st_size
            progress(report.files)
            mark = self.mark(str(path))
            last = before.get(mark)
            try:
                entry = self._look(path, status, mark, last, at)
            except Opaque as opaque:
                report.unread[opaque.reason] = report.unread.get(opaque.reason, 0) + 1
                continue
            except OSError as error:
                reason = os.strerror(error.errno or 0).lower()
                report.unread[reason] = report.unread.get(reason, 0) + 1
                continue
            after[mark] = entry
            result = self._result(path, status, mark, entry, last)
            if result.found.personal or result.drift:
                report.results.append(result)
        self._remember({**before, **after})
        return report

    def _look(
        self, path: Path, status: os.stat_result, mark: str, last: Mapping[str, Any] | None, at: datetime
    ) -> dict[str, Any]:
        identity = [status.st_ino, status.st_size, status.st_mtime_ns]
        if (
            last is not None
            and last["identity"] == identity
            and self.known is None
            and last["whole"] >= self.whole
        ):
            return dict(last)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            text = read(path.name, file, whole=self.whole, chance=random.Random(mark))  # noqa: S311  # which blocks, no secret
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
        self,
        path: Path,
        status: os.stat_result,
        mark: str,
        entry: Mapping[str, Any],
        last: Mapping[str, Any] | None,
    ) -> Result:
        found = Found(
            kinds={Kind(kind): count for kind, count in entry["kinds"].items()},
            columns={Kind(kind): count for kind, count in entry["named"].items()},
            sampled=not entry["whole"],
        )
        return Result(
            path=str(path), mask=f"f:{mark[:12]}", size=status.st_size, found=found, cover=self.cover(path),
            drift=drift(entry, last) if found.personal else (), first_seen=datetime.fromisoformat(entry["first_seen"]),
        )  # fmt: skip

    def _remembered(self) -> dict[str, Any]:
        if self.memory is None or not self.memory.exists():
            return {}
        try:
            whole = json.loads(self.memory.read_bytes())
            return dict(whole["files"])
        except (OSError, ValueError, KeyError, TypeError):
            raise Unavailable(
                "what the last scan saw cannot be read",
                f"remove {self.memory.name} in the state folder to begin anew",
            ) from None

    def _remember(self, files: Mapping[str, Any]) -> None:
        if self.memory is None:
            return
        aside = self.memory.with_suffix(".partial")
        try:
            aside.unlink(missing_ok=True)
            with create_private(aside) as file:
                file.write(json.dumps({"files": files}).encode())
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.memory)
        except OSError as error:
            raise Unavailable(
                f"what the scan saw cannot be written: {os.strerror(error.errno or 0)}",
                "see the state folder",
            ) from None


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


def _walk(places: Iterable[Path], unread: dict[str, int]) -> Iterator[tuple[Path, os.stat_result]]:
    """Plain files, in a stable order, each once however often its place is named."""
    seen: set[tuple[int, int]] = set()

    def denied(error: OSError) -> None:
        reason = f"a folder: {os.strerror(error.errno or 0).lower()}"
        unread[reason] = unread.get(reason, 0) + 1

    for place in places:
        try:
            top = place.stat()
        except OSError as error:
            raise UsageError(
                f"a place to scan is not there: {os.strerror(error.errno or 0)}", "name a file or folder"
            ) from None
        if stat.S_ISREG(top.st_mode):
            yield place, top
            continue
        for folder, folders, names in os.walk(place, onerror=denied):
            folders[:] = sorted(name for name in folders if _same_device(Path(folder) / name, top.st_dev))
            for name in sorted(names):
                path = Path(folder) / name
                try:
                    status = path.lstat()
                except OSError:
                    continue  # gone meanwhile
                key = (status.st_dev, status.st_ino)
                if stat.S_ISREG(status.st_mode) and key not in seen:
                    seen.add(key)
                    yield path, status


def _same_device(path: Path, device: int) -> bool:
    try:
        return path.lstat().st_dev == device
    except OSError:
        return False
