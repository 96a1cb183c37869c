"""What earlier scans saw: a small database in the state folder, so that a bucket of millions does not have to fit into memory.

It holds counts and column names under keyed digests of names, for its owner only. What one scan adds is kept when the scan came to its
end, and not before: what is new would otherwise be new to nobody.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from retention.errors import Unavailable
from storage.spool import create_private

_TABLE = "CREATE TABLE IF NOT EXISTS seen (mark TEXT PRIMARY KEY, entry TEXT NOT NULL) WITHOUT ROWID"


class Memory:
    """Use as a context manager. ``None``: remembers nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._base: sqlite3.Connection | None = None

    def __enter__(self) -> Memory:
        if self._path is None:
            return self
        try:
            if not self._path.exists():
                create_private(self._path).close()
            self._base = sqlite3.connect(self._path, isolation_level=None, timeout=20)
            self._base.execute("PRAGMA secure_delete=ON")
            self._base.execute("BEGIN IMMEDIATE")
            self._base.execute(_TABLE)
        except (OSError, sqlite3.Error):
            self._close()
            raise self._unusable("read") from None
        return self

    def get(self, mark: str) -> Mapping[str, Any] | None:
        """What was last seen under a mark. Raises `Unavailable`."""
        if self._base is None:
            return None
        try:
            found = self._base.execute("SELECT entry FROM seen WHERE mark = ?", (mark,)).fetchone()
            return None if found is None else dict(json.loads(found[0]))
        except (sqlite3.Error, ValueError, TypeError):
            raise self._unusable("read") from None

    def put(self, mark: str, entry: Mapping[str, Any]) -> None:
        """Raises `Unavailable`."""
        if self._base is None:
            return
        try:
            self._base.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (mark, json.dumps(entry)))
        except sqlite3.Error:
            raise self._unusable("written") from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._base is None:
            return
        try:
            self._base.execute("COMMIT" if kind is None else "ROLLBACK")
        except sqlite3.Error:
            raise self._unusable("written") from None
        finally:
            self._close()

    def _close(self) -> None:
        if self._base is not None:
            self._base.close()
            self._base = None

    def _unusable(self, how: str) -> Unavailable:
        assert self._path is not None
        return Unavailable(
            f"what the last scan saw cannot be {how}",
            f"see the state folder; remove {self._path.name} in it to begin anew",
        )
