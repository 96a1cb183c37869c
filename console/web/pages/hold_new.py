"""A new hold: placed in two minutes with a preview, or recorded as a request that a custodian decides on later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from starlette.responses import Response

from console.cli import words
from console.web import typed
from console.web.acting import Operation, Values, rehearse
from console.web.desk import Desk
from console.web.doors import Doors, Here, Visit
from console.web.forms import Form, Typed
from console.web.pages import asking, hold_form
from console.web.pages.cases import draft_of
from console.web.pages.hold_form import KINDS, MATTER, SCOPE, SECRECY, at_field, matter_of
from console.web.wording import day
from retention.errors import Refused, UsageError
from retention.permissions import Act
from storage.hold_steps import new_hold_id
from storage.ledger.drafts import DraftKind
from storage.ledger.holds import scope_from_json, scope_to_json
from storage.ledger.questions import Question
from storage.signatures import Signing

doors = Doors()
PLACING, ASKING = "/holds/new", "/holds/request"
TITLES = {PLACING: "Place a hold", ASKING: "Record a request"}


@doors.get(PLACING, Act.PLACE_HOLD)
def new(visit: Here, draft: str = "", preview: str = "") -> Response:
    """The form to place a hold."""
    return _form(
        visit, PLACING, draft_of(visit, draft), asked=asking.maybe(visit, preview, asking.HOLD_PREVIEW)
    )


@doors.post(
    PLACING,
    Act.PLACE_HOLD,
    fields=(*MATTER, *SCOPE, "snapshot", *SECRECY, "review", "told", "links", "do", "document", "given"),
)
def place(visit: Here, form: Typed) -> Response:
    """Place a hold: it is checked, shown, then signed."""
    return _send(visit, PLACING, form)


@doors.get(ASKING, Act.REQUEST_HOLD)
def new_request(visit: Here, draft: str = "", preview: str = "") -> Response:
    """The form to record a request: an officer's words, a letter that nobody has verified."""
    return _form(
        visit, ASKING, draft_of(visit, draft), asked=asking.maybe(visit, preview, asking.HOLD_PREVIEW)
    )


@doors.post(
    ASKING, Act.REQUEST_HOLD, fields=(*MATTER, *SCOPE, "snapshot", *SECRECY, "do", "document", "given")
)
def request(visit: Here, form: Typed) -> Response:
    """Record a request: it is checked, shown, then signed. It keeps nothing until a custodian places it."""
    return _send(visit, ASKING, form)


def _send(visit: Visit, page: str, form: Form) -> Response:
    read = typed.Reading()
    scope = hold_form.scope(visit, form, read)
    document = hold_form.document(visit, form, read)
    if form.one("do") == "preview":
        return _preview(visit, page, form, read)
    matter = hold_form.matter(visit, form, read)
    values: dict[str, Any] = {
        "matter": matter, "continuing": not form.ticked("snapshot"), **hold_form.secrecy(visit, form, read),
    }  # fmt: skip
    if page == PLACING:
        values |= _care(visit, form, values, read)
    if read.errors:
        return _form(visit, page, hold_form.again(visit, form), read.errors, status=422)
    values |= {
        "id": new_hold_id(visit.desk.now()), "scope": scope_to_json(scope),
        "document": None if document is None else visit.desk.documents.keep(document),
    }  # fmt: skip
    try:
        return rehearse(visit, PLACE if page == PLACING else REQUEST, values)
    except (Refused, UsageError) as error:
        return _form(visit, page, hold_form.again(visit, form), at_field(error), status=422)


def _care(visit: Visit, form: Form, values: Values, read: typed.Reading) -> Values:
    """What is settled when a hold is placed, and not before: reviews, who is told, what it belongs with."""
    told = hold_form.people(visit, form, "told", read)
    if values["sealed"] and not {visit.who.name, *values["need_to_know"]}.issuperset(told):
        read.errors.setdefault(
            "told", "Somebody is told of a sealed hold who may not see it: tick them there too."
        )
    return {
        "review": read("review", lambda: _review(form.one("review")), None), "told": told,
        "links": hold_form.holds(visit, form, "links", read),
    }  # fmt: skip


