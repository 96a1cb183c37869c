"""`SealedStore`: a store some of whose locations are kept sealed, with the key store that can make them unreadable.

What a record type with disposition crypto-shred asks goes to the key store; everything else to the store itself. It refuses to
work on a key store that is older than the ledger remembers: what was destroyed lives in it again. It decides nothing on its
own, and no key comes into this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from retention.coverage import Place
from retention.decide import Criteria, KeepReason
from retention.errors import KeyDestroyed, KeyUnreadable, StoreUnavailable, UsageError, VerificationFailed
from retention.holds import Hold
from retention.outcomes import Fate, Presence
from retention.records import Record
from retention.schedule import Disposition, TreeLocation
from storage.contract import (
    Batch,
    Claim,
    Finding,
    Lines,
    Pace,
    Sealed,
    Store,
    Survey,
    copies_of,
    pace_of,
)
from storage.keys.keystore import KeyStore
from storage.keys.values import Erasure, ObjectState
from storage.sealed.batch import WITNESS, SealedBatch
from storage.sealed.deciding import object_record
from storage.sealed.lines import read_line
from storage.sealed.survey import Count
from storage.sealed.survey import survey as survey_keys

RESTORED = "the key store was restored to a state from before the keys were destroyed"


class Reconciler(Protocol):
    """How the key work of a push-down is done: in a process of its own, which ends with the keys in it."""

    def reconcile(self, criteria: Criteria, holds: Sequence[Hold], *, at: datetime) -> int:
        """Move data keys in scope under the keys of their holds, and the others back into cohorts. Returns how many moved."""
        ...


class Remover(Protocol):
    """A store in which ciphertext lies as files of its own."""

    def remove_unreadable(
        self, criteria: Criteria, are_destroyed: Callable[[Sequence[str]], Sequence[bool]]
    ) -> int:
        """Remove the sealed files of objects whose keys are destroyed. Returns how many."""
        ...


class SealedStore:
    """``inner``: the store where the ciphertext lies. ``remembered``: the epoch of the key store that the ledger knows of."""

    def __init__(
        self, inner: Store, keys: KeyStore, *, worker: Reconciler, remover: Remover | None, remembered: Callable[[], int],
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._inner = inner
        self._keys = keys
        self._worker = worker
        self._remover = remover
        self._remembered = remembered
        self._now = now
        self._is_ready = False

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def sealed(self) -> Sealed:
        return self

    @property
    def pace(self) -> Pace:
        return self._inner.pace

    def pace_at(self, criteria: Criteria) -> Pace:
        return self._inner.pace if is_sealed(criteria) else pace_of(self._inner, criteria)

    def check(self, criteria: Criteria) -> list[Finding]:
        findings = self._inner.check(criteria)
        if is_sealed(criteria):
            self._require_current()
            self._keys.cohorts(criteria.record_type.id, criteria.location.name)
        return findings

    def inventory(self) -> Iterator[Place]:
        return self._inner.inventory()

    def survey(
        self,
        criteria: Criteria,
        holds: Sequence[Hold],
        write: Callable[[bytes], object],
        progress: Callable[[int], None],
    ) -> Survey:
        if not is_sealed(criteria):
            return self._inner.survey(criteria, holds, write, progress)
        self._require_current()
        with self._keys.gate(at=self._now()) as writing:
            found = survey_keys(self._keys, writing, criteria, holds, Count(criteria, write, progress))
        found.findings += self._unsealed(criteria)
        return found

    def _unsealed(self, criteria: Criteria) -> list[Finding]:
        """Files at the location that are not sealed: no key's death does anything to them."""
        if not isinstance(criteria.location, TreeLocation):
            return []
        plain = self._inner.survey(criteria, (), lambda lines: None, lambda looked_at: None)
        findings = list(plain.findings)
        if plain.population:
            findings.append(
                Finding(
                    location=criteria.location.name, count=plain.population,
                    message=f"{plain.population} file{'s are' if plain.population > 1 else ' is'} not sealed: destroying keys does not destroy them",
                    hint="seal them: retention seal",
                )
            )  # fmt: skip
        return findings

    def read(self, criteria: Criteria, key: str) -> Record | None:
        """``key``: id of a sealed object. Who and what it is about is sealed with it; which holds keep it, the key store knows."""
        if not is_sealed(criteria):
            return self._inner.read(criteria, key)
        self._require_current()
        try:
            item = self._keys.object(key)
        except UsageError:
            return None
        here = (criteria.record_type.id, criteria.location.name, self.name)
        gone = item.state in (ObjectState.SEALING, ObjectState.DESTROYED)
        if (item.record_type, item.location, item.store) != here or gone:
            return None
        together = () if item.state is ObjectState.WITHDRAWN else self._keys.cohorts(*here[:2])
        trigger = next((cohort.trigger_last for cohort in together if cohort.id == item.cohort), None)
        return object_record(item, (), trigger)

    def cannot_decide(
        self, criteria: Criteria, holds: Sequence[Hold], limit: int
    ) -> Iterator[tuple[str, KeepReason, str]]:
        """Sealed records have all that a decision needs, or they could not have been sealed."""
        return iter(()) if is_sealed(criteria) else self._inner.cannot_decide(criteria, holds, limit)

    def reference(self, line: bytes) -> str:
        """A line says by its form whose it is."""
        return read_line(line).id if _is_key_line(line) else self._inner.reference(line)

    @contextmanager
    def batch(self, criteria: Criteria) -> Iterator[Batch]:
        if not is_sealed(criteria):
            with self._inner.batch(criteria) as batch:
                yield batch
            return
        with self._keys.gate(at=self._now()) as writing:
            self._require_current()
            yield SealedBatch(self._keys, writing, criteria)

    def barrier(self, timeout: float) -> None:
        self._inner.barrier(timeout)
        self._keys.barrier(timeout)

    def preserve(self, criteria: Criteria, holds: Sequence[Hold]) -> int:
        """The ciphertext first, then its keys. Raises `StoreUnavailable` when it is not known to be complete."""
        changed = self._inner.preserve(criteria, holds)
        if is_sealed(criteria):
            self._require_current()
            try:
                changed += self._worker.reconcile(criteria, holds, at=self._now())
            except (KeyDestroyed, KeyUnreadable) as error:
                raise StoreUnavailable(error.message, error.hint) from None
        return changed

    def copies(self, criteria: Criteria, holds: Sequence[Hold]) -> Iterator[Sequence[bytes]]:
        return copies_of(self._inner, criteria, holds)

    def fate(self, witness: str) -> Fate:
        """Witnesses of the key store have a form that no other store's has."""
        if not witness.startswith(WITNESS):
            return self._inner.fate(witness)
        return self._keys.fate(witness)

    def presence(self, criteria: Criteria, lines: Lines) -> list[Presence]:
        if not is_sealed(criteria):
            return self._inner.presence(criteria, lines)
        ids = [read_line(line).id for line in lines]
        try:
            self._require_current()
            return self._keys.presence(ids)
        except StoreUnavailable:
            return [Presence.UNREADABLE] * len(ids)

    def claim(self, criteria: Criteria) -> Claim:
        """What holds however the root key is kept; `erasure` says how much more may be claimed."""
        if not is_sealed(criteria):
            return self._inner.claim(criteria)
        return Claim(
            method="none-claimed",
            technique="data keys destroyed with the key that had wrapped them, in the key store; the root key replaced after that",
            verification="Looked up again in the key store, in a new connection after the commit.",
            not_claimed=(
                "The sealed files or values themselves may remain for a while; without their key they cannot be read.",
                "Copies made from an opened object, and objects that were stored unencrypted before they were sealed, are not covered.",
                "Older versions of the key store stay worthless only as long as the root key they need is gone.",
            ),
        )

    def close(self) -> None:
        """The key store is the site's, and stays open."""
        self._inner.close()

    # The sealed side

    def kids(self, criteria: Criteria, lines: Lines) -> list[str | None]:
        if not is_sealed(criteria):
            return [None] * len(lines)
        return list(self._keys.kids([read_line(line).id for line in lines]))

    def erasure(self, criteria: Criteria, witnesses: Sequence[str]) -> Erasure | None:
        if not is_sealed(criteria):
            return None
        return self._keys.erasure(witnesses)

    def doubt(self, criteria: Criteria, witnesses: Sequence[str]) -> str:
        """A restored key store does not know what it had destroyed, or does not know enough of it."""
        if not is_sealed(criteria):
            return ""
        known = all(self._keys.fate(witness) is Fate.COMMITTED for witness in witnesses)
        return "" if known else RESTORED

    def epoch(self) -> int:
        return self._keys.epoch()

    def remove_unreadable(self, criteria: Criteria) -> int:
        if not is_sealed(criteria) or self._remover is None:
            return 0
        self._require_current()
        return self._remover.remove_unreadable(criteria, self._are_destroyed)

    def _are_destroyed(self, ids: Sequence[str]) -> list[bool]:
        """Only what the key store says is destroyed: it may not know an id at all, and then the file is not ours to judge."""
        return [presence is Presence.ABSENT for presence in self._keys.presence(ids)]

    def _require_current(self) -> None:
        """The whole check once per process; how far the store is, each time: it may be exchanged under a running process."""
        known = self._remembered()
        if not self._is_ready or self._keys.epoch() < known:
            self._keys.require_ready(at_least=known)
            self._is_ready = True


def _is_key_line(line: bytes) -> bool:
    try:
        read_line(line)
    except VerificationFailed:
        return False
    return True


def is_sealed(criteria: Criteria) -> bool:
    return criteria.record_type.disposition is Disposition.CRYPTO_SHRED
