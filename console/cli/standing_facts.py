"""The standing approval of a record type as facts: for the command line and for pages."""

from __future__ import annotations

from datetime import date
from typing import Any

from retention.ruling import StandingApproval
from retention.schedule import RecordType


def standing_facts(
    record_type: RecordType, agreed: StandingApproval | None, waiting: StandingApproval | None, *, today: date
) -> dict[str, Any]:
    shown = waiting or agreed
    state = "none"
    if agreed is not None:
        state = "in force" if agreed.covers(record_type.digest, today) else "over, or the rule changed"
    if state != "in force" and waiting is not None:
        state = "waits for a second person"
    elif state == "in force":
        shown = agreed
    return {
        "record_type": record_type.id,
        "state": state,
        "id": None if shown is None else shown.id or None,
        "until": None if shown is None else shown.until.isoformat(),
        "proposed_by": None if shown is None else shown.proposed_by,
        "agreed_by": None if shown is None else shown.agreed_by,
    }
