"""``hold widen``, ``narrow`` and ``link``: a hold's scope changes, and what belongs with it.

A hold is widened itself, barriers and all. It is never narrowed: a narrower one is placed beside it, and its release requested.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
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
from storage.seeing import seen
from storage.signatures import authorise

_SCOPE = Parameter(name="*", group="Scope")
_NOTHING = ScopeOptions()


class Restriction(StrEnum):
    """A field of a hold's scope."""

    RECORD_TYPE = "record-type"
    STORE = "store"
    SUBJECT = "subject"
    CAMERA = "camera"
    BRANCH = "branch"
    TIME = "time"


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
    given = (
        (Restriction.RECORD_TYPE, before.record_types, added.record_types),
        (Restriction.STORE, before.stores, added.stores),
        (Restriction.SUBJECT, before.subjects, added.subjects),
        (Restriction.CAMERA, before.cameras, added.cameras),
        (Restriction.BRANCH, before.branches, added.branches),
    )
    for name, own, more in given:
        if more and not own:
            raise UsageError(
                f"the hold keeps whatever the {name.value} is",
                f"leave out --{name.value}: it would narrow it",
            )
        if more and name in lifted:
            raise UsageError(f"--{name.value} beside --any {name.value}", "give one of the two")
    if Restriction.TIME in lifted:
        times = Scope()
    else:
        times = Scope(
            since=before.since
            if before.since is None or added.since is None
            else min(before.since, added.since),
            until=before.until
            if before.until is None or added.until is None
            else max(before.until, added.until),
            margin_before=max(before.margin_before, added.margin_before),
            margin_after=max(before.margin_after, added.margin_after),
        )
        if (added.since is not None and before.since is None) or (
            added.until is not None and before.until is None
        ):
            raise UsageError(
                "the hold has no bound on that side of its time", "leave it out: it would narrow it"
            )

    return replace(
        times,
        record_types=frozenset()
        if Restriction.RECORD_TYPE in lifted
        else before.record_types | added.record_types,
        stores=frozenset() if Restriction.STORE in lifted else before.stores | added.stores,
        subjects=frozenset() if Restriction.SUBJECT in lifted else before.subjects | added.subjects,
        cameras=frozenset() if Restriction.CAMERA in lifted else before.cameras | added.cameras,
        branches=frozenset() if Restriction.BRANCH in lifted else before.branches | added.branches,
    )


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
        old = site.holding.check_narrower(hold, narrower, signatory)
        site.documents.keep(content)
        placed = site.enforcing.place(
            narrower, old.matter, signatory, sealed=old.sealed, continuing=old.continuing, need_to_know=old.need_to_know,
            nondisclosure_until=old.nondisclosure_until, links=[old.id], told=old.told, review_every_days=old.review_every_days,
            instead_of=old,
        )  # fmt: skip
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
