"""Cases: what is to be destroyed, why, and who said yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from console.cli import words
from console.cli.case_facts import decision_facts, in_words, review_facts
from console.web import cursor, typed
from console.web.acting import Operation, Values, rehearse
from console.web.desk import Desk
from console.web.doors import Doors, Here, Visit
from console.web.forms import Form, Typed
from console.web.pages import asking
from console.web.problems import NotFound, sentence
from retention.errors import Refused, UsageError
from retention.outcomes import Outcome
from retention.permissions import Act
from storage.clearing import frozen_schedule
from storage.dispositions import Review
from storage.ledger.cases import CaseState
from storage.ledger.drafts import DraftKind
from storage.ledger.lists import PAGE, CaseLine
from storage.ledger.questions import Question
from storage.signatures import Signing

doors = Doors()


@doors.get("/cases", Act.READ)
def list_(visit: Here, state: str = "", record_type: str = "", before: str = "") -> Response:
    """Cases, newest first."""
    desk = visit.desk
    if state and state not in set(CaseState):
        raise NotFound
    lines = desk.ledger.lists.cases(
        state=CaseState(state) if state else None, record_type=record_type or None, before=cursor.moment(desk, before), limit=PAGE + 1,
    )  # fmt: skip
    shown, more = lines[:PAGE], len(lines) > PAGE
    older = cursor.seal(desk, shown[-1].opened_at.isoformat(), shown[-1].id) if more else ""
    return visit.page(
        "cases.html", title="Cases", facts={"cases": [line_facts(one) for one in shown], "before": older or None},
        lines=shown, older=older, state=state, record_type=record_type, before=before,
    )  # fmt: skip


@doors.get("/cases/{id}", Act.READ)
def show(visit: Here, id: str, draft: str = "", sample: str = "") -> Response:
    """One case: what, why, how many, and what was decided."""
    asked = asking.maybe(visit, sample, asking.CASE_SAMPLE)
    return _case(visit, id, values=draft_of(visit, draft), asked=asked)


@doors.post("/cases/{id}/sample", Act.SECOND)
def sample(visit: Here, id: str) -> Response:
    """Ask for a sample of the case's records."""
    desk = visit.desk
    desk.ledger.cases.get(id)
    asked = desk.ledger.questions.ask(asking.CASE_SAMPLE, {"case": id}, person=visit.who.name, at=desk.now())
    return visit.see(f"/cases/{quote(id, safe='')}?sample={asked}#sample")


@doors.get("/cases/{id}/progress", Act.READ)
def progress(visit: Here, id: str) -> Response:
    """How far a case is: a part of its page."""
    seen = visit.desk.dispositions.review(id)
    return visit.page(
        "case_progress.html", title=f"Case {id}", facts=review_facts(seen), seen=seen, done=_done(seen)
    )


@doors.post("/cases/{id}/approve", Act.SECOND, fields=("records", "lifts", "epoch"))
def approve(visit: Here, form: Typed, id: str) -> Response:
    """Approve a case: the number of records is typed, then it is signed."""
    read = typed.Reading()
    records = read("records", lambda: typed.count(form.one("records")), -1)
    epoch = read("records", lambda: _epoch(visit, id, form.one("seen")), 0)
    if read.errors:
        return _case(visit, id, values=form.values, errors=read.errors, status=422)
    values = {"case": id, "records": records, "lifts": sorted(form.all("lifts")), "epoch": epoch}
    return _rehearsed(visit, id, APPROVE, values, form, field="records")


@doors.post("/cases/{id}/withdraw", Act.SECOND)
def withdraw(visit: Here, form: Typed, id: str) -> Response:
    """Take your approval back, until destroying begins."""
    return _rehearsed(visit, id, WITHDRAW, {"case": id}, form, field="withdraw")


@doors.post("/cases/{id}/return", Act.APPROVE, fields=("reason",))
def return_(visit: Here, form: Typed, id: str) -> Response:
    """Send a case back, with a reason."""
    reason = form.one("reason")
    if not reason:
        errors = {"reason": "Say why the case is sent back."}
        return _case(visit, id, values=form.values, errors=errors, status=422)
    return _rehearsed(visit, id, RETURN, {"case": id, "reason": reason}, form, field="reason")


def _rehearsed(
    visit: Visit, id: str, operation: Operation, values: Values, form: Form, *, field: str
) -> Response:
    try:
        return rehearse(visit, operation, values)
    except (Refused, UsageError) as error:
        errors = {field: sentence(error.message)}
        return _case(visit, id, values=form.values, errors=errors, status=422)


def _case(
    visit: Visit, id: str, *, values: Mapping[str, Any], errors: Mapping[str, str] | None = None, status: int = 200,
    asked: Question | None = None,
) -> Response:  # fmt: skip
    desk = visit.desk
    try:
        seen = desk.dispositions.review(id)
    except UsageError:
        raise NotFound from None
    case = seen.case
    schedule = frozen_schedule(desk.ledger, case)
    record_type = schedule.record_type(case.record_type)
    decisions = desk.ledger.people.decisions(id)
    certificates = desk.ledger.lists.of_case(id)
    changes = _changes(visit, seen, len(decisions), len(certificates))
    facts = {
        "case": review_facts(seen), "decisions": [decision_facts(one) for one in decisions],
        "certificates": [one.id for one in certificates], "changes": changes,
    }  # fmt: skip
    people = {one.name: one for one in desk.ledger.people.list()}
    return visit.page(
        "case.html", title=f"{record_type.title}: case {id}", facts=facts, status=status, seen=seen, record_type=record_type,
        standing=in_words(case, seen.clearance), values=first_values(values), errors=dict(errors or {}), people=people,
        approving=decisions, papers=certificates, done=_done(seen), token=cursor.seal(desk, id, seen.epoch),
        mine=visit.who.name in {one.person for one in decisions if one.decision == "approve"}, lifts=values.get("lifts", ()), asked=asked, late=asked is not None and asking.is_late(visit, asked),
    )  # fmt: skip


