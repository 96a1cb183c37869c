"""``hold widen``, ``narrow`` and ``link``: a hold's scope changes, and what belongs with it.

A hold is widened itself, barriers and all. It is never narrowed: a narrower one is placed beside it, and its release requested.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli.answer import Answer, good
from console.cli.documents import content_of
from console.cli.hold import ScopeOptions, in_force, scope_of
from console.cli.hold_life import linked
from console.cli.hold_lines import hold_facts, hold_lines
from console.cli.options import Here, HoldId, Json, KeyFile, Many, Name
from console.cli.site import opened
from retention.errors import UsageError
from retention.holds import Scope
from retention.permissions import Act
from retention.widening import Restriction, conflicts, widened
from storage.seeing import seen
from storage.signatures import authorise

_SCOPE = Parameter(name="*", group="Scope")
_NOTHING = ScopeOptions()


def widen(
    hold: HoldId,
    /,
    *,
    scope: Annotated[ScopeOptions, _SCOPE] = _NOTHING,
    any_: Annotated[
        list[Restriction] | None, Many, Parameter(name="--any", help="No longer restrict it to any of these.")
    ] = None,
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        signatory = site.signatory(as_, key_file)
        before = seen(site.ledger, hold, authorise(site.ledger, signatory, Act.PLACE_HOLD).name).scope
        added = Scope() if scope == _NOTHING else scope_of(session, site, scope)
        wider = _wider(before, added, frozenset(any_ or ()))
        site.enforcing.check(wider)
        file = site.holding.widen(hold, wider, signatory)
        return in_force(site, "hold.widen", site.enforcing.resume(file.id, actor=as_))


def _wider(before: Scope, added: Scope, lifted: frozenset[Restriction]) -> Scope:
    """The scope with what was added to it. Raises `UsageError` where adding would restrict what was not."""
    for restriction, told in conflicts(before, added, lifted).items():
        option = "--from, --until" if restriction is Restriction.TIME else f"--{restriction.value}"
        raise UsageError(told, f"leave out {option}, or --any {restriction.value}")
    return widened(before, added, lifted)


def narrow(
    hold: HoldId,
    /,
    *,
    scope: Annotated[ScopeOptions, _SCOPE] = _NOTHING,
    document: Annotated[
        Path, Parameter(help="The document by which less has to be kept; it is kept encrypted.")
    ],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        signatory = site.signatory(as_, key_file)
        narrower = scope_of(session, site, scope)
        content = content_of(document)
        site.holding.check_narrower(hold, narrower, signatory)
        site.enforcing.check(narrower)
        site.documents.keep(content)
        placing = site.holding.narrow(hold, narrower, signatory)
        placed = site.enforcing.resume(placing.id, actor=as_)
        released = site.holding.request_release(hold, signatory, content)
        answer = in_force(site, "hold.narrow", placed)
        body = {**answer.body, "replaces": hold_facts(released, linked(site, released, as_))}
    note = f"hold {hold} keeps all it kept until a second custodian approves its release: retention hold release {hold} --as NAME"
    return replace(answer, body=body, notes=[*answer.notes, note])


def link(
    hold: HoldId,
    /,
    *others: Annotated[str, Parameter(name="OTHER", help="Ids of the holds it belongs with.")],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        file = site.hold_care.link(hold, site.signatory(as_, key_file), others)
        links = linked(site, file, as_)
    lines = [good(f"hold {hold} is linked"), *hold_lines(file, links)]
    return Answer(command="hold.link", body={"hold": hold_facts(file, links)}, lines=lines)
