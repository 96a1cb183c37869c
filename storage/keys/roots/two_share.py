"""A root of two shares: HKDF(share in the KMS ‖ share in a file). Destroying either destroys the root.

So a library need not wait for the KMS's window (`forget`), and neither the KMS nor whoever takes the disk can open anything alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from retention.errors import KeyUnreadable
from storage.keys.roots.kms import KmsKeys, secret
from storage.keys.roots.kms_client import KmsClient, asking
from storage.keys.roots.local import KeyFiles, OpenLocal, require_registered
from storage.keys.roots.root import Made, OpenRoot, RootState, RootVersion, Standing
from storage.keys.secret import KEY_BYTES, SecretKey, derived

_INFO = b"retention two-share root v1"


class TwoShareRoot:
    """``folder``: where the local shares lie; outside every backup of the key store."""

    def __init__(self, client: KmsClient, folder: Path, *, window_days: int) -> None:
        self._keys = KmsKeys(client, window_days=window_days)
        self.files = KeyFiles(folder, "share")

    def create(self, id: str, *, again: bool) -> Made:
        name = self._keys.make(id, again=again)
        self._keys.require_usable(name)
        with asking("make a share of the root"):
            answer = self._keys.client.generate_data_key(
                KeyId=name, NumberOfBytes=KEY_BYTES, EncryptionContext=_context(id)
            )
        with (
            secret(answer["Plaintext"], id) as far,
            self.files.make(id, again=again) as near,
            _joined(far, near) as key,
        ):
            return Made(reference=name, body=bytes(answer["CiphertextBlob"]), kid=key.kid)

    @contextmanager
    def open(self, version: RootVersion) -> Iterator[OpenRoot]:
        with self.files.read(version.id) as near:
            self._keys.require_usable(version.reference)
            if version.body is None:
                raise KeyUnreadable(
                    "the KMS's share of the root is missing", "restore the newest backup of the key store"
                )
            with asking("open its share of the root"):
                answer = self._keys.client.decrypt(
                    KeyId=version.reference,
                    CiphertextBlob=version.body,
                    EncryptionContext=_context(version.id),
                )
            with secret(answer["Plaintext"], version.id) as far, _joined(far, near) as key:
                require_registered(key, version, self.files.path(version.id).name)
                yield OpenLocal(key)

    def standing(self, version: RootVersion, *, at: datetime) -> Standing:
        if not self.files.exists(version.id):
            return Standing(state=RootState.GONE, by="share")
        return self._keys.standing(version.reference, promised=version.until, at=at)

    def end(self, version: RootVersion, *, at: datetime) -> Standing:
        """Schedules the KMS's share; the share in the file goes with it, or before it (`forget`)."""
        far = self._keys.schedule(version.reference, promised=version.until, at=at)
        if far.state is RootState.GONE:
            self.files.erase(version.id)
            return far
        return far if self.files.exists(version.id) else Standing(state=RootState.GONE, by="share")

    def lying_here(self) -> set[str]:
        return self.files.ids()

    def forget(self, version: RootVersion) -> Standing:
        """Destroy the share in the file: at once, and without the KMS."""
        self.files.erase(version.id)
        return Standing(state=RootState.GONE, by="share")


def _context(id: str) -> dict[str, str]:
    return {"retention": "share v1", "root": id}


def _joined(far: SecretKey, near: SecretKey) -> SecretKey:
    both = far.reveal() + near.reveal()
    try:
        return SecretKey(derived(both, _INFO))
    finally:
        both[:] = bytes(len(both))
