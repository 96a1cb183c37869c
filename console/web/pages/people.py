"""People, for whoever manages them: who they are, what they may do, and how they come in. Each act is signed as at the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from console.web.acting import Operation, Values, rehearse
from console.web.desk import Desk
from console.web.doors import Doors, Here, Visit
from console.web.forms import Form, Typed
from console.web.oidc import entered
from console.web.pages.account import RETIRE as RETIRE_OWN
from console.web.pages.account import ways_in
from console.web.pages.cases import draft_of, first_values
from console.web.problems import NotFound, explained
from retention.errors import Refused, UsageError
from retention.permissions import Act, Role
from retention.signing import load_public
from storage.ledger.accounts import new_code
from storage.ledger.drafts import DraftKind
from storage.ledger.people import Person
from storage.ledger.person_steps import PersonStepKind
from storage.signatures import Signing
from storage.staff import require_own_key, require_printable, require_short_name

doors = Doors()
FIELDS = ("name", "full_name", "title", "role", "public")
NO_RIGHT = (
    "The pages' role in the database adds nobody on this site. At the command line: retention person add."
)


@doors.get("/people", Act.MANAGE_PEOPLE)
def list_(visit: Here) -> Response:
    """Everybody, with what they may do and when they signed in last."""
    desk = visit.desk
    year, seen = desk.today().year, desk.ledger.accounts.last_signed_in()
    signing = [one.person for one in desk.ledger.people.passkeys() if one.signs(None)]
    ethics = desk.ledger.steps.acknowledging(year)
    facts = [
        {
            **_facts(one), "passkeys": signing.count(one.name), "signed_in_at": seen.get(one.name), "ethics": one.name in ethics,
        }
        for one in desk.ledger.people.list()
    ]  # fmt: skip
    return visit.page("people.html", title="People", facts={"people": facts, "year": year})


@doors.get("/people/new", Act.MANAGE_PEOPLE)
def new(visit: Here, draft: str = "") -> Response:
    """The form to add a person."""
    return _new(visit, first_values(draft_of(visit, draft)))


@doors.post("/people/new", Act.MANAGE_PEOPLE, fields=FIELDS)
def add(visit: Here, form: Typed) -> Response:
    """Add a person with the public half of a key of theirs: signed on the next page."""
    values: dict[str, str] = {name: form.one(name) for name in FIELDS}
    errors = _wrong(values)
    if not errors and not visit.desk.ledger.people.can_add():
        errors["name"] = NO_RIGHT
    if not errors:
        try:
            return rehearse(visit, ADD, values)
        except (Refused, UsageError) as error:
            errors["name"] = explained(error)
    return _new(visit, values, errors=errors, status=422)


@doors.get("/people/{name}", Act.MANAGE_PEOPLE)
def show(visit: Here, name: str, draft: str = "", code: str = "") -> Response:
    """One person: what became of them, and what can be done."""
    return _person(visit, name, values=first_values(draft_of(visit, draft)), code=_code(visit, name, code))


@doors.post("/people/{name}/role", Act.MANAGE_PEOPLE, fields=("role",))
def give_role(visit: Here, form: Typed, name: str) -> Response:
    """Give a person another role: signed on the next page."""
    if form.one("role") not in set(Role):
        return _person(
            visit, name, values=_typed(form), errors={"role": "Choose one of the roles."}, status=422
        )
    return _rehearsed(visit, name, ROLE, {"role": form.one("role")}, form, field="role")


@doors.post("/people/{name}/disable", Act.MANAGE_PEOPLE)
def disable(visit: Here, form: Typed, name: str) -> Response:
    """Disable a person, who can do nothing from then on: signed on the next page."""
    return _rehearsed(visit, name, DISABLE, {}, form, field="standing")


@doors.post("/people/{name}/enable", Act.MANAGE_PEOPLE)
def enable(visit: Here, form: Typed, name: str) -> Response:
    """Enable a person again: signed on the next page."""
    return _rehearsed(visit, name, ENABLE, {}, form, field="standing")


@doors.post("/people/{name}/invite", Act.MANAGE_PEOPLE)
def invite(visit: Here, form: Typed, name: str) -> Response:
    """Make a one-time code for a person: signed on the next page, shown on the one after."""
    _of(visit, name)
    code, desk = new_code(), visit.desk
    shown = desk.ledger.drafts.keep(
        visit.who.name, DraftKind.CODE, {"person": name, "code": code}, desk.now()
    )
    return _rehearsed(visit, name, INVITE, {"code": code, "shown": shown}, form, field="invitation")


@doors.post("/people/{name}/oidc", Act.MANAGE_PEOPLE, fields=("subject", "remove"))
def connect(visit: Here, form: Typed, name: str) -> Response:
    """Say what a person is called at the identity provider, or that they are nobody there: signed on the next page."""
    if visit.desk.provider is None:
        raise NotFound
    typed, remove = form.one("subject"), form.ticked("remove")
    try:
        subject = None if remove else entered(visit.desk.provider.registration.issuer, typed)
    except UsageError as error:
        return _person(visit, name, values=_typed(form), errors={"subject": explained(error)}, status=422)
    return _rehearsed(
        visit, name, CONNECT, {"subject": subject, "called": None if remove else typed}, form, field="subject"
    )


@doors.post("/people/{name}/passkeys/{keyid}/retire", Act.MANAGE_PEOPLE)
def retire_passkey(visit: Here, form: Typed, name: str, keyid: str) -> Response:
    """Retire a person's passkey, so that it signs no more: signed on the next page."""
    known = {one.public.keyid: one.label for one in visit.desk.ledger.people.passkeys(name)}
    if keyid not in known:
        raise NotFound
    return _rehearsed(visit, name, RETIRE, {"keyid": keyid, "label": known[keyid]}, form, field="passkeys")


