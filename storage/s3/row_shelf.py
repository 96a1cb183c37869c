"""Objects of rows below a prefix, for a look through their rows (`storage.rows.survey`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.contract import Finding
from storage.files.facts import Sighting
from storage.files.survey import Stranger
from storage.rows.facts import RowFacts
from storage.rows.form import Row
from storage.s3.items import Item, found
from storage.s3.listing import VERSION, Entry, at
from storage.s3.locks import Locks
from storage.s3.rewritten import Rewritten, Snapshot
from storage.s3.row_object import RowObject
from storage.s3.sheet import Sheet
from storage.s3.survey import findings, prefix_of

_DUE = "object with rows that are due is", "objects with rows that are due are"


class ObjectShelf:
    """A `storage.rows.shelf.Shelf`, from a listing of its own. ``scratch``: a private folder for it."""

    def __init__(self, facts: RowFacts, locks: Locks, scratch: Path, rewritten: Rewritten) -> None:
        self._facts = facts
        self._locks = locks
        self._scratch = scratch
        self._rewritten = rewritten
        self._memory = Snapshot({}, frozenset())
        self._prefix = prefix_of(locks.wire, facts.location)
        self._seen: tuple[str, Sequence[Entry]] = ("", ())
        self._locked: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._memory = self._rewritten.snapshot()
        self._locked.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._seen = ("", ())

    def __iter__(self) -> Iterator[Sighting | Stranger]:
        with Sheet(self._locks.wire, self._prefix, self._scratch) as sheet:
            for item in sheet:
                if not any(entry.kind == VERSION for entry in item.entries):
                    continue  # markers over nothing, or an upload alone: no rows yet, or none any more
                seen = self._sight(item.key, item.entries)
                if seen.placed is None:
                    yield Stranger(path=item.key, modified=seen.it.modified, link=False)
                else:
                    yield seen

    def rows(
        self, seen: Sighting, wanted: Sequence[str], keys: Collection[str] | None = None
    ) -> Iterator[Row]:
        path, entries = self._seen
        assert path == seen.path, "not the last one given"
        whole = RowObject(self._locks.wire, path, entries, self._facts.rows.encoding, self._memory)
        if keys is None:
            whole.require_due(self._facts, seen)
        yield from (row for row, _ in whole.rows(wanted, keys))

    def locked(self, seen: Sighting) -> str:
        if not self._locks.enabled:
            return ""
        path, entries = self._seen
        until = self._locks.until([Item(path, entries)], self._facts.files.now).get(path, "")
        if until:
            self._locked[until] += 1
        return until

    def sighting(self, path: str) -> Sighting | None:
        key = self._prefix + path
        entries = at(self._locks.wire, [key], 1)[key]
        if not any(entry.kind == VERSION for entry in entries):
            return None
        return self._sight(path, entries)

    def findings(self, location: str, strangers: int, oldest: int | None, links: int) -> Sequence[Finding]:
        return list(findings(location, strangers, oldest, self._locked, _DUE))

    def _sight(self, path: str, entries: Sequence[Entry]) -> Sighting:
        self._seen = path, entries
        return self._facts.files.sight(path, found(Item(path, self._memory.aged(entries))), None)
