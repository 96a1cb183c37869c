"""Sealed files: Tink's AES256-GCM-HKDF streaming format with segments of 1 MiB, written and read with flat memory.

A file is a header (its length in one byte, 32 bytes of salt, 7 bytes of nonce prefix) and segments. Each is AES-256-GCM under
``HKDF-SHA256(key, salt, associated)`` with the nonce ``prefix ‖ number (4 bytes, big-endian) ‖ 1 for the last, else 0``, so segments
can be neither reordered nor left out, and a file that was cut off has no last one. Source: Google Tink, "AES-GCM-HKDF Streaming
AEAD", type AesGcmHkdfStreaming; what is written here opens there and the other way round.

It refuses to hand out a byte that was not authenticated. It does not commit to a key: that one ciphertext opens under two keys is
kept out by the key's id, which the key store checks whenever it unwraps one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from retention.errors import SealedUnreadable

SEGMENT = 1 << 20
"""Bytes of a sealed segment with its tag; the header counts as part of the first one."""
KEY = 32
SALT = 32
PREFIX = 7
TAG = 16
HEADER = 1 + SALT + PREFIX
FIRST = SEGMENT - HEADER - TAG
"""Plaintext bytes of the first segment."""
FULL = SEGMENT - TAG
"""Plaintext bytes of every other segment but the last, which may be shorter."""

Secret = bytes | bytearray | memoryview


class Source(Protocol):
    """Where bytes come from: a file, a pipe, anything with ``readinto``."""

    def readinto(self, buffer: Any, /) -> int | None: ...


class Seekable(Source, Protocol):
    """A source with random access."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def close(self) -> None: ...


