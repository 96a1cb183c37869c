"""``log show``, ``verify``, ``prove`` and ``consistency``: the library's transparency log."""

from __future__ import annotations

import json as json_module
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from console.cli import evidence_files as evidence
from console.cli import words
from console.cli.answer import Answer, Line, doubtful, good, heading
from console.cli.options import Flag, Here, Json, Many
from console.cli.site import opened
from flows.evidence import place_of, verify_log
from flows.wiring import Site
from retention.checkpoint import Opened, open_checkpoint
from retention.errors import UsageError
from retention.log_files import LogFiles
from retention.note import NoteKey
from retention.tiles import Hashes
from retention.verify_folder import Whole, verify_folder
from retention.verify_log import proof_of, require_continued

Place = Annotated[
    str | None,
    Parameter(
        name="LOG",
        help="A log: a folder, or s3://BUCKET/PREFIX reached as the settings say of the log; by default this site's, held against its ledger.",
    ),
]
KeyFiles = Annotated[
    list[Path] | None,
    Many,
    Parameter(help="The library's public keys; by default retention.pub beside the folder."),
]
Older = Annotated[
    list[Path] | None, Many, Parameter(help="An older checkpoint of the log, kept from another day.")
]


def show(*, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        witnesses = [one.key for one in site.witnesses]
        found, size = site.log.opened(witnesses), site.ledger.log.size()
        trouble = {key.name: _reason(site, key.name) for key in witnesses}
        place, key, stamped = site.log.files.shown, site.log.key, site.log.files.stamped()
    published = 0 if found is None else found.root.size
    body = {
        "origin": key.name, "key": key.text, "place": place, "entries": size, "published": published,
        "root": None if found is None else found.root.hash.hex(), "stamped": stamped,
        "witnesses": [_witness(key, found, trouble[key.name]) for key in witnesses],
    }  # fmt: skip
    lines: list[Line] = [
        heading(f"log {key.name}"),
        f"  {words.plural(published, 'entry', 'entries')} published in {place}",
    ]
    if found is not None:
        lines.append(f"  root {found.root.hash.hex()}")
    lines.append(f"  key {key.text}")
    lines.append(
        f"  last time stamp: over {words.plural(stamped[-1], 'entry', 'entries')}"
        if stamped
        else "  no time stamp"
    )
    signed = () if found is None else found.witnesses
    lines += [f"  cosigned by {one.key.name} at {one.at:%Y-%m-%d %H:%M} UTC" for one in signed]
    for key in witnesses:
        if key not in [one.key for one in signed]:
            lines.append(
                doubtful(f"  not cosigned by {key.name}: {trouble[key.name] or 'the next run asks'}")
            )
    if size != published:
        lines.append(doubtful(f"  {size - published} more in the ledger: the next run publishes them"))
    return Answer(command="log.show", body=body, lines=lines)


def _reason(site: Site, witness: str) -> str:
    """Why it did not cosign when it was asked last, as the ledger noted it."""
    events = site.ledger.events(subject=witness, limit=1)
    return str(json_module.loads(events[0].body).get("reason", "")) if events else ""


def _witness(key: NoteKey, found: Opened | None, reason: str) -> dict[str, Any]:
    at = next((one.at for one in found.witnesses if one.key == key), None) if found is not None else None
    return {"name": key.name, "at": at, "trouble": "" if at else reason}


def verify(
    place: Place = None,
    /,
    *,
    key: KeyFiles = None,
    checkpoint: Older = None,
    repair: Annotated[
        bool,
        Flag,
        Parameter(help="First make files again that are torn, missing or behind, from the ledger."),
    ] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    older = [evidence.note(path) for path in checkpoint or ()]
    if place is not None:
        if repair:
            raise UsageError(
                "files alone cannot be repaired",
                "leave the log out: the site's own is made again from its ledger",
            )
        with evidence.log_named(place) as files:
            keys = evidence.keys_beside(place, key)
            whole = verify_folder(
                files, logs=keys.logs, ring=keys.ring, witnesses=keys.witnesses, older=older
            )  # fmt: skip
        body = _facts(whole)
        note = f"checked with {keys.came_along}: compare it with a key you got in another way"
        return Answer(
            command="log.verify", body=body, lines=_lines(whole),
            notes=[note] if keys.came_along else [],
        )  # fmt: skip
    with opened(session) as site:
        repaired = site.log.publish(thorough=True) if repair else None
        checked = verify_log(site, older)
    whole = checked.whole
    body = _facts(whole) | {
        "events": checked.events, "anchored": checked.anchored, "repaired": repaired is not None and repaired.repaired,
        "appended": 0 if repaired is None else repaired.appended,
    }  # fmt: skip
    lines = _lines(whole)
    if repaired is not None and (repaired.repaired or repaired.appended):
        lines.insert(
            0,
            doubtful(
                f"made again from the ledger; {words.plural(repaired.appended, 'entry', 'entries')} appended"
            ),
        )
    lines.append(
        good(
            f"the same in the ledger; chain of {words.plural(checked.events, 'event')} unbroken, anchored {checked.anchored} times"
        )
    )
    return Answer(command="log.verify", body=body, lines=lines)


def prove(
    certificate: Annotated[str, Parameter(help="Id of a certificate, or of its case (the latest one).")],
    /,
    *,
    to: Annotated[
        Path | None, Parameter(help="Where to write the proof (.tlog-proof); by default it is shown.")
    ] = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        found = site.ledger.certificates.get(certificate)
        checkpoint, index = place_of(site, found)
        proof = proof_of(site.log.files, checkpoint, index).encode()
    if to is not None:
        try:
            to.write_bytes(proof)
        except OSError as error:
            raise UsageError(f"{to}: {error.strerror}", "name a file you may write") from None
    body = {
        "certificate": found.id, "index": index, "entries": checkpoint.root.size, "file": to, "proof": proof.decode("utf-8")
    }  # fmt: skip
    told = good(f"{found.id} is entry {index} of {checkpoint.root.size}")
    return Answer(
        command="log.prove",
        body=body,
        lines=[told] if to else [],
        plain=None if to else proof.decode("utf-8"),
    )


def consistency(
    old: Annotated[Path, Parameter(name="OLD", help="An older checkpoint of the log.")],
    /,
    *,
    log: Annotated[
        str | None,
        Parameter(
            help="A log: a folder, or s3://BUCKET/PREFIX reached as the settings say of the log; by default this site's."
        ),
    ] = None,
    key: KeyFiles = None,
    json: Json = False,
    session: Here,
) -> Answer:
    data = evidence.note(old)
    with ExitStack() as stack:
        files: LogFiles
        if log is not None:
            files = stack.enter_context(evidence.log_named(log))
            logs = evidence.keys_beside(log, key).logs
        else:
            site = stack.enter_context(opened(session))
            logs, files = (site.log.key,), site.log.files
        before = open_checkpoint(data, logs)
        after = open_checkpoint(files.checkpoint() or b"", logs)
        proof = require_continued(before, after, Hashes(files.hashes, after.root.size))
    body = {"old": before.root.size, "new": after.root.size, "proof": [one.hex() for one in proof]}
    told = f"the log of {after.root.size} continues the one of {words.plural(before.root.size, 'entry', 'entries')}"
    return Answer(
        command="log.consistency", body=body, lines=[good(told), *(f"  {one.hex()}" for one in proof)]
    )


def _facts(whole: Whole) -> dict[str, Any]:
    found = whole.opened
    return {
        "ok": True, "origin": found.checkpoint.origin, "entries": found.root.size, "root": found.root.hash.hex(),
        "kinds": dict(whole.kinds), "continues": list(whole.continues),
        "begun": [{"case": one.case, "recordType": one.record_type, "started": one.started, "position": one.position} for one in whole.begun],
        "witnesses": [{"name": one.key.name, "at": one.at} for one in found.witnesses],
    }  # fmt: skip


def _lines(whole: Whole) -> list[Line]:
    found = whole.opened
    lines: list[Line] = [
        good(
            f"log {found.checkpoint.origin}: {words.plural(found.root.size, 'entry', 'entries')}, whole and signed"
        )
    ]
    lines += [f"  {count:,} {kind}" for kind, count in sorted(whole.kinds.items())]
    lines += [f"  cosigned by {one.key.name} at {one.at:%Y-%m-%d %H:%M} UTC" for one in found.witnesses]
    lines += [
        good(f"continues the checkpoint of {words.plural(size, 'entry', 'entries')}")
        for size in whole.continues
    ]
    lines += [
        doubtful(
            f"case {one.case} ({one.record_type}) began on {one.started:%Y-%m-%d} and has not ended: entry {one.position}"
        )
        for one in whole.begun
    ]
    return lines
