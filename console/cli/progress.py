"""Progress of a run on a terminal, and stopping one by Ctrl-C without leaving a batch half done.

The first Ctrl-C (or SIGTERM) lets every batch in flight finish with its read-back, then ends the run; the second one ends it at
once, which is safe too: the next run reads back what was interrupted.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from console.cli.session import Session

GO_ON = "the batch in flight was finished and nothing is lost; go on with: retention run --execute"
LOOK_AGAIN = "nothing was touched; run it again when you like"


class Interrupted(KeyboardInterrupt):
    """The person asked to stop, and the work came to a safe place to do so. Its text says how to go on."""


class Stop:
    """Whether somebody asked to stop."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.asked = False

    def ask(self, _signal: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt(
                "interrupted batches are read back by the next run: retention run --execute"
            )
        self.asked = True
        self._session.note("stopping after the batch in flight; once more to stop at once")


@contextmanager
def stoppable(session: Session) -> Iterator[Stop]:
    """Within the block the first Ctrl-C only asks. Elsewhere than in the main thread signals stay as they are."""
    stop = Stop(session)
    if current_thread() is not main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Reporter:
    """Watches a run (`flows.running.Watcher`): draws bars when somebody looks, and stops it when asked to."""

    def __init__(self, stop: Stop, progress: Progress | None, *, execute: bool) -> None:
        self._stop = stop
        self._progress = progress
        self._hint = GO_ON if execute else LOOK_AGAIN
        self._tasks: dict[str, TaskID] = {}

    def surveying(self, record_type: str, location: str, looked_at: int) -> None:
        self._draw(f"{record_type}/{location}", f"looking at {record_type}/{location}", looked_at, None)
        self.pause()

    def destroying(self, case: str, done: int, items: int) -> None:
        self._draw(case, f"carrying out {case}", done, items)
        self.pause()

    def sealing(self, record_type: str, location: str, sealed: int) -> None:
        self._draw(f"{record_type}/{location}", f"sealing {record_type}/{location}", sealed, None)
        self.pause()

    def scanning(self, files: int) -> None:
        self._draw("scan", "looking through files", files, None)
        self.pause()

    def pause(self) -> None:
        """Called where nothing is half done. Raises `Interrupted` when somebody asked to stop."""
        if self._stop.asked:
            raise Interrupted(self._hint)

    def _draw(self, key: str, words: str, done: int, total: int | None) -> None:
        if self._progress is None:
            return
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(words, total=total)
        self._progress.update(self._tasks[key], completed=done, total=total)


@contextmanager
def reporting(session: Session, *, execute: bool) -> Iterator[Reporter]:
    """A reporter for one run. Bars go to standard error, only where a person sees it, and are taken away at the end."""
    with stoppable(session) as stop:
        if not session.watched:
            yield Reporter(stop, None, execute=execute)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=session.err, transient=True) as progress:
            yield Reporter(stop, progress, execute=execute)
