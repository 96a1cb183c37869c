"""``person add`` and ``list``: people who decide, and their keys. A private key is written once and never shown again."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, Table, day, good
from console.cli.options import Here, Json, MaybeName
from console.cli.person_life import manager
from console.cli.site import opened
from flows.wiring import Site, write_secret
from retention.errors import RetentionError, UsageError
from retention.permissions import Role
from retention.signing import generate
from storage.ledger.people import Person

RESERVED = frozenset({"scheduler", "console", "upgrade"})
"""Actors of events that are nobody: a person of that name would pass for them."""


def add(
    name: Annotated[
        str, Parameter(help="Short name, as in --as NAME: lower-case letters, digits, dots and dashes.")
    ],
    /,
    *,
    full_name: Annotated[str, Parameter(help="As it is printed on certificates.")],
    title: Annotated[str, Parameter(help="As it is printed on certificates: Library Director.")],
    role: Annotated[Role, Parameter(help="custodian: holds and approvals; operator: runs; auditor: reads.")],
    key_file: Annotated[
        Path | None, Parameter(help="Where to write the private key; by default in the keyring.")
    ] = None,
    as_: MaybeName = None,
    as_key_file: Annotated[
        Path | None, Parameter(help="The administrator's signing key, when it is not in the keyring.")
    ] = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        actor = site.staff.require_manager(manager(site, as_, as_key_file))
        _check(site, name, full_name, title)
        path = key_file or site.settings.keyring.expanduser() / f"{name}.pem"
        key = generate(name)
        person = Person(
            name=name,
            full_name=full_name.strip(),
            title=title.strip(),
            role=role,
            public_key=key.public.text,
            added_at=site.now(),
        )
        site.ledger.require_ready(site.now())
        _keep(path, key.dump())
        try:
            site.ledger.people.add(person, actor=actor)
        except RetentionError:
            path.unlink(missing_ok=True)  # a key that belongs to nobody must not stay behind
            raise
    lines: list[Line] = [
        good(f"added {name}: {person.full_name}, {person.title} ({role.value})"),
        f"private key: {path} (readable by its owner only; this is its only copy)",
        f"public key:  {key.public.line}",
    ]
    body = {
        "person": name,
        "role": role.value,
        "private_key": path,
        "public_key": key.public.line,
        "keyid": key.keyid,
    }
    note = "give the private key to that person alone: whoever has it signs as them"
    return Answer(command="person.add", body=body, lines=lines, notes=[note])


def list_(*, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        people = site.ledger.people.list()
    rows = [(one.name, one.full_name, one.title, told(one), day(one.added_at.date())) for one in people]
    heads = ("name", "full name", "title", "role", "added")
    lines: list[Line] = [Table(heads=heads, rows=rows, whole=frozenset({4}))] if rows else []
    body = {
        "people": [
            {"name": one.name, "full_name": one.full_name, "title": one.title, "role": one.role.value,
             "public_key": one.public_key, "added_at": one.added_at, "disabled": one.disabled}
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


def _check(site: Site, name: str, full_name: str, title: str) -> None:
    """Names that are usable as a file name, and full names that tell people apart on a certificate."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,63}", name):
        raise UsageError(
            f"{name!r} is not a short name",
            "lower-case letters, digits, dots and dashes, such as ada or j.doe",
        )
    if name in RESERVED:
        raise UsageError(f"{name} is what the ledger calls a service", "choose another short name")
    for what, text in (("full name", full_name), ("title", title)):
        if not text.strip() or not text.isprintable():
            raise UsageError(
                f"the {what} is empty or not printable", "write it as it stands on a certificate"
            )
    same = [one.name for one in site.ledger.people.list() if _plain(one.full_name) == _plain(full_name)]
    if same:
        raise UsageError(
            f"{same[0]} has the same full name: a certificate could not tell the two apart",
            "add a middle initial or a number",
        )


def _plain(full_name: str) -> str:
    return " ".join(full_name.casefold().split())


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
