"""``certificate open``, ``bundle`` and ``keys``: what is handed to an outsider, and the library's own keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, Table, good, moment
from console.cli.certificate import CertificateId, write_files
from console.cli.evidence_files import OPENED
from console.cli.handing_over import readme
from console.cli.options import Flag, Here, Json, Pipe
from console.cli.site import opened
from flows import evidence
from retention.errors import UsageError


def open_(
    certificate: CertificateId,
    /,
    *,
    record: Annotated[
        str, Pipe, Parameter(help="The record, as STORE/LOCATION/KEY; - reads it from standard input.")
    ],
    to: Annotated[
        Path | None, Parameter(help="The file to write; by default CERTIFICATE.opened.json here.")
    ] = None,
    json: Json = False,
    session: Here,
) -> Answer:
    if record == "-":
        record = session.stdin.read(1 << 16).decode("utf-8", "surrogateescape").removesuffix("\n")
    with opened(session) as site:
        found = site.ledger.certificates.get(certificate)
        opening = evidence.open_one(site, found, record)
        site.ledger.note("evidence.opened", actor="operator", subject=found.id, body={}, at=site.now())
    path = to or Path(f"{found.id}{OPENED}")
    try:
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
        ) as file:
            file.write(opening.encode())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "name a new file you may write with --to") from None
    body = {"certificate": found.id, "outcome": opening.outcome.value, "file": path}
    lines: list[Line] = [good(opening.sentence), f"  written to {path}"]
    note = "the file names the record: whoever gets it knows that the library had it"
    return Answer(command="certificate.open", body=body, lines=lines, notes=[note])


def bundle(
    certificate: CertificateId,
    /,
    *,
    to: Annotated[Path, Parameter(help="The folder; made when it is not there.")],
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        found = site.ledger.certificates.get(certificate)
        files = evidence.bundle(site, found)
        current = [f"keys/{key.keyid.replace(':', '-')[:24]}.pem" for key in site.signing_keys.public()]
        organization = site.schedule.library.organization
    files["README.md"] = readme(
        found.id, organization, current, stamped=f"{found.id}.tsr" in files, attested=found.attested
    ).encode()
    write_files(to, files)
    body = {"certificate": found.id, "folder": to, "files": sorted(files)}
    lines: list[Line] = [
        good(f"{found.id} is in {to}, with {words.plural(len(files), 'file')}; begin with README.md")
    ]
    note = "the folder holds its own public keys, which prove little: give the verifier the keys in another way too"
    return Answer(command="certificate.bundle", body=body, lines=lines, notes=[note])


def keys(
    *,
    rotate: Annotated[bool, Flag, Parameter(help="Retire the signing keys and introduce new ones.")] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        site.ledger.require_ready(site.now())
        if rotate:
            site.signing_keys.rotate(at=site.now(), actor="operator")
            site.log.publish()
        eras = site.signing_keys.history()
        log_key = site.signing_keys.log_key()
    found = [
        {"number": era.number, "since": era.since, "until": era.until, "keys": [key.line for key in era.keys]} for era in eras
    ]  # fmt: skip
    rows = [
        (str(era.number), moment(era.since), moment(era.until) or "now", key.keyid)
        for era in eras
        for key in era.keys
    ]
    lines: list[Line] = [Table(heads=("set", "since", "until", "key"), rows=rows, whole=frozenset({0, 1, 2}))]
    lines.append(f"log: {log_key.text}")
    if rotate:
        lines.insert(
            0,
            good(
                "new signing keys were introduced, signed by the ones before: give retention.pub to your verifiers"
            ),
        )
    return Answer(command="certificate.keys", body={"sets": found, "log": log_key.text}, lines=lines)
