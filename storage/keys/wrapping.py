"""Wraps: a key encrypted by another, bound to its place in the tree.

AES-256-GCM with a random 96-bit nonce. The associated data names child, wrapper, purpose and epoch, so that a wrap moved to another
row does not open; the child's id commits to its key, so that one ciphertext cannot be opened as two keys (plain GCM allows that).
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from retention.errors import KeyUnreadable
from storage.keys.secret import KEY_BYTES, SecretKey, kid_of

NONCE_BYTES = 12
TAG_BYTES = 16
WRAP_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES


class Purpose(StrEnum):
    COHORT = "cohort"
    HOLD = "hold"
    DATA = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a wrap belongs. ``child``: kid. ``wrapper``: kid of a cohort or hold key, or a root's id. All without line breaks."""

    child: str
    wrapper: str
    purpose: Purpose
    epoch: int

    @property
    def bound(self) -> bytes:
        """The associated data."""
        return f"retention wrap v1\n{self.child}\n{self.wrapper}\n{self.purpose}\n{self.epoch}".encode()

    @property
    def context(self) -> dict[str, str]:
        """The same as a KMS encryption context: ids only, since CloudTrail writes it down in the clear."""
        return {
            "retention": "wrap v1", "child": self.child, "wrapper": self.wrapper, "purpose": str(self.purpose),
            "epoch": str(self.epoch),
        }  # fmt: skip


def wrap(key: SecretKey, place: Place, cipher: AESGCM) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, key.reveal(), place.bound)


def unwrap(body: bytes, place: Place, cipher: AESGCM) -> SecretKey:
    """The key. Raises `KeyUnreadable` when the wrap was damaged, moved, or made by another key."""
    opened = bytearray(KEY_BYTES)
    try:
        if len(body) != WRAP_BYTES:
            raise InvalidTag
        cipher.decrypt_into(body[:NONCE_BYTES], body[NONCE_BYTES:], place.bound, opened)
    except InvalidTag:
        raise KeyUnreadable(
            f"key {place.child} does not open under {place.wrapper}",
            "the key store is damaged or not the one that belongs to this root: restore its newest backup",
        ) from None
    return committed(SecretKey(opened), place)


def committed(key: SecretKey, place: Place) -> SecretKey:
    """The same key, if it is the one its id stands for. Raises `KeyUnreadable` and wipes it otherwise."""
    if not hmac.compare_digest(kid_of(key.reveal()), place.child):
        key.wipe()
        raise KeyUnreadable(
            f"what opens under {place.wrapper} is not key {place.child}",
            "somebody put another key in its place: restore the newest backup of the key store",
        )
    return key
