"""``hold confirm``, ``release``, ``list`` and ``show``: the life of a hold after it was placed.

A sealed hold is shown to those on its need-to-know list, by their key; to everybody else there is no such hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, Table, day, good, moment
from console.cli.documents import content_of, digest_of
from console.cli.hold_lines import hold_facts, hold_lines
from console.cli.options import Flag, Here, HoldId, Json, KeyFile, MaybeName, Name
from console.cli.site import opened
from flows.wiring import Site
from retention.errors import Refused, UsageError
from retention.holds import HoldState
from retention.permissions import Act, may
from storage.ledger.holds import HoldFile
from storage.seeing import all_seen, links_among, seen
from storage.signatures import Signatory, authorise


def confirm(
    hold: HoldId, /, *, as_: Name, key_file: KeyFile = None, json: Json = False, session: Here
) -> Answer:
    with opened(session) as site:
        file = site.holding.confirm(hold, site.signatory(as_, key_file))
        return Answer(command="hold.confirm", body={"hold": hold_facts(file)}, lines=hold_lines(file))


def release(
    hold: HoldId,
    /,
    *,
    document: Annotated[
        Path | None, Parameter(help="The document that ends the duty to preserve; it is kept encrypted.")
    ] = None,
    as_: Name,
    key_file: KeyFile = None,
    cancel: Annotated[
        bool, Flag, Parameter(help="Undo a release that was requested or is in its grace period.")
    ] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        signatory = site.signatory(as_, key_file)
        if cancel:
            file, done = (
                site.holding.cancel_release(hold, signatory),
                "the release is cancelled; the hold never ceased to keep",
            )
        elif (
            seen(site.ledger, hold, authorise(site.ledger, signatory, Act.READ).name).state
            is HoldState.RELEASE_REQUESTED
        ):
            file, done = _approve(site, hold, signatory, document)
        else:
            if document is None:
                raise UsageError("a hold is not released without a document", "give it with --document FILE")
            content = content_of(document)
            site.documents.keep(content)
            file = site.holding.request_release(hold, signatory, content)
            done = (
                f"release requested; a second custodian approves it: retention hold release {hold} --as NAME"
            )
        return Answer(
            command="hold.release", body={"hold": hold_facts(file)}, lines=[good(done), *hold_lines(file)]
        )


def _approve(site: Site, hold: str, signatory: Signatory, document: Path | None) -> tuple[HoldFile, str]:
    """The second person's call. A document given again must be the one the release was requested with."""
    requested = [step for step in site.ledger.holds.get(hold).actions if step.action == "request-release"][-1]
    if document is not None and digest_of(document) != requested.document_digest:
        raise Refused(
            "this is not the document the release was requested with",
            "look at both; cancel with --cancel if in doubt",
        )
    file = site.holding.approve_release(hold, signatory, timedelta(days=site.settings.grace_days))
    return file, f"release approved; the hold keeps until {moment(file.grace_until)}"


def list_(
    *,
    all_: Annotated[bool, Flag, Parameter(name="--all", help="Released and declined ones too.")] = False,
    as_: MaybeName = None,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        reader = _reader(site, as_, key_file)
        files = all_seen(site.ledger, reader.name, released=all_)
    rows = [
        (
            file.id,
            file.matter.number if reader.matters else "",
            file.matter.kind.value.replace("-", " ") if reader.matters else "",
            file.state.value.replace("-", " "),
            day(file.placed_at.date()) if file.placed_by else "",
        )
        for file in files
    ]
    lines: list[Line] = (
        [Table(heads=("hold", "matter", "kind", "state", "placed"), rows=rows, whole=frozenset({0, 3, 4}))]
        if rows
        else []
    )
    lines.append(
        words.plural(len(files), "hold")
        if files
        else "no hold is in force"
        if not all_
        else "there is no hold"
    )
    return Answer(
        command="hold.list",
        body={"holds": [hold_facts(file, matters=reader.matters) for file in files]},
        lines=lines,
    )


def show(
    hold: HoldId,
    /,
    *,
    subjects: Annotated[
        bool,
        Flag,
        Parameter(help="With the ids of the patrons it is about: needs --as, and is written down."),
    ] = False,
    as_: MaybeName = None,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        reader = _reader(site, as_, key_file)
        file = seen(site.ledger, hold, reader.name)
        links = linked(site, file, reader.name)
        if subjects:
            _read_subjects(site, file, as_, key_file)
    body = {"hold": hold_facts(file, links, subjects=subjects, matters=reader.matters)}
    lines = hold_lines(file, links, subjects=subjects, matters=reader.matters)
    return Answer(command="hold.show", body=body, lines=lines)


def _read_subjects(site: Site, file: HoldFile, name: str | None, key_file: Path | None) -> None:
    """Whose ids are shown is written down, and who looked. Raises `Refused`, `UsageError` for nobody in particular."""
    if name is None:
        raise UsageError(
            "patrons' ids are shown to those who may read matters, and to nobody else",
            "say who you are: --as NAME",
        )
    person = authorise(site.ledger, site.signatory(name, key_file), Act.READ_MATTERS)
    site.ledger.note("hold.subjects-read", actor=person.name, subject=file.id, body={}, at=site.now())


def linked(site: Site, file: HoldFile, reader: str | None) -> list[str]:
    """Holds that it is linked with, from either side, as far as the reader may see them."""
    return links_among(all_seen(site.ledger, reader, released=True)).get(file.id, [])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Who looks; nobody in particular without a name. ``matters``: whether they may read whom and what a hold is about."""

    name: str | None = None
    matters: bool = False


def _reader(site: Site, name: str | None, key_file: Path | None) -> _Reader:
    """Proven by their key."""
    if name is None:
        return _Reader()
    person = authorise(site.ledger, site.signatory(name, key_file), Act.READ)
    return _Reader(name=person.name, matters=may(person.role, Act.READ_MATTERS))
