"""Seal as a Prefect flow, before the nightly run: what came in since is sealed, and what a crash left is mended.

A served flow run is a process of its own, which ends with the keys in its memory. Counts and names from the schedule go to Prefect.
"""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows import sealwork
from flows.door import RETRIES, RETRY_DELAYS, RecordTypeId, StepFailed, at_the_door, failed, may_retry, site
from retention.errors import RetentionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What was sealed at one location, in counts. ``trouble``: why nothing more could be."""

    record_type: str
    location: str = ""
    sealed: int = 0
    before: int = 0
    left: int = 0
    foreign: int = 0
    trouble: str = ""


@task(
    name="seal", task_run_name="seal-{record_type}", retries=RETRIES, retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=may_retry, persist_result=False, cache_policy=NO_CACHE,
)  # fmt: skip
@at_the_door
def seal_one(record_type: RecordTypeId) -> tuple[Sealed, ...]:
    """One record type at all its locations."""
    with site() as opened:
        run = sealwork.seal(opened, record_types=[record_type], execute=True)
    done = [
        Sealed(
            record_type=one.record_type, location=one.location, sealed=one.sealed, before=one.before, left=one.left.total(),
            foreign=one.foreign,
        )
        for one in run.results
    ]  # fmt: skip
    done += [
        Sealed(record_type=one.record_type, location=one.location, trouble=failed(one.error).message)
        for one in run.failures
    ]
    return tuple(done)


@flow(name="seal", persist_result=False, log_prints=False)
@at_the_door
def seal() -> tuple[Sealed, ...]:
    """Seal everything that the schedule seals. Raises `StepFailed` after everything else was done."""
    with site() as opened:
        names = [record_type.id for record_type in sealwork.sealed_types(opened, [])]
    done: list[Sealed] = []
    for name in names:
        try:
            done += seal_one(name)
        except RetentionError as error:
            done.append(Sealed(record_type=name, trouble=failed(error).message))
    troubled = [one for one in done if one.trouble]
    if troubled:
        places = ", ".join(f"{one.record_type}/{one.location}".rstrip("/") for one in troubled)
        raise StepFailed(f"not everything could be sealed: {places}", "see: retention seal")
    return tuple(done)
