"""The key store as its users see it. Skeleton: signatures are agreed, bodies follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from retention.decide import Criteria
from retention.holds import Hold
from retention.outcomes import Fate, Presence
from storage.keys.secret import SecretKey
from storage.keys.values import Cohort, Erasure, Facts, NewObject, ObjectState, SealedObject


class KeyStore:
    """Opened with its address and the root that opens it; every time is given by the caller."""

    def upgrade(self, *, at: datetime) -> str:
        """Make or upgrade the tables, and the first root when there is none. Returns the schema revision."""
        raise NotImplementedError

    def require_ready(self, *, at_least: int = 0) -> None:
        """Raises `KeyStoreUnavailable`: no tables, another revision, or an epoch below ``at_least`` (it was restored)."""
        raise NotImplementedError

    def epoch(self) -> int:
        """Grows with every change of wraps. A smaller one than before means: a restored older store."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    # Sealing and opening: these need the root, and belong in short-lived processes.

    def begin_sealing(self, facts: Facts, *, period: str, at: datetime) -> NewObject:
        """A new data key under the cohort of (record type, location, period), which is made when missing."""
        raise NotImplementedError

    def finish_sealing(self, id: str, *, sealed_size: int, digest: str, at: datetime) -> None:
        """The sealed copy was read back: the object counts. Raises `KeyDestroyed` when its cohort died meanwhile (keep the plaintext)."""
        raise NotImplementedError

    def abandon_sealing(self, id: str, *, at: datetime) -> None:
        """Destroy the key of an object that was not finished."""
        raise NotImplementedError

    def key_of(self, id: str) -> SecretKey:
        """The data key. Raises `KeyDestroyed`, `KeyUnreadable` or `KeyStoreUnavailable`."""
        raise NotImplementedError

    # The registry: no key is needed.

    def object(self, id: str) -> SealedObject:
        """Raises `UsageError` when no such object is registered."""
        raise NotImplementedError

    def objects(
        self, *, record_type: str | None = None, location: str | None = None, state: ObjectState | None = None
    ) -> Iterator[SealedObject]:
        """In order of their ids, read in strides: may run beside writers."""
        raise NotImplementedError

    def cohorts(self, record_type: str, location: str) -> list[Cohort]:
        """Living cohorts with at least one object, oldest first."""
        raise NotImplementedError

    def withdrawn(self, record_type: str, location: str) -> list[SealedObject]:
        """Withdrawn and not destroyed yet."""
        raise NotImplementedError

    def withdraw(self, id: str, *, reason: str, at: datetime) -> None:
        raise NotImplementedError

    # Destroying: no key is needed.

    def gate(self, *, at: datetime) -> AbstractContextManager[Writing]:
        """The one-writer transaction, with the store's lock taken. Rolls back unless `Writing.commit` was called."""
        raise NotImplementedError

    def barrier(self, timeout: float) -> None:
        """Returns when every gate that was open has ended. Raises `KeyStoreUnavailable` after ``timeout`` seconds."""
        raise NotImplementedError

    def fate(self, witness: str) -> Fate:
        raise NotImplementedError

    def presence(self, ids: Sequence[str]) -> list[Presence]:
        """Of cohorts (``K…``) or objects. An id that was never registered is *unreadable*: the store may be an older one."""
        raise NotImplementedError

    def erasure(self, witnesses: Sequence[str]) -> Erasure:
        raise NotImplementedError


class Writing:
    """Inside the gate. Sees no key material."""

    def cohort(self, id: str) -> Cohort | None:
        """``None`` when it is gone. An empty cohort is told too (``objects == 0``)."""
        raise NotImplementedError

    def object(self, id: str) -> SealedObject | None:
        raise NotImplementedError

    def looked_at(self, hold: Hold, criteria: Criteria) -> int:
        """Newest object (``seq``) of this record type and location that the push-down of that hold has looked at; -1 = never.

        Also -1 when it looked under other terms (another epoch of the hold, or the location said something else about its subjects).
        """
        raise NotImplementedError

    def destroy(self, ids: Sequence[str], *, witness: str) -> None:
        """Destroy cohorts (one row each) and single objects. Raises `Refused` for an object under a hold key."""
        raise NotImplementedError

    def commit(self) -> None:
        raise NotImplementedError
