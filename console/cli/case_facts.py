"""A case as facts, and its state in words: for the command line and for pages. Reasons are told by class, so that no count gives
a sealed hold away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from console.cli import words
from retention.clearance import Clearance
from retention.decide import KeepReason
from retention.outcomes import Outcome
from storage.dispositions import Review
from storage.ledger.cases import Case, CaseState
from storage.ledger.people import SignedDecision


def in_words(
    case: Case, clearance: Clearance | None, told: Callable[[datetime], str] | None = None
) -> str:  # fmt: skip
    """The state of a case in a sentence. ``told``: a moment, where not in UTC."""
    if clearance is None:
        return words.CASE_STATES[case.state.value]
    if case.destroying_since is not None:
        return "open: begun; the next run finishes it"
    return "open: cleared for the next run" if clearance.ready else f"open: {words.waiting(clearance, told)}"


def in_short(case: Case, clearance: Clearance | None) -> str:
    """The state as it fits a column."""
    if clearance is None:
        return "done" if case.state is CaseState.CLOSED else case.state.value
    if case.destroying_since is not None:
        return "begun"
    if clearance.ready:
        return "cleared"
    if clearance.braked:
        return "brake is on"
    return "waits for approval" if clearance.missing else "cooling off"


def spread_of(case: Case) -> list[tuple[str | None, int | None, int]]:
    """How many records of the case's list by branch and year of what starts their clock, over all locations; ``None``: not known."""
    found: Counter[tuple[str | None, int | None]] = Counter()
    for entry in case.survey.values():
        for one in entry.get("spread", ()):
            found[one["branch"], one["year"]] += one["records"]
    by_name = sorted(found.items(), key=lambda one: (one[0][0] is None, one[0][0] or "", one[0][1] or 0))
    return [(branch, year, count) for (branch, year), count in by_name]


def decision_facts(one: SignedDecision) -> dict[str, Any]:
    return {
        "person": one.person,
        "decision": one.decision,
        "lifts": list(one.statement.get("lifts") or []),
        "at": one.at,
    }


def review_facts(seen: Review) -> dict[str, Any]:
    """A case with its outcomes so far. ``going``: how many records an approval is about, what was taken out left aside."""
    counts = {outcome.value: seen.counts[outcome] for outcome in Outcome}
    return {**case_facts(seen.case, seen.clearance), "counts": counts, "going": seen.going}


def case_facts(case: Case, clearance: Clearance | None) -> dict[str, Any]:
    """A case: counts, dates and opaque ids."""
    return {
        "id": case.id,
        "record_type": case.record_type,
        "on": case.on,
        "state": case.state.value,
        "items": case.items,
        "records": case.records,
        "approval": case.approval_kind.value,
        "brakes": dict(case.brakes),
        "schedule": case.schedule_digest,
        "manifest": case.manifest_digest,
        "opened_at": case.opened_at,
        "opened_by": case.opened_by,
        "closed_at": case.closed_at,
        "destroying_since": case.destroying_since,
        "clearance": _clearance(clearance),
        "spread": [
            {"branch": branch, "year": year, "records": count} for branch, year, count in spread_of(case)
        ],
        "locations": [{"location": name, **_place(entry)} for name, entry in case.survey.items()],
    }


def _place(entry: dict[str, Any]) -> dict[str, Any]:
    """One location's figures, its reasons told by class."""
    kept = {KeepReason(reason): count for reason, count in entry["kept"].items()}
    return {**entry, "kept": words.kept_by_class(kept)}


def _clearance(clearance: Clearance | None) -> dict[str, Any] | None:
    if clearance is None:
        return None
    return {
        "ready": clearance.ready,
        "missing": clearance.missing,
        "void": list(clearance.void),
        "braked": clearance.braked,
        "not_before": clearance.not_before,
        "reason": clearance.reason,
    }
