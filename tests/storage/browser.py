"""A browser with a passkey, as far as its answers go: takes the options that a page gives, and answers as JSON."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any

import cbor2

from retention.signing import P256
from tests.retention.authenticator import ORIGIN, USED, Authenticator, b64url


def unurl(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cose(passkey: Authenticator) -> bytes:
    raw = passkey.public.raw
    if passkey.public.kind == P256:
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: raw[1:33], -3: raw[33:]})
    return cbor2.dumps({1: 1, 3: -8, -1: 6, -2: raw})


def credential(passkey: Authenticator) -> bytes:
    return sha256(b"credential" + passkey.public.raw).digest()


def made(
    options: str, passkey: Authenticator, *, origin: str = ORIGIN, flags: int = USED, key: bytes | None = None, **client: Any
) -> str:  # fmt: skip
    """The answer to `storage.passkeys.registration`. ``client``: members of the client data that differ."""
    asked = json.loads(options)
    said = {"type": "webauthn.create", "challenge": asked["challenge"], "origin": origin} | client
    id = credential(passkey)
    data = sha256(asked["rp"]["id"].encode()).digest() + bytes([flags | 0x40]) + bytes(4)
    data += bytes(16) + len(id).to_bytes(2, "big") + id + (cose(passkey) if key is None else key)
    attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
    return json.dumps(
        {
            "id": b64url(id),
            "rawId": b64url(id),
            "type": "public-key",
            "response": {
                "clientDataJSON": b64url(json.dumps(said).encode()),
                "attestationObject": b64url(attestation),
            },
        }
    )


def answered(options: str, passkey: Authenticator, *, origin: str = ORIGIN, flags: int = USED) -> str:
    """The answer to `storage.passkeys.asking`."""
    asked = json.loads(options)
    said = {"type": "webauthn.get", "challenge": asked["challenge"], "origin": origin, "crossOrigin": False}
    client = json.dumps(said).encode()
    head = sha256(asked["rpId"].encode()).digest() + bytes([flags]) + bytes(4)
    id = b64url(credential(passkey))
    return json.dumps(
        {
            "id": id,
            "rawId": id,
            "type": "public-key",
            "response": {
                "clientDataJSON": b64url(client),
                "authenticatorData": b64url(head),
                "signature": b64url(passkey.key.sign(head + sha256(client).digest())),
                "userHandle": None,
            },
        }
    )
