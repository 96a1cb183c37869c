"""The key store in numbers: what `retention keys status` draws. Counts and ids only.

Whether a hold is sealed is not known here: whoever shows these numbers asks the ledger first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, func, select

from storage.database import unstamp
from storage.keys import erasure, registry, tables, tree
from storage.keys.database import TRUNCATE
from storage.keys.rotation import unfinished

_object, _holder, _key, _wrap, _root = (
    tables.sealed_object, tables.holder, tables.wrapping_key, tables.wrap, tables.root,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RootLine:
    """``state``: making | current | retired | scheduled | gone."""

    id: str
    number: int
    kind: str
    state: str
    made_at: datetime
    until: datetime | None
    gone_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeLine:
    """One record type at one location. ``objects``: living ones, held ones included. ``held``: per hold id."""

    record_type: str
    location: str
    cohorts: int
    objects: int
    sealing: int
    withdrawn: int
    held: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """``outstanding``: keys were destroyed, and the root was not rotated since. ``unfinished``: number of an interrupted rotation, or 0.
    ``pending_truncation``: since when SQLite's log could not be emptied."""

    epoch: int
    roots: tuple[RootLine, ...]
    types: tuple[TypeLine, ...]
    destroyed: int
    outstanding: bool
    unfinished: int
    pending_truncation: datetime | None


def overview(connection: Connection) -> Overview:
    epoch = connection.execute(
        select(tables.counter.c.value).where(tables.counter.c.name == "epoch")
    ).scalar()
    noted = connection.execute(select(tables.note.c.at).where(tables.note.c.name == TRUNCATE)).scalar()
    destroyed = connection.execute(select(func.sum(tables.destruction.c.objects))).scalar()
    return Overview(
        epoch=int(epoch or 0),
        roots=_roots(connection),
        types=_types(connection),
        destroyed=int(destroyed or 0),
        outstanding=erasure.outstanding(connection),
        unfinished=unfinished(connection)[0],
        pending_truncation=None if noted is None else unstamp(noted),
    )


def _roots(connection: Connection) -> tuple[RootLine, ...]:
    rows = connection.execute(select(_root).order_by(_root.c.number.desc())).all()
    return tuple(
        RootLine(
            id=row.id, number=row.number, kind=row.kind, state=row.state, made_at=unstamp(row.made_at),
            until=None if row.until is None else unstamp(row.until),
            gone_at=None if row.gone_at is None else unstamp(row.gone_at),
        )
        for row in rows
    )  # fmt: skip


def _types(connection: Connection) -> tuple[TypeLine, ...]:
    here = (_object.c.record_type, _object.c.location)
    states = registry.objects(func.count().label("number")).with_only_columns(
        *here, registry.STATE, func.count().label("number")
    )
    counted: dict[tuple[str, str], dict[str, int]] = {}
    for row in connection.execute(states.group_by(*here, registry.STATE.element)):
        counted.setdefault((row.record_type, row.location), {})[row.now] = row.number
    cohorts: dict[tuple[str, str], int] = {}
    living = select(_holder.c.record_type, _holder.c.location, func.count().label("number")).where(
        _holder.c.kind == tree.COHORT, _holder.c.state == tree.LIVING, _holder.c.objects > 0
    )
    for row in connection.execute(living.group_by(_holder.c.record_type, _holder.c.location)):
        cohorts[row.record_type, row.location] = row.number
    held: dict[tuple[str, str], dict[str, int]] = {}
    below = (
        select(*here, _holder.c.id, func.count(_object.c.id.distinct()).label("number"))
        .join(_wrap, _wrap.c.child == _object.c.kid)
        .join(_key, _key.c.kid == _wrap.c.wrapper)
        .join(_holder, and_(_holder.c.id == _key.c.holder, _holder.c.kind == tree.HOLD))
    )
    for row in connection.execute(below.group_by(*here, _holder.c.id).order_by(_holder.c.id)):
        held.setdefault((row.record_type, row.location), {})[row.id] = row.number
    return tuple(
        TypeLine(
            record_type=record_type, location=location, cohorts=cohorts.get((record_type, location), 0),
            objects=states.get("sealed", 0) + states.get("withdrawn", 0),
            sealing=states.get("sealing", 0), withdrawn=states.get("withdrawn", 0),
            held=held.get((record_type, location), {}),
        )
        for (record_type, location), states in sorted(counted.items())
    )  # fmt: skip
