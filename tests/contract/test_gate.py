"""What every store must do under several workers: the gate that makes a placed hold final."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest

from retention.errors import StoreUnavailable
from retention.holds import Hold
from retention.outcomes import Presence
from storage.contract import Store
from storage.destroy import STAGE_TRIES
from tests.contract.conftest import Build
from tests.contract.harness import ON, HarnessFactory, Seed, StoreHarness, Supports
from tests.contract.shelf import Done, destroy, due, existing, hold_everything, many, shelf, survey

WAIT = 30.0
"""Seconds after which something that must come to its end counts as hung."""


@pytest.fixture
def supports(factory: HarnessFactory) -> Supports:
    return factory.supports


@pytest.fixture
def seeds(supports: Supports) -> list[Seed]:
    return shelf(supports)


@pytest.fixture
def harness(build: Build, seeds: list[Seed]) -> StoreHarness:
    return build(seeds)


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    """Other threads. They come to their end before the target is taken away."""
    with ThreadPoolExecutor() as pool:
        yield pool


def still_waits(future: Future[None], seconds: float = 0.4) -> bool:
    time.sleep(seconds)
    return not future.done()


@pytest.mark.parametrize("worker", ["the-same-store", "another-store"])
def test_a_barrier_waits_for_an_open_batch_and_returns_after_its_end(
    harness: StoreHarness, beside: ThreadPoolExecutor, worker: str
) -> None:
    store = harness.store if worker == "the-same-store" else harness.reopen()
    _, lines = survey(harness)
    with harness.store.batch(harness.criteria(ON)) as batch:
        passed = beside.submit(store.barrier, WAIT)
        assert still_waits(passed)
        batch.stage(lines, ())
        assert still_waits(passed)
        batch.destroy()
        batch.read_back()
    passed.result(WAIT)


def test_a_barrier_with_nothing_to_wait_for_returns_at_once(harness: StoreHarness) -> None:
    started = time.monotonic()
    harness.store.barrier(WAIT)
    harness.reopen().barrier(WAIT)
    assert time.monotonic() - started < 5


def test_a_barrier_that_takes_too_long_says_so_and_harms_nobody(
    harness: StoreHarness, seeds: list[Seed], beside: ThreadPoolExecutor
) -> None:
    _, lines = survey(harness)
    other = harness.reopen()
    with harness.store.batch(harness.criteria(ON)) as batch:
        staged = batch.stage(lines, ())
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            beside.submit(other.barrier, 0.5).result(WAIT)
        assert 0.3 < time.monotonic() - started < 10
        batch.destroy()
        assert batch.read_back() == [Presence.ABSENT] * len(staged.chosen)
    assert existing(harness, seeds) == {one.number for one in seeds} - due(seeds)
    other.barrier(WAIT)


def test_a_batch_asked_for_after_a_barrier_was_requested_runs_in_its_turn(
    harness: StoreHarness, beside: ThreadPoolExecutor
) -> None:
    _, lines = survey(harness)
    placing, working = harness.reopen(), harness.reopen()
    with harness.store.batch(harness.criteria(ON)) as batch:
        batch.stage(lines[:2], ())
        passed = beside.submit(placing.barrier, WAIT)
        assert still_waits(passed)
        later = beside.submit(destroy, harness, lines[2:4], (), working)
        time.sleep(0.2)
        batch.destroy()
    passed.result(WAIT)
    assert len(later.result(WAIT).chosen) == 2


def in_batches(harness: StoreHarness, store: Store, lines: list[bytes], size: int) -> list[Done]:
    return [unhurried(harness, store, lines[at : at + size]) for at in range(0, len(lines), size)]


def unhurried(harness: StoreHarness, store: Store, lines: list[bytes]) -> Done:
    """Tried again as the destroyer does: of two transactions that wait for each other a database ends one. Had it done anything, the
    next try would not choose it again."""
    for _ in range(STAGE_TRIES - 1):
        with suppress(StoreUnavailable):
            return destroy(harness, lines, (), store)
    return destroy(harness, lines, (), store)


@pytest.mark.parametrize("worker", ["the-same-store", "another-store"])
def test_two_workers_on_lines_of_their_own_both_finish(
    build: Build, supports: Supports, beside: ThreadPoolExecutor, worker: str
) -> None:
    seeds = many(supports, 48)
    harness = build(seeds)
    _, lines = survey(harness)
    stores = [harness.store, harness.store if worker == "the-same-store" else harness.reopen()]
    shares = (lines[0::2], lines[1::2])
    futures = [
        beside.submit(in_batches, harness, store, share, 4)
        for store, share in zip(stores, shares, strict=True)
    ]
    done = [batch for future in futures for batch in future.result(2 * WAIT)]
    assert {presence for batch in done for presence in batch.seen} == {Presence.ABSENT}
    assert sorted(number for batch in done for number in batch.chosen) == sorted(due(seeds))
    assert existing(harness, seeds) == set()


def test_two_workers_on_the_same_lines_never_both_choose_one(
    build: Build, supports: Supports, beside: ThreadPoolExecutor
) -> None:
    """Only a transaction can promise it; elsewhere the ledger's lease on the case keeps the second worker out."""
    seeds = many(supports, 24)
    harness = build(seeds)
    _, lines = survey(harness)
    stores = [harness.reopen(), harness.reopen()]
    workers = stores if supports.transactions else stores[:1]
    futures = [beside.submit(in_batches, harness, store, lines, 6) for store in workers]
    chosen = [number for future in futures for batch in future.result(2 * WAIT) for number in batch.chosen]
    assert sorted(chosen) == sorted(due(seeds))
    assert existing(harness, seeds) == set()


