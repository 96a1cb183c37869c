"""Time stamps (RFC 3161) over checkpoints of the log, checked against the certificates of an authority that the verifier names.

Not part of what `retention.verify` needs alone: whoever checks time stamps installs `rfc3161-client`, too.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from rfc3161_client import (
    PKIStatus,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from retention.errors import UsageError, VerificationFailed
from retention.verify_log import CheckStamp


def checker(pem: bytes) -> CheckStamp:
    """Checks stamps against these certificates (PEM): the authority's root, and what is between if the stamp lacks it.

    Raises `UsageError` when there is no root among them.
    """
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise UsageError(
            "these are not certificates in PEM", "name the time-stamping authority's root"
        ) from None
    builder = VerifierBuilder()
    for certificate in certificates:
        if certificate.issuer == certificate.subject:
            builder = builder.add_root_certificate(certificate)
        else:
            builder = builder.add_intermediate_certificate(certificate)
    try:
        verifier = builder.build()
    except ValueError:
        raise UsageError("there is no root among the authority's certificates") from None

    def check(stamp: bytes, message: bytes) -> datetime:
        response = decoded(stamp)
        try:
            verifier.verify_message(response, message)
        except (VerificationError, ValueError):
            raise VerificationFailed("the time stamp does not verify over this checkpoint") from None
        return response.tst_info.gen_time

    return check


def request(message: bytes) -> TimeStampRequest:
    """What to send to an authority for a stamp over these bytes. Carries a nonce and the digest, never the bytes."""
    return TimestampRequestBuilder().data(message).build()


def answers(stamp: TimeStampResponse, asked: TimeStampRequest) -> bool:
    """Whether a stamp was granted, and is over what was asked for."""
    info = stamp.tst_info
    same = info.message_imprint.message == asked.message_imprint.message
    return PKIStatus(stamp.status) == PKIStatus.GRANTED and same and info.nonce == asked.nonce


def decoded(stamp: bytes) -> TimeStampResponse:
    """Raises `VerificationFailed` for what is no stamp."""
    try:
        return decode_timestamp_response(stamp)
    except ValueError:
        raise VerificationFailed("this is not a time stamp") from None
