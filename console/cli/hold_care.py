"""The care of a hold: ``hold decline``, ``verify``, ``review``, ``tell``, ``acknowledge``, ``know``, ``unseal`` and ``document``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli import times, words
from console.cli.answer import Answer, good
from console.cli.hold_life import linked
from console.cli.hold_lines import hold_facts, hold_lines
from console.cli.opening import to_file
from console.cli.options import Flag, Here, HoldId, Json, KeyFile, Many, Name
from console.cli.site import opened
from flows.wiring import Site
from retention.errors import UsageError
from retention.holds import CounselVerification
from retention.permissions import Act, may
from storage.ledger.holds import HoldFile
from storage.seeing import may_see, seen
from storage.signatures import authorise

People = Annotated[list[str] | None, Many]


def _answer(site: Site, command: str, file: HoldFile, by: str, done: str) -> Answer:
    if not may_see(file, by):  # they took themselves off the list
        return Answer(command=command, body={"hold": None}, lines=[good(done)])
    links, matters = linked(site, file, by), may(site.ledger.people.get(by).role, Act.READ_MATTERS)
    return Answer(
        command=command, body={"hold": hold_facts(file, links, matters=matters)},
        lines=[good(done), *hold_lines(file, links, matters=matters)],
    )  # fmt: skip


def decline(
    hold: HoldId,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why it is not placed.")],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        file = site.holding.decline(hold, site.signatory(as_, key_file), reason)
        return _answer(site, "hold.decline", file, as_, f"request {hold} is declined")


def verify(
    hold: HoldId,
    /,
    *,
    verified: Annotated[bool, Flag, Parameter(help="The request is what it claims to be.")] = False,
    rejected: Annotated[
        bool, Flag, Parameter(help="It is not. A hold that was placed keeps until it is released.")
    ] = False,
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    if verified == rejected:
        raise UsageError("say which", "give --verified or --rejected")
    verdict = CounselVerification.VERIFIED if verified else CounselVerification.REJECTED
    with opened(session) as site:
        file = site.hold_care.verify(hold, site.signatory(as_, key_file), verdict)
        keeps = "; it keeps until it is released" if rejected and file.state.keeps else ""
        return _answer(site, "hold.verify", file, as_, f"the request behind {hold} is {verdict.value}{keeps}")


def review(
    hold: HoldId,
    /,
    *,
    next_: Annotated[str, Parameter(name="--next", help="Day of the next review, YYYY-MM-DD.")],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        file = site.hold_care.review(hold, site.signatory(as_, key_file), times.calendar_day(next_))
        return _answer(site, "hold.review", file, as_, f"hold {hold} was reviewed and stays")


def tell(
    hold: HoldId,
    /,
    *names: Annotated[str, Parameter(name="PERSON", help="Who was told to preserve.")],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        file = site.hold_care.tell(hold, site.signatory(as_, key_file), names)
        return _answer(
            site, "hold.tell", file, as_, f"{words.listed(list(names))} to acknowledge hold {hold}"
        )


def acknowledge(
    hold: HoldId, /, *, as_: Name, key_file: KeyFile = None, json: Json = False, session: Here
) -> Answer:
    with opened(session) as site:
        file = site.hold_care.acknowledge(hold, site.signatory(as_, key_file))
        return _answer(site, "hold.acknowledge", file, as_, f"{as_} acknowledged hold {hold}")


def know(
    hold: HoldId,
    /,
    *,
    add: Annotated[People, Parameter(help="Somebody who may see it from now on.")] = None,
    remove: Annotated[People, Parameter(help="Somebody who may not see it any more.")] = None,
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        file = site.hold_care.know(hold, site.signatory(as_, key_file), add=add or (), remove=remove or ())
        return _answer(site, "hold.know", file, as_, "the need-to-know list is changed")


def unseal(
    hold: HoldId, /, *, as_: Name, key_file: KeyFile = None, json: Json = False, session: Here
) -> Answer:
    with opened(session) as site:
        file = site.hold_care.unseal(hold, site.signatory(as_, key_file))
        return _answer(site, "hold.unseal", file, as_, f"hold {hold} is no longer sealed")


def document(
    hold: HoldId,
    /,
    *,
    out: Annotated[Path, Parameter(help="A new file, which only its owner may read.")],
    digest: Annotated[
        str | None, Parameter(help="Which one, where the hold has several: the beginning of its SHA-256.")
    ] = None,
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        person = authorise(site.ledger, site.signatory(as_, key_file), Act.READ_MATTERS)
        file = seen(site.ledger, hold, person.name)
        chosen = _chosen(file, digest)
        content = site.documents.open(chosen)
        site.ledger.note(
            "hold.document-opened", actor=person.name, subject=hold, body={"document": chosen}, at=site.now()
        )
        size = to_file(iter([memoryview(content)]), out)
    done = f"{words.plural(size, 'byte')} written to {out}; the ledger has the event"
    return Answer(
        command="hold.document", body={"document_sha256": chosen, "bytes": size}, lines=[good(done)]
    )


def _chosen(file: HoldFile, wanted: str | None) -> str:
    found = [digest for digest in file.documents if wanted is None or digest.startswith(wanted.lower())]
    if not found:
        raise UsageError(f"hold {file.id} has no such document", f"see: retention hold show {file.id}")
    if len(found) > 1:
        raise UsageError(
            f"hold {file.id} has {len(found)} documents",
            f"say which with --digest: {', '.join(digest[:16] for digest in found)}",
        )
    return found[0]
