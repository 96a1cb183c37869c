"""One object as rows: all that is at its key, version by version.

A row that was left out of a later version still stands in the older one. So the rows of an object are those of all its versions, each
content once. What cannot be taken apart without losing something that nobody looked at is refused (`Unreadable`): an object that is
hidden behind a delete marker, one with an unfinished upload, one whose older versions cannot be read row for row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath

from retention.decide import Due
from storage.files.facts import Sighting
from storage.rows.facts import RowFacts
from storage.rows.form import Form, Row, Unreadable
from storage.rows.forms import TEXT, open_form
from storage.s3.content import open_version
from storage.s3.items import Item, found
from storage.s3.listing import MARKER, UPLOAD, VERSION, Entry
from storage.s3.rewritten import Snapshot
from storage.s3.wire import Wire

HIDDEN = "it is hidden behind a delete marker: nothing can be taken out of it without showing it again"
UNFINISHED = "an upload to it was never finished"
WORKBOOK = "it is a workbook with other versions, which hold more than rows"
STAYING = "its older versions hold rows that are to stay, and are not in the current one"
TOO_MANY = "it has too many rows to compare its versions"
MOST = 5_000_000
"""Rows of an object with several versions; about 100 bytes of memory each."""


class RowObject:
    """``entries``: all that is at the key. ``path``: the key below the location's prefix. Raises `Unreadable`."""

    def __init__(
        self, wire: Wire, path: str, entries: Sequence[Entry], encoding: str, memory: Snapshot
    ) -> None:
        self.entries = entries
        self.path = path
        self._wire = wire
        self._encoding = encoding
        if any(entry.kind == UPLOAD and not memory.is_ours(entry) for entry in entries):
            raise Unreadable(UNFINISHED)
        current = next((entry for entry in entries if entry.latest), None)
        if current is None or current.kind == MARKER:
            raise Unreadable(HIDDEN)
        self.current = current
        self.older = [
            entry
            for entry in entries
            if entry.kind == VERSION
            and entry != current
            and (entry.etag, entry.size) != (current.etag, current.size)
        ]
        if self.older and PurePosixPath(path).suffix.casefold() not in TEXT | {".parquet"}:
            raise Unreadable(WORKBOOK)
        content = memory.aged([entry for entry in entries if entry.kind == VERSION])
        self.modified = max(content, key=lambda entry: found(Item(path, [entry])).modified or 0).modified
        """Of the newest content, as the store writes times."""

    @property
    def key(self) -> str:
        return self.current.key

    @property
    def tokens(self) -> frozenset[str]:
        return frozenset(entry.token for entry in self.entries)

    def rows(self, wanted: Sequence[str], keys: Collection[str] | None = None) -> Iterator[tuple[Row, bool]]:
        """The rows, and whether each stands in older versions only; those come first. ``keys``: as for a form, of the others.

        Raises `Unreadable` before the first row of an object that cannot be read whole.
        """
        for entry in [*self.older, self.current]:
            if self.older or keys is None:
                with self.form(entry) as form:
                    form.look({})
        yield from ((row, True) for row in self._left_out(wanted))
        with self.form(self.current) as form:
            yield from ((row, False) for row in form.rows(wanted, keys))

    def _left_out(self, wanted: Sequence[str]) -> Iterator[Row]:
        if not self.older:
            return
        known: set[bytes] = set()
        with self.form(self.current) as form:
            for row in form.rows(()):
                known.add(bytes.fromhex(row.digest))
                if len(known) > MOST:
                    raise Unreadable(TOO_MANY)
        for entry in self.older:
            with self.form(entry) as form:
                for row in form.rows(wanted):
                    digest = bytes.fromhex(row.digest)
                    if digest not in known:
                        known.add(digest)
                        if len(known) > MOST:
                            raise Unreadable(TOO_MANY)
                        yield row

    def require_due(self, facts: RowFacts, seen: Sighting) -> None:
        """Whatever its older versions alone hold is due: else nothing may be taken out, since they would go. Raises `Unreadable`.

        A row whose key stands in the current version with other content, which is to stay, is an earlier state of that record.
        """
        if not self.older:
            return
        keys: set[str] = set()
        for row, left_out in self.rows(facts.wanted):
            if not left_out and not keys:
                return
            key = facts.key(row)
            goes = isinstance(facts.decide(seen, row)[0], Due)
            if left_out:
                keys.add(key)
            if not goes and (left_out or (key in keys and not facts.is_done(row))):
                raise Unreadable(STAYING)

    @contextmanager
    def form(self, entry: Entry) -> Iterator[Form]:
        """One version. Raises `Unreadable`, also for what the store does not let us read; `StoreUnavailable`."""
        with form_of(self._wire, self.path, entry, self._encoding) as form:
            yield form


@contextmanager
def form_of(wire: Wire, path: str, entry: Entry, encoding: str) -> Iterator[Form]:
    """One version of an object. Raises `Unreadable`, `StoreUnavailable`."""
    try:
        with open_version(wire, entry) as file:
            yield open_form(path, file, encoding)
    except OSError as error:
        raise Unreadable(error.strerror or "it cannot be read") from None
