"""Key work done in the test's own process, so that a test need not start one for each push-down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from retention.decide import Criteria
from retention.holds import Hold
from storage.keys.ground import Ground
from storage.keys.keystore import KeyStore


class InsideWorker:
    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    def reconcile(self, criteria: Criteria, holds: Sequence[Hold], *, at: datetime) -> int:
        return self._keys.reconcile(Ground.of(criteria), holds, at=at)
