"""The hold gate of an S3 store: a lock in the state folder, and patience with what is still on its way.

A bucket has neither transactions nor locks of its own. Every batch holds ``flock`` on a file in the gate's folder shared, a barrier
takes it exclusively: the same gate as a file store's root, with a turnstile before it (`storage.files.gate`). It is let go of by
the kernel, exactly when the process that destroys ends. On files, not on folders, since NFS locks no folders.

But a request that was sent outlives its process, and one that timed out may still be carried out. So each batch leaves a *ticket*
in the folder while it works, removes it when every request was answered, and leaves it behind otherwise. A barrier that finds a
ticket without its batch waits `IN_FLIGHT` seconds, in which the store carries out what it was sent or never will, and clears it
away. Several machines share the gate by sharing the folder (docs/decisions/0009-s3.md).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retention.errors import LedgerUnavailable, StoreUnavailable
from storage.files import gate
from storage.spool import make_durable

IN_FLIGHT = 15.0
"""Seconds after which a request whose sender is gone has been carried out or never will be."""
PATIENCE = 120.0
"""Seconds to wait for another batch that writes objects anew."""
_PAUSE = 0.02
_TICKET = ".ticket"


class Gate:
    """The gate of one store. ``folder`` is made when it is missing; ``in_flight``: as `IN_FLIGHT`."""

    def __init__(self, folder: Path, *, in_flight: float = IN_FLIGHT) -> None:
        self._folder = folder
        self._in_flight = in_flight

    @contextmanager
    def entered(self) -> Iterator[Ticket]:
        """Hold the gate shared. Raises `StoreUnavailable` when barriers keep it taken."""
        descriptor = self._open()
        try:
            with gate.entered(descriptor, self._turnstile):
                ticket = Ticket(self._folder / f"{secrets.token_hex(8)}{_TICKET}")
                yield ticket
                ticket.hand_in()
        finally:
            os.close(descriptor)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside the gate: no other batch that writes objects anew. Two on one object would each undo what the other did.

        Raises `StoreUnavailable` when another one takes too long.
        """
        descriptor = self._file("rows")
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise StoreUnavailable(
                            "another batch is writing objects of the store anew", "run again later"
                        ) from None
                    time.sleep(_PAUSE)
            yield
        finally:
            os.close(descriptor)

    def pass_barrier(self, timeout: float) -> None:
        """Return when no batch is inside and nothing that one sent can still arrive. Raises `StoreUnavailable`."""
        deadline = time.monotonic() + timeout
        descriptor = self._open()
        try:
            with gate.closed(descriptor, timeout, self._turnstile):
                left = sorted(self._folder.glob(f"*{_TICKET}"))  # nobody is inside: whose they were has ended
            if not left:
                return
            # Batches that begin from here on read the hold: only what was sent before counts, so the gate may be open.
            until = time.monotonic() + self._in_flight
            if until > deadline:
                raise StoreUnavailable(
                    "a batch in the store ended without hearing all answers",
                    f"ask again in {self._in_flight:.0f} seconds",
                )
            time.sleep(self._in_flight)
            for ticket in left:
                ticket.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def works(self) -> bool:
        """Whether files in the folder can be locked at all. Raises `LedgerUnavailable` when it cannot be made."""
        descriptor = self._open()
        try:
            return gate.works(descriptor)
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return self._file("gate")
        except OSError as error:
            raise LedgerUnavailable(
                f"the gate of the store cannot be reached: {error.strerror}",
                "see whether its folder is there and may be written to",
            ) from None

    def _turnstile(self, _: int) -> int | None:
        try:
            return self._file("turnstile")
        except OSError:
            return None

    def _file(self, name: str) -> int:
        return os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


class Ticket:
    """A batch's mark that it may have sent something."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def draw(self) -> None:
        """Before the first request that destroys. Durable: a machine that loses its power leaves it behind too."""
        try:
            self._path.touch(mode=0o600)
            make_durable(self._path.parent)
        except OSError as error:
            raise StoreUnavailable(
                f"the gate of the store cannot be reached: {error.strerror}",
                "see whether its folder may be written to",
            ) from None

    def hand_in(self) -> None:
        """After every request was answered."""
        self._path.unlink(missing_ok=True)
