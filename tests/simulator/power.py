"""Power cuts: the machine stops between two numbered steps, and nothing it meant to do afterwards happens.

A `PowerCut` is no `Exception`: code that handles errors must not catch it. Should a ``finally`` or a broad ``except`` run
all the same, every further step on the same power fails too, as it would on a dead machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class PowerCut(BaseException):
    """The machine is dead. Raised instead of doing the step, and again by every later step until `Power.restore`."""


class Power:
    """The current of one machine (one worker). Stores and ledger wrappers on it count their steps together.

    ``trace`` lists the steps done since the last `restore`, so that a test can first count them and then cut at each.
    ``interrupt`` is called before each step with its name: the place for a test to act in the middle of a batch.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cut_at: int | None = None
        self._cut_before: tuple[str, int] | None = None
        self._dead = False
        self.trace: list[str] = []
        self.interrupt: Callable[[str], None] | None = None

    @property
    def dead(self) -> bool:
        return self._dead

    def cut_at(self, step: int) -> None:
        """The ``step``-th step from now on (1 is the next) finds no power."""
        with self._lock:
            self._cut_at = len(self.trace) + step

    def cut_before(self, name: str, occurrence: int = 1) -> None:
        """The step of that name finds no power, at its so-manieth occurrence from now on."""
        with self._lock:
            self._cut_before = (name, self.trace.count(name) + occurrence)

    def restore(self) -> None:
        """The machine is up again; counting starts anew."""
        with self._lock:
            self._cut_at, self._cut_before, self._dead, self.trace = None, None, False, []

    def step(self, name: str) -> None:
        """Do one step, or be cut off before it."""
        with self._lock:
            if self._cut_at is not None and len(self.trace) + 1 >= self._cut_at:
                self._dead = True
            if self._cut_before == (name, self.trace.count(name) + 1):
                self._dead = True
            if self._dead:
                raise PowerCut(name)
            self.trace.append(name)
        if self.interrupt is not None:
            self.interrupt(name)
