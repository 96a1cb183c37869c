"""The whole listing of a location, put aside on disk in the order of keys before anything is made of it.

A listing is not a snapshot: it must be at its end before anything is deleted, and footage needs its neighbours before its end is
known. A hundred million entries do not fit into memory. The file holds names of files, so it lies in the state folder, for its
owner only, and is gone when the sheet is closed.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType

from retention.errors import LedgerUnavailable
from storage.s3.items import Item
from storage.s3.listing import Entry, walk
from storage.s3.wire import Wire

_TABLE = """
CREATE TABLE entry (
    key BLOB NOT NULL, kind TEXT NOT NULL, version TEXT NOT NULL, modified TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    latest INTEGER NOT NULL, PRIMARY KEY (key, kind, version)
) WITHOUT ROWID
"""


class Sheet:
    """Everything below a prefix as it was listed, each entry once. Use as a context manager."""

    def __init__(self, wire: Wire, prefix: str, scratch: Path) -> None:
        self._prefix = prefix
        try:
            scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder = tempfile.TemporaryDirectory(dir=scratch, prefix=".listing-")
        except OSError as error:
            raise LedgerUnavailable(
                f"the state folder cannot be written: {error.strerror}",
                "see whether its disk is full or in order",
            ) from None
        self._base = sqlite3.connect(Path(self._folder.name) / "sheet", isolation_level=None)
        try:
            self._fill(wire)
        except sqlite3.Error:
            self.close()
            raise LedgerUnavailable(
                "the listing cannot be put aside in the state folder",
                "see whether its disk is full or in order",
            ) from None
        except BaseException:
            self.close()
            raise

    def _fill(self, wire: Wire) -> None:
        for setting in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE"):
            self._base.execute(f"PRAGMA {setting}")
        self._base.execute(_TABLE)
        self._base.execute("BEGIN")
        for entries in walk(wire, self._prefix):
            self._base.executemany(
                "INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((entry.key.encode("utf-8", "surrogateescape"), *entry[1:]) for entry in entries),
            )
        self._base.execute("COMMIT")

    def __iter__(self) -> Iterator[Item]:
        """Key by key, in their order; the key that is the prefix itself (a "folder") is none."""
        rows = self._base.execute("SELECT * FROM entry ORDER BY key")
        for raw, group in groupby(rows, itemgetter(0)):
            key = raw.decode("utf-8", "surrogateescape")
            below = key.removeprefix(self._prefix)
            if below:
                yield Item(below, [Entry._make((key, *row[1:6], bool(row[6]))) for row in group])

    def close(self) -> None:
        self._base.close()
        self._folder.cleanup()

    def __enter__(self) -> Sheet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
