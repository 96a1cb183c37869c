"""``person key``, ``add`` and ``list``: people who decide, and their keys. A private key is written once and never shown again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, Table, day, good
from console.cli.options import Here, Json, MaybeName
from console.cli.person_life import manager
from console.cli.site import opened
from flows.settings import load_settings
from flows.wiring import write_secret
from retention.errors import RetentionError, UsageError
from retention.permissions import Role
from retention.signing import PublicKey, generate, load_public
from storage.ledger.people import Person
from storage.staff import require_own_key, require_short_name

ShortName = Annotated[
    str, Parameter(help="Short name, as in --as NAME: lower-case letters, digits, dots and dashes.")
]


def key(
    name: ShortName,
    /,
    *,
    key_file: Annotated[
        Path | None, Parameter(help="Where to write the private key; by default in the keyring.")
    ] = None,
    json: Json = False,
    session: Here,
) -> Answer:
    require_short_name(name)
    path, made = key_file or load_settings().keyring.expanduser() / f"{name}.pem", generate(name)
    _keep(path, made.dump())
    lines: list[Line] = [
        good(f"private key: {path} (readable by its owner only; this is its only copy)"),
        f"public key:  {made.public.line}",
    ]
    body = {"private_key": path, "public_key": made.public.line, "keyid": made.keyid}
    note = "give the public key to whoever manages people; the private key to nobody"
    return Answer(command="person.key", body=body, lines=lines, notes=[note])


def add(
    name: ShortName,
    /,
    *,
    full_name: Annotated[str, Parameter(help="As it is printed on certificates.")],
    title: Annotated[str, Parameter(help="As it is printed on certificates: Library Director.")],
    role: Annotated[
        Role,
        Parameter(
            help="custodian: holds and approvals; second-custodian: confirms and approves as the second; counsel: sees matters, verifies requests; operator: runs; auditor: reads; administrator: manages people."
        ),
    ],
    key_file: Annotated[
        Path | None, Parameter(help="Where to write the private key; by default in the keyring.")
    ] = None,
    public_key: Annotated[
        Path | None,
        Parameter(
            help="A key that the person made themself (retention person key): its public half, in a file."
        ),
    ] = None,
    as_: MaybeName = None,
    as_key_file: Annotated[
        Path | None, Parameter(help="The administrator's signing key, when it is not in the keyring.")
    ] = None,
    json: Json = False,
    session: Here,
) -> Answer:
    if public_key is not None and key_file is not None:
        raise UsageError("a key is either made here or was made before", "give --key-file or --public-key")
    made = None
    if public_key is None:
        made = generate(name)
        public = made.public
    else:
        public = _read_public(public_key)
    with opened(session) as site:
        by = manager(site, as_, as_key_file)
        path = key_file or site.settings.keyring.expanduser() / f"{name}.pem"
        person = Person(
            name=name,
            full_name=full_name.strip(),
            title=title.strip(),
            role=role,
            public_key=require_own_key(public),
            added_at=site.now(),
        )
        site.staff.require_addable(person, by)
        if made is not None:
            _keep(path, made.dump())
        try:
            site.staff.add(person, by)
        except RetentionError:
            if made is not None:
                path.unlink(missing_ok=True)  # a key that belongs to nobody must not stay behind
            raise
    lines: list[Line] = [good(f"added {name}: {person.full_name}, {person.title} ({role.value})")]
    if made is not None:
        lines.append(f"private key: {path} (readable by its owner only; this is its only copy)")
    lines.append(f"public key:  {public.line}")
    body = {
        "person": name,
        "role": role.value,
        "private_key": None if made is None else path,
        "public_key": public.line,
        "keyid": public.keyid,
    }
    note = "give the private key to that person alone: whoever has it signs as them"
    return Answer(command="person.add", body=body, lines=lines, notes=[] if made is None else [note])


def list_(*, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        people = site.ledger.people.list()
        passkeys = [one.person for one in site.ledger.people.passkeys() if one.signs(None)]
        seen, ethics = (
            site.ledger.accounts.last_signed_in(),
            site.ledger.steps.acknowledging(site.today().year),
        )
    rows = [(one.name, one.full_name, one.title, told(one), day(one.added_at.date())) for one in people]
    heads = ("name", "full name", "title", "role", "added")
    lines: list[Line] = [Table(heads=heads, rows=rows, whole=frozenset({4}))] if rows else []
    body = {
        "people": [
            {"name": one.name, "full_name": one.full_name, "title": one.title, "role": one.role.value,
             "public_key": one.public_key, "added_at": one.added_at, "disabled": one.disabled, "passkeys": passkeys.count(one.name),
             "signed_in_at": seen.get(one.name), "ethics": one.name in ethics}
            for one in people
        ]
    }  # fmt: skip
    lines.append(
        words.plural(len(rows), "person", "people") if rows else "nobody yet: retention person add NAME …"
    )
    return Answer(command="person.list", body=body, lines=lines)


def told(person: Person) -> str:
    """What somebody is now."""
    return f"{person.role.value}, disabled" if person.disabled else person.role.value


def _read_public(path: Path) -> PublicKey:
    try:
        return load_public(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{os.fspath(path)}: {error.strerror}", "give the file with the public key"
        ) from None


def _keep(path: Path, pem: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_secret(path, pem)
    except FileExistsError:
        raise UsageError(
            f"{path} is there already and is not replaced", "choose another place with --key-file"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{os.fspath(path)}: {error.strerror}", "choose another place with --key-file"
        ) from None
