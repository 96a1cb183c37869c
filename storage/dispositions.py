"""What people do with a case: look at it, approve it and take that back, take items out, put it off, send it back. Needs the ledger alone and destroys nothing.

Refuses: a case that has ended, a person whose role does not allow it or who holds another key, the same person twice, a number
of records other than would go, a brake the case does not have, a case that was touched since the person looked, and sending back
a case under which something was destroyed already (only finishing it can certify that).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

from retention.approval import Decision, statement
from retention.clearance import Clearance, Requirements
from retention.dates import due_day
from retention.document import JSON, write
from retention.errors import Refused, UsageError
from retention.outcomes import Outcome
from retention.permissions import Act
from retention.ruling import RulingKind, extended_until
from retention.schedule import Schedule
from storage.clearing import (
    NONE,
    ReadSchedule,
    changed_at,
    clearance,
    frozen_schedule,
    read_frozen,
)
from storage.ledger.cases import Case, CaseState
from storage.ledger.exceptions import ItemException
from storage.ledger.glance import glance
from storage.ledger.ledger import Ledger
from storage.ledger.people import SignedDecision
from storage.rulings import rulings_of, write_ruling
from storage.signatures import Signing, authorise, marked_epoch, verified_approvals
from storage.worklist import tally

EXCEPTION = "https://retention.example/exception/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A case as a person sees it before deciding. ``epoch``: hold epoch, read before anything else was.

    ``clearance``: what is still missing; ``None`` once the case has ended.
    """

    case: Case
    epoch: int
    counts: Counter[Outcome]
    clearance: Clearance | None
    excepted: frozenset[int]
    """Positions of the items that people took out."""

    @property
    def going(self) -> int:
        """How many records would be destroyed: those of the manifest without what was taken out."""
        return self.case.records_without(self.excepted)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCase:
    """A case that has not ended, what it still needs, and who has said all that they can: approved it with every brake lifted."""

    case: Case
    clearance: Clearance
    approved_by: frozenset[str]

    @property
    def waits_for_approval(self) -> bool:
        return bool(self.clearance.missing or self.clearance.braked)

    def waits_for(self, person: str) -> bool:
        """Whether this person's approval would bring it further, if their role lets them give one."""
        if not self.waits_for_approval or self.case.opened_by == person:
            return False
        return person not in self.approved_by or person in self.clearance.void


