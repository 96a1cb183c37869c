"""Sentences for reasons, outcomes and states. Facts are data everywhere else; they become words here and nowhere else.

What a sealed hold keeps is called *not eligible*, as is every record whose period is not over: the two are counted as one,
so that no count gives a sealed hold away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime

from retention.clearance import Clearance
from retention.decide import CANNOT_DECIDE, KeepReason
from retention.holds import HoldState
from retention.media import Step
from retention.outcomes import Outcome
from retention.schedule import ApprovalKind, Cutoff, Disposition

NOT_ELIGIBLE = "not-eligible"

REASONS: Mapping[str, str] = {
    KeepReason.UNDECIDABLE: "the store cannot make sense of it (name, link or form)",
    KeepReason.HELD: "under a legal hold",
    NOT_ELIGIBLE: "retained: not eligible",
    KeepReason.DONE: "already de-identified",
    KeepReason.NOT_IN_EFFECT: "its rule is not in effect on that day",
    KeepReason.OPEN: "still open: the closing event has not happened",
    KeepReason.NO_TRIGGER: "the date that starts its period is missing",
    KeepReason.BLOCKED: "an open obligation (loan, bill, incident)",
    KeepReason.UNCLEAR: "a condition cannot be answered: a column it needs is empty",
    KeepReason.UNSCHEDULED: "no rule of its record type applies to it",
    KeepReason.CONSENT: "the person agreed to keep it",
}
"""By class of reason (see `reason_class`)."""

OUTCOMES: Mapping[Outcome, str] = {
    Outcome.DESTROYED: "destroyed, and read back as gone",
    Outcome.ALREADY_ABSENT: "already gone before",
    Outcome.WITHHELD: "retained: not eligible",
    Outcome.NOT_DESTROYED: "tried, but still there",
    Outcome.UNKNOWN: "unknown: no read-back was possible",
}

HOLD_STATES: Mapping[HoldState, str] = {
    HoldState.REQUESTED: "recorded; nobody has decided on it, and it keeps nothing",
    HoldState.DECLINED: "declined: it was never placed",
    HoldState.PLACING: "written down and keeps; not yet confirmed by every store",
    HoldState.PROVISIONAL: "in force; waits for a second custodian to confirm it",
    HoldState.ACTIVE: "in force",
    HoldState.RELEASE_REQUESTED: "in force; its release waits for a second custodian",
    HoldState.IN_GRACE: "in force until its grace period ends",
    HoldState.RELEASED: "released: it keeps nothing any more",
}

HOLD_ACTIONS: Mapping[str, str] = {
    "place": "placed",
    "confirm": "confirmed",
    "request-release": "release requested",
    "approve-release": "release approved",
    "cancel-release": "release cancelled",
    "request": "recorded",
    "decline": "declined",
    "widen": "widened",
    "verify": "verification recorded",
    "review": "reviewed",
    "tell": "people told",
    "acknowledge": "acknowledged",
    "link": "linked",
    "know": "need-to-know list changed",
    "unseal": "unsealed",
}

CASE_STATES: Mapping[str, str] = {
    "started": "open",
    "closed": "done: every item has an outcome",
    "failed": "stopped: the store did not destroy its first record",
    "returned": "sent back: nothing was destroyed under it",
}

CERTIFICATE_STATES: Mapping[str, str] = {
    "provisional": "provisional: copies may remain, or an outcome is unknown",
    "final": "final",
    "superseded": "superseded: what an earlier one said no longer holds",
}

MEDIA_STEPS: Mapping[Step, str] = {
    Step.PLAN: "planned",
    Step.APPROVE: "approved",
    Step.ATTEST: "destroyed and attested",
    Step.WITNESS: "witnessed",
}
"""What a person did who signed the step."""

APPROVALS: Mapping[ApprovalKind, str] = {
    ApprovalKind.STANDING: "standing approval: the schedule itself",
    ApprovalKind.CUSTODIAN: "one custodian",
    ApprovalKind.TWO_PERSON: "two different custodians",
}

DISPOSITIONS: Mapping[Disposition, tuple[str, str]] = {
    Disposition.PURGE: ("destroy", "destroyed"),
    Disposition.ANONYMIZE: ("de-identify", "de-identified"),
    Disposition.CRYPTO_SHRED: ("make unreadable", "made unreadable, its key destroyed"),
}

CUTOFFS: Mapping[Cutoff, str] = {
    Cutoff.DAY: "the end of that day",
    Cutoff.MONTH: "the end of that month",
    Cutoff.FISCAL_YEAR: "the end of that fiscal year",
    Cutoff.EVENT: "the day of that event",
}


def reason_class(reason: KeepReason) -> str:
    """The class a reason is told and counted under."""
    return NOT_ELIGIBLE if reason in (KeepReason.NOT_YET, KeepReason.NOT_ELIGIBLE) else reason.value


def kept_by_class(kept: Mapping[KeepReason, int]) -> dict[str, int]:
    """Counts by class of reason, in order of precedence, without zeros."""
    counts: Counter[str] = Counter()
    for reason, count in kept.items():
        counts[reason_class(reason)] += count
    return {name: counts[name] for name in REASONS if counts[name]}


def undecided(kept: Mapping[KeepReason, int]) -> int:
    """How many nobody can decide on."""
    return sum(count for reason, count in kept.items() if reason in CANNOT_DECIDE)


DECISIONS = {"approve": "approved", "return": "sent back", "withdraw": "approval taken back"}
"""What a person decided on a case."""


def waiting(clearance: Clearance, told: Callable[[datetime], str] | None = None) -> str:
    """Why a case is not carried out yet, and how many have to approve still. ``told``: a moment, where not in UTC."""
    if told is not None and clearance.cooling_until is not None:
        return f"it is cooling off until {told(clearance.cooling_until)}"
    if clearance.braked:
        missing = plural(clearance.missing, "approval")
        return f"a brake stopped it; {missing} that {'lifts' if clearance.missing == 1 else 'lift'} it still missing"
    return clearance.reason


def plural(count: int, one: str, many: str = "") -> str:
    """ "1 record", "2,000 records"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
