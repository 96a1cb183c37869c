"""Standing approvals: a rule approved by two people instead of every case under it; revoked by one, at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from console.cli.standing_facts import standing_facts
from console.web import typed
from console.web.acting import Operation, Values, rehearse
from console.web.desk import Desk
from console.web.doors import Doors, Here, Visit
from console.web.forms import Form, Typed
from console.web.pages.cases import draft_of, first_values
from console.web.problems import NotFound, explained
from console.web.wording import day
from retention.errors import Refused, UsageError
from retention.permissions import Act
from retention.schedule import ApprovalKind, RecordType
from storage.signatures import Signing

doors = Doors()


@doors.get("/standing", Act.READ)
def list_(visit: Here) -> Response:
    """The record types with a standing approval, or without."""
    desk = visit.desk
    types = [one for one in desk.schedule.record_types if one.approval is ApprovalKind.STANDING]
    found = [_facts(desk, one) for one in types]
    return visit.page(
        "standing_list.html", title="Standing approvals", facts={"required": desk.required.standing, "standing": found}
    )  # fmt: skip


@doors.get("/standing/{record_type}", Act.READ)
def show(visit: Here, record_type: str, draft: str = "") -> Response:
    """The standing approval of one record type."""
    return _page(visit, record_type, values=draft_of(visit, draft))


@doors.post("/standing/{record_type}/propose", Act.APPROVE, fields=("until", "reason"))
def propose(visit: Here, form: Typed, record_type: str) -> Response:
    """Propose one, as the first of two people: signed on the next page."""
    read = typed.Reading()
    until = read("until", lambda: typed.day(form.one("until")), None)
    if until is None:
        read.errors.setdefault("until", "Give its last day, at most two years ahead.")
    reason = read.need("reason", form.one("reason"), "Say why it is proposed.")
    if read.errors or until is None:
        return _page(visit, record_type, values=form.values, errors=read.errors, status=422)
    values = {"record_type": record_type, "until": until.isoformat(), "reason": reason}
    return _rehearsed(visit, PROPOSE, values, form, field="until")


@doors.post("/standing/{record_type}/agree", Act.SECOND)
def agree(visit: Here, form: Typed, record_type: str) -> Response:
    """Agree to what somebody else proposed: signed on the next page."""
    return _rehearsed(visit, AGREE, {"record_type": record_type}, form, field="agree")


@doors.post("/standing/{record_type}/revoke", Act.SECOND, fields=("revoke_reason",))
def revoke(visit: Here, form: Typed, record_type: str) -> Response:
    """End it at once: signed on the next page."""
    reason = form.one("revoke_reason")
    if not reason:
        errors = {"revoke_reason": "Say why it is revoked."}
        return _page(visit, record_type, values=form.values, errors=errors, status=422)
    return _rehearsed(
        visit, REVOKE, {"record_type": record_type, "reason": reason}, form, field="revoke_reason"
    )


def _rehearsed(visit: Visit, operation: Operation, values: Values, form: Form, *, field: str) -> Response:
    try:
        return rehearse(visit, operation, values)
    except (Refused, UsageError) as error:
        errors = {field: explained(error)}
        return _page(visit, values["record_type"], values=form.values, errors=errors, status=422)


def _page(
    visit: Visit, id: str, *, values: Mapping[str, Any], errors: Mapping[str, str] | None = None, status: int = 200
) -> Response:  # fmt: skip
    desk = visit.desk
    record_type = next((one for one in desk.schedule.record_types if one.id == id), None)
    if record_type is None or record_type.approval is not ApprovalKind.STANDING:
        raise NotFound
    agreed, waiting = desk.rulings.standing(id)
    usable = waiting is not None and waiting.rule == record_type.digest and desk.today() <= waiting.until
    people = {one.name: one.full_name for one in desk.ledger.people.list()}
    return visit.page(
        "standing.html", title=f"{record_type.title}: standing approval", facts=_facts(desk, record_type), status=status,
        record_type=record_type, agreed=agreed, waiting=waiting, usable=usable, people=people,
        in_force=agreed is not None and agreed.covers(record_type.digest, desk.today()),
        may_propose=visit.may(Act.APPROVE) and not (usable and waiting is not None and waiting.proposed_by != visit.who.name),
        may_agree=visit.may(Act.SECOND) and usable and waiting is not None and waiting.proposed_by != visit.who.name,
        values=first_values(values), errors=dict(errors or {}),
    )  # fmt: skip


def _facts(desk: Desk, record_type: RecordType) -> dict[str, Any]:
    """As at the command line, with what waits beside one that is in force, and the rule that it is about."""
    agreed, waiting = desk.rulings.standing(record_type.id)
    told = standing_facts(record_type, agreed, waiting, today=desk.today())
    proposed = None if waiting is None else {"until": waiting.until, "proposed_by": waiting.proposed_by}
    return {**told, "rule": record_type.digest, "proposed": proposed}


def _tell(visit: Visit, values: Values) -> list[tuple[str, str]]:
    desk = visit.desk
    record_type = desk.schedule.record_type(values["record_type"])
    _, waiting = desk.rulings.standing(record_type.id)
    until = values.get("until") or (
        waiting.until.isoformat() if waiting is not None and "reason" not in values else ""
    )
    told = [("Record type", record_type.title), ("Rule", record_type.digest[:12])]
    if until:
        told.append(("Until", day(date.fromisoformat(until))))
    if values.get("reason"):
        told.append(("Reason", values["reason"]))
    return told


def _back(values: Values) -> str:
    return f"/standing/{quote(values['record_type'], safe='')}"


def _propose(desk: Desk, by: Signing, values: Values) -> None:
    desk.rulings.propose(values["record_type"], by, date.fromisoformat(values["until"]), values["reason"])


PROPOSE = Operation(
    name="propose-standing", title="Sign that you propose a standing approval", run=_propose, tell=_tell, done=_back
)  # fmt: skip
AGREE = Operation(
    name="agree-standing", title="Sign that you agree to the standing approval", tell=_tell, done=_back,
    run=lambda desk, by, values: desk.rulings.agree(values["record_type"], by),
)  # fmt: skip
REVOKE = Operation(
    name="revoke-standing", title="Sign that you revoke the standing approval", tell=_tell, done=_back,
    run=lambda desk, by, values: desk.rulings.revoke(values["record_type"], by, values["reason"]),
)  # fmt: skip
OPERATIONS = (PROPOSE, AGREE, REVOKE)
