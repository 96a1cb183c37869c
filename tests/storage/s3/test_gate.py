"""The gate across processes: a killed worker's requests may still be on their way, and a barrier waits for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from retention.errors import StoreUnavailable
from storage.s3.gate import Gate

IN_FLIGHT = 1.0

WORKER = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from storage.s3.gate import Gate
    with Gate(Path(sys.argv[1])).entered() as ticket:
        if sys.argv[2] == "sent":
            ticket.draw()
        print("inside", flush=True)
        time.sleep(60)
""")


def worker(folder: Path, how: str) -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), how], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_barrier_waits_for_a_batch_of_another_process(tmp_path: Path) -> None:
    process = worker(tmp_path, "nothing sent")
    with pytest.raises(StoreUnavailable, match="did not end in time"):
        Gate(tmp_path, in_flight=IN_FLIGHT).pass_barrier(0.5)
    kill(process)
    began = time.monotonic()
    Gate(tmp_path, in_flight=IN_FLIGHT).pass_barrier(10)
    assert time.monotonic() - began < IN_FLIGHT, "nothing was sent: there is nothing to wait for"


def test_what_a_killed_batch_sent_is_waited_for_once(tmp_path: Path) -> None:
    kill(worker(tmp_path, "sent"))
    gate = Gate(tmp_path, in_flight=IN_FLIGHT)
    began = time.monotonic()
    gate.pass_barrier(10)
    assert time.monotonic() - began >= IN_FLIGHT
    began = time.monotonic()
    gate.pass_barrier(10)
    assert time.monotonic() - began < IN_FLIGHT


def test_a_barrier_that_cannot_wait_so_long_says_so_and_the_next_one_waits(tmp_path: Path) -> None:
    kill(worker(tmp_path, "sent"))
    gate = Gate(tmp_path, in_flight=IN_FLIGHT)
    with pytest.raises(StoreUnavailable, match="without hearing all answers"):
        gate.pass_barrier(IN_FLIGHT / 2)
    began = time.monotonic()
    gate.pass_barrier(10)
    assert time.monotonic() - began >= IN_FLIGHT


def test_a_batch_that_heard_all_answers_leaves_nothing_behind(tmp_path: Path) -> None:
    gate = Gate(tmp_path, in_flight=IN_FLIGHT)
    with gate.entered() as ticket:
        ticket.draw()
    began = time.monotonic()
    gate.pass_barrier(10)
    assert time.monotonic() - began < IN_FLIGHT


class Unanswered(Exception):
    """A request whose answer never came."""


def test_a_batch_that_did_not_hear_all_answers_is_waited_for(tmp_path: Path) -> None:
    gate = Gate(tmp_path, in_flight=IN_FLIGHT)

    def broken_off() -> None:
        with gate.entered() as ticket:
            ticket.draw()
            raise Unanswered

    with pytest.raises(Unanswered):
        broken_off()
    began = time.monotonic()
    gate.pass_barrier(10)
    assert time.monotonic() - began >= IN_FLIGHT


def test_while_a_barrier_waits_for_what_was_sent_new_batches_go_on(tmp_path: Path) -> None:
    """They read the holds after it was written down: only what was sent before counts."""
    kill(worker(tmp_path, "sent"))
    gate = Gate(tmp_path, in_flight=60)
    with pytest.raises(StoreUnavailable):
        gate.pass_barrier(1)
    with Gate(tmp_path).entered():
        pass
