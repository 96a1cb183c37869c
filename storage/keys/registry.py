"""The registry of sealed objects and cohorts, as values. Needs no key and tells nothing personal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, select

from storage.database import unstamp
from storage.keys import tables, tree
from storage.keys.sealed_facts import trigger_of
from storage.keys.values import Cohort, ObjectState, SealedObject

STRIDE = 1000
_object, _holder = tables.sealed_object, tables.holder
STATE: ColumnElement[str] = case(
    (_holder.c.state == tree.DESTROYED, ObjectState.DESTROYED.value), else_=_object.c.state
).label("now")
"""An object whose cohort was destroyed is destroyed, though its row is swept up later."""


def objects(*also: Any) -> Select[Any]:
    """Rows of objects with their state as it is ``now``."""
    return select(_object, STATE, *also).outerjoin(_holder, _holder.c.id == _object.c.cohort)


def values(connection: Connection, rows: Sequence[Row[Any]]) -> list[SealedObject]:
    holds = _holds(connection, [row.kid for row in rows if row.cohort is None])
    return [
        SealedObject(
            id=row.id,
            kid=row.kid,
            seq=row.seq,
            cohort=row.cohort,
            holds=tuple(holds[row.kid]),
            record_type=row.record_type,
            location=row.location,
            store=row.store,
            period=row.period,
            trigger=trigger_of(row.trigger),
            size=row.size,
            sealed_size=row.sealed_size,
            seconds=row.seconds,
            plaintext_since=None if row.plaintext_since is None else unstamp(row.plaintext_since),
            state=ObjectState(row.now),
            digest=row.digest,
            reason=row.reason,
        )
        for row in rows
    ]


def _holds(connection: Connection, kids: Sequence[str]) -> defaultdict[str, list[str]]:
    """Ids of the holds under whose keys these data keys lie."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    if kids:
        wrap, key = tables.wrap, tables.wrapping_key
        query = (
            select(wrap.c.child, _holder.c.id)
            .join(key, key.c.kid == wrap.c.wrapper)
            .join(_holder, and_(_holder.c.id == key.c.holder, _holder.c.kind == tree.HOLD))
            .where(wrap.c.child.in_(kids))
            .distinct()
        )
        for child, hold in connection.execute(query.order_by(_holder.c.id)):
            found[child].append(hold)
    return found


def one(connection: Connection, id: str) -> SealedObject | None:
    rows = connection.execute(objects().where(_object.c.id == id)).all()
    return values(connection, rows)[0] if rows else None


def stride(connection: Connection, after: str, *where: Any) -> list[SealedObject]:
    """The next objects in order of their ids."""
    query = objects().where(_object.c.id > after, *where).order_by(_object.c.id).limit(STRIDE)
    return values(connection, connection.execute(query).all())


def cohort_of(row: Row[Any]) -> Cohort:
    """``trigger_first`` and ``trigger_last`` of an empty cohort are those of what was in it last."""
    return Cohort(
        id=row.id,
        kid=row.kid,
        record_type=row.record_type,
        location=row.location,
        store=row.store,
        period=row.period,
        objects=row.objects,
        trigger_first=trigger_of(row.trigger_first),
        trigger_last=trigger_of(row.trigger_last),
        size=row.size,
        seconds=row.seconds,
        unsealed_before=row.unsealed_before,
        last_seq=row.last_seq,
    )


def living_cohorts(*where: Any) -> Select[Any]:
    """Cohorts that ever had a finished object in them."""
    return select(_holder).where(
        _holder.c.kind == tree.COHORT, _holder.c.state == tree.LIVING, _holder.c.last_seq >= 0, *where
    )


def cohorts(connection: Connection, record_type: str, location: str) -> Iterator[Cohort]:
    query = living_cohorts(
        _holder.c.record_type == record_type, _holder.c.location == location, _holder.c.objects > 0
    )
    rows = connection.execute(query.order_by(_holder.c.trigger_last, _holder.c.id)).all()
    return (cohort_of(row) for row in rows)
