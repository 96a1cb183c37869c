"""What was written anew here: how old its content is, and uploads that may have been left unfinished.

To lose a row makes an object no younger, but its new version bears the time of now. So the time of the content is remembered in a small
database in the state folder, as digests. Not in the object's own metadata: whoever may write to the bucket could make rows go early.
Where the database is lost, or on another machine, the rows count as young as their version: later than they need, never earlier.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from retention.errors import LedgerUnavailable
from storage.s3.listing import UPLOAD, VERSION, Entry

_TABLES = (
    "CREATE TABLE IF NOT EXISTS content (version BLOB PRIMARY KEY, modified TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS begun (upload BLOB PRIMARY KEY) WITHOUT ROWID",
)


class Rewritten:
    """The memory of one store. Everything raises `LedgerUnavailable`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def snapshot(self) -> Snapshot:
        """What is remembered now."""
        if not self._path.exists():
            return Snapshot({}, frozenset())
        with self._open() as base:
            content = dict(base.execute("SELECT version, modified FROM content"))
            return Snapshot(content, frozenset(row[0] for row in base.execute("SELECT upload FROM begun")))

    def remember(self, key: str, version: str, modified: str) -> None:
        """The content of a new version is as old as ``modified`` (as the store writes times)."""
        with self._open() as base:
            base.execute("INSERT OR REPLACE INTO content VALUES (?, ?)", (_digest(key, version), modified))

    def forget(self, entries: Sequence[Entry]) -> None:
        """Versions and uploads that are gone."""
        with self._open() as base:
            gone = [(_digest(entry.key, entry.version),) for entry in entries]
            base.executemany("DELETE FROM content WHERE version = ?", gone)
            base.executemany("DELETE FROM begun WHERE upload = ?", gone)

    def begin(self, key: str, upload: str) -> None:
        """An upload of ours, before its first part."""
        with self._open() as base:
            base.execute("INSERT OR REPLACE INTO begun VALUES (?)", (_digest(key, upload),))

    def end(self, key: str, upload: str) -> None:
        with self._open() as base:
            base.execute("DELETE FROM begun WHERE upload = ?", (_digest(key, upload),))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with closing(sqlite3.connect(self._path, timeout=20)) as base:
                base.execute("PRAGMA synchronous=FULL")
                with base:
                    for table in _TABLES:
                        base.execute(table)
                    yield base
        except (OSError, sqlite3.Error):
            raise LedgerUnavailable(
                "what was written anew cannot be remembered in the state folder",
                "see whether its disk is full or in order",
            ) from None


class Snapshot:
    """What was remembered at one moment."""

    def __init__(self, content: dict[bytes, str], begun: frozenset[bytes]) -> None:
        self._content = content
        self._begun = begun

    def aged(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries with the time of their content."""
        if not self._content:
            return list(entries)
        return [
            entry._replace(modified=self._content.get(_digest(entry.key, entry.version), entry.modified))
            if entry.kind == VERSION
            else entry
            for entry in entries
        ]

    def is_ours(self, entry: Entry) -> bool:
        """Whether it is an upload that we began, and that holds only rows which stay."""
        return entry.kind == UPLOAD and _digest(entry.key, entry.version) in self._begun


def _digest(key: str, version: str) -> bytes:
    return hashlib.sha256(f"{key}\0{version}".encode()).digest()
