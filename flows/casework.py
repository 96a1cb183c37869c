"""What people do with a case: look at it, approve it, send it back. Destroys nothing.

Refuses: a case that has ended, a person who is no custodian or holds another key, the same person twice, a brake the case
does not have, and sending back a case under which something was destroyed already (only finishing it can certify that).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from flows.wiring import Site
from retention.approval import Decision, statement
from retention.clearance import Clearance
from retention.errors import Refused, UsageError, VerificationFailed
from retention.loader import load
from retention.outcomes import Outcome
from retention.permissions import Act
from retention.schedule import Schedule
from storage.ledger.cases import Case, CaseState
from storage.ledger.people import SignedDecision
from storage.signatures import Signing, authorise, verified_approvals
from storage.worklist import tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A case as a person sees it before deciding. ``epoch``: hold epoch, read before anything else was.

    ``clearance``: what is still missing; ``None`` once the case has ended.
    """

    case: Case
    epoch: int
    counts: Counter[Outcome]
    clearance: Clearance | None


def review(site: Site, case_id: str) -> Review:
    """Read a case for a decision. Raises `UsageError` for an unknown one."""
    epoch = site.ledger.holds.epoch()
    case = site.ledger.cases.get(case_id)
    counts = tally(case, site.ledger.batches.settled(case.id)).counts
    return Review(case=case, epoch=epoch, counts=counts, clearance=standing(site, case))


def standing(site: Site, case: Case) -> Clearance | None:
    """What a case still needs; ``None`` once it has ended."""
    if case.state is not CaseState.STARTED:
        return None
    return site.destroyer.clearance(case, frozen_schedule(site, case))


def frozen_schedule(site: Site, case: Case) -> Schedule:
    """The schedule that the case runs under. Raises `VerificationFailed` when the ledger's copy was altered."""
    schedule = load(
        site.ledger.cases.schedule_text(case.schedule_digest),
        f"schedule {case.schedule_digest[:12]} (frozen)",
    )
    if schedule.digest != case.schedule_digest:
        raise VerificationFailed(
            f"the frozen schedule of case {case.id} was altered", "compare the ledger with its backup"
        )
    return schedule


def approve(
    site: Site, case_id: str, signatory: Signing, lifts: Iterable[str] = (), *, seen: Review | None = None
) -> Clearance:
    """Sign a case's manifest and schedule as this person, releasing the brakes named. Returns what is still missing.

    ``seen``: what the person was shown; a hold that came after it makes the approval void. Without it the case is read now.
    """
    authorise(site.ledger, signatory, Act.APPROVE)
    seen = seen or review(site, case_id)
    now = site.now()
    site.ledger.require_ready(now)
    case, clearance = _open(seen)
    if case.destroying_since is not None:
        raise Refused(
            f"case {case.id} has been cleared and begun",
            "it needs no further approval; finish it: retention run --execute",
        )
    chosen = sorted(set(lifts))
    for name in chosen:
        if name not in case.brakes:
            raise UsageError(
                f"case {case.id} has no brake {name}", f"its brakes: {', '.join(case.brakes) or 'none'}"
            )
    name = signatory.person.name
    already = [
        set(said.lifts) for decision, said in verified_approvals(site.ledger, case) if decision.person == name
    ]
    if name not in clearance.void and any(set(chosen) <= lifted for lifted in already):
        raise Refused(
            f"{name} has approved case {case.id} already",
            "a second approval has to come from another custodian",
        )
    _sign_off(site, seen, signatory, Decision.APPROVE, chosen)
    return site.destroyer.clearance(case, frozen_schedule(site, case))


def return_case(site: Site, case_id: str, signatory: Signing, reason: str) -> Case:
    """Send a case back: signed, ended as *returned*, its frozen manifest discarded. The next run plans afresh.

    Raises `Refused` while a run works on the record type, and when something was destroyed under the case.
    """
    authorise(site.ledger, signatory, Act.APPROVE)
    if not reason.strip():
        raise UsageError("a case is sent back with a reason", "say why with --reason")
    now = site.now()
    site.ledger.require_ready(now)
    lease = site.ledger.cases.acquire(site.ledger.cases.get(case_id).record_type, at=now)
    try:
        seen = review(site, case_id)
        _open(seen)
        if seen.counts[Outcome.DESTROYED] or site.ledger.batches.open_intents(case_id):
            raise Refused(
                f"case {case_id} has destroyed records already: only finishing it certifies them",
                "finish it: retention run --execute; to stop everything now: retention halt",
            )
        _sign_off(site, seen, signatory, Decision.RETURN, [])
        counts = {outcome.value: count for outcome, count in seen.counts.items()}
        body = {"counts": counts, "reason": reason.strip()}
        site.ledger.cases.close(
            case_id, CaseState.RETURNED, actor=signatory.person.name, at=site.now(), body=body
        )
    finally:
        site.ledger.cases.release(lease, at=site.now())
    site.spool.discard(case_id)
    return site.ledger.cases.get(case_id)


def _open(seen: Review) -> tuple[Case, Clearance]:
    case = seen.case
    if case.state is not CaseState.STARTED or seen.clearance is None:
        raise Refused(
            f"case {case.id} has already ended ({case.state.value})", f"see: retention case show {case.id}"
        )
    return case, seen.clearance


def _sign_off(site: Site, seen: Review, signatory: Signing, decision: Decision, lifts: list[str]) -> None:
    case, person, at = seen.case, signatory.person, site.now()
    said = statement(
        case=case.id, manifest=case.manifest_digest, schedule=case.schedule_digest, record_type=case.record_type, items=case.items,
        decision=decision, at=at, lifts=lifts,
    )  # fmt: skip
    signed = signatory.sign(said)
    site.ledger.people.sign_off(
        SignedDecision(
            case_id=case.id, person=person.name, decision=decision.value, statement=said, signature=signed.text,
            epoch=seen.epoch, at=at,
        )
    )  # fmt: skip