def _epoch(visit: Visit, id: str, token: str) -> int:
    """What the person was shown, from the form itself. Raises `Wrong` for none: an approval without a look counts for nothing."""
    try:
        case, epoch = cursor.read(visit.desk, token)
        if case == id and isinstance(epoch, int):
            return epoch
    except (NotFound, ValueError):
        pass
    raise typed.Wrong("Look at the case first, then approve it here.")


def _done(seen: Review) -> int:
    """How many of the case's items have an outcome."""
    return sum(seen.counts[outcome] for outcome in Outcome)


def _changes(visit: Visit, seen: Review, decisions: int, certificates: int) -> list[str]:
    """What changed since this person last looked, in sentences; then what they see now is noted."""
    desk, case, name = visit.desk, seen.case, visit.who.name
    standing = seen.clearance
    void = [] if standing is None else sorted(standing.void)
    now = {
        "state": case.state.value, "done": _done(seen), "decisions": decisions, "certificates": certificates,
        "void": void, "ready": standing is not None and standing.ready,
        "begun": case.destroying_since is not None,
    }  # fmt: skip
    last = desk.ledger.looks.last(name, case.id)
    if last is not None and dict(last[1]) == now:
        return []
    desk.ledger.looks.note(name, case.id, now, desk.now())
    if last is None:
        return []
    before = last[1]
    told: list[str] = []
    if now["state"] != before["state"]:
        told.append(f"It is now {words.CASE_STATES[case.state.value]}.")
    if decisions > before["decisions"]:
        told.append(f"{words.plural(decisions - before['decisions'], 'decision')} came.")
    if set(void) - set(before["void"]):
        told.append(
            "An approval no longer counts: the case, or what it must keep, changed after it was given."
        )
    if now["ready"] and not before["ready"] and not now["begun"]:
        told.append("Nothing is missing any more: the next run carries it out.")
    if now["begun"] and not before["begun"]:
        told.append("It was begun.")
    if _done(seen) > before["done"]:
        told.append(f"{words.plural(_done(seen) - before['done'], 'more item')} has an outcome.")
    if certificates > before["certificates"]:
        told.append("A certificate was issued.")
    return told


def line_facts(line: CaseLine) -> dict[str, Any]:
    return {
        "id": line.id, "record_type": line.record_type, "on": line.on, "items": line.items, "records": line.records,
        "approval": line.approval_kind.value, "opened_at": line.opened_at, "state": line.state.value,
        "destroying_since": line.destroying_since, "closed_at": line.closed_at, "brakes": dict(line.brakes),
    }  # fmt: skip


def draft_of(visit: Visit, id: str) -> Mapping[str, Any]:
    """What somebody had typed when their session ended, by field."""
    found = (
        visit.desk.ledger.drafts.get(id, visit.who.name, DraftKind.TYPED, visit.desk.now()) if id else None
    )
    values: Mapping[str, Any] = {} if found is None else found.body["values"]
    return values


def first_values(values: Mapping[str, Any]) -> dict[str, str]:
    """One value for each field."""
    return {name: str(many[0]) for name, many in values.items() if many}


def _approve(desk: Desk, by: Signing, values: Values) -> None:
    desk.dispositions.approve(
        values["case"], by, records=values["records"], lifts=values["lifts"], epoch=values["epoch"]
    )


def _return(desk: Desk, by: Signing, values: Values) -> None:
    desk.dispositions.return_case(values["case"], by, values["reason"])


def _tell(visit: Visit, values: Values) -> list[tuple[str, str]]:
    desk = visit.desk
    case = desk.ledger.cases.get(values["case"])
    told = [
        ("Case", case.id),
        ("Record type", desk.title_of(case.record_type)),
        ("Records", f"{case.records:,}"),
        ("As of", case.on.isoformat()),
        ("Manifest", case.manifest_digest[:12]),
    ]
    if values.get("lifts"):
        told.append(("Brakes that this lifts", words.listed(list(values["lifts"]))))
    if values.get("reason"):
        told.append(("Reason", values["reason"]))
    return told


def _back(values: Values) -> str:
    return f"/cases/{values['case']}"


APPROVE = Operation(
    name="approve-case", title="Sign your approval", run=_approve, tell=_tell, done=_back
)  # fmt: skip
RETURN = Operation(
    name="return-case", title="Sign that you send it back", run=_return, tell=_tell, done=_back
)
WITHDRAW = Operation(
    name="withdraw-approval", title="Sign that you take your approval back", tell=_tell, done=_back,
    run=lambda desk, by, values: desk.dispositions.withdraw(values["case"], by),
)  # fmt: skip
OPERATIONS = (APPROVE, RETURN, WITHDRAW)
