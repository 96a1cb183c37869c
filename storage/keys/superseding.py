"""One sealed object in the place of another: the same content under a new key, the old key destroyed.

Not a destruction of a record, so no witness and no certificate: what the old key sealed lives on under the new one. The wrappers that the old
key leaves are dirty, so the next rotation makes every older version of the key store worthless for it.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from retention.errors import Refused
from storage.database import unstamp
from storage.keys import cohorts, registry, tables, tree
from storage.keys.database import KeyDatabase
from storage.keys.keyring import Keyring
from storage.keys.sealed_facts import open_record
from storage.keys.values import Facts, ObjectState

_object = tables.sealed_object


def facts_of(db: KeyDatabase, keyring: Keyring, id: str) -> Facts:
    """What was told of an object when it was sealed, opened with its own key. Raises `KeyUnreadable`."""
    with db.reading() as connection:
        row = connection.execute(select(_object).where(_object.c.id == id)).one()
        with keyring.data_key(connection, row.kid) as key:
            record = open_record(row, key)
    assert record.trigger is not None  # no object is registered without one
    return Facts(
        record_type=row.record_type, location=row.location, store=row.store, trigger=record.trigger, span=record.span,
        subject=record.subject, camera=record.camera, branch=record.branch, size=row.size, seconds=row.seconds,
        plaintext_since=None if row.plaintext_since is None else unstamp(row.plaintext_since),
    )  # fmt: skip


def supersede(db: KeyDatabase, id: str, by: str, *, at: datetime) -> None:
    """Destroy the key of ``id``, now that ``by`` has sealed the same. A hold on the old one has not looked at the new one yet, which keeps
    its whole cohort until it has. Raises `Refused`."""
    with db.write(at) as entry:
        old, new = (registry.one(entry.connection, one) for one in (id, by))
        if (
            old is None
            or new is None
            or new.state is not ObjectState.SEALED
            or old.state is not ObjectState.SEALED
        ):
            raise Refused(f"{id} cannot be superseded by {by}", "both must be sealed, and neither withdrawn")
        if (old.record_type, old.location, old.period) != (new.record_type, new.location, new.period):
            raise Refused(f"{by} does not stand in the place of {id}", "this is a mistake in the program")
        row = entry.connection.execute(select(_object).where(_object.c.id == id)).one()
        tree.leave(entry, old.kid, tree.wrappers_of(entry.connection, old.kid))
        if old.cohort is not None:
            cohorts.part(entry, old.cohort, row)
        entry.connection.execute(
            update(_object)
            .where(_object.c.id == id)
            .values(state=ObjectState.DESTROYED.value, reason=f"resealed as {by}")
        )
