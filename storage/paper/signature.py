"""Signs a printed certificate: a PAdES certification signature by the service's P-256 key, over the whole file.

It certifies: no later change is allowed, not even a comment. Baseline B-B; B-T where a time stamping authority is given. The
same page, key and time give the same bytes (RFC 6979 nonces, time of issue as time of signing, file ids from the content), except
under a time stamp. P-256, because common readers refuse Ed25519 in a PDF.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

from asn1crypto import x509 as asn1
from pyhanko.pdf_utils.generic import ArrayObject, ByteStringObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import BasePdfFileWriter
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, Signer
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_signer import PdfSigningSession
from pyhanko.sign.timestamps import TimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from storage.paper.parsed import parse
from storage.paper.printer import render

FIELD = "Certification"
RESERVED = 8192
"""Hexadecimal digits set aside for the signature: a certificate of a few hundred bytes, twice over."""
RESERVED_WITH_TIME_STAMP = 49_152


def printed(
    envelope: bytes,
    *,
    certificate: bytes,
    signer: Callable[[bytes], bytes],
    time_stamper: TimeStamper | None = None,
    reserved: int | None = None,
) -> bytes:
    """The signed PDF of a certificate. ``certificate``: of the signer (DER); ``signer``: gives the signature (DER) of a message.

    ``reserved``: hexadecimal digits to set aside for the signature, by default enough. Raises `VerificationFailed` when the envelope
    holds no certificate of destruction, `Unavailable` when no time stamp can be had.
    """
    metadata = PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
        reason="Certificate of destruction",
    )
    pdf_signer = _PdfSigner(
        metadata,
        _Signer(certificate, signer),
        timestamper=time_stamper,
        new_field_spec=SigFieldSpec(FIELD, readable_field_name="Signature of the library"),
    )
    pdf_signer.at = parse(envelope).facts.identity.issued
    if reserved is None:
        reserved = RESERVED if time_stamper is None else RESERVED_WITH_TIME_STAMP
    signed = pdf_signer.sign_pdf(_Increment(io.BytesIO(render(envelope))), bytes_reserved=reserved)
    return bytes(signed.getvalue())


class _Signer(Signer):
    """Signs through a function, so that neither pyHanko nor this module needs to hold the key."""

    def __init__(self, certificate: bytes, signer: Callable[[bytes], bytes]) -> None:
        super().__init__(
            signing_cert=asn1.Certificate.load(certificate), cert_registry=SimpleCertificateStore()
        )
        self._sign = signer

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        return bytes(72) if dry_run else self._sign(data)


class _PdfSigner(PdfSigner):
    """Signs as of a given time instead of now."""

    at: datetime

    def init_signing_session(
        self, pdf_out: BasePdfFileWriter, existing_fields_only: bool = False
    ) -> PdfSigningSession:
        session = super().init_signing_session(pdf_out, existing_fields_only)
        session.system_time = self.at
        return session

    def register_extensions(self, pdf_out: BasePdfFileWriter, *, md_algorithm: str) -> None:
        """PAdES alone. pyHanko would also declare the curve, and PDF 2.0 with it, which PDF/A-3 and PDF/UA-1 are not."""
        pdf_out.register_extension(ESIC_EXTENSION_1)


class _Increment(IncrementalPdfFileWriter):
    """An update without a clock and without chance: the metadata stay as printed, the second file id follows from the first file."""

    def _update_meta(self) -> None:
        pass

    @classmethod
    def _handle_id(cls, prev: PdfFileReader) -> ArrayObject:
        prev.stream.seek(0)
        first = prev.trailer["/ID"][0]
        return ArrayObject([first, ByteStringObject(sha256(prev.stream.read()).digest()[:16])])
