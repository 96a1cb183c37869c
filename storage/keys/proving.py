"""Proof that a key store opens every survivor, by opening every one; and what an older one still opens.

Nothing is sampled: before a root is destroyed, each data key has been unwrapped once under the root that stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Exists, Select, and_, exists, func, select

from retention.errors import KeyStoreUnavailable, KeyUnreadable
from storage.keys import registry, tables, tree, wrapping
from storage.keys.database import KeyDatabase
from storage.keys.roots.root import OpenRoot, Roots
from storage.keys.values import ObjectState

_ROWS = 5000
_wrap, _key, _object = tables.wrap, tables.wrapping_key, tables.sealed_object


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """``objects``: living ones in the store. ``wraps``: data-key wraps opened: all that hang below living keys."""

    objects: int
    wraps: int


def prove(db: KeyDatabase, roots: Roots) -> Proof:
    """Open every living wrap. Raises `KeyUnreadable` at the first that does not, or when a living object has none."""
    with db.reading() as connection:
        version = tree.current_root(connection)
        wraps = 0
        with roots.of(version.kind).open(version) as opened:
            kids = connection.execute(select(_key.c.kid).order_by(_key.c.kid)).scalars().all()
            for kid in kids:
                row = connection.execute(
                    select(_wrap).where(_wrap.c.child == kid, _wrap.c.wrapper == version.id)
                ).first()
                if row is None:
                    raise _missing(1)
                with opened.unwrap(row.body, tree.place_of(row)) as key:
                    wraps += _open_below(connection, kid, AESGCM(key.reveal()))
        bare = connection.execute(
            select(func.count()).select_from(_living().where(~_wrapped()).subquery())
        ).scalar()
        if bare:
            raise _missing(bare)
        objects = connection.execute(select(func.count()).select_from(_living().subquery())).scalar()
        return Proof(objects=int(objects or 0), wraps=wraps)


def reachable(db: KeyDatabase, opened: OpenRoot) -> Iterator[str]:
    """Kids of data keys that this root opens in this store, whatever the store itself says of them."""
    with db.reading() as connection:
        upper = select(_wrap).where(_wrap.c.purpose != str(wrapping.Purpose.DATA))
        for row in connection.execute(upper).all():
            try:
                key = opened.unwrap(row.body, tree.place_of(row))
            except (KeyUnreadable, KeyStoreUnavailable):
                continue
            with key:
                yield from _opening_below(connection, row.child, AESGCM(key.reveal()))


def _open_below(connection: Connection, kid: str, cipher: AESGCM) -> int:
    count = 0
    query = select(_wrap).where(_wrap.c.wrapper == kid)
    for row in connection.execution_options(yield_per=_ROWS).execute(query):
        wrapping.unwrap(row.body, tree.place_of(row), cipher).wipe()
        count += 1
    return count


def _opening_below(connection: Connection, kid: str, cipher: AESGCM) -> Iterator[str]:
    query = select(_wrap).where(_wrap.c.wrapper == kid)
    for row in connection.execution_options(yield_per=_ROWS).execute(query):
        try:
            wrapping.unwrap(row.body, tree.place_of(row), cipher).wipe()
        except KeyUnreadable:
            continue
        yield row.child


def _living() -> Select[Any]:
    return registry.objects().where(registry.STATE.not_in([ObjectState.DESTROYED.value]))


def _wrapped() -> Exists:
    return exists().where(and_(_wrap.c.child == _object.c.kid, _wrap.c.wrapper == _key.c.kid))


def _missing(count: int) -> KeyUnreadable:
    return KeyUnreadable(
        f"{count} living keys of the key store have no wrap that opens",
        "the key store is damaged: keep everything, and restore its newest backup (docs/keys.md)",
    )
