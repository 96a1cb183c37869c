"""Holds: placed in two minutes, seen by those who may know of them, released by two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from console.cli import words
from console.cli.hold_lines import hold_facts, scope_words
from console.web import knowing, typed
from console.web.acting import Operation, Values, rehearse
from console.web.desk import Desk
from console.web.doors import Doors, Here, Visit
from console.web.forms import MAX_DOCUMENT, Form, Typed, Upload
from console.web.pages import asking
from console.web.pages.cases import draft_of
from console.web.problems import sentence
from console.web.templates import wants_json
from retention.errors import Refused, UsageError
from retention.holds import CounselVerification, Matter, MatterKind, Scope
from retention.permissions import Act, may
from retention.records import Personal
from storage.hold_steps import new_hold_id
from storage.ledger.drafts import DraftKind
from storage.ledger.holds import HoldFile, scope_from_json, scope_to_json
from storage.ledger.questions import Question
from storage.signatures import Signing

doors = Doors()

FIELDS = (
    "number", "kind", "authority", "court", "case_number", "officer", "agency", "badge", "issued_on", "served_by", "record_types",
    "stores", "subjects", "cameras", "branches", "since", "until", "before", "after", "sealed", "need_to_know", "snapshot", "review", "do",
)  # fmt: skip
KINDS = tuple((kind.value, kind.value.replace("-", " ").capitalize()) for kind in MatterKind)
DOCUMENTS = {
    b"%PDF-": "PDF",
    b"\x89PNG\r\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
"""How documents begin that a court sends."""
SHOWN = 100
ACCEPT = "application/pdf,image/png,image/jpeg,image/tiff"


@doors.get("/holds", Act.READ)
def list_(visit: Here, released: str = "", text: str = "") -> Response:
    """Legal holds that you may know of, newest first."""
    found = [file for file in knowing.known(visit) if released or file.state.keeps]
    wanted = text.strip().casefold()
    if wanted:
        found = [file for file in found if wanted in _searchable(visit, file)]
    # The page shows the newest ones; only the JSON answer has the facts of all.
    told = found if wants_json(visit.request) else found[:SHOWN]
    return visit.page(
        "holds.html", title="Legal holds", facts={"holds": [_facts(visit, file) for file in told]}, files=found[:SHOWN],
        count=len(found), released=bool(released), text=text, matters=visit.may(Act.READ_MATTERS),
    )  # fmt: skip


@doors.get("/holds/new", Act.PLACE_HOLD)
def new(visit: Here, draft: str = "", preview: str = "") -> Response:
    """The form to place a hold."""
    return _form(visit, draft_of(visit, draft), asked=asking.maybe(visit, preview, asking.HOLD_PREVIEW))


@doors.post("/holds/new", Act.PLACE_HOLD, fields=FIELDS)
def place(visit: Here, form: Typed) -> Response:
    """Place a hold: it is checked, shown, then signed."""
    read = typed.Reading()
    scope = _scope(visit, form, read)
    matter = _matter(form, read)
    document = document_of(form.upload("document"), read, "document")
    review = read("review", lambda: _review(form.one("review")), None)
    if form.one("do") == "preview":
        return _preview(visit, form, scope, read)
    if read.errors:
        return _form(visit, form.values, read.errors, status=422)
    values = {
        "id": new_hold_id(visit.desk.now()), "scope": scope_to_json(scope), "matter": matter, "sealed": form.ticked("sealed"),
        "continuing": not form.ticked("snapshot"), "review": review,
        "need_to_know": sorted(form.all("need_to_know")), "document": None if document is None else visit.desk.documents.keep(document),
    }  # fmt: skip
    try:
        return rehearse(visit, PLACE, values)
    except (Refused, UsageError) as error:
        field = "subjects" if "subject" in error.message else "record_types"
        return _form(visit, form.values, {field: sentence(error.message)}, status=422)


@doors.get("/holds/{id}", Act.READ)
def show(visit: Here, id: str, draft: str = "") -> Response:
    """One hold, as far as you may know of it."""
    return _hold(visit, id, draft_of(visit, draft))


@doors.get("/holds/{id}/state", Act.READ)
def state(visit: Here, id: str) -> Response:
    """Whether a hold is effective everywhere: a part of its page."""
    file = knowing.found(visit, id)
    return visit.page(
        "hold_state.html", title=f"Hold {id}", facts={"id": id, "state": file.state.value}, file=file
    )


@doors.post("/holds/{id}/confirm", Act.CONFIRM_HOLD)
def confirm(visit: Here, form: Typed, id: str) -> Response:
    """Confirm a hold that somebody else placed."""
    return _act(visit, id, CONFIRM, {"hold": id}, form)


@doors.post("/holds/{id}/release", Act.PLACE_HOLD, fields=("document",))
def release(visit: Here, form: Typed, id: str) -> Response:
    """Ask for the release, with the document that ends the duty."""
    read = typed.Reading()
    document = document_of(form.upload("document"), read, "document")
    if document is None and not read.errors:
        read.errors["document"] = "Choose the document that ends the duty to preserve."
    if read.errors or document is None:
        return _hold(visit, id, form.values, read.errors, status=422)
    kept = visit.desk.documents.keep(document)
    return _act(visit, id, RELEASE, {"hold": id, "document": kept}, form)


@doors.post("/holds/{id}/approve-release", Act.CONFIRM_HOLD)
def approve_release(visit: Here, form: Typed, id: str) -> Response:
    """Approve a release that somebody else asked for."""
    return _act(visit, id, APPROVE_RELEASE, {"hold": id, "days": visit.desk.grace_days}, form)


@doors.post("/holds/{id}/cancel-release", Act.PLACE_HOLD)
def cancel_release(visit: Here, form: Typed, id: str) -> Response:
    """Undo a release that was asked for or is in its grace period."""
    return _act(visit, id, CANCEL_RELEASE, {"hold": id}, form)


def _act(visit: Visit, id: str, operation: Operation, values: Values, form: Form) -> Response:
    knowing.found(visit, id)
    try:
        return rehearse(visit, operation, values)
    except (Refused, UsageError) as error:
        return _hold(visit, id, form.values, {operation.name: sentence(error.message)}, status=422)


def _hold(
    visit: Visit,
    id: str,
    values: Mapping[str, Any],
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    file = knowing.found(visit, id)
    return visit.page(
        "hold.html", title=f"Hold {id}", facts={"hold": _facts(visit, file)}, status=status, file=file, errors=dict(errors or {}),
        matters=visit.may(Act.READ_MATTERS), scope=scope_words(file.scope, subjects=False), grace=visit.desk.grace_days,
        people={one.name: one for one in visit.desk.ledger.people.list()}, accept=ACCEPT,
    )  # fmt: skip


def _preview(visit: Visit, form: Form, scope: Scope, read: typed.Reading) -> Response:
    """Ask what a hold with this scope would keep; what was typed comes back with the answer."""
    desk, who = visit.desk, visit.who.name
    about_scope = (
        "record_types",
        "stores",
        "subjects",
        "cameras",
        "branches",
        "since",
        "until",
        "before",
        "after",
    )
    errors = {name: told for name, told in read.errors.items() if name in about_scope}
    if errors:
        return _form(visit, form.values, errors, status=422)
    try:
        desk.holding.check(scope)
    except UsageError as error:
        return _form(visit, form.values, {"record_types": sentence(error.message)}, status=422)
    asked = desk.ledger.questions.ask(
        asking.HOLD_PREVIEW, {"scope": scope_to_json(scope)}, person=who, at=desk.now()
    )
    body = {"page": "/holds/new", "values": {name: list(many) for name, many in form.values.items()}}
    draft = desk.ledger.drafts.keep(who, DraftKind.TYPED, body, desk.now())
    return visit.see(f"/holds/new?draft={draft}&preview={asked}#preview")


def _form(
    visit: Visit, values: Mapping[str, Sequence[str]], errors: Mapping[str, str] | None = None, status: int = 200, *,
    asked: Question | None = None,
) -> Response:  # fmt: skip
    schedule = visit.desk.schedule
    cameras = sorted(
        {
            name
            for one in schedule.record_types
            for place in one.locations
            for name in getattr(place, "cameras", {})
        }
    )
    shown = {
        name: "\n".join(many) if name in _MANY_LINES else str(next(iter(many), ""))
        for name, many in values.items()
    }
    return visit.page(
        "hold_new.html", title="Place a hold", facts={}, status=status, values=shown, errors=dict(errors or {}), kinds=KINDS, accept=ACCEPT,
        record_types=[(one.id, one.title) for one in schedule.record_types], chosen_types=tuple(values.get("record_types", ())),
        stores=[(one.name, one.title) for one in schedule.stores], chosen_stores=tuple(values.get("stores", ())), cameras=cameras,
        asked=asked, late=asked is not None and asking.is_late(visit, asked), chosen_people=tuple(values.get("need_to_know", ())),
        others=[
            (one.name, f"{one.full_name}, {one.title}") for one in visit.desk.ledger.people.list()
            if not one.disabled and one.name != visit.who.name and may(one.role, Act.READ_MATTERS)
        ],
    )  # fmt: skip


_MANY_LINES = {"subjects", "cameras", "branches"}


def _scope(visit: Visit, form: Form, read: typed.Reading) -> Scope:
    zone = visit.desk.schedule.library.zone
    since = read("since", lambda: typed.moment(form.one("since"), zone), None)
    until = read("until", lambda: typed.moment(form.one("until"), zone), None)
    if since is not None and until is not None and since > until:
        read.errors["until"] = "The end is before the beginning."
    scope = Scope(
        record_types=frozenset(form.all("record_types")), stores=frozenset(form.all("stores")),
        subjects=frozenset(Personal(line) for line in form.lines("subjects")), cameras=frozenset(form.lines("cameras")),
        branches=frozenset(form.lines("branches")), since=since, until=until,
        margin_before=read("before", lambda: typed.minutes(form.one("before")), timedelta(0)),
        margin_after=read("after", lambda: typed.minutes(form.one("after")), timedelta(0)),
    )  # fmt: skip
    if scope.is_empty and not read.errors:
        read.errors["record_types"] = (
            "Say what to keep: at least one record type, store, patron, camera, branch or time."
        )
    return scope


def _matter(form: Form, read: typed.Reading) -> dict[str, Any]:
    """As `Matter` takes it, in JSON."""
    read.need("number", form.one("number"), "Give the matter's number, or one of your own.")
    read.need("authority", form.one("authority"), "Say who issued it.")
    kind = form.one("kind")
    if kind not in set(MatterKind):
        read.errors["kind"] = "Choose what it is."
    issued = read("issued_on", lambda: typed.day(form.one("issued_on")), None)
    for name in ("number", "authority", "court", "case_number", "officer", "agency", "badge", "served_by"):
        if len(form.one(name)) > 300 or not form.one(name).isprintable():
            read.errors[name] = "Use one line of at most 300 characters."
    return {
        "number": form.one("number"), "kind": kind, "issuing_authority": form.one("authority"), "court": form.one("court") or None,
        "case_number": form.one("case_number") or None, "officer": form.one("officer") or None,
        "officer_agency": form.one("agency") or None, "officer_badge": form.one("badge") or None,
        "served_by": form.one("served_by") or None, "issued_on": None if issued is None else issued.isoformat(),
    }  # fmt: skip


def _review(text: str) -> int | None:
    days = typed.count(text or "90")
    if not 1 <= days <= 3650:
        raise typed.Wrong("Between 1 and 3650 days.")
    return days


def document_of(upload: Upload | None, read: typed.Reading, field: str) -> bytes | None:
    """A document that a court sends, by how it begins, whatever it is called; ``None`` for none."""
    if upload is None:
        return None
    if upload.too_large:
        read.errors[field] = (
            f"This file is too large. Documents have at most {MAX_DOCUMENT // 1024 // 1024} MB."
        )
    elif not upload.content.strip():
        read.errors[field] = "This file is empty."
    elif not any(upload.content.startswith(start) for start in DOCUMENTS):
        read.errors[field] = "This is not a document of a kind that is taken here: PDF, PNG, JPEG or TIFF."
    return None if field in read.errors else upload.content


def _facts(visit: Visit, file: HoldFile) -> dict[str, Any]:
    facts = hold_facts(file)
    return facts if visit.may(Act.READ_MATTERS) else {**facts, "matter": None}


def _searchable(visit: Visit, file: HoldFile) -> str:
    words = [file.id, file.state.value, file.placed_by, *file.scope.record_types, *file.scope.stores]
    if visit.may(Act.READ_MATTERS):
        words += [file.matter.number, file.matter.issuing_authority, file.matter.case_number or ""]
    return " ".join(words).casefold()


# -- what is signed ----------------------------------------------------------------------------------------------------


def _matter_of(values: Values) -> Matter:
    given = dict(values["matter"])
    issued = typed.day(given.pop("issued_on") or "")
    return Matter(
        **{**given, "kind": MatterKind(given["kind"])}, issued_on=issued, document_digest=values["document"],
        counsel=CounselVerification.UNVERIFIED,
    )  # fmt: skip


def _place(desk: Desk, by: Signing, values: Values) -> None:
    desk.holding.place(
        scope_from_json(values["scope"]), _matter_of(values), by, sealed=values["sealed"], continuing=values["continuing"],
        review_every_days=values["review"], id=values["id"], need_to_know=values["need_to_know"],
    )  # fmt: skip


def _tell_place(desk: Desk, values: Values) -> list[tuple[str, str]]:
    matter = values["matter"]
    told = [
        ("Hold", values["id"]),
        (
            "Matter",
            f"{matter['number']} ({dict(KINDS)[matter['kind']].lower()}, {matter['issuing_authority']})",
        ),
        *(
            (f"Keeps {name}", text)
            for name, text in scope_words(scope_from_json(values["scope"]), subjects=False)
        ),
        ("Sealed", "yes: nobody without the need to know sees it" if values["sealed"] else "no"),
        *([("Who may see it", words.listed([*values["need_to_know"]]))] if values["need_to_know"] else []),
    ]
    if values["document"]:
        told.append(("Document (SHA-256)", values["document"]))
    return told


def _tell(desk: Desk, values: Values) -> list[tuple[str, str]]:
    file = desk.ledger.holds.get(values["hold"])
    told = [("Hold", file.id), ("Matter", file.matter.number)]
    told += [(f"Keeps {name}", text) for name, text in scope_words(file.scope, subjects=False)]
    if values.get("document"):
        told.append(("Document (SHA-256)", values["document"]))
    if values.get("days"):
        told.append(("Grace period", f"{values['days']} days; until then it keeps"))
    return told


def _done(values: Values) -> str:
    return f"/holds/{values.get('hold') or values['id']}"


PLACE = Operation(
    name="place-hold", title="Sign to place this hold", run=_place, tell=_tell_place, done=_done, leave=lambda _values: "/holds",
)  # fmt: skip
CONFIRM = Operation(
    name="confirm-hold", title="Sign to confirm this hold", tell=_tell, done=_done,
    run=lambda desk, by, values: (desk.holding.confirm(values["hold"], by)),
)  # fmt: skip
RELEASE = Operation(
    name="request-release", title="Sign that you ask for the release", tell=_tell, done=_done,
    run=lambda desk, by, values: (desk.holding.request_release(values["hold"], by, desk.documents.open(values["document"]))),
)  # fmt: skip
APPROVE_RELEASE = Operation(
    name="approve-release", title="Sign to approve the release", tell=_tell, done=_done,
    run=lambda desk, by, values: (desk.holding.approve_release(values["hold"], by, timedelta(days=values["days"]))),
)  # fmt: skip
CANCEL_RELEASE = Operation(
    name="cancel-release", title="Sign to cancel the release", tell=_tell, done=_done,
    run=lambda desk, by, values: (desk.holding.cancel_release(values["hold"], by)),
)  # fmt: skip
OPERATIONS = (PLACE, CONFIRM, RELEASE, APPROVE_RELEASE, CANCEL_RELEASE)