def _review(text: str) -> int | None:
    days = typed.count(text or "90")
    if not 1 <= days <= 3650:
        raise typed.Wrong("Between 1 and 3650 days.")
    return days


def _preview(visit: Visit, page: str, form: Form, read: typed.Reading) -> Response:
    """Ask what a hold with this scope would keep; what was typed comes back with the answer."""
    desk, who = visit.desk, visit.who.name
    if read.errors:
        return _form(visit, page, hold_form.again(visit, form), read.errors, status=422)
    scope = hold_form.scope(visit, form, read)
    try:
        desk.holding.check(scope)
    except UsageError as error:
        return _form(visit, page, hold_form.again(visit, form), at_field(error), status=422)
    asked = desk.ledger.questions.ask(
        asking.HOLD_PREVIEW, {"scope": scope_to_json(scope)}, person=who, at=desk.now()
    )
    body = {"page": page, "values": {name: list(many) for name, many in hold_form.again(visit, form).items()}}
    draft = desk.ledger.drafts.keep(who, DraftKind.TYPED, body, desk.now())
    return visit.see(f"{page}?draft={draft}&preview={asked}#preview")


def _form(
    visit: Visit, page: str, values: Mapping[str, Sequence[str]], errors: Mapping[str, str] | None = None, status: int = 200, *,
    asked: Question | None = None,
) -> Response:  # fmt: skip
    return hold_form.page(
        visit, "hold_new.html", TITLES[page], values, errors, status=status, asked=asked, here=page, placing=page == PLACING,
        late=asked is not None and asking.is_late(visit, asked),
    )  # fmt: skip


# -- what is signed ----------------------------------------------------------------------------------------------------


def _until(values: Values) -> date | None:
    until = values["nondisclosure_until"]
    return None if until is None else date.fromisoformat(until)


def _place(desk: Desk, by: Signing, values: Values) -> None:
    desk.holding.place(
        scope_from_json(values["scope"]), matter_of(values["matter"], values["document"]), by, sealed=values["sealed"],
        continuing=values["continuing"], review_every_days=values["review"], id=values["id"], need_to_know=values["need_to_know"],
        nondisclosure_until=_until(values), links=values["links"], told=values["told"],
    )  # fmt: skip


def _request(desk: Desk, by: Signing, values: Values) -> None:
    desk.holding.request(
        scope_from_json(values["scope"]), matter_of(values["matter"], values["document"]), by, sealed=values["sealed"],
        continuing=values["continuing"], id=values["id"], need_to_know=values["need_to_know"], nondisclosure_until=_until(values),
    )  # fmt: skip


def _tell(visit: Visit, values: Values) -> list[tuple[str, str]]:
    matter = values["matter"]
    kind = dict(KINDS)[matter["kind"]].lower()
    until = _until(values)
    told = [
        ("Hold", values["id"]),
        ("Matter", f"{matter['number']} ({kind}, {matter['authority']})"),
        *((f"Keeps {name}", text) for name, text in hold_form.scope_told(visit, scope_from_json(values["scope"]))),
        ("Reaches", "what exists and what comes" if values["continuing"] else "what exists when it is in force everywhere"),
        ("Sealed", "yes: nobody without the need to know sees it" if values["sealed"] else "no"),
        ("Who may see it", words.listed([*values["need_to_know"]])),
        ("Not to be told until", day(until)),
        ("Who is told to preserve", words.listed([*values.get("told", ())])),
        ("Belongs with", words.listed([*values.get("links", ())])),
        ("Document (SHA-256)", values["document"] or ""),
    ]  # fmt: skip
    return [(name, text) for name, text in told if text]


def _done(values: Values) -> str:
    return f"/holds/{values['id']}"


PLACE = Operation(
    name="place-hold",
    title="Sign to place this hold",
    run=_place,
    tell=_tell,
    done=_done,
    leave=lambda _values: "/holds",
)
REQUEST = Operation(
    name="request-hold", title="Sign to record this request", run=_request, tell=_tell, done=_done, leave=lambda _values: "/holds"
)  # fmt: skip
OPERATIONS = (PLACE, REQUEST)
