"""Settle: give every interrupted batch its outcome by reading back. Safe at any time, beside anything."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows import running
from flows.door import RETRIES, RETRY_DELAYS, at_the_door, may_retry, site


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Ids of the cases that were settled and of the holds whose grace period ended; what kept holds from being pushed down."""

    settled: tuple[str, ...]
    released: tuple[str, ...] = ()
    unpreserved: tuple[str, ...] = ()


@task(
    name="settle", retries=RETRIES, retry_delay_seconds=RETRY_DELAYS, retry_condition_fn=may_retry, persist_result=False,
    cache_policy=NO_CACHE,
)  # fmt: skip
@at_the_door
def read_back() -> Prepared:
    """Settle interrupted batches."""
    with site() as opened:
        return Prepared(settled=tuple(running.settle(opened)))


@flow(name="settle", persist_result=False, log_prints=False)
@at_the_door
def settle() -> Prepared:
    """Settle interrupted batches without starting anything new: after a crash, a restore, a power cut."""
    return read_back()
