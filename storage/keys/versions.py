"""Versions of the root, as the key store has written them down: made, put in force, retired, scheduled, gone.

A version is written down before it is made, so that whatever a crash leaves behind is found again. Refuses to destroy the version in
force, and the one that an unfinished rotation still needs.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from retention.errors import KeyStoreUnavailable, Refused
from storage.database import stamp
from storage.keys import tables, tree
from storage.keys.database import Entry, KeyDatabase
from storage.keys.roots.root import RootKind, Roots, RootState, RootVersion, Standing
from storage.keys.roots.two_share import TwoShareRoot

_root = tables.root


@dataclass(kw_only=True)
class Settled:
    """What became of old versions. ``scheduled``: with the moment from which each is gone. ``revived``: ids of those whose
    deletion somebody cancelled; it was scheduled anew, and what was final because of them is not."""

    scheduled: dict[str, datetime] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    revived: list[str] = field(default_factory=list)


def make(db: KeyDatabase, roots: Roots, *, at: datetime) -> RootVersion:
    """A new version, made and written down; not in force yet. Goes on with one that was interrupted."""
    with db.write(at) as entry:
        row = entry.connection.execute(select(_root).where(_root.c.state == "making")).first()
        again = row is not None
        if row is None:
            id = f"R{secrets.token_hex(6)}"
            entry.connection.execute(
                insert(_root).values(
                    id=id, number=tree.newest_root(entry.connection) + 1, kind=roots.chosen.value, state="making",
                    reference="", kid="", made_at=stamp(at),
                )
            )  # fmt: skip
            row = entry.connection.execute(select(_root).where(_root.c.id == id)).one()
    version = tree.version_of(row)
    if version.reference or version.kid:
        return version
    made = roots.of(version.kind).create(version.id, again=again)
    with db.write(at) as entry:
        entry.connection.execute(
            update(_root)
            .where(_root.c.id == version.id)
            .values(reference=made.reference, body=made.body, kid=made.kid)
        )
        entry.record("root-made", child=version.id)
        return tree.version_of(entry.connection.execute(select(_root).where(_root.c.id == version.id)).one())


def make_first(db: KeyDatabase, roots: Roots, *, at: datetime) -> bool:
    """The first root of a new key store. Whether there was none before."""
    with db.turn():
        with db.reading() as connection:
            if connection.execute(select(_root.c.id).where(_root.c.state == "current")).first() is not None:
                return False
        version = make(db, roots, at=at)
        with db.write(at) as entry:
            put_in_force(entry, version)
        return True


def put_in_force(entry: Entry, version: RootVersion) -> None:
    """The version in force before is retired."""
    entry.connection.execute(update(_root).where(_root.c.state == "current").values(state="retired"))
    entry.connection.execute(update(_root).where(_root.c.id == version.id).values(state="current"))
    entry.record("root-in-force", child=version.id)


def strangers(db: KeyDatabase, roots: Roots) -> list[str]:
    """Roots on this machine that the key store does not know, or says are gone: a restore of one of the two leaves them.

    While one lies here, an older store may still open under it.
    """
    with db.reading() as connection:
        expected = set(connection.execute(select(_root.c.id).where(_root.c.state != "gone")).scalars())
    return sorted(set[str]().union(*(root.lying_here() for root in roots.known.values())) - expected)


def require_no_strangers(db: KeyDatabase, roots: Roots) -> None:
    """Raises `Refused`: nothing is called gone beside a root that nobody can account for."""
    found = strangers(db, roots)
    if found:
        raise Refused(
            f"a root lies here that the key store does not know: {', '.join(found)}",
            "the key store or the roots were restored. If retention keys drill passes, move that file away and destroy it (docs/keys.md)",
        )


def settle(db: KeyDatabase, roots: Roots, *, at: datetime, spare: str = "") -> Settled:
    """Ask what became of every old version, write it down, and destroy what was retired. ``spare``: one that is still needed."""
    settled = Settled()
    with db.reading() as connection:
        query = select(_root).where(_root.c.state.in_(["retired", "scheduled"]), _root.c.id != spare)
        rows = connection.execute(query.order_by(_root.c.number)).all()
        current = tree.current_root(connection)
    # A KMS that does not know the root in force is not the one to ask whether an old one is gone.
    if (
        any(row.kind == current.kind.value for row in rows)
        and roots.of(current.kind).standing(current, at=at).state is not RootState.USABLE
    ):
        raise KeyStoreUnavailable(
            "the root in force is not usable", "see: retention keys status, and docs/keys.md"
        )
    for row in rows:
        _settle_one(db, roots, row, settled, at)
    return settled


def forget(db: KeyDatabase, roots: Roots, *, at: datetime) -> list[str]:
    """Destroy the local shares of old two-share roots. Raises `Refused` while a rotation that needs one is unfinished."""
    with db.turn():
        with db.reading() as connection:
            query = select(_root).where(
                _root.c.state.in_(["retired", "scheduled"]), _root.c.kind == RootKind.TWO_SHARE.value
            )
            rows = connection.execute(query.order_by(_root.c.number)).all()
        if any(row.state == "retired" for row in rows):
            raise Refused("a rotation of the root is unfinished", "first: retention keys rotate")
        settled = Settled()
        for row in rows:
            version = tree.version_of(row)
            two = roots.of(RootKind.TWO_SHARE)
            if isinstance(two, TwoShareRoot):
                write_down(db, version, two.forget(version), settled, at=at)
        return settled.gone


def _settle_one(db: KeyDatabase, roots: Roots, row: Row[Any], settled: Settled, at: datetime) -> None:
    version, root = tree.version_of(row), roots.of(RootKind(row.kind))
    standing = root.standing(version, at=at)
    if standing.state in {RootState.USABLE, RootState.DISABLED}:
        if row.state == "scheduled":
            # Somebody cancelled the deletion: for that while, an older store could be opened again.
            settled.revived.append(version.id)
            with db.write(at) as entry:
                _change(entry, version.id, "root-revived", state="retired", until=None)
            version = replace(version, until=None)
        standing = root.end(version, at=at)
    write_down(db, version, standing, settled, at=at)


def write_down(
    db: KeyDatabase, version: RootVersion, standing: Standing, settled: Settled, *, at: datetime
) -> None:
    """What a destroyed or scheduled version has become."""
    if standing.state is RootState.GONE:
        settled.gone.append(version.id)
        with db.write(at) as entry:
            _change(entry, version.id, "root-gone", state="gone", gone_at=stamp(at), gone_by=standing.by)
        return
    if standing.state is not RootState.SCHEDULED or standing.until is None:
        raise KeyStoreUnavailable("the old root could not be destroyed", "try again: retention keys rotate")
    settled.scheduled[version.id] = standing.until
    if standing.until != version.until:
        with db.write(at) as entry:
            _change(entry, version.id, "root-scheduled", state="scheduled", until=stamp(standing.until))


def _change(entry: Entry, id: str, event: str, **values: str | None) -> None:
    entry.connection.execute(update(_root).where(_root.c.id == id).values(**values))
    entry.record(event, child=id)
