"""Signing keys: Ed25519 (RFC 8032) and ECDSA over P-256 with SHA-256 (FIPS 186-5). Where keys are kept is not decided here.

A key id is the kind of the key, ``ed25519`` or ``p256``, a colon, and the whole SHA-256 (hex) of the raw bytes of the public
key (32 bytes; a point of 65 bytes, uncompressed): it names the algorithm, so a signature can never be checked under another
one than its key was made for. People sign with Ed25519; P-256 is for what common readers and key services understand.

A P-256 signature is DER and has two valid forms for each message. Only the one with the smaller *s* is made and taken, so
that nobody can change a byte of a signed file and keep it valid.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from retention.errors import UsageError

ED25519, P256 = "ed25519", "p256"
RAW_BYTES = {ED25519: 32, P256: 65}
_LINE = "retention-"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ECDSA = ec.ECDSA(SHA256())
OTHER_KINDS = ("retention-log ", "retention-witness ")
"""Lines of a key file that `retention.note` reads: keys of logs and of their witnesses sign no certificate."""
MAX_KEY_FILE = 64 * 1024


class Signer(Protocol):
    """Whatever can sign: a key in memory, later a key that never leaves its module."""

    @property
    def keyid(self) -> str: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key and the name its owner gave it. The name is a comment: it does not count when keys are compared."""

    raw: bytes
    name: str = field(default="", compare=False)
    kind: str = ED25519

    def __post_init__(self) -> None:
        if self.kind not in RAW_BYTES:
            raise UsageError("this kind of public key is not known", f"one of: {', '.join(RAW_BYTES)}")
        if len(self.raw) != RAW_BYTES[self.kind]:
            raise UsageError(f"a public key of kind {self.kind} has {RAW_BYTES[self.kind]} bytes")
        if self.kind == P256 and self._key() is None:
            raise UsageError("this public key is no point of the curve P-256")
        if not (self.name == "" or self.name.isprintable()):
            raise UsageError("the name of a public key must be printable, on one line")

    @property
    def keyid(self) -> str:
        return f"{self.kind}:{hashlib.sha256(self.raw).hexdigest()}"

    @property
    def text(self) -> str:
        """The key as base64, as it stands in its line and in certificates."""
        return base64.b64encode(self.raw).decode("ascii")

    @property
    def line(self) -> str:
        """One line for people and files: ``retention-ed25519 BASE64 NAME`` or ``retention-p256 BASE64 NAME``."""
        return f"{_LINE}{self.kind} {self.text} {self.name}".rstrip()

    @property
    def pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM (RFC 8410, RFC 5480), for openssl."""
        key = self._key()
        assert key is not None
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, message: bytes, *, either_form: bool = False) -> bool:
        """Whether this key made that signature over exactly these bytes. ``either_form``: whichever *s* a P-256 signature has."""
        key = self._key()
        try:
            if isinstance(key, Ed25519PublicKey):
                key.verify(signature, message)
            elif key is None or one_form(signature) not in (signature, either_form and other_form(signature)):
                return False
            else:
                key.verify(signature, message, _ECDSA)
        except (InvalidSignature, ValueError):
            return False
        return True

    def _key(self) -> Ed25519PublicKey | ec.EllipticCurvePublicKey | None:
        try:
            if self.kind == ED25519:
                return Ed25519PublicKey.from_public_bytes(self.raw)
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.raw)
        except ValueError:
            return None


def one_form(signature: bytes) -> bytes:
    """The one form of an ECDSA signature that is taken: DER, the smaller *s*. Raises ``ValueError`` for what is none."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, min(s, _ORDER - s))


def other_form(signature: bytes) -> bytes:
    """The same ECDSA signature with the other *s*. Raises ``ValueError`` for what is none."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, _ORDER - s)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key in memory. Its ``repr`` shows the key id only."""

    _key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)
    public: PublicKey

    @property
    def keyid(self) -> str:
        return self.public.keyid

    def sign(self, message: bytes) -> bytes:
        """The signature: 64 bytes, always the same (Ed25519); DER of up to 72 bytes, another one each time (P-256)."""
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(message)
        return one_form(self._key.sign(message, _ECDSA))

    def dump(self, passphrase: bytes | None = None) -> bytes:
        """PKCS #8 in PEM, encrypted when a passphrase is given."""
        protection: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            protection = BestAvailableEncryption(passphrase)
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def generate(name: str = "", kind: str = ED25519) -> SigningKey:
    """A new key from the operating system's randomness."""
    if kind == P256:
        return _signing_key(ec.generate_private_key(ec.SECP256R1()), name)
    return _signing_key(Ed25519PrivateKey.generate(), name)


def load_private(pem: bytes, passphrase: bytes | None = None, name: str = "") -> SigningKey:
    """Read a private key from PEM. Raises `UsageError` without quoting the file."""
    try:
        key = load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError("this is not a private key in PEM, or the passphrase does not open it") from None
    if isinstance(key, Ed25519PrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        return _signing_key(key, name)
    raise UsageError("this private key is neither an Ed25519 nor a P-256 key")


def _signing_key(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, name: str) -> SigningKey:
    return SigningKey(key, _public(key.public_key(), name))


def _public(key: object, name: str = "") -> PublicKey:
    if isinstance(key, Ed25519PublicKey):
        return PublicKey(key.public_bytes(Encoding.Raw, PublicFormat.Raw), name)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return PublicKey(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint), name, P256)
    raise UsageError("this public key is neither an Ed25519 nor a P-256 key")


def load_public(data: bytes) -> PublicKey:
    """Read one public key: a line as `PublicKey.line` writes it, or PEM. Raises `UsageError`."""
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
    keys = tuple(_from_line(line) for line in lines if line and not line.startswith(("#", *OTHER_KINDS)))
    if not keys:
        raise UsageError("there is no public key in this file")
    return keys


def _from_pem(data: bytes) -> PublicKey:
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError("this is not a public key in PEM") from None
    return _public(key)


def load_public_der(data: bytes, name: str = "") -> PublicKey:
    """Read a public key as key services give it (SubjectPublicKeyInfo, DER). Raises `UsageError`."""
    try:
        key = load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError("this is not a public key in DER") from None
    return _public(key, name)


def _from_line(line: str) -> PublicKey:
    word, _, rest = line.partition(" ")
    text, _, name = rest.strip().partition(" ")
    kind = word.removeprefix(_LINE)
    if kind not in RAW_BYTES or word != _LINE + kind:
        raise UsageError("this is not a public key", "expected a line “retention-ed25519 BASE64 NAME” or PEM")
    return PublicKey(decode(text, "the public key"), name.strip(), kind)


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
