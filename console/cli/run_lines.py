"""A run in words: what would go or went, why the rest stays, what waits for whom."""

from __future__ import annotations

from collections import Counter

from console.cli import words
from console.cli.answer import Line, Table, bad, day, doubtful, good, heading, number
from console.cli.check_stores import finding_lines
from flows.running import Result, Run
from flows.wiring import Site
from retention.clearance import UNRULED
from retention.facts import State
from retention.outcomes import Outcome
from storage.destroy import Disposal
from storage.ledger.cases import Case
from storage.ledger.certificates import Certificate
from storage.planning import Plan


def headline(site: Site, done: Run) -> list[Line]:
    """Which day, which schedule, and whether anything was touched; then what was settled before anything new began."""
    schedule = f"schedule {site.schedule.version} ({site.schedule.digest[:12]})"
    title = f"Run for {done.on}, {schedule}."
    if not done.execute:
        title = f"Dry run for {done.on}, {schedule}: nothing was touched."
    lines: list[Line] = [heading(title)]
    halted = site.ledger.cases.halted()
    if halted is not None:
        lines.append(bad(f"The kill switch is engaged: {halted}. Nothing is destroyed until it is lifted."))
    if done.settled:
        lines.append(
            f"Interrupted batches were read back first, in {words.plural(len(done.settled), 'case')}: {', '.join(done.settled)}"
        )
    if done.released:
        lines.append(f"Grace periods that ended: {words.plural(len(done.released), 'hold')} released.")
    for error in done.unpreserved:
        lines.append(doubtful(f"Holds could not be pushed down, and keep all the same: {error.message}"))
        lines += [f"  hint: {error.hint}"] if error.hint else []
    return lines


def plan_lines(plan: Plan, *, execute: bool, listed: bool = False) -> list[Line]:
    """One record type: what is due by location, and why the rest stays."""
    _, gone = words.DISPOSITIONS[plan.record_type.disposition]
    end = "due" if execute else f"would be {gone}"
    what = f"{number(plan.records)} of {words.plural(plan.population, 'record')} {end}"
    lines: list[Line] = [heading(f"{plan.record_type.id}: {what}")]
    if plan.locations:
        lines.append(_locations(plan))
    lines += _reasons(plan, listed=listed)
    lines += [
        doubtful(f"  brake: {brake}; a custodian has to look and lift it") for brake in plan.brakes.values()
    ]
    for finding in plan.findings:
        lines += finding_lines(f"  {plan.record_type.id}/{finding.location}", finding)
    return lines


def _locations(plan: Plan) -> Table:
    rows = [
        (
            planned.part.location,
            planned.part.store,
            number(planned.survey.records),
            number(planned.survey.population),
            day(planned.survey.oldest),
            number(planned.survey.past_maximum) if planned.survey.past_maximum else "",
        )
        for planned in plan.locations
    ]
    heads = ("location", "store", "due", "of", "oldest due", "past maximum")
    return Table(heads=heads, rows=rows, right=frozenset({2, 3, 5}), whole=frozenset({2, 3, 4}))


def _reasons(plan: Plan, *, listed: bool) -> list[Line]:
    """Why the rest stays, counted by the first reason of each record."""
    kept = words.kept_by_class(plan.kept)
    if not kept:
        return []
    width = max(len(number(count)) for count in kept.values())
    lines: list[Line] = [
        f"  {words.plural(plan.kept.total(), 'record')} stay{'s' if plan.kept.total() == 1 else ''}:"
    ]
    lines += [f"    {number(count):>{width}} {words.REASONS[name]}" for name, count in kept.items()]
    undecided = words.undecided(plan.kept)
    if undecided:
        where = "listed below" if listed else "list them: retention run --cannot-decide 20"
        lines.append(doubtful(f"    nobody can decide on {number(undecided)} of them; {where}"))
    return lines


