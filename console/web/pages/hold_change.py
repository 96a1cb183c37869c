"""A hold's scope changes: widened itself, or narrowed by placing a narrower one beside it; and what belongs with it.

Narrowing takes two signatures: under the narrower hold, then under the request to release the wide one. Between the two both keep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from console.cli import words
from console.web import knowing, typed
from console.web.acting import Operation, Values, rehearse
from console.web.desk import Desk
from console.web.doors import Doors, Here, Visit
from console.web.forms import Typed
from console.web.pages import hold_form
from console.web.pages.cases import draft_of
from console.web.pages.hold_form import SCOPE, at_field
from console.web.pages.hold_life import RELEASE
from console.web.pages.hold_page import act, done, facts, hold_page, tell
from console.web.problems import sentence
from retention.errors import Refused, UsageError
from retention.holds import Scope
from retention.permissions import Act
from retention.widening import FIELDS, Restriction, conflicts, widened
from storage.hold_steps import new_hold_id
from storage.ledger.holds import HoldFile, scope_from_json, scope_to_json
from storage.signatures import Signing

doors = Doors()
_MINUTE = 60
_FIELD_OF = {**FIELDS, Restriction.TIME: "since"}


@doors.get("/holds/{id}/widen", Act.PLACE_HOLD)
def widening(visit: Here, id: str, draft: str = "") -> Response:
    """The form to keep more."""
    return _widening(visit, knowing.found(visit, id), draft_of(visit, draft))


@doors.post("/holds/{id}/widen", Act.PLACE_HOLD, fields=(*SCOPE, "lifted"))
def widen(visit: Here, form: Typed, id: str) -> Response:
    """Keep more: it is checked, shown, then signed."""
    file, read = knowing.found(visit, id), typed.Reading()
    added = hold_form.scope(visit, form, read, within=file.scope)
    wanted = form.all("lifted")
    lifted = frozenset(one for one in Restriction if one.value in wanted)
    if len(lifted) != len({*wanted}):
        read.errors["lifted"] = "Choose of the list."
    for restriction, told in conflicts(file.scope, added, lifted).items():
        read.errors.setdefault(_FIELD_OF[restriction], sentence(told))
    wider = widened(file.scope, added, lifted)
    if wider == file.scope and not read.errors:
        read.errors["record_types"] = "Say what it is to keep besides, or what is no longer to restrict it."
    if read.errors:
        return _widening(visit, file, form.values, read.errors, status=422)
    try:
        return rehearse(visit, WIDEN, {"hold": id, "scope": scope_to_json(wider)})
    except (Refused, UsageError) as error:
        return _widening(visit, file, form.values, at_field(error), status=422)


@doors.get("/holds/{id}/narrow", Act.PLACE_HOLD)
def narrowing(visit: Here, id: str, draft: str = "") -> Response:
    """The form to keep less, from a document on."""
    file = knowing.found(visit, id)
    return _narrowing(visit, file, draft_of(visit, draft) or _typed(visit, file.scope))


@doors.post("/holds/{id}/narrow", Act.PLACE_HOLD, fields=(*SCOPE, "document", "given"))
def narrow(visit: Here, form: Typed, id: str) -> Response:
    """Keep less: a narrower hold is placed beside this one, then the release of this one is asked for."""
    file, read = knowing.found(visit, id), typed.Reading()
    narrower = hold_form.scope(visit, form, read)
    document = hold_form.document(visit, form, read)
    if document is None:
        read.errors.setdefault("document", "Choose the document by which less has to be kept.")
    if read.errors or document is None:
        return _narrowing(visit, file, hold_form.again(visit, form), read.errors, status=422)
    values = {
        "hold": id, "id": new_hold_id(visit.desk.now()), "scope": scope_to_json(narrower), "document": visit.desk.documents.keep(document),
    }  # fmt: skip
    try:
        return rehearse(visit, NARROW, values)
    except (Refused, UsageError) as error:
        return _narrowing(visit, file, hold_form.again(visit, form), at_field(error), status=422)


@doors.post("/holds/{id}/link", Act.PLACE_HOLD, fields=("links",))
def link(visit: Here, form: Typed, id: str) -> Response:
    """Say which holds it belongs with."""
    knowing.found(visit, id)
    read = typed.Reading()
    others = hold_form.holds(visit, form, "links", read)
    if not others:
        read.errors["links"] = "Give the id of the other hold."
    if read.errors:
        return hold_page(visit, id, form.values, read.errors, status=422)
    return act(visit, id, LINK, form, {"others": others}, field="links")


def _widening(
    visit: Visit, file: HoldFile, values: Mapping[str, Sequence[str]], errors: Mapping[str, str] | None = None, *, status: int = 200
) -> Response:  # fmt: skip
    scope = file.scope
    bounded = scope.since is not None or scope.until is not None
    restricted = [
        (one.value, words_of(one))
        for one in Restriction
        if (bounded if one is Restriction.TIME else getattr(scope, FIELDS[one]))
    ]
    return hold_form.page(
        visit, "hold_change.html", f"Widen hold {file.id}", values, errors, status=status, facts={"hold": facts(visit, file)}, file=file,
        scope_facts=[(name.capitalize(), text) for name, text in hold_form.scope_told(visit, scope)], narrowing=False, restricted=restricted,
    )  # fmt: skip


def _narrowing(
    visit: Visit, file: HoldFile, values: Mapping[str, Sequence[str]], errors: Mapping[str, str] | None = None, *, status: int = 200
) -> Response:  # fmt: skip
    return hold_form.page(
        visit, "hold_change.html", f"Narrow hold {file.id}", values, errors, status=status, facts={"hold": facts(visit, file)}, file=file,
        scope_facts=[(name.capitalize(), text) for name, text in hold_form.scope_told(visit, file.scope)], narrowing=True, restricted=[],
    )  # fmt: skip


def words_of(restriction: Restriction) -> str:
    return restriction.value.replace("-", " ").replace("subject", "patron").capitalize()


def _typed(visit: Visit, scope: Scope) -> dict[str, tuple[str, ...]]:
    """A scope as somebody would type it, without the patrons: their ids are shown to nobody who did not ask for them."""
    zone = visit.desk.schedule.library.zone
    moments = {
        name: (at.astimezone(zone).isoformat(" ", "auto"),)
        for name, at in (("since", scope.since), ("until", scope.until))
        if at is not None
    }
    margins = {
        name: (str(-int(-margin.total_seconds() // _MINUTE)),)
        for name, margin in (("before", scope.margin_before), ("after", scope.margin_after))
        if margin
    }
    lists = {name: tuple(sorted(getattr(scope, name))) for name in FIELDS.values() if name != "subjects"}
    return {**lists, **moments, **margins}


# -- what is signed ----------------------------------------------------------------------------------------------------


def _narrow(desk: Desk, by: Signing, values: Values) -> None:
    desk.holding.narrow(values["hold"], scope_from_json(values["scope"]), by, as_id=values["id"])


def _tell_scope(visit: Visit, values: Values) -> list[tuple[str, str]]:
    found = [one for one in tell(visit, values) if not one[0].startswith("Keeps ")]
    scope = hold_form.scope_told(visit, scope_from_json(values["scope"]))
    return [*found, *((f"Is to keep {name}", text) for name, text in scope)]


def _tell_narrow(visit: Visit, values: Values) -> list[tuple[str, str]]:
    return [("Narrower hold", values["id"]), *(("In place of" if name == "Hold" else name, text) for name, text in _tell_scope(visit, values))]  # fmt: skip


def _tell_link(visit: Visit, values: Values) -> list[tuple[str, str]]:
    return [*tell(visit, values), ("Belongs with", words.listed([*values["others"]]))]


WIDEN = Operation(
    name="widen-hold", title="Sign to widen this hold", tell=_tell_scope, done=done,
    run=lambda desk, by, values: desk.holding.widen(values["hold"], scope_from_json(values["scope"]), by),
)  # fmt: skip
NARROW = Operation(
    name="narrow-hold", title="Sign to place the narrower hold", run=_narrow, tell=_tell_narrow, done=done,
    then=lambda values: (RELEASE.name, {"hold": values["hold"], "document": values["document"]}),
)  # fmt: skip
LINK = Operation(
    name="link-hold", title="Sign which holds it belongs with", tell=_tell_link, done=done,
    run=lambda desk, by, values: desk.hold_care.link(values["hold"], by, values["others"]),
)  # fmt: skip
OPERATIONS = (WIDEN, NARROW, LINK)
