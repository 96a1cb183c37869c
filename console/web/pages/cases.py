"""Cases: what is to be destroyed, why, and who said yes or no."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from console.cli import words
from console.cli.case_facts import decision_facts, in_words, review_facts, spread_of
from console.web import cursor, typed
from console.web.acting import Operation, Values, rehearse
from console.web.doors import Doors, Here, Visit
from console.web.forms import Form, Typed
from console.web.pages import asking
from console.web.pages.case_acts import APPROVE, CANCEL, EXCEPT, EXTEND, RETURN, WITHDRAW
from console.web.problems import NotFound, explained
from retention.errors import Refused, UsageError
from retention.outcomes import Outcome
from retention.permissions import Act
from retention.schedule import ApprovalKind
from storage.clearing import frozen_schedule
from storage.dispositions import Review
from storage.ledger.cases import CaseState
from storage.ledger.drafts import DraftKind
from storage.ledger.exceptions import ItemException
from storage.ledger.lists import PAGE, CaseLine

doors = Doors()
MOST_NAMED = 100
"""Records that are looked for at a time, as the keeper has it."""


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
def show(visit: Here, id: str, draft: str = "", items: str = "") -> Response:
    """One case: what, why, how many, and what was decided."""
    values = draft_of(visit, draft)
    if items:
        values = {**values, "items": [items]}
    return _case(visit, id, values=values)


@doors.post("/cases/{id}/sample", Act.SECOND)
def sample(visit: Here, id: str) -> Response:
    """Ask for a sample of the case's records."""
    return _ask(visit, id, asking.CASE_SAMPLE, {})


@doors.post("/cases/{id}/find", Act.SECOND, fields=("references",))
def find(visit: Here, form: Typed, id: str) -> Response:
    """Ask for the items with the keys that are named."""
    named = form.lines("references")
    if not 1 <= len(named) <= MOST_NAMED:
        errors = {"references": f"Name 1 to {MOST_NAMED} records, one on each line."}
        return _case(visit, id, values=form.values, errors=errors, status=422)
    return _ask(visit, id, asking.CASE_NAMED, {"references": list(named)})


def _ask(visit: Visit, id: str, kind: str, body: Mapping[str, Any]) -> Response:
    """Raises `NotFound` for a case that is not there, `UsageError` for too many questions at once."""
    desk = visit.desk
    try:
        case = desk.ledger.cases.get(id)
    except UsageError:
        raise NotFound from None
    asked = desk.ledger.questions.ask(kind, {**body, "case": case.id}, person=visit.who.name, at=desk.now())
    return visit.see(f"/cases/{quote(id, safe='')}?items={asked}#items")


@doors.post("/cases/{id}/except", Act.APPROVE, fields=("positions", "except_reason", "items"))
def except_(visit: Here, form: Typed, id: str) -> Response:
    """Take items out of a case, with a reason: signed on the next page."""
    read = typed.Reading()
    positions = read("positions", lambda: [typed.count(one) for one in form.all("positions")], list[int]())
    if not positions:
        read.errors.setdefault("positions", "Choose the items that are to stay.")
    reason = read.need("except_reason", form.one("except_reason"), "Say why they are taken out.")
    if read.errors:
        return _case(visit, id, values=form.values, errors=read.errors, status=422)
    values = {"case": id, "positions": sorted(set(positions)), "reason": reason}
    return _rehearsed(visit, id, EXCEPT, values, form, field="positions")


@doors.post("/cases/{id}/extend", Act.APPROVE, fields=("until", "extend_reason"))
def extend(visit: Here, form: Typed, id: str) -> Response:
    """Put the disposition of a case's record type off to a day: signed on the next page."""
    read = typed.Reading()
    until = read("until", lambda: typed.day(form.one("until")), None)
    if until is None:
        read.errors.setdefault("until", "Give the first day on which a new case may be opened.")
    reason = read.need("extend_reason", form.one("extend_reason"), "Say why it is put off.")
    if read.errors or until is None:
        return _case(visit, id, values=form.values, errors=read.errors, status=422)
    values = {"case": id, "until": until.isoformat(), "reason": reason}
    return _rehearsed(visit, id, EXTEND, values, form, field="until")


@doors.post("/cases/{id}/cancel-extension", Act.APPROVE, fields=("cancel_reason",))
def cancel_extension(visit: Here, form: Typed, id: str) -> Response:
    """Let the record type of a case be planned again by the next run: signed on the next page."""
    reason = form.one("cancel_reason")
    if not reason:
        errors = {"cancel_reason": "Say why it is no longer put off."}
        return _case(visit, id, values=form.values, errors=errors, status=422)
    return _rehearsed(visit, id, CANCEL, {"case": id, "reason": reason}, form, field="cancel_reason")


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
        errors = {field: explained(error)}
        return _case(visit, id, values=form.values, errors=errors, status=422)


def _case(
    visit: Visit, id: str, *, values: Mapping[str, Any], errors: Mapping[str, str] | None = None, status: int = 200
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
    excepted = desk.ledger.exceptions.of(id)
    facts = {
        "case": review_facts(seen), "excepted": [{"position": one.ordinal, "person": one.person, "at": one.at} for one in excepted],
        "extended": desk.rulings.extended(case.record_type), "decisions": [decision_facts(one) for one in decisions],
        "certificates": [one.id for one in certificates], "changes": changes,
    }  # fmt: skip
    people = {one.name: one for one in desk.ledger.people.list()}
    ruled = any(
        one.id == case.record_type and one.approval is ApprovalKind.STANDING
        for one in desk.schedule.record_types
    )
    return visit.page(
        "case.html", ruled=ruled and case.approval_kind is ApprovalKind.STANDING, title=f"{record_type.title}: case {id}", facts=facts, status=status, seen=seen, record_type=record_type,
        standing=in_words(case, seen.clearance, visit.on_the_clock), values=first_values(values), errors=dict(errors or {}), people=people,
        approving=decisions, papers=certificates, done=_done(seen), token=cursor.seal(desk, id, seen.epoch),
        mine=visit.who.name in {one.person for one in decisions if one.decision == "approve"}, lifts=values.get("lifts", ()), outs=_outs(excepted), spread=spread_of(case), **asking.about_items(visit, id, values),
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


def _outs(excepted: Iterable[ItemException]) -> list[tuple[str, datetime, int]]:
    """Who took how many items out, and when, oldest first; a reason is for nobody but who may open it."""
    counts: dict[tuple[str, datetime], int] = {}
    for one in excepted:
        counts[one.person, one.at] = counts.get((one.person, one.at), 0) + 1
    return [(person, at, count) for (person, at), count in counts.items()]


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
