"""Lines about the key store: the tree with its counts, rotations, drills."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from console.cli import words
from console.cli.answer import Line, bad, day, doubtful, good, heading, moment, number
from storage.keys.drill import Drill
from storage.keys.rotation import RotationReport
from storage.keys.survey import Overview, TypeLine

ROOT_STATES = {
    "making": "being made",
    "current": "in force",
    "retired": "replaced, not destroyed yet",
    "scheduled": "to be gone",
    "gone": "gone",
}
_TREE, _LAST = "├─ ", "└─ "


def shown_holds(line: TypeLine, shown: Collection[str]) -> dict[str, int]:
    return {id: count for id, count in line.held.items() if id in shown}


def status_body(overview: Overview, shown: Collection[str]) -> dict[str, Any]:
    return {
        "epoch": overview.epoch,
        "roots": [
            {"id": one.id, "kind": one.kind, "state": one.state, "until": one.until, "gone_at": one.gone_at}
            for one in overview.roots
        ],
        "record_types": [
            {
                "record_type": one.record_type, "location": one.location, "cohorts": one.cohorts, "objects": one.objects,
                "sealing": one.sealing, "withdrawn": one.withdrawn, "held": shown_holds(one, shown),
            }
            for one in overview.types
        ],
        "destroyed": overview.destroyed,
        "rotation_outstanding": overview.outstanding,
        "rotation_unfinished": bool(overview.unfinished),
        "log_not_emptied_since": overview.pending_truncation,
    }  # fmt: skip


def status_lines(overview: Overview, shown: Collection[str]) -> list[Line]:
    current = next((one for one in overview.roots if one.state == "current"), None)
    lines: list[Line] = [
        heading(
            "no root"
            if current is None
            else f"root {current.id} ({current.kind}), in force since {day(current.made_at.date())}"
        )
    ]
    for index, one in enumerate(overview.types):
        last = index == len(overview.types) - 1
        told = f"{words.plural(one.objects, 'object')} in {words.plural(one.cohorts, 'cohort')}"
        extra = [f"{number(one.sealing)} being sealed"] if one.sealing else []
        extra += [f"{number(one.withdrawn)} withdrawn"] if one.withdrawn else []
        lines.append(
            f"{_LAST if last else _TREE}{one.record_type}/{one.location}: {', '.join([told, *extra])}"
        )
        stem = "   " if last else "│  "
        lines += [
            f"{stem}{_TREE}{words.plural(count, 'object')} under hold {id}"
            for id, count in shown_holds(one, shown).items()
        ]
    if not overview.types:
        lines.append("nothing is sealed yet")
    lines += _old_roots(overview)
    if overview.outstanding:
        lines.append(
            doubtful(
                "keys were destroyed since the root was last rotated: certificates stay provisional until it is"
            )
        )
    if overview.unfinished:
        lines.append(
            bad(f"rotation {overview.unfinished} was interrupted: retention keys rotate goes on with it")
        )
    if overview.pending_truncation is not None:
        lines.append(
            bad(
                f"SQLite's log could not be emptied since {moment(overview.pending_truncation)}: a reader holds it"
            )
        )
    return lines


def _old_roots(overview: Overview) -> list[Line]:
    lines: list[Line] = []
    for one in overview.roots:
        if one.state == "scheduled" and one.until is not None:
            told = f"old root {one.id}: to be gone on {day(one.until.date())}; what was destroyed before it was replaced is provisional until then"
            lines.append(doubtful(told))
        elif one.state in {"retired", "making"}:
            lines.append(
                doubtful(
                    f"root {one.id}: {ROOT_STATES[one.state]}; provisional without a date until a rotation ends"
                )
            )
    gone = sum(one.state == "gone" for one in overview.roots)
    return [
        *lines,
        f"{words.plural(gone, 'old root')} gone, {words.plural(overview.destroyed, 'object')} destroyed with their keys",
    ]


def rotation_lines(report: RotationReport) -> list[Line]:
    settled = report.settled
    lines: list[Line] = []
    if report.rotated:
        lines += [
            good(f"rotation {report.number} is done: a new root is in force"),
            f"replaced {words.plural(report.replaced, 'dirty wrapper')}, rewrapped {words.plural(report.rewrapped, 'key')}",
        ]
        if report.backup:
            lines.append(
                f"{report.backup}: restored aside, opens all of {words.plural(report.proven, 'object')}"
            )
    else:
        lines.append(good("no rotation was needed"))
    lines += [good(f"old root {id} is gone") for id in settled.gone]
    lines += [
        doubtful(f"old root {id} is to be gone on {day(until.date())}")
        for id, until in settled.scheduled.items()
    ]
    lines += [
        bad(f"the deletion of old root {id} had been cancelled: it was scheduled anew, and certificates that rest on it are to be superseded")
        for id in settled.revived
    ]  # fmt: skip
    return lines


def drill_lines(done: Drill) -> list[Line]:
    verdict = (
        good("passed: nothing that was destroyed opens, everything that survives does")
        if done.passed
        else bad(f"FAILED: {words.plural(done.destroyed_opened, 'destroyed object')} opened again")
    )
    return [
        f"{done.previous}: {words.plural(done.known, 'object')}, of which {number(done.destroyed)} destroyed since",
        f"  with today's root: {number(done.destroyed_opened)} destroyed and {number(done.survivors_opened)} surviving ones opened",
        f"{done.newest}: all of {words.plural(done.survivors, 'survivor')} opened",
        verdict,
    ]
