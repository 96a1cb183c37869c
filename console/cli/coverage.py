"""``coverage``: what in the stores no rule speaks about, and which columns came since somebody looked. Names only, no contents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, Table, bad, doubtful, good, heading, number
from console.cli.exits import UNFINISHED, worst
from console.cli.options import Flag, Here, Json, Many
from console.cli.site import opened
from flows.covering import Coverage, accept, cover
from retention.coverage import Standing, Verdict

_MANY = 6
"""Signs shown of one table; the JSON has all."""


def coverage(
    *,
    store: Annotated[
        list[str] | None, Many, Parameter(help="Only this store; may be given several times.")
    ] = None,
    accept_: Annotated[
        bool,
        Flag,
        Parameter(
            name="--accept", help="Accept the columns as they are; what comes later is reported as drift."
        ),
    ] = False,
    all_: Annotated[
        bool, Flag, Parameter(name="--all", help="List what is covered, exempt or without a sign as well.")
    ] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        found = cover(site, store or (), actor="console")
        kept = accept(site, found) if accept_ else None
    drifted = [] if accept_ else found.drifted
    lines: list[Line] = [_headline(found)]
    lines += _uncovered(found.uncovered)
    lines += _drift(drifted)
    if all_:
        lines += _rest(found)
    for name, error in sorted(found.errors.items()):
        lines.append(bad(f"{name}: {error.message}"))
        lines += [f"  hint: {error.hint}"] if error.hint else []
    if kept is not None:
        lines.append(good(f"The columns are accepted as they are: {kept}"))
    elif not found.accepted:
        lines.append(
            doubtful("No columns were ever accepted, so none is called new: retention coverage --accept")
        )
    codes = [error.exit_code for error in found.errors.values()]
    codes += [UNFINISHED] if found.uncovered or drifted else []
    body = {
        "counts": {standing.value: found.counts[standing] for standing in Standing},
        "drifted": len(drifted),
        "accepted": kept is not None or found.accepted,
        "places": [_facts(verdict) for verdict in found.verdicts],
        "errors": [
            {"store": name, "error": error.message, "hint": error.hint}
            for name, error in found.errors.items()
        ],
    }
    return Answer(command="coverage", body=body, lines=lines, exit_code=worst(codes))


def _headline(found: Coverage) -> Line:
    counts = found.counts
    return heading(
        f"{words.plural(counts.total(), 'table or folder', 'tables and folders')}: {number(counts[Standing.COVERED])} covered, "
        f"{number(counts[Standing.EXEMPT])} exempt with a reason, {number(counts[Standing.NO_SIGN])} without a sign of personal data, "
        f"{number(counts[Standing.UNCOVERED])} uncovered."
    )


def _uncovered(verdicts: Sequence[Verdict]) -> list[Line]:
    if not verdicts:
        return []
    rows = [(verdict.store, _name(verdict), _signs(verdict)) for verdict in verdicts]
    hint = "each needs a location in the schedule, or an [[exempt]] entry with its reason"
    return [
        bad("Uncovered: looks like personal data, and no rule ends it"),
        Table(heads=("store", "table or folder", "why it looks so"), rows=rows, indent=2),
        f"  hint: {hint}",
    ]


def _drift(verdicts: Sequence[Verdict]) -> list[Line]:
    lines: list[Line] = []
    for verdict in verdicts:
        told = [f"new {', '.join(verdict.new)}"] if verdict.new else []
        told += [f"gone {', '.join(verdict.gone)}"] if verdict.gone else []
        lines.append(doubtful(f"Drift: {verdict.store}, {verdict.place.name}: {'; '.join(told)}"))
    if lines:
        lines.append(
            "  hint: see whether the rules still say what they should; then: retention coverage --accept"
        )
    return lines


def _rest(found: Coverage) -> list[Line]:
    rows = [
        (verdict.store, _name(verdict), verdict.standing.value, "; ".join(verdict.why))
        for verdict in found.verdicts
        if verdict.standing is not Standing.UNCOVERED
    ]
    return [Table(heads=("store", "table or folder", "", "by"), rows=rows, indent=2)] if rows else []


def _name(verdict: Verdict) -> str:
    return verdict.place.name or "(the root of the store)"


def _signs(verdict: Verdict) -> str:
    if verdict.place.kind == "folder":
        return words.plural(verdict.place.items or 0, "file")
    more = len(verdict.signs) - _MANY
    return ", ".join(verdict.signs[:_MANY]) + (f" and {more} more" if more > 0 else "")


def _facts(verdict: Verdict) -> dict[str, Any]:
    return {
        "store": verdict.store, "kind": verdict.place.kind, "name": verdict.place.name, "standing": verdict.standing.value,
        "by": list(verdict.why), "signs": list(verdict.signs), "new": list(verdict.new), "gone": list(verdict.gone),
        "files": verdict.place.items,
    }  # fmt: skip
