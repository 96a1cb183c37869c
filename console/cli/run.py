"""``run``: apply the schedule. Dry by default: without ``--execute`` it says what it would do and touches nothing."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from console.cli import words
from console.cli.answer import Answer, Line, Table
from console.cli.exits import UNFINISHED, worst
from console.cli.options import Day, Flag, Here, Json, KeyFile, Many
from console.cli.progress import reporting
from console.cli.run_facts import facts
from console.cli.run_lines import case_lines, headline, plan_lines, tail
from console.cli.site import opened
from flows.running import Result, Run, chosen_types
from flows.running import run as apply
from flows.wiring import Site
from retention.errors import Refused, RetentionError
from retention.outcomes import Outcome
from storage.planning import criteria_for, store_of


def run(
    *,
    on: Day = None,
    record_type: Annotated[
        list[str] | None, Many, Parameter(help="Only this record type; may be given several times.")
    ] = None,
    execute: Annotated[bool, Flag, Parameter(help="Destroy what is due and may be destroyed.")] = False,
    cannot_decide: Annotated[
        int,
        Parameter(
            help="Without --execute: list up to that many records per location that nobody can decide on, by key.",
            validator=Number(gte=0, lte=100_000),
        ),
    ] = 0,
    as_: Annotated[
        str | None,
        Parameter(
            name="--as",
            help="Who you are, with --execute: the cases that are opened are yours to run, not to approve.",
        ),
    ] = None,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        by = None if as_ is None else site.signatory(as_, key_file)
        with reporting(session, execute=execute) as reporter:
            done = apply(
                site, on=on, record_types=record_type or (), execute=execute, watcher=reporter, by=by
            )
            reporter.pause()
        listed = (
            _undecided(site, done, record_type or [], cannot_decide) if cannot_decide and not execute else []
        )
        body = {**facts(site, done), **({"cannot_decide": listed} if cannot_decide else {})}
        lines = _lines(site, done, listed=bool(listed)) + _undecided_lines(listed)
    trouble = (*done.unpreserved, *done.shredded.trouble)
    codes = [*map(_exit_code, done.results), *(error.exit_code for error in trouble)]
    return Answer(command="run", body=body, lines=lines, exit_code=worst(codes))


def _exit_code(result: Result) -> int:
    if result.error is not None:
        return result.error.exit_code
    if result.plan is not None and result.plan.fatal:
        return Refused.exit_code
    disposal = result.disposal
    if disposal is None:
        return 0
    left = disposal.counts[Outcome.NOT_DESTROYED] + disposal.counts[Outcome.UNKNOWN]
    return UNFINISHED if left or disposal.failed else 0


def _lines(site: Site, done: Run, *, listed: bool) -> list[Line]:
    lines: list[Line] = headline(site, done)
    for result in done.results:
        lines += [""]
        if result.plan is not None:
            lines += plan_lines(result.plan, execute=done.execute, listed=listed)
        lines += case_lines(site, result)
    return [*lines, *tail(site, done)]


def _undecided(site: Site, done: Run, names: list[str], limit: int) -> list[dict[str, Any]]:
    """Records nobody can decide on, by key: for the person who asked, at their own terminal."""
    found: list[dict[str, Any]] = []
    for record_type in chosen_types(site, names):
        for location in record_type.locations:
            criteria = criteria_for(site.schedule, record_type, location.name, done.on)
            try:
                store = store_of(site.stores, location.store)
                holds = site.ledger.holds.in_force().touching(record_type.id, *location.stores)
                for key, reason, detail in store.cannot_decide(criteria, holds, limit):
                    place = {"record_type": record_type.id, "location": location.name}
                    found.append({**place, "key": key, "reason": reason.value, "detail": detail})
            except RetentionError:
                continue  # it is among the results already
    return found


def _undecided_lines(listed: list[dict[str, Any]]) -> list[Line]:
    if not listed:
        return []
    rows = [
        (f"{one['record_type']}/{one['location']}", one["key"], one["detail"] or words.REASONS[one["reason"]])
        for one in listed
    ]
    return ["", "Nobody can decide on these; they stay:", Table(heads=("where", "key", "why"), rows=rows)]
