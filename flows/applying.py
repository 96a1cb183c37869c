"""Apply the schedule as a Prefect flow: the nightly run. One survey task per record type, one dispose task per case.

Refuses to decide: it calls `flows.running`, and takes no setting, path or address as a parameter. It may be killed at any
point: the next run settles by reading back, continues the open cases, and goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows import running
from flows.disposing import Disposed, dispose_case
from flows.door import (
    RETRIES,
    RETRY_DELAYS,
    Day,
    RecordTypeId,
    StepFailed,
    at_the_door,
    failed,
    may_retry,
    site,
)
from flows.settling import Prepared
from retention.errors import RetentionError, UsageError
from retention.facts import State
from retention.outcomes import Outcome

SUMMARY = "retention-summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """What a survey found, in counts; ``case``: the case opened for it, or the open one that goes on (then no counts)."""

    record_type: str
    case: str | None = None
    due: int | None = None
    population: int | None = None
    extended: str | None = None
    """The day to which people put its disposition off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One record type in the summary."""

    record_type: str
    surveyed: Surveyed | None = None
    disposed: Disposed | None = None
    error: str = ""

    @property
    def troubled(self) -> bool:
        return bool(self.error) or (
            self.disposed is not None and bool(self.disposed.failed or self.disposed.trouble)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Step 11 in counts and ids of certificates; ``trouble``: what the next run has to try again."""

    rotated: bool = False
    removed: int = 0
    trouble: tuple[str, ...] = ()
    finalised: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A whole run, in counts and opaque ids."""

    on: str
    prepared: Prepared
    lines: tuple[Line, ...]
    finished: Finished


@task(
    name="prepare",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=may_retry,
    persist_result=False,
    cache_policy=NO_CACHE,
)
@at_the_door
def prepare() -> Prepared:
    """End grace periods that are over, push the holds down, then settle interrupted batches: before anything new."""
    with site() as opened:
        released, unpreserved, settled = running.prepare(opened)
        return Prepared(
            settled=tuple(settled), released=tuple(released), unpreserved=tuple(map(str, unpreserved))
        )


@task(
    name="survey", task_run_name="survey-{record_type}", retries=RETRIES, retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=may_retry, persist_result=False, cache_policy=NO_CACHE,
)  # fmt: skip
@at_the_door
def survey(record_type: RecordTypeId, day: Day) -> Surveyed:
    """Step 1 for one record type."""
    with site() as opened:
        (chosen,) = running.chosen_types(opened, [record_type])
        planned, case = running.begin(opened, chosen, date.fromisoformat(day), running.Silent())
        extended = opened.rulings.extended(record_type)
        return Surveyed(
            extended=None if extended is None else extended.isoformat(),
            record_type=record_type, case=None if case is None else case.id,
            due=None if planned is None else planned.due, population=None if planned is None else planned.population,
        )  # fmt: skip


@task(
    name="finish",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=may_retry,
    persist_result=False,
    cache_policy=NO_CACHE,
)
@at_the_door
def finish() -> Finished:
    """Step 11: replace the root key, remove ciphertext, and say what has become of certificates."""
    with site() as opened:
        shredded, followed = running.finish(opened)
        return Finished(
            rotated=shredded.rotated, removed=shredded.removed, trouble=tuple(map(str, shredded.trouble)),
            finalised=tuple(one.id for one in followed if one.state == State.FINAL.value),
            superseded=tuple(one.id for one in followed if one.state == State.SUPERSEDED.value),
        )  # fmt: skip


@flow(name="apply-schedule", persist_result=False, log_prints=False)
@at_the_door
def apply_schedule(on: Day | None = None, record_types: list[RecordTypeId] | None = None) -> Applied:
    """Apply the schedule on a day (today in the library's time zone). Raises `StepFailed` after everything else was done."""
    day, names = _chosen(on, record_types or [])
    prepared = prepare()
    lines: list[Line] = []
    for name in names:
        lines.append(_apply(name, day))
    try:
        finished, error = finish(), ""
    except StepFailed as failure:
        finished, error = Finished(), failure.message
    applied = Applied(on=day, prepared=prepared, lines=tuple(lines), finished=finished)
    create_markdown_artifact(summary(applied), key=SUMMARY, description=f"the schedule applied on {day}")
    troubled = [line.record_type for line in lines if line.troubled]
    unfinished = (*prepared.unpreserved, *finished.trouble)
    if troubled or error or unfinished:
        what = (
            f"{len(troubled)} of {len(lines)} record types had trouble: {', '.join(troubled)}"
            if troubled
            else error or "; ".join(unfinished)
        )
        raise StepFailed(what, "the summary artifact and: retention case list")
    return applied


def _chosen(on: str | None, names: Sequence[str]) -> tuple[str, list[str]]:
    """The day and the record types, checked before anything is done."""
    with site() as opened:
        try:
            wanted = None if on is None else date.fromisoformat(on)
        except ValueError:
            raise UsageError("this is not a day of the calendar", "write 2026-03-31") from None
        day = running.chosen_day(opened, wanted, execute=True)
        return day.isoformat(), [record_type.id for record_type in running.chosen_types(opened, names)]


def _apply(name: str, day: str) -> Line:
    """One record type; its failure does not keep the others from running."""
    surveyed = None
    try:
        surveyed = survey(name, day)
        disposed = None if surveyed.case is None else dispose_case(surveyed.case)
    except RetentionError as error:
        return Line(record_type=name, surveyed=surveyed, error=failed(error).message)
    return Line(record_type=name, surveyed=surveyed, disposed=disposed)


def summary(applied: Applied) -> str:
    """The run as Markdown: counts and opaque ids, nothing else."""
    head = [
        "record type",
        "due",
        "destroyed",
        "withheld",
        "already absent",
        "not destroyed",
        "unknown",
        "case",
        "outcome",
    ]
    rows = [_row(line) for line in applied.lines]
    notes = [
        f"Interrupted cases settled first: {len(applied.prepared.settled)}.",
        f"Holds whose grace period ended: {len(applied.prepared.released)}.",
        *(
            f"Not pushed down into every store, and kept all the same: {trouble}."
            for trouble in applied.prepared.unpreserved
        ),
        *(["The root key was replaced."] if applied.finished.rotated else []),
        *(
            [f"Sealed files without a key removed: {applied.finished.removed}."]
            if applied.finished.removed
            else []
        ),
        *(
            f"Not finished, and tried again by the next run: {trouble}."
            for trouble in applied.finished.trouble
        ),
        f"Certificates made final: {len(applied.finished.finalised)}.",
        *(f"Certificate {id} supersedes the one before it." for id in applied.finished.superseded),
    ]
    return "\n".join(
        [
            f"# The schedule applied on {applied.on}",
            "",
            _cells(head),
            _cells(["---"] * len(head)),
            *rows,
            "",
            *notes,
        ]
    )


def _row(line: Line) -> str:
    counts = {} if line.disposed is None else line.disposed.counts
    order = (
        Outcome.DESTROYED,
        Outcome.WITHHELD,
        Outcome.ALREADY_ABSENT,
        Outcome.NOT_DESTROYED,
        Outcome.UNKNOWN,
    )
    due = "" if line.surveyed is None or line.surveyed.due is None else str(line.surveyed.due)
    case = "" if line.surveyed is None else line.surveyed.case or ""
    return _cells(
        [
            line.record_type,
            due,
            *(str(counts.get(outcome.value, 0)) for outcome in order),
            case,
            _outcome(line),
        ]
    )


def _outcome(line: Line) -> str:
    if line.error:
        return f"failed: {line.error}"
    if line.disposed is None:
        put_off = None if line.surveyed is None else line.surveyed.extended
        return "nothing due" if put_off is None else f"put off to {put_off}"
    if line.disposed.failed:
        return f"failed: {line.disposed.failed}"
    if line.disposed.waiting:
        return "waits for people"
    return (
        f"certificate {line.disposed.certificate}"
        if line.disposed.certificate
        else "closed, nothing destroyed"
    )


def _cells(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
