"""Examines signed PDFs of certificates: four steps before and after those of `retention.verify` for the attached envelope.

P1. signed to its last byte: one certifying signature over the whole file, no later revision, nothing that acts;
P2. signed with a certificate, or the key of a certificate, that the verifier was given;
P3. one envelope is attached, under the name of its certificate;
P4. the pages are what this program makes of that envelope: printed again, they are the same bytes.

P4 follows the envelope's own steps, because only an envelope that verified is printed. Refuses to call the pages good when neither
P2 nor P4 passed: then nobody known vouches for what they say. The reading itself happens in `storage.paper.reading`.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from retention.document import JSON
from retention.errors import Unavailable, VerificationFailed
from retention.verify import Result
from storage.paper.parsed import attachment
from storage.paper.printer import maker
from storage.paper.reading import LENGTH, MAX_PDF
from storage.paper.signature import printed

STEPS = {
    "P1": "signed to its last byte",
    "P2": "signed with a given key",
    "P3": "one envelope attached, under its own name",
    "P4": "the pages follow from the envelope",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step and what came of it, as `retention.verify.Step` with a name instead of a number."""

    id: str
    result: Result
    detail: str

    @property
    def name(self) -> str:
        return STEPS[self.id]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of the four steps, in their order."""

    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        """P1 and P3 passed, P2 or P4 passed, and none failed."""
        passed = {step.id for step in self.steps if step.result is Result.PASSED}
        failed = {step.id for step in self.steps if step.result is Result.FAILED}
        return {"P1", "P3"} <= passed and bool({"P2", "P4"} & passed) and not failed

    @property
    def verdict(self) -> str:
        """One line for people: what is wrong, or what was not checked; empty when nothing is."""
        for step in self.steps:
            if step.result is Result.FAILED:
                return f"not verified: step {step.id} ({step.name}) failed: {step.detail}"
        if not self.ok:
            return "not verified: nobody known vouches for the pages: steps P2 and P4 were not checked"
        return ", ".join(step.id for step in self.steps if step.result is Result.NOT_CHECKED)

    def document(self) -> list[JSON]:
        """The steps as JSON."""
        return [
            {"id": s.id, "name": s.name, "result": s.result.value, "detail": s.detail} for s in self.steps
        ]


class Examiner:
    """Examines any number of files, with one reading process. Close it when done."""

    def __init__(self) -> None:
        self._reader: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        if self._reader is not None:
            with suppress(BrokenPipeError):
                self._reader.communicate()
            self._reader = None

    def examine(
        self,
        pdf: bytes,
        *,
        certificates: Collection[bytes],
        keyids: Collection[str] = (),
        envelope_verified: Callable[[bytes], bool],
    ) -> Examined:
        """All four steps. ``certificates``: X.509 (DER), and ``keyids``: ids of P-256 keys, both got from the library.

        ``envelope_verified`` is asked about the attached envelope between P3 and P4. Raises `Unavailable` when nothing can be read here.
        """
        found = self._read(pdf)
        if "failed" in found:
            return _ended(_failed("P1", str(found["failed"])))
        stamped = (
            f", time stamp of {found['timeStamp']} (its authority not checked)"
            if found.get("timeStamp")
            else ""
        )
        steps = [
            _passed("P1", f"one certifying signature over the whole file{stamped}"),
            _signer(_bytes(found["certificate"]), certificates, keyids),
        ]
        if "unattached" in found:
            return _ended(*steps, _failed("P3", str(found["unattached"])))
        envelope = _bytes(found["envelope"])
        try:
            name = attachment(envelope)
        except VerificationFailed as error:
            return _ended(*steps, _failed("P3", error.message))
        if name != found["name"]:
            return _ended(
                *steps, _failed("P3", "the name of the attached file is not that of its certificate")
            )
        steps.append(_passed("P3", name))
        if envelope_verified(envelope):
            steps.append(_pages(pdf, found, envelope))
        return _ended(*steps)

    def _read(self, pdf: bytes) -> dict[str, Any]:
        """What the reading process says. It outlives what it reads: when it is gone, that says nothing about the file."""
        if len(pdf) > MAX_PDF:
            return {"failed": f"it is larger than {MAX_PDF // 1024 // 1024} MiB"}
        if not pdf.startswith(b"%PDF-"):
            return {"failed": "it is not a PDF"}
        try:
            found = json.loads(self._asked(pdf))
        except (OSError, ValueError):
            raise Unavailable(
                "the process that reads PDFs has ended without an answer",
                "see whether the program is installed whole",
            ) from None
        return cast("dict[str, Any]", found)

    def _asked(self, pdf: bytes) -> bytes:
        if self._reader is None:
            self._reader = subprocess.Popen(
                [sys.executable, "-P", "-m", "storage.paper.reading"],  # -P: nothing is taken from a folder full of evidence
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        source, answers = self._reader.stdin, self._reader.stdout
        assert source is not None
        assert answers is not None
        source.write(len(pdf).to_bytes(LENGTH, "big") + pdf)
        source.flush()
        return answers.readline()


def _signer(certificate: bytes, certificates: Collection[bytes], keyids: Collection[str]) -> Step:
    """A certificate that was given must be this one. A key that was given may have nothing to do with PDFs."""
    if certificate in certificates:
        return _passed("P2", "the signer's certificate is one of those given")
    if _keyid(certificate) in keyids:
        return _passed("P2", "the signer's key is one of those given")
    if certificates:
        return _failed("P2", "it was signed with another certificate")
    return _unchecked("P2", "no certificate was given")


def _keyid(certificate: bytes) -> str | None:
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return None
    return "p256:" + sha256(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).hexdigest()


def _pages(pdf: bytes, found: dict[str, Any], envelope: bytes) -> Step:
    """P4: print and sign again, with the signature that is there, and compare everything but the place it stands in."""
    if not str(found["keywords"]).endswith(maker()):
        return _unchecked("P4", "another version made them")
    _, start, end, _ = found["covered"]
    signature = _bytes(found["signature"])
    try:
        again = printed(
            envelope,
            certificate=_bytes(found["certificate"]),
            signer=lambda _: signature,
            reserved=end - start - 2,
        )
    except VerificationFailed as error:
        return _failed("P4", error.message)
    if (again[:start], again[end:]) != (pdf[:start], pdf[end:]):
        return _failed("P4", "the pages say something else than the envelope")
    return _passed("P4", "printed again from the envelope, they are the same bytes")


def _ended(*steps: Step) -> Examined:
    """The rest is not checked."""
    done = {step.id for step in steps}
    failed = next((step.id for step in steps if step.result is Result.FAILED), None)
    why = f"step {failed} failed" if failed else "the envelope did not verify"
    rest = [_unchecked(id, why) for id in STEPS if id not in done]
    return Examined(steps=(*steps, *rest))


def _passed(id: str, detail: str) -> Step:
    return Step(id=id, result=Result.PASSED, detail=detail)


def _failed(id: str, detail: str) -> Step:
    return Step(id=id, result=Result.FAILED, detail=detail)


def _unchecked(id: str, detail: str) -> Step:
    return Step(id=id, result=Result.NOT_CHECKED, detail=detail)


def _bytes(text: object) -> bytes:
    return base64.b64decode(str(text))
