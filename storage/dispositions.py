"""What people do with a case: look at it, approve it, send it back. Needs the ledger alone and destroys nothing.

Refuses: a case that has ended, a person whose role does not allow it or who holds another key, the same person twice, a number
of records other than the case's, a brake the case does not have, a case that was touched since the person looked, and sending back
a case under which something was destroyed already (only finishing it can certify that).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from retention.approval import Decision, statement
from retention.clearance import Clearance
from retention.errors import Refused, UsageError
from retention.outcomes import Outcome
from retention.permissions import Act
from retention.schedule import Schedule
from storage.clearing import ReadSchedule, clearance, frozen_schedule, holds_changed, read_frozen
from storage.ledger.cases import Case, CaseState
from storage.ledger.ledger import Ledger
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


class Dispositions:
    """Decisions on cases. ``now``: the clock of whoever uses it."""

    def __init__(
        self, *, ledger: Ledger, now: Callable[[], datetime], read_schedule: ReadSchedule = read_frozen
    ) -> None:
        self._ledger = ledger
        self._now = now
        self._read_schedule = read_schedule

    # -- looking ---------------------------------------------------------------------------------------------------

    def review(self, case_id: str) -> Review:
        """Read a case for a decision. Raises `UsageError` for an unknown one."""
        epoch = self._ledger.holds.epoch()
        case = self._ledger.cases.get(case_id)
        counts = tally(case, self._ledger.batches.settled(case.id)).counts
        return Review(case=case, epoch=epoch, counts=counts, clearance=self.standing(case))

    def standing(self, case: Case) -> Clearance | None:
        """What a case still needs; ``None`` once it has ended."""
        if case.state is not CaseState.STARTED:
            return None
        schedule = frozen_schedule(self._ledger, case, self._read_schedule)
        return clearance(self._ledger, case, schedule, self._now())

    # -- deciding --------------------------------------------------------------------------------------------------

    def approve(
        self, case_id: str, by: Signing, *, records: int, lifts: Iterable[str] = (), epoch: int | None = None
    ) -> Clearance:
        """Sign a case's manifest and schedule as this person, releasing the brakes named. Returns what is still missing.

        ``records``: how many the person means to destroy. ``epoch``: `Review.epoch` of what they looked at; without it the case is
        read now. Raises `Refused`, `UsageError`; then nothing was written.
        """
        person = authorise(self._ledger, by, Act.APPROVE)
        seen = self.review(case_id)
        self._ledger.require_ready(self._now())
        case, standing = _open(seen)
        if case.destroying_since is not None:
            raise Refused(
                f"case {case.id} has been cleared and begun",
                "it needs no further approval; finish it: retention run --execute",
            )
        looked = seen.epoch if epoch is None else epoch
        if holds_changed(self._ledger, case, self._frozen(case)) > looked:
            raise Refused(
                f"case {case.id} is no longer as it was when you looked",
                f"look again, then decide: retention case show {case.id}",
            )
        _require_count(case, records)
        chosen = _chosen(case, lifts)
        already = [
            set(said.lifts)
            for decision, said in verified_approvals(self._ledger, case)
            if decision.person == person.name
        ]
        if person.name not in standing.void and any(set(chosen) <= lifted for lifted in already):
            raise Refused(
                f"{person.name} has approved case {case.id} already",
                "a second approval has to come from another custodian",
            )
        self._sign_off(case, by, Decision.APPROVE, chosen, epoch=looked)
        return clearance(self._ledger, case, self._frozen(case), self._now())

    def return_case(self, case_id: str, by: Signing, reason: str) -> Case:
        """Send a case back: signed, ended as *returned*. The next run plans afresh, and sweeps up the frozen manifest.

        Raises `Refused` while a run works on the record type, and when something was destroyed under the case.
        """
        person = authorise(self._ledger, by, Act.APPROVE)
        if not reason.strip():
            raise UsageError("a case is sent back with a reason", "say why with --reason")
        self._ledger.require_ready(self._now())
        lease = self._ledger.cases.acquire(self._ledger.cases.get(case_id).record_type, at=self._now())
        try:
            seen = self.review(case_id)
            _open(seen)
            if seen.counts[Outcome.DESTROYED] or self._ledger.batches.open_intents(case_id):
                raise Refused(
                    f"case {case_id} has destroyed records already: only finishing it certifies them",
                    "finish it: retention run --execute; to stop everything now: retention halt",
                )
            self._sign_off(seen.case, by, Decision.RETURN, [], epoch=seen.epoch)
            counts = {outcome.value: count for outcome, count in seen.counts.items()}
            body = {"counts": counts, "reason": reason.strip()}
            self._ledger.cases.close(
                case_id, CaseState.RETURNED, actor=person.name, at=self._now(), body=body
            )
        finally:
            self._ledger.cases.release(lease, at=self._now())
        return self._ledger.cases.get(case_id)

    # -- small things ----------------------------------------------------------------------------------------------

    def _frozen(self, case: Case) -> Schedule:
        return frozen_schedule(self._ledger, case, self._read_schedule)

    def _sign_off(self, case: Case, by: Signing, decision: Decision, lifts: list[str], *, epoch: int) -> None:
        at = by.at or self._now()
        said = statement(
            case=case.id, manifest=case.manifest_digest, schedule=case.schedule_digest, record_type=case.record_type,
            items=case.items, decision=decision, at=at, lifts=lifts,
        )  # fmt: skip
        signed = by.sign(said)
        self._ledger.people.sign_off(
            SignedDecision(
                case_id=case.id, person=by.person.name, decision=decision.value, statement=said,
                signature=signed.text, epoch=epoch, at=at,
            )
        )  # fmt: skip


def _open(seen: Review) -> tuple[Case, Clearance]:
    case = seen.case
    if case.state is not CaseState.STARTED or seen.clearance is None:
        raise Refused(
            f"case {case.id} has already ended ({case.state.value})", f"see: retention case show {case.id}"
        )
    return case, seen.clearance


def _require_count(case: Case, records: int) -> None:
    """The number typed is the number destroyed: somebody who approves the wrong case gives another one."""
    if records != case.records:
        raise UsageError(
            f"case {case.id} is not about {records} records",
            f"give the number that it shows: retention case show {case.id}",
        )


def _chosen(case: Case, lifts: Iterable[str]) -> list[str]:
    chosen = sorted(set(lifts))
    for name in chosen:
        if name not in case.brakes:
            raise UsageError(
                f"case {case.id} has no brake {name}", f"its brakes: {', '.join(case.brakes) or 'none'}"
            )
    return chosen
