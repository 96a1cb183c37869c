"""What is in one version of an object, as a file: read in parts, from wherever it is asked for. Never more than one part in memory.

Reasons why an object cannot be read are ``OSError``, as a file's are, in our words: the store's own quote keys. What is wrong with the
store as a whole is `StoreUnavailable`.
"""

from __future__ import annotations

import errno
import io
from io import SEEK_CUR, SEEK_END, SEEK_SET
from typing import Any, BinaryIO

from storage.s3.failures import answered, told
from storage.s3.listing import Entry
from storage.s3.wire import Wire

WHOLE = 4 << 20
"""Bytes up to which an object is fetched with one request."""
SMALLEST, LARGEST = 64 << 10, 8 << 20
"""Bytes of a part: the first after a leap, and the most that a part grows to while parts follow one another."""

_REFUSED = {
    "AccessDenied": (errno.EACCES, "the store lets it be listed but not read"),
    "403": (errno.EACCES, "the store lets it be listed but not read"),
    "InvalidObjectState": (errno.EREMOTE, "it is archived in the store"),
    "InvalidRequest": (errno.EACCES, "it is encrypted with a key that the store does not have"),
    "NoSuchKey": (errno.ENOENT, "it went while it was read"),
    "NoSuchVersion": (errno.ENOENT, "it went while it was read"),
    "404": (errno.ENOENT, "it went while it was read"),
    "PreconditionFailed": (errno.ESTALE, "it was replaced while it was read"),
    "412": (errno.ESTALE, "it was replaced while it was read"),
}


def open_version(wire: Wire, entry: Entry) -> BinaryIO:
    """One version, open for reading. ``entry``: of kind version. Reading raises ``OSError``, `StoreUnavailable`."""
    return io.BufferedReader(_Version(wire, entry), SMALLEST)


class _Version(io.RawIOBase):
    """Fetches parts as they are asked for."""

    def __init__(self, wire: Wire, entry: Entry) -> None:
        self._wire = wire
        self._entry = entry
        self._at = 0
        self._part = b""
        self._start = 0
        self._length = SMALLEST

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        self._at = offset + {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._entry.size}[whence]
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        if self._at >= self._entry.size:
            return 0
        offset = self._at - self._start
        if not 0 <= offset < len(self._part):
            self._fetch()
            offset = 0
        given = self._part[offset : offset + len(buffer)]
        buffer[: len(given)] = given
        self._at += len(given)
        return len(given)

    def _fetch(self) -> None:
        follows = bool(self._part) and self._at == self._start + len(self._part)
        self._length = min(LARGEST, 4 * self._length) if follows else SMALLEST
        length = WHOLE if self._entry.size <= WHOLE else self._length
        wanted = min(length, self._entry.size - self._at)
        self._part = b""  # one part at a time
        self._part = self._get(self._at, wanted)
        self._start = self._at

    def _get(self, at: int, length: int) -> bytes:
        # A nameless version may be replaced by another of the same name: then it is known by what it holds.
        nameless = self._entry.version == "null"
        which = (
            {"IfMatch": self._entry.etag}
            if nameless and self._entry.latest
            else {"VersionId": self._entry.version}
        )
        got = self._wire.ask(
            "get_object", Key=self._entry.key, Range=f"bytes={at}-{at + length - 1}", **which
        )
        if isinstance(got, str):
            if got not in _REFUSED and not got.startswith("KMS."):
                raise answered(got)
            raise OSError(
                *_REFUSED.get(got, (errno.EACCES, "the key that it is encrypted with cannot be used"))
            )
        with told():
            part: bytes = got["Body"].read(length + 1)
        got["Body"].close()
        if len(part) != length:
            raise OSError(errno.ESTALE, "it is not as long as the store says")
        return part
