"""A sealed value in a column: version, object id, nonce and ciphertext in one compact text or one run of bytes.

AES-256-GCM under a key made from the object's data key, a random nonce, and the associated data (table, column, object, and the row's key
where the caller gives it): a value moved to another column, or to a patron with another key, does not open. Values of one patron and
period can be exchanged within a column unless they are bound to their rows.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from retention.errors import SealedUnreadable
from storage.keys.secret import SecretKey

PURPOSE = b"retention column v1"
NONCE = 12
TAG = 16

_TEXT = re.compile(r"s1([rv])\.([0-9a-f]{16})\.([A-Za-z0-9_-]{38,})")
_BYTES = b"\xfes1"
_ID = 8


class Token(NamedTuple):
    """``id``: the object. ``bound``: to its row. ``body``: nonce and ciphertext."""

    id: str
    bound: bool
    body: bytes


class Place(NamedTuple):
    """Where a value stands. ``row``: the row's key as text, "" where it is not bound to one."""

    table: str
    column: str
    row: str = ""

    def associated(self, id: str) -> bytes:
        # Lengths in front: no two places give the same bytes.
        parts = [PURPOSE.decode(), id, *self]
        return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))


def seal(plain: bytes, key: SecretKey, id: str, place: Place) -> Token:
    """Seal one value."""
    nonce = os.urandom(NONCE)
    with key.subkey(PURPOSE) as own:
        body = nonce + AESGCM(own.reveal()).encrypt(nonce, plain, place.associated(id))
    return Token(id, bool(place.row), body)


def open_(token: Token, key: SecretKey, place: Place) -> bytes:
    """The value again. Raises `SealedUnreadable`."""
    at = place if token.bound else place._replace(row="")
    try:
        with key.subkey(PURPOSE) as own:
            return AESGCM(own.reveal()).decrypt(
                token.body[:NONCE], token.body[NONCE:], at.associated(token.id)
            )
    except InvalidTag:
        raise SealedUnreadable(
            f"a sealed value of object {token.id} cannot be read",
            "it was changed, or it was moved from another column or row",
        ) from None


def to_text(token: Token) -> str:
    body = base64.urlsafe_b64encode(token.body).rstrip(b"=").decode()
    return f"s1{'r' if token.bound else 'v'}.{token.id}.{body}"


def from_text(text: str) -> Token | None:
    """``None`` for text that is no sealed value."""
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    try:
        body = base64.b64decode(found[3] + "=" * (-len(found[3]) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    return Token(found[2], found[1] == "r", body) if len(body) >= NONCE + TAG else None


def to_bytes(token: Token) -> bytes:
    return _BYTES + (b"r" if token.bound else b"v") + bytes.fromhex(token.id) + token.body


def from_bytes(raw: bytes) -> Token | None:
    """``None`` for bytes that are no sealed value."""
    head = len(_BYTES) + 1
    if not raw.startswith((_BYTES + b"r", _BYTES + b"v")) or len(raw) < head + _ID + NONCE + TAG:
        return None
    return Token(raw[head : head + _ID].hex(), raw[head - 1 : head] == b"r", raw[head + _ID :])


def text_length(plain: int) -> int:
    """Characters of the token of so many bytes."""
    return 4 + 16 + 1 + -(-(NONCE + plain + TAG) * 4 // 3)
