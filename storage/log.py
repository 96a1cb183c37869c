"""The transparency log's files: appended under a lock, in the order of the ledger's rows, the checkpoint last.

The files follow from the rows, byte for byte. So a killed writer is finished by the next one, and a torn file is made again.
Refuses to publish a checkpoint that does not continue the last one: when the ledger is behind the log (it was restored from a
backup) or disagrees with it, nothing is written and `VerificationFailed` says which.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from retention.checkpoint import Checkpoint, Opened, open_checkpoint, sign
from retention.errors import Unavailable, VerificationFailed
from retention.log_files import CHECKPOINT, LogFiles
from retention.logged import entry_of
from retention.note import NoteKey
from retention.signing import Signer
from retention.tiles import WIDTH, Hashes, Tile, all_tiles, bundle, bundles, entry_hash, grown
from retention.tree import Root, Tree, root, split
from storage.ledger.ledger import Ledger

PATIENCE = 20.0
"""Seconds to wait for another writer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """``appended``: entries added now. ``repaired``: files that were torn or missing and were made again."""

    opened: Opened | None
    appended: int = 0
    repaired: bool = False


class Log:
    """``folder``: where the log is published. ``key``: its name and public key; ``signer`` signs as that."""

    def __init__(self, *, folder: Path, ledger: Ledger, key: NoteKey, signer: Signer) -> None:
        self.files = LogFiles(folder)
        self.key = key
        self._folder = folder
        self._ledger = ledger
        self._signer = signer

    def opened(self) -> Opened | None:
        """The published checkpoint, its signature checked; ``None`` while there is none. Raises `VerificationFailed`."""
        data = self.files.checkpoint()
        return None if data is None else open_checkpoint(data, [self.key])

    def publish(self, *, thorough: bool = False) -> Published:
        """Bring the files up to the ledger. ``thorough``: compare every file with the ledger, not the last ones only.

        Raises `VerificationFailed` when the log would have to go back, `Unavailable` when the disk fails or another
        writer does not finish. May be called again after any failure.
        """
        with self._alone():
            size = self._ledger.log.size()
            before, lost = self._last_checkpoint(size)
            old = Root(0, b"") if before is None else before.root
            if old.size > size:
                raise VerificationFailed(
                    f"the ledger has {size:,} entries of the log, {old.size:,} are published: the ledger was set back",
                    "restore the ledger's newer backup; see docs/log.md",
                )
            torn = lost or (old.size > 0 and not self._is_whole(old, thorough=thorough))
            if torn and before is not None:
                self._require_same(old)
            if not torn and old.size == size:
                return Published(opened=before)
            start = 0 if torn else old.size
            new = self._write_tiles(start, size)
            note = sign(Checkpoint(origin=self.key.name, root=new), self.key, self._signer)
            if before is None or new != old:
                write_durably(self._folder / CHECKPOINT, note)
            return Published(
                opened=open_checkpoint(note, [self.key]), appended=size - old.size, repaired=torn
            )

    def _last_checkpoint(self, size: int) -> tuple[Opened | None, bool]:
        """The checkpoint, and whether it was lost: then the tiles must still fit the ledger's rows."""
        try:
            found = self.opened()
        except VerificationFailed:
            found = None
        if found is not None:
            return found, False
        shown = self._shown()
        if shown == 0:
            return None, False
        if shown > size:
            raise VerificationFailed(
                "the log's checkpoint is damaged, and the ledger has fewer entries than the log's files",
                "restore the ledger's newer backup; see docs/log.md",
            )
        for tile, entries in self._rows(0, size):
            hashes = b"".join(map(entry_hash, entries))
            for width in range(1, WIDTH + 1):
                path = self._folder / Tile(level=0, index=tile.index, width=width).path
                if path.is_file() and not hashes.startswith(_head(path, width * 32)):
                    raise _forked()
        return None, True

    def _shown(self) -> int:
        """How many entries the files of the log show that it had."""
        most = 0
        folder = self._folder / "tile" / "0"
        for path in folder.rglob("*") if folder.is_dir() else ():
            if path.is_file() and path.suffix == "":
                partial = path.parent.name.endswith(".p")
                parts = (path.parent if partial else path).relative_to(folder).parts
                try:
                    index = int("".join(part.removeprefix("x").removesuffix(".p") for part in parts))
                    most = max(most, index * WIDTH + (int(path.name) if partial else WIDTH))
                except ValueError:
                    continue
        return most

    def _is_whole(self, old: Root, *, thorough: bool) -> bool:
        """Whether the files have the root of the checkpoint and the ledger's entries (at its end, or ``thorough`` everywhere)."""
        start = 0 if thorough else (old.size - 1) // WIDTH * WIDTH
        try:
            hashes = Hashes(self.files.hashes, old.size)
            if hashes.root() != old:
                return False
            for tile, entries in self._rows(start, old.size):
                if self.files.entries(tile) != entries:
                    return False
                for number, entry in enumerate(entries):
                    if hashes.leaf(tile.index * WIDTH + number) != entry_hash(entry):
                        return False
            if thorough:
                for tile in all_tiles(old.size):
                    if tile.level and not self._follows(tile):
                        return False
        except VerificationFailed:
            return False
        return True

    def _follows(self, tile: Tile) -> bool:
        """Whether each hash of a tile is the root of the whole tile below it."""
        assert tile.level is not None
        return all(
            root(
                [
                    self.files.hashes(
                        Tile(level=tile.level - 1, index=tile.index * WIDTH + number, width=WIDTH)
                    )
                ]
            ).hash
            == one
            for number, one in enumerate(split(self.files.hashes(tile)))
        )

    def _require_same(self, old: Root) -> None:
        """The ledger's rows give the root that was published: then, and only then, files are made again from them."""
        tree = Tree()
        for _, entries in self._rows(0, old.size):
            tree.append(b"".join(map(entry_hash, entries)))
        if tree.root() != old:
            raise _forked()

    def _rows(self, start: int, end: int) -> Iterator[tuple[Tile, list[bytes]]]:
        """The ledger's entries, bundle by bundle; ``start`` is the first of one."""
        for tile in bundles(end):
            if tile.index * WIDTH >= start:
                first = tile.index * WIDTH
                yield (
                    tile,
                    [entry_of(row.envelope) for row in self._ledger.log.entries(first, first + tile.width)],
                )

    def _write_tiles(self, old: int, new: int) -> Root:
        """Write what entries ``old`` to ``new`` change. Returns the root, computed from the files."""
        start = old // WIDTH * WIDTH
        for tile, entries in self._rows(start, new):
            self._put(tile, bundle(entries))
            first = max(old - tile.index * WIDTH, 0)
            added = [entry_hash(entry) for entry in entries[first:]]
            for grew, data in grown(self.files.hashes, tile.index * WIDTH + first, added):
                self._put(grew, data)
        return Hashes(self.files.hashes, new).root()

    def _put(self, tile: Tile, data: bytes) -> None:
        """Write a tile; a whole one takes the place of its parts."""
        write_durably(self._folder / tile.path, data)
        if tile.width == WIDTH:
            shutil.rmtree(self._folder / f"{tile.path}.p", ignore_errors=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer at a time."""
        with _disk():
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise Unavailable("another run is writing the log", "run it again") from None
                    time.sleep(0.05)
            yield
        finally:
            os.close(lock)


def _forked() -> VerificationFailed:
    return VerificationFailed(
        "the ledger and the published log disagree: one of the two was altered",
        "compare both with their backups; see docs/log.md",
    )


def _head(path: Path, size: int) -> bytes:
    with _disk(), path.open("rb") as file:
        return file.read(size)


def write_durably(path: Path, data: bytes) -> None:
    """Durably, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with _disk():
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"the log cannot be read or written: {os.strerror(error.errno or 0)}",
            "see whether its disk is full or in order; the ledger has the entries",
        ) from None
