"""``certificate verify``: the numbered steps of `retention.verify`, on files alone. No ledger; no settings and no network either, but
for a log in a bucket that somebody names.

Takes envelopes and PDFs (`console.cli.verify_pdf`). Says plainly where the key came from: a key that lies beside the certificate was given by whoever gave the certificate.
"""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from console.cli import evidence_files as evidence
from console.cli.answer import Answer, Line, bad, doubtful, good, heading
from console.cli.evidence_files import Keys
from console.cli.exits import worst
from console.cli.options import Here, Json, Many
from console.cli.verify_pdf import Pdfs, is_pdf
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

MAX_FILE = 64 * 1024 * 1024
"""Of a PDF; an envelope is refused earlier."""


def verify(
    files: Annotated[
        list[Path],
        Parameter(
            name="PATH",
            negative=(),
            help="Certificates (.dsse.json or .pdf), opened records (.opened.json), or folders of them.",
        ),
    ],
    /,
    *,
    key: Annotated[
        list[Path] | None,
        Many,
        Parameter(
            help="The library's public keys and, for PDFs, its certificate; by default retention.pub and "
            "document-signing.crt beside the file."
        ),
    ] = None,
    person_key: Annotated[
        list[Path] | None, Many, Parameter(help="Public key of a person who may approve.")
    ] = None,
    leaves: Annotated[
        Path | None, Parameter(help="The leaves file; by default the one beside the certificate, if any.")
    ] = None,
    log: Annotated[
        str | None,
        Parameter(
            help="The transparency log: a folder, or s3://BUCKET/PREFIX reached as the settings say of the log; by default log beside the file, if any."
        ),
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
    with Pdfs() as pdfs, evidence.log_named(log) if log is not None else nullcontext() as named:
        for file in paths:
            keys = evidence.keys_for(file.parent, key)
            if keys.came_along is not None:
                notes[
                    f"checked with {keys.came_along}, which came with the certificate: compare it with a key you got in another way"
                ] = None
            leaves_file = leaves or evidence.beside(file, evidence.LEAVES)
            trail = _log(file, keys, named, older, check_stamp)
            check = partial(_verify, keys=keys, people=people, leaves=leaves_file, log=trail)
            content = evidence.head(file, MAX_FILE)
            lines.append(heading(str(file)))
            if is_pdf(file, content):
                outcome = pdfs.examine(content, check, certificates=keys.certificates, keyids=keys.ring)
                lines += outcome.lines(_lines)
                ok, document = outcome.ok, outcome.document()
            else:
                report = check(content)
                lines += [*_lines(report), good(report.verdict) if report.ok else bad(report.verdict)]
                ok, document = report.ok, report.document()
            found.append({"file": file, "leaves": leaves_file, "keys": sorted(keys.ring), **document})
            codes.append(0 if ok else VerificationFailed.exit_code)
    body = {"ok": worst(codes) == 0, "certificates": found}
    return Answer(
        command="certificate.verify", body=body, lines=lines, exit_code=worst(codes), notes=list(notes)
    )


def _log(
    file: Path, keys: Keys, log: LogFiles | None, older: tuple[bytes, ...], check_stamp: CheckStamp | None
) -> LogEvidence | None:
    """The log named; or what lies beside the certificate, where a key of the log is known."""
    proof, stamp = evidence.beside(file, evidence.PROOF), evidence.beside(file, evidence.STAMP)
    files = evidence.log_beside(file.parent) if log is None else log
    if log is None and not older and not keys.logs:
        return None
    return LogEvidence(
        keys=keys.logs, witnesses=keys.witnesses, files=files, older=older, check_stamp=check_stamp,
        proof=None if proof is None else evidence.note(proof), stamp=None if stamp is None else evidence.note(stamp),
    )  # fmt: skip


def _verify(
    data: bytes,
    *,
    keys: Keys,
    people: dict[str, PublicKey] | None,
    leaves: Path | None,
    log: LogEvidence | None,
) -> Report:
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


def _lines(report: Report) -> list[Line]:
    marks = {Result.PASSED: good, Result.FAILED: bad, Result.NOT_CHECKED: doubtful}
    return [
        marks[step.result](
            f"  {step.number}. {step.name}: {step.result.value.replace('-', ' ')}: {step.detail}"
        )
        for step in report.steps
    ]
