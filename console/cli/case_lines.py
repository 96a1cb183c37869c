"""A case in words and as facts. Reasons are told by class, so that no count gives a sealed hold away."""

from __future__ import annotations

from collections.abc import Sequence

from console.cli import words
from console.cli.answer import Line, Table, bad, doubtful, heading, moment, number
from console.cli.case_facts import case_facts, decision_facts, in_short, in_words, review_facts, spread_of
from console.cli.run_lines import outcome_lines, size
from storage.dispositions import Review
from storage.ledger.cases import Case
from storage.ledger.people import SignedDecision


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
    if spread := spread_of(case):
        lines.append(_spread(spread))
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


def _spread(spread: Sequence[tuple[str | None, int | None, int]]) -> Table:
    rows = [(branch or "unknown", str(year or "unknown"), number(count)) for branch, year, count in spread]
    if all(branch is None for branch, _, _ in spread):
        return Table(heads=("year", "due"), rows=[row[1:] for row in rows], right=frozenset({1}))
    return Table(heads=("branch", "year", "due"), rows=rows, right=frozenset({2}))


def decision_lines(decisions: list[SignedDecision]) -> list[Line]:
    """Who decided what, oldest first."""
    lines: list[Line] = []
    for one in decisions:
        lifts = one.statement.get("lifts") or []
        lifted = f", lifting {words.listed(list(lifts))}" if lifts else ""
        line = (
            f"  {moment(one.at)}: {words.DECISIONS.get(one.decision, one.decision)} by {one.person}{lifted}"
        )
        lines.append(line if one.decision == "approve" else bad(line))
    return lines


__all__ = [
    "case_facts", "decision_facts", "decision_lines", "in_short", "in_words", "review_facts", "review_lines",
]  # fmt: skip
