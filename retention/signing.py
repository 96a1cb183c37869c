"""Signing keys: Ed25519 (RFC 8032) as bytes in, bytes out. Where keys are kept is not decided here.

A key id is ``ed25519:`` and the whole SHA-256 (hex) of the 32 raw bytes of the public key: it names the algorithm, so
a signature can never be checked under another one than its key was made for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from retention.errors import UsageError

KIND = "retention-ed25519"
MAX_KEY_FILE = 64 * 1024


class Signer(Protocol):
    """Whatever can sign: a key in memory, later a key that never leaves its module."""

    @property
    def keyid(self) -> str: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key and the name its owner gave it. The name is a comment: only ``raw`` counts when keys are compared."""

    raw: bytes
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise UsageError("an Ed25519 public key has 32 bytes")
        if not (self.name == "" or self.name.isprintable()):
            raise UsageError("the name of a public key must be printable, on one line")

    @property
    def keyid(self) -> str:
        return "ed25519:" + hashlib.sha256(self.raw).hexdigest()

    @property
    def text(self) -> str:
        """The key as base64, as it stands in its line and in certificates."""
        return base64.b64encode(self.raw).decode("ascii")

    @property
    def line(self) -> str:
        """One line for people and files: ``retention-ed25519 BASE64 NAME``."""
        return f"{KIND} {self.text} {self.name}".rstrip()

    @property
    def pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM (RFC 8410), for openssl."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made that signature over exactly these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key in memory. Its ``repr`` shows the key id only."""

    _key: Ed25519PrivateKey = field(repr=False)
    public: PublicKey

    @property
    def keyid(self) -> str:
        return self.public.keyid

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature (deterministic, RFC 8032)."""
        return self._key.sign(message)

    def dump(self, passphrase: bytes | None = None) -> bytes:
        """PKCS #8 in PEM, encrypted when a passphrase is given."""
        protection: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            protection = BestAvailableEncryption(passphrase)
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def generate(name: str = "") -> SigningKey:
    """A new key from the operating system's randomness."""
    return _signing_key(Ed25519PrivateKey.generate(), name)


def load_private(pem: bytes, passphrase: bytes | None = None, name: str = "") -> SigningKey:
    """Read a private key from PEM. Raises `UsageError` without quoting the file."""
    try:
        key = load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError("this is not a private key in PEM, or the passphrase does not open it") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("this private key is not an Ed25519 key")
    return _signing_key(key, name)


def _signing_key(key: Ed25519PrivateKey, name: str) -> SigningKey:
    return SigningKey(key, PublicKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), name))


def load_public(data: bytes) -> PublicKey:
    """Read one public key: a line ``retention-ed25519 BASE64 NAME`` or PEM. Raises `UsageError`."""
    keys = load_public_keys(data)
    if len(keys) != 1:
        raise UsageError(f"one public key was expected, {len(keys)} were found")
    return keys[0]


def load_public_keys(data: bytes) -> tuple[PublicKey, ...]:
    """Read a PEM key, or every key of a file with one line per key (empty lines and ``#`` comments are passed over)."""
    if len(data) > MAX_KEY_FILE:
        raise UsageError("this is not a public key: the file is too large")
    if data.lstrip().startswith(b"-----BEGIN"):
        return (_from_pem(data),)
    try:
        lines = [line.strip() for line in data.decode("utf-8").splitlines()]
    except UnicodeDecodeError:
        raise UsageError("this is not a public key: neither PEM nor text") from None
    keys = tuple(_from_line(line) for line in lines if line and not line.startswith("#"))
    if not keys:
        raise UsageError("there is no public key in this file")
    return keys


def _from_pem(data: bytes) -> PublicKey:
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError("this is not a public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("this public key is not an Ed25519 key")
    return PublicKey(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def _from_line(line: str) -> PublicKey:
    kind, _, rest = line.partition(" ")
    text, _, name = rest.strip().partition(" ")
    if kind != KIND:
        raise UsageError("this is not a public key", f"expected a line “{KIND} BASE64 NAME” or PEM")
    return PublicKey(decode(text, "the public key"), name.strip())


def decode(text: str, what: str) -> bytes:
    """Base64 as `base64.b64encode` writes it and in no other spelling. Raises `UsageError`."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError(f"{what} is not base64") from None
    if base64.b64encode(data).decode("ascii") != text:
        raise UsageError(f"{what} is not base64 in its one spelling")
    return data


def key_ring(*keys: PublicKey) -> dict[str, PublicKey]:
    """Keys by key id, as `retention.envelope` and `retention.verify` take them."""
    return {key.keyid: key for key in keys}
