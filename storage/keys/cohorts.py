"""Cohorts: found or made, joined and left. What a cohort remembers of its objects only widens, so it is never due too early."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, Row, select, update

from storage.keys import tables, tree
from storage.keys.database import Entry
from storage.keys.keyring import Keyring
from storage.keys.wrapping import Purpose

_holder = tables.holder


def living(connection: Connection, record_type: str, location: str, period: str) -> Row[Any] | None:
    query = select(_holder).where(
        _holder.c.kind == tree.COHORT, _holder.c.state == tree.LIVING, _holder.c.record_type == record_type,
        _holder.c.location == location, _holder.c.period == period,
    )  # fmt: skip
    return connection.execute(query).first()


def found_or_made(
    entry: Entry, keyring: Keyring, *, record_type: str, location: str, store: str, period: str
) -> tuple[str, str]:
    """Id and kid of the living cohort of that period."""
    known = living(entry.connection, record_type, location, period)
    if known is not None:
        return known.id, known.kid
    id = f"K{secrets.token_hex(6)}"
    place, body = keyring.new_wrapping_key(entry, Purpose.COHORT)
    tree.add_holder(
        entry, id, tree.COHORT, place, body, record_type=record_type, location=location, store=store, period=period
    )  # fmt: skip
    return id, place.child


def join(entry: Entry, cohort: str, row: Any, seq: int) -> None:
    """Count an object (a row of the registry) in."""
    # Text of one location's triggers sorts as they do; SQLite and PostgreSQL name the smaller of two values differently.
    known = entry.connection.execute(select(_holder).where(_holder.c.id == cohort)).one()
    triggers = [text for text in (known.trigger_first, known.trigger_last, row.trigger) if text is not None]
    entry.connection.execute(
        update(_holder)
        .where(_holder.c.id == cohort)
        .values(
            objects=_holder.c.objects + 1,
            size=_holder.c.size + row.size,
            seconds=_holder.c.seconds + row.seconds,
            unsealed_before=_holder.c.unsealed_before + int(row.plaintext_since is not None),
            trigger_first=min(triggers),
            trigger_last=max(triggers),
            last_seq=max(known.last_seq, seq),
            born=min(known.born, row.born),
        )
    )


def part(entry: Entry, cohort: str, row: Any) -> None:
    """Count an object out. First and last trigger stay: see the module."""
    entry.connection.execute(
        update(_holder)
        .where(_holder.c.id == cohort)
        .values(
            objects=_holder.c.objects - 1,
            size=_holder.c.size - row.size,
            seconds=_holder.c.seconds - row.seconds,
            unsealed_before=_holder.c.unsealed_before - int(row.plaintext_since is not None),
        )
    )
