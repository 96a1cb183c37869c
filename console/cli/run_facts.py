"""A run as facts: the JSON document of ``run``. Counts, dates, opaque ids and names from the schedule; nothing of a record."""

from __future__ import annotations

from typing import Any

from console.cli import words
from console.cli.check_stores import as_json
from flows.running import Result, Run
from flows.wiring import Site
from retention.facts import State
from retention.outcomes import Outcome
from storage.destroy import Disposal
from storage.planning import Plan


def facts(site: Site, done: Run) -> dict[str, Any]:
    return {
        "on": done.on,
        "execute": done.execute,
        "schedule": {"version": site.schedule.version, "digest": site.schedule.digest},
        "settled": done.settled,
        "released": done.released,
        "unpreserved": [{"message": error.message, "hint": error.hint} for error in done.unpreserved],
        "results": [_result(site, result) for result in done.results],
        "root_replaced": done.shredded.rotated,
        "ciphertext_removed": done.shredded.removed,
        "unfinished": [{"message": error.message, "hint": error.hint} for error in done.shredded.trouble],
        "finalised": [one.id for one in done.followed if one.state == State.FINAL.value],
        "superseded": [one.id for one in done.followed if one.state == State.SUPERSEDED.value],
    }


def _result(site: Site, result: Result) -> dict[str, Any]:
    error = result.error
    return {
        "record_type": result.record_type,
        "plan": None if result.plan is None else plan_facts(result.plan),
        "case": None if result.case is None else result.case.id,
        "put_off_to": result.extended,
        "disposal": None if result.disposal is None else _disposal(site, result.disposal),
        "error": None
        if error is None
        else {"message": error.message, "hint": error.hint, "exit_code": error.exit_code},
    }


def plan_facts(plan: Plan) -> dict[str, Any]:
    """What would be destroyed, by location, and why the rest stays."""
    return {
        "disposition": plan.record_type.disposition.value,
        "due": plan.due,
        "records": plan.records,
        "population": plan.population,
        "kept": words.kept_by_class(plan.kept),
        "cannot_decide": words.undecided(plan.kept),
        "brakes": dict(plan.brakes),
        "findings": [as_json(finding) for finding in plan.findings],
        "locations": [
            {
                "location": planned.part.location,
                "store": planned.part.store,
                "due": planned.part.items,
                "records": planned.survey.records,
                "withdrawn": planned.survey.withdrawn,
                "population": planned.survey.population,
                "kept": words.kept_by_class(planned.survey.kept),
                "oldest": planned.survey.oldest,
                "newest": planned.survey.newest,
                "past_maximum": planned.survey.past_maximum,
                "bytes": planned.survey.volume,
                "seconds": planned.survey.seconds,
            }
            for planned in plan.locations
        ],
    }


def _disposal(site: Site, disposal: Disposal) -> dict[str, Any]:
    certificate = disposal.certificate
    return {
        "state": disposal.case.state.value,
        "items": disposal.case.items,
        "counts": {outcome.value: disposal.counts[outcome] for outcome in Outcome},
        "waiting": disposal.waiting,
        "failed": disposal.failed,
        "certificate": None
        if certificate is None
        else {"id": certificate.id, "state": certificate.state, "path": site.certifier.path(certificate)},
    }
