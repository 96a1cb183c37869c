"""Reads a signed PDF that came from anywhere, with pyHanko, in a process of its own: ``python -m storage.paper.reading``.

Whatever the bytes do to a parser (endless loops, memory, crashes), they do it to a child that has five seconds, a gigabyte of
memory and nothing to write to. Standard input: length in eight bytes, then the file, again and again; standard output: one line
of JSON for each. Refuses every form but the one that `storage.paper.signature` writes, so that no bit of a file is beyond what is
checked. Trusts no certificate: whether it is the right one is for `storage.paper.examining`.
"""

from __future__ import annotations

import base64
import io
import json
import os
import resource
import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, BinaryIO, cast

from asn1crypto import cms, tsp, x509
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.validation.generic_cms import validate_sig_integrity
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from retention.document import MAX_BYTES
from retention.envelope import PAYLOAD_TYPE
from retention.errors import VerificationFailed
from storage.paper.document_key import one_form

SECONDS = 5
MEMORY = 1024 * 1024 * 1024
LENGTH = 8
MAX_PDF = 64 * 1024 * 1024
NO_SIGNATURE = "it cannot be read as a signed PDF"
CATALOG = {"/Type", "/Pages", "/Outlines", "/PageMode", "/PageLabels", "/Names", "/OutputIntents", "/StructTreeRoot", "/MarkInfo",
           "/Metadata", "/Lang", "/ViewerPreferences", "/AF", "/AcroForm", "/Perms", "/Extensions"}  # fmt: skip
"""What the catalog of a certificate may have: nothing that acts, such as scripts and actions on opening."""
PAGE = {"/Type", "/Parent", "/Resources", "/MediaBox", "/StructParents", "/Tabs", "/Contents", "/Group", "/Annots"}  # fmt: skip


def read(pdf: bytes) -> dict[str, Any]:
    """What the PDF says and has. Raises `VerificationFailed`, and whatever a parser raises over hostile bytes."""
    reader = PdfFileReader(io.BytesIO(pdf), strict=True)
    found = reader.embedded_signatures
    if len(found) != 1:
        raise VerificationFailed(f"it has {len(found)} signatures, not one")
    signature = found[0]
    _whole(pdf, signature, reader)
    certificate = _signed(signature)
    time_stamp = _canonical(signature, certificate)
    _quiet(reader)
    answer = {"certificate": _text(certificate), "timeStamp": time_stamp}
    try:
        name, envelope = _attached(reader)
    except VerificationFailed as error:
        return {**answer, "unattached": error.message}
    return {
        **answer,
        "name": name,
        "envelope": _text(envelope),
        "signature": _text(signature.signer_info["signature"].native),
        "covered": [int(one) for one in signature.byte_range],
        "keywords": str(reader.trailer["/Info"].get("/Keywords", "")),
    }


def _whole(pdf: bytes, signature: EmbeddedPdfSignature, reader: PdfFileReader) -> None:
    """To the last byte, with nothing but the signature itself left out; in the one spelling of that."""
    ranges = [int(one) for one in signature.byte_range]
    if len(ranges) != 4:
        raise VerificationFailed("the signature does not say what it covers")
    start, first, second, rest = ranges
    if start != 0 or not 0 < first < second or second + rest != len(pdf):
        raise VerificationFailed("the signature does not cover the whole file to its end")
    content = signature.pkcs7_content
    der = cms.ContentInfo.load(content).dump()
    digits = second - first - 2
    if pdf[first:second] != b"<" + der.hex().upper().encode("ascii").ljust(digits, b"0") + b">":
        raise VerificationFailed("something stands beside the signature in the place left out for it")
    if reader.total_revisions != 2 or not pdf.endswith(b"%%EOF\n"):
        raise VerificationFailed("the file was changed after it was printed and signed")


def _signed(signature: EmbeddedPdfSignature) -> bytes:
    """The certificate (DER) with whose key exactly these bytes were signed, to certify them."""
    if signature.evaluate_signature_coverage() is not SignatureCoverageLevel.ENTIRE_FILE:
        raise VerificationFailed("the signature does not cover the whole file to its end")
    certificate = signature.signer_cert
    intact, valid = validate_sig_integrity(
        signature.signer_info, certificate, "data", signature.compute_digest()
    )
    if not (intact and valid):
        raise VerificationFailed("the file is not the one that was signed")
    if signature.docmdp_level is not MDPPerm.NO_CHANGES:
        raise VerificationFailed("the signature does not certify the file")
    return bytes(certificate.dump())


