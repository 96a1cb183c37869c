"""The hold gate of a file store: ``flock`` on the root folder itself.

The lock lives in the kernel, on an open descriptor: exactly as long as the process that destroys (a killed process has
finished its last unlink before the kernel lets go), it needs no file in the library's tree, and two mounts of one folder share
it. Every batch holds it shared, a barrier takes it exclusively.

``flock`` is not fair: with several workers there is always somebody inside, and an exclusive request may wait for ever
(measured with 4 workers: no barrier passed in 5 seconds). So there is a *turnstile* before the gate, the same kind of lock on
the folder above the root: a waiting barrier closes it, and new batches queue there while those inside finish. The turnstile is
courtesy; safety rests on the gate alone. Where the folder above cannot be opened there is none.
"""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from retention.errors import StoreUnavailable

BATCH_PATIENCE = 60.0
"""Seconds a batch waits for the gate while barriers hold it."""
TURNSTILE_PATIENCE = 2.0
"""Seconds a batch queues at the turnstile before it goes to the gate without."""
_PAUSE = 0.002


def above(root: int) -> int | None:
    """The turnstile of a folder: the folder above it."""
    try:
        upper = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    except OSError:
        return None
    if os.path.sameopenfile(upper, root):  # the root of the machine: the turnstile would be the gate itself
        os.close(upper)
        return None
    return upper


Turnstile = Callable[[int], int | None]
"""From the gate's descriptor to one of the turnstile, to be closed; ``None``: there is none."""


@contextmanager
def entered(root: int, turnstile_of: Turnstile = above) -> Iterator[None]:
    """Hold the gate shared, on a descriptor of the root that no other batch uses. Raises `StoreUnavailable`."""
    turnstile = turnstile_of(root)
    try:
        if turnstile is not None:
            _try(turnstile, fcntl.LOCK_SH, time.monotonic() + TURNSTILE_PATIENCE)
        if not _try(root, fcntl.LOCK_SH, time.monotonic() + BATCH_PATIENCE):
            raise StoreUnavailable(
                "the gate of the store is taken", "a hold is being placed, or a process that places one hangs"
            )
    finally:
        if turnstile is not None:
            os.close(turnstile)
    try:
        yield
    finally:
        fcntl.flock(root, fcntl.LOCK_UN)


def pass_barrier(root: int, timeout: float) -> None:
    """Take the gate exclusively and let go: whoever was inside has left. Raises `StoreUnavailable` after ``timeout`` seconds."""
    with closed(root, timeout):
        pass


@contextmanager
def closed(root: int, timeout: float, turnstile_of: Turnstile = above) -> Iterator[None]:
    """Hold the gate exclusively: nobody is inside. Raises `StoreUnavailable` after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    turnstile = turnstile_of(root)
    try:
        if turnstile is not None:
            _try(turnstile, fcntl.LOCK_EX, min(deadline, time.monotonic() + timeout / 2))
        if not _try(root, fcntl.LOCK_EX, deadline):
            raise StoreUnavailable(
                "a batch in the store did not end in time", "see whether a destroying process hangs"
            )
        yield
        fcntl.flock(root, fcntl.LOCK_UN)
    finally:
        if turnstile is not None:
            os.close(turnstile)


def works(root: int) -> bool:
    """Whether this file system can lock a folder at all. Many network shares cannot."""
    try:
        fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(root, fcntl.LOCK_UN)
    return True


def _try(descriptor: int, kind: int, deadline: float) -> bool:
    """Ask until it is granted or the deadline has passed. A lock that the file system does not know is not granted."""
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            # Not in step with the other workers, or the same ones would always win.
            time.sleep(_PAUSE * random.uniform(0.5, 1.5))  # noqa: S311  # not a secret
        except OSError:
            return False
        else:
            return True
