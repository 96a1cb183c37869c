"""Data keys of sealed values, kept in memory for a limited time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from storage.keys.keyring import CACHE_SECONDS
from storage.keys.keystore import KeyStore
from storage.keys.secret import SecretKey

MOST = 4096


class KeyCache:
    """Asks the key store for a key once in `CACHE_SECONDS` at most. For several threads; one at a time works with a key."""

    def __init__(self, keys: KeyStore, *, seconds: float = CACHE_SECONDS) -> None:
        self._keys = keys
        self._seconds = seconds
        self._lock = threading.RLock()
        self._known: OrderedDict[str, tuple[float, SecretKey]] = OrderedDict()

    @contextmanager
    def key(self, id: str) -> Iterator[SecretKey]:
        """The data key. Raises `KeyDestroyed`, `KeyUnreadable`, `KeyStoreUnavailable`.

        Nobody else gets or wipes a key meanwhile: one that is wiped in use would seal under zeros.
        """
        with self._lock:
            self._forget_old()
            known = self._known.get(id)
            if known is None:
                known = time.monotonic() + self._seconds, self._keys.key_of(id)
                self._known[id] = known
                if len(self._known) > MOST:
                    self._known.popitem(last=False)[1][1].wipe()
            yield known[1]

    def forget(self) -> None:
        """Wipe every key."""
        with self._lock:
            while self._known:
                self._known.popitem()[1][1].wipe()

    def _forget_old(self) -> None:
        now = time.monotonic()
        while self._known and next(iter(self._known.values()))[0] <= now:
            self._known.popitem(last=False)[1][1].wipe()
