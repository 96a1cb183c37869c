"""The care of a hold: counsel's word, reviews, who was told and knows, who may see it; and what is shown only to whoever asks for it."""

from __future__ import annotations

from datetime import date

from starlette.responses import Response

from console.cli import words
from console.web import knowing, typed
from console.web.acting import Operation, Values
from console.web.doors import Doors, Here, Visit
from console.web.forms import Typed
from console.web.pages import hold_form
from console.web.pages.hold_page import act, done, hold_page, tell
from console.web.problems import NotFound
from retention.holds import CounselVerification
from retention.permissions import Act

doors = Doors()
VERDICTS = (CounselVerification.VERIFIED.value, CounselVerification.REJECTED.value)


@doors.post("/holds/{id}/verify", Act.VERIFY_REQUEST, fields=("verdict",))
def verify(visit: Here, form: Typed, id: str) -> Response:
    """Say whether the request is what it claims to be."""
    knowing.found(visit, id)
    if form.one("verdict") not in VERDICTS:
        return hold_page(visit, id, form.values, {"verdict": "Say which."}, status=422)
    return act(visit, id, VERIFY, form, {"verdict": form.one("verdict")}, field="verdict")


@doors.post("/holds/{id}/review", Act.PLACE_HOLD, fields=("next_review",))
def review(visit: Here, form: Typed, id: str) -> Response:
    """Say that you looked whether the duty lasts, and when somebody looks again."""
    knowing.found(visit, id)
    read = typed.Reading()
    read.need("next_review", form.one("next_review"), "Give the day of the next review.")
    on = read("next_review", lambda: typed.day(form.one("next_review")), None)
    if on is None or read.errors:
        return hold_page(visit, id, form.values, read.errors, status=422)
    return act(visit, id, REVIEW, form, {"next": on.isoformat()}, field="next_review")


@doors.post("/holds/{id}/tell", Act.PLACE_HOLD, fields=("told",))
def tell_people(visit: Here, form: Typed, id: str) -> Response:
    """Write down who was told to preserve."""
    knowing.found(visit, id)
    read = typed.Reading()
    names = hold_form.people(visit, form, "told", read)
    if not names:
        read.errors["told"] = "Choose who was told."
    if read.errors:
        return hold_page(visit, id, form.values, read.errors, status=422)
    return act(visit, id, TELL, form, {"names": names}, field="told")


@doors.post("/holds/{id}/acknowledge", Act.ACKNOWLEDGE)
def acknowledge(visit: Here, form: Typed, id: str) -> Response:
    """Say that you were told of this hold, and preserve."""
    return act(visit, id, ACKNOWLEDGE, form)


@doors.post("/holds/{id}/know", Act.READ_MATTERS, fields=("add", "remove"))
def know(visit: Here, form: Typed, id: str) -> Response:
    """Change who may see a sealed hold."""
    knowing.found(visit, id)
    read = typed.Reading()
    added, removed = hold_form.people(visit, form, "add", read), sorted({*form.all("remove")})
    if not (added or removed):
        read.errors["add"] = "Choose whom to add or to take off."
    if read.errors:
        return hold_page(visit, id, form.values, read.errors, status=422)
    values = {"add": added, "remove": removed, "leaves": visit.who.name in removed}
    return act(visit, id, KNOW, form, values, field="add")


@doors.post("/holds/{id}/unseal", Act.PLACE_HOLD)
def unseal(visit: Here, form: Typed, id: str) -> Response:
    """Lift the seal: everybody may see the hold from then on."""
    return act(visit, id, UNSEAL, form)


@doors.post("/holds/{id}/subjects", Act.READ_MATTERS)
def subjects(visit: Here, form: Typed, id: str) -> Response:
    """The patrons it is about, for whoever asks: who looked is written down first."""
    file = knowing.found(visit, id)
    desk = visit.desk
    desk.ledger.note("hold.subjects-read", actor=visit.who.name, subject=id, body={}, at=desk.now())
    return hold_page(visit, id, {}, subjects=sorted(one.reveal() for one in file.scope.subjects))


@doors.post("/holds/{id}/document", Act.READ_MATTERS, fields=("digest",))
def document(visit: Here, form: Typed, id: str) -> Response:
    """A document of the hold, as it was given: every opening is written down first."""
    file = knowing.found(visit, id)
    desk, digest = visit.desk, form.one("digest")
    if digest not in file.documents:
        raise NotFound
    content = desk.documents.open(digest)
    desk.ledger.note(
        "hold.document-opened",
        actor=visit.who.name,
        subject=id,
        body={"document": digest},
        at=desk.now(),
    )
    ending = hold_form.kind_of(content).lower() or "bin"
    headers = {"Content-Disposition": f'attachment; filename="{id}-{digest[:12]}.{ending}"'}
    return Response(content, media_type="application/octet-stream", headers=headers)


# -- what is signed ----------------------------------------------------------------------------------------------------


def _tell_verify(visit: Visit, values: Values) -> list[tuple[str, str]]:
    return [*tell(visit, values), ("Counsel's word", values["verdict"])]


def _tell_review(visit: Visit, values: Values) -> list[tuple[str, str]]:
    return [*tell(visit, values), ("Next review", values["next"])]


def _tell_people(visit: Visit, values: Values) -> list[tuple[str, str]]:
    return [*tell(visit, values), ("Who is told to preserve", words.listed([*values["names"]]))]


def _tell_know(visit: Visit, values: Values) -> list[tuple[str, str]]:
    lists = (("Who may see it from now on", values["add"]), ("Who may not any more", values["remove"]))
    return [*tell(visit, values), *((name, words.listed([*who])) for name, who in lists if who)]


VERIFY = Operation(
    name="verify-hold", title="Sign your word on this request", tell=_tell_verify, done=done,
    run=lambda desk, by, values: desk.hold_care.verify(values["hold"], by, CounselVerification(values["verdict"])),
)  # fmt: skip
REVIEW = Operation(
    name="review-hold", title="Sign that you reviewed this hold", tell=_tell_review, done=done,
    run=lambda desk, by, values: desk.hold_care.review(values["hold"], by, date.fromisoformat(values["next"])),
)  # fmt: skip
TELL = Operation(
    name="tell-hold", title="Sign who was told of this hold", tell=_tell_people, done=done,
    run=lambda desk, by, values: desk.hold_care.tell(values["hold"], by, values["names"]),
)  # fmt: skip
ACKNOWLEDGE = Operation(
    name="acknowledge-hold", title="Sign that you were told, and preserve", tell=tell, done=done,
    run=lambda desk, by, values: desk.hold_care.acknowledge(values["hold"], by),
)  # fmt: skip
KNOW = Operation(
    name="know-hold", title="Sign who may see this hold", tell=_tell_know, done=lambda values: "/holds" if values["leaves"] else done(values),
    run=lambda desk, by, values: desk.hold_care.know(values["hold"], by, add=values["add"], remove=values["remove"]),
)  # fmt: skip
UNSEAL = Operation(
    name="unseal-hold", title="Sign to lift the seal", tell=tell, done=done,
    run=lambda desk, by, values: desk.hold_care.unseal(values["hold"], by),
)  # fmt: skip
OPERATIONS = (VERIFY, REVIEW, TELL, ACKNOWLEDGE, KNOW, UNSEAL)
