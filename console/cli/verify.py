"""``certificate verify``: the numbered steps of `retention.verify`, on files alone. No ledger, no settings, no network.

Says plainly where the key came from: a key that lies beside the certificate was given by whoever gave the certificate.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from console.cli import evidence_files as evidence
from console.cli.answer import Answer, Line, bad, doubtful, good, heading
from console.cli.evidence_files import Keys
from console.cli.exits import worst
from console.cli.options import Here, Json, Many
from retention.document import MAX_BYTES
from retention.errors import UsageError, VerificationFailed
from retention.log_files import LogFiles
from retention.opening import is_opening
from retention.opening import read as read_opening
from retention.signing import MAX_KEY_FILE, PublicKey
from retention.steps import Result
from retention.time_stamp import checker
from retention.verify import Report
from retention.verify import verify as verify_envelope
from retention.verify_log import CheckStamp, LogEvidence


def verify(
    files: Annotated[
        list[Path],
        Parameter(
            name="PATH",
            negative=(),
            help="Certificates (.dsse.json), opened records (.opened.json), or folders of them.",
        ),
    ],
    /,
    *,
    key: Annotated[
        list[Path] | None,
        Many,
        Parameter(help="The library's public keys; by default retention.pub beside the file."),
    ] = None,
    person_key: Annotated[
        list[Path] | None, Many, Parameter(help="Public key of a person who may approve.")
    ] = None,
    leaves: Annotated[
        Path | None, Parameter(help="The leaves file; by default the one beside the certificate, if any.")
    ] = None,
    log: Annotated[
        Path | None, Parameter(help="Folder of the transparency log; by default log beside the file, if any.")
    ] = None,
    checkpoint: Annotated[
        list[Path] | None, Many, Parameter(help="An older checkpoint of the log, kept from another day.")
    ] = None,
    tsa: Annotated[
        Path | None, Parameter(help="Certificates (PEM) of the time-stamping authority you trust.")
    ] = None,
    json: Json = False,
    session: Here,
) -> Answer:
    paths = evidence.certificates(files)
    if leaves is not None and len(paths) > 1:
        raise UsageError("one leaves file belongs to one certificate", "verify them one by one")
    people = None if person_key is None else evidence.ring_of(person_key)
    check_stamp = None if tsa is None else checker(evidence.head(tsa, MAX_KEY_FILE))
    older = tuple(evidence.note(path) for path in checkpoint or ())
    lines: list[Line] = []
    found: list[dict[str, Any]] = []
    notes: dict[str, None] = {}
    codes: list[int] = []
    for file in paths:
        keys = evidence.keys_for(file.parent, key)
        if keys.came_along is not None:
            notes[
                f"checked with {keys.came_along}, which came with the certificate: compare it with a key you got in another way"
            ] = None
        leaves_file = leaves or evidence.beside(file, evidence.LEAVES)
        report = _verify(file, keys, people, leaves_file, _log(file, keys, log, older, check_stamp))
        lines += _lines(file, report)
        found.append({"file": file, "leaves": leaves_file, "keys": sorted(keys.ring), **report.document()})
        codes.append(0 if report.ok else VerificationFailed.exit_code)
    body = {"ok": worst(codes) == 0, "certificates": found}
    return Answer(
        command="certificate.verify", body=body, lines=lines, exit_code=worst(codes), notes=list(notes)
    )


def _log(
    file: Path, keys: Keys, log: Path | None, older: tuple[bytes, ...], check_stamp: CheckStamp | None
) -> LogEvidence | None:
    """The log named; or what lies beside the certificate, where a key of the log is known."""
    proof, stamp = evidence.beside(file, evidence.PROOF), evidence.beside(file, evidence.STAMP)
    files = LogFiles(log) if log is not None else evidence.log_beside(file.parent)
    if log is None and not older and not keys.logs:
        return None
    return LogEvidence(
        keys=keys.logs, witnesses=keys.witnesses, files=files, older=older, check_stamp=check_stamp,
        proof=None if proof is None else evidence.note(proof), stamp=None if stamp is None else evidence.note(stamp),
    )  # fmt: skip


def _verify(
    file: Path, keys: Keys, people: dict[str, PublicKey] | None, leaves: Path | None, log: LogEvidence | None
) -> Report:
    data = evidence.head(file, MAX_BYTES)
    opening = read_opening(data) if is_opening(data) else None
    envelope = data if opening is None else opening.envelope
    with ExitStack() as open_files:
        try:
            source = None if leaves is None else open_files.enter_context(leaves.open("rb"))
        except OSError as error:
            raise UsageError(f"{leaves}: {error.strerror}", "name the leaves file with --leaves") from None
        return verify_envelope(
            envelope, keys=keys.ring, leaves=source, people=people, log=log, opening=opening, retired=keys.retired
        )  # fmt: skip


def _lines(file: Path, report: Report) -> list[Line]:
    lines: list[Line] = [heading(str(file))]
    for step in report.steps:
        told = f"  {step.number}. {step.name}: {step.result.value.replace('-', ' ')}: {step.detail}"
        lines.append(
            {Result.PASSED: good, Result.FAILED: bad, Result.NOT_CHECKED: doubtful}[step.result](told)
        )
    lines.append(good(report.verdict) if report.ok else bad(report.verdict))
    return lines
