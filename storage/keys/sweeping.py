"""Sweeping up below dead wrappers: rows that nothing opens any more. In strides, whenever there is time; nothing waits for it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, exists, select, tuple_, update

from storage.keys import tables, tree
from storage.keys.database import KeyDatabase
from storage.keys.values import ObjectState
from storage.keys.wrapping import Purpose

STRIDE = 5000
_wrap, _key, _object, _holder = tables.wrap, tables.wrapping_key, tables.sealed_object, tables.holder


def sweep(db: KeyDatabase, *, at: datetime) -> int:
    """Remove wraps below destroyed keys, and mark the objects of destroyed cohorts. How many wraps were removed."""
    swept = 0
    while True:
        with db.write(at) as entry:
            dead = select(_wrap.c.wrapper).where(
                _wrap.c.purpose == str(Purpose.DATA), ~exists().where(_key.c.kid == _wrap.c.wrapper)
            )
            rows = select(_wrap.c.child, _wrap.c.wrapper).where(_wrap.c.wrapper.in_(dead)).limit(STRIDE)
            removed = entry.connection.execute(
                delete(_wrap).where(tuple_(_wrap.c.child, _wrap.c.wrapper).in_(rows))
            ).rowcount
            entry.removed = removed > 0
            swept += removed
        if removed < STRIDE:
            break
    while True:
        with db.write(at) as entry:
            ids = (
                select(_object.c.id)
                .join(_holder, _holder.c.id == _object.c.cohort)
                .where(_holder.c.state == tree.DESTROYED, _object.c.state != ObjectState.DESTROYED.value)
                .limit(STRIDE)
            )
            marked = entry.connection.execute(
                update(_object).where(_object.c.id.in_(ids)).values(state=ObjectState.DESTROYED.value)
            ).rowcount
        if marked < STRIDE:
            return swept
