"""The hold gate in the target: the barrier gets through between busy workers, and a placed hold is final."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from retention.errors import StoreUnavailable
from retention.holds import Hold
from retention.outcomes import Presence
from storage.sql import SqlStore
from tests.storage.sql.conftest import Database
from tests.storage.sql.library import WHOLE, build, criteria, hold, left, lines


def loop(url: str, stop: float) -> None:
    """A worker of its own process: batches without a pause."""
    store = SqlStore("library", url)
    asked = criteria(WHOLE)
    while time.monotonic() < stop:
        with store.batch(asked) as batch:
            batch.stage(lines(1), [hold(0, 1, 2)])
            time.sleep(0.02)
    store.close()


@contextmanager
def workers(url: str, seconds: float) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    busy = [context.Process(target=loop, args=(url, time.monotonic() + seconds)) for _ in range(3)]
    for process in busy:
        process.start()
    try:
        yield
    finally:
        for process in busy:
            process.join(60)


@pytest.mark.slow
def test_the_barrier_gets_through_between_workers_that_never_rest(database: Database) -> None:
    build(database)
    database.store.barrier(5)
    with workers(database.url, 15):
        time.sleep(5)  # until all of them are at work
        waits = []
        for _ in range(10):
            started = time.monotonic()
            database.store.barrier(10)
            waits.append(time.monotonic() - started)
            time.sleep(0.1)
    assert sorted(waits)[len(waits) // 2] < 2


def test_a_barrier_waits_no_longer_than_it_is_told(database: Database) -> None:
    build(database)
    with database.store.batch(criteria(WHOLE)) as batch:
        batch.stage(lines(1), ())
        placing = SqlStore("library", database.url)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            placing.barrier(1)
        assert 0.8 < time.monotonic() - started < 6
        placing.close()
        assert caught.value.retryable


def test_no_hold_is_lost_in_the_race(database: Database) -> None:
    """Workers take the fence and then read the holds; whoever places one writes it down and then passes the barrier."""
    chance = random.Random(7)
    build(database, old=range(1, 121))
    asked = criteria(WHOLE)
    for round_ in range(3):
        written: list[Hold] = []
        stop = threading.Event()
        told: list[int] = []

        def work(
            numbers: list[int],
            written: list[Hold] = written,
            stop: threading.Event = stop,
            told: list[int] = told,
        ) -> None:
            store = SqlStore("library", database.url)
            for at in range(0, len(numbers), 3):
                if stop.is_set():
                    break
                with store.batch(asked) as batch:
                    staged = batch.stage(lines(*numbers[at : at + 3]), tuple(written))
                    time.sleep(0.005)
                    batch.destroy()
                    seen = batch.read_back()
                told.extend(
                    numbers[at + index]
                    for index, one in zip(staged.chosen, seen, strict=True)
                    if one is Presence.ABSENT
                )
            store.close()

        numbers = left(database)["loans"]
        half = len(numbers) // 2
        busy = [threading.Thread(target=work, args=(part,)) for part in (numbers[:half], numbers[half:])]
        for thread in busy:
            thread.start()
        time.sleep(chance.uniform(0.02, 0.15))
        written.append(hold(round_))
        database.store.barrier(20)
        kept = [number for number in left(database)["loans"] if number % 3 == round_]
        time.sleep(0.1)
        stop.set()
        for thread in busy:
            thread.join(60)
        after = left(database)
        assert [number for number in after["loans"] if number % 3 == round_] == kept
        assert not set(told) & set(after["loans"])
        assert after["loans"] == after["bills"] == after["payments"] == after["shadows"]
        written.clear()


@pytest.mark.mariadb
def test_without_the_row_of_the_fence_nothing_is_begun(mariadb_database: Database) -> None:
    build(mariadb_database)
    mariadb_database.store.barrier(5)
    mariadb_database.run("DELETE FROM retention_fence")
    with pytest.raises(StoreUnavailable), mariadb_database.store.batch(criteria(WHOLE)):
        pass
    with pytest.raises(StoreUnavailable):
        mariadb_database.store.barrier(5)


def test_a_library_keeps_its_journal_mode(sqlite_database: Database) -> None:
    build(sqlite_database)
    assert sqlite_database.one("PRAGMA journal_mode") == "delete"
    with sqlite_database.store.batch(criteria(WHOLE)) as batch:
        batch.stage(lines(1), ())
        batch.destroy()
    assert sqlite_database.one("PRAGMA journal_mode") == "delete"


def test_what_sqlite_deletes_is_overwritten(sqlite_database: Database) -> None:
    build(sqlite_database, old=[1, 2])
    sqlite_database.run("UPDATE loan SET title = 'zqcanary-title' WHERE id = 1")
    file = Path(sqlite_database.engine.url.database or "")
    assert b"zqcanary-title" in file.read_bytes()
    with sqlite_database.store.batch(criteria(WHOLE)) as batch:
        batch.stage(lines(1), ())
        batch.destroy()
    assert b"zqcanary-title" not in file.read_bytes()