def _rehearsed(
    visit: Visit, name: str, operation: Operation, values: Mapping[str, Any], form: Form, *, field: str
) -> Response:
    _of(visit, name)
    try:
        return rehearse(visit, operation, {"person": name, **values})
    except (Refused, UsageError) as error:
        return _person(visit, name, values=_typed(form), errors={field: explained(error)}, status=422)


def _wrong(values: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with a new person, by field."""
    checks: dict[str, Callable[[], object]] = {
        "name": lambda: require_short_name(values["name"]),
        "full_name": lambda: require_printable("full name", values["full_name"]),
        "title": lambda: require_printable("title", values["title"]),
        "public": lambda: require_own_key(load_public(values["public"].encode())),
    }
    errors = {} if values["role"] in set(Role) else {"role": "Choose one of the roles."}
    for field, check in checks.items():
        try:
            check()
        except UsageError as error:
            errors[field] = explained(error)
    return errors


def _of(visit: Visit, name: str) -> Person:
    try:
        return visit.desk.ledger.people.get(name)
    except UsageError:
        raise NotFound from None


def _code(visit: Visit, name: str, id: str) -> str | None:
    """The code of an invitation that this visitor signed, as long as it is good."""
    desk, now = visit.desk, visit.desk.now()
    found = desk.ledger.drafts.get(id, visit.who.name, DraftKind.CODE, now) if id else None
    if found is None or desk.ledger.accounts.invited(found.body["code"], now) != name:
        return None
    return str(found.body["code"])


def _typed(form: Form) -> dict[str, str]:
    return first_values(form.values)


def _new(
    visit: Visit, values: Mapping[str, str], *, errors: Mapping[str, str] | None = None, status: int = 200
) -> Response:
    return visit.page(
        "person_new.html", title="Add a person", facts={"fields": list(FIELDS)}, status=status, values=values,
        errors=dict(errors or {}), roles=_roles(), can_add=visit.desk.ledger.people.can_add(), no_right=NO_RIGHT,
    )  # fmt: skip


def _person(
    visit: Visit, name: str, *, values: Mapping[str, str], errors: Mapping[str, str] | None = None, code: str | None = None,
    status: int = 200,
) -> Response:  # fmt: skip
    desk, person = visit.desk, _of(visit, name)
    account, steps = desk.ledger.accounts.get(name), desk.ledger.steps.of(name)
    passkeys = desk.ledger.people.passkeys(name)
    connected = account is not None and account.oidc_subject is not None
    facts = {
        **_facts(person), "public_key": person.public.line, "added_at": person.added_at,
        "password": account is not None and account.password is not None, "single_sign_on": connected,
        "signed_in_at": desk.ledger.accounts.last_signed_in().get(name),
        "ethics": sorted(int(one.value) for one in steps if one.step == PersonStepKind.ETHICS),
        "passkeys": [
            {"label": one.label, "keyid": one.public.keyid, "added_at": one.added_at, "retired_at": one.retired_at}
            for one in passkeys
        ],
        "steps": [{"step": one.step, "value": one.value, "actor": one.actor, "at": one.at} for one in steps],
    }  # fmt: skip
    if code is not None:
        facts["code"] = code
    return visit.page(
        "person.html", title=f"{person.full_name} ({name})", facts={"person": facts}, status=status, values=values,
        errors=dict(errors or {}), roles=_roles(), own=name == visit.who.name, code=code, provider=desk.provider is not None,
        origin=desk.origin,
    )  # fmt: skip


def _facts(person: Person) -> dict[str, Any]:
    return {
        "name": person.name, "full_name": person.full_name, "title": person.title, "role": person.role.value,
        "disabled": person.disabled,
    }  # fmt: skip


def _roles() -> list[tuple[str, str]]:
    return [(role.value, role.value.replace("-", " ")) for role in Role]


def _add(desk: Desk, by: Signing, values: Values) -> None:
    desk.staff.add(
        Person(
            name=values["name"], full_name=values["full_name"], title=values["title"], role=Role(values["role"]),
            public_key=require_own_key(load_public(values["public"].encode())), added_at=desk.now(),
        ),
        by,
    )  # fmt: skip


def _who(visit: Visit, values: Values) -> list[tuple[str, str]]:
    desk = visit.desk
    person = desk.ledger.people.get(values["person"])
    return [("Person", f"{person.full_name} ({person.name})"), ("Role now", person.role.value)]


def _tell_disabling(visit: Visit, values: Values) -> list[tuple[str, str]]:
    desk = visit.desk
    told = [
        *_who(visit, values),
        ("From then on", "they sign in no more and do nothing; what they signed stays signed"),
    ]
    if desk.staff.managers() == [values["person"]]:
        told.append(
            ("The last administrator", "after this, people are managed by whoever has the site's files")
        )
    return told


def _tell_connecting(visit: Visit, values: Values) -> list[tuple[str, str]]:
    called = values["called"]
    return [
        *_who(visit, values),
        ("At the identity provider", "nobody any more" if called is None else called),
        ("Sessions", "all of theirs end"),
    ]


def _tell_retiring(visit: Visit, values: Values) -> list[tuple[str, str]]:
    desk = visit.desk
    left = ways_in(desk, values["person"], without=values["keyid"])
    return [
        *_who(visit, values),
        ("Retire the passkey", values["label"]),
        ("Key", values["keyid"]),
        ("Ways to sign in that are left", left),
    ]


def _back(values: Values) -> str:
    return f"/people/{values['person']}"


ADD = Operation(
    name="add-person", title="Sign that you add a person", run=_add, done=lambda values: f"/people/{values['name']}",
    leave=lambda _values: "/people",
    tell=lambda _visit, values: [
        ("Short name", values["name"]), ("Full name", values["full_name"]), ("Title", values["title"]), ("Role", values["role"]),
        ("Key", load_public(values["public"].encode()).keyid),
    ],
)  # fmt: skip
ROLE = Operation(
    name="give-role", title="Sign that you give another role", done=_back,
    run=lambda desk, by, values: desk.staff.give_role(values["person"], Role(values["role"]), by),
    tell=lambda visit, values: [*_who(visit, values), ("Role from then on", values["role"])],
)  # fmt: skip
DISABLE = Operation(
    name="disable-person", title="Sign that you disable a person", done=_back, tell=_tell_disabling,
    run=lambda desk, by, values: desk.staff.disable(values["person"], by),
)  # fmt: skip
ENABLE = Operation(
    name="enable-person", title="Sign that you enable a person", done=_back, tell=_who,
    run=lambda desk, by, values: desk.staff.enable(values["person"], by),
)  # fmt: skip
INVITE = Operation(
    name="invite-person", title="Sign that you invite a person", leave=_back,
    done=lambda values: f"/people/{values['person']}?code={values['shown']}",
    run=lambda desk, by, values: desk.staff.invite(values["person"], by, code=values["code"]),
    tell=lambda visit, values: [
        *_who(visit, values), ("A code to set a password", "good once and for 48 hours; an earlier one is void")
    ],
)  # fmt: skip
CONNECT = Operation(
    name="connect-person", title="Sign how a person signs in elsewhere", done=_back, tell=_tell_connecting,
    run=lambda desk, by, values: desk.staff.bind(values["person"], values["subject"], by),
)  # fmt: skip
RETIRE = Operation(
    name="retire-passkey",
    title="Sign that a passkey ends",
    done=_back,
    tell=_tell_retiring,
    run=RETIRE_OWN.run,
)
OPERATIONS = (ADD, ROLE, DISABLE, ENABLE, INVITE, CONNECT, RETIRE)
