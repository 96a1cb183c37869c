"""Holds as they are: the list, one hold, and those that you were told of."""

from __future__ import annotations

from starlette.responses import Response

from console.web import knowing
from console.web.doors import Doors, Here, Visit
from console.web.pages.cases import draft_of
from console.web.pages.hold_form import scope_told
from console.web.pages.hold_page import facts, hold_page
from console.web.templates import wants_json
from retention.holds import HoldState
from retention.permissions import Act
from storage.ledger.holds import HoldFile

doors = Doors()
SHOWN = 100
ENDED = (HoldState.RELEASED, HoldState.DECLINED)


@doors.get("/holds", Act.READ)
def list_(visit: Here, released: str = "", text: str = "") -> Response:
    """Legal holds that you may know of, newest first."""
    found = [file for file in knowing.known(visit) if released or file.state not in ENDED]
    wanted = text.strip().casefold()
    if wanted:
        found = [file for file in found if wanted in _searchable(visit, file)]
    # The page shows the newest ones; only the JSON answer has the facts, of all.
    told, links = (found, knowing.links(visit)) if wants_json(visit.request) else ([], {})
    return visit.page(
        "holds.html", title="Legal holds", facts={"holds": [facts(visit, file, links) for file in told]}, files=found[:SHOWN],
        count=len(found), released=bool(released), text=text, matters=visit.may(Act.READ_MATTERS),
    )  # fmt: skip


@doors.get("/holds/told", Act.ACKNOWLEDGE)
def told(visit: Here) -> Response:
    """Holds that you were told of: preserve what they keep, and say that you know."""
    links = knowing.links(visit)
    found = [file for file in knowing.known(visit) if file.state.keeps and visit.who.name in file.told]
    waiting = [file for file in found if visit.who.name in file.unacknowledged]
    return visit.page(
        "holds_told.html", title="Holds that you were told of", files=[*waiting, *(file for file in found if file not in waiting)],
        facts={"holds": [facts(visit, file, links) for file in found], "unacknowledged": [file.id for file in waiting]},
        matters=visit.may(Act.READ_MATTERS),
        scopes={file.id: [(name.capitalize(), text) for name, text in scope_told(visit, file.scope)] for file in found},
    )  # fmt: skip


@doors.get("/holds/{id}", Act.READ)
def show(visit: Here, id: str, draft: str = "") -> Response:
    """One hold, as far as you may know of it."""
    return hold_page(visit, id, draft_of(visit, draft))


@doors.get("/holds/{id}/state", Act.READ)
def state(visit: Here, id: str) -> Response:
    """Whether a hold is effective everywhere: a part of its page."""
    file = knowing.found(visit, id)
    return visit.page(
        "hold_state.html", title=f"Hold {id}", facts={"id": id, "state": file.state.value}, file=file
    )


def _searchable(visit: Visit, file: HoldFile) -> str:
    words = [file.id, file.state.value, file.placed_by, *file.scope.record_types, *file.scope.stores]
    if visit.may(Act.READ_MATTERS):
        words += [file.matter.number, file.matter.issuing_authority, file.matter.case_number or ""]
    return " ".join(words).casefold()
