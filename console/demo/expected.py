"""What must go and what must stay, worked out a second time: plain SQL and file names, nothing of the product's own code.

The demo compares this with what is there afterwards. Periods stand here again on purpose; see the demo's ``policies.toml``.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from console.demo.invented import HELD_CAMERA, HELD_FROM, HELD_PATRON, HELD_UNTIL, TODAY, ZONE

MARGIN = timedelta(minutes=5)
"""The subpoena's hour is widened by that much on both sides."""

UNPAID = "select id from money_materialized_billable_xact_summary where balance_owed <> 0"

DUE = {
    "action_circulation": (
        "usr",
        "date(xact_finish, '+30 days') < :day and (stop_fines <> 'CLAIMSRETURNED' or date(xact_finish, '+6 months') < :day)"
        f" and id not in ({UNPAID})",
    ),
    "money_grocery": ("usr", f"date(xact_finish) < '2022-07-01' and id not in ({UNPAID})"),
    "action_trigger_event": ("context_user", "state = 'complete' and date(complete_time, '+30 days') < :day"),
    "action_usr_circ_history": (
        "usr",
        "(opted_in = 0 and date(checkin_time) < :day) or (opted_in = 1 and date(checkin_time, '+5 years') < :day)",
    ),
    "actor_usr_activity": ("usr", "date(event_time, '+14 days') < :day"),
    "acq_user_request": ("usr", "date(request_date, 'start of month', '+4 months', '-1 day') < :day"),
    "booking_reservation": ("usr", "date(end_time, '+30 days') < :day"),
}
"""Tables whose rows go by their own date: the column of the patron, and the condition under which a row is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """One table: its rows as ids, those that are due, and the held patron's with a digest of their content."""

    all: frozenset[int]
    due: frozenset[int]
    held: Mapping[int, str]

    @property
    def held_and_due(self) -> frozenset[int]:
        return self.due & self.held.keys()

    @property
    def must_stay(self) -> frozenset[int]:
        return (self.all - self.due) | self.held.keys()


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """One tree: names of files with the digest of their content, those due by their name or age, those held."""

    all: Mapping[str, str]
    due: frozenset[str]
    held: frozenset[str] = frozenset()

    @property
    def must_stay(self) -> frozenset[str]:
        return frozenset(self.all.keys() - self.due) | self.held


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The library as it is at one moment."""

    tables: Mapping[str, Rows]
    trees: Mapping[str, Files]
    patrons: frozenset[int]
    lapsed: frozenset[int]
    """Patrons whose card expired more than a year ago: they may go once nothing else is on file."""


def look() -> Seen:
    """Look into the database and the folders of the demo in the current folder."""
    with closing(sqlite3.connect("file:library.db?mode=ro", uri=True)) as connection:
        tables = {table: _rows(connection, table, *how) for table, how in DUE.items()}
        patrons = frozenset(row[0] for row in connection.execute("select id from actor_usr"))
        old = "select id from actor_usr where barred = 0 and date(expire_date, '+1 year') < ?"
        lapsed = frozenset(row[0] for row in connection.execute(old, (TODAY.isoformat(),)))
    footage = _digests(Path("cameras/recordings"))
    trees = {
        "cameras": Files(
            all=footage,
            due=frozenset(name for name in footage if _local_day(started(name)) + timedelta(14) < TODAY),
            held=frozenset(name for name in footage if is_held(name)),
        ),
        "collection-agency": _dated(Path("exports/collection-agency"), 60),
        "analytics": _dated(Path("exports/analytics"), 7),
        "sign-in logs": _dated(Path("computers/sign-in"), 14),
        "session folders": _aged(Path("computers/sessions"), 1),
    }
    return Seen(tables=tables, trees=trees, patrons=patrons, lapsed=lapsed)


def started(name: str) -> datetime:
    """When a segment in Frigate's layout begins: its path is UTC."""
    day, hour, _camera, rest = name.split("/")
    return datetime.strptime(f"{day} {hour}.{rest.removesuffix('.mp4')}", "%Y-%m-%d %H.%M.%S").replace(
        tzinfo=UTC
    )


def is_held(name: str) -> bool:
    """Whether a segment begins within the subpoena's hour and its margins. One that begins just before may reach into it."""
    return name.split("/")[2] == HELD_CAMERA and HELD_FROM - MARGIN <= started(name) <= HELD_UNTIL + MARGIN


def on_the_edge(name: str) -> bool:
    """Begins less than a segment's longest length before the margin: whether it reaches into it, its name does not say."""
    first = HELD_FROM - MARGIN
    return name.split("/")[2] == HELD_CAMERA and first - timedelta(minutes=1) <= started(name) < first


def _rows(connection: sqlite3.Connection, table: str, patron: str, due: str) -> Rows:
    def ids(where: str) -> frozenset[int]:
        found = connection.execute(f"select id from {table} where {where}", {"day": TODAY.isoformat()})  # noqa: S608  # our own text
        return frozenset(row[0] for row in found)

    held = connection.execute(f"select * from {table} where {patron} = ? order by id", (HELD_PATRON,))  # noqa: S608
    digests = {row[0]: hashlib.sha256(repr(row).encode()).hexdigest() for row in held}
    return Rows(all=ids("true"), due=ids(due), held=digests)


def _dated(root: Path, days: int) -> Files:
    """Files that carry their day in their name; without one they are nobody's to destroy."""
    all_ = _digests(root)
    named = {name: re.search(r"(\d{4})-?(\d\d)-?(\d\d)\.", name) for name in all_}
    due = {
        name for name, day in named.items() if day and date(*map(int, day.groups())) + timedelta(days) < TODAY
    }
    return Files(all=all_, due=frozenset(due))


def _aged(root: Path, days: int) -> Files:
    all_ = _digests(root)
    due = {
        name
        for name in all_
        if _local_day(datetime.fromtimestamp((root / name).stat().st_mtime, UTC)) + timedelta(days) < TODAY
    }
    return Files(all=all_, due=frozenset(due))


def _digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(root)
    }


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file())


def _local_day(at: datetime) -> date:
    return at.astimezone(ZONE).date()
