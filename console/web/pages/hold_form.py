"""The fields in which a hold is typed: its matter, its scope, who may know of it and who is told. Used by every form that has them.

Refuses to guess: what is not usable is named at its field, and never makes a hold wider or narrower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any

from starlette.responses import Response

from console.cli.hold_lines import scope_words
from console.web import knowing, typed
from console.web.acting import Values
from console.web.doors import Visit
from console.web.forms import MAX_DOCUMENT, Form, Upload
from console.web.problems import explained
from console.web.wording import on_the_clock
from retention.errors import RetentionError, UsageError
from retention.holds import CounselVerification, Matter, MatterKind, Scope
from retention.records import Personal
from storage.ledger.drafts import DraftKind

MATTER = (
    "number", "kind", "authority", "jurisdiction", "court", "case_number", "issued_on", "received_at", "served_by", "officer", "agency", "badge",
)  # fmt: skip
SCOPE = ("record_types", "stores", "subjects", "cameras", "branches", "since", "until", "before", "after")
SECRECY = ("sealed", "need_to_know", "nondisclosure_until")
KINDS = tuple((kind.value, kind.value.replace("-", " ").capitalize()) for kind in MatterKind)
DOCUMENTS = {
    b"%PDF-": "PDF",
    b"\x89PNG\r\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
"""How documents begin that a court sends."""
ACCEPT = "application/pdf,image/png,image/jpeg,image/tiff"
_MANY_LINES = {"subjects", "cameras", "branches", "links"}
_LINE = 300
_MARGINS = (("before", "since"), ("after", "until"))
_FIELD_OF = (
    ("subject", "subjects"), ("branch", "branches"), ("camera", "cameras"), ("store", "stores"), ("verbal", "kind"), ("need-to-know", "need_to_know"),
    ("release document", "document"),
)  # fmt: skip


def page(
    visit: Visit, template: str, title: str, values: Mapping[str, Sequence[str]], errors: Mapping[str, str] | None = None,
    *, status: int = 200, facts: Mapping[str, Any] | None = None, **context: Any,
) -> Response:  # fmt: skip
    """A page with these fields, as they were typed."""
    schedule = visit.desk.schedule
    cameras = {
        name
        for one in schedule.record_types
        for place in one.locations
        for name in getattr(place, "cameras", {})
    }
    return visit.page(
        template, title=title, facts=facts or {}, status=status, values=_shown(values), errors=dict(errors or {}), kinds=KINDS, accept=ACCEPT,
        record_types=[(one.id, one.title) for one in schedule.record_types], stores=[(one.name, one.title) for one in schedule.stores],
        chosen={name: tuple(values.get(name, ())) for name in ("record_types", "stores", "need_to_know", "told", "lifted")},
        cameras=sorted(cameras), others=choices(visit, but={visit.who.name}), given=_given(visit, next(iter(values.get("given", ())), "")), **context,
    )  # fmt: skip


def _shown(values: Mapping[str, Sequence[str]]) -> dict[str, str]:
    return {
        name: "\n".join(many) if name in _MANY_LINES else str(next(iter(many), ""))
        for name, many in values.items()
    }


def choices(visit: Visit, *, but: set[str] | frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """Everybody who could be told or let in on a hold, but for these: name and how they are called."""
    return [
        (one.name, f"{one.full_name}, {one.title}")
        for one in visit.desk.ledger.people.list()
        if not one.disabled and one.name not in but
    ]


def at_field(error: RetentionError) -> dict[str, str]:
    """What a rule refused, at the field that it is about."""
    return {
        next((field for word, field in _FIELD_OF if word in error.message), "record_types"): explained(error)
    }


def scope_told(visit: Visit, scope: Scope) -> list[tuple[str, str]]:
    """What a scope restricts, in the words of these forms; patrons are counted, times are on the library's clock."""
    zone = visit.desk.schedule.library.zone
    found = scope_words(
        scope, called=visit.desk.title_of, told=lambda at: on_the_clock(at, zone, to_the_second=True)
    )
    return [("patrons" if name == "subjects" else name, text) for name, text in found]


# -- reading -----------------------------------------------------------------------------------------------------------


def scope(visit: Visit, form: Form, read: typed.Reading, *, within: Scope | None = None) -> Scope:
    """``within``: the scope of a hold that this is added to; then nothing has to be typed, and margins may be of its times."""
    zone = visit.desk.schedule.library.zone
    since = read("since", lambda: typed.bound(form.one("since"), zone), None)
    until = read("until", lambda: typed.bound(form.one("until"), zone, last=True), None)
    if since is not None and until is not None and since > until:
        read.errors["until"] = "The end is before the beginning."
    found = Scope(
        record_types=frozenset(form.all("record_types")), stores=frozenset(form.all("stores")),
        subjects=frozenset(Personal(line) for line in form.lines("subjects")), cameras=frozenset(form.lines("cameras")),
        branches=frozenset(form.lines("branches")), since=since, until=until,
        margin_before=read("before", lambda: typed.minutes(form.one("before")), timedelta(0)),
        margin_after=read("after", lambda: typed.minutes(form.one("after")), timedelta(0)),
    )  # fmt: skip
    for margin, bound in _MARGINS:
        bounded = form.one(bound) or (within is not None and getattr(within, bound) is not None)
        if form.one(margin) and not bounded:
            read.errors.setdefault(margin, "A margin needs the time that it widens.")
    if within is None and found.is_empty and not read.errors:
        read.errors["record_types"] = (
            "Say what to keep: at least one record type, store, patron, camera, branch or time."
        )
    return found


