"""What two people decide about a hold: whether a request is placed, its confirmation, and its release."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from console.web import knowing, typed
from console.web.acting import Operation, Values
from console.web.doors import Doors, Here, Visit
from console.web.forms import Typed
from console.web.pages import hold_form
from console.web.pages.hold_page import act, done, hold_page, tell
from retention.permissions import Act

doors = Doors()


@doors.post("/holds/{id}/accept", Act.PLACE_HOLD)
def accept(visit: Here, form: Typed, id: str) -> Response:
    """Place what was requested."""
    return act(visit, id, ACCEPT, form)


@doors.post("/holds/{id}/decline", Act.PLACE_HOLD, fields=("reason",))
def decline(visit: Here, form: Typed, id: str) -> Response:
    """Decide not to place what was requested, for good."""
    knowing.found(visit, id)
    read = typed.Reading()
    read.need("reason", form.one("reason"), "Say why it is not placed.")
    reason = hold_form.one_line(form, "reason", read)
    if read.errors:
        return hold_page(visit, id, form.values, read.errors, status=422)
    return act(visit, id, DECLINE, form, {"reason": reason})


@doors.post("/holds/{id}/confirm", Act.CONFIRM_HOLD)
def confirm(visit: Here, form: Typed, id: str) -> Response:
    """Confirm a hold that somebody else placed, in time or after it lapsed."""
    return act(visit, id, CONFIRM, form)


@doors.post("/holds/{id}/release", Act.PLACE_HOLD, fields=("document",))
def release(visit: Here, form: Typed, id: str) -> Response:
    """Ask for the release, with the document that ends the duty."""
    knowing.found(visit, id)
    read = typed.Reading()
    document = hold_form.document(visit, form, read)
    if document is None:
        read.errors.setdefault("document", "Choose the document that ends the duty to preserve.")
        return hold_page(visit, id, form.values, read.errors, status=422)
    return act(visit, id, RELEASE, form, {"document": visit.desk.documents.keep(document)})


@doors.post("/holds/{id}/approve-release", Act.CONFIRM_HOLD)
def approve_release(visit: Here, form: Typed, id: str) -> Response:
    """Approve a release that somebody else asked for."""
    return act(visit, id, APPROVE_RELEASE, form, {"days": visit.desk.grace_days})


@doors.post("/holds/{id}/cancel-release", Act.PLACE_HOLD)
def cancel_release(visit: Here, form: Typed, id: str) -> Response:
    """Undo a release that was asked for or is in its grace period."""
    return act(visit, id, CANCEL_RELEASE, form)


def _tell_decline(visit: Visit, values: Values) -> list[tuple[str, str]]:
    return [*tell(visit, values), ("Reason", values["reason"])]


ACCEPT = Operation(
    name="accept-hold", title="Sign to place what was requested", tell=tell, done=done,
    run=lambda desk, by, values: desk.holding.accept(values["hold"], by),
)  # fmt: skip
DECLINE = Operation(
    name="decline-hold", title="Sign that this request is declined", tell=_tell_decline, done=done,
    run=lambda desk, by, values: desk.holding.decline(values["hold"], by, values["reason"]),
)  # fmt: skip
CONFIRM = Operation(
    name="confirm-hold", title="Sign to confirm this hold", tell=tell, done=done,
    run=lambda desk, by, values: desk.holding.confirm(values["hold"], by),
)  # fmt: skip
RELEASE = Operation(
    name="request-release", title="Sign that you ask for the release", tell=tell, done=done,
    run=lambda desk, by, values: desk.holding.request_release(values["hold"], by, desk.documents.open(values["document"])),
)  # fmt: skip
APPROVE_RELEASE = Operation(
    name="approve-release", title="Sign to approve the release", tell=tell, done=done,
    run=lambda desk, by, values: desk.holding.approve_release(values["hold"], by, timedelta(days=values["days"])),
)  # fmt: skip
CANCEL_RELEASE = Operation(
    name="cancel-release", title="Sign to cancel the release", tell=tell, done=done,
    run=lambda desk, by, values: desk.holding.cancel_release(values["hold"], by),
)  # fmt: skip
OPERATIONS = (ACCEPT, DECLINE, CONFIRM, RELEASE, APPROVE_RELEASE, CANCEL_RELEASE)
