"""A person's own account: password and sessions."""

from __future__ import annotations

from starlette.responses import Response

from console.web import passwords
from console.web.doors import COOKIE, Doors, Here, Visit
from console.web.forms import Typed
from console.web.pages.sign_in import new_password_errors, next_value
from retention.permissions import PERMISSIONS, Act

doors = Doors()


@doors.get("/account", Act.READ)
def account(visit: Here, changed: str = "") -> Response:
    """Your account."""
    return _page(visit, changed=changed == "password")


@doors.post("/account/password", Act.READ, fields=("current", "password", "again"))
def change_password(visit: Here, form: Typed) -> Response:
    """Change your password. All your sessions end, and a new one begins."""
    desk, who, now = visit.desk, visit.who, visit.desk.now()
    known = desk.ledger.accounts.get(who.name)
    if known is None or not passwords.is_right(next_value(form.values.get("current")), known.password):
        return _page(visit, errors={"current": "This is not your password."}, status=422)
    errors = new_password_errors(form, who.name, who.full_name)
    if errors:
        return _page(visit, errors=errors, status=422)
    desk.ledger.accounts.set_password(
        who.name, passwords.hashed(next_value(form.values.get("password"))), actor=who.name, at=now
    )
    response = visit.see("/account?changed=password")
    token = desk.ledger.accounts.start(who.name, "password", now)
    response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="lax")
    return response


@doors.post("/account/sessions", Act.READ)
def end_sessions(visit: Here) -> Response:
    """End all your other sessions."""
    desk, who, own = visit.desk, visit.who, visit.session
    others = [
        one.id
        for one in desk.ledger.accounts.sessions(who.name, desk.now())
        if own is not None and one.id != own.id
    ]
    if others:
        desk.ledger.accounts.end(who.name, *others, at=desk.now())
    return visit.see("/account")


def _page(
    visit: Visit, *, errors: dict[str, str] | None = None, changed: bool = False, status: int = 200
) -> Response:
    who, desk = visit.who, visit.desk
    sessions = desk.ledger.accounts.sessions(who.name, desk.now())
    facts = {
        "name": who.name, "full_name": who.full_name, "title": who.title, "role": who.role.value,
        "acts": sorted(act.value for act in PERMISSIONS[who.role]),
        "sessions": [{"how": one.how, "since": one.made_at, "seen": one.seen_at} for one in sessions],
    }  # fmt: skip
    return visit.page(
        "account.html", title="Your account", facts={"account": facts}, status=status, errors=errors or {}, changed=changed,
        own=visit.session, open_sessions=sessions,
    )  # fmt: skip
