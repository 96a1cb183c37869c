"""A recorder's own database beside its files: what it protects is kept, and rows of segments that are gone go too.

Frigate, from its source of 2026-07: table ``event`` (camera, start_time, end_time, retain_indefinitely) and table ``recordings``
(camera, path, start_time, end_time), times in seconds since 1970 UTC. A person who pressed "retain" in the recorder meant it; what
that protects is never ours to judge. Refuses to guess: a database that should be there and cannot be read protects everything.

Removing rows is a courtesy. The recorder copes with a missing file and removes such rows itself in time, so a busy database is left alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retention.errors import StoreUnavailable

PROTECTED = "the recorder protects it: somebody marked an event in it to be retained"
_BUSY_SECONDS = 2.0
_SLACK = timedelta(seconds=1)
"""Segments are named to the second; rows know fractions."""
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Stretches of time by camera that the recorder was told to retain. An end of ``None``: the event is not over."""

    events: Mapping[str, Sequence[tuple[datetime, datetime | None]]] = field(default_factory=dict)

    def covers(self, camera: str | None, start: datetime | None, end: datetime | None) -> bool:
        """Whether any moment of the span is protected. An unknown camera or bound counts as covered."""
        if not self.events:
            return False  # asked of every file; most recorders protect nothing
        listed = (
            self.events.get(camera, ())
            if camera is not None
            else [one for all_ in self.events.values() for one in all_]
        )
        return any(
            (end is None or end + _SLACK >= since)
            and (until is None or start is None or start - _SLACK <= until)
            for since, until in listed
        )


NOTHING = Protection()


class Frigate:
    """Frigate's SQLite database, opened for each question: the recorder may replace it. ``None``: settings name none."""

    def __init__(self, database: Path | None) -> None:
        self._database = database

    def protection(self) -> Protection:
        """What the recorder was told to retain. Raises `StoreUnavailable` when its database cannot be read."""
        try:
            with closing(self._open("ro")) as connection:
                rows = connection.execute(
                    "SELECT camera, start_time, end_time FROM event WHERE retain_indefinitely = 1"
                ).fetchall()
        except sqlite3.Error:
            raise StoreUnavailable(
                "the recorder's database cannot be read, so nobody knows what it protects",
                "set RETENTION_STORES__NAME__RECORDER to Frigate's database file, readable for this program",
            ) from None
        events: dict[str, list[tuple[datetime, datetime | None]]] = {}
        for camera, start, end in rows:
            until = None if end is None else _ZERO + timedelta(seconds=float(end))
            events.setdefault(str(camera), []).append((_ZERO + timedelta(seconds=float(start)), until))
        return Protection(events=events)

    def forget(self, gone: Iterable[tuple[str, datetime, str]]) -> int:
        """Remove the rows of segments that are gone: camera, start, path below the recordings. Returns how many; 0 while it is busy."""
        removed = 0
        try:
            with closing(self._open("rw")) as connection, connection:
                for camera, start, path in gone:
                    seconds = (start - _ZERO).total_seconds()
                    found = connection.execute(
                        "DELETE FROM recordings WHERE camera = ? AND start_time >= ? AND start_time < ? AND substr(path, -length(?)) = ?",
                        (camera, seconds - 1, seconds + 1, f"/{path}", f"/{path}"),
                    )
                    removed += found.rowcount
        except sqlite3.Error:  # its own clean-up finds them
            return 0
        return removed

    def _open(self, mode: str) -> sqlite3.Connection:
        if self._database is None:
            raise sqlite3.OperationalError("no database was named")
        return sqlite3.connect(
            f"{self._database.absolute().as_uri()}?mode={mode}", uri=True, timeout=_BUSY_SECONDS
        )
