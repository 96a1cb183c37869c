"""Opening the key store from addresses: the one place that knows which root class serves which kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from storage.keys.keystore import KeyStore
from storage.keys.roots.kms import KmsRoot
from storage.keys.roots.kms_client import KmsClient, connect
from storage.keys.roots.local import LocalRoot
from storage.keys.roots.root import Root, RootKind, Roots
from storage.keys.roots.two_share import TwoShareRoot


@dataclass(frozen=True, kw_only=True)
class KeySite:
    """``url``: of the key store; may hold a password. ``roots``: folder of root files and shares, ``backups``: of the store's backups;
    never the same. ``window_days``: how long the KMS keeps a deleted key."""

    url: str = field(repr=False)
    kind: RootKind
    roots: Path
    backups: Path
    region: str | None = None
    endpoint: str | None = None
    window_days: int = 30

    @cached_property
    def _client(self) -> KmsClient:
        return connect(self.region, self.endpoint)

    def open(self) -> KeyStore:
        """Raises `SettingsError`. Nothing is asked of a database or a KMS yet."""
        known: dict[RootKind, Root] = {RootKind.LOCAL: LocalRoot(self.roots)}
        if self.kind is not RootKind.LOCAL or self.region is not None:
            # Also where roots are files now: a root that a site has moved away from is destroyed like any other.
            known[RootKind.KMS] = KmsRoot(self._client, window_days=self.window_days)
            known[RootKind.TWO_SHARE] = TwoShareRoot(self._client, self.roots, window_days=self.window_days)
        return KeyStore(self.url, Roots(chosen=self.kind, known=known), backups=self.backups)
