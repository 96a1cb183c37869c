"""Signing in and out, and setting a password with an invitation."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from console.web import challenges, passwords
from console.web.doors import COOKIE, PUBLIC, Doors, Here, Visit
from console.web.forms import Typed
from retention.errors import Refused, Unavailable, UsageError
from retention.origin import Origin
from storage import passkeys
from storage.ledger.accounts import Session
from storage.ledger.drafts import DraftKind

doors = Doors()

TOO_MANY = "Too many attempts failed. Wait a quarter of an hour and try again."
WRONG = "The name or the password is not right."


@doors.get("/sign-in", PUBLIC)
def sign_in(visit: Here, next: str = "/", draft: str = "") -> Response:
    """The form to sign in with."""
    if visit.person is not None:
        return visit.see(local(next))
    return _form(visit, next=local(next), draft=draft)


@doors.post("/sign-in", PUBLIC, fields=("name", "password", "next", "draft"))
def signed_in(visit: Here, form: Typed) -> Response:
    """Sign in with name and password."""
    desk, now = visit.desk, visit.desk.now()
    name, next, draft = form.one("name"), local(form.one("next")), form.one("draft")
    accounts, address = desk.ledger.accounts, address_of(visit)
    if not accounts.begin(name, address, now):
        return _form(visit, next=next, draft=draft, name=name, errors={"name": TOO_MANY}, status=429)
    account = accounts.get(name)
    right = passwords.is_right(
        next_value(form.values.get("password")), None if account is None else account.password
    )
    if not right or not is_active(visit, name):
        return _form(visit, next=next, draft=draft, name=name, errors={"name": WRONG}, status=422)
    accounts.succeeded(name, address, now)
    return welcome(visit, name, "password", next=next, draft=draft)


@doors.get("/sign-in/options", PUBLIC)
def options(visit: Here) -> Response:
    """What a browser asks any passkey that it knows."""
    challenge = challenges.make(visit.desk, "sign-in", "")
    asked = passkeys.asking((), Origin(visit.desk.origin), challenge.bytes)
    response = Response(asked, media_type="application/json")
    challenges.remember(response, challenge)
    return response


@doors.post("/sign-in/passkey", PUBLIC, fields=("passkey", "next", "draft"))
def signed_in_with_passkey(visit: Here, form: Typed) -> Response:
    """Sign in with a passkey."""
    desk, now, address = visit.desk, visit.desk.now(), address_of(visit)
    next, draft = local(form.one("next")), form.one("draft")
    accounts = desk.ledger.accounts
    if not accounts.begin("", address, now):
        return _form(visit, next=next, draft=draft, errors={"name": TOO_MANY}, status=429)
    try:
        challenge = challenges.take(visit.request, desk, "sign-in", "")
        name = passkeys.who(
            desk.ledger, passkeys.read_answer(form.one("passkey")), Origin(desk.origin), challenge
        )
    except Refused:
        name = None
    if name is None or not is_active(visit, name):
        told = "Nobody here has this passkey, or the page was open for too long. Try again."
        return _form(visit, next=next, draft=draft, errors={"name": told}, status=422)
    accounts.succeeded("", address, now)
    return welcome(visit, name, "passkey", next=next, draft=draft)


@doors.post("/sign-out", PUBLIC)
def sign_out(visit: Here) -> Response:
    """End the session; where it began at the identity provider, go on to sign out there too."""
    there = None
    if visit.session is not None:
        there = _sign_out_there(visit, visit.session)
        visit.desk.ledger.accounts.end(visit.session.person, visit.session.id, at=visit.desk.now())
    if there is None:
        response = visit.see("/sign-in")
    else:
        visit = replace(visit, session=None, person=None)
        visit.request.state.visit = visit
        response = visit.page("signed_out.html", title="Signed out here", facts={"sign_out_there": there})
        # No redirect: the answer to a form of ours may lead to no other site (form-action).
        response.headers["Refresh"] = f"0; url={there}"
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


@doors.get("/invitation", PUBLIC)
def invitation(visit: Here, code: str = "") -> Response:
    """The form to set a password with the code of an invitation."""
    return _invitation(visit, code=code)


@doors.post("/invitation", PUBLIC, fields=("code", "password", "again"))
def invited(visit: Here, form: Typed) -> Response:
    """Set the password and sign in."""
    desk, now, address = visit.desk, visit.desk.now(), address_of(visit)
    code, password = form.one("code"), next_value(form.values.get("password"))
    accounts = desk.ledger.accounts
    if not accounts.begin("", address, now):
        return _invitation(visit, code=code, errors={"code": TOO_MANY}, status=429)
    name = accounts.invited(code, now)
    if name is None or not is_active(visit, name):
        told = "This code is not valid: it was used already, is too old or has a typing mistake. Ask for a new one."
        return _invitation(visit, code=code, errors={"code": told}, status=422)
    accounts.succeeded("", address, now)
    errors = new_password_errors(form, name, desk.ledger.people.get(name).full_name)
    if errors:
        return _invitation(visit, code=code, errors=errors, status=422)
    if accounts.use_invitation(code, now) is None:
        return _invitation(visit, code=code, errors={"code": "This code was used just now."}, status=422)
    accounts.set_password(name, passwords.hashed(password), actor=name, at=now)
    return welcome(visit, name, "password", next="/", draft="")


def new_password_errors(form: Typed, *about: str) -> dict[str, str]:
    """What is wrong with a new password typed twice, by field."""
    password = next_value(form.values.get("password"))
    problem = passwords.problem_of(password, *about)
    if problem is not None:
        return {"password": problem}
    if password != next_value(form.values.get("again")):
        return {"again": "The two passwords are not the same."}
    return {}


def _sign_out_there(visit: Visit, session: Session) -> str | None:
    provider, accounts = visit.desk.provider, visit.desk.ledger.accounts
    if provider is None or session.how != "oidc":
        return None
    try:
        return provider.sign_out(accounts.id_token(session))
    except Unavailable:
        return None  # the session here ends all the same


def welcome(
    visit: Visit, name: str, how: str, *, next: str, draft: str, id_token: str | None = None
) -> Response:
    """Begin a session, with a new cookie whatever was there before, and go where the person wanted to."""
    desk, now = visit.desk, visit.desk.now()
    before = None if visit.session is None else visit.session.id
    token = desk.ledger.accounts.start(name, how, now, instead_of=before, id_token=id_token)
    kept = desk.ledger.drafts.get(draft, name, DraftKind.TYPED, now) if draft else None
    response = visit.see(f"{local(str(kept.body['page']))}?draft={draft}" if kept is not None else next)
    response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="lax")
    return response


def is_active(visit: Visit, name: str) -> bool:
    try:
        return not visit.desk.ledger.people.get(name).disabled
    except UsageError:
        return False


def address_of(visit: Visit) -> str:
    client = visit.request.client
    return "" if client is None else client.host


def local(path: str) -> str:
    """A page of ours; the first page for anything else, so that nobody is sent elsewhere."""
    plain = path.isprintable() and path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if plain and "\\" not in path else "/"


def next_value(values: tuple[str, ...] | None) -> str:
    """A password as it was typed, spaces and all."""
    return next(iter(values or ()), "")


def _form(
    visit: Visit, *, next: str, draft: str, name: str = "", errors: dict[str, str] | None = None, status: int = 200
) -> Response:  # fmt: skip
    return visit.page(
        "sign_in.html", title="Sign in", facts={}, status=status, next=next, draft=draft, name=name, errors=errors or {}
    )  # fmt: skip


def _invitation(
    visit: Visit, *, code: str, errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    return visit.page(
        "invitation.html", title="Set your password", facts={}, status=status, code=code, errors=errors or {},
        shortest=passwords.SHORTEST,
    )  # fmt: skip
