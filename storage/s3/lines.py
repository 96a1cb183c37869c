"""One item of a bucket's manifest: ``[key, size, [tokens], start, end, camera]`` in JSON. One key with all that is at it.

``key`` is relative to the location's prefix, and is the item's key for people and its reference in the certificate. ``tokens``: the
versions, delete markers and unfinished uploads that the survey saw (`storage.s3.listing.Entry.token`); what is there later and was
not seen then keeps the item. ``start``/``end``: the footage's span in seconds since 1970, or null for unknown.
"""

from __future__ import annotations

import json
import math
from typing import NamedTuple

from retention.errors import VerificationFailed

_DECODER = json.JSONDecoder()
_quote = json.encoder.encode_basestring


class Line(NamedTuple):
    key: str
    size: int
    tokens: tuple[str, ...]
    start: float | None
    end: float | None
    camera: str | None


def write_line(line: Line) -> bytes:
    """The line with its newline."""
    tokens = ",".join(map(_quote, line.tokens))
    first, last = (
        "null" if line.start is None else repr(line.start),
        "null" if line.end is None else repr(line.end),
    )
    camera = "null" if line.camera is None else _quote(line.camera)
    return f"[{_quote(line.key)},{line.size},[{tokens}],{first},{last},{camera}]\n".encode()


def read_line(text: bytes) -> Line:
    """Raises `VerificationFailed`, without quoting anything, for a line that no survey wrote."""
    try:
        key, size, tokens, start, end, camera = _DECODER.decode(text.decode())
        if not (type(key) is str and key and type(size) is int and type(tokens) is list and tokens):
            raise TypeError
        if not all(type(token) is str for token in tokens):
            raise TypeError
        if not (_is_time(start) and _is_time(end) and (camera is None or type(camera) is str)):
            raise TypeError
        key.encode()
        return Line(key, size, tuple(tokens), start, end, camera)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise VerificationFailed("a line of the manifest cannot be read", "survey again") from None


def read_key(text: bytes) -> str:
    """The key alone, of a line that was read whole before. Raises `VerificationFailed`."""
    try:
        if text.startswith(b'["'):
            key, _ = _DECODER.raw_decode(text.decode(), 1)
            return str(key)
    except ValueError:
        pass
    raise VerificationFailed("a line of the manifest cannot be read", "survey again")


def _is_time(value: object) -> bool:
    return value is None or ((type(value) is float or type(value) is int) and math.isfinite(value))
