"""A case in words and as facts. Reasons are told by class, so that no count gives a sealed hold away."""

from __future__ import annotations

from typing import Any

from console.cli import words
from console.cli.answer import Line, Table, bad, doubtful, heading, moment, number
from console.cli.run_lines import outcome_lines, size
from retention.clearance import Clearance
from retention.decide import KeepReason
from retention.outcomes import Outcome
from storage.dispositions import Review
from storage.ledger.cases import Case, CaseState
from storage.ledger.people import SignedDecision


def in_words(case: Case, clearance: Clearance | None) -> str:
    """The state of a case in a sentence."""
    if clearance is None:
        return words.CASE_STATES[case.state.value]
    if case.destroying_since is not None:
        return "open: begun; the next run finishes it"
    return "open: cleared for the next run" if clearance.ready else f"open: {words.waiting(clearance)}"


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


def review_lines(seen: Review) -> list[Line]:
    """A case as a person sees it before deciding."""
    case = seen.case
    lines: list[Line] = [heading(f"case {case.id}: {in_words(case, seen.clearance)}")]
    lines.append(f"  {case.record_type}, as of {case.on}: {size(case)}")
    lines.append(
        f"  opened {moment(case.opened_at)} by {case.opened_by}; approval: {words.APPROVALS[case.approval_kind]}"
    )
    lines.append(f"  schedule {case.schedule_digest[:12]}, manifest {case.manifest_digest[:12]}")
    lines += [doubtful(f"  brake {name}: {told}") for name, told in case.brakes.items()]
    lines.append(_places(case))
    lines += outcome_lines(seen.counts)
    return lines


def _places(case: Case) -> Table:
    rows = [
        (
            part.location,
            part.store,
            number(case.survey[part.location].get("records", part.items)),
            number(case.survey[part.location]["population"]),
            case.survey[part.location]["oldest"] or "",
            case.survey[part.location]["newest"] or "",
        )
        for part in case.parts
    ]
    heads = ("location", "store", "due", "of", "oldest", "newest")
    return Table(heads=heads, rows=rows, right=frozenset({2, 3}), whole=frozenset({2, 3, 4, 5}))


def decision_lines(decisions: list[SignedDecision]) -> list[Line]:
    """Who decided what, oldest first."""
    lines: list[Line] = []
    for one in decisions:
        lifts = one.statement.get("lifts") or []
        lifted = f", lifting {words.listed(list(lifts))}" if lifts else ""
        line = f"  {moment(one.at)}: {one.decision} by {one.person}{lifted}"
        lines.append(line if one.decision == "approve" else bad(line))
    return lines


def decision_facts(one: SignedDecision) -> dict[str, Any]:
    return {
        "person": one.person,
        "decision": one.decision,
        "lifts": list(one.statement.get("lifts") or []),
        "at": one.at,
    }


def review_facts(seen: Review) -> dict[str, Any]:
    """A case with its outcomes so far."""
    counts = {outcome.value: seen.counts[outcome] for outcome in Outcome}
    return {**case_facts(seen.case, seen.clearance), "counts": counts}


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