class Dispositions:
    """Decisions on cases. ``now``: the clock of whoever uses it."""

    def __init__(
        self, *, ledger: Ledger, now: Callable[[], datetime], read_schedule: ReadSchedule = read_frozen,
        required: Requirements = NONE,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._now = now
        self._read_schedule = read_schedule
        self._required = required

    # -- looking ---------------------------------------------------------------------------------------------------

    def review(self, case_id: str) -> Review:
        """Read a case for a decision. Raises `UsageError` for an unknown one."""
        epoch = self._ledger.holds.epoch()
        case = self._ledger.cases.get(case_id)
        counts = tally(case, self._ledger.batches.settled(case.id)).counts
        excepted = self._ledger.exceptions.ordinals(case.id)
        return Review(case=case, epoch=epoch, counts=counts, clearance=self.standing(case), excepted=excepted)

    def standing(self, case: Case) -> Clearance | None:
        """What a case still needs; ``None`` once it has ended."""
        if case.state is not CaseState.STARTED:
            return None
        return clearance(self._ledger, case, self._frozen(case), self._now(), self._required)

    def open_cases(self) -> list[OpenCase]:
        """Every case that has not ended, newest first, each looked at once."""
        cases = self._ledger.cases.list(state=CaseState.STARTED)
        ledger = glance(self._ledger, [case.id for case in cases])
        return [self._open_case(ledger, case) for case in cases]

    def _open_case(self, ledger: Ledger, case: Case) -> OpenCase:
        given = verified_approvals(ledger, case)
        schedule = frozen_schedule(ledger, case, self._read_schedule)
        verdict = clearance(ledger, case, schedule, self._now(), self._required, given=given)
        brakes = set(case.brakes)
        approved = frozenset(decision.person for decision, said in given if brakes <= set(said.lifts))
        return OpenCase(case=case, clearance=verdict, approved_by=approved)

    # -- deciding --------------------------------------------------------------------------------------------------

    def approve(
        self, case_id: str, by: Signing, *, records: int, lifts: Iterable[str] = (), epoch: int | None = None
    ) -> Clearance:
        """Sign a case's manifest and schedule as this person, releasing the brakes named. Returns what is still missing.

        ``records``: how many the person means to destroy. ``epoch``: `Review.epoch` of what they looked at; without it the case is
        read now. Raises `Refused`, `UsageError`; then nothing was written.
        """
        person = authorise(self._ledger, by, Act.SECOND)
        seen = self.review(case_id)
        self._require_ethics(person.name, self._frozen(seen.case))
        self._ledger.require_ready(self._now())
        case, standing = _open(seen)
        if case.destroying_since is not None:
            raise Refused(
                f"case {case.id} has been cleared and begun",
                "it needs no further approval; finish it: retention run --execute",
            )
        if person.name == case.opened_by:
            raise Refused(f"{person.name} opened case {case.id}", "somebody else has to approve it")
        looked = seen.epoch if epoch is None else epoch
        if changed_at(self._ledger, case, self._frozen(case)) > looked:
            raise Refused(
                f"case {case.id} is no longer as it was when you looked",
                f"look again, then decide: retention case show {case.id}",
            )
        _require_count(seen, records)
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
        return clearance(self._ledger, case, self._frozen(case), self._now(), self._required)

    def withdraw(self, case_id: str, by: Signing) -> Case:
        """Take back one's own approval, as long as nothing has begun under it."""
        person = authorise(self._ledger, by, Act.SECOND)
        self._ledger.require_ready(self._now())
        case, _ = _open(self.review(case_id))
        _require_not_begun(case)
        approved = [one for one, _ in verified_approvals(self._ledger, case) if one.person == person.name]
        if not approved:
            raise Refused(
                f"{person.name} has not approved case {case.id}", f"see: retention case show {case.id}"
            )
        self._sign_off(case, by, Decision.WITHDRAW, [], epoch=self._ledger.holds.epoch())
        return self._ledger.cases.get(case_id)

    def except_items(self, case_id: str, by: Signing, positions: Iterable[int], reason: str) -> int:
        """Take items out of a case, by their positions in the manifest, counted from 0. Returns how many are new.

        What was approved is no longer what would be done: every approval given before is void.
        """
        person = authorise(self._ledger, by, Act.APPROVE)
        reason = reason.strip()
        if not reason:
            raise UsageError("an item is taken out with a reason", "say why with --reason")
        self._ledger.require_ready(self._now())
        case, _ = _open(self.review(case_id))
        _require_not_begun(case)
        chosen = sorted(set(positions) - self._ledger.exceptions.ordinals(case.id))
        if any(not 0 <= position < case.items for position in chosen):
            raise UsageError(
                f"case {case.id} has {case.items} items",
                f"positions are counted from 0: the last one is {case.items - 1}",
            )
        if not chosen:
            return 0
        at = by.at or self._now()
        said: dict[str, JSON] = {
            "type": EXCEPTION, "case": case.id, "manifest": case.manifest_digest, "schedule": case.schedule_digest,
            "positions": list(chosen), "reason": self._ledger.exceptions.mark(case.id, reason), "person": person.name, "at": write(at),
        }  # fmt: skip
        signature = by.sign(said).text
        self._ledger.exceptions.add(
            ItemException(
                case_id=case.id, ordinal=position, reason=reason, person=person.name, statement=said, signature=signature, at=at,
            )
            for position in chosen
        )  # fmt: skip
        return len(chosen)

    def extend(self, case_id: str, by: Signing, until: date, reason: str) -> Case:
        """Put the disposition of the case's record type off to a day: the case ends as returned, none is opened before that day.

        Raises `Refused` past the first maximum of the case's records, where records live until their maximum by consent (they are not in
        the case, and may be older), and where somebody entitled withdrew some of them.
        """
        authorise(self._ledger, by, Act.APPROVE)
        if not reason.strip():
            raise UsageError("a disposition is put off for a reason", "say why with --reason")
        case, _ = _open(self.review(case_id))
        schedule = self._frozen(case)
        if until <= self._now().astimezone(schedule.library.zone).date():
            raise UsageError(f"{until} is not in the future", "give the first day of a new case with --until")
        _require_within_maximum(case, schedule, until)
        with self._untouched(case_id) as seen:
            write_ruling(
                self._ledger, by, record_type=case.record_type, rule=schedule.record_type(case.record_type).digest,
                kind=RulingKind.EXTENDED, until=until, reason=reason.strip(), now=self._now(),
            )  # fmt: skip
            self._end(seen, by, f"put off to {until}: {reason.strip()}")
        return self._ledger.cases.get(case_id)

    def cancel_extension(self, case_id: str, by: Signing, reason: str) -> None:
        """Let the record type of an earlier case be planned again by the next run."""
        authorise(self._ledger, by, Act.APPROVE)
        if not reason.strip():
            raise UsageError("this is done for a reason", "say why with --reason")
        self._ledger.require_ready(self._now())
        case = self._ledger.cases.get(case_id)
        on = self._now().astimezone(self._frozen(case).library.zone).date()
        if extended_until(rulings_of(self._ledger, case.record_type), on) is None:
            raise Refused(
                f"the disposition of {case.record_type} is not put off", "there is nothing to cancel"
            )
        write_ruling(
            self._ledger, by, record_type=case.record_type, rule="", kind=RulingKind.EXTENSION_CANCELLED, until=None,
            reason=reason.strip(), now=self._now(),
        )  # fmt: skip

    def return_case(self, case_id: str, by: Signing, reason: str) -> Case:
        """Send a case back: signed, ended as *returned*. The next run plans afresh, and sweeps up the frozen manifest.

        Raises `Refused` while a run works on the record type, and when something was destroyed under the case.
        """
        authorise(self._ledger, by, Act.APPROVE)
        if not reason.strip():
            raise UsageError("a case is sent back with a reason", "say why with --reason")
        with self._untouched(case_id) as seen:
            self._sign_off(seen.case, by, Decision.RETURN, [], epoch=seen.epoch)
            self._end(seen, by, reason.strip())
        return self._ledger.cases.get(case_id)

    # -- small things ----------------------------------------------------------------------------------------------

    @contextmanager
    def _untouched(self, case_id: str) -> Iterator[Review]:
        """An open case under which nothing was destroyed, while no run works on it."""
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
            yield seen
        finally:
            self._ledger.cases.release(lease, at=self._now())

    def _end(self, seen: Review, by: Signing, reason: str) -> None:
        counts = {outcome.value: count for outcome, count in seen.counts.items()}
        self._ledger.cases.close(
            seen.case.id, CaseState.RETURNED, actor=by.person.name, at=self._now(), body={"counts": counts, "reason": reason}
        )  # fmt: skip

    def _require_ethics(self, name: str, schedule: Schedule) -> None:
        """For the year on the library's calendar, as it is acknowledged."""
        year = self._now().astimezone(schedule.library.zone).year
        if self._required.ethics and not self._ledger.steps.acknowledged(name, year):
            raise Refused(
                f"{name} has not acknowledged the code of ethics for {year}",
                f"do so first: retention person acknowledge-ethics --as {name}",
            )

    def _frozen(self, case: Case) -> Schedule:
        return frozen_schedule(self._ledger, case, self._read_schedule)

    def _sign_off(self, case: Case, by: Signing, decision: Decision, lifts: list[str], *, epoch: int) -> None:
        at = by.at or self._now()
        said = statement(
            case=case.id, manifest=case.manifest_digest, schedule=case.schedule_digest, record_type=case.record_type,
            items=case.items, decision=decision, at=at, lifts=lifts,
            hold_epoch=marked_epoch(self._ledger, case=case.id, person=by.person.name, at=at, epoch=epoch)
            if decision is Decision.APPROVE
            else None,
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


def _require_not_begun(case: Case) -> None:
    if case.destroying_since is not None:
        raise Refused(
            f"destroying has begun under case {case.id}",
            "to stop everything now: retention halt; to keep something: retention hold place",
        )


def _require_within_maximum(case: Case, schedule: Schedule, until: date) -> None:
    """Only a hold carries a record past its maximum. Counted from the oldest record of the case, under the shortest maximum."""
    record_type = schedule.record_type(case.record_type)
    for name, entry in case.survey.items():
        if entry.get("withdrawn"):
            raise Refused(
                f"{entry['withdrawn']} records at {name} go because somebody entitled withdrew them: that is not put off",
                "approve the case; to keep a single record, take it out or place a hold",
            )
        maxima = [rule.maximum for rule in record_type.rules if rule.maximum is not None]
        if maxima and record_type.location(name).consent is not None:
            raise Refused(
                f"records at {name} live until their maximum by consent: how near the oldest is, the case does not say",
                "only a hold carries a record past its maximum: retention hold place",
            )
        oldest = None if entry["oldest"] is None else date.fromisoformat(entry["oldest"])
        last = [
            due_day(oldest, maximum, record_type.cutoff, schedule.library)
            for maximum in maxima
            if oldest is not None
        ]
        if entry["past_maximum"] or (last and until > min(last)):
            told = f"on {min(last)}" if last else "already"
            raise Refused(
                f"{until} is past the maximum of records at {name}, the first of which is reached {told}",
                "only a hold carries a record past its maximum: retention hold place",
            )


def _require_count(seen: Review, records: int) -> None:
    """The number typed is the number destroyed: somebody who approves the wrong case gives another one."""
    if records != seen.going:
        raise UsageError(
            f"case {seen.case.id} is not about {records:,} record{'' if records == 1 else 's'}",
            f"give the number that it shows: retention case show {seen.case.id}",
        )


def _chosen(case: Case, lifts: Iterable[str]) -> list[str]:
    chosen = sorted(set(lifts))
    for name in chosen:
        if name not in case.brakes:
            raise UsageError(
                f"case {case.id} has no brake {name}", f"its brakes: {', '.join(case.brakes) or 'none'}"
            )
    return chosen
