"""Sealing of what must not stand in the ledger in the clear: a hold's scope (it names patrons) and its matter, and where an
export lies (file names may name a patron).

AES-256-GCM with a random 96-bit nonce; the row's own id is the associated data, so bodies cannot be swapped between rows.
The key is a file of its own (32 bytes, mode 0600), never in the ledger or its backups.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from retention.errors import LedgerUnavailable

NONCE_BYTES = 12
KEY_BYTES = 32
_SEALED = {"D": "document", "E": "export", "Q": "question"}


class Sealer:
    """Seals and opens small bodies under one site key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise LedgerUnavailable(
                "the ledger's sealing key is not 32 bytes long", "restore the key file from your backup"
            )
        self._cipher = AESGCM(key)
        self._marking = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"retention marks v1").derive(key)

    def mark(self, kind: str, text: str) -> str:
        """A digest (hex) that finds the same text again and tells nobody without the key what it is. ``kind`` keeps uses apart."""
        body = f"{kind}\0{text}".encode("utf-8", "surrogateescape")
        return hmac.new(self._marking, body, hashlib.sha256).hexdigest()

    def seal(self, body: bytes, row: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, body, row.encode())

    def open(self, sealed: bytes, row: str) -> bytes:
        """The body again. Raises `LedgerUnavailable`: a hold nobody can read may keep anything, so nothing may run."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], row.encode())
        except InvalidTag:
            raise LedgerUnavailable(
                f"{_SEALED.get(row[:1], 'hold')} {row} cannot be read with this site's sealing key",
                "restore the key file that belongs to this ledger",
            ) from None
