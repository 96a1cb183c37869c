"""``export``: the registry of exports. Where an export lies is shown on request only: file names may name a patron."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import ValidationError

from console.cli import times, words
from console.cli.answer import Answer, Line, Table, day, good, moment
from console.cli.documents import digest_of, read_subjects
from console.cli.options import Flag, Here, Json, Many, MaybeName, Name, Pipe
from console.cli.site import opened
from flows.exports import register_export, sight_exports
from flows.wiring import Site
from retention.errors import Refused, UsageError
from retention.exports import Export, Step
from storage.exports.sidecar import Sidecar

ACTOR = "console"
ExportId = Annotated[str, Parameter(help="Id of an export: see `retention export list`.")]


def register(
    file: Annotated[Path, Parameter(help="The export: CSV, XLSX, Parquet, or any other file.")],
    /,
    *,
    store: Annotated[
        str | None,
        Parameter(
            help="The store of kind s3 that it is an object in; FILE is then its key below the store's prefix."
        ),
    ] = None,
    purpose: Annotated[str, Parameter(help="What it is for: collection of debts.")],
    recipient: Annotated[str, Parameter(help="Who gets it.")],
    ground: Annotated[str, Parameter(help="The law or contract it rests on; or --consent.")] = "",
    consent: Annotated[
        str, Parameter(help="The opt-in category that the people in it chose; or --ground.")
    ] = "",
    produced_at: Annotated[
        str | None, Parameter(help="When it was produced; by default the day in its name, else now.")
    ] = None,
    reason: Annotated[
        str,
        Parameter(
            help="Why it is older than its file, where --produced-at says so: copied from the old server."
        ),
    ] = "",
    due: Annotated[date | None, Parameter(help="The day on which it has to be gone.")] = None,
    copy: Annotated[
        list[str] | None, Many, Parameter(help="Another place it was sent to: sftp://vendor.example/in.")
    ] = None,
    sealed: Annotated[bool, Flag, Parameter(help="It is encrypted under a key of this program.")] = False,
    attestation: Annotated[
        bool, Flag, Parameter(help="The recipient has to confirm that its copy is destroyed.")
    ] = False,
    as_: MaybeName = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        site.ledger.require_ready(site.now())
        try:
            told = Sidecar(
                purpose=purpose, recipient=recipient, ground=ground, consent=consent, due_on=due, sealed=sealed,
                attestation=attestation, copies=tuple(copy or ()), reason=reason,
                produced_at=None if produced_at is None else _produced(produced_at, site),
            )  # fmt: skip
        except ValidationError:
            raise UsageError(
                "an export needs a purpose, a recipient, and either a ground or a consent",
                "--ground 'ORS 357.400' or --consent 'opted in'",
            ) from None
        export = register_export(site, file, store, told, _actor(site, as_))
    return Answer(
        command="export.register",
        body={"export": facts(export)},
        lines=[good(f"registered {export.id}"), *_lines(export)],
    )


def sight(*, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        site.ledger.require_ready(site.now())
        found = sight_exports(site, site.schedule.record_types)
    rows = [
        (
            one.location,
            *(str(count) for count in (len(one.registered), len(one.changed), len(one.gone), one.unread)),
        )
        for one in found
    ]
    heads = ("location", "registered", "saved again", "gone", "unread")
    lines: list[Line] = [Table(heads=heads, rows=rows, right=frozenset({1, 2, 3, 4}))] if rows else []
    wrong = [(one.location, one.wrong_sidecars) for one in found if one.wrong_sidecars]
    notes = [
        f"{location}: {words.plural(count, 'sidecar')} could not be understood, and their exports are not registered. What may stand in"
        " one: docs/exports.md; what is not registered: retention run --cannot-decide 20"
        for location, count in wrong
    ]
    lines.append(words.plural(len(found), "location") + " looked through")
    body = {
        "locations": [
            {"location": one.location, "registered": one.registered, "saved_again": one.changed, "gone": one.gone,
             "unread": one.unread, "wrong_sidecars": one.wrong_sidecars}
            for one in found
        ]
    }  # fmt: skip
    return Answer(command="export.sight", body=body, lines=lines, notes=notes)


def list_(
    *,
    all_: Annotated[bool, Flag, Parameter(name="--all", help="Also those whose copy here is gone.")] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        exports = [one for one in site.ledger.exports.list() if all_ or not _is_over(one)]
    heads = ("export", "recipient", "purpose", "rows", "produced", "due", "state")
    rows = [
        (one.id, one.recipient, one.purpose, "" if one.rows is None else f"{one.rows:,}", day(one.produced_at.date()),
         day(one.due_on), _state(one))
        for one in exports
    ]  # fmt: skip
    lines: list[Line] = (
        [Table(heads=heads, rows=rows, right=frozenset({3}), whole=frozenset({0, 4, 5}))] if rows else []
    )
    lines.append(words.plural(len(rows), "export"))
    return Answer(command="export.list", body={"exports": [facts(one) for one in exports]}, lines=lines)


def show(
    export: ExportId,
    /,
    *,
    reveal: Annotated[bool, Flag, Parameter(help="Also say where it lies. For your own terminal.")] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        found = site.ledger.exports.get(export)
    place: list[Line] = []
    body: dict[str, Any] = {"export": facts(found)}
    if reveal:
        place = [f"path:        {found.path.reveal()}"]
        body["path"] = found.path.reveal()
    return Answer(command="export.show", body=body, lines=[*_lines(found), *place])


def attest(
    export: ExportId,
    /,
    *,
    document: Annotated[
        Path | None,
        Parameter(
            help="The recipient's confirmation; only its SHA-256 is kept. Without it: note that you asked for one."
        ),
    ] = None,
    as_: Name,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        site.ledger.require_ready(site.now())
        actor = _actor(site, as_)
        found = site.ledger.exports.get(export)
        if document is not None and found.took(Step.ATTESTED):
            raise Refused(
                f"the destruction of {export} is attested already", f"see: retention export show {export}"
            )
        step = Step.ASKED if document is None else Step.ATTESTED
        digest = None if document is None else digest_of(document)
        site.ledger.exports.take(export, step, actor=actor, at=site.now(), document_digest=digest)
        found = site.ledger.exports.get(export)
    done = f"{found.recipient} was asked to attest" if document is None else f"attested by {found.recipient}"
    return Answer(command="export.attest", body={"export": facts(found)}, lines=[good(done), *_lines(found)])


def withdraw(
    *,
    subject_file: Annotated[
        Path,
        Pipe,
        Parameter(help="The card numbers as exports have them, one per line; - is standard input."),
    ],
    again: Annotated[bool, Flag, Parameter(help="They gave consent again.")] = False,
    as_: Name,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        site.ledger.require_ready(site.now())
        subjects = read_subjects(session, subject_file)
        changed = site.ledger.exports.withdraw(
            subjects, withdrawn=not again, actor=_actor(site, as_), at=site.now()
        )
        if not again:
            site.known.remember(subjects)
    what = "gave consent again" if again else "withdrew consent"
    sentence = (
        f"{words.plural(changed, 'person', 'people')} {what}; the next run applies it to the exports' rows"
    )
    return Answer(
        command="export.withdraw", body={"changed": changed, "withdrawn": not again}, lines=[good(sentence)]
    )


def facts(export: Export) -> dict[str, Any]:
    """What may be shown of an export to anybody who may see the registry. Not its path."""
    return {
        "id": export.id, "store": export.store or None, "purpose": export.purpose, "recipient": export.recipient,
        "ground": export.ground or None, "consent": export.consent or None, "columns": list(export.columns), "rows": export.rows,
        "size": export.size, "sha256": export.digest, "produced_at": export.produced_at, "age_rests_on": export.basis.value,
        "first_seen": export.first_seen, "due_on": export.due_on, "sealed": export.sealed, "attestation": export.attestation,
        "copies": list(export.copies), "reason": export.reason or None, "state": _state(export),
        "steps": [
            {"step": taken.step.value, "at": taken.at, "by": taken.actor, "document": taken.document_digest}
            for taken in export.steps
        ],
    }  # fmt: skip


def _lines(export: Export) -> list[Line]:
    rests = {"declared": "as declared", "name": "by its name", "first-seen": "when it was first seen"}
    pairs = [
        ("export", f"{export.id}, {_state(export)}"),
        ("for", f"{export.recipient}: {export.purpose}"),
        ("rests on", export.ground or f"consent: {export.consent}"),
        ("produced", f"{moment(export.produced_at)}, {rests[export.basis.value]}; first seen {moment(export.first_seen)}"),
        *([("because", export.reason)] if export.reason else []),
        ("due", day(export.due_on) or "not said"),
        ("content", f"{export.size:,} bytes" + ("" if export.rows is None else f", {words.plural(export.rows, 'row')}")),
        ("columns", ", ".join(export.columns) or "not known"),
        ("SHA-256", export.digest),
        ("store", export.store or "none of the schedule's"),
        *(("copy", copy) for copy in export.copies),
    ]  # fmt: skip
    steps = [
        f"{moment(taken.at)}  {taken.step.value}, {taken.actor}"
        + ("" if taken.document_digest is None else f", document {taken.document_digest[:16]}…")
        for taken in export.steps
    ]
    return [*(f"{name + ':':<12} {text}" for name, text in pairs), *steps]


def _state(export: Export) -> str:
    if export.took(Step.ATTESTED):
        return "attested by third party"
    if export.awaits_attestation:
        return "gone here, attestation awaited"
    return "gone" if export.took(Step.GONE) else "here"


def _is_over(export: Export) -> bool:
    return export.took(Step.GONE) and not export.awaits_attestation


def _produced(text: str, site: Site) -> datetime:
    """The latest moment meant that is not to come: in doubt an export is younger. Raises `UsageError`."""
    zone, now = site.schedule.library.zone, site.now()
    if times.beginning(text, zone) > now:
        raise UsageError("an export cannot have been produced later than now", "mend --produced-at")
    return min(times.end(text, zone), now)


def _actor(site: Site, name: str | None) -> str:
    return ACTOR if name is None else site.ledger.people.get(name).name
