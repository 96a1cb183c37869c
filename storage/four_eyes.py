"""Who approved a case, looked at once more just before it is carried out.

`retention.clearance` decided and the ledger's database agreed; neither is trusted here. Refuses a case whose approvals are too
few, forged, for something else, by one person twice, by whoever opened it, by somebody whose role did not allow it, taken back,
or without the brakes that are on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from retention.approval import Decision, problems, verify
from retention.errors import VerificationFailed
from retention.permissions import Act, may
from retention.schedule import ApprovalKind
from storage.ledger.cases import Case
from storage.ledger.ledger import Ledger
from storage.ledger.people import SignedDecision
from storage.signatures import approval_of


def require_people(ledger: Ledger, case: Case, counted: Iterable[int]) -> None:
    """``counted``: ids of the approvals that the case is carried out under. Raises `VerificationFailed`."""
    decisions = ledger.people.decisions(case.id)
    chosen = [one for one in decisions if one.id in set(counted)]
    problem = next(_problems(ledger, case, decisions, chosen), None)
    if problem is not None:
        raise VerificationFailed(
            f"case {case.id} is not carried out: {problem}", "compare the ledger with its backup"
        )


def _problems(
    ledger: Ledger, case: Case, decisions: list[SignedDecision], chosen: list[SignedDecision]
) -> Iterator[str]:
    kind = case.approval_kind
    if kind is ApprovalKind.STANDING and case.brakes:
        kind = ApprovalKind.CUSTODIAN
    yield from problems(
        [approval_of(ledger, one) for one in chosen], kind=kind.value, case=case.id,
        manifest=case.manifest_digest, schedule=case.schedule_digest, record_type=case.record_type, items=case.items,
    )  # fmt: skip
    roles = [ledger.people.role_at(one.person, one.at) for one in chosen]
    if not all(may(role, Act.SECOND) for role in roles):
        yield "somebody approved whose role did not let them"
    if kind is not ApprovalKind.STANDING and not any(may(role, Act.APPROVE) for role in roles):
        yield "only second custodians approved"
    taken_back = [one for one in decisions if one.decision == Decision.WITHDRAW.value]
    for one in chosen:
        if one.person == case.opened_by:
            yield "who opened it approved it"
        if any(_takes_back(ledger, other, one) for other in taken_back if other.person == one.person):
            yield "an approval was taken back"
        if not set(case.brakes) <= set(one.statement.get("lifts") or ()):
            yield "an approval does not lift the brakes that are on"


def _takes_back(ledger: Ledger, withdrawal: SignedDecision, approval: SignedDecision) -> bool:
    """By the order of the rows, and by the signed moments: a row that was copied to the end is as old as its statement."""
    said, unsaid = (verify(approval_of(ledger, one)).at for one in (approval, withdrawal))
    return withdrawal.id > approval.id or unsaid >= said
