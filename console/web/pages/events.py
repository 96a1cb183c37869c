"""Events: what happened, newest first. Numbers are not shown: a gap between two would tell of a sealed hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from console.web import cursor, knowing
from console.web.doors import Doors, Here, Visit
from console.web.problems import NotFound
from retention.permissions import Act
from storage.ledger.lists import PAGE, EventLine
from storage.ledger.log_entries import EntryKind

doors = Doors()

SAID = frozenset({
    "record_type", "on", "items", "brakes", "counts", "state", "case", "from", "reason", "role", "how", "kind", "version", "part",
    "chosen", "value", "step",
})  # fmt: skip
"""What of an event's body is shown. Never epochs and counters: how far they moved tells of holds."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@doors.get("/events", Act.READ)
def list_(visit: Here, subject: str = "", before: str = "") -> Response:
    """What happened, newest first."""
    lines, older = _lines(visit, subject.strip(), before)
    return visit.page(
        "events.html", title="Events", facts={"events": [_facts(one) for one in lines], "before": older or None}, lines=lines, older=older,
        subject=subject, before=before, said=said,
    )  # fmt: skip


@doors.get("/events.csv", Act.READ)
def table(visit: Here, subject: str = "", before: str = "") -> Response:
    """The same as a table for a spreadsheet."""
    lines, _ = _lines(visit, subject.strip(), before)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["at", "kind", "by", "subject", "details"])
    for one in lines:
        cells = (one.at.isoformat(timespec="seconds"), one.kind, one.actor, one.subject, said(one.body))
        writer.writerow([harmless(cell) for cell in cells])
    headers = {"Content-Disposition": 'attachment; filename="events.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def said(body: Mapping[str, Any]) -> str:
    """The details of an event that everybody may see, in one line."""
    told = ((name, _plain(value)) for name, value in body.items() if name in SAID)
    return "; ".join(f"{name.replace('_', ' ')}: {text}" for name, text in told if text)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{count} {name}" for name, count in value.items() if count)
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return "" if value is None else str(value)


def _facts(one: EventLine) -> dict[str, Any]:
    body = {name: value for name, value in one.body.items() if name in SAID}
    return {"at": one.at, "kind": one.kind, "actor": one.actor, "subject": one.subject, "details": body}


def _counts(one: EventLine) -> bool:
    """Whether it is about the chain of events itself: then its subject is a number of events."""
    return one.kind == "log.appended" and one.body.get("kind") == EntryKind.EVENTS.value


def _uncounted(one: EventLine) -> EventLine:
    return replace(one, subject="") if _counts(one) else one


def _lines(visit: Visit, subject: str, before: str) -> tuple[list[EventLine], str]:
    """One page without what this person may not know of, and where the next begins."""
    desk, hidden = visit.desk, knowing.hidden(visit)
    last: int | None = None
    if before:
        where = cursor.read(desk, before)
        if len(where) != 1 or not isinstance(where[0], int):
            raise NotFound
        last = where[0]
    shown: list[EventLine] = []
    while len(shown) <= PAGE:
        found = desk.ledger.lists.events(subject=subject or None, before=last, limit=PAGE * 2)
        shown += [
            _uncounted(one) for one in found if one.subject not in hidden and not (subject and _counts(one))
        ]
        if len(found) < PAGE * 2:
            break
        last = found[-1].seq
    more = len(shown) > PAGE
    shown = shown[:PAGE]
    return shown, cursor.seal(desk, shown[-1].seq) if more else ""
