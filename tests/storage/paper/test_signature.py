"""The signature of a page: the same for the same, in a form that strangers' programs accept, time stamped where asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from asn1crypto import keys, tsp, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import CertificateBuilder, ExtendedKeyUsage, Name, NameAttribute
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from retention.errors import Unavailable, UsageError
from storage.paper.document_key import NO_END, load, load_certificate, make
from storage.paper.examining import Examiner
from storage.paper.signature import printed
from storage.paper.time_stamp import HttpTimeStamper
from tests.storage.paper import press


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("signed") / "certificate.pdf"
    path.write_bytes(press.page())
    return path


def test_equal_envelopes_and_keys_give_equal_files(file: Path) -> None:
    assert press.page() == file.read_bytes()
    assert press.page(key=press.document_key("another")) != file.read_bytes()


@pytest.mark.usefixtures("poppler")
def test_pdfsig_finds_the_signature_valid_over_the_whole_document(file: Path, tmp_path: Path) -> None:
    said = press.said("pdfsig", "-nocert", file)
    for line in (
        "Signature is Valid.",
        "Total document signed",
        "Signature Type: ETSI.CAdES.detached",
        "Signing Hash Algorithm: SHA-256",
        "Signer Certificate Common Name: library",
        "Signing Time: Nov 20 2026 12:00:30",
    ):
        assert line in said
    assert said.count("Signature #") == 1
    changed = bytearray(file.read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / "changed.pdf").write_bytes(changed)
    assert "Signature is Valid." not in press.said("pdfsig", "-nocert", tmp_path / "changed.pdf")


def test_pyhanko_trusts_it_under_the_certificate_and_nothing_else(file: Path) -> None:
    for key, trusted in ((press.KEY, True), (press.document_key("another"), False)):
        roots = ValidationContext(trust_roots=[x509.Certificate.load(key.certificate)])
        (signature,) = PdfFileReader(io.BytesIO(file.read_bytes())).embedded_signatures
        status = validate_pdf_signature(signature, signer_validation_context=roots)
        assert (status.intact, status.valid, status.trusted, status.bottom_line) == (
            True,
            True,
            trusted,
            trusted,
        )
        assert status.coverage is SignatureCoverageLevel.ENTIRE_FILE
        assert status.docmdp_ok


def test_signing_leaves_the_page_archival(file: Path) -> None:
    reader = PdfFileReader(io.BytesIO(file.read_bytes()))
    assert "/Version" not in reader.root, "PDF/A-3 and PDF/UA-1 are PDF 1.7"
    assert reader.root["/Perms"]["/DocMDP"]["/Reference"][0]["/TransformParams"]["/P"] == 1
    (field,) = reader.root["/AcroForm"]["/Fields"]
    widget = field.get_object()
    assert widget["/TU"] == "Signature of the library"
    assert [int(side) for side in widget["/Rect"]] == [0, 0, 0, 0], (
        "not drawn, so it needs no place in the reading order"
    )
    assert widget["/F"] & 4, "PDF/A wants annotations that print"
    page = reader.root["/Pages"]["/Kids"][0]
    assert page["/Tabs"] == "/S"


def test_a_key_comes_with_its_own_certificate() -> None:
    pem, certificate = make(
        "A library with a name that is much longer than the sixty-four letters a name may have",
        at=press.BEGUN,
    )
    assert load(pem, certificate).certificate == load_certificate(certificate)
    _, another = make("another", at=press.BEGUN)
    for wrong in (another, b"", b"x"):
        with pytest.raises(UsageError):
            load(pem, wrong)
    with pytest.raises(UsageError):
        load(certificate, certificate)
    with pytest.raises(UsageError):
        load_certificate(pem)


class Authority(BaseHTTPRequestHandler):
    """A time stamping authority on this machine. ``broken`` answers with something else."""

    broken = False

    def do_POST(self) -> None:
        query = tsp.TimeStampReq.load(self.rfile.read(int(self.headers["Content-Length"])))
        key, certificate = AUTHORITY
        stamper = DummyTimeStamper(certificate, key, fixed_dt=datetime(2026, 11, 20, 12, 5, tzinfo=UTC))
        answer = b"no" if self.broken else stamper.request_tsa_response(query).dump()
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


def authority_credentials() -> tuple[keys.PrivateKeyInfo, x509.Certificate]:
    key = rsa.generate_private_key(65537, 2048)
    name = Name([NameAttribute(NameOID.COMMON_NAME, "A time stamping authority")])
    certificate = (
        CertificateBuilder(name, name, key.public_key(), 1, press.BEGUN, NO_END)
        .add_extension(ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .sign(key, hashes.SHA256())
    )
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return keys.PrivateKeyInfo.load(der), x509.Certificate.load(certificate.public_bytes(Encoding.DER))


AUTHORITY = authority_credentials()


@pytest.fixture
def authority() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Authority) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def stamped(url: str) -> bytes:
    return printed(
        press.ENVELOPE,
        certificate=press.KEY.certificate,
        signer=press.KEY.sign,
        time_stamper=HttpTimeStamper(url),
    )


@pytest.mark.usefixtures("poppler")
def test_a_time_stamp_is_added_where_an_authority_is_set(authority: str, tmp_path: Path) -> None:
    pdf = stamped(authority)
    examiner = Examiner()
    examined = examiner.examine(pdf, certificates=[press.KEY.certificate], envelope_verified=lambda _: True)
    examiner.close()
    assert [step.result.value for step in examined.steps] == ["passed"] * 4
    assert "time stamp of 2026-11-20T12:05:00+00:00" in examined.steps[0].detail
    (tmp_path / "stamped.pdf").write_bytes(pdf)
    assert "Signature is Valid." in press.said("pdfsig", "-nocert", tmp_path / "stamped.pdf")
    (signature,) = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    status = validate_pdf_signature(
        signature,
        signer_validation_context=ValidationContext(
            trust_roots=[x509.Certificate.load(press.KEY.certificate)]
        ),
        ts_validation_context=ValidationContext(trust_roots=[AUTHORITY[1]]),
    )
    assert status.bottom_line
    assert status.timestamp_validity is not None
    assert status.timestamp_validity.trusted
    assert status.timestamp_validity.timestamp == datetime(2026, 11, 20, 12, 5, tzinfo=UTC)


def test_no_time_stamp_no_signature(authority: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Authority, "broken", True)
    with pytest.raises(Unavailable, match="time stamping authority"):
        stamped(authority)
    with pytest.raises(Unavailable, match="time stamping authority"):
        stamped("http://127.0.0.1:1/")
