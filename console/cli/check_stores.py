"""``check --stores``: whether every location is as the schedule says. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from console.cli.answer import Answer, Line, bad, doubtful, good
from console.cli.exits import worst
from console.cli.session import Session
from console.cli.site import opened
from flows.wiring import Site
from retention.errors import RetentionError, ScheduleInvalid
from retention.schedule import RecordType
from storage.contract import Finding
from storage.planning import criteria_for, store_of


def check_stores(session: Session, path: Path, body: Mapping[str, Any], lines: Sequence[Line]) -> Answer:
    """Add what the stores say to the answer of ``check``. Ends with the worst cause: a fatal finding is a schedule that does not fit."""
    told: list[Line] = list(lines)
    found: list[dict[str, Any]] = []
    codes: list[int] = []
    with opened(session, policies=path) as site:
        for record_type in site.schedule.record_types:
            for location in record_type.locations:
                entry, code = _one(site, record_type, location.name, told)
                found.append(
                    {
                        "record_type": record_type.id,
                        "location": location.name,
                        "store": location.store,
                        **entry,
                    }
                )
                codes.append(code)
    exit_code = worst(codes)
    return Answer(
        command="check", body={**body, "ok": exit_code == 0, "stores": found}, lines=told, exit_code=exit_code
    )


def _one(site: Site, record_type: RecordType, location: str, told: list[Line]) -> tuple[dict[str, Any], int]:
    place = f"{record_type.id}/{location}"
    criteria = criteria_for(site.schedule, record_type, location, site.today())
    try:
        findings = store_of(site.stores, criteria.location.store).check(criteria)
    except RetentionError as error:
        told.append(bad(f"{place}: {error.message}"))
        told += [f"  hint: {error.hint}"] if error.hint else []
        return {"ok": False, "error": error.message, "hint": error.hint, "findings": []}, error.exit_code
    if not findings:
        told.append(good(f"{place}: as the schedule says"))
    for finding in findings:
        told += finding_lines(place, finding)
    fatal = any(finding.fatal for finding in findings)
    return {
        "ok": not fatal,
        "findings": [as_json(one) for one in findings],
    }, ScheduleInvalid.exit_code if fatal else 0


def finding_lines(place: str, finding: Finding) -> list[Line]:
    """A finding in words: what, and what to do about it."""
    first = f"{place}: {finding.message}"
    lines: list[Line] = [
        bad(f"{first}; nothing is destroyed until it is solved") if finding.fatal else doubtful(first)
    ]
    return [*lines, f"  hint: {finding.hint}"] if finding.hint else lines


def as_json(finding: Finding) -> dict[str, Any]:
    return {
        "location": finding.location, "message": finding.message, "hint": finding.hint, "count": finding.count, "fatal": finding.fatal,
    }  # fmt: skip
