"""Replacing dirty wrappers: a new key in the place of one that a child has left, and what is left in it rewrapped.

In strides, so that the gate is never held for long; each stride is a transaction, and a crash between two is nothing special.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Row, bindparam, select, update

from storage.keys import tables, tree, wrapping
from storage.keys.database import Entry, KeyDatabase
from storage.keys.keyring import Keyring
from storage.keys.wrapping import Place, Purpose

STRIDE = 5000
"""Wraps per transaction: about a tenth of a second."""
_wrap, _key, _holder = tables.wrap, tables.wrapping_key, tables.holder
_MOVE = (
    update(_wrap)
    .where(_wrap.c.child == bindparam("moved"), _wrap.c.wrapper == bindparam("old"))
    .values(wrapper=bindparam("new"), epoch=bindparam("now"), body=bindparam("again"))
)


@dataclass(kw_only=True)
class Replaced:
    """How many wrapping keys were replaced, and how many keys rewrapped."""

    keys: int = 0
    children: int = 0


def replace_dirty(db: KeyDatabase, keyring: Keyring, *, at: datetime) -> Replaced:
    """Until no wrapper is dirty."""
    done = Replaced()
    while True:
        with db.reading() as connection:
            kid = connection.execute(
                select(_key.c.kid).where(_key.c.dirty).order_by(_key.c.kid).limit(1)
            ).scalar()
        if kid is None:
            return done
        _replace(db, keyring, kid, done, at)


def _replace(db: KeyDatabase, keyring: Keyring, kid: str, done: Replaced, at: datetime) -> None:
    with db.reading() as connection:
        keyring.warm(connection, [kid])
    new = _successor(db, keyring, kid, at)
    while new:
        with db.write(at) as entry:
            if not tree.lives(entry.connection, kid):
                return
            if not _move(entry, keyring, kid, new, done):
                tree.remove_key(entry, kid)
                done.keys += 1
                return


def _successor(db: KeyDatabase, keyring: Keyring, kid: str, at: datetime) -> str:
    """The key that comes in its place, made unless an interrupted attempt made it. "" when it died meanwhile."""
    with db.write(at) as entry:
        query = select(_holder).join(_key, _key.c.holder == _holder.c.id).where(_key.c.kid == kid)
        holder = entry.connection.execute(query).first()
        if holder is None:
            return ""
        if holder.kid != kid:
            return str(holder.kid)
        purpose = Purpose.COHORT if holder.kind == tree.COHORT else Purpose.HOLD
        place, body = keyring.new_wrapping_key(entry, purpose)
        tree.add_key(entry, holder.id, place, body)
        entry.connection.execute(update(_holder).where(_holder.c.id == holder.id).values(kid=place.child))
        entry.record("replaces", child=place.child, wrapper=kid)
        return place.child


def _move(entry: Entry, keyring: Keyring, old: str, new: str, done: Replaced) -> int:
    """One stride of children from the old key to the new one. How many there were."""
    rows = entry.connection.execute(select(_wrap).where(_wrap.c.wrapper == old).limit(STRIDE)).all()
    if not rows:
        return 0
    before, after = keyring.cipher(entry.connection, old), keyring.cipher(entry.connection, new)
    epoch = entry.epoch()
    entry.connection.execute(
        _MOVE,
        [
            {
                "moved": row.child,
                "old": old,
                "new": new,
                "now": epoch,
                "again": rewrapped(row, new, epoch, before, after),
            }
            for row in rows
        ],
    )
    entry.removed = True
    entry.record("moved", child=old, wrapper=new, count=len(rows))
    done.children += len(rows)
    return len(rows)


def rewrapped(row: Row[Any], new: str, epoch: int, before: AESGCM, after: AESGCM) -> bytes:
    """The wrap of one data key, under another key."""
    place = Place(child=row.child, wrapper=new, purpose=Purpose.DATA, epoch=epoch)
    with wrapping.unwrap(row.body, tree.place_of(row), before) as key:
        return wrapping.wrap(key, place, after)
