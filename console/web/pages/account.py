"""A person's own account: password and sessions."""

from __future__ import annotations

from starlette.responses import Response

from console.cli import words
from console.web import challenges, passwords
from console.web.acting import Operation, Values, rehearse
from console.web.desk import Desk
from console.web.doors import COOKIE, Doors, Here, Visit
from console.web.forms import Typed
from console.web.pages.sign_in import TOO_MANY, address_of, new_password_errors, next_value
from console.web.problems import NotFound, explained
from retention.errors import Refused, UsageError
from retention.origin import Origin
from retention.permissions import PERMISSIONS, Act
from retention.signing import load_public
from storage import passkeys
from storage.signatures import Signing

doors = Doors()


@doors.get("/account", Act.READ)
def account(visit: Here, changed: str = "") -> Response:
    """Your account."""
    return _page(visit, changed=changed == "password")


@doors.post("/account/password", Act.READ, fields=("current", "password", "again"))
def change_password(visit: Here, form: Typed) -> Response:
    """Change your password. All your sessions end, and a new one begins."""
    desk, who, now = visit.desk, visit.who, visit.desk.now()
    accounts, address = desk.ledger.accounts, address_of(visit)
    if not accounts.begin(who.name, address, now):
        return _page(visit, errors={"current": TOO_MANY}, status=429)
    known = accounts.get(who.name)
    if known is None or not passwords.is_right(next_value(form.values.get("current")), known.password):
        return _page(visit, errors={"current": "This is not your password."}, status=422)
    accounts.succeeded(who.name, address, now)
    errors = new_password_errors(form, who.name, who.full_name)
    if errors:
        return _page(visit, errors=errors, status=422)
    accounts.set_password(
        who.name, passwords.hashed(next_value(form.values.get("password"))), actor=who.name, at=now
    )
    response = visit.see("/account?changed=password")
    token = accounts.start(who.name, "password", now)
    response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="lax")
    return response


@doors.post("/account/ethics", Act.READ)
def acknowledge(visit: Here) -> Response:
    """Acknowledge the code of ethics for this year: signed on the next page."""
    try:
        return rehearse(visit, ETHICS, {"year": visit.desk.today().year})
    except (Refused, UsageError) as error:
        return _page(visit, errors={"ethics": explained(error)}, status=422)


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


@doors.get("/account/passkeys/options", Act.READ)
def options(visit: Here) -> Response:
    """What a browser asks an authenticator for a new passkey."""
    desk, who = visit.desk, visit.who
    challenge = challenges.make(desk, "register", who.name)
    mine = desk.ledger.people.passkeys(who.name)
    asked = passkeys.registration(who, mine, Origin(desk.origin), challenge.bytes)
    response = Response(asked, media_type="application/json")
    challenges.remember(response, challenge)
    return response


@doors.post("/account/passkeys", Act.READ, fields=("passkey", "label"))
def add_passkey(visit: Here, form: Typed) -> Response:
    """Add the passkey that a browser made: signed on the next page, with a key you have already."""
    desk, who, now = visit.desk, visit.who, visit.desk.now()
    try:
        challenge = challenges.take(visit.request, desk, "register", who.name)
        passkey = passkeys.registered(
            form.one("passkey"), person=who, origin=Origin(desk.origin), challenge=challenge, label=form.one("label"), at=now
        )  # fmt: skip
        values = {"credential": passkey.credential, "public": passkey.line, "label": passkey.label}
        return rehearse(visit, PASSKEY, values)
    except (Refused, UsageError) as error:
        return _page(visit, errors={"label": explained(error)}, status=422)


@doors.post("/account/passkeys/{keyid}/retire", Act.READ)
def retire_passkey(visit: Here, keyid: str) -> Response:
    """Retire a passkey of yours, so that it signs no more: signed on the next page, with another key of yours."""
    known = {one.public.keyid: one for one in visit.desk.ledger.people.passkeys(visit.who.name)}
    if keyid not in known:
        raise NotFound
    try:
        return rehearse(
            visit, RETIRE, {"person": visit.who.name, "keyid": keyid, "label": known[keyid].label}
        )
    except (Refused, UsageError) as error:
        return _page(visit, errors={"passkeys": explained(error)}, status=422)


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
        ethics=desk.ledger.steps.acknowledged(who.name, desk.today().year), year=desk.today().year, own=visit.session, open_sessions=sessions, passkeys=desk.ledger.people.passkeys(who.name),
    )  # fmt: skip


def ways_in(desk: Desk, name: str, *, without: str) -> str:
    """How somebody signs in when that passkey does not any more."""
    account = desk.ledger.accounts.get(name)
    ways = ["the password"] if account is not None and account.password is not None else []
    if account is not None and account.oidc_subject is not None and desk.provider is not None:
        ways.append("single sign-on")
    ways += [
        f"the passkey “{one.label}”"
        for one in desk.ledger.people.passkeys(name)
        if one.signs(None) and one.public.keyid != without
    ]
    return words.listed(ways) if ways else "none: it takes a new invitation from an administrator"


def _retire(desk: Desk, by: Signing, values: Values) -> None:
    desk.staff.retire_passkey(values["person"], values["keyid"], by)


def _tell_retiring(visit: Visit, values: Values) -> list[tuple[str, str]]:
    desk = visit.desk
    left = ways_in(desk, values["person"], without=values["keyid"])
    return [
        ("Retire the passkey", values["label"]),
        ("Of", values["person"]),
        ("Key", values["keyid"]),
        ("Ways to sign in that are left", left),
    ]


def _acknowledge(desk: Desk, by: Signing, values: Values) -> None:
    desk.staff.acknowledge(by, values["year"])


def _add_passkey(desk: Desk, by: Signing, values: Values) -> None:
    public = load_public(values["public"].encode())
    desk.staff.add_passkey(by, credential=values["credential"], public=public, label=values["label"])


ETHICS = Operation(
    name="acknowledge-ethics", title="Sign that you keep to the code of ethics", run=_acknowledge,
    tell=lambda _visit, values: [("Year", str(values["year"]))], done=lambda _values: "/account",
)  # fmt: skip
PASSKEY = Operation(
    name="add-passkey", title="Sign that this passkey is yours", run=_add_passkey,
    tell=lambda _visit, values: [("Passkey", values["label"]), ("Key", load_public(values["public"].encode()).keyid)],
    done=lambda _values: "/account#passkeys",
)  # fmt: skip
RETIRE = Operation(
    name="retire-own-passkey", title="Sign that your passkey ends, with another key of yours", run=_retire, tell=_tell_retiring,
    done=lambda _values: "/account#passkeys",
)  # fmt: skip
OPERATIONS = (ETHICS, PASSKEY, RETIRE)
