"""Managing the people who decide: adding them, roles, disabling, invitations, and the code of ethics. Needs the ledger alone.

While there is no administrator, whoever has the site's files manages people; from the first one on only an administrator does, signs
for it, and approves nothing. Refuses: changing one's own role, acting for somebody else, a key for somebody who did not sign for it,
and a passkey that signs for its own end: whoever took it could.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from retention.document import JSON, write
from retention.errors import Refused, UsageError
from retention.permissions import Act, Role
from retention.signing import ED25519, PublicKey
from storage.ledger.accounts import digest, new_code
from storage.ledger.ledger import Ledger
from storage.ledger.passkeys import ENDED, Passkey
from storage.ledger.people import Person
from storage.ledger.person_steps import PersonStep, PersonStepKind
from storage.personal_keys import PASSKEY
from storage.signatures import Signing, authorise

ETHICS = "https://retention.example/ethics/v1"
PEOPLE = "https://retention.example/people/v1"
"""An act in managing people; its ``act`` is the kind of the event that it stands in."""
CONSOLE = "console"
"""Who acts where nobody is named: somebody with the site's files."""
RESERVED = frozenset({"scheduler", "console", "upgrade", "new"})
"""Actors of events that are nobody: a person of that name would pass for them. And the address of a page."""
JSON_ADDRESS = ".json"
"""How an address ends at which a page is given to programs: a person of such a name would have somebody else's."""


