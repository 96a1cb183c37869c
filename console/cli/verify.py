"""``certificate verify``: the numbered steps of `retention.verify`, on files alone. No ledger, no settings, no network.

Says plainly where the key came from: a key that lies beside the certificate was given by whoever gave the certificate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from console.cli.answer import Answer, Line, bad, doubtful, good, heading
from console.cli.exits import worst
from console.cli.options import Here, Json, Many
from retention.document import MAX_BYTES
from retention.errors import UsageError, VerificationFailed
from retention.signing import MAX_KEY_FILE, PublicKey, key_ring, load_public_keys
from retention.verify import Report, Result
from retention.verify import verify as verify_envelope

ENVELOPE = ".dsse.json"


def verify(
    files: Annotated[
        list[Path], Parameter(name="FILE", negative=(), help="Certificates (files ending in .dsse.json).")
    ],
    /,
    *,
    key: Annotated[
        list[Path] | None,
        Many,
        Parameter(help="The library's public key; by default retention.pub beside the file."),
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
    for file in files:
        beside = file.parent / "retention.pub"
        if key is None:
            notes[
                f"checked with {beside}, which came with the certificate: compare it with a key you got in another way"
            ] = None
        ring = _ring(key or [beside], hint="name the library's public key with --key")
        leaves_file = leaves or _leaves_beside(file)
        report = _verify(file, ring, people, leaves_file)
        lines += _lines(file, report)
        found.append({"file": file, "leaves": leaves_file, "keys": sorted(ring), **report.document()})
        codes.append(0 if report.ok else VerificationFailed.exit_code)
    body = {"ok": worst(codes) == 0, "certificates": found}
    return Answer(
        command="certificate.verify", body=body, lines=lines, exit_code=worst(codes), notes=list(notes)
    )


def _verify(
    file: Path, ring: dict[str, PublicKey], people: dict[str, PublicKey] | None, leaves: Path | None
) -> Report:
    envelope = _head(file, MAX_BYTES)
    if leaves is None:
        return verify_envelope(envelope, keys=ring, leaves=None, people=people)
    try:
        with leaves.open("rb") as source:
            return verify_envelope(envelope, keys=ring, leaves=source, people=people)
    except OSError as error:
        raise UsageError(f"{leaves}: {error.strerror}", "name the leaves file with --leaves") from None


def _leaves_beside(file: Path) -> Path | None:
    if not file.name.endswith(ENVELOPE):
        return None
    beside = file.with_name(file.name.removesuffix(ENVELOPE) + ".leaves")
    return beside if beside.is_file() else None


def _ring(paths: list[Path], hint: str = "name a file with a public key") -> dict[str, PublicKey]:
    return key_ring(*(key for path in paths for key in load_public_keys(_head(path, MAX_KEY_FILE, hint))))


def _head(path: Path, limit: int, hint: str = "name a file that is there") -> bytes:
    """At most one byte more than a reader takes, so that an endless file ends here."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint) from None


def _lines(file: Path, report: Report) -> list[Line]:
    lines: list[Line] = [heading(str(file))]
    for step in report.steps:
        told = f"  {step.number}. {step.name}: {step.result.value.replace('-', ' ')}: {step.detail}"
        lines.append(
            {Result.PASSED: good, Result.FAILED: bad, Result.NOT_CHECKED: doubtful}[step.result](told)
        )
    lines.append(good(report.verdict) if report.ok else bad(report.verdict))
    return lines
