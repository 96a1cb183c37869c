"""The files of a transparency log, read within bounds; `LogFolder` has them in a folder. The one place in this room that opens
files beside the command of `retention.verify`: an auditor's machine has nothing else. Writes nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from retention.errors import VerificationFailed
from retention.note import MAX_BYTES
from retention.tiles import MAX_BUNDLE, WIDTH, Tile, unbundle
from retention.tree import HASH_BYTES

CHECKPOINT = "checkpoint"
STAMPS = "stamps"
"""Beside the tiles: ``stamps/SIZE.tsr``, a time stamp (RFC 3161) over ``stamps/SIZE.checkpoint``."""
MAX_STAMP = 64 * 1024


class LogFiles(ABC):
    """A log, wherever its files are."""

    @abstractmethod
    def read(self, name: str, limit: int) -> bytes | None:
        """A file; ``None`` when there is none. Raises `VerificationFailed` when it is larger than ``limit`` bytes."""

    @abstractmethod
    def names(self, below: str) -> list[str]:
        """The names of all files in a folder of the log and in its folders, each from the log's own folder on."""

    def checkpoint(self) -> bytes | None:
        """The checkpoint as published; ``None`` when there is none. Raises `VerificationFailed` when it cannot be read."""
        return self.read(CHECKPOINT, MAX_BYTES)

    def hashes(self, tile: Tile) -> bytes:
        """The hashes of a tile (a `retention.tiles.Read`). Raises `VerificationFailed` when they are not all there."""
        size = tile.width * HASH_BYTES
        data = self._tile(tile, WIDTH * HASH_BYTES)[:size]
        if len(data) != size:
            raise VerificationFailed(f"{tile.path} of the log was cut")
        return data

    def entries(self, tile: Tile) -> list[bytes]:
        """The entries of a bundle. Raises `VerificationFailed` when they are not all there."""
        found = unbundle(self._tile(tile, MAX_BUNDLE))[: tile.width]
        if len(found) != tile.width:
            raise VerificationFailed(f"{tile.path} of the log was cut")
        return found

    def stamp_after(self, index: int) -> tuple[bytes, bytes] | None:
        """The first stamped checkpoint with an entry in it, and its time stamp: the earlier, the more it says."""
        for size in self.stamped():
            if size > index:
                note = self.read(f"{STAMPS}/{size}.checkpoint", MAX_BYTES)
                stamp = self.read(f"{STAMPS}/{size}.tsr", MAX_STAMP)
                return None if note is None or stamp is None else (note, stamp)
        return None

    def stamped(self) -> list[int]:
        """The sizes that the log had when it was stamped."""
        sizes = [
            name.removeprefix(f"{STAMPS}/").removesuffix(".tsr")
            for name in self.names(STAMPS)
            if name.endswith(".tsr")
        ]
        return sorted(int(size) for size in sizes if size.isascii() and size.isdigit() and len(size) < 16)

    def _tile(self, tile: Tile, limit: int) -> bytes:
        """The file of the tile, or of the whole one that took its place."""
        for width in dict.fromkeys((tile.width, WIDTH)):
            data = self.read(Tile(level=tile.level, index=tile.index, width=width).path, limit)
            if data is not None:
                return data
        raise VerificationFailed(f"{tile.path} of the log is missing")


@dataclass(frozen=True)
class LogFolder(LogFiles):
    """A log below ``folder``."""

    folder: Path

    def read(self, name: str, limit: int) -> bytes | None:
        try:
            with (self.folder / name).open("rb") as file:
                data = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            raise VerificationFailed(f"{name} of the log cannot be read") from None
        if len(data) > limit:
            raise VerificationFailed(f"{name} of the log is too large")
        return data

    def names(self, below: str) -> list[str]:
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in (self.folder / below).rglob("*")
            if path.is_file()
        )
