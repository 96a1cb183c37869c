"""The schedule in force, for everybody: what is kept, why, how long, and what is undecided about it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from console.cli import words
from console.web.doors import PUBLIC, Doors, Here, Visit
from console.web.wording import period
from retention.decide import CANNOT_DECIDE, KeepReason
from retention.permissions import Act
from retention.schedule import RecordType
from storage.ledger.lists import CaseLine

doors = Doors()


@doors.get("/schedule", PUBLIC)
def schedule(visit: Here) -> Response:
    """What the library keeps, why and how long."""
    in_force = visit.desk.schedule
    newest = {} if visit.person is None else _newest(visit)
    facts = {
        "version": in_force.version, "organization": in_force.library.organization, "digest": in_force.digest,
        "record_types": [_facts(one) for one in in_force.record_types],
    }  # fmt: skip
    return visit.page(
        "schedule.html", title="Retention schedule", facts=facts, schedule=in_force, newest=newest,
        stores={store.name: store for store in in_force.stores},
    )  # fmt: skip


@doors.get("/undecided", Act.READ)
def undecided(visit: Here) -> Response:
    """What nobody can decide on: records that stay because something about them is missing or unclear."""
    found = []
    for record_type in visit.desk.schedule.record_types:
        for line in visit.desk.ledger.lists.cases(record_type=record_type.id, limit=1):
            case = visit.desk.ledger.cases.get(line.id)
            for place, entry in case.survey.items():
                kept = {KeepReason(reason): count for reason, count in entry.get("kept", {}).items()}
                for name, count in words.kept_by_class(
                    {reason: count for reason, count in kept.items() if reason in CANNOT_DECIDE}
                ).items():
                    found.append(
                        {"record_type": record_type.id, "title": record_type.title, "location": place, "case": case.id, "on": case.on,
                         "reason": name, "count": count}
                    )  # fmt: skip
    return visit.page(
        "undecided.html",
        title="Cannot decide",
        facts={"undecided": found},
        found=found,
        reasons=words.REASONS,
    )


def _newest(visit: Visit) -> dict[str, CaseLine]:
    """The newest case of each record type: what was due when the last run looked."""
    lists = visit.desk.ledger.lists
    found = ((one.id, lists.cases(record_type=one.id, limit=1)) for one in visit.desk.schedule.record_types)
    return {id: lines[0] for id, lines in found if lines}


def _facts(one: RecordType) -> dict[str, Any]:
    return {
        "id": one.id, "title": one.title, "description": one.description, "owner": one.owner, "personal_data": list(one.personal_data),
        "trigger": one.trigger_event, "cutoff": one.cutoff.value, "disposition": one.disposition.value, "approval": one.approval.value,
        "rules": [
            {"id": rule.id, "citation": rule.authority.citation, "series": rule.authority.series, "minimum": period(rule.minimum),
             "maximum": period(rule.maximum) or None}
            for rule in one.rules
        ],
        "locations": [{"name": place.name, "store": place.store} for place in one.locations],
    }  # fmt: skip
