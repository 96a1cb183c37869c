"""One batch at a sealed location: the key store's one-writer transaction is the hold gate, and the destroying.

Withheld is whatever is not exactly what the survey saw: a cohort that grew, moved or was emptied, an object under a hold, anything
that a hold in force has not looked at yet. No key material comes here: destroying a key is removing its row.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from retention.decide import Criteria, Due, decide
from retention.errors import StoreUnavailable
from retention.holds import Hold
from retention.outcomes import Presence
from storage.contract import Lines, Staged
from storage.keys.keystore import KeyStore, Writing
from storage.keys.values import ObjectState
from storage.sealed.deciding import cohort_record, not_looked, object_record
from storage.sealed.lines import CohortLine, Line, ObjectLine, read_line

WITNESS = "key:"
"""How witnesses of the key store begin: those of other stores do not."""


class SealedBatch:
    """Made by `storage.sealed.store.SealedStore.batch`, inside the gate."""

    def __init__(self, keys: KeyStore, writing: Writing, criteria: Criteria) -> None:
        self._keys = keys
        self._writing = writing
        self._criteria = criteria
        self._witness = WITNESS + secrets.token_hex(16)
        self._chosen: list[str] = []
        self._over = False

    def stage(self, lines: Lines, holds: Iterable[Hold]) -> Staged:
        """Raises `VerificationFailed` for a line that no survey wrote."""
        touching = tuple(holds)
        chosen: list[int] = []
        absent: list[int] = []
        for index, line in enumerate([read_line(line) for line in lines]):
            match self._due(line, touching):
                case None:
                    absent.append(index)
                case True:
                    chosen.append(index)
                    self._chosen.append(line.id)
        return Staged(chosen=tuple(chosen), absent=tuple(absent), witness=self._witness)

    def _due(self, line: Line, holds: tuple[Hold, ...]) -> bool | None:
        """Whether it may go; ``None`` when it is gone."""
        return (
            self._cohort_due(line, holds) if isinstance(line, CohortLine) else self._object_due(line, holds)
        )

    def _cohort_due(self, line: CohortLine, holds: tuple[Hold, ...]) -> bool | None:
        cohort = self._writing.cohort(line.id)
        if cohort is None:
            return None
        if not self._is_here(cohort.record_type, cohort.location, cohort.store):
            return False
        if cohort.last_seq != line.last_seq or not 0 < cohort.objects <= line.objects:
            return False
        kept_by = not_looked(holds, self._criteria, cohort.last_seq, self._writing.looked_at)
        return isinstance(decide(cohort_record(cohort, kept_by), self._criteria, holds), Due)

    def _object_due(self, line: ObjectLine, holds: tuple[Hold, ...]) -> bool | None:
        item = self._writing.object(line.id)
        if item is None or item.state is ObjectState.DESTROYED:
            return None
        if not self._is_here(item.record_type, item.location, item.store):
            return False
        if item.state is not ObjectState.WITHDRAWN or item.holds:
            return False
        kept_by = not_looked(holds, self._criteria, item.seq, self._writing.looked_at)
        return isinstance(decide(object_record(item, kept_by), self._criteria, holds), Due)

    def _is_here(self, record_type: str, location: str, store: str) -> bool:
        here = self._criteria.record_type.id, self._criteria.location.name, self._criteria.location.store
        return (record_type, location, store) == here

    def destroy(self) -> None:
        if self._over:
            raise StoreUnavailable("the batch is over", "open another one")
        self._over = True
        if self._chosen:
            self._writing.destroy(self._chosen, witness=self._witness)
            self._writing.commit()

    def read_back(self) -> list[Presence]:
        """In a connection of its own: are these keys still in the store?"""
        return self._keys.presence(self._chosen) if self._chosen else []
