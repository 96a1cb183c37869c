"""``media``: physical media destroyed by hand. Two custodians allow it, one person attests it, another witnesses it."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, Table, good, heading, moment
from console.cli.media_lines import media_table
from console.cli.options import Here, Json, KeyFile, Many, Name, Pipe
from console.cli.session import Session
from console.cli.site import opened
from console.cli.times import beginning
from flows.wiring import Site
from retention.errors import UsageError
from retention.facts import Medium, Method
from retention.media import NOTHING_SEEN, Step
from storage.disposing_media import Account
from storage.ledger.media import LotFile
from storage.scanning.patterns import Patterns, is_personal_email, read_barcodes

COLUMNS = ("make", "model", "serial", "property_number", "media_type", "source", "categorization")
LARGEST = 1 << 20
LotId = Annotated[str, Parameter(help="Id of a lot: see `retention media list`.")]
_STATES = {
    Step.APPROVE: "planned: a second custodian approves it",
    Step.ATTEST: "approved: it may be destroyed, then attested",
    Step.WITNESS: "attested: somebody else who saw it witnesses it",
    None: "certified",
}


def plan(
    *,
    media: Annotated[
        Path, Pipe, Parameter(help=f"CSV with the columns {', '.join(COLUMNS)}; - is standard input.")
    ],
    record_type: Annotated[
        list[str], Many, Parameter(help="A kind of record that is on them; once for each.")
    ],
    from_: Annotated[date, Parameter(name="--from", help="Day of the oldest record on them, YYYY-MM-DD.")],
    to: Annotated[date, Parameter(help="Day of the newest record on them.")],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        items = _read(site, session, media)
        signatory = site.signatory(as_, key_file)
        file = site.media.plan(signatory, record_types=record_type, earliest=from_, latest=to, items=items)
        return _answer(site, "media.plan", file, f"planned lot {file.lot.id}; do not destroy anything yet")


def approve(
    lot: LotId, /, *, as_: Name, key_file: KeyFile = None, json: Json = False, session: Here
) -> Answer:
    with opened(session) as site:
        file = site.media.approve(lot, site.signatory(as_, key_file))
        return _answer(
            site,
            "media.approve",
            file,
            f"approved lot {lot}: it may be destroyed now, before somebody's eyes",
        )


def attest(
    lot: LotId,
    /,
    *,
    method: Annotated[
        Literal[Method.CLEAR, Method.PURGE, Method.DESTROY],
        Parameter(help="What was done, as NIST SP 800-88 means it."),
    ],
    technique: Annotated[str, Parameter(help='How it was done: "cross-cut shredder, 4 x 40 mm, P-4".')],
    destroyed_at: Annotated[
        str | None,
        Parameter(help="When it was done: 2035-06-15T14:30, on the library's clock; now by default."),
    ] = None,
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        done = site.now() if destroyed_at is None else beginning(destroyed_at, site.schedule.library.zone)
        account = Account(method=method, technique=technique, destroyed_at=done)
        file = site.media.attest(lot, site.signatory(as_, key_file), account)
        return _answer(
            site, "media.attest", file, f"attested lot {lot}; it is certified when the witness has signed"
        )


def witness(
    lot: LotId, /, *, as_: Name, key_file: KeyFile = None, json: Json = False, session: Here
) -> Answer:
    with opened(session) as site:
        file = site.media.witness(lot, site.signatory(as_, key_file))
        return _answer(site, "media.witness", file, f"witnessed lot {lot}: certified")


def list_(*, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        files = site.ledger.media.list()
        body = {"lots": [_facts(site, file) for file in files]}
    rows = [
        (file.lot.id, str(len(file.lot.media)), ", ".join(file.lot.record_types), moment(file.lot.planned), _STATES[file.next].partition(":")[0])
        for file in files
    ]  # fmt: skip
    heads = ("lot", "media", "kinds of record", "planned", "state")
    lines: list[Line] = [Table(heads=heads, rows=rows)] if rows else []
    return Answer(command="media.list", body=body, lines=[*lines, words.plural(len(rows), "lot")])


def show(lot: LotId, /, *, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        return _answer(site, "media.show", site.ledger.media.get(lot), "")


def _answer(site: Site, command: str, file: LotFile, done: str) -> Answer:
    return Answer(
        command=command,
        body={"lot": _facts(site, file)},
        lines=[*([good(done)] if done else []), *_lines(site, file)],
    )


def _lines(site: Site, file: LotFile) -> list[Line]:
    lot = file.lot
    lines: list[Line] = [
        heading(f"lot {lot.id}: {_STATES[file.next]}"),
        f"  {', '.join(lot.record_types)}, records from {lot.earliest} to {lot.latest}",
        media_table(lot.media),
    ]
    for taken in file.steps:
        told = taken.statement
        how = f": {told['method']}, {told['technique']}, at {told['destroyedAt']}" if told["method"] else ""
        lines.append(f"  {taken.step.value} by {taken.person}, {moment(taken.at)}{how}")
    if file.next is None:
        lines += [
            f"  {NOTHING_SEEN}",
            f"  to verify it anywhere: retention certificate verify {_path(site, file)}",
        ]
    else:
        lines.append(f"  next: retention media {file.next.value} {lot.id} --as NAME")
    return lines


def _facts(site: Site, file: LotFile) -> dict[str, Any]:
    lot = file.lot
    return {
        "id": lot.id, "record_types": list(lot.record_types), "earliest": lot.earliest, "latest": lot.latest, "planned_at": lot.planned,
        "media": [{name: getattr(one, name) for name in COLUMNS} for one in lot.media],
        "next": None if file.next is None else file.next.value, "digest": lot.digest,
        "steps": [{"step": taken.step.value, "person": taken.person, "at": taken.at} for taken in file.steps],
        "certificate": _path(site, file),
    }  # fmt: skip


def _path(site: Site, file: LotFile) -> Path | None:
    """Where its certificate is published, once it has one."""
    return site.certifier.path(site.ledger.certificates.get(file.lot.id)) if file.next is None else None


def _read(site: Site, session: Session, path: Path) -> list[Medium]:
    """The media of a lot. Raises `UsageError` without quoting the file: it may not be what it should."""
    try:
        content = session.stdin.read(LARGEST) if str(path) == "-" else path.read_bytes()[:LARGEST]
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        rows, columns = list(reader), reader.fieldnames
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "name the list of media") from None
    except (UnicodeDecodeError, csv.Error):
        raise UsageError(f"{path}: not a CSV in UTF-8", f"its columns are {', '.join(COLUMNS)}") from None
    if sorted(columns or ()) != sorted(COLUMNS):
        raise UsageError(f"{path}: its first line does not name exactly the columns", ", ".join(COLUMNS))
    patterns = Patterns(read_barcodes(site.settings.barcodes), site.settings.region)
    found = []
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise UsageError(f"{path}: line {number} has not exactly the columns", ", ".join(COLUMNS))
        for text in row.values():
            if any(map(patterns.is_barcode, re.findall(r"\d+", text))) or any(
                is_personal_email(word) for word in text.split() if "@" in word
            ):
                raise UsageError(
                    f"{path}: line {number} names a person: a card number or an e-mail address",
                    "a certificate is for everybody: name the medium and the desk it comes from",
                )
        plain = {name: value.strip() for name, value in row.items()}
        number_of_ours = plain.pop("property_number") or None
        found.append(Medium(property_number=number_of_ours, **plain))
    return found
