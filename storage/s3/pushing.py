"""Hold push-down: the store's own legal hold on every version that a hold keeps, and off again when the last one is released.

A record stays because this program does not destroy it; with a legal hold of the store nobody else can either: no lifecycle rule, no
other program, no stolen key without the right to lift holds.

Only what we put on is taken off. Which ones those are is remembered in a small database in the state folder, as digests, not as
tags on the objects: whoever may write tags, and that is not whoever may lift holds, could have us lift another's. Where the database
is lost, or we are killed between putting on and writing down, locks stay on: they are then reported as the store's own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from retention.decide import Criteria, holds_on
from retention.errors import LedgerUnavailable
from retention.holds import Hold
from storage.s3.items import data_versions
from storage.s3.listing import Entry
from storage.s3.locks import SIDE_BY_SIDE, Locks
from storage.s3.survey import Look

FRESH = timedelta(minutes=1)
"""What was put on so short a while before we began may be kept by a hold that we were not given yet: left alone this time."""

_TABLES = (
    "CREATE TABLE IF NOT EXISTS pushed (version BLOB NOT NULL, owner BLOB NOT NULL, at REAL NOT NULL, PRIMARY KEY (version, owner))"
    " WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS probe (only INTEGER PRIMARY KEY CHECK (only = 1), enforced INTEGER NOT NULL)",
)


class Pushed:
    """Which legal holds are ours, by version and by the location that wanted them. Two locations may want the same one.

    And what the last canary showed of the store.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self, owner: bytes) -> dict[bytes, float]:
        """Versions that this location had a hold put on, with the time of the last look (seconds since 1970)."""
        if not self._path.exists():
            return {}
        with self._open() as base:
            return dict(base.execute("SELECT version, at FROM pushed WHERE owner = ?", (owner,)))

    def by_us(self, version: bytes) -> bool:
        """Whether the hold on a version is ours, for whatever location."""
        if not self._path.exists():
            return False
        with self._open() as base:
            return base.execute("SELECT 1 FROM pushed WHERE version = ?", (version,)).fetchone() is not None

    def remember(self, version: bytes, owner: bytes, at: float) -> None:
        with self._open() as base:
            base.execute("INSERT OR REPLACE INTO pushed VALUES (?, ?, ?)", (version, owner, at))

    def others(self, version: bytes, owner: bytes) -> bool:
        """Whether another location wants it too."""
        with self._open() as base:
            found = base.execute("SELECT 1 FROM pushed WHERE version = ? AND owner <> ?", (version, owner))
            return found.fetchone() is not None

    def unchanged(self, version: bytes, owner: bytes, at: float) -> bool:
        with self._open() as base:
            found = base.execute(
                "SELECT at FROM pushed WHERE version = ? AND owner = ?", (version, owner)
            ).fetchone()
            return found is not None and found[0] == at

    def forget(self, version: bytes, owner: bytes) -> None:
        with self._open() as base:
            base.execute("DELETE FROM pushed WHERE version = ? AND owner = ?", (version, owner))

    def enforced(self) -> bool | None:
        """Whether the last canary showed that the store enforces its locks; ``None``: there was none."""
        if not self._path.exists():
            return None
        with self._open() as base:
            found = base.execute("SELECT enforced FROM probe").fetchone()
            return None if found is None else bool(found[0])

    def remember_probe(self, *, enforced: bool) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._open() as base:
            base.execute("INSERT OR REPLACE INTO probe VALUES (1, ?)", (enforced,))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While holds are put on and taken off: nobody else does, or one would take off what the other just found on."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            turn = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(error.strerror) from None
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield
        finally:
            os.close(turn)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=20)) as base:
                base.execute("PRAGMA synchronous=FULL")
                with base:
                    for table in _TABLES:
                        base.execute(table)
                    yield base
        except sqlite3.Error:
            raise _unwritable("a database error") from None


def push(look: Look, criteria: Criteria, holds: Sequence[Hold], locks: Locks, pushed: Pushed) -> int:
    """Bring the store's legal holds at a location into line with the holds in force. Returns how many it changed.

    Raises `StoreUnavailable` when it is not known to be complete.
    """
    keeping = look.facts.holds(hold for hold in holds if hold.state.keeps)
    owner = _digest(criteria.record_type.id, criteria.location.name)
    before = pushed.known(owner)
    if not keeping and not before:
        return 0
    kept: list[Entry] = []
    free: list[tuple[Entry, bytes]] = []
    for item, record in look.records():
        held = bool(holds_on(record, criteria.location, keeping))
        for entry in data_versions(item.entries):
            version = _digest(entry.key, entry.version)
            if held:
                kept.append(entry)
            elif version in before:
                free.append((entry, version))
    now = look.facts.now
    with pushed.alone(), ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="push") as pool:
        changed = sum(pool.map(lambda entry: _keep(entry, owner, locks, pushed, now.timestamp()), kept))
        for entry, version in free:
            at = before[version]
            if at < (now - FRESH).timestamp() and pushed.unchanged(version, owner, at):
                if not pushed.others(version, owner):
                    locks.put(entry, on=False)
                    changed += 1
                pushed.forget(version, owner)
    return changed


def _keep(entry: Entry, owner: bytes, locks: Locks, pushed: Pushed, at: float) -> bool:
    version = _digest(entry.key, entry.version)
    if locks.held(entry):
        if pushed.by_us(version):
            pushed.remember(version, owner, at)
        return False
    if locks.put(entry, on=True):
        pushed.remember(version, owner, at)
        return True
    return False


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()


def _unwritable(why: str | None) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"what holds were pushed down cannot be written in the state folder: {why}",
        "see whether its disk is full or in order",
    )
