"""The key store: keys of everything sealed, and how they die. Opened once, given to whoever needs it.

What needs the root (sealing, opening, holds, rotation) belongs in short-lived processes: `storage.keys.worker`, and the commands that
seal and open. What destroys needs no key. Refuses to say *destroyed* of a key that is merely unreadable or out of reach: three errors.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, and_, exists, select

from retention.errors import KeyDestroyed, KeyStoreUnavailable, UsageError
from retention.holds import Hold
from retention.outcomes import Fate, Presence
from storage.database import BUSY_SECONDS
from storage.keys import backup, erasure, registry, sealing, superseding, tables, versions
from storage.keys.database import Entry, KeyDatabase
from storage.keys.drill import Drill, drill
from storage.keys.ground import Ground
from storage.keys.keyring import Keyring
from storage.keys.reconciling import Reconciliation
from storage.keys.roots.root import Roots
from storage.keys.rotation import Rotation, RotationReport, backup_name
from storage.keys.secret import SecretKey
from storage.keys.survey import Overview, overview
from storage.keys.values import Cohort, Erasure, Facts, NewObject, ObjectState, SealedObject
from storage.keys.writing import Writing

_object, _holder = tables.sealed_object, tables.holder


class KeyStore:
    """Every time is given by the caller. ``backups``: folder of the store's own backups; roots never lie there."""

    def __init__(self, url: str, roots: Roots, *, backups: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        self.db = KeyDatabase(url, busy_seconds=busy_seconds)
        self.roots = roots
        self.backups = backups
        self.keyring = Keyring(roots)

    def upgrade(self, *, at: datetime) -> str:
        """Make or upgrade the tables, and the first root when there is none. Returns the schema revision."""
        revision = self.db.upgrade()
        versions.make_first(self.db, self.roots, at=at)
        return revision

    def require_ready(self, *, at_least: int = 0) -> None:
        """Raises `KeyStoreUnavailable`: no tables, another revision, or an epoch below ``at_least`` (it was restored)."""
        self.db.require_current()
        epoch = self.epoch()
        if epoch < at_least:
            raise KeyStoreUnavailable(
                f"the key store is older than it was: at epoch {epoch}, the ledger saw {at_least}",
                "it was restored from an old backup; put back the newest one (docs/keys.md)",
            )

    def epoch(self) -> int:
        """Grows with every change of wraps. A smaller one than before means: a restored older store."""
        with self.db.reading() as connection:
            query = select(tables.counter.c.value).where(tables.counter.c.name == "epoch")
            return int(connection.execute(query).scalar() or 0)

    def close(self) -> None:
        """Wipe the keys in memory and let go of connections. May be called twice."""
        self.keyring.wipe()
        self.db.close()

    # Sealing and opening: these need the root.

    def begin_sealing(self, facts: Facts, *, period: str, at: datetime) -> NewObject:
        """A new data key under the cohort of (record type, location, period), which is made when missing."""
        return sealing.begin(self.db, self.keyring, facts, period=period, at=at)

    def finish_sealing(self, id: str, *, sealed_size: int, digest: str, at: datetime) -> None:
        """The sealed copy was read back: the object counts. Raises `KeyDestroyed` when its cohort died meanwhile (keep the plaintext)."""
        sealing.finish(self.db, id, sealed_size=sealed_size, digest=digest, at=at)

    def abandon_sealing(self, id: str, *, at: datetime) -> None:
        """Destroy the key of an object that was not finished."""
        sealing.abandon(self.db, id, at=at)

    def key_of(self, id: str) -> SecretKey:
        """The data key; wipe it after use. Raises `KeyDestroyed`, `KeyUnreadable` or `KeyStoreUnavailable`."""
        with self.db.reading() as connection:
            found = registry.one(connection, id)
            if found is None:
                raise _unknown(id)
            if found.state is ObjectState.DESTROYED:
                raise KeyDestroyed(
                    f"the key of {id} was destroyed",
                    "nothing opens it any more; its certificate says when and why",
                )
            return self.keyring.data_key(connection, found.kid)

    def facts_of(self, id: str) -> Facts:
        """What was told of an object when it was sealed. Raises as `key_of` does."""
        self.key_of(id).wipe()
        return superseding.facts_of(self.db, self.keyring, id)

    def supersede(self, id: str, by: str, *, at: datetime) -> None:
        """Destroy the key of an object that was sealed anew as another one. Raises `Refused`."""
        superseding.supersede(self.db, id, by, at=at)

    # The registry: no key is needed.

    def object(self, id: str) -> SealedObject:
        """Raises `UsageError` when no such object is registered."""
        with self.db.reading() as connection:
            found = registry.one(connection, id)
        if found is None:
            raise _unknown(id)
        return found

    def objects(
        self, *, record_type: str | None = None, location: str | None = None, state: ObjectState | None = None
    ) -> Iterator[SealedObject]:
        """In order of their ids, read in strides: may run beside writers."""
        asked = [
            (_object.c.record_type, record_type),
            (_object.c.location, location),
            (registry.STATE.element, None if state is None else state.value),
        ]
        where = [column == value for column, value in asked if value is not None]
        return self._strides(*where)

    def held(self, record_type: str, location: str) -> Iterator[SealedObject]:
        """What lies under the keys of holds, and in no cohort."""
        return self._strides(
            _object.c.record_type == record_type, _object.c.location == location, _object.c.cohort.is_(None),
            registry.STATE.element != ObjectState.DESTROYED.value,
        )  # fmt: skip

    def _strides(self, *where: ColumnElement[bool]) -> Iterator[SealedObject]:
        after = ""
        while True:
            with self.db.reading() as connection:
                found = registry.stride(connection, after, *where)
            yield from found
            if len(found) < registry.STRIDE:
                return
            after = found[-1].id

    def kids(self, ids: Sequence[str]) -> list[str | None]:
        """Ids of the keys of these cohorts and objects, of destroyed ones the key that was destroyed; ``None`` for an unknown id."""
        found: dict[str, str] = {}
        destruction = tables.destruction
        with self.db.reading() as connection:
            for part in _parts(ids):
                for table, id, kid in (
                    (_object, _object.c.id, _object.c.kid),
                    (_holder, _holder.c.id, _holder.c.kid),
                    (destruction, destruction.c.subject, destruction.c.kid),
                ):
                    rows = connection.execute(select(id, kid).select_from(table).where(id.in_(part)))
                    found.update((row[0], row[1]) for row in rows)
        return [found.get(id) for id in ids]

    def cohorts(self, record_type: str, location: str) -> list[Cohort]:
        """Living cohorts with at least one object, oldest first."""
        with self.db.reading() as connection:
            return list(registry.cohorts(connection, record_type, location))

    def withdrawn(self, record_type: str, location: str) -> list[SealedObject]:
        """Withdrawn and not destroyed yet."""
        return list(self.objects(record_type=record_type, location=location, state=ObjectState.WITHDRAWN))

    def withdraw(self, id: str, *, reason: str, at: datetime) -> None:
        """Have a sealed object erased alone, by the next run. ``reason``: names no person. Raises `UsageError`."""
        sealing.withdraw(self.db, id, reason=reason, at=at)

    def overview(self) -> Overview:
        """The tree in numbers."""
        with self.db.reading() as connection:
            return overview(connection)

    # Destroying: no key is needed.

    @contextmanager
    def gate(self, *, at: datetime) -> Iterator[Writing]:
        """The one-writer transaction, with the store's lock taken. Rolls back unless `Writing.commit` was called."""
        with self.db.writing() as connection:
            writing = Writing(self.db, Entry(connection, at))
            yield writing
            writing.let_go()

    def barrier(self, timeout: float) -> None:
        """Returns when every gate that was open has ended. Raises `KeyStoreUnavailable` after ``timeout`` seconds."""
        with self.db.writing(wait=timeout):
            pass

    def fate(self, witness: str) -> Fate:
        """What became of the gate that this witness was given to. Ask after `barrier`."""
        with self.db.reading() as connection:
            query = select(tables.destruction.c.id).where(tables.destruction.c.witness == witness).limit(1)
            return Fate.COMMITTED if connection.execute(query).first() is not None else Fate.ROLLED_BACK

    def presence(self, ids: Sequence[str]) -> list[Presence]:
        """Of cohorts (``K…``) or objects. An id that was never registered is *unreadable*: the store may be an older one."""
        with self.db.reading() as connection:
            key, wrap = tables.wrapping_key, tables.wrap
            present, known = set(), set()
            living = exists().where(and_(wrap.c.child == _object.c.kid, wrap.c.wrapper == key.c.kid))
            below = exists().where(and_(wrap.c.child == key.c.kid, key.c.holder == _holder.c.id))
            for part in _parts(ids):
                known |= set(connection.execute(select(_object.c.id).where(_object.c.id.in_(part))).scalars())
                known |= set(connection.execute(select(_holder.c.id).where(_holder.c.id.in_(part))).scalars())
                here = select(_object.c.id).where(_object.c.id.in_(part), living)
                present |= set(connection.execute(here).scalars())
                present |= set(
                    connection.execute(select(_holder.c.id).where(_holder.c.id.in_(part), below)).scalars()
                )
        return [
            Presence.PRESENT if id in present else Presence.ABSENT if id in known else Presence.UNREADABLE
            for id in ids
        ]

    def erasure(self, witnesses: Sequence[str]) -> Erasure:
        """What became of what these witnesses destroyed. Raises `UsageError` when they destroyed nothing."""
        with self.db.reading() as connection:
            return erasure.erasure(connection, witnesses)

    # Upkeep: these need the root.

    def reconcile(self, ground: Ground, holds: Sequence[Hold], *, at: datetime) -> int:
        """Hold push-down for one record type at one location, given all holds in force that touch it. How many objects moved."""
        return Reconciliation(self.db, self.keyring, ground, holds).run(at=at)

    def rotate(self, *, at: datetime, force: bool = False) -> RotationReport:
        """Finish or carry out a rotation of the root if one is needed, and settle what became of older roots."""
        return Rotation(self.db, self.roots, self.keyring, self.backups).rotate(at=at, force=force)

    def back_up(self, *, at: datetime) -> Path:
        return backup.make(self.db, self.backups, backup_name(at, "asked"))

    def drill(self, *, at: datetime, previous: Path | None = None) -> Drill:
        """See `storage.keys.drill`. ``previous``: the older backup to try; by default the newest made before the last rotation."""
        return drill(self.db, self.roots, self.backups, previous, at=at)

    def restore(self, source: Path) -> int:
        """Put a backup's content into this key store, which must be empty. How many rows."""
        with tempfile.TemporaryDirectory(prefix="retention-keys-") as folder:
            return backup.restore(source, self.db, Path(folder))

    def require_root(self) -> None:
        """Raises `KeyStoreUnavailable` or `KeyUnreadable` unless the root in force can be used. Opens it for a moment."""
        with self.db.reading() as connection, self.keyring.root(connection):
            pass

    def strangers(self) -> list[str]:
        """Roots that lie here and that this store does not know, or calls gone. See `storage.keys.versions.strangers`."""
        return versions.strangers(self.db, self.roots)

    def has_backup(self) -> bool:
        return bool(backup.listed(self.backups))

    def forget_shares(self, *, at: datetime) -> list[str]:
        """Destroy the local shares of old two-share roots: they are gone at once. Ids of these roots."""
        return versions.forget(self.db, self.roots, at=at)


def _parts(ids: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _unknown(id: str) -> UsageError:
    return UsageError(
        f"no sealed object {id} is registered here", "look at the id, and at RETENTION_KEYS_URL"
    )


__all__ = ["KeyStore", "Writing"]
