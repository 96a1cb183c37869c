"""The page that asks for a signature, and what is done with it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from console.web import acting
from console.web.acting import Operation, ToSign
from console.web.doors import Doors, Here, Visit
from console.web.forms import Typed
from console.web.pages import (
    account,
    case_acts,
    hold_care,
    hold_change,
    hold_life,
    hold_new,
    people,
    standing,
)
from console.web.problems import explained
from retention.errors import Refused, UsageError
from retention.origin import Origin
from retention.permissions import Act
from storage import passkeys
from storage.ledger.passkeys import Passkey
from storage.rehearsal import pasted

doors = Doors()
OPERATIONS: Mapping[str, Operation] = {
    one.name: one
    for page in (account, case_acts, hold_new, hold_life, hold_change, hold_care, people, standing)
    for one in page.OPERATIONS
}


@doors.get("/sign/{id}", Act.READ)
def to_sign(visit: Here, id: str) -> Response:
    """What is about to be signed."""
    act = acting.waiting(visit, id, OPERATIONS)
    if act.draft.done_at is not None:
        return visit.see(act.operation.done(act.values))
    return _page(visit, act)


@doors.get("/sign/{id}/statement", Act.READ)
def statement(visit: Here, id: str) -> Response:
    """Exactly what is signed, as a file for the command line."""
    act = acting.waiting(visit, id, OPERATIONS)
    headers = {"Content-Disposition": 'attachment; filename="statement.json"'}
    return Response(act.text, media_type="application/json", headers=headers)


@doors.get("/sign/{id}/options", Act.READ)
def options(visit: Here, id: str) -> Response:
    """What a browser asks a passkey to sign: the digest of the statement."""
    act = acting.waiting(visit, id, OPERATIONS)
    asked = passkeys.asking_to_sign(_able(visit, act), Origin(visit.desk.origin), act.statement)
    return Response(asked, media_type="application/json")


@doors.post("/sign/{id}", Act.READ, fields=("signature", "passkey"))
def sign(visit: Here, form: Typed, id: str) -> Response:
    """Do what was signed."""
    act = acting.waiting(visit, id, OPERATIONS)
    if act.draft.done_at is not None:
        return visit.see(act.operation.done(act.values))
    try:
        if form.one("passkey"):
            public, signed = passkeys.signed_by(
                visit.desk.ledger, visit.who, passkeys.read_answer(form.one("passkey"))
            )
        else:
            public, signed = visit.who.public, pasted(visit.who, form.one("signature"))
        by = acting.presigned(visit, act, public, signed)
        acting.carry_out(visit, act, by)
    except (Refused, UsageError) as error:
        return _page(visit, act, {"signature": explained(error)}, status=422)
    return acting.go_on(visit, act, OPERATIONS)


def _able(visit: Visit, act: ToSign) -> list[Passkey]:
    """The passkeys of this person that may sign it: none signs for its own end."""
    mine = visit.desk.ledger.people.passkeys(visit.who.name)
    return [one for one in mine if one.signs(None) and one.public.keyid != act.statement.get("keyid")]


def _page(
    visit: Visit, act: ToSign, errors: Mapping[str, str] | None = None, *, status: int = 200
) -> Response:
    facts = {
        "id": act.draft.id, "act": act.operation.name, "statement": act.statement, "expires_at": act.draft.expires_at,
    }  # fmt: skip
    return visit.page(
        "sign.html", title=act.operation.title, facts=facts, status=status, act=act, errors=dict(errors or {}),
        told=act.operation.tell(visit, act.values), passkeys=_able(visit, act),
    )  # fmt: skip
