"""One case carried out as a task run, and as a flow of its own. The batches inside it are the choke point's business.

Refuses to know what is destroyed: it hands over a case id and gets counts back.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, cast
from uuid import UUID

from httpx import HTTPError
from prefect import flow, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import PrefectException

from flows import running
from flows.door import RETRIES, RETRY_DELAYS, CaseId, StepFailed, at_the_door, may_retry, site
from retention.outcomes import Outcome
from storage.destroy import Disposal

PROGRESS_SECONDS = 5.0
"""Prefect is told of progress at most that often."""


NOT_ANSWERING = (PrefectException, HTTPError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposed:
    """What became of a case, as it may be shown to anybody: opaque ids and counts. ``waiting``: it needs people first."""

    case: str
    state: str
    counts: dict[str, int] = field(default_factory=dict)
    certificate: str | None = None
    waiting: bool = False
    failed: str = ""

    @property
    def trouble(self) -> int:
        """Items that were to go and did not, or of which nobody can say."""
        return self.counts.get(Outcome.NOT_DESTROYED.value, 0) + self.counts.get(Outcome.UNKNOWN.value, 0)


class Progress(running.Silent):
    """Shows a case's progress as a Prefect artifact. Made in the task's own thread; told from the workers' threads.

    A picture is never a reason to stop: when Prefect does not answer, the case goes on without it.
    """

    def __init__(self, case: str) -> None:
        self._artifact: UUID | None = None
        with suppress(*NOT_ANSWERING):
            made = create_progress_artifact(
                progress=0.0, key=f"case-{case.lower()}", description="items with an outcome"
            )
            self._artifact = cast(
                "UUID", made
            )  # a coroutine only where an event loop runs, which a task of ours never does
        self._told = time.monotonic()
        self._lock = Lock()

    def destroying(self, case: str, done: int, items: int) -> None:
        if not self._lock.acquire(blocking=False):  # another worker is telling it just now
            return
        try:
            if time.monotonic() - self._told >= PROGRESS_SECONDS:
                self._told = time.monotonic()
                self._tell(100.0 * done / max(1, items))
        finally:
            self._lock.release()

    def ended(self) -> None:
        """Every item has its outcome."""
        self._tell(100.0)

    def _tell(self, percent: float) -> None:
        with suppress(*NOT_ANSWERING):
            if self._artifact is not None:
                update_progress_artifact(self._artifact, progress=min(100.0, percent))


@task(
    name="dispose", task_run_name="dispose-{case_id}", retries=RETRIES, retry_delay_seconds=RETRY_DELAYS, retry_condition_fn=may_retry,
    persist_result=False, cache_policy=NO_CACHE,
)  # fmt: skip
@at_the_door
def dispose_case(case_id: CaseId) -> Disposed:
    """Steps 2 to 10 of the choke point for one case, going on where an earlier run stopped."""
    with site() as opened:
        progress = Progress(case_id)
        disposed = told(running.dispose(opened, case_id, progress))
        if not disposed.waiting:
            progress.ended()
        return disposed


@flow(name="dispose", flow_run_name="dispose-{case_id}", persist_result=False, log_prints=False)
@at_the_door
def dispose(case_id: CaseId) -> Disposed:
    """Carry out one case now, for instance after its last approval. Raises `StepFailed`."""
    disposed = dispose_case(case_id)
    if disposed.failed or disposed.trouble:
        raise StepFailed(
            f"case {case_id}: {disposed.failed or f'{disposed.trouble} items were not destroyed or are unknown'}"
        )
    return disposed


def told(disposal: Disposal) -> Disposed:
    """Of a disposal, what may be told."""
    counts: dict[str, Any] = {
        outcome.value: disposal.counts[outcome] for outcome in Outcome if disposal.counts[outcome]
    }
    return Disposed(
        case=disposal.case.id, state=disposal.case.state.value, counts=counts, waiting=bool(disposal.waiting), failed=disposal.failed,
        certificate=None if disposal.certificate is None else disposal.certificate.id,
    )  # fmt: skip
