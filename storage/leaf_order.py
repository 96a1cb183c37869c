"""Leaf order: sorts any number of leaf hashes by hash with flat memory, and writes the leaves file of a certificate.

Leaves come in manifest order, which would tell an outsider which leaf is which record. They are written to a private
spool in runs, each parted by first byte, and read back and sorted bucket by bucket. The spool has no name in the file system, so a crash leaves
nothing behind; the leaves file appears whole or not at all.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from types import TracebackType

from retention.errors import Unavailable, UsageError
from retention.tree import HASH_BYTES, Root, Tree, split

RUN = 65_536
"""Hashes parted in memory at once: about 7 MB. Ten million leaves make 153 runs."""


class LeafOrder:
    """Takes leaf hashes in any order, gives them back sorted. Used as a context manager.

    ``directory``: a private folder (mode 0700) on a disk with room for all hashes. Raises `Unavailable` when the disk fails.
    """

    def __init__(self, directory: Path) -> None:
        with _disk():
            self._spool = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115  # closed by __exit__
        self._runs: list[array[int]] = []
        self._waiting = bytearray()
        self.size = 0

    def __enter__(self) -> LeafOrder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    def add(self, hashes: bytes) -> None:
        """Add concatenated leaf hashes."""
        if len(hashes) % HASH_BYTES:
            raise UsageError(f"leaf hashes have {HASH_BYTES} bytes each")
        self.size += len(hashes) // HASH_BYTES
        self._waiting += hashes
        while len(self._waiting) >= RUN * HASH_BYTES:
            run = bytes(self._waiting[: RUN * HASH_BYTES])
            del self._waiting[: RUN * HASH_BYTES]
            self._write(run)

    def _write(self, run: bytes) -> None:
        buckets: list[list[bytes]] = [[] for _ in range(256)]
        for one in split(run):
            buckets[one[0]].append(one)
        start = sum(ends[-1] - ends[0] for ends in self._runs)
        with _disk():
            self._spool.seek(start)
            self._spool.write(b"".join(map(b"".join, buckets)))
        self._runs.append(array("q", accumulate((len(one) * HASH_BYTES for one in buckets), initial=start)))

    def blocks(self) -> Iterator[bytes]:
        """All hashes in ascending order, in concatenated blocks (empty ones left out). Can be asked for again."""
        if self._waiting:
            run, self._waiting = bytes(self._waiting), bytearray()
            self._write(run)
        with _disk():
            self._spool.flush()
        descriptor = self._spool.fileno()
        for bucket in range(256):
            hashes: list[bytes] = []
            for ends in self._runs:
                start, end = ends[bucket], ends[bucket + 1]
                hashes += split(_read(descriptor, start, end - start))
            if hashes:
                yield b"".join(sorted(hashes))

    def save(self, path: Path) -> Root:
        """Write the leaves file (``<certificate id>.leaves``) durably, in one step, and return the root over it.

        An existing file is replaced: the same case always gives the same leaves.
        """
        tree = Tree()
        partial = path.with_name(path.name + ".partial")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with _disk():
            with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
                for block in self.blocks():
                    tree.append(block)
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return tree.root()


def _read(descriptor: int, start: int, length: int) -> bytes:
    with _disk():
        data = os.pread(descriptor, length, start)
    if len(data) != length:
        raise Unavailable("the spool of leaf hashes is shorter than what was written to it")
    return data


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        raise Unavailable(f"leaf hashes cannot be written or read: {reason}") from None
