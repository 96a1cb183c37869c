"""The keeper: makes holds effective that were written down where no store is reached, and answers what pages ask of the stores.

Looks into the ledger five times a second. A store that is down costs no hold: it stays *placing*, keeps, and is tried again, less
and less often. Several keepers at once are harmless, and one may be killed at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from queue import SimpleQueue
from threading import Event, Lock, Thread

from flows.answering import ANSWERS, answer
from flows.clock import clock
from flows.settings import Settings
from flows.wiring import Site
from retention.errors import Refused, RetentionError
from storage.ledger.drafts import LIVES, DraftKind
from storage.ledger.questions import Question

ACTOR = "keeper"
INTERVAL = 0.2
"""Seconds between two looks into the ledger."""
LONGEST_PAUSE = 30.0
"""Seconds until a hold whose store does not answer is tried again, at most."""
HOUSEKEEPING = 30.0
"""Seconds between two looks for what is overdue."""
SWEEPING = 1800.0
"""Seconds between two looks for documents that belong to no hold."""
COPYING = 300.0
"""Seconds between two passes that copy what staff edited in rows under a hold."""
COPIES = "copies of rows"
"""The job that does; it belongs to no hold."""
UNSIGNED = 2 * LIVES[DraftKind.TO_SIGN]
"""After that long a document that was given for a hold belongs to one, or never will."""
WORKERS = 4
"""Holds side by side: one whose store does not answer must not keep the others waiting."""
ENDING = 2.0
"""Seconds that work in hand may take once the keeper is told to end. What is not done then is done by the next one."""


@dataclass(slots=True, kw_only=True)
class _Pause:
    """Seconds until the next try, and the moment of it (monotonic)."""

    seconds: float
    until: float


_Job = tuple[str, Callable[[Site], None]]


class Keeper:
    """``tell``: told of trouble, in words with nothing sealed or personal in them."""

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], datetime] = clock,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._now = now
        self._tell = tell
        self._holds: SimpleQueue[_Job | None] = SimpleQueue()
        self._questions: SimpleQueue[_Job | None] = SimpleQueue()
        self._copying: SimpleQueue[_Job | None] = SimpleQueue()
        self._busy: set[str] = set()
        self._pauses: dict[str, _Pause] = {}
        self._lock = Lock()
        self._looked_at = self._swept_at = self._copied_at = float("-inf")

    def run(self, stop: Event) -> None:
        """Keep until ``stop``. Raises `LedgerUnavailable`, `SettingsError` or `ScheduleInvalid` when it cannot even begin."""
        site = self._opened()
        try:
            site.ledger.require_ready(self._now())
            queues = [*[self._holds] * WORKERS, self._questions, self._copying]
            workers = [Thread(target=self._work, args=(queue,), daemon=True) for queue in queues]
            for worker in workers:
                worker.start()
            try:
                self._watch(site, stop)
            finally:
                latest = time.monotonic() + ENDING
                for queue in queues:
                    queue.put(None)
                for worker in workers:
                    worker.join(max(0.0, latest - time.monotonic()))
        finally:
            site.close()

    def _watch(self, site: Site, stop: Event) -> None:
        pause = INTERVAL
        while not stop.wait(pause):
            try:
                self._look(site)
            except RetentionError as error:  # no ledger: nothing is destroyed meanwhile either
                pause = min(2 * pause, LONGEST_PAUSE)
                self._tell(error.message)
            else:
                pause = INTERVAL

    def _look(self, site: Site) -> None:
        placing = site.ledger.holds.placing()
        for id in placing:
            self._hand_out(self._holds, id, partial(self._complete, id))
        for question in site.ledger.questions.waiting():
            self._hand_out(self._questions, question.id, partial(self._answer, question))
        now = time.monotonic()
        if now - self._copied_at >= COPYING:
            self._hand_out(self._copying, COPIES, self._copy)
        if now - self._looked_at >= HOUSEKEEPING:
            self._looked_at = now
            site.ledger.questions.expire(at=self._now())
            site.ledger.drafts.expire(at=self._now())
            site.holding.lapse(timedelta(days=self._settings.grace_days), actor=ACTOR)
            if now - self._swept_at >= SWEEPING and not site.ledger.cases.halted():
                self._swept_at = now
                before = self._now() - UNSIGNED
                site.documents.forget(but=site.ledger.holds.documents(), before=before)
            lasting = {*placing, COPIES}
            with self._lock:
                self._pauses = {id: pause for id, pause in self._pauses.items() if id in lasting}

    def _hand_out(self, queue: SimpleQueue[_Job | None], id: str, do: Callable[[Site], None]) -> None:
        with self._lock:
            pause = self._pauses.get(id)
            if id in self._busy or (pause is not None and pause.until > time.monotonic()):
                return
            self._busy.add(id)
        queue.put((id, do))

    def _work(self, queue: SimpleQueue[_Job | None]) -> None:
        """One worker, with parts of its own. After trouble it begins with fresh ones."""
        site: Site | None = None
        while (job := queue.get()) is not None:
            id, do = job
            try:
                if site is None or site.schedule_text != self._schedule_text():
                    site = self._anew(site)
                do(site)
            except RetentionError as error:
                self._put_off(id, "" if _is_secret(site, id) else error.message)
            except Exception as error:  # noqa: BLE001  # a door, as a request handler: one job must not end the keeper
                self._put_off(id, f"unexpected: {type(error).__name__}")
            else:
                with self._lock:
                    self._pauses.pop(id, None)
                    self._busy.discard(id)
                continue
            if site is not None:
                site.close()
                site = None
        if site is not None:
            site.close()

    def _put_off(self, id: str, why: str) -> None:
        with self._lock:
            before = self._pauses.get(id)
            seconds = INTERVAL if before is None else min(2 * before.seconds, LONGEST_PAUSE)
            self._pauses[id] = _Pause(seconds=seconds, until=time.monotonic() + seconds)
            self._busy.discard(id)
        if before is None and why:
            self._tell(why)

    def _complete(self, id: str, site: Site) -> None:
        try:
            site.enforcing.resume(id, actor=ACTOR, copying=False)
        except Refused:  # somebody else was faster
            return
        self._copied_at = float(
            "-inf"
        )  # what it keeps is copied by a worker of its own: other holds do not wait for that

    def _copy(self, site: Site) -> None:
        self._copied_at = time.monotonic()
        for trouble in site.enforcing.copy_rows():
            self._copied_at = float("-inf")
            raise trouble

    def _answer(self, question: Question, site: Site) -> None:
        site.ledger.questions.answer(question.id, answer(site, question, ANSWERS), at=self._now())

    def _opened(self) -> Site:
        site = Site(self._settings, self._now)
        site.schedule  # noqa: B018  # a schedule that cannot be read is told before anything is tried
        return site

    def _anew(self, site: Site | None) -> Site:
        if site is not None:
            site.close()
        return self._opened()

    def _schedule_text(self) -> str:
        """The schedule as it is now: what was read before may have been replaced since."""
        return Site(self._settings, self._now).schedule_text


def _is_secret(site: Site | None, id: str) -> bool:
    """Whether a job must leave no trace in what this process tells: it is about a sealed hold, for all that can be found out."""
    if id.startswith("Q") or id == COPIES:
        return False
    try:
        return site is None or site.ledger.holds.get(id).sealed
    except RetentionError:
        return True


@contextmanager
def keeping(settings: Settings, tell: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """A keeper beside whatever this process does meanwhile. Told to end when the block ends."""
    stop = Event()
    keeper = Thread(target=Keeper(settings, tell=tell).run, args=(stop,), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join(2 * ENDING)
