"""The edges of the tree, as rows: adding a wrap, taking one away, destroying a holder. Needs no key.

The dirty rule lives here: whenever a child leaves a wrapper that lives on, the wrapper is marked, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from retention.errors import KeyStoreUnavailable
from storage.database import stamp, unstamp
from storage.keys import tables
from storage.keys.database import Entry
from storage.keys.roots.root import RootKind, RootVersion
from storage.keys.wrapping import Place, Purpose

LIVING, DESTROYED = "living", "destroyed"
COHORT, HOLD = "cohort", "hold"


def version_of(row: Row[tuple[object, ...]]) -> RootVersion:
    return RootVersion(
        id=row.id, number=row.number, kind=RootKind(row.kind), reference=row.reference, body=row.body, kid=row.kid,
        until=None if row.until is None else unstamp(row.until),
    )  # fmt: skip


def current_root(connection: Connection) -> RootVersion:
    """The version that wraps now. Raises `KeyStoreUnavailable` when none was made."""
    row = connection.execute(select(tables.root).where(tables.root.c.state == "current")).first()
    if row is None:
        raise KeyStoreUnavailable("the key store has no root yet", "run: retention db upgrade")
    return version_of(row)


def newest_root(connection: Connection) -> int:
    """Number of the newest version, in use or in the making: what is destroyed now may stand in a store wrapped under it."""
    return int(connection.execute(select(func.max(tables.root.c.number))).scalar() or 0)


def place_of(row: Row[tuple[object, ...]]) -> Place:
    return Place(child=row.child, wrapper=row.wrapper, purpose=Purpose(row.purpose), epoch=row.epoch)


def add(entry: Entry, place: Place, body: bytes) -> None:
    entry.connection.execute(
        insert(tables.wrap).values(
            child=place.child, wrapper=place.wrapper, purpose=str(place.purpose), epoch=place.epoch, body=body
        )
    )


def wrappers_of(connection: Connection, child: str) -> list[str]:
    """Kids of the living cohort and hold keys under which a data key lies."""
    wrap, key = tables.wrap, tables.wrapping_key
    query = select(wrap.c.wrapper).join(key, key.c.kid == wrap.c.wrapper).where(wrap.c.child == child)
    return list(connection.execute(query.order_by(wrap.c.wrapper)).scalars())


def leave(entry: Entry, child: str, wrappers: Sequence[str]) -> None:
    """Take a data key out of these wrappers, and mark them: older stores still have the wraps, so the wrappers must go too."""
    entry.epoch()
    entry.removed = True
    for wrapper in wrappers:
        entry.connection.execute(
            delete(tables.wrap).where(tables.wrap.c.child == child, tables.wrap.c.wrapper == wrapper)
        )
        entry.record("left", child=child, wrapper=wrapper)
    soil(entry, wrappers)


def soil(entry: Entry, wrappers: Sequence[str]) -> None:
    """The dirty rule."""
    entry.connection.execute(
        update(tables.wrapping_key).where(tables.wrapping_key.c.kid.in_(wrappers)).values(dirty=True)
    )


def add_key(entry: Entry, holder: str, place: Place, body: bytes) -> None:
    """A new living key of a holder, wrapped under the root."""
    entry.connection.execute(insert(tables.wrapping_key).values(kid=place.child, holder=holder, dirty=False))
    add(entry, place, body)


def add_holder(
    entry: Entry, id: str, kind: str, place: Place, body: bytes, *, record_type: str = "", location: str = "",
    store: str = "", period: str = "",
) -> None:  # fmt: skip
    """A new cohort, or the key of a hold (which belongs to no record type)."""
    entry.connection.execute(
        insert(tables.holder).values(
            id=id, kind=kind, record_type=record_type, location=location, store=store, period=period, state=LIVING,
            kid=place.child, objects=0, size=0, seconds=0.0, unsealed_before=0, last_seq=-1, made_at=stamp(entry.at),
            born=newest_root(entry.connection),
        )
    )  # fmt: skip
    add_key(entry, id, place, body)
    entry.record("made", child=place.child, wrapper=place.wrapper)


def keys_of(connection: Connection, holder: str) -> list[str]:
    """All living keys of a holder: one, or two while a dirty one is being replaced."""
    key = tables.wrapping_key
    return list(
        connection.execute(select(key.c.kid).where(key.c.holder == holder).order_by(key.c.kid)).scalars()
    )


def lives(connection: Connection, kid: str) -> bool:
    """Whether this cohort or hold key is a living one."""
    key = tables.wrapping_key
    return connection.execute(select(key.c.kid).where(key.c.kid == kid)).first() is not None


def remove_key(entry: Entry, kid: str) -> None:
    """Destroy a cohort or hold key: its wraps under the root, and its name among the living."""
    entry.epoch()
    entry.removed = True
    entry.connection.execute(delete(tables.wrap).where(tables.wrap.c.child == kid))
    entry.connection.execute(delete(tables.wrapping_key).where(tables.wrapping_key.c.kid == kid))
    entry.record("destroyed", child=kid)


def destroy_holder(entry: Entry, id: str) -> None:
    """Whatever lies below it is unreachable from here on; its rows are swept up later, so that this costs the same for any number."""
    for kid in keys_of(entry.connection, id):
        remove_key(entry, kid)
    entry.connection.execute(update(tables.holder).where(tables.holder.c.id == id).values(state=DESTROYED))
