"""What changed about a case since a person last looked at it. Needs the ledger alone.

Says that something came which makes earlier approvals void, never whether that was a hold or which: it may be a sealed one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage.dispositions import Review
from storage.ledger.ledger import Ledger


class Change(StrEnum):
    STATE = "state"
    """It was begun, has ended or was sent back."""
    OUTCOMES = "outcomes"
    DECISIONS = "decisions"
    """Somebody approved, took that back, or lifted a brake."""
    APPROVALS_VOID = "approvals-void"
    """What was approved is no longer what would be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """``at``: when the person last looked; ``None`` when they never did, and then nothing has changed."""

    at: datetime | None
    changes: tuple[Change, ...]


def since_last_look(ledger: Ledger, person: str, review: Review, *, now: datetime) -> Since:
    """Compare with the person's last look, and remember this one in its place."""
    seen = _seen(ledger, review)
    subject = f"command line: {review.case.id}"  # a page remembers more, and in a form of its own
    last = ledger.looks.last(person, subject)
    if last is None or dict(last[1]) != seen:
        ledger.looks.note(person, subject, seen, now)
    if last is None:
        return Since(at=None, changes=())
    at, before = last
    changes = tuple(change for change in Change if before.get(change.value) != seen[change.value])
    return Since(at=at, changes=changes)


def _seen(ledger: Ledger, review: Review) -> dict[str, Any]:
    case, clearance = review.case, review.clearance
    return {
        Change.STATE.value: [case.state.value, case.destroying_since is not None],
        Change.OUTCOMES.value: {outcome.value: count for outcome, count in review.counts.items() if count},
        Change.DECISIONS.value: [one.id for one in ledger.people.decisions(case.id)],
        Change.APPROVALS_VOID.value: [] if clearance is None else list(clearance.void),
    }