def matter(visit: Visit, form: Form, read: typed.Reading) -> dict[str, Any]:
    """As `matter_of` takes it, in JSON."""
    read.need("number", form.one("number"), "Give the matter's number, or one of your own.")
    read.need("authority", form.one("authority"), "Say who issued it.")
    kind = form.one("kind")
    if kind not in set(MatterKind):
        read.errors["kind"] = "Choose what it is."
    zone = visit.desk.schedule.library.zone
    issued = read("issued_on", lambda: typed.day(form.one("issued_on")), None)
    received = read("received_at", lambda: typed.moment(form.one("received_at"), zone), None)
    lines = [name for name in MATTER if name not in ("kind", "issued_on", "received_at")]
    for name in lines:
        one_line(form, name, read)
    return {
        **{name: form.one(name) or None for name in lines}, "kind": kind, "issued_on": None if issued is None else issued.isoformat(),
        "received_at": None if received is None else received.isoformat(),
    }  # fmt: skip


def one_line(form: Form, name: str, read: typed.Reading) -> str:
    text = form.one(name)
    if len(text) > _LINE or not text.isprintable():
        read.errors[name] = f"Use one line of at most {_LINE} characters."
    return text


def matter_of(given: Mapping[str, Any], document: str | None) -> Matter:
    issued, received = given["issued_on"], given["received_at"]
    return Matter(
        number=given["number"], kind=MatterKind(given["kind"]), issuing_authority=given["authority"], jurisdiction=given["jurisdiction"],
        court=given["court"], case_number=given["case_number"], served_by=given["served_by"], officer=given["officer"],
        officer_agency=given["agency"], officer_badge=given["badge"], issued_on=None if issued is None else date.fromisoformat(issued),
        received_at=None if received is None else datetime.fromisoformat(received), document_digest=document,
        counsel=CounselVerification.UNVERIFIED,
    )  # fmt: skip


def secrecy(visit: Visit, form: Form, read: typed.Reading) -> Values:
    """Who may know of it: nobody but those named, where it is sealed."""
    sealed = form.ticked("sealed")
    known = people(visit, form, "need_to_know", read)
    until = read("nondisclosure_until", lambda: typed.day(form.one("nondisclosure_until")), None)
    if not sealed:
        for name, given in (("need_to_know", known), ("nondisclosure_until", until)):
            if given:
                read.errors.setdefault(name, "This is for sealed holds: tick “Sealed”, or leave it out.")
    elif until is not None and until <= visit.desk.today():
        read.errors.setdefault("nondisclosure_until", "Give a day to come, or none.")
    return {
        "sealed": sealed,
        "need_to_know": known,
        "nondisclosure_until": None if until is None else until.isoformat(),
    }


def people(visit: Visit, form: Form, name: str, read: typed.Reading) -> list[str]:
    """Names that were ticked."""
    there = {person for person, _ in choices(visit)}
    found = sorted({*form.all(name)})
    if not there.issuperset(found):
        read.errors[name] = "Choose people of the list."
    return found


def holds(visit: Visit, form: Form, name: str, read: typed.Reading) -> list[str]:
    """Ids of holds that this person may know of. One that they may not is not there."""
    found = sorted({*form.lines(name)})
    known = {file.id for file in knowing.known(visit)}
    missing = [id for id in found if id not in known]
    if missing:
        read.errors[name] = f"There is no hold {missing[0][:40]}."
    return found


def document(visit: Visit, form: Form, read: typed.Reading) -> bytes | None:
    """The document that was chosen now, or the last time this form was sent (`again`); ``None`` for none."""
    upload = form.upload("document")
    if upload is not None:
        if told := _unfit(upload):
            read.errors["document"] = told
            return None
        return upload.content
    if not form.one("given"):
        return None
    given = _given(visit, form.one("given"))
    if given is not None:
        with suppress(UsageError):
            return visit.desk.documents.open(given["document"])
    read.errors["document"] = "The document that you chose is not kept any more. Choose it again."
    return None


def _unfit(upload: Upload) -> str:
    """Why it is not a document that a court sends, by how it begins, whatever it is called; "" when it is."""
    if upload.too_large:
        return f"This file is too large. Documents have at most {MAX_DOCUMENT // 1024 // 1024} MB."
    if not upload.content.strip():
        return "This file is empty."
    if not kind_of(upload.content):
        return "This is not a document of a kind that is taken here: PDF, PNG, JPEG or TIFF."
    return ""


def kind_of(content: bytes) -> str:
    """What a document is, by how it begins; nothing for what no court sends."""
    return next((kind for start, kind in DOCUMENTS.items() if content.startswith(start)), "")


def again(visit: Visit, form: Form) -> Mapping[str, Sequence[str]]:
    """What was typed, to be shown again. Browsers never fill in a file twice: a document that was chosen is kept sealed, for this
    person, and named in the form by a draft that nobody else can use."""
    upload = form.upload("document")
    if upload is None or _unfit(upload):
        return form.values
    desk = visit.desk
    name = upload.name if upload.name.isprintable() else ""
    body = {
        "page": form.one("page"), "values": {}, "document": desk.documents.keep(upload.content), "name": name[:_LINE],
    }  # fmt: skip
    return {
        **form.values,
        "given": (desk.ledger.drafts.keep(visit.who.name, DraftKind.TYPED, body, desk.now()),),
    }


def _given(visit: Visit, id: str) -> Mapping[str, Any] | None:
    """The document that this person chose before, with its name."""
    desk = visit.desk
    found = desk.ledger.drafts.get(id, visit.who.name, DraftKind.TYPED, desk.now()) if id else None
    return None if found is None or "document" not in found.body else found.body
