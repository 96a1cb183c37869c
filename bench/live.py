"""The public's load beside a purge: small updates of random live rows at a fixed rate, from a process of its own.

The latency of an update counts from the moment it should have begun: a stall delays all that queue behind it, and all count.
Run as ``python -m bench.live URL FIRST LAST RATE``; ends when its input closes and prints its latencies (ms) as JSON.
"""

from __future__ import annotations

import json
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import quantiles

import sqlalchemy as sa

RATE = 50
"""Updates per second."""
FEWEST = 20
"""It goes on until it has done so many, however soon the purge ends."""
_UPDATE = sa.text("UPDATE circulation SET due_date = :due, renewals = renewals + 1 WHERE id = :id")


def load(url: str, first: int, last: int, rate: float, ended: Callable[[], bool]) -> list[float]:
    """Update rows ``first`` to ``last`` until it has ended. Gives the latencies in milliseconds."""
    engine = sa.create_engine(url)
    latencies: list[float] = []
    chosen = random.Random(1)
    with engine.connect() as connection:
        connection.execute(_UPDATE, {"due": "2030-01-01", "id": first})
        connection.commit()
        due = time.monotonic()
        while len(latencies) < FEWEST or not ended():
            due += 1 / rate
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            connection.execute(_UPDATE, {"due": "2030-01-01", "id": chosen.randint(first, last)})
            connection.commit()
            latencies.append((time.monotonic() - due) * 1000)
    engine.dispose()
    return latencies


def p99(latencies: list[float]) -> float:
    return quantiles(latencies, n=100)[98]


class Beside:
    """Latencies, once the load has ended."""

    def __init__(self) -> None:
        self.latencies: list[float] = []


@contextmanager
def beside(url: str, first: int, last: int) -> Iterator[Beside]:
    """The load runs while the block does."""
    found = Beside()
    command = [sys.executable, "-m", "bench.live", url, str(first), str(last), str(RATE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        yield found
        told, _ = process.communicate("")
        found.latencies = json.loads(told)


def main(url: str, first: str, last: str, rate: str) -> None:
    print("begun", flush=True)
    found = load(
        url, int(first), int(last), float(rate), lambda: bool(select.select([sys.stdin], [], [], 0)[0])
    )
    print(json.dumps([round(latency, 3) for latency in found]))


if __name__ == "__main__":
    main(*sys.argv[1:])
