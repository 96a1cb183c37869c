"""One item of a file store's manifest: ``[path, inode, device, size, stamp, start, end, camera]`` in JSON.

``path`` is relative to the location's folder. Names on disk are bytes: a path that is not UTF-8 is written as ``/`` and its
percent-encoded bytes, which no relative path looks like; the same text is the item's key for people and its reference in the
certificate. ``stamp``: a file's modification time in nanoseconds, or a folder's digest. ``start``/``end``: the footage's span in
seconds since 1970, or null for unknown.
"""

from __future__ import annotations

import json
import math
import os
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from retention.errors import VerificationFailed

_quote = json.encoder.encode_basestring
"""Text as a JSON string. The array around it is written by hand: a third of the encoder's time, once per file."""
_NOWHERE = frozenset({"", ".", ".."})


class Identity(NamedTuple):
    """What makes a file or folder the surveyed one."""

    inode: int
    device: int
    size: int
    stamp: int | str


class Line(NamedTuple):
    path: str
    identity: Identity
    start: float | None
    end: float | None
    camera: str | None


def write_line(line: Line) -> bytes:
    """The line with its newline."""
    path, (inode, device, size, stamp), start, end, camera = line
    mark = stamp if type(stamp) is int else _quote(str(stamp))
    seen_by = "null" if camera is None else _quote(camera)
    first, last = "null" if start is None else repr(start), "null" if end is None else repr(end)
    return f"[{_quote(to_text(path))},{inode},{device},{size},{mark},{first},{last},{seen_by}]\n".encode()


def read_line(text: bytes) -> Line:
    """Raises `VerificationFailed`, without quoting anything, for a line that no survey wrote."""
    try:
        # Decoded first: of bytes the reader would guess the encoding, line by line.
        path, inode, device, size, stamp, start, end, camera = json.loads(text.decode())
        if not (type(inode) is type(device) is type(size) is int and type(stamp) in (int, str)):
            raise TypeError
        if not (_is_time(start) and _is_time(end) and (camera is None or type(camera) is str)):
            raise TypeError
        return Line(from_text(path), Identity(inode, device, size, stamp), start, end, camera)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise VerificationFailed("a line of the manifest cannot be read", "survey again") from None


def to_text(path: str) -> str:
    """A path as valid text. Reversible: see `from_text`."""
    if path.isascii():
        return path
    try:
        path.encode()
    except UnicodeEncodeError:
        return "/" + quote_from_bytes(os.fsencode(path))
    return path


def from_text(text: str) -> str:
    """A path as Python hands it on from the disk. Raises ``ValueError`` for one that leaves the location."""
    if not text.isascii():
        text.encode()
    path = os.fsdecode(unquote_to_bytes(text[1:])) if text.startswith("/") else text
    if "\0" in path or not _NOWHERE.isdisjoint(path.split("/")):
        raise ValueError("not a path below the location")
    return path


def _is_time(value: object) -> bool:
    return value is None or ((type(value) is float or type(value) is int) and math.isfinite(value))