def _canonical(signature: EmbeddedPdfSignature, certificate: bytes) -> str | None:
    """The parts of the signature that it does not sign are what they must be, too. The time of a time stamp, if there is one."""
    info = signature.signer_info
    time, unsigned = _time_stamp(info)
    parts = x509.Certificate.load(certificate)
    expected = cms.ContentInfo(
        {
            "content_type": "signed_data",
            "content": cms.SignedData(
                {
                    "version": "v1",
                    "digest_algorithms": [{"algorithm": "sha256"}],
                    "encap_content_info": {"content_type": "data"},
                    "certificates": [cms.CertificateChoices(name="certificate", value=parts)],
                    "signer_infos": [
                        {
                            "version": "v1",
                            "sid": cms.SignerIdentifier(
                                name="issuer_and_serial_number",
                                value={"issuer": parts.issuer, "serial_number": parts.serial_number},
                            ),
                            "digest_algorithm": {"algorithm": "sha256"},
                            "signed_attrs": info["signed_attrs"],
                            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
                            "signature": info["signature"].native,
                            **unsigned,
                        }
                    ],
                }
            ),
        }
    )
    value = info["signature"].native
    if expected.dump() != cms.ContentInfo.load(signature.pkcs7_content).dump() or one_form(value) != value:
        raise VerificationFailed("the signature is not in the form this program writes")
    return time


def _time_stamp(info: cms.SignerInfo) -> tuple[str | None, Mapping[str, Any]]:
    attributes = info["unsigned_attrs"].native or []
    if not attributes:
        return None, {}
    if len(attributes) != 1 or attributes[0]["type"] != "signature_time_stamp_token":
        raise VerificationFailed("the signature carries something else than a time stamp")
    token = cast("cms.SignedData", info["unsigned_attrs"][0]["values"][0]["content"])
    stamped: tsp.TSTInfo = token["encap_content_info"]["content"].parsed
    imprint = stamped["message_imprint"]
    digest = sha256(info["signature"].native).digest()
    if (
        imprint["hash_algorithm"]["algorithm"].native != "sha256"
        or imprint["hashed_message"].native != digest
    ):
        raise VerificationFailed("the time stamp is of another signature")
    return stamped["gen_time"].native.isoformat(), {"unsigned_attrs": info["unsigned_attrs"]}


def _quiet(reader: PdfFileReader) -> None:
    """Nothing in it acts: no script, no action, no form beside the signature."""
    root = reader.root
    if not set(root) <= CATALOG or set(root.get("/Names", {})) - {"/EmbeddedFiles", "/Dests"}:
        raise VerificationFailed("it holds something that no certificate has, such as a script or an action")
    fields = root["/AcroForm"]["/Fields"]
    if len(fields) != 1:
        raise VerificationFailed("it has a form beside the signature")
    signature_field = fields.raw_get(0).reference
    waiting = [root["/Pages"]]
    while waiting:
        node = waiting.pop()
        if "/Kids" in node:
            waiting.extend(kid.get_object() for kid in node["/Kids"])
            continue
        annotations = list(node.get("/Annots", ()))
        if not set(node) <= PAGE or any(one.reference != signature_field for one in annotations):
            raise VerificationFailed(
                "a page holds something that no certificate has, such as a link or an action"
            )


def _attached(reader: PdfFileReader) -> tuple[str, bytes]:
    root = reader.root
    listed, associated = root["/Names"]["/EmbeddedFiles"]["/Names"], root["/AF"]
    if (
        len(listed) != 2
        or len(associated) != 1
        or listed.raw_get(1).reference != associated.raw_get(0).reference
    ):
        raise VerificationFailed("it does not have exactly one attached file")
    file = associated[0]
    stream = file["/EF"]["/F"]
    name = str(file["/UF"])
    if (
        str(listed[0]) != name
        or str(file["/F"]) != name
        or file["/EF"].raw_get("/F").reference != file["/EF"].raw_get("/UF").reference
    ):
        raise VerificationFailed("the attached file has two names")
    if file["/AFRelationship"] != "/Source" or stream["/Subtype"] != generic.NameObject("/" + PAYLOAD_TYPE):
        raise VerificationFailed("the attached file is not marked as the source of the page")
    data = bytes(stream.data)
    if len(data) > MAX_BYTES:
        raise VerificationFailed("the attached file is too large")
    return name, data


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _answer(pdf: bytes, output: BinaryIO) -> None:
    """One file, in a child of its own. A child that dies in any way leaves no line; the parent writes one for it."""
    child = os.fork()
    if child == 0:
        sys.excepthook = lambda *_: os._exit(1)  # at once: there is nobody to tell, and nothing to tidy
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        try:
            answer = read(pdf)
        except VerificationFailed as error:
            answer = {"failed": error.message}
        output.write(json.dumps(answer).encode("ascii") + b"\n")
        output.flush()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status != 0:
        output.write(json.dumps({"failed": NO_SIGNATURE}).encode("ascii") + b"\n")
        output.flush()


def main() -> int:
    """Answer until there is no more input."""
    source, output = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(LENGTH)) == LENGTH:
        _answer(source.read(int.from_bytes(head, "big")), output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
