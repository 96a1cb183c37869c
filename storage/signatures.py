"""Signed decisions in the ledger, checked: by whom, with which key, over which case. An unsigned word counts for nothing."""

from __future__ import annotations

import json

from retention.approval import Approval, ApprovalStatement, Decision, verify
from retention.errors import VerificationFailed
from retention.signing import PublicKey, decode
from storage.ledger.cases import Case
from storage.ledger.ledger import Ledger
from storage.ledger.people import Person, Role, SignedDecision


def public_key(person: Person) -> PublicKey:
    return PublicKey(decode(person.public_key, f"the key of {person.name}"), person.name)


def approval_of(person: Person, decision: SignedDecision) -> Approval:
    """A decision as it stands in a certificate."""
    key = public_key(person)
    return Approval(
        person=person.full_name, title=person.title, keyid=key.keyid, public_key=key.text,
        statement=json.loads(json.dumps(decision.statement)), signature=decision.signature,
    )  # fmt: skip


def verified_approvals(ledger: Ledger, case: Case) -> list[tuple[SignedDecision, ApprovalStatement]]:
    """Approvals of a case by custodians, each with its signature checked. Raises `VerificationFailed` on a forged one."""
    found: list[tuple[SignedDecision, ApprovalStatement]] = []
    for decision in ledger.people.decisions(case.id):
        person = ledger.people.get(decision.person)
        key = public_key(person)
        statement = verify(approval_of(person, decision), {key.keyid: key})
        written = decision.at.replace(microsecond=0)
        if (statement.case, statement.decision.value, statement.at) != (case.id, decision.decision, written):
            raise VerificationFailed(
                f"a decision on case {case.id} is not what was signed", "compare the ledger with its backup"
            )
        if statement.decision is Decision.APPROVE and person.role is Role.CUSTODIAN:
            found.append((decision, statement))
    return found
