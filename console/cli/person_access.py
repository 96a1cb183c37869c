"""``person oidc`` and ``retire-passkey``: how people come in to the console, and what no longer signs for them."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from console.cli.answer import Answer, good
from console.cli.options import Flag, Here, Json, KeyFile, MaybeName
from console.cli.person_life import Who, manager
from console.cli.site import opened
from console.web.oidc import entered
from retention.errors import UsageError


def oidc(
    name: Who,
    /,
    *,
    subject: Annotated[
        str | None, Parameter(help="The `sub` of the provider's tokens: a name or number that never changes.")
    ] = None,
    remove: Annotated[bool, Flag, Parameter(help="Nobody signs in as that person there any more.")] = False,
    as_: MaybeName = None,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    if (subject is None) is not remove:
        raise UsageError(
            "say what the person is called there, or that it is to be removed", "give --subject or --remove"
        )
    with opened(session) as site:
        known = None if subject is None else _known(site.settings.console_oidc_issuer, subject)
        site.staff.bind(name, known, manager(site, as_, key_file))
    done = (
        f"{name} no longer signs in at the identity provider"
        if remove
        else f"{name} signs in as {subject} there"
    )
    body = {"person": name, "subject": subject}
    return Answer(command="person.oidc", body=body, lines=[good(f"{done}; their sessions have ended")])


def retire_passkey(
    name: Who,
    keyid: Annotated[str, Parameter(help="Id of its key: see `retention person show`.")],
    /,
    *,
    as_: MaybeName = None,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        passkey = site.staff.retire_passkey(name, keyid, manager(site, as_, key_file))
    line = good(f"the passkey {passkey.label} of {name} signs nothing more; what it signed stays signed")
    body = {"person": name, "keyid": keyid, "retired_at": passkey.retired_at}
    return Answer(command="person.retire-passkey", body=body, lines=[line])


def _known(issuer: str | None, subject: str) -> str:
    if issuer is None:
        raise UsageError("there is no identity provider", "set RETENTION_CONSOLE_OIDC_ISSUER")
    return entered(issuer, subject)
