"""What became of destroyed keys: which roots could still open an older store, and until when.

A destruction is charged to the newest root that existed at its moment, in use or in the making: an older store may hold its wraps under
any root up to that one. Only when all of these are gone is it final.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from retention.errors import UsageError
from storage.database import unstamp
from storage.keys import tables, tree
from storage.keys.keyring import CACHE_SECONDS
from storage.keys.roots.root import RootKind
from storage.keys.values import Erasure, MethodCap

_KMS_DELAY = timedelta(days=1)
"""AWS deletes a key up to a day after the date it gave."""


def erasure(connection: Connection, witnesses: Sequence[str]) -> Erasure:
    destruction = tables.destruction
    query = select(destruction).where(destruction.c.witness.in_(witnesses)).order_by(destruction.c.id)
    rows = connection.execute(query).all()
    if not rows:
        raise UsageError("no destruction of keys is known under these witnesses", "see: retention db check")
    first, last = min(row.born for row in rows), max(row.root for row in rows)
    roots = connection.execute(
        select(tables.root).where(tables.root.c.number <= last).order_by(tables.root.c.number)
    ).all()
    return Erasure(
        kids=tuple(row.kid for row in rows),
        objects=sum(row.objects for row in rows),
        size=sum(row.size for row in rows),
        seconds=sum(row.seconds for row in rows),
        unsealed_before=sum(row.unsealed_before for row in rows),
        root=roots[-1].id,
        method_cap=_cap([root for root in roots if root.number >= first]),
        windows=tuple(_window(root) for root in roots if root.state != "gone"),
        irrecoverable_from=_irrecoverable(roots, [unstamp(row.at) for row in rows]),
    )


def outstanding(connection: Connection) -> bool:
    """Whether a key was destroyed, or left a wrapper, since the root was last rotated."""
    key = tables.wrapping_key
    dirty = connection.execute(select(func.count()).select_from(key).where(key.c.dirty)).scalar()
    destruction = tables.destruction
    newest = connection.execute(select(func.max(destruction.c.root))).scalar()
    return bool(dirty) or (newest is not None and newest >= tree.current_root(connection).number)


def _cap(roots: Sequence[Row[Any]]) -> MethodCap:
    """The weakest: a file was, at most, cleared; a share that was forgotten too."""
    weak = any(root.kind == RootKind.LOCAL.value or root.gone_by in {"file", "share"} for root in roots)
    return "clear" if weak else "cryptographic-erase"


def _window(root: Row[Any]) -> tuple[str, date | None]:
    if root.state == "scheduled":
        return f"key store, root {root.number}", (unstamp(root.until) + _KMS_DELAY).date()
    return f"key store, root {root.number}", None


def _irrecoverable(roots: Sequence[Row[Any]], destroyed: Sequence[datetime]) -> datetime | None:
    if any(root.state != "gone" for root in roots):
        return None
    gone = [unstamp(root.gone_at) for root in roots]
    return max(*gone, max(destroyed) + timedelta(seconds=CACHE_SECONDS))
