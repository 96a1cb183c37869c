"""``hold confirm``, ``release``, ``list`` and ``show``: the life of a hold after it was placed.

A sealed hold is shown to those on its need-to-know list, by their key; to everybody else there is no such hold.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, Table, good, moment
from console.cli.documents import content_of, digest_of
from console.cli.hold_lines import hold_facts, hold_lines
from console.cli.options import Flag, Here, HoldId, Json, KeyFile, MaybeName, Name
from console.cli.site import opened
from flows.wiring import Site
from retention.errors import Refused, UsageError
from retention.holds import HoldState
from retention.permissions import Act
from storage.ledger.holds import HoldFile
from storage.seeing import all_seen, seen
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
        files = all_seen(site.ledger, reader, released=all_)
    rows = [
        (
            file.id,
            file.matter.number,
            file.matter.kind.value,
            file.state.value.replace("-", " "),
            moment(file.placed_at) if file.placed_by else "",
        )
        for file in files
    ]
    lines: list[Line] = (
        [Table(heads=("hold", "matter", "kind", "state", "placed"), rows=rows, whole=frozenset({0, 4}))]
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
    return Answer(command="hold.list", body={"holds": [hold_facts(file) for file in files]}, lines=lines)


def show(
    hold: HoldId,
    /,
    *,
    subjects: Annotated[bool, Flag, Parameter(help="With the ids of the patrons it is about.")] = False,
    as_: MaybeName = None,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        reader = _reader(site, as_, key_file)
        file = seen(site.ledger, hold, reader)
        links = linked(site, file, reader)
    body = {"hold": hold_facts(file, links, subjects=subjects)}
    return Answer(command="hold.show", body=body, lines=hold_lines(file, links, subjects=subjects))


def linked(site: Site, file: HoldFile, reader: str | None) -> list[str]:
    """Holds that it is linked with, from either side, as far as the reader may see them."""
    return [
        other.id
        for other in all_seen(site.ledger, reader, released=True)
        if other.id in file.links or file.id in other.links
    ]


def _reader(site: Site, name: str | None, key_file: Path | None) -> str | None:
    """Who looks, proven by their key; nobody in particular without a name."""
    if name is None:
        return None
    signatory = site.signatory(name, key_file)
    authorise(site.ledger, signatory, Act.READ)
    return signatory.person.name
