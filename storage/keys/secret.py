"""A key in memory, and the id that commits to it.

Refuses to be printed, pickled, compared or turned into JSON: a key leaves this process only wrapped (`storage.keys.wrapping`).
Wiping is the best Python can do: the bytes we hold are overwritten; copies that OpenSSL made for a moment are not ours to reach.
"""

from __future__ import annotations

import hmac
import os
from types import TracebackType
from typing import NoReturn

KEY_BYTES = 32
_KID_INFO = b"retention kid v1\x01"
_NO_SALT = bytes(32)


class SecretKey:
    """32 bytes that can be wiped. ``with key: …`` wipes at the end."""

    __slots__ = ("_bytes",)

    def __init__(self, material: bytes | bytearray) -> None:
        """Takes over a ``bytearray`` as it is (and will wipe it); copies ``bytes``."""
        if len(material) != KEY_BYTES:
            raise ValueError("a key has 32 bytes")
        self._bytes = material if isinstance(material, bytearray) else bytearray(material)

    @classmethod
    def random(cls) -> SecretKey:
        return cls(os.urandom(KEY_BYTES))

    def reveal(self) -> bytearray:
        """The bytes themselves, not a copy. Raises ``ValueError`` once wiped."""
        if not self._bytes:
            raise ValueError("this key was wiped")
        return self._bytes

    @property
    def kid(self) -> str:
        return kid_of(self.reveal())

    def subkey(self, purpose: bytes) -> SecretKey:
        """A key for another purpose, by HKDF-SHA256: says nothing about this one."""
        return SecretKey(derived(self.reveal(), purpose))

    def wipe(self) -> None:
        """Overwrite and let go. May be called twice."""
        self._bytes[:] = bytes(len(self._bytes))
        self._bytes.clear()

    def __enter__(self) -> SecretKey:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return "SecretKey(hidden)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is never pickled")

    def __copy__(self) -> NoReturn:
        raise TypeError("a key is never copied")

    def __deepcopy__(self, _memo: object) -> NoReturn:
        raise TypeError("a key is never copied")


def kid_of(key: bytes | bytearray) -> str:
    """The id that commits to a key: HKDF-SHA256 without salt, info ``retention kid v1``, 16 bytes, as hex."""
    # RFC 5869 by hand: one block is needed, and this is asked for once per rewrap.
    return hmac.digest(hmac.digest(_NO_SALT, key, "sha256"), _KID_INFO, "sha256")[:16].hex()


def derived(key: bytes | bytearray, purpose: bytes, salt: bytes = b"") -> bytearray:
    """HKDF-SHA256, 32 bytes."""
    return bytearray(hmac.digest(hmac.digest(salt or _NO_SALT, key, "sha256"), purpose + b"\x01", "sha256"))