def case_lines(site: Site, result: Result) -> list[Line]:
    """What became of the record type's case in this run."""
    if result.error is not None:
        lines: list[Line] = [bad(f"{result.record_type}: {result.error.message}")]
        return [*lines, f"  hint: {result.error.hint}"] if result.error.hint else lines
    lines = []
    if result.extended is not None and (result.disposal is None or result.disposal.waiting):
        lines.append(f"{result.record_type}: put off to {result.extended}; no case is opened before that day")
    if result.disposal is None:
        return lines
    disposal = result.disposal
    how = "opened" if result.plan is not None else "continued"
    lines.append(f"{result.record_type}: case {disposal.case.id} {how}, {size(disposal.case)}")
    if disposal.waiting:
        lines.append(doubtful(f"  nothing was destroyed: {disposal.waiting}"))
        remedy = f"approve: retention case approve {disposal.case.id} --records N --as NAME"
        if disposal.waiting == UNRULED:
            remedy = f"propose one: retention standing propose {result.record_type} --until DAY --reason WHY --as NAME"
        lines.append(f"  see: retention case show {disposal.case.id}; {remedy}")
    lines += outcome_lines(disposal.counts)
    if disposal.failed:
        lines.append(bad(f"  stopped: {disposal.failed}"))
    return lines + _certificate(site, disposal)


def size(case: Case) -> str:
    """ "3 items", or "3 items (the keys of 1,200 records)" where a key stands for many records."""
    told = words.plural(case.items, "item")
    return (
        told if case.records == case.items else f"{told} (the keys of {words.plural(case.records, 'record')})"
    )


def outcome_lines(counts: Counter[Outcome]) -> list[Line]:
    """Counts of outcomes in words, without zeros."""
    width = max((len(number(count)) for count in counts.values()), default=0)
    lines: list[Line] = []
    for outcome in Outcome:
        if counts[outcome]:
            line = f"  {number(counts[outcome]):>{width}} {words.OUTCOMES[outcome]}"
            lines.append(bad(line) if outcome in (Outcome.NOT_DESTROYED, Outcome.UNKNOWN) else line)
    return lines


def _certificate(site: Site, disposal: Disposal) -> list[Line]:
    certificate = disposal.certificate
    if certificate is None:
        return (
            []
            if disposal.waiting or disposal.failed
            else ["  nothing was destroyed, so nothing is certified"]
        )
    return [good(f"  certificate {certificate.id} ({certificate.state}): {site.certifier.path(certificate)}")]


def _followed(site: Site, certificate: Certificate) -> Line:
    path = site.certifier.path(certificate)
    if certificate.state == State.SUPERSEDED.value:
        return bad(f"Certificate {certificate.id} supersedes the one before: {path}")
    if certificate.state == State.FINAL.value:
        return good(f"Certificate {certificate.id} is final now: {path}")
    return f"Certificate {certificate.id} will be final on {certificate.final_from}: {path}"


def tail(site: Site, done: Run) -> list[Line]:
    """What the whole run came to, and what to do next."""
    lines: list[Line] = [""]
    if done.shredded.rotated:
        lines.append("The root key was replaced: older versions of the destroyed keys are worthless with it.")
    if done.shredded.removed:
        lines.append(f"{words.plural(done.shredded.removed, 'sealed file')} whose key is destroyed removed.")
    for error in done.shredded.trouble:
        lines.append(doubtful(f"Not finished, and tried again by the next run: {error.message}"))
        lines += [f"  hint: {error.hint}"] if error.hint else []
    lines += [_followed(site, certificate) for certificate in done.followed]
    failed = sum(1 for result in done.results if result.error is not None)
    if failed:
        lines.append(bad(f"{words.plural(failed, 'record type')} could not be worked on; the others were."))
    if done.execute:
        destroyed = sum(
            result.disposal.counts[Outcome.DESTROYED]
            for result in done.results
            if result.disposal and not result.disposal.waiting
        )
        waiting = sum(1 for result in done.results if result.disposal and result.disposal.waiting)
        cases = [result.disposal.case for result in done.results if result.disposal]
        unit = "record" if all(case.records == case.items for case in cases) else "item"
        lines.append(f"{words.plural(destroyed, unit)} destroyed; {words.plural(waiting, 'case')} waiting.")
    else:
        due = sum(result.plan.records for result in done.results if result.plan is not None)
        to_do = ". To do it: retention run --execute" if due else "."
        lines.append(f"{words.plural(due, 'record')} would be destroyed{to_do}")
    return lines
