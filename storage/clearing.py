"""Step 2 of the choke point, from the ledger alone: what a case still needs before it may be carried out.

One function for whoever asks: the destroyer, the command line, a page, the reminders. Reaches no store.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from retention.clearance import Approved, Clearance, Requirements, clear
from retention.errors import VerificationFailed
from retention.loader import load
from retention.permissions import Act, may
from retention.ruling import extended_until, standing_approvals
from retention.schedule import Schedule
from storage.ledger.cases import Case
from storage.ledger.ledger import Ledger
from storage.ledger.log_entries import EntryKind
from storage.rulings import rulings_of
from storage.signatures import Given, signed_epoch, verified_approvals

ReadSchedule = Callable[[str], Schedule]
"""From the text of a schedule, as `retention.loader.load` does."""


NONE = Requirements()


@lru_cache(maxsize=16)
def read_frozen(text: str) -> Schedule:
    """A schedule that was frozen with a case; the same text is read once per process."""
    return load(text, "schedule (frozen with the case)")


def frozen_schedule(ledger: Ledger, case: Case, read: ReadSchedule = read_frozen) -> Schedule:
    """The schedule that the case runs under. Raises `VerificationFailed` when the ledger's copy was altered."""
    schedule = read(ledger.cases.schedule_text(case.schedule_digest))
    if schedule.digest != case.schedule_digest:
        raise VerificationFailed(
            f"the frozen schedule of case {case.id} was altered", "compare the ledger with its backup"
        )
    return schedule


def changed_at(ledger: Ledger, case: Case, schedule: Schedule) -> int:
    """The highest epoch of a hold that touches the case, or of an exception from it: approvals given before are void.

    A sealed hold makes none void: it would show. What it keeps is kept all the same, by step 5.
    """
    record_type = schedule.record_type(case.record_type)
    stores = {name for part in case.parts for name in record_type.location(part.location).stores}
    held = ledger.holds.in_force().changed(case.record_type, frozenset(stores))
    return max(held, ledger.exceptions.epoch(case.id))


def clearance(
    ledger: Ledger, case: Case, schedule: Schedule, now: datetime, required: Requirements = NONE, *,
    given: Given | None = None,
) -> Clearance:  # fmt: skip
    """Whether the case may be carried out now, and if not, why. ``given``: its `verified_approvals`, where they were read before.

    Decided until destroying begins. A case that was interrupted goes on under the approvals it began with: whatever was
    held meanwhile is kept by step 5. That it began is what the log says, into which no page can write: a row could have been
    changed by hand.
    """
    if case.destroying_since is not None and ledger.log.find(case.id, EntryKind.CASE_STARTED) is not None:
        return Clearance(ready=True, counted=case.cleared_by)
    approvals = [
        Approved(
            id=decision.id, person=decision.person, manifest_digest=said.manifest, schedule_digest=said.schedule,
            epoch=signed_epoch(ledger, decision, said), lifts=frozenset(said.lifts), at=decision.at,
            first=may(ledger.people.role_at(decision.person, decision.at), Act.APPROVE),
        )
        for decision, said in (verified_approvals(ledger, case) if given is None else given)
    ]  # fmt: skip
    on = now.astimezone(schedule.library.zone).date()
    rulings = rulings_of(ledger, case.record_type)
    agreed, _ = standing_approvals(rulings)
    rule = schedule.record_type(case.record_type).digest
    return clear(
        extended=extended_until(rulings, on), unruled=required.standing and not (agreed is not None and agreed.covers(rule, on)),
        kind=case.approval_kind, cooling_off=schedule.record_type(case.record_type).cooling_off, opened_at=case.opened_at,
        manifest_digest=case.manifest_digest, schedule_digest=case.schedule_digest, brakes=case.brakes, approvals=approvals,
        holds_changed=changed_at(ledger, case, schedule), now=now, opened_by=case.opened_by,
    )  # fmt: skip
