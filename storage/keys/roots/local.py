"""A root in a file: for small sites. Claims *clear* at most.

The file is overwritten and unlinked when its version is destroyed. That is an attempt: flash, snapshots and copy-on-write file systems
may keep its bytes. Refuses a file that others may read, and one that is not the registered root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from retention.errors import KeyStoreUnavailable, KeyUnreadable
from storage.keys import wrapping
from storage.keys.roots.root import Made, OpenRoot, RootState, RootVersion, Standing, through_memory
from storage.keys.secret import KEY_BYTES, SecretKey
from storage.keys.wrapping import Place
from storage.spool import create_private, make_durable


class OpenLocal:
    """A root key in this process's memory."""

    def __init__(self, key: SecretKey) -> None:
        self._cipher = AESGCM(key.reveal())

    def wrap(self, key: SecretKey, place: Place) -> bytes:
        return wrapping.wrap(key, place, self._cipher)

    def unwrap(self, body: bytes, place: Place) -> SecretKey:
        return wrapping.unwrap(body, place, self._cipher)

    def take_over(self, old: OpenRoot, body: bytes, before: Place, after: Place) -> bytes:
        return through_memory(self, old, body, before, after)


class KeyFiles:
    """A private folder with one file of 32 bytes per root version. ``ending`` tells roots from shares."""

    def __init__(self, folder: Path, ending: str) -> None:
        self._folder = folder
        self._ending = ending

    def path(self, id: str) -> Path:
        return self._folder / f"{id}.{self._ending}"

    def make(self, id: str, *, again: bool) -> SecretKey:
        """A new key, durable before this returns."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if again:
                self.erase(id)
            key = SecretKey.random()
            with create_private(self.path(id)) as file:
                file.write(key.reveal())
                file.flush()
                os.fsync(file.fileno())
            make_durable(self._folder)
            make_durable(self._folder.parent)
        except OSError as error:
            raise KeyStoreUnavailable(
                f"a new root cannot be written: {os.strerror(error.errno or 0)}",
                f"look at the disk and the rights of {self._folder}; nothing was changed",
            ) from None
        return key

    def read(self, id: str) -> SecretKey:
        path = self.path(id)
        held = bytearray(KEY_BYTES)
        try:
            with path.open("rb", buffering=0) as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
                    raise KeyStoreUnavailable(f"{path} may be read by others", f"chmod 600 {path}")
                whole = file.readinto(held) == KEY_BYTES and not file.read(1)
        except FileNotFoundError:
            raise KeyStoreUnavailable(
                f"the root of the key store is missing: {path}",
                "put it back from where you keep it apart; without it nothing that is sealed opens (docs/keys.md)",
            ) from None
        except OSError as error:
            raise KeyStoreUnavailable(
                f"{path} cannot be read: {os.strerror(error.errno or 0)}", "look at its owner and mode"
            ) from None
        if not whole:
            raise KeyUnreadable(f"{path} is not a key of 32 bytes", "put back the file that belongs here")
        return SecretKey(held)

    def exists(self, id: str) -> bool:
        return self.path(id).exists()

    def ids(self) -> set[str]:
        """Every version whose file lies here."""
        return {path.stem for path in self._folder.glob(f"*.{self._ending}")}

    def erase(self, id: str) -> None:
        """Overwrite, unlink, and make the unlinking durable. A file that is not there stays so."""
        path = self.path(id)
        try:
            with path.open("r+b", buffering=0) as file:
                file.write(os.urandom(KEY_BYTES))
                os.fsync(file.fileno())
            path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise KeyStoreUnavailable(
                f"the old root {path} could not be destroyed: {os.strerror(error.errno or 0)}",
                "look at its owner and mode, then: retention keys rotate",
            ) from None
        # Without this the unlinked file was still there after a power cut, on ext4 and on XFS.
        if self._folder.is_dir():
            make_durable(self._folder)


class LocalRoot:
    """``folder``: where root files lie; outside every backup of the key store."""

    def __init__(self, folder: Path) -> None:
        self.files = KeyFiles(folder, "root")

    def create(self, id: str, *, again: bool) -> Made:
        with self.files.make(id, again=again) as key:
            return Made(kid=key.kid)

    @contextmanager
    def open(self, version: RootVersion) -> Iterator[OpenRoot]:
        with self.files.read(version.id) as key:
            require_registered(key, version, self.files.path(version.id).name)
            yield OpenLocal(key)

    def standing(self, version: RootVersion, *, at: datetime) -> Standing:
        if self.files.exists(version.id):
            return Standing(state=RootState.USABLE)
        return Standing(state=RootState.GONE, by="file")

    def end(self, version: RootVersion, *, at: datetime) -> Standing:
        self.files.erase(version.id)
        return self.standing(version, at=at)

    def lying_here(self) -> set[str]:
        return self.files.ids()


def require_registered(key: SecretKey, version: RootVersion, name: str) -> None:
    """Raises `KeyUnreadable` unless this is the key that the version's id commits to."""
    if key.kid != version.kid:
        raise KeyUnreadable(
            f"{name} is not the root that this key store was wrapped with",
            "put back the file that belongs to this key store, or the key store that belongs to the file",
        )