class Target(Protocol):
    """Where bytes go. ``write`` takes all it is given."""

    def write(self, data: memoryview, /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes of the plaintext and of the sealed file."""

    plain: int
    sealed: int


class Segments:
    """The segments of one file. ``associated``: what the file belongs to; it does not stand in the file."""

    def __init__(self, key: Secret, header: Secret, associated: bytes) -> None:
        """Raises `SealedUnreadable` for a header that is none."""
        if len(header) != HEADER or header[0] != HEADER:
            raise _unreadable("it does not begin like one")
        self._prefix = bytes(header[1 + SALT :])
        derived = bytearray(KEY)
        try:
            salt = bytes(header[1 : 1 + SALT])
            HKDF(algorithm=hashes.SHA256(), length=KEY, salt=salt, info=associated).derive_into(key, derived)
            self._cipher = AESGCM(derived)
        finally:
            derived[:] = bytes(KEY)

    def seal(self, number: int, plain: memoryview, into: memoryview, *, last: bool) -> int:
        """Writes ``len(plain) + TAG`` bytes to the start of ``into``."""
        size = len(plain) + TAG
        return self._cipher.encrypt_into(self._nonce(number, last), plain, None, into[:size])

    def open(self, number: int, sealed: memoryview, into: memoryview, *, last: bool) -> int:
        """Writes ``len(sealed) - TAG`` bytes to the start of ``into``. Raises `SealedUnreadable`."""
        size = len(sealed) - TAG
        if size < 0:
            raise _unreadable("it was cut off")
        try:
            return self._cipher.decrypt_into(self._nonce(number, last), sealed, None, into[:size])
        except InvalidTag:
            raise _unreadable(f"segment {number} is not what was sealed") from None

    def _nonce(self, number: int, last: bool) -> bytes:
        return self._prefix + number.to_bytes(4, "big") + (b"\1" if last else b"\0")


def sealed_size(plain: int) -> int:
    """Bytes of the sealed file of so many bytes of plaintext."""
    segments = 1 if plain <= FIRST else 1 + -(-(plain - FIRST) // FULL)
    return HEADER + plain + segments * TAG


def plain_size(sealed: int) -> int:
    """Bytes of the plaintext in a sealed file of that size. Raises `SealedUnreadable` for a size that none has."""
    segments = -(-sealed // SEGMENT)
    rest = sealed - (segments - 1) * SEGMENT - (HEADER if segments <= 1 else 0)
    if rest < TAG:
        raise _unreadable("it was cut off")
    return sealed - HEADER - segments * TAG


def seal(source: Source, target: Target, *, key: Secret, associated: bytes) -> Sizes:
    """Seal everything that ``source`` gives, up to its end, under a fresh salt and nonce prefix."""
    header = bytes((HEADER,)) + os.urandom(SALT + PREFIX)
    segments = Segments(key, header, associated)
    ready, ahead, sealed = (memoryview(bytearray(SEGMENT)) for _ in range(3))
    target.write(memoryview(header))
    plain, written, number = 0, HEADER, 0
    filled = fill(source, ready[:FIRST])
    while True:
        whole = filled == (FIRST if number == 0 else FULL)
        following = fill(source, ahead[:FULL]) if whole else 0
        size = segments.seal(number, ready[:filled], sealed, last=not following)
        target.write(sealed[:size])
        plain, written = plain + filled, written + size
        if not following:
            return Sizes(plain=plain, sealed=written)
        ready, ahead, filled, number = ahead, ready, following, number + 1


def pieces(source: Source, *, key: Secret, associated: bytes) -> Iterator[memoryview]:
    """The plaintext of everything that ``source`` gives, in order, each piece authenticated; valid until the next one is asked for.

    That the file is whole is known only when this ends well: `SealedUnreadable` may come after many good pieces.
    """
    ready, ahead, plain = (memoryview(bytearray(SEGMENT)) for _ in range(3))
    filled = fill(source, ready[:HEADER])
    segments = Segments(key, ready[:filled], associated)
    number = 0
    filled = fill(source, ready[: SEGMENT - HEADER])
    while True:
        whole = filled == (SEGMENT - HEADER if number == 0 else SEGMENT)
        following = fill(source, ahead) if whole else 0
        size = segments.open(number, ready[:filled], plain, last=not following)
        yield plain[:size]
        if not following:
            return
        ready, ahead, filled, number = ahead, ready, following, number + 1


class SealedReader(io.RawIOBase):
    """The plaintext of a sealed file that can be sought in: opens only the segments that are asked for, one at a time in memory.

    The last segment is opened first, so that a file that was cut off is refused before a byte of it is handed out. Owns the file.
    """

    def __init__(self, file: Seekable, *, key: Secret, associated: bytes) -> None:
        """Raises `SealedUnreadable`; the file is closed then too."""
        super().__init__()
        self._file = file
        self._at = 0
        self._number = -1
        self._sealed, self._plain = (memoryview(bytearray(SEGMENT)) for _ in range(2))
        self._opened = 0
        try:
            self._length = file.seek(0, os.SEEK_END)
            self.size = plain_size(self._length)
            file.seek(0)
            filled = fill(file, self._sealed[:HEADER])
            self._segments = Segments(key, self._sealed[:filled], associated)
            self._last = -(-self._length // SEGMENT) - 1
            self._load(self._last)
        except BaseException:
            self.close()
            raise

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError("before the start of the file")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # any writable buffer, of which a memoryview is made
        """Raises `SealedUnreadable`, and ``ValueError`` once closed: what was forgotten must not be read as zeros."""
        if self.closed:
            raise ValueError("the sealed file is closed")
        into = memoryview(buffer).cast("B")
        if self._at >= self.size or not into:
            return 0
        number, within = self._place(self._at)
        self._load(number)
        piece = self._plain[within : min(self._opened, within + len(into))]
        into[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        """Forget the plaintext and close the file."""
        if not self.closed:
            self._plain[:] = bytes(SEGMENT)
            self._file.close()
        super().close()

    @staticmethod
    def _place(at: int) -> tuple[int, int]:
        """Segment and place in it of a byte of the plaintext."""
        if at < FIRST:
            return 0, at
        number, within = divmod(at - FIRST, FULL)
        return number + 1, within

    def _load(self, number: int) -> None:
        if number == self._number:
            return
        self._number = -1  # a failure must not leave half a segment behind as this one
        start = HEADER if number == 0 else number * SEGMENT
        size = min((number + 1) * SEGMENT, self._length) - start
        self._file.seek(start)
        if fill(self._file, self._sealed[:size]) < size:
            raise _unreadable("it was cut off while it was read")
        self._opened = self._segments.open(
            number, self._sealed[:size], self._plain, last=number == self._last
        )
        self._number = number


def fill(source: Source, into: memoryview) -> int:
    """Read until ``into`` is full or the source has ended. Returns the bytes read."""
    filled = 0
    while filled < len(into):
        count = source.readinto(into[filled:])
        if not count:
            break
        filled += count
    return filled


def _unreadable(why: str) -> SealedUnreadable:
    return SealedUnreadable(
        f"the sealed file cannot be read: {why}",
        "it was changed, cut off, exchanged, or belongs to another object; take it from a backup",
    )
