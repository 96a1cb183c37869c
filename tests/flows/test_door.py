"""What fails inside leaves as one line without data."""

import pickle
import traceback

import pytest
from prefect.states import Failed

from flows.door import StepFailed, StepFailedForNow, at_the_door, may_retry
from retention.errors import Refused, StoreUnavailable
from tests.flows.conftest import CANARY


@at_the_door
def fails(error: Exception) -> None:
    raise error


def failure(error: Exception) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        fails(error)
    return caught.value


def test_an_error_of_the_house_keeps_its_line() -> None:
    failed = failure(Refused("the kill switch is engaged", "lift it"))
    assert (failed.message, failed.hint, failed.retryable) == ("the kill switch is engaged", "lift it", False)


def test_an_error_that_may_pass_is_told_from_one_that_may_not() -> None:
    assert isinstance(failure(StoreUnavailable("store ils does not answer")), StepFailedForNow)
    assert not isinstance(failure(Refused("no")), StepFailedForNow)


def test_of_anything_else_only_the_type_and_the_place_go_through() -> None:
    failed = failure(ValueError(f"row 17: {CANARY} Person"))
    assert failed.message.startswith("unexpected ValueError at ")
    assert CANARY not in "".join(traceback.format_exception(failed))


def test_nothing_hangs_on_the_failure_that_could_be_written_down() -> None:
    failed = failure(KeyError(CANARY))
    assert failed.__cause__ is None
    assert failed.__context__ is None
    assert CANARY.encode() not in pickle.dumps(failed)


def test_a_failure_survives_the_way_between_processes() -> None:
    failed = failure(StoreUnavailable("store ils does not answer", "start it"))
    again = pickle.loads(pickle.dumps(failed))  # noqa: S301  # our own bytes
    assert (type(again), again.message, again.hint, again.retryable) == (
        StepFailedForNow,
        failed.message,
        failed.hint,
        True,
    )


def test_a_failure_is_not_wrapped_twice() -> None:
    assert failure(failure(Refused("no"))).message == "no"


@pytest.mark.parametrize(
    ("error", "again"), [(StepFailedForNow("busy"), True), (StepFailed("no"), False), (OSError("x"), False)]
)
def test_only_what_may_pass_is_tried_again(error: Exception, again: bool) -> None:
    assert may_retry(None, None, Failed(data=error)) is again  # type: ignore[arg-type]
