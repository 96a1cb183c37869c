"""The records that the contract suite puts on every shelf, what must become of them, and the few moves of a case.

Expectations are worked out from the seeds alone, by other arithmetic than the product's.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from retention.errors import RetentionError, StoreUnavailable
from retention.holds import Hold, HoldState, Scope
from retention.outcomes import Presence
from storage.contract import Staged, Store, Survey
from tests.contract.harness import CAMERAS, MINIMUM_DAYS, ON, ZONE, Seed, StoreHarness, Supports

ADA, BELA = "zqcanary-ada", "zqcanary-bela"
FIRST = 7305500
"""Numbers go up by ten, so that something can be added between two records."""

NOON, LAST_SECOND, FIRST_SECOND = time(12), time(23, 59, 59), time(0, 0, 1)
DUE_DAYS = (
    (31, LAST_SECOND),
    (32, NOON),
    (40, NOON),
    (45, NOON),
    (60, FIRST_SECOND),
    (61, NOON),
    (90, NOON),
    (400, NOON),
)
KEPT_DAYS = ((30, FIRST_SECOND), (29, NOON), (3, NOON))


def ago(days: int, at: time = NOON) -> datetime:
    """That many days before `ON`, at that time on the library's clock; in UTC."""
    return datetime.combine(ON - timedelta(days=days), at, ZONE).astimezone(UTC)


def seed(index: int, supports: Supports, trigger: datetime | None, *, blocked: bool = False) -> Seed:
    """The ``index``-th record, with as many facts as the store supports."""
    camera = list(CAMERAS)[index % 2]
    return Seed(
        number=FIRST + 10 * index,
        trigger=trigger,
        subject=(ADA, BELA, None)[index % 3] if supports.subjects else None,
        camera=camera if supports.cameras else None,
        branch=CAMERAS[camera] if supports.branches else None,
        blocked=blocked,
    )


def shelf(supports: Supports) -> list[Seed]:
    """Due and not due, mixed: neither group is in one piece, in order of keys or of age."""
    triggers = [
        ago(*day)
        for pair in zip(DUE_DAYS, (*KEPT_DAYS, *KEPT_DAYS, *KEPT_DAYS), strict=False)
        for day in pair
    ]
    triggers = [
        trigger + timedelta(seconds=index if trigger.second == 0 else 0)
        for index, trigger in enumerate(triggers)
    ]
    seeds = [seed(index, supports, trigger) for index, trigger in enumerate(triggers)]
    if supports.blocking:
        seeds += [seed(len(seeds) + more, supports, ago(80 + more), blocked=True) for more in range(2)]
    if supports.undated:
        seeds += [seed(len(seeds) + more, supports, None) for more in range(3)]
    return seeds


def many(supports: Supports, count: int) -> list[Seed]:
    """So many due records, a minute apart."""
    return [seed(index, supports, ago(100) + timedelta(minutes=index)) for index in range(count)]


def is_due(one: Seed) -> bool:
    """Without holds. Past the minimum means: its last day is over."""
    if one.trigger is None or one.blocked:
        return False
    return one.trigger.astimezone(ZONE).date() + timedelta(days=MINIMUM_DAYS) < ON


def due(seeds: Iterable[Seed]) -> set[int]:
    return {one.number for one in seeds if is_due(one)}


def hold(
    scope: Scope, *, state: HoldState = HoldState.ACTIVE, sealed: bool = False, id: str = "hold-1"
) -> Hold:
    return Hold(id=id, state=state, scope=scope, sealed=sealed)


def hold_everything(harness: StoreHarness) -> Hold:
    return hold(Scope(record_types=frozenset({harness.criteria(ON).record_type.id})))


def survey(
    harness: StoreHarness, holds: Sequence[Hold] = (), store: Store | None = None
) -> tuple[Survey, list[bytes]]:
    """Survey on `ON`; the manifest's lines without their newlines."""
    written: list[bytes] = []
    found = (store or harness.store).survey(
        harness.criteria(ON), holds, written.append, lambda looked_at: None
    )
    manifest = b"".join(written)
    assert manifest == b"" or manifest.endswith(b"\n")
    return found, manifest.splitlines()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A batch that went through steps 4 to 9, with the numbers of the seeds instead of indexes."""

    staged: Staged
    chosen: list[int]
    absent: list[int]
    seen: list[Presence]


def destroy(
    harness: StoreHarness, lines: Sequence[bytes], holds: Sequence[Hold] = (), store: Store | None = None
) -> Done:
    """One whole batch."""
    with (store or harness.store).batch(harness.criteria(ON)) as batch:
        staged = batch.stage(lines, holds)
        batch.destroy()
        seen = batch.read_back()
    assert_in_order(staged, lines)
    assert len(seen) == len(staged.chosen)
    numbers = [harness.number(line) for line in lines]
    return Done(
        staged=staged,
        chosen=[numbers[index] for index in staged.chosen],
        absent=[numbers[index] for index in staged.absent],
        seen=seen,
    )


def assert_in_order(staged: Staged, lines: Sequence[bytes]) -> None:
    for indexes in (staged.chosen, staged.absent):
        assert list(indexes) == sorted(set(indexes))
        assert all(0 <= index < len(lines) for index in indexes)
    assert not set(staged.chosen) & set(staged.absent)


def existing(harness: StoreHarness, seeds: Iterable[Seed]) -> set[int]:
    """What is really there, seen without the store."""
    return {one.number for one in seeds if harness.exists(one.number)}


@contextmanager
def without_data(harness: StoreHarness, seeds: Sequence[Seed], *more: str) -> Iterator[None]:
    """An error may come out of the block. It is one of ours, and neither it nor its traceback holds a record's data."""
    secrets = [
        ADA,
        BELA,
        *more,
        *(str(one.number) for one in seeds),
        *(harness.key(one.number) for one in seeds),
    ]
    try:
        yield
    except RetentionError as error:
        told = "".join(traceback.format_exception(error)) + repr(error) + str(error) + error.hint
        leaked = [secret for secret in secrets if secret in told]
        assert not leaked, told


def unavailable(error: BaseException) -> bool:
    return isinstance(error, StoreUnavailable)
