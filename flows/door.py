"""The door between our work and Prefect: what fails inside leaves as one line without data, or not at all.

Prefect writes the text of an exception and its traceback into its database. A `RetentionError` holds no data by law of the
house; of anything else only the type and the place in our code go through.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from pydantic import StringConstraints

from flows.settings import load_settings
from flows.wiring import Site
from retention.errors import RetentionError

RecordTypeId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,99}$")]
CaseId = Annotated[str, StringConstraints(pattern=r"^C[0-9]{8}-[0-9a-f]{8}$")]
Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]

RETRIES = 3
RETRY_DELAYS: list[float] = [30, 120, 600]
"""Seconds before each retry of a step: a store that is restarted at night is back by the last one."""

HOUSE = Path(__file__).parents[1]
ROOMS = ("retention", "storage", "flows", "console")
P = ParamSpec("P")
T = TypeVar("T")


class StepFailed(RetentionError):
    """A step of a flow failed. The message holds no data; the ledger tells the rest."""


class StepFailedForNow(StepFailed):
    """The same step may succeed later unchanged."""

    retryable = True


def at_the_door(step: Callable[P, T]) -> Callable[P, T]:
    """Let a step's result through, and of its failure only what may be read by anybody. Raises `StepFailed`."""

    @wraps(step)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return step(*args, **kwargs)
        except RetentionError as error:
            failure = failed(error)
        except Exception as error:  # noqa: BLE001  # the one door of flows: nothing unforeseen may reach Prefect's database
            failure = StepFailed(
                f"unexpected {type(error).__name__} at {_place(error)}", "report this: it is a fault"
            )
        raise failure  # outside the handler, so that the original is not attached as its context

    return guarded


def failed(error: RetentionError) -> StepFailed:
    """The same failure as one line."""
    if isinstance(error, StepFailed):
        return error
    return (StepFailedForNow if error.retryable else StepFailed)(error.message, error.hint)


def may_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Prefect's question after a failed step."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, RetentionError) and error.retryable


@contextmanager
def site() -> Iterator[Site]:
    """The site that this process's settings name. Flows get it from nowhere else."""
    opened = Site(load_settings())
    try:
        yield opened
    finally:
        opened.close()


def _place(error: Exception) -> str:
    """The innermost line of our own code that was running: a file name and a number."""
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    ours = [
        f"{name.relative_to(HOUSE)}:{line}" for name, line in frames
        if name.is_relative_to(HOUSE) and name.relative_to(HOUSE).parts[0] in ROOMS
    ]  # fmt: skip
    return ours[-1]
