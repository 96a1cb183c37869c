"""The drill: an older backup restored aside, tried with today's root; then the newest one.

What was destroyed must open from neither; what survives must open from the newest. From a backup made before the last rotation nothing
opens at all: that is what the rotation is for.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from retention.errors import UsageError
from storage.keys import backup, registry, tables, tree
from storage.keys.database import KeyDatabase
from storage.keys.proving import prove, reachable
from storage.keys.roots.root import Roots
from storage.keys.rotation import backup_name
from storage.keys.values import ObjectState

_PART = 500
_object = tables.sealed_object


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """``previous``: name of the older backup, with how many objects it knew, how many of these are ``destroyed`` today, and how many of
    the destroyed and of the survivors opened from it. ``newest``: the backup made now, its survivors, all of which opened."""

    previous: str
    known: int
    destroyed: int
    destroyed_opened: int
    survivors_opened: int
    newest: str
    survivors: int

    @property
    def passed(self) -> bool:
        return self.destroyed_opened == 0


def drill(db: KeyDatabase, roots: Roots, backups: Path, previous: Path | None, *, at: datetime) -> Drill:
    """Raises `KeyUnreadable` when a survivor does not open from the newest backup."""
    older = previous or _older(backups)
    with tempfile.TemporaryDirectory(dir=backups, prefix=".drill-") as scratch:
        known, dead, opened = _tried(db, roots, older, Path(scratch))
    newest = backup.make(db, backups, backup_name(at, "drill"))
    with (
        tempfile.TemporaryDirectory(dir=backups, prefix=".drill-") as scratch,
        backup.aside(newest, Path(scratch)) as fresh,
    ):
        proof = prove(fresh, roots)
    return Drill(
        previous=older.name,
        known=known,
        destroyed=dead,
        destroyed_opened=opened[ObjectState.DESTROYED],
        survivors_opened=sum(count for state, count in opened.items() if state is not ObjectState.DESTROYED),
        newest=newest.name,
        survivors=proof.objects,
    )


def _older(backups: Path) -> Path:
    """The newest backup that was made before the last rotation's."""
    found = backup.listed(backups)
    rotations = [index for index, path in enumerate(found) if "-rotation-" in path.name]
    if rotations and rotations[0] + 1 < len(found):
        return found[rotations[0] + 1]
    if found:
        return found[-1]
    raise UsageError("there is no backup of the key store yet", "make one: retention keys backup")


def _tried(
    db: KeyDatabase, roots: Roots, older: Path, scratch: Path
) -> tuple[int, int, dict[ObjectState, int]]:
    opened = dict.fromkeys(ObjectState, 0)
    with backup.aside(older, scratch) as restored:
        with restored.reading() as connection:
            kids = list(connection.execute(select(_object.c.kid).order_by(_object.c.kid)).scalars())
        states = _states(db, kids)
        with db.reading() as connection:
            version = tree.current_root(connection)
        with roots.of(version.kind).open(version) as root:
            for kid in set(reachable(restored, root)):
                opened[states.get(kid, ObjectState.SEALED)] += 1
    return len(kids), sum(state is ObjectState.DESTROYED for state in states.values()), opened


def _states(db: KeyDatabase, kids: list[str]) -> dict[str, ObjectState]:
    """What these objects are today."""
    found: dict[str, ObjectState] = {}
    with db.reading() as connection:
        for start in range(0, len(kids), _PART):
            rows = connection.execute(
                registry.objects().where(_object.c.kid.in_(kids[start : start + _PART]))
            )
            found |= {row.kid: ObjectState(row.now) for row in rows}
    return found
