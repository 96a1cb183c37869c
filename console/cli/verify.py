"""``certificate verify``: the numbered steps of `retention.verify`, on files alone. No ledger, no settings, no network.

Takes envelopes and PDFs (`console.cli.verify_pdf`). Says plainly where the key came from: a key that lies beside the certificate was given by whoever gave the certificate.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from console.cli.answer import Answer, Line, bad, doubtful, good, heading
from console.cli.exits import worst
from console.cli.options import Here, Json, Many
from console.cli.verify_pdf import SUFFIX as PDF
from console.cli.verify_pdf import Pdfs, is_pdf
from retention.errors import UsageError, VerificationFailed
from retention.signing import MAX_KEY_FILE, PublicKey, key_ring, load_public_keys
from retention.verify import Report, Result
from retention.verify import verify as verify_envelope
from storage.paper.document_key import BEGIN as BEGIN_CERTIFICATE
from storage.paper.document_key import load_certificate

ENVELOPE = ".dsse.json"
BESIDE = ("retention.pub", "document-signing.crt")
MAX_FILE = 64 * 1024 * 1024
"""Of a PDF; an envelope is refused earlier."""


def verify(
    files: Annotated[
        list[Path],
        Parameter(name="FILE", negative=(), help="Certificates (files ending in .dsse.json, or PDFs)."),
    ],
    /,
    *,
    key: Annotated[
        list[Path] | None,
        Many,
        Parameter(
            help="The library's public key or, for PDFs, its certificate; by default retention.pub and "
            "document-signing.crt beside the file."
        ),
    ] = None,
    person_key: Annotated[
        list[Path] | None, Many, Parameter(help="Public key of a person who may approve.")
    ] = None,
    leaves: Annotated[
        Path | None, Parameter(help="The leaves file; by default the one beside the certificate, if any.")
    ] = None,
    json: Json = False,
    session: Here,
) -> Answer:
    if leaves is not None and len(files) > 1:
        raise UsageError("one leaves file belongs to one certificate", "verify them one by one")
    people = None if person_key is None else _ring(person_key)
    lines: list[Line] = []
    found: list[dict[str, Any]] = []
    notes: dict[str, None] = {}
    codes: list[int] = []
    with Pdfs() as pdfs:
        for file in files:
            beside = [file.parent / name for name in BESIDE]
            if key is None:
                notes[
                    f"checked with {beside[0]}, which came with the certificate: compare it with a key you got in another way"
                ] = None
            given = key or [beside[0], *(one for one in beside[1:] if one.is_file())]
            ring, certificates = _given(given, hint="name the library's public key with --key")
            leaves_file = leaves or _leaves_beside(file)
            content = _head(file, MAX_FILE)
            lines.append(heading(str(file)))
            check = partial(_verify, ring=ring, people=people, leaves=leaves_file)
            if is_pdf(file, content):
                outcome = pdfs.examine(content, check, certificates=certificates, keyids=ring)
                lines += outcome.lines(_lines)
                ok, document = outcome.ok, outcome.document()
            else:
                report = check(content)
                lines += [*_lines(report), good(report.verdict) if report.ok else bad(report.verdict)]
                ok, document = report.ok, report.document()
            found.append({"file": file, "leaves": leaves_file, "keys": sorted(ring), **document})
            codes.append(0 if ok else VerificationFailed.exit_code)
    body = {"ok": worst(codes) == 0, "certificates": found}
    return Answer(
        command="certificate.verify", body=body, lines=lines, exit_code=worst(codes), notes=list(notes)
    )


def _verify(
    envelope: bytes, ring: dict[str, PublicKey], people: dict[str, PublicKey] | None, leaves: Path | None
) -> Report:
    if leaves is None:
        return verify_envelope(envelope, keys=ring, leaves=None, people=people)
    try:
        with leaves.open("rb") as source:
            return verify_envelope(envelope, keys=ring, leaves=source, people=people)
    except OSError as error:
        raise UsageError(f"{leaves}: {error.strerror}", "name the leaves file with --leaves") from None


def _leaves_beside(file: Path) -> Path | None:
    for suffix in (ENVELOPE, PDF):
        if file.name.endswith(suffix):
            beside = file.with_name(file.name.removesuffix(suffix) + ".leaves")
            return beside if beside.is_file() else None
    return None


def _ring(paths: list[Path]) -> dict[str, PublicKey]:
    hint = "name a file with a public key"
    return key_ring(*(key for path in paths for key in load_public_keys(_head(path, MAX_KEY_FILE, hint))))


def _given(paths: list[Path], hint: str) -> tuple[dict[str, PublicKey], list[bytes]]:
    """The public keys and the certificates (DER) among the files; PEM says which is which."""
    keys: list[PublicKey] = []
    certificates: list[bytes] = []
    for path in paths:
        content = _head(path, MAX_KEY_FILE, hint)
        if content.lstrip().startswith(BEGIN_CERTIFICATE):
            certificates.append(load_certificate(content))
        else:
            keys.extend(load_public_keys(content))
    return key_ring(*keys), certificates


def _head(path: Path, limit: int, hint: str = "name a file that is there") -> bytes:
    """At most one byte more than a reader takes, so that an endless file ends here."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint) from None


def _lines(report: Report) -> list[Line]:
    marks = {Result.PASSED: good, Result.FAILED: bad, Result.NOT_CHECKED: doubtful}
    return [
        marks[step.result](
            f"  {step.number}. {step.name}: {step.result.value.replace('-', ' ')}: {step.detail}"
        )
        for step in report.steps
    ]
