"""``hold place``, ``request`` and ``accept``: a hold's matter and scope from the command line, its preview, and completing one that a store delayed.

Refuses to guess: an empty scope, an unknown name or a time that is no time is an error, never a wider or narrower hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli import times, words
from console.cli.answer import Answer, Line, Table, bad, day, good, heading, number
from console.cli.documents import content_of, read_subjects
from console.cli.exits import worst
from console.cli.hold_lines import hold_facts, hold_lines
from console.cli.options import Flag, Here, HoldId, Json, KeyFile, Many, MaybeName, Name, Pipe
from console.cli.session import Session
from console.cli.site import opened
from flows.previewing import preview as preview_of
from flows.wiring import Site
from retention.errors import UsageError
from retention.holds import CounselVerification, HoldState, Matter, MatterKind, Scope
from retention.permissions import Act, may
from retention.records import Personal
from storage.enforcing import Placed
from storage.ledger.holds import HoldFile
from storage.seeing import known_to, seen
from storage.signatures import authorise

Texts = Annotated[list[str] | None, Many]
Text = str | None


@dataclass(frozen=True, kw_only=True)
class MatterOptions:
    """The legal case or request."""

    matter: Annotated[Text, Parameter(help="Its number or name.")] = None
    kind: Annotated[MatterKind | None, Parameter(help="What it is.")] = None
    authority: Annotated[Text, Parameter(help="Who issued it.")] = None
    jurisdiction: Annotated[Text, Parameter(help="Its jurisdiction.")] = None
    court: Annotated[Text, Parameter(help="The court.")] = None
    case_number: Annotated[Text, Parameter(help="The court's case number.")] = None
    document: Annotated[Path | None, Parameter(help="The document served; it is kept encrypted.")] = None
    issued_on: Annotated[Text, Parameter(help="Day it was issued, YYYY-MM-DD.")] = None
    received_at: Annotated[Text, Parameter(help="When it was received, on the library's clock.")] = None
    served_by: Annotated[Text, Parameter(help="Who served it.")] = None
    officer: Annotated[Text, Parameter(help="Requesting officer.")] = None
    agency: Annotated[Text, Parameter(help="The officer's agency.")] = None
    badge: Annotated[Text, Parameter(help="The officer's badge number.")] = None
    counsel: Annotated[
        CounselVerification, Parameter(help="Whether counsel verified it; a rejected request is not placed.")
    ] = CounselVerification.UNVERIFIED


@dataclass(frozen=True, kw_only=True)
class ScopeOptions:
    """What it keeps. Options given must all match; within one, any value."""

    record_type: Annotated[Texts, Parameter(help="Record type.")] = None
    store: Annotated[Texts, Parameter(help="Store.")] = None
    subject: Annotated[
        Texts, Parameter(help="Patron id. Stays in the shell history: rather use --subject-file.")
    ] = None
    subject_file: Annotated[
        Path | None,
        Pipe,
        Parameter(help="File with one patron id per line; - for standard input."),
    ] = None
    camera: Annotated[Texts, Parameter(help="Camera.")] = None
    branch: Annotated[Texts, Parameter(name=("--branch", "--location"), help="Branch.")] = None
    from_: Annotated[
        Text,
        Parameter(
            name="--from", help="First day or moment, on the library's clock: 2026-03-01 or 2026-03-01T14:00."
        ),
    ] = None
    until: Annotated[Text, Parameter(help="Last day (to its end) or moment.")] = None
    margin_before: Annotated[Text, Parameter(help="Keep that much before it too: PT5M, 5m, 1h.")] = None
    margin_after: Annotated[Text, Parameter(help="Keep that much after it too.")] = None


@dataclass(frozen=True, kw_only=True)
class SecrecyOptions:
    """Who may know of it."""

    sealed: Annotated[
        bool,
        Flag,
        Parameter(help="A secrecy order: to all but those on its need-to-know list there is no such hold."),
    ] = False
    need_to_know: Annotated[Texts, Parameter(help="Somebody else who may see a sealed hold.")] = None
    nondisclosure_until: Annotated[
        Text, Parameter(help="Last day of the secrecy, YYYY-MM-DD; the seal is lifted by hand.")
    ] = None

    @property
    def until(self) -> date | None:
        return None if self.nondisclosure_until is None else times.calendar_day(self.nondisclosure_until)


_SECRECY = Parameter(name="*", group="Secrecy")
_MATTER = Parameter(name="*", group="Matter")
_SCOPE = Parameter(name="*", group="Scope")
Snapshot = Annotated[
    bool, Flag, Parameter(help="Only what exists when it is placed, not what is still to come.")
]


def place(
    *,
    matter: Annotated[MatterOptions, _MATTER] = MatterOptions(),
    scope: Annotated[ScopeOptions, _SCOPE] = ScopeOptions(),
    snapshot: Snapshot = False,
    secrecy: Annotated[SecrecyOptions, _SECRECY] = SecrecyOptions(),
    told: Annotated[
        Texts, Parameter(help="Somebody who is told to preserve, and has to acknowledge it.")
    ] = None,
    link: Annotated[Texts, Parameter(help="Id of a hold that it belongs with.")] = None,
    as_: MaybeName = None,
    key_file: KeyFile = None,
    preview: Annotated[bool, Flag, Parameter(help="Place nothing; count what it would keep.")] = False,
    resume: Annotated[
        str | None, Parameter(help="Complete this hold, which a store did not confirm.")
    ] = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        if resume is not None:
            return _resume(site, resume, _named(as_), key_file)
        wanted = scope_of(session, site, scope)
        if preview:
            return _preview(site, wanted)
        signatory = site.signatory(_named(as_), key_file)
        placed = site.enforcing.place(
            wanted, _matter(site, matter), signatory, sealed=secrecy.sealed, continuing=not snapshot,
            need_to_know=secrecy.need_to_know or (), nondisclosure_until=secrecy.until, links=link or (), told=told or (),
        )  # fmt: skip
        return in_force(site, "hold.place", placed)


def request(
    *,
    matter: Annotated[MatterOptions, _MATTER] = MatterOptions(),
    scope: Annotated[ScopeOptions, _SCOPE] = ScopeOptions(),
    snapshot: Snapshot = False,
    secrecy: Annotated[SecrecyOptions, _SECRECY] = SecrecyOptions(),
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        file = site.holding.request(
            scope_of(session, site, scope), _matter(site, matter), site.signatory(as_, key_file), sealed=secrecy.sealed,
            continuing=not snapshot, need_to_know=secrecy.need_to_know or (), nondisclosure_until=secrecy.until,
        )  # fmt: skip
    done = f"request {file.id} is recorded; it keeps nothing until a custodian decides to place it"
    notes = [
        f"to place it: retention hold accept {file.id} --as NAME; otherwise: retention hold decline {file.id} --reason WHY --as NAME"
    ]
    return Answer(
        command="hold.request",
        body={"hold": hold_facts(file)},
        lines=[good(done), *hold_lines(file)],
        notes=notes,
    )


def accept(
    hold: HoldId, /, *, as_: Name, key_file: KeyFile = None, json: Json = False, session: Here
) -> Answer:
    with opened(session) as site:
        file = site.holding.accept(hold, site.signatory(as_, key_file))
        return in_force(site, "hold.accept", site.enforcing.resume(file.id, actor=as_))


def _resume(site: Site, id: str, name: str, key_file: Path | None) -> Answer:
    person = authorise(site.ledger, site.signatory(name, key_file), Act.READ)
    seen(site.ledger, id, person.name)
    placed = site.enforcing.resume(id, actor=person.name)
    return in_force(site, "hold.place", placed, matters=may(person.role, Act.READ_MATTERS))


def in_force(site: Site, command: str, placed: Placed, *, matters: bool = True) -> Answer:
    """What is told of a hold that every store has confirmed, for the person who placed or changed it. ``matters``: with what it is about;
    whoever only completes it need not be one who may read that."""
    file, id = placed.file, placed.file.id
    done = f"hold {id} is in force: confirmed by {words.listed(list(placed.stores))} after {placed.seconds:.1f} s"
    body = {
        "hold": hold_facts(file, matters=matters),
        "stores": list(placed.stores),
        "seconds": round(placed.seconds, 3),
    }
    body["uncopied"] = [{"message": error.message, "hint": error.hint} for error in placed.uncopied]
    missing = [bad(f"{error.message} (it keeps them where they are)") for error in placed.uncopied]
    hints = [error.hint for error in placed.uncopied if error.hint]
    notes = [f"a second custodian confirms it: retention hold confirm {id} --as NAME"]
    if file.state is not HoldState.PROVISIONAL:
        notes = []
    elif file.sealed and not _others_confirm(site, file):
        notes.append(
            f"nobody else who could confirm it may see it: retention hold know {id} --add NAME --as NAME"
        )
    return Answer(
        command=command, body=body, lines=[good(done), *missing, *hold_lines(file, matters=matters)], notes=[*hints, *notes],
        exit_code=worst(error.exit_code for error in placed.uncopied),
    )  # fmt: skip


def _others_confirm(site: Site, file: HoldFile) -> bool:
    return any(
        may(site.ledger.people.get(name).role, Act.CONFIRM_HOLD)
        for name in known_to(file)
        if name != file.placed_by
    )


def _named(name: str | None) -> str:
    if name is None:
        raise UsageError("--as is missing", "say who you are: --as NAME")
    return name


def _matter(site: Site, given: MatterOptions) -> Matter:
    if given.matter is None or given.kind is None or given.authority is None:
        missing = [
            option
            for option, value in (
                ("--matter", given.matter),
                ("--kind", given.kind),
                ("--authority", given.authority),
            )
            if value is None
        ]
        raise UsageError(
            f"{words.listed(missing)} missing", "a hold names its matter, its kind and who issued it"
        )
    zone = site.schedule.library.zone
    return Matter(
        number=given.matter, kind=given.kind, issuing_authority=given.authority, jurisdiction=given.jurisdiction,
        court=given.court, case_number=given.case_number,
        document_digest=None if given.document is None else site.documents.keep(content_of(given.document)),
        issued_on=None if given.issued_on is None else times.calendar_day(given.issued_on),
        received_at=None if given.received_at is None else times.beginning(given.received_at, zone),
        served_by=given.served_by, officer=given.officer, officer_agency=given.agency, officer_badge=given.badge,
        counsel=given.counsel,
    )  # fmt: skip


def scope_of(session: Session, site: Site, given: ScopeOptions) -> Scope:
    """The scope that the options say. Raises `UsageError` for what is no scope."""
    zone = site.schedule.library.zone
    subjects = [
        *(given.subject or ()),
        *(read_subjects(session, given.subject_file) if given.subject_file else ()),
    ]
    for text in (*subjects, *(given.camera or ()), *(given.branch or ())):
        if not text.strip():
            raise UsageError("a name in the hold's scope is empty", "leave the option out, or give its value")
    since: datetime | None = None if given.from_ is None else times.beginning(given.from_, zone)
    until: datetime | None = None if given.until is None else times.end(given.until, zone)
    for margin, bound, option in (
        (given.margin_before, since, "--from"),
        (given.margin_after, until, "--until"),
    ):
        if margin is not None and bound is None:
            raise UsageError(f"a margin without {option} has nothing to widen", f"give {option} too")
    return Scope(
        record_types=frozenset(given.record_type or ()),
        stores=frozenset(given.store or ()),
        subjects=frozenset(Personal(subject) for subject in subjects),
        cameras=frozenset(given.camera or ()),
        branches=frozenset(given.branch or ()),
        since=since,
        until=until,
        margin_before=times.duration(given.margin_before or "0s"),
        margin_after=times.duration(given.margin_after or "0s"),
    )


def _preview(site: Site, scope: Scope) -> Answer:
    """Count what the hold would keep, whatever else keeps it. Nothing is written anywhere."""
    found = preview_of(site, scope)
    rows = [
        (
            f"{one.record_type}/{one.location}",
            one.store,
            number(one.kept),
            number(one.of),
            day(one.oldest),
            day(one.newest),
        )
        for one in found.places
    ]
    stops = f" and could stop {words.plural(len(found.cases), 'case')}" if found.cases else ""
    lines: list[Line] = [
        heading(
            f"Preview: nothing was placed. The hold would keep {words.plural(found.keeps, 'record')}{stops}."
        ),
        Table(
            heads=("where", "store", "keeps", "of", "oldest", "newest"), rows=rows, right=frozenset({2, 3})
        ),
    ]
    return Answer(command="hold.preview", body={**found.facts, "cases": list(found.cases)}, lines=lines)