class Staff:
    def __init__(self, *, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._now = now

    def require_manager(self, by: Signing | None) -> str:
        """The name to write down for somebody who manages people. Raises `Refused`."""
        if by is not None:
            return authorise(self._ledger, by, Act.MANAGE_PEOPLE).name
        managing = self.managers()
        if managing:
            raise Refused(
                "this site has an administrator, who manages its people",
                f"say who you are: --as {managing[0]}",
            )
        return CONSOLE

    def managers(self) -> list[str]:
        """The administrators who are not disabled."""
        people = self._ledger.people.list()
        return [one.name for one in people if one.role is Role.ADMINISTRATOR and not one.disabled]

    def require_addable(self, person: Person, by: Signing | None) -> str:
        """Whoever adds this person. Raises `Refused`, and `UsageError` for names that are no names, or somebody's."""
        actor = self.require_manager(by)
        require_short_name(person.name)
        require_printable("full name", person.full_name)
        require_printable("title", person.title)
        self._ledger.people.require_new(person)
        self._ledger.require_ready(self._now())
        return actor

    def add(self, person: Person, by: Signing | None) -> Person:
        """A person with the public half of a key that they made, or that was made for them."""
        actor = self.require_addable(person, by)
        signed = self._signed(
            by, "person.added", person.name, fullName=person.full_name, title=person.title, role=person.role.value, key=person.public_key
        )  # fmt: skip
        self._ledger.people.add(person, actor=actor, signed=signed)
        return person

    def give_role(self, name: str, role: Role, by: Signing | None) -> Person:
        """From now on; what the person signed before counts by the role they had then."""
        actor = self.require_manager(by)
        person = self._ledger.people.get(name)
        if actor == name:
            raise Refused("nobody changes their own role", "another administrator has to")
        if person.role is role:
            raise UsageError(f"{name} is {role.value} already", "see: retention person list")
        return self._take(name, PersonStepKind.ROLE, role.value, actor, by, before=person.role.value)

    def disable(self, name: str, by: Signing | None) -> Person:
        """From now on the person can do nothing; what they signed stays signed."""
        actor = self.require_manager(by)
        if self._ledger.people.get(name).disabled:
            raise UsageError(f"{name} is disabled already", "see: retention person list")
        return self._take(name, PersonStepKind.DISABLED, "", actor, by)

    def enable(self, name: str, by: Signing | None) -> Person:
        """As whatever they are, which the statement says: between look and signature it may have become another role."""
        actor = self.require_manager(by)
        person = self._ledger.people.get(name)
        if not person.disabled:
            raise UsageError(f"{name} is not disabled", "see: retention person list")
        return self._take(name, PersonStepKind.ENABLED, "", actor, by, role=person.role.value)

    def invite(self, name: str, by: Signing | None, *, code: str | None = None) -> str:
        """A one-time code for the console. ``code``: one that was made before."""
        actor = self.require_manager(by)
        if self._ledger.people.get(name).disabled:
            raise Refused(f"{name} is disabled", "enable them first: retention person enable")
        now = self._now()
        self._ledger.require_ready(now)
        code = code or new_code()
        signed = self._signed(by, "account.invited", name, code=digest(code))
        return self._ledger.accounts.invite(name, actor=actor, at=now, code=code, signed=signed)

    def bind(self, name: str, subject: str | None, by: Signing | None) -> None:
        """Who signs in as that person at the identity provider (`console.web.oidc.subject`); ``None``: nobody any more."""
        actor = self.require_manager(by)
        self._ledger.people.get(name)
        now, accounts = self._now(), self._ledger.accounts
        self._ledger.require_ready(now)
        accounts.require_free(subject, name)
        if subject is None:
            signed = self._signed(by, "account.unbound", name)
        else:
            signed = self._signed(by, "account.bound", name, mark=accounts.mark_of(subject))
        accounts.bind(name, subject, actor=actor, at=now, signed=signed)

    def add_passkey(self, by: Signing, *, credential: str, public: PublicKey, label: str) -> Passkey:
        """A further key of a person, who signs for it with one they have: whoever only signed in as them adds none.

        Raises `Refused`, `UsageError` for a key or an authenticator's entry that is known already.
        """
        person = authorise(self._ledger, by, Act.READ)
        now = by.at or self._now()
        self._ledger.require_ready(self._now())
        passkey = Passkey(credential=credential, person=person.name, public=public, label=label, added_at=now)
        self._ledger.people.require_new_passkey(passkey)
        said: dict[str, JSON] = {
            "type": PASSKEY, "person": person.name, "credential": credential, "public": passkey.line, "label": label, "at": write(now),
        }  # fmt: skip
        signed = {"statement": said, "signature": by.sign(said).text}
        self._ledger.people.add_passkey(passkey, actor=person.name, signed=signed)
        return passkey

    def retire_passkey(self, name: str, keyid: str, by: Signing | None) -> Passkey:
        """A passkey that is lost, or no longer wanted: by whoever manages people, or by its owner with another key of theirs."""
        actor = name if by is not None and by.person.name == name else self.require_manager(by)
        if by is not None and actor == name:
            authorise(self._ledger, by, Act.READ)
        now = self._now()
        self._ledger.require_ready(now)
        known = (one for one in self._ledger.people.passkeys(name) if one.public.keyid == keyid)
        passkey = next(known, None)
        if passkey is None or not passkey.signs(None):
            raise UsageError(f"{name} has no such passkey", f"see: retention person show {name}")
        if by is not None and by.public == passkey.public:
            raise Refused(
                "a passkey does not sign for its own end", "sign with your own key, or another passkey"
            )
        signed = self._signed(by, ENDED, name, keyid=keyid)
        return self._ledger.people.retire_passkey(passkey.credential, actor=actor, at=now, signed=signed)

    def acknowledge(self, by: Signing, year: int) -> PersonStep:
        """The person signs that they have read the code of ethics and keep to it in that year."""
        person = authorise(self._ledger, by, Act.READ)
        now = by.at or self._now()
        self._ledger.require_ready(self._now())
        if abs(year - now.year) > 1:
            raise UsageError(f"{year} is not about now", "acknowledge it for this year or the next")
        if self._ledger.steps.acknowledged(person.name, year):
            raise UsageError(f"{person.name} has acknowledged it for {year} already", "nothing is to be done")
        said: dict[str, JSON] = {"type": ETHICS, "person": person.name, "year": year, "at": write(now)}
        step = PersonStep(
            person=person.name, step=PersonStepKind.ETHICS, value=str(year), actor=person.name, at=now
        )
        self._ledger.steps.take(step, signed={"statement": said, "signature": by.sign(said).text})
        return step

    def _take(
        self, name: str, kind: PersonStepKind, value: str, actor: str, by: Signing | None, **said: str
    ) -> Person:
        """Effective now, whenever its statement was made: a role given back in time would judge what was signed since."""
        self._ledger.require_ready(self._now())
        signed = self._signed(by, f"person.{kind.value}", name, value=value, **said)
        step = PersonStep(person=name, step=kind.value, value=value, actor=actor, at=self._now())
        self._ledger.steps.take(step, signed=signed)
        return self._ledger.people.get(name)

    def _signed(self, by: Signing | None, act: str, subject: str, **more: str) -> Mapping[str, Any] | None:
        """Statement and signature of whoever manages people; ``None`` where nobody is named."""
        if by is None:
            return None
        said: dict[str, JSON] = {
            "type": PEOPLE, "act": act, "subject": subject, **more, "person": by.person.name, "at": write(by.at or self._now()),
        }  # fmt: skip
        return {"statement": said, "signature": by.sign(said).text}


def require_short_name(name: str) -> None:
    """Raises `UsageError` for a name that is not usable as a file name, or is what the ledger calls a service."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,63}", name):
        raise UsageError(
            f"{name!r} is not a short name",
            "lower-case letters, digits, dots and dashes, such as ada or j.doe",
        )
    if name in RESERVED or name.endswith(JSON_ADDRESS):
        raise UsageError(f"{name} is a name that the program uses itself", "choose another short name")


def require_printable(what: str, text: str) -> None:
    """Raises `UsageError` for a full name or a title that no certificate could print."""
    if not text.strip() or not text.isprintable() or len(text) > 256:
        raise UsageError(
            f"the {what} is empty, too long or not printable", "write it as it stands on a certificate"
        )


def require_own_key(key: PublicKey) -> str:
    """A key of somebody's own as `Person.public_key` has it. Raises `UsageError`: people sign with Ed25519."""
    if key.kind != ED25519:
        raise UsageError("a key of one's own is an Ed25519 key", "make one: retention person key")
    return key.text
