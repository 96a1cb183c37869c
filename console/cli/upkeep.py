"""``db upgrade``, ``db check`` and ``halt``: the ledger's upkeep and the kill switch."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, bad, doubtful, good
from console.cli.options import Flag, Here, Json, KeyFile, Name
from console.cli.site import opened
from retention.errors import UsageError
from retention.permissions import Act
from storage.signatures import authorise
from storage.statements import verify_statements

NO_REASON = "no reason given"


def upgrade(*, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        done = site.set_up()
    return Answer(command="db.upgrade", body={"done": done}, lines=[good(line) for line in done])


def check(*, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        connection = site.ledger.connection
        connection.require_current()
        events = connection.verify_chain()
        signatures = verify_statements(site.ledger)
        intents = site.ledger.batches.open_intents()
        halted = site.ledger.cases.halted()
    cases = sorted({intent.case_id for intent in intents})
    lines: list[Line] = [
        good(f"schema: current ({connection.head()})"),
        good(f"chain of events: {words.plural(events, 'event')}, unbroken"),
        good(f"signatures of people: {signatures}, each by a key the person had then"),
    ]
    if intents:
        what = (
            f"{words.plural(len(intents), 'interrupted batch', 'interrupted batches')} in {', '.join(cases)}"
        )
        lines.append(doubtful(f"open intents: {what}; the next retention run --execute reads them back"))
    else:
        lines.append(good("open intents: none"))
    if halted is not None:
        lines.append(bad(f"kill switch: engaged ({halted})"))
    body = {
        "revision": connection.head(),
        "events": events,
        "signatures": signatures,
        "open_intents": len(intents),
        "cases": cases,
        "halted": halted is not None,
    }
    return Answer(command="db.check", body=body, lines=lines)


def halt(
    *,
    reason: Annotated[str | None, Parameter(help="Why; it is told to whoever tries to run.")] = None,
    lift: Annotated[
        bool, Flag, Parameter(help="Lift it: destruction may go on. Only a custodian may.")
    ] = False,
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        signatory = site.signatory(as_, key_file)
        authorise(site.ledger, signatory, Act.LIFT_HALT if lift else Act.HALT)
        now = site.now()
        if lift:
            site.ledger.require_ready(now)
        if lift and site.ledger.cases.halted() is None:
            raise UsageError("the kill switch is not engaged", "there is nothing to lift")
        site.ledger.cases.halt(
            not lift, reason=(reason or "").strip() or NO_REASON, actor=signatory.person.name, at=now
        )
        halted = site.ledger.cases.halted()
    told = (
        good("the kill switch is lifted: runs may destroy again")
        if lift
        else bad("the kill switch is engaged: nothing is destroyed")
    )
    then = (
        []
        if lift
        else ["a run in progress stops after the batch in flight; to go on: retention halt --lift --as NAME"]
    )
    return Answer(
        command="halt", body={"halted": halted is not None, "reason": halted}, lines=[told], notes=then
    )
