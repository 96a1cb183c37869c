"""Rotation of the root, after keys were destroyed: what makes every older version of the key store worthless.

Each step is a row of a journal, written when it is done, and may be repeated; `Rotation.rotate` goes on wherever it was killed.

1. begun: which root is to go
2. cleaned: every dirty wrapper replaced, what was left in it rewrapped
3. made: a new root
4. switched: every cohort and hold key wrapped under the new root, in one transaction that finds no dirty wrapper
5. truncated: nothing of it is left in SQLite's log
6. backed up: a fresh backup
7. proven: that backup, restored aside, opens every survivor
8. retired: the old root is destroyed, or its destruction scheduled

The old root is gone when `storage.keys.versions.settle` has seen it gone. Nothing of the new root is written into the store before
step 4: what is destroyed meanwhile is charged to the new root and waits for the rotation after this one.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from retention.errors import KeyStoreUnavailable, KeyUnreadable
from storage.database import stamp
from storage.keys import backup, erasure, tables, tree, versions
from storage.keys.database import Entry, KeyDatabase
from storage.keys.keyring import Keyring
from storage.keys.proving import Proof, prove
from storage.keys.replacing import replace_dirty
from storage.keys.roots.root import OpenRoot, Roots, RootVersion
from storage.keys.sweeping import sweep
from storage.keys.versions import Settled
from storage.keys.wrapping import Place

_wrap, _key, _root, _step = tables.wrap, tables.wrapping_key, tables.root, tables.rotation_step


class Step(StrEnum):
    BEGUN = "begun"
    CLEANED = "cleaned"
    MADE = "made"
    SWITCHED = "switched"
    TRUNCATED = "truncated"
    BACKED_UP = "backed-up"
    PROVEN = "proven"
    RETIRED = "retired"


@dataclass(kw_only=True)
class RotationReport:
    """``rotated``: a rotation was carried out or finished. ``settled``: what became of older roots."""

    rotated: bool = False
    number: int = 0
    replaced: int = 0
    rewrapped: int = 0
    proven: int = 0
    backup: str = ""
    settled: Settled = field(default_factory=Settled)


class Rotation:
    """``backups``: where the fresh backup goes."""

    def __init__(self, db: KeyDatabase, roots: Roots, keyring: Keyring, backups: Path) -> None:
        self._db = db
        self._roots = roots
        self._keyring = keyring
        self._backups = backups

    def rotate(self, *, at: datetime, force: bool = False) -> RotationReport:
        """Finish an interrupted rotation, or begin one when keys were destroyed since the last (or with ``force``); then settle."""
        report = RotationReport()
        with self._db.turn():
            versions.require_no_strangers(self._db, self._roots)
            self._keyring.wipe()
            number, done = self._unfinished(at, force)
            if number:
                steps: tuple[tuple[Step, Callable[[int, datetime, RotationReport], None]], ...] = (
                    (Step.CLEANED, self._clean), (Step.MADE, self._make), (Step.SWITCHED, self._switch),
                    (Step.TRUNCATED, self._truncate), (Step.BACKED_UP, self._back_up), (Step.PROVEN, self._prove),
                    (Step.RETIRED, self._retire),
                )  # fmt: skip
                for step, carry_out in steps:
                    if step not in done:
                        carry_out(number, at, report)
                report.rotated, report.number = True, number
                backup.prune(self._backups)
                sweep(self._db, at=at)
            report.settled = self._settled(at, report.settled)
        return report

    def _unfinished(self, at: datetime, force: bool) -> tuple[int, set[Step]]:
        """Number of the rotation at work and the steps it has done; 0 when none is needed."""
        with self._db.reading() as connection:
            number, done = unfinished(connection)
            if number:
                return number, done
            last = connection.execute(select(func.max(_step.c.rotation))).scalar() or 0
            if not force and not erasure.outstanding(connection):
                return 0, set()
        with self._db.write(at) as entry:
            old = tree.current_root(entry.connection)
            _journal(entry, last + 1, Step.BEGUN, {"old": old.id})
        return last + 1, {Step.BEGUN}

    def _clean(self, number: int, at: datetime, report: RotationReport) -> None:
        self._replace(at, report)
        with self._db.write(at) as entry:
            _journal(entry, number, Step.CLEANED)

    def _replace(self, at: datetime, report: RotationReport) -> None:
        done = replace_dirty(self._db, self._keyring, at=at)
        report.replaced += done.keys
        report.rewrapped += done.children

    def _make(self, number: int, at: datetime, report: RotationReport) -> None:
        version = versions.make(self._db, self._roots, at=at)
        with self._db.write(at) as entry:
            _journal(entry, number, Step.MADE, {"new": version.id})

    def _switch(self, number: int, at: datetime, report: RotationReport) -> None:
        with self._db.reading() as connection:
            old = tree.current_root(connection)
            row = connection.execute(select(_root).where(_root.c.state == "making")).one()
            new = tree.version_of(row)
        with (
            self._roots.of(old.kind).open(old) as before,
            self._roots.of(new.kind).open(new) as after,
        ):
            prepared: dict[str, tuple[Place, bytes]] = {}
            while True:
                self._replace(at, report)
                self._prepare(prepared, old, before, new, after)
                with self._db.write(at) as entry:
                    if self._fits(entry.connection, prepared):
                        self._put(entry, prepared, new)
                        _journal(entry, number, Step.SWITCHED)
                        break
        self._keyring.wipe()

    def _prepare(
        self, prepared: dict[str, tuple[Place, bytes]], old: RootVersion, before: OpenRoot, new: RootVersion,
        after: OpenRoot,
    ) -> None:  # fmt: skip
        """Wraps under the new root, in memory only, made without the lock since a KMS takes its time."""
        with self._db.reading() as connection:
            rows = connection.execute(
                select(_wrap).join(_key, _key.c.kid == _wrap.c.child).where(_wrap.c.wrapper == old.id)
            ).all()
            epoch = connection.execute(select(tables.counter.c.value).where(tables.counter.c.name == "epoch"))
            now = int(epoch.scalar() or 0)
        for row in rows:
            if row.child not in prepared:
                place = tree.place_of(row)
                under = Place(child=row.child, wrapper=new.id, purpose=place.purpose, epoch=now)
                prepared[row.child] = under, after.take_over(before, row.body, place, under)

    def _fits(self, connection: Connection, prepared: Mapping[str, object]) -> bool:
        """Nothing came, and nothing left a wrapper, since they were prepared."""
        rows = connection.execute(select(_key.c.kid, _key.c.dirty)).all()
        return not any(row.dirty or row.kid not in prepared for row in rows)

    def _put(self, entry: Entry, prepared: Mapping[str, tuple[Place, bytes]], new: RootVersion) -> None:
        entry.epoch()
        entry.removed = True
        living = entry.connection.execute(select(_key.c.kid)).scalars().all()
        uppers = select(_root.c.id)
        entry.connection.execute(delete(_wrap).where(_wrap.c.wrapper.in_(uppers)))
        for kid in living:
            tree.add(entry, *prepared[kid])
        versions.put_in_force(entry, new)

    def _truncate(self, number: int, at: datetime, report: RotationReport) -> None:
        if not self._db.truncate(at):
            raise KeyStoreUnavailable(
                "the key store's log could not be emptied: a reader holds it",
                "end what reads the key store, then: retention keys rotate",
            )
        with self._db.write(at) as entry:
            _journal(entry, number, Step.TRUNCATED)

    def _back_up(self, number: int, at: datetime, report: RotationReport) -> None:
        path = self._fresh(number, at)
        with self._db.write(at) as entry:
            _journal(entry, number, Step.BACKED_UP, {"backup": path.name})

    def _fresh(self, number: int, at: datetime) -> Path:
        return backup.make(self._db, self._backups, backup_name(at, f"rotation-{number}"))

    def _prove(self, number: int, at: datetime, report: RotationReport) -> None:
        path = self._backups / self._detail(number, Step.BACKED_UP)["backup"]
        try:
            proof = self._proof(path)
        except (KeyUnreadable, KeyStoreUnavailable):
            # The file was lost or damaged since; the store itself may be whole. A second failure is one.
            path = backup.make(self._db, self._backups, path.name)
            proof = self._proof(path)
        report.proven, report.backup = proof.objects, path.name
        with self._db.write(at) as entry:
            _journal(entry, number, Step.PROVEN, {"objects": proof.objects, "wraps": proof.wraps})

    def _proof(self, path: Path) -> Proof:
        with (
            tempfile.TemporaryDirectory(dir=self._backups, prefix=".proof-") as folder,
            backup.aside(path, Path(folder)) as restored,
        ):
            return prove(restored, self._roots)

    def _retire(self, number: int, at: datetime, report: RotationReport) -> None:
        with self._db.reading() as connection:
            id = self._detail(number, Step.BEGUN)["old"]
            old = tree.version_of(connection.execute(select(_root).where(_root.c.id == id)).one())
        standing = self._roots.of(old.kind).end(old, at=at)
        versions.write_down(self._db, old, standing, report.settled, at=at)
        with self._db.write(at) as entry:
            _journal(entry, number, Step.RETIRED)

    def _settled(self, at: datetime, now: Settled) -> Settled:
        then = versions.settle(self._db, self._roots, at=at)
        return Settled(
            scheduled=now.scheduled | then.scheduled,
            gone=now.gone + then.gone,
            revived=now.revived + then.revived,
        )

    def _detail(self, number: int, step: Step) -> dict[str, Any]:
        with self._db.reading() as connection:
            query = select(_step.c.detail).where(_step.c.rotation == number, _step.c.step == step.value)
            found: dict[str, Any] = json.loads(connection.execute(query).scalar_one())
            return found


def unfinished(connection: Connection) -> tuple[int, set[Step]]:
    """Number of the rotation that was begun and not ended, with the steps it has done; 0 when there is none."""
    last = connection.execute(select(func.max(_step.c.rotation))).scalar()
    if last is None:
        return 0, set()
    steps = connection.execute(select(_step.c.step).where(_step.c.rotation == last)).scalars()
    done = {Step(step) for step in steps}
    return (0, set()) if Step.RETIRED in done else (int(last), done)


def backup_name(at: datetime, why: str) -> str:
    """Sorts by time."""
    return f"keys-{at:%Y%m%dT%H%M%S%fZ}-{why}.db"


def _journal(entry: Entry, number: int, step: Step, detail: Mapping[str, Any] | None = None) -> None:
    entry.connection.execute(
        insert(_step).values(
            rotation=number, step=step.value, detail=json.dumps(detail or {}), at=stamp(entry.at)
        )
    )
