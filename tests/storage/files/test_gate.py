"""The gate, between real processes: it lasts as long as the process that destroys, and nobody waits for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from retention.errors import StoreUnavailable
from storage.files import gate
from tests.storage.files.shelf import EXPORTS, Shelf

WORKER = """
import os, random, sys, time
from storage.files import gate
root, lowest, highest = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
random.seed(os.getpid())
while True:
    descriptor = os.open(root, os.O_RDONLY)
    with gate.entered(descriptor):
        print("inside", flush=True)
        time.sleep(random.uniform(lowest, highest))
    os.close(descriptor)
"""


@contextmanager
def working(root: Path, lowest: float, highest: float) -> Iterator[subprocess.Popen[str]]:
    """A process that goes from batch to batch, each so many seconds long. Entered when it is inside its first."""
    repository = Path(gate.__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(root), str(lowest), str(highest)],
        stdout=subprocess.PIPE, text=True, cwd=repository,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(root=tmp_path / "root", location=EXPORTS)


def test_a_barrier_waits_for_a_batch_of_another_process(shelf: Shelf) -> None:
    with working(shelf.root, 60, 60), pytest.raises(StoreUnavailable):
        shelf.store.barrier(0.3)


def test_a_killed_process_lets_go(shelf: Shelf) -> None:
    with working(shelf.root, 60, 60) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        shelf.store.barrier(5)


def test_a_barrier_is_not_starved_by_several_workers(shelf: Shelf) -> None:
    """Without the turnstile none of four passed in five seconds."""
    with working(shelf.root, 0.1, 0.3), working(shelf.root, 0.1, 0.3), working(shelf.root, 0.1, 0.3):
        for _ in range(3):
            began = time.monotonic()
            shelf.store.barrier(20)
            assert time.monotonic() - began < 10


def test_a_batch_waits_while_a_barrier_is_passing_and_then_goes_in(shelf: Shelf) -> None:
    with working(shelf.root, 0.05, 0.05) as process:
        for _ in range(5):
            shelf.store.barrier(20)
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"


def test_no_file_is_added_to_the_tree(shelf: Shelf) -> None:
    with shelf.store.batch(shelf.criteria):
        assert list(shelf.root.rglob("*")) == [shelf.place]


def test_the_root_of_the_machine_has_no_turnstile_and_needs_none() -> None:
    descriptor = os.open("/", os.O_RDONLY)
    gate.pass_barrier(descriptor, 5)
    with gate.entered(descriptor):
        pass
    os.close(descriptor)


def test_what_cannot_be_locked_is_noticed(tmp_path: Path) -> None:
    """A pipe stands for the file systems that refuse to lock a folder: there is none of those on every machine."""
    folder = os.open(tmp_path, os.O_RDONLY)
    assert gate.works(folder)
    os.close(folder)
    assert not gate.works(folder)
