"""The page that asks for a signature, and what is done with it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from console.web import acting
from console.web.acting import Operation, ToSign
from console.web.doors import Doors, Here, Visit
from console.web.forms import Typed
from console.web.pages import cases, holds
from retention.errors import Refused, UsageError
from retention.permissions import Act

doors = Doors()
OPERATIONS: Mapping[str, Operation] = {one.name: one for one in (*cases.OPERATIONS, *holds.OPERATIONS)}


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


@doors.post("/sign/{id}", Act.READ, fields=("signature", "passkey"))
def sign(visit: Here, form: Typed, id: str) -> Response:
    """Do what was signed."""
    act = acting.waiting(visit, id, OPERATIONS)
    if act.draft.done_at is not None:
        return visit.see(act.operation.done(act.values))
    try:
        by = acting.presigned(visit, act, acting.own_signature(visit, form.one("signature")))
        return visit.see(acting.carry_out(visit, act, by))
    except (Refused, UsageError) as error:
        return _page(visit, act, {"signature": told(error.message)}, status=422)


def told(message: str) -> str:
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")


def _page(
    visit: Visit, act: ToSign, errors: Mapping[str, str] | None = None, *, status: int = 200
) -> Response:
    facts = {
        "id": act.draft.id, "act": act.operation.name, "statement": act.statement, "expires_at": act.draft.expires_at,
    }  # fmt: skip
    return visit.page(
        "sign.html", title=act.operation.title, facts=facts, status=status, act=act, errors=dict(errors or {}),
        told=act.operation.tell(visit.desk, act.values),
    )  # fmt: skip