def test_once_a_hold_has_passed_the_barrier_nothing_in_its_scope_is_destroyed(
    build: Build, supports: Supports, beside: ThreadPoolExecutor
) -> None:
    """The race that loses records elsewhere: holds placed at random beside two workers. Each batch reads them inside its gate."""
    chance = random.Random(20250602)
    seeds = many(supports, 90)
    harness = build(seeds)
    _, lines = survey(harness)
    for _ in range(3):
        held: list[Hold] = []  # filled below, read by the workers at each batch
        halves = (lines[0::2], lines[1::2])
        stop = threading.Event()
        workers = [
            beside.submit(destroy_until, harness, harness.reopen(), share, held, stop) for share in halves
        ]
        time.sleep(chance.uniform(0.005, 0.08))
        held.append(hold_everything(harness))
        harness.store.barrier(WAIT)
        survivors = existing(harness, seeds)
        time.sleep(0.05)
        stop.set()
        claimed = {number for worker in workers for number in worker.result(WAIT)}
        assert existing(harness, seeds) == survivors
        assert not claimed & survivors


def destroy_until(
    harness: StoreHarness,
    store: Store,
    lines: list[bytes],
    holds: list[Hold],
    stop: threading.Event,
) -> set[int]:
    """Batches of two, reading the holds only after the gate was taken. Returns what was read back as gone."""
    gone: set[int] = set()
    for at in range(0, len(lines), 2):
        if stop.is_set():
            break
        with store.batch(harness.criteria(ON)) as batch:
            staged = batch.stage(lines[at : at + 2], tuple(holds))
            time.sleep(0.002)
            batch.destroy()
            seen = batch.read_back()
        for index, presence in zip(staged.chosen, seen, strict=True):
            if presence is Presence.ABSENT:
                gone.add(harness.number(lines[at + index]))
    return gone


def test_a_record_that_changes_between_choosing_and_destroying_is_not_destroyed(
    harness: StoreHarness, beside: ThreadPoolExecutor
) -> None:
    """A store with transactions may instead make the other one wait until the batch has committed.

    Where a row stays (de-identified), the change then comes before or after the read-back; before, it is read back as there.
    """
    _, lines = survey(harness)
    number = harness.number(lines[1])
    with harness.store.batch(harness.criteria(ON)) as batch:
        staged = batch.stage(lines[:3], ())
        change = beside.submit(harness.change, number)
        in_time = not still_waits(change)
        batch.destroy()
        seen = batch.read_back()
    change.result(WAIT)
    assert staged.chosen == (0, 1, 2)
    if in_time:
        assert harness.exists(number)
        assert seen == [Presence.ABSENT, Presence.PRESENT, Presence.ABSENT]
    else:
        assert (seen[0], seen[2]) == (Presence.ABSENT, Presence.ABSENT)
        assert seen[1] is Presence.ABSENT or harness.exists(number)
