"""The service's key for documents: P-256, with an X.509 certificate, because that is what readers of PDF know.

Self-signed unless the site puts a certificate of its own authority in place of it. Trust comes from whoever hands the certificate
over, as with the key of the envelopes; the certificate vouches for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID, ObjectIdentifier

from retention.errors import UsageError

DOCUMENT_SIGNING = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
"""RFC 9336."""
NO_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""RFC 5280 §4.1.2.5, no well-defined end: an end would only make old evidence look wrong."""
MOST_LETTERS = 64
"""Of a common name (X.520)."""
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256 (SP 800-186)."""
BEGIN = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """A P-256 key and its X.509 certificate (DER). The ``repr`` shows neither key."""

    _key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: bytes = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """ECDSA with SHA-256, DER; the same for the same message (RFC 6979), in its one form."""
        return one_form(self._key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))


def one_form(signature: bytes) -> bytes:
    """Of the two valid forms of a P-256 signature the one with the smaller *s*. Raises ``ValueError`` for what is none."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, min(s, ORDER - s))


def make(name: str, *, at: datetime) -> tuple[bytes, bytes]:
    """A new key and a self-signed certificate for it, both PEM. ``name``: who signs, shown by readers of PDF."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, self_signed(key, name, at=at)


def self_signed(key: ec.EllipticCurvePrivateKey, name: str, *, at: datetime) -> bytes:
    """The certificate (PEM) of a key: the same for the same key, name and time."""
    public = key.public_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:MOST_LETTERS])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    usage = {"digital_signature": True, "content_commitment": True}
    others = ("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(int.from_bytes(identifier.digest[:16], "big") or 1)
        .not_valid_before(at.astimezone(UTC).replace(microsecond=0))
        .not_valid_after(NO_END)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage, **dict.fromkeys(others, False)), critical=True)
        .add_extension(x509.ExtendedKeyUsage([DOCUMENT_SIGNING]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return certificate.public_bytes(Encoding.PEM)


def load(key: bytes, certificate: bytes) -> DocumentKey:
    """The key of a PEM file with the certificate of another. Raises `UsageError` unless they belong together."""
    try:
        private = load_pem_private_key(key, None)
        x509_certificate = x509.load_pem_x509_certificate(certificate)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError("the document-signing key or its certificate cannot be read as PEM") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise UsageError("the document-signing key is not a P-256 key")
    if x509_certificate.public_key() != private.public_key():
        raise UsageError("the document-signing certificate belongs to another key")
    return DocumentKey(private, x509_certificate.public_bytes(Encoding.DER))


def load_certificate(pem: bytes) -> bytes:
    """The certificate (DER) of a PEM file. Raises `UsageError`."""
    try:
        return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except ValueError:
        raise UsageError("this is not an X.509 certificate in PEM") from None
