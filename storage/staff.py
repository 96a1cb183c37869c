"""Managing the people who decide: roles, disabling, invitations, and the code of ethics. Needs the ledger alone.

While there is no administrator, whoever has the site's files manages people; from the first one on only an administrator does, and
administrators approve nothing. Refuses: changing one's own role, acting for somebody else, and a key for somebody who did not sign for it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from retention.document import JSON, write
from retention.errors import Refused, UsageError
from retention.permissions import Act, Role
from retention.signing import PublicKey
from storage.ledger.ledger import Ledger
from storage.ledger.passkeys import Passkey
from storage.ledger.people import Person
from storage.ledger.person_steps import PersonStep, PersonStepKind
from storage.signatures import Signing, authorise

ETHICS = "https://retention.example/ethics/v1"
PASSKEY = "https://retention.example/passkey/v1"
CONSOLE = "console"
"""Who acts where nobody is named: somebody with the site's files."""


class Staff:
    def __init__(self, *, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._now = now

    def require_manager(self, by: Signing | None) -> str:
        """The name to write down for somebody who manages people. Raises `Refused`."""
        if by is not None:
            return authorise(self._ledger, by, Act.MANAGE_PEOPLE).name
        managing = [
            one.name
            for one in self._ledger.people.list()
            if one.role is Role.ADMINISTRATOR and not one.disabled
        ]
        if managing:
            raise Refused(
                "this site has an administrator, who manages its people",
                f"say who you are: --as {managing[0]}",
            )
        return CONSOLE

    def give_role(self, name: str, role: Role, by: Signing | None) -> Person:
        """From now on; what the person signed before counts by the role they had then."""
        actor = self.require_manager(by)
        person = self._ledger.people.get(name)
        if actor == name:
            raise Refused("nobody changes their own role", "another administrator has to")
        if person.role is role:
            raise UsageError(f"{name} is {role.value} already", "see: retention person list")
        return self._take(name, PersonStepKind.ROLE, role.value, actor)

    def disable(self, name: str, by: Signing | None) -> Person:
        """From now on the person can do nothing; what they signed stays signed."""
        actor = self.require_manager(by)
        if self._ledger.people.get(name).disabled:
            raise UsageError(f"{name} is disabled already", "see: retention person list")
        return self._take(name, PersonStepKind.DISABLED, "", actor)

    def enable(self, name: str, by: Signing | None) -> Person:
        actor = self.require_manager(by)
        if not self._ledger.people.get(name).disabled:
            raise UsageError(f"{name} is not disabled", "see: retention person list")
        return self._take(name, PersonStepKind.ENABLED, "", actor)

    def invite(self, name: str, by: Signing | None) -> str:
        """A one-time code for the console."""
        actor = self.require_manager(by)
        if self._ledger.people.get(name).disabled:
            raise Refused(f"{name} is disabled", "enable them first: retention person enable")
        now = self._now()
        self._ledger.require_ready(now)
        return self._ledger.accounts.invite(name, actor=actor, at=now)

    def bind(self, name: str, subject: str | None, by: Signing | None) -> None:
        """Who signs in as that person at the identity provider (`console.web.oidc.subject`); ``None``: nobody any more."""
        actor = self.require_manager(by)
        self._ledger.people.get(name)
        now = self._now()
        self._ledger.require_ready(now)
        self._ledger.accounts.bind(name, subject, actor=actor, at=now)

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
        """A passkey that is lost, or no longer wanted: by whoever manages people, or by its owner."""
        actor = name if by is not None and by.person.name == name else self.require_manager(by)
        if by is not None and actor == name:
            authorise(self._ledger, by, Act.READ)
        now = self._now()
        self._ledger.require_ready(now)
        for passkey in self._ledger.people.passkeys(name):
            if passkey.public.keyid == keyid:
                return self._ledger.people.retire_passkey(passkey.credential, actor=actor, at=now)
        raise UsageError(f"{name} has no such passkey", f"see: retention person show {name}")

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

    def _take(self, name: str, kind: PersonStepKind, value: str, actor: str) -> Person:
        now = self._now()
        self._ledger.require_ready(now)
        self._ledger.steps.take(PersonStep(person=name, step=kind.value, value=value, actor=actor, at=now))
        return self._ledger.people.get(name)
