"""Opening a file of rows below a root: no link followed, and nobody else in the middle of writing it.

A file that an office program has open (its lock file lies beside it) or that another process has locked is left alone.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from storage.files.folder import look
from storage.files.tree import Bar, Barred, Tree, barred_by, join, split

PATIENCE = 30.0
"""Seconds to wait for another of our own workers on the same file."""
PARTIAL = ".retention-partial-"
"""How files are called that are being written anew. What a killed process left behind is removed."""
_PAUSE = 0.01


@contextmanager
def opened(tree: Tree, path: str) -> Iterator[BinaryIO]:
    """The file, open for reading. Raises `Barred`, `StoreUnavailable`."""
    folder, name = split(path)
    try:
        descriptor = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=tree.open(folder)
        )
    except OSError as error:
        raise barred_by(error.errno) from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Barred(Bar.LINK)
        yield file


@contextmanager
def locked(tree: Tree, path: str) -> Iterator[BinaryIO | None]:
    """The file that lies under the name *now*, locked against every other worker; ``None`` when somebody else has it open.

    Two workers that each wrote the same file anew would bring back each other's rows. Raises `Barred`, `StoreUnavailable`.
    """
    if in_use(tree, path):
        yield None
        return
    deadline = time.monotonic() + PATIENCE
    while True:
        with opened(tree, path) as file:
            if not _lock(file.fileno(), deadline):
                yield None
                return
            now = look(tree, *split(path))
            if now is not None and os.path.samestat(now, os.fstat(file.fileno())):
                yield file
                return
        if time.monotonic() >= deadline:
            yield None
            return


def in_use(tree: Tree, path: str) -> bool:
    """Whether an office program's lock file lies beside it."""
    folder, name = split(path)
    return any(look(tree, folder, beside) is not None for beside in (f".~lock.{name}#", f"~${name}"))


def sweep(tree: Tree, folder: str) -> None:
    """Remove files half written by a process that is gone: they hold rows. Raises `Barred`, `StoreUnavailable`."""
    for entry in tree.list(folder):
        if entry.kind != "f" or not entry.name.startswith(PARTIAL):
            continue
        try:
            with opened(tree, join(folder, entry.name)) as file:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(entry.name, dir_fd=tree.open(folder))
        except (Barred, OSError):
            continue  # somebody is writing it, or it went


def _lock(descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE)
        except OSError:
            return False
        else:
            return True
