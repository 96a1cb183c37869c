"""Coverage as a weekly Prefect flow: an artifact with counts and names of tables. Folder names are told at a terminal only."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from flows import covering
from flows.door import RETRIES, RETRY_DELAYS, StepFailed, at_the_door, may_retry, site
from retention.coverage import Standing

ACTOR = "scheduler"
ARTIFACT = "retention-coverage"
EVENT = "retention.coverage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """Counts by standing, drifted tables, stores that did not answer; lines for the artifact."""

    counts: dict[str, int]
    drifted: int
    unreachable: tuple[str, ...]
    lines: tuple[str, ...]


@task(
    name="cover", retries=RETRIES, retry_delay_seconds=RETRY_DELAYS, retry_condition_fn=may_retry, persist_result=False,
    cache_policy=NO_CACHE,
)  # fmt: skip
@at_the_door
def look() -> Covered:
    """Every store against the schedule."""
    with site() as opened:
        found = covering.cover(opened, actor=ACTOR)
        tables = [
            f"- {verdict.store}: table {verdict.place.name}, {verdict.standing.value}, {len(verdict.signs)} signs of personal data, "
            f"{len(verdict.new)} new and {len(verdict.gone)} vanished columns"
            for verdict in [*found.uncovered, *found.drifted]
            if verdict.place.kind == "table"
        ]
        folders = sum(1 for verdict in found.uncovered if verdict.place.kind == "folder")
        lines = [*tables, f"- uncovered folders: {folders}"] if folders else tables
        return Covered(
            counts={standing.value: found.counts[standing] for standing in Standing},
            drifted=len(found.drifted), unreachable=tuple(sorted(found.errors)), lines=tuple(lines),
        )  # fmt: skip


@flow(name="coverage", persist_result=False, log_prints=False)
@at_the_door
def coverage() -> Covered:
    """What no rule speaks about, once a week. Raises `StepFailed` when a store could not be looked into."""
    found = look()
    create_markdown_artifact(written(found), key=ARTIFACT, description="what no rule speaks about")
    if found.counts[Standing.UNCOVERED.value] or found.drifted:
        payload = {"uncovered": found.counts[Standing.UNCOVERED.value], "drifted": found.drifted}
        emit_event(event=EVENT, resource={"prefect.resource.id": "retention.coverage"}, payload=payload)
    if found.unreachable:
        raise StepFailed(
            f"stores that nobody looked into: {', '.join(found.unreachable)}", "retention coverage"
        )
    return found


def written(found: Covered) -> str:
    """The result as Markdown."""
    counts = ", ".join(f"{name} {count}" for name, count in found.counts.items())
    head = ["# Coverage", "", f"Tables and folders: {counts}; drifted {found.drifted}.", ""]
    return "\n".join([*head, *found.lines, "", "By name, with every sign: `retention coverage`"])
