"""People who sign, and signed decisions in the ledger, checked: by whom, with which key, over which case.

An unsigned word counts for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from retention.approval import Approval, ApprovalStatement, Decision, given, verify
from retention.document import JSON, encode, write
from retention.errors import Refused, VerificationFailed
from retention.permissions import Act, may, roles_for
from retention.signed import Signed, from_text
from retention.signing import PublicKey, SigningKey
from storage.ledger.cases import Case
from storage.ledger.ledger import Ledger
from storage.ledger.people import Person, SignedDecision
from storage.personal_keys import counting, keys_of, signer


class Signing(Protocol):
    """A person acting, who can sign a statement. Whoever acts on the ledger does so through one."""

    @property
    def person(self) -> Person: ...

    @property
    def public(self) -> PublicKey:
        """The key that it signs with. `authorise` asks the ledger whether it is the person's."""
        ...

    @property
    def at(self) -> datetime | None:
        """The moment that the statement has to bear; ``None``: now."""
        ...

    def sign(self, statement: Mapping[str, JSON]) -> Signed:
        """The signature over exactly this statement, valid under ``public``.

        Called last: everything that could refuse the act was asked before, and nothing was written yet.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatory:
    """A person with the secret of their own key, at their own command line."""

    person: Person
    key: SigningKey

    @property
    def public(self) -> PublicKey:
        return self.key.public

    @property
    def at(self) -> datetime | None:
        return None

    def sign(self, statement: Mapping[str, JSON]) -> Signed:
        return Signed.own(self.key.public, self.key.sign(encode(dict(statement))))


def authorise(ledger: Ledger, by: Signing, act: Act) -> Person:
    """The person as the ledger knows them, if their role lets them and the key is theirs.

    By what the ledger says, not by what the caller does. Raises `Refused`, `UsageError` for somebody unknown.
    """
    person = ledger.people.get(by.person.name)
    if person.disabled:
        raise Refused(
            f"{person.name} is disabled", "somebody who manages people enables them: retention person enable"
        )
    if not may(person.role, act):
        raise Refused(
            f"{person.name} is {person.role.value}, not {' or '.join(role.value for role in roles_for(act))}",
            "somebody with that role has to do it",
        )
    if by.public not in keys_of(ledger, person, by.at):
        raise Refused(
            f"this is not a signing key of {person.name}",
            "give the key file made by: retention person add; or a passkey of theirs",
        )
    return person


def key_of(ledger: Ledger, person: Person, signed: Signed, at: datetime) -> PublicKey:
    """The person's key that a signature is by, if it signed for them at that time: their own, or a passkey that was not retired yet.

    Of passkeys those alone that they signed for (`storage.personal_keys`). Raises `VerificationFailed`.
    """
    passkeys = () if signed.assertion is None else counting(ledger, person)
    key = signer(signed, person.public, [one.public for one in passkeys if one.signs(at)])
    if key is None:
        raise VerificationFailed(
            f"a signature is by no key that {person.name} had then", "compare the ledger with its backup"
        )
    return key


def approval_of(ledger: Ledger, decision: SignedDecision) -> Approval:
    """A decision as it stands in a certificate. Raises `VerificationFailed` when it is by no key of the person's."""
    person = ledger.people.get(decision.person)
    signed = from_text(decision.signature, person.public)
    key = key_of(ledger, person, signed, decision.at)
    said = json.loads(json.dumps(decision.statement))
    return given(signed, key, said, person=person.full_name, title=person.title)


def marked_epoch(ledger: Ledger, *, case: str, person: str, at: datetime, epoch: int) -> int:
    """What stands for the hold epoch in an approval: a keyed number of its own for each, so that two of them cannot be compared."""
    return ledger.holds.published(epoch, f"approval {case} {person} {write(at)}")


def signed_epoch(ledger: Ledger, decision: SignedDecision, said: ApprovalStatement) -> int:
    """The hold epoch that an approval was signed at; 0, before every hold, for one of a version that signed none.

    Raises `VerificationFailed` when the ledger's row gives another one: it would date the approval after what voided it.
    """
    if said.hold_epoch is None:
        return 0
    if said.hold_epoch != marked_epoch(
        ledger, case=said.case, person=decision.person, at=said.at, epoch=decision.epoch
    ):
        raise VerificationFailed(
            f"the hold epoch of an approval of case {said.case} is not the one that was signed",
            "compare the ledger with its backup",
        )
    return decision.epoch


Given = Sequence[tuple[SignedDecision, ApprovalStatement]]
"""Decisions with what was signed, verified."""


def verified_approvals(ledger: Ledger, case: Case) -> Given:
    """Approvals of a case that were not taken back, by those whose role then let them approve, each with its signature checked.

    What somebody signed before they took it back, or in that very second, stays taken back wherever its row stands: a row can be
    copied to the end, the moment in its statement cannot be changed. Raises `VerificationFailed` on a forged one.
    """
    found: list[tuple[SignedDecision, ApprovalStatement]] = []
    withdrawn: dict[str, datetime] = {}
    for decision in ledger.people.decisions(case.id):
        statement = verify(approval_of(ledger, decision))
        written = decision.at.replace(microsecond=0)
        if (statement.case, statement.decision.value, statement.at) != (case.id, decision.decision, written):
            raise VerificationFailed(
                f"a decision on case {case.id} is not what was signed", "compare the ledger with its backup"
            )
        if statement.decision is Decision.WITHDRAW:
            found = [one for one in found if one[0].person != decision.person]
            withdrawn[decision.person] = max(statement.at, withdrawn.get(decision.person, statement.at))
        elif statement.decision is Decision.APPROVE and may(
            ledger.people.role_at(decision.person, decision.at), Act.SECOND
        ):
            found.append((decision, statement))
    return [
        (decision, statement)
        for decision, statement in found
        if decision.person not in withdrawn or withdrawn[decision.person] < statement.at
    ]
