"""Sealing an object, as the key store sees it: key first, ciphertext next (not here), then it counts.

An object that is still being sealed counts in no cohort and its plaintext is still there; so its key may die at any moment and
nothing is lost. Refuses to finish what has no key any more.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from retention.errors import KeyDestroyed, UsageError
from storage.database import stamp
from storage.keys import cohorts, registry, tables, tree
from storage.keys.database import Entry, KeyDatabase
from storage.keys.keyring import Keyring
from storage.keys.sealed_facts import seal_facts, trigger_text
from storage.keys.secret import SecretKey
from storage.keys.values import Facts, NewObject, ObjectState

_object = tables.sealed_object


def begin(db: KeyDatabase, keyring: Keyring, facts: Facts, *, period: str, at: datetime) -> NewObject:
    with db.reading() as connection:
        known = cohorts.living(connection, facts.record_type, facts.location, period)
        if known is not None:
            keyring.warm(connection, [known.kid])  # a KMS is asked before the lock is taken
    key = SecretKey.random()
    id, kid = secrets.token_hex(8), key.kid
    with db.write(at) as entry:
        cohort, wrapper = cohorts.found_or_made(
            entry, keyring, record_type=facts.record_type, location=facts.location, store=facts.store, period=period
        )  # fmt: skip
        place, body = keyring.wrapped(entry, key, kid, wrapper)
        tree.add(entry, place, body)
        entry.connection.execute(
            insert(_object).values(
                id=id, kid=kid, seq=-1, cohort=cohort, record_type=facts.record_type, location=facts.location,
                store=facts.store, period=period, trigger=trigger_text(facts.trigger), size=facts.size, sealed_size=0,
                seconds=facts.seconds, state=ObjectState.SEALING.value, digest="", reason="",
                plaintext_since=None if facts.plaintext_since is None else stamp(facts.plaintext_since),
                facts=seal_facts(facts, id, key), born=tree.newest_root(entry.connection),
            )
        )  # fmt: skip
        entry.record("wrapped", child=kid, wrapper=wrapper)
    return NewObject(id=id, kid=kid, key=key)


def finish(db: KeyDatabase, id: str, *, sealed_size: int, digest: str, at: datetime) -> None:
    with db.write(at) as entry:
        row = _being_sealed(entry, id)
        if not tree.wrappers_of(entry.connection, row.kid):
            raise KeyDestroyed(
                f"the key of {id} was destroyed while it was being sealed",
                "its cohort expired meanwhile; keep the plaintext and seal it again",
            )
        seq = entry.next("seq")
        entry.connection.execute(
            update(_object)
            .where(_object.c.id == id)
            .values(state=ObjectState.SEALED.value, seq=seq, sealed_size=sealed_size, digest=digest)
        )
        cohorts.join(entry, row.cohort, row, seq)


def abandon(db: KeyDatabase, id: str, *, at: datetime) -> None:
    with db.write(at) as entry:
        row = _being_sealed(entry, id)
        tree.leave(entry, row.kid, tree.wrappers_of(entry.connection, row.kid))
        entry.connection.execute(
            update(_object).where(_object.c.id == id).values(state=ObjectState.DESTROYED.value)
        )


def withdraw(db: KeyDatabase, id: str, *, reason: str, at: datetime) -> None:
    with db.write(at) as entry:
        found = registry.one(entry.connection, id)
        if found is None or found.state is not ObjectState.SEALED:
            raise UsageError(
                f"{id} is not a sealed object that could be withdrawn", "see: retention keys status"
            )
        entry.connection.execute(
            update(_object).where(_object.c.id == id).values(state=ObjectState.WITHDRAWN.value, reason=reason)
        )


def _being_sealed(entry: Entry, id: str) -> Row[Any]:
    row = entry.connection.execute(select(_object).where(_object.c.id == id)).first()
    if row is None or row.state != ObjectState.SEALING.value:
        raise UsageError(f"{id} is not an object that is being sealed", "begin the sealing anew")
    return row
