"""The files of a transparency log in a folder, read within bounds. The one place in this room that opens files beside the
command of `retention.verify`: an auditor's machine has nothing else. Writes nothing.
"""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class LogFiles:
    """A log below ``folder``."""

    folder: Path

    def checkpoint(self) -> bytes | None:
        """The checkpoint as published; ``None`` when there is none. Raises `VerificationFailed` when it cannot be read."""
        return self._read(CHECKPOINT, MAX_BYTES)

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
        folder = self.folder / STAMPS
        names = [path.stem for path in folder.glob("*.tsr")] if folder.is_dir() else []
        for size in sorted(
            int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 16
        ):
            if size > index:
                note = self._read(f"{STAMPS}/{size}.checkpoint", MAX_BYTES)
                stamp = self._read(f"{STAMPS}/{size}.tsr", MAX_STAMP)
                return None if note is None or stamp is None else (note, stamp)
        return None

    def _tile(self, tile: Tile, limit: int) -> bytes:
        """The file of the tile, or of the whole one that took its place."""
        for width in dict.fromkeys((tile.width, WIDTH)):
            data = self._read(Tile(level=tile.level, index=tile.index, width=width).path, limit)
            if data is not None:
                return data
        raise VerificationFailed(f"{tile.path} of the log is missing")

    def _read(self, name: str, limit: int) -> bytes | None:
        try:
            with (self.folder / name).open("rb") as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            return None
        except OSError:
            raise VerificationFailed(f"{name} of the log cannot be read") from None
        if len(data) > limit:
            raise VerificationFailed(f"{name} of the log is too large")
        return data
