"""Unwrapped cohort and hold keys of this process, for a short time. Data keys are never kept.

``CACHE_SECONDS`` counts into `Erasure.irrecoverable_from`: so long after a key was destroyed a process may still have it in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, select

from retention.errors import KeyUnreadable
from storage.keys import tables, tree, wrapping
from storage.keys.database import Entry
from storage.keys.roots.root import OpenRoot, Roots, RootVersion
from storage.keys.secret import SecretKey
from storage.keys.wrapping import Place, Purpose

CACHE_SECONDS = 60.0
_RESTORE = "the key store is damaged: restore its newest backup (docs/keys.md)"


class Keyring:
    """Opens what lies under the root. Use as a context manager, or `wipe` it."""

    def __init__(self, roots: Roots, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.roots = roots
        self._monotonic = monotonic
        self._held: dict[str, tuple[float, SecretKey, AESGCM]] = {}

    @contextmanager
    def root(self, connection: Connection) -> Iterator[tuple[RootVersion, OpenRoot]]:
        """The current root, opened."""
        version = tree.current_root(connection)
        with self.roots.of(version.kind).open(version) as opened:
            yield version, opened

    def warm(self, connection: Connection, kids: list[str]) -> None:
        """Open these wrapping keys now, with the root opened once, so that no lock is held meanwhile."""
        self._expire()
        missing = [kid for kid in kids if kid not in self._held]
        if not missing:
            return
        with self.root(connection) as (version, opened):
            for kid in missing:
                self._hold(kid, self._unwrapped(connection, kid, version, opened))

    def cipher(self, connection: Connection, kid: str) -> AESGCM:
        """For the wraps below this cohort or hold key. Raises `KeyUnreadable` or `KeyStoreUnavailable`."""
        self.warm(connection, [kid])
        return self._held[kid][2]

    def data_key(self, connection: Connection, kid: str) -> SecretKey:
        """By whichever wrapper it lies under. Raises `KeyUnreadable`: it is registered as living, and nothing opens it."""
        wrap, key = tables.wrap, tables.wrapping_key
        query = select(wrap).join(key, key.c.kid == wrap.c.wrapper).where(wrap.c.child == kid)
        rows = connection.execute(query.order_by(wrap.c.wrapper)).all()
        if not rows:
            raise KeyUnreadable(f"key {kid} lives, but no wrap of it is here", _RESTORE)
        row = next((row for row in rows if row.wrapper in self._held), rows[0])
        return wrapping.unwrap(row.body, tree.place_of(row), self.cipher(connection, row.wrapper))

    def new_wrapping_key(self, entry: Entry, purpose: Purpose) -> tuple[Place, bytes]:
        """A new cohort or hold key, wrapped under the current root and held here. Not written yet: see `tree.add_holder`."""
        key = SecretKey.random()
        with self.root(entry.connection) as (version, opened):
            place = Place(child=key.kid, wrapper=version.id, purpose=purpose, epoch=entry.epoch())
            body = opened.wrap(key, place)
        self._hold(place.child, key)
        return place, body

    def wrapped(self, entry: Entry, key: SecretKey, kid: str, wrapper: str) -> tuple[Place, bytes]:
        """A data key wrapped under a cohort or hold key."""
        place = Place(child=kid, wrapper=wrapper, purpose=Purpose.DATA, epoch=entry.epoch())
        return place, wrapping.wrap(key, place, self.cipher(entry.connection, wrapper))

    def wipe(self) -> None:
        for _, key, _ in self._held.values():
            key.wipe()
        self._held.clear()

    def _unwrapped(
        self, connection: Connection, kid: str, version: RootVersion, opened: OpenRoot
    ) -> SecretKey:
        query = select(tables.wrap).where(tables.wrap.c.child == kid, tables.wrap.c.wrapper == version.id)
        row = connection.execute(query).first()
        if row is None:
            raise KeyUnreadable(f"key {kid} lives, but is not wrapped under the root in force", _RESTORE)
        return opened.unwrap(row.body, tree.place_of(row))

    def _hold(self, kid: str, key: SecretKey) -> None:
        self._held[kid] = (self._monotonic() + CACHE_SECONDS, key, AESGCM(key.reveal()))

    def _expire(self) -> None:
        now = self._monotonic()
        with ExitStack() as wiped:
            for kid in [kid for kid, (until, _, _) in self._held.items() if until <= now]:
                wiped.enter_context(self._held.pop(kid)[1])
