"""One sealed file that opens under two keys: it can be made, since AES-GCM does not commit; the key store does not let it be used."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select, update

from retention.errors import KeyUnreadable
from storage.keys import tables
from storage.keys.keystore import KeyStore
from storage.keys.secret import SecretKey
from storage.sealed import stream
from storage.sealed.stream import HEADER, KEY, PREFIX, SALT
from tests.storage.files.shelf import EXPORTS, NOW
from tests.storage.sealed.safe import Safe

_R = 0xE1 << 120
"""The field of GHASH (NIST SP 800-38D, 6.3): x^128 + x^7 + x^2 + x + 1, bits reversed."""


def times(one: int, other: int) -> int:
    product = 0
    for bit in range(127, -1, -1):
        if other >> bit & 1:
            product ^= one
        one = (one >> 1) ^ (_R if one & 1 else 0)
    return product


def power(base: int, exponent: int) -> int:
    result = 1 << 127
    while exponent:
        if exponent & 1:
            result = times(result, base)
        base, exponent = times(base, base), exponent >> 1
    return result


def block(key: bytes, plain: bytes) -> int:
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  # the block cipher itself, as GCM uses it
    return int.from_bytes(cipher.update(plain) + cipher.finalize(), "big")


def opens_under_both(first: bytes, second: bytes, associated: bytes) -> bytes:
    """A sealed file of one segment, two blocks long, whose tag is right under both keys."""
    header = bytes((HEADER,)) + os.urandom(SALT + PREFIX)
    salt, nonce = header[1 : 1 + SALT], header[1 + SALT :] + bytes(4) + b"\1"
    keys = [
        HKDF(algorithm=hashes.SHA256(), length=KEY, salt=salt, info=associated).derive(key)
        for key in (first, second)
    ]
    h = [block(key, bytes(16)) for key in keys]
    masks = [block(key, nonce + b"\0\0\0\1") for key in keys]
    length, one = 2 * 128, int.from_bytes(os.urandom(16), "big")
    # tag = mask + one·h³ + other·h² + length·h, for both: one equation for the other block.
    known = [
        mask ^ times(one, power(own, 3)) ^ times(length, own) for mask, own in zip(masks, h, strict=True)
    ]
    other = times(known[0] ^ known[1], power(power(h[0], 2) ^ power(h[1], 2), 2**128 - 2))
    tag = known[0] ^ times(other, power(h[0], 2))
    return header + b"".join(part.to_bytes(16, "big") for part in (one, other, tag))


def opened(content: bytes, key: bytes, id: str) -> bytes:
    return b"".join(map(bytes, stream.pieces(io.BytesIO(content), key=key, associated=id.encode())))


def test_a_file_that_opens_under_two_keys_is_opened_with_the_registered_one_only(
    tmp_path: Path, keys: KeyStore
) -> None:
    safe = Safe.at(tmp_path / "root", EXPORTS, keys)
    safe.shelf.write("a", text="x" * 32)
    safe.seal()
    id = safe.sealed()["a"]
    other = os.urandom(KEY)
    with keys.key_of(id) as key:
        both = opens_under_both(bytes(key.reveal()), other, id.encode())
        genuine = opened(both, bytes(key.reveal()), id)
    # The format alone takes either key: that is why the key's id commits to the key.
    assert opened(both, other, id) != genuine
    (safe.shelf.place / safe.names()[0]).write_bytes(both)
    swap_in(keys, id, other)
    with pytest.raises(KeyUnreadable):
        keys.key_of(id)


def swap_in(keys: KeyStore, id: str, other: bytes) -> None:
    """Put another key's wrap in the place of the object's: what somebody with the cohort's key could do."""
    kid, wrap = keys.object(id).kid, tables.wrap
    with SecretKey(other) as key, keys.db.write(NOW) as entry:
        wrapper = entry.connection.execute(select(wrap.c.wrapper).where(wrap.c.child == kid)).scalar_one()
        place, body = keys.keyring.wrapped(entry, key, kid, wrapper)
        entry.connection.execute(update(wrap).where(wrap.c.child == kid).values(body=body, epoch=place.epoch))
