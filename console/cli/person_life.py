"""``person role``, ``disable``, ``enable``, ``invite``, ``acknowledge-ethics`` and ``show``: what becomes of people after they were added."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli.answer import Answer, Line, good, heading, moment
from console.cli.options import Here, Json, KeyFile, MaybeName, Name
from console.cli.site import opened
from flows.wiring import Site
from retention.permissions import Role
from storage.ledger.person_steps import PersonStepKind
from storage.signatures import Signatory

Who = Annotated[str, Parameter(help="A name from `retention person list`.")]


def manager(site: Site, as_: str | None, key_file: Path | None) -> Signatory | None:
    """Who manages people here; nobody by name where the site has no administrator."""
    return None if as_ is None else site.signatory(as_, key_file)


def role(
    name: Who,
    role: Annotated[Role, Parameter(help="What they may do from now on.")],
    /,
    *,
    as_: MaybeName = None,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        person = site.staff.give_role(name, role, manager(site, as_, key_file))
    line = good(
        f"{name} is {person.role.value} from now on; what they signed counts by the role they had then"
    )
    return Answer(command="person.role", body={"person": name, "role": person.role.value}, lines=[line])


def disable(
    name: Who, /, *, as_: MaybeName = None, key_file: KeyFile = None, json: Json = False, session: Here
) -> Answer:
    with opened(session) as site:
        site.staff.disable(name, manager(site, as_, key_file))
    line = good(f"{name} can do nothing from now on; what they signed stays signed")
    return Answer(command="person.disable", body={"person": name, "disabled": True}, lines=[line])


def enable(
    name: Who, /, *, as_: MaybeName = None, key_file: KeyFile = None, json: Json = False, session: Here
) -> Answer:
    with opened(session) as site:
        person = site.staff.enable(name, manager(site, as_, key_file))
    line = good(f"{name} is {person.role.value} again")
    return Answer(command="person.enable", body={"person": name, "disabled": False}, lines=[line])


def invite(
    name: Who, /, *, as_: MaybeName = None, key_file: KeyFile = None, json: Json = False, session: Here
) -> Answer:
    with opened(session) as site:
        code, origin = site.staff.invite(name, manager(site, as_, key_file)), site.settings.origin
    lines: list[Line] = [
        good(f"a code for {name}, good once and for 48 hours, at {origin}/invitation:"),
        f"  {code}",
    ]
    note = "give it to that person alone, by another way than mail; an earlier code no longer works"
    return Answer(command="person.invite", body={"person": name, "code": code}, lines=lines, notes=[note])


def acknowledge_ethics(
    *,
    year: Annotated[int | None, Parameter(help="The year it is for; this year by default.")] = None,
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        step = site.staff.acknowledge(site.signatory(as_, key_file), year or site.today().year)
    line = good(f"{as_} acknowledged the code of ethics for {step.value}")
    body = {"person": as_, "year": int(step.value)}
    return Answer(command="person.acknowledge-ethics", body=body, lines=[line])


def show(name: Who, /, *, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        person, steps = site.ledger.people.get(name), site.ledger.steps.of(name)
        passkeys = site.ledger.people.passkeys(name)
        seen = site.ledger.accounts.last_signed_in().get(name)
    years = sorted({int(one.value) for one in steps if one.step == PersonStepKind.ETHICS})
    state = " (disabled)" if person.disabled else ""
    lines: list[Line] = [
        heading(f"{name}: {person.full_name}, {person.title}; {person.role.value}{state}"),
        f"  added {moment(person.added_at)}; public key: {person.public_key}",
    ]
    if seen is not None:
        lines.append(f"  signed in to the console last {moment(seen)}")
    lines += [
        f"  passkey {one.label}: {one.public.keyid}, added {moment(one.added_at)}"
        + ("" if one.retired_at is None else f", retired {moment(one.retired_at)}")
        for one in passkeys
    ]
    lines += [
        f"  {moment(one.at)}: {one.step} {one.value} by {one.actor}".replace("  by", " by") for one in steps
    ]
    body = {
        "person": name, "full_name": person.full_name, "title": person.title, "role": person.role.value,
        "disabled": person.disabled, "public_key": person.public_key, "added_at": person.added_at, "ethics": years, "signed_in_at": seen,
        "passkeys": [
            {"label": one.label, "keyid": one.public.keyid, "added_at": one.added_at, "retired_at": one.retired_at}
            for one in passkeys
        ],
        "steps": [{"step": one.step, "value": one.value, "actor": one.actor, "at": one.at} for one in steps],
    }  # fmt: skip
    return Answer(command="person.show", body=body, lines=lines)
