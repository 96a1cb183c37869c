"""Holds on sealed objects: data keys in scope lie under the keys of their holds and no longer under a cohort, so that the cohort can
die whole. Given all holds in force, `Reconciliation.run` makes it so.

What a hold keeps is decided by `retention.decide.matches` alone, on the object's sealed facts. An object moves in one transaction: at no
moment is it without a wrapper, and how far a hold has looked advances with what it found. In strides; may be killed and run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, exists, select, update

from retention.decide import matches
from retention.holds import Hold
from storage.keys import cohorts, registry, tables, tree
from storage.keys.database import Entry, KeyDatabase
from storage.keys.ground import Ground, forget, looked_at, write_down
from storage.keys.keyring import Keyring
from storage.keys.sealed_facts import open_record
from storage.keys.secret import SecretKey
from storage.keys.values import ObjectState
from storage.keys.wrapping import Purpose

STRIDE = 500
_object, _holder, _key, _wrap, _looked = (
    tables.sealed_object, tables.holder, tables.wrapping_key, tables.wrap, tables.looked,
)  # fmt: skip


class Reconciliation:
    """Of one record type at one location. ``holds``: all that are in force and touch it."""

    def __init__(self, db: KeyDatabase, keyring: Keyring, ground: Ground, holds: Sequence[Hold]) -> None:
        self._db = db
        self._keyring = keyring
        self._ground = ground
        self._holds = [hold for hold in holds if hold.state.keeps]
        self._as_here = {hold.id: hold for hold in ground.naming.holds(self._holds)}
        self._here = (
            _object.c.record_type == ground.record_type,
            _object.c.location == ground.location,
        )

    def run(self, *, at: datetime) -> int:
        """How many objects moved. Raises `KeyStoreUnavailable` or `KeyUnreadable`: then it is not known to be complete."""
        self._warm()
        return self._look(at) + self._let_go(at)

    def _warm(self) -> None:
        with self._db.reading() as connection:
            query = (
                select(_key.c.kid)
                .join(_holder, _holder.c.id == _key.c.holder)
                .where(
                    (_holder.c.kind == tree.HOLD)
                    | and_(
                        _holder.c.record_type == self._ground.record_type,
                        _holder.c.location == self._ground.location,
                    )
                )
            )
            self._keyring.warm(connection, list(connection.execute(query).scalars()))

    def _look(self, at: datetime) -> int:
        """Newly finished objects, for holds that looked before; all objects, for new holds and new terms."""
        moved = 0
        while True:
            with self._db.write(at) as entry:
                looked = {hold.id: looked_at(entry, hold, self._ground) for hold in self._holds}
                after = min(looked.values(), default=None)
                if after is None:
                    return moved
                query = registry.objects().where(*self._here, _object.c.seq > after).order_by(_object.c.seq)
                rows = entry.connection.execute(query.limit(STRIDE)).all()
                for row in rows:
                    if row.now in {ObjectState.SEALED.value, ObjectState.WITHDRAWN.value}:
                        looking = [hold for hold in self._holds if looked[hold.id] < row.seq]
                        moved += self._settle(entry, row, looking)
                newest = rows[-1].seq if rows else after
                for hold in self._holds:
                    if looked[hold.id] < newest:
                        write_down(entry, hold, self._ground, newest)
                if len(rows) < STRIDE:
                    return moved

    def _settle(self, entry: Entry, row: Row[Any], looking: Sequence[Hold]) -> bool:
        """Put one object under the holds that match it, and take it from those of ``looking`` that do not. Whether it moved."""
        with self._keyring.data_key(entry.connection, row.kid) as key:
            record = open_record(row, key)
            record = replace(record, camera=self._ground.naming.camera(record.camera))
            under = self._under(entry, row.kid)
            wanted = [hold.id for hold in looking if matches(self._as_here[hold.id], record, self._ground)]
            unwanted = [hold.id for hold in looking if hold.id in under and hold.id not in wanted]
            missing = [id for id in wanted if id not in under]
            for id in missing:
                self._wrap_under_hold(entry, key, row.kid, id)
            if missing and row.cohort is not None:
                tree.leave(entry, row.kid, self._cohort_wrappers(entry, row.kid, row.cohort))
                cohorts.part(entry, row.cohort, row)
                entry.connection.execute(update(_object).where(_object.c.id == row.id).values(cohort=None))
            if unwanted:
                self._release(
                    entry,
                    key,
                    row,
                    [kid for id in unwanted for kid in under[id]],
                    bool(set(under) - set(unwanted)) or bool(missing),
                )
            return bool(missing or unwanted)

    def _let_go(self, at: datetime) -> int:
        """Objects under the key of a hold that keeps no more, back into a cohort; and such a key away when nothing is left below.

        A hold that we were not given was released, or came after the list we were given: then it has to look here again, and until
        it has, step 5 withholds everything.
        """
        kept = [hold.id for hold in self._holds]
        released = and_(_holder.c.kind == tree.HOLD, _holder.c.id.not_in(kept))
        moved = 0
        while True:
            with self._db.write(at) as entry:
                query = (
                    select(_object, _key.c.kid.label("wrapper"), _holder.c.id.label("under"))
                    .join(_wrap, _wrap.c.child == _object.c.kid)
                    .join(_key, _key.c.kid == _wrap.c.wrapper)
                    .join(_holder, _holder.c.id == _key.c.holder)
                    .where(*self._here, released)
                    .order_by(_object.c.seq)
                    .limit(STRIDE)
                )
                rows = entry.connection.execute(query).all()
                for row in rows:
                    others = [
                        kid for kid in tree.wrappers_of(entry.connection, row.kid) if kid != row.wrapper
                    ]
                    with self._keyring.data_key(entry.connection, row.kid) as key:
                        self._release(entry, key, row, [row.wrapper], bool(others))
                for hold in {row.under for row in rows}:
                    forget(entry, hold, self._ground)
                moved += len(rows)
                if len(rows) < STRIDE:
                    self._remove_idle(entry, kept)
                    return moved

    def _release(
        self, entry: Entry, key: SecretKey, row: Row[Any], wrappers: Sequence[str], still_held: bool
    ) -> None:
        if not still_held:
            cohort, wrapper = cohorts.found_or_made(
                entry, self._keyring, record_type=row.record_type, location=row.location, store=row.store,
                period=row.period,
            )  # fmt: skip
            place, body = self._keyring.wrapped(entry, key, row.kid, wrapper)
            tree.add(entry, place, body)
            entry.record("wrapped", child=row.kid, wrapper=wrapper)
            entry.connection.execute(update(_object).where(_object.c.id == row.id).values(cohort=cohort))
            cohorts.join(entry, cohort, row, row.seq)
        tree.leave(entry, row.kid, wrappers)

    def _remove_idle(self, entry: Entry, kept: Sequence[str]) -> None:
        """Keys of holds that are not in force here and have nothing below them anywhere."""
        query = (
            select(_key.c.kid, _holder.c.id)
            .join(_holder, _holder.c.id == _key.c.holder)
            .where(_holder.c.kind == tree.HOLD, _holder.c.id.not_in(kept))
            .where(~exists().where(_wrap.c.wrapper == _key.c.kid))
        )
        for kid, hold in entry.connection.execute(query).all():
            tree.remove_key(entry, kid)
            entry.connection.execute(delete(_looked).where(_looked.c.hold == hold))

    def _wrap_under_hold(self, entry: Entry, key: SecretKey, kid: str, hold: str) -> None:
        place, body = self._keyring.wrapped(entry, key, kid, self._hold_key(entry, hold))
        tree.add(entry, place, body)
        entry.record("wrapped", child=kid, wrapper=place.wrapper)

    def _hold_key(self, entry: Entry, hold: str) -> str:
        """Kid of the hold's key, made when it has none yet."""
        row = entry.connection.execute(select(_holder).where(_holder.c.id == hold)).first()
        if row is not None and tree.lives(entry.connection, row.kid):
            return str(row.kid)
        place, body = self._keyring.new_wrapping_key(entry, Purpose.HOLD)
        if row is None:
            tree.add_holder(entry, hold, tree.HOLD, place, body)
        else:
            tree.add_key(entry, hold, place, body)
            entry.connection.execute(update(_holder).where(_holder.c.id == hold).values(kid=place.child))
        return place.child

    def _under(self, entry: Entry, kid: str) -> dict[str, list[str]]:
        """Holds under which a data key lies, with their kids (two, while a dirty one is being replaced)."""
        query = (
            select(_holder.c.id, _key.c.kid)
            .join(_key, _key.c.holder == _holder.c.id)
            .join(_wrap, _wrap.c.wrapper == _key.c.kid)
            .where(_wrap.c.child == kid, _holder.c.kind == tree.HOLD)
        )
        found: dict[str, list[str]] = {}
        for id, wrapper in entry.connection.execute(query):
            found.setdefault(id, []).append(wrapper)
        return found

    def _cohort_wrappers(self, entry: Entry, kid: str, cohort: str) -> list[str]:
        own = set(tree.keys_of(entry.connection, cohort))
        return [wrapper for wrapper in tree.wrappers_of(entry.connection, kid) if wrapper in own]
