"""Destroying keys, inside the gate. Removes rows and needs no key; nothing but `storage.destroy` reaches it, through a store.

Refuses what is held, what is already gone, and what is not there: a read-back would take each for our destruction.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select, update

from retention.decide import Criteria
from retention.errors import Refused
from retention.holds import Hold
from storage.database import stamp
from storage.keys import cohorts, registry, tables, tree
from storage.keys.database import Entry, KeyDatabase
from storage.keys.ground import Ground, looked_at
from storage.keys.values import Cohort, ObjectState, SealedObject

_object, _holder = tables.sealed_object, tables.holder


class Writing:
    """The one-writer transaction, with the store's lock taken. Sees no key material."""

    def __init__(self, db: KeyDatabase, entry: Entry) -> None:
        self._db = db
        self._entry = entry

    def cohort(self, id: str) -> Cohort | None:
        """``None`` when it is gone, or nothing was ever finished in it. An empty cohort is told too (``objects == 0``)."""
        with self._db.answering():
            row = self._entry.connection.execute(registry.living_cohorts(_holder.c.id == id)).first()
            return None if row is None else registry.cohort_of(row)

    def object(self, id: str) -> SealedObject | None:
        with self._db.answering():
            return registry.one(self._entry.connection, id)

    def looked_at(self, hold: Hold, criteria: Criteria) -> int:
        """Newest object (``seq``) of this record type and location that the push-down of that hold has looked at; -1 = never.

        Also -1 when it looked under other terms (another epoch of the hold, or the location said something else about its subjects).
        """
        with self._db.answering():
            return looked_at(self._entry, hold, Ground.of(criteria))

    def destroy(self, ids: Sequence[str], *, witness: str) -> None:
        """Destroy cohorts (one key each) and single objects. Raises `Refused`, and then nothing may be committed."""
        with self._db.answering():
            for id in ids:
                if id.startswith("K"):
                    self._destroy_cohort(id, witness)
                else:
                    self._destroy_object(id, witness)

    def commit(self) -> None:
        """Durable, and the removed wraps wiped from SQLite's log. May be called once."""
        with self._db.answering():
            transaction = self._entry.connection.get_transaction()
            if transaction is None:
                raise RuntimeError("this gate has ended")
            transaction.commit()
        if self._entry.removed:
            self._db.truncate(self._entry.at)

    def let_go(self) -> None:
        """Undo whatever was not committed."""
        transaction = self._entry.connection.get_transaction()
        if transaction is not None and transaction.is_active:
            transaction.rollback()

    def _destroy_cohort(self, id: str, witness: str) -> None:
        row = self._entry.connection.execute(registry.living_cohorts(_holder.c.id == id)).first()
        if row is None:
            raise Refused(f"{id} is not a living cohort", "survey again: it went before")
        tree.destroy_holder(self._entry, id)
        self._journal(
            witness, id, row.kid, born=row.born, objects=row.objects, size=row.size, seconds=row.seconds,
            unsealed_before=row.unsealed_before,
        )  # fmt: skip

    def _destroy_object(self, id: str, witness: str) -> None:
        found = registry.one(self._entry.connection, id)
        if found is None or found.state not in {ObjectState.SEALED, ObjectState.WITHDRAWN}:
            raise Refused(f"{id} is not a living sealed object", "survey again: it went before")
        if found.holds or found.cohort is None:
            raise Refused(f"{id} is not eligible", "it is kept; nothing was destroyed")
        row = self._entry.connection.execute(select(_object).where(_object.c.id == id)).one()
        tree.leave(self._entry, row.kid, tree.wrappers_of(self._entry.connection, row.kid))
        cohorts.part(self._entry, found.cohort, row)
        self._entry.connection.execute(
            update(_object).where(_object.c.id == id).values(state=ObjectState.DESTROYED.value)
        )
        self._journal(
            witness, id, row.kid, born=row.born, objects=1, size=row.size, seconds=row.seconds,
            unsealed_before=int(row.plaintext_since is not None),
        )  # fmt: skip

    def _journal(
        self, witness: str, subject: str, kid: str, *, born: int, objects: int, size: int, seconds: float,
        unsealed_before: int,
    ) -> None:  # fmt: skip
        self._entry.connection.execute(
            insert(tables.destruction).values(
                witness=witness, subject=subject, kid=kid, born=born, root=tree.newest_root(self._entry.connection),
                objects=objects, size=size, seconds=seconds, unsealed_before=unsealed_before, at=stamp(self._entry.at),
            )
        )  # fmt: skip
