"""Acts that need a signature: rehearsed, shown, signed, then done as signed.

The operation runs twice. The first time it asks everything that could refuse it and stops where it would sign; what it would
sign is kept as a sealed draft and shown. The second time it runs with the signature, and refuses when it would now state
anything else. A draft is used once: a form sent twice does nothing the second time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from console.web import knowing
from console.web.desk import Desk
from console.web.doors import Visit
from console.web.problems import NotFound
from retention.document import JSON, encode
from retention.errors import Refused, UsageError
from retention.origin import Origin
from retention.signed import Signed
from retention.signing import PublicKey
from storage.ledger.drafts import Draft, DraftKind
from storage.rehearsal import Presigned, Rehearsal, SignatureNeeded
from storage.signatures import Signing

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """``run``: does it, as `Signing` says who. ``tell``: what it is about, in words, as pairs. ``done``: where to go on.

    ``leave``: where to go without signing, when that is another page. ``then``: the name and values of what is to be signed next, for an
    act of two signatures. With ``hold`` among its values only those who may know of that hold get to see it.
    """

    name: str
    title: str
    run: Callable[[Desk, Signing, Values], object]
    tell: Callable[[Visit, Values], list[tuple[str, str]]]
    done: Callable[[Values], str]
    leave: Callable[[Values], str] | None = None
    then: Callable[[Values], tuple[str, Values]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSign:
    """An act that waits for its signature."""

    draft: Draft
    operation: Operation

    @property
    def values(self) -> Values:
        values: Values = self.draft.body["values"]
        return values

    @property
    def statement(self) -> dict[str, JSON]:
        statement: dict[str, JSON] = self.draft.body["statement"]
        return statement

    @property
    def leave(self) -> str:
        """The page to go back to without signing."""
        return (self.operation.leave or self.operation.done)(self.values)

    @property
    def text(self) -> str:
        """Exactly what is signed: canonical JSON."""
        return encode(self.statement).decode("utf-8")

    @property
    def readable(self) -> str:
        return json.dumps(self.statement, indent=2, ensure_ascii=False)


def rehearse(visit: Visit, operation: Operation, values: Values) -> Response:
    """Ask everything that could refuse it, and go on to the page that asks for the signature. Raises what the act raises."""
    desk, person, at = visit.desk, visit.who, visit.desk.now()
    by = Rehearsal(person=person, public=person.public, at=at)
    try:
        operation.run(desk, by, values)
    except SignatureNeeded as needed:
        body = {
            "act": operation.name, "values": dict(values), "statement": needed.statement, "at": at.isoformat(),
        }  # fmt: skip
        return visit.see(f"/sign/{desk.ledger.drafts.keep(person.name, DraftKind.TO_SIGN, body, at)}")
    raise Refused("this act asked for no signature", "report this: it is a fault")


def waiting(visit: Visit, id: str, operations: Mapping[str, Operation]) -> ToSign:
    """What this person was about to sign. Raises `NotFound`."""
    draft = visit.desk.ledger.drafts.get(id, visit.who.name, DraftKind.TO_SIGN, visit.desk.now())
    if draft is None:
        raise NotFound
    act = ToSign(draft=draft, operation=operations[draft.body["act"]])
    if "hold" in act.values:
        knowing.found(visit, act.values["hold"])
    return act


def go_on(visit: Visit, act: ToSign, operations: Mapping[str, Operation]) -> Response:
    """After it was done: to the next signature, or to what was done."""
    if act.operation.then is not None:
        name, values = act.operation.then(act.values)
        try:
            return rehearse(visit, operations[name], values)
        except (
            Refused,
            UsageError,
        ):  # somebody was there between the two: its page says what can be done now
            pass
    return visit.see(act.operation.done(act.values))


def carry_out(visit: Visit, act: ToSign, by: Signing) -> None:
    """Do it, once. Whatever fails leaves everything as it was."""
    desk = visit.desk
    if not desk.ledger.drafts.use(act.draft, desk.now()):
        return
    with ExitStack() as failed:
        failed.callback(desk.ledger.drafts.give_back, act.draft, desk.now())
        act.operation.run(desk, by, act.values)
        failed.pop_all()


def presigned(visit: Visit, act: ToSign, public: PublicKey, signed: Signed) -> Presigned:
    """The person with the signature they gave. ``public``: their own key, or that of their passkey."""
    return Presigned(
        person=visit.who, public=public, at=datetime.fromisoformat(act.draft.body["at"]), statement=act.statement, signed=signed,
        origin=Origin(visit.desk.origin),
    )  # fmt: skip
