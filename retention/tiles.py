"""Tiles of a transparency log (C2SP tlog-tiles): where each lies, what stands in it, and what is computed from them.

A tile of level L holds up to 256 hashes, each over 256**L entries. Everything here takes tiles from a function and gives
bytes back; files are `storage.log`'s. Refuses nothing: whoever computes a root compares it with a signed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from retention.errors import UsageError, VerificationFailed
from retention.tree import HASH_BYTES, Root, node, perfect, root, split

WIDTH = 256
MAX_ENTRY = 65_535
MAX_BUNDLE = WIDTH * (MAX_ENTRY + 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """``level``: 0 and up, or ``None`` for a bundle of entries. ``width``: how many it holds, 1 to 256."""

    level: int | None
    index: int
    width: int

    @property
    def path(self) -> str:
        """Below the log's folder: ``tile/0/x001/067.p/5``."""
        first, *rest = _thousands(self.index)
        number = "/".join([*(f"x{part:03}" for part in rest[::-1]), f"{first:03}"])
        level = "entries" if self.level is None else str(self.level)
        return f"tile/{level}/{number}" + ("" if self.width == WIDTH else f".p/{self.width}")


Read = Callable[[Tile], bytes]
"""Gives the hashes of a tile, as many as its width says. Raises `VerificationFailed` when it is not there or not whole."""


def _thousands(number: int) -> list[int]:
    parts = [number % 1000]
    while number := number // 1000:
        parts.append(number % 1000)
    return parts


def entry_hash(entry: bytes) -> bytes:
    """The leaf hash of an entry (RFC 6962 §2.1)."""
    return sha256(b"\x00" + entry).digest()


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries as they stand in a bundle, each after its length. Raises `UsageError` for one that is too long or empty."""
    parts = []
    for entry in entries:
        if not 1 <= len(entry) <= MAX_ENTRY:
            raise UsageError(f"an entry of the log has 1 to {MAX_ENTRY:,} bytes")
        parts.append(len(entry).to_bytes(2, "big") + entry)
    return b"".join(parts)


def unbundle(data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises `VerificationFailed` when it was cut or has a rest."""
    entries, at = [], 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data) or at <= start:
            raise VerificationFailed("a bundle of entries was cut")
        entries.append(data[start:at])
    if len(entries) > WIDTH:
        raise VerificationFailed("a bundle holds more entries than a tile has hashes")
    return entries


def grown(read: Read, old: int, hashes: list[bytes]) -> Iterator[tuple[Tile, bytes]]:
    """The tiles to write when entries with these leaf hashes follow the first ``old`` ones. Lowest level first."""
    level = 0
    while hashes:
        first, kept = divmod(old, WIDTH)
        row = hashes
        if kept:
            row = split(read(Tile(level=level, index=first, width=kept))) + hashes
        hashes = []
        for start in range(0, len(row), WIDTH):
            part = row[start : start + WIDTH]
            yield Tile(level=level, index=first + start // WIDTH, width=len(part)), b"".join(part)
            if len(part) == WIDTH:
                hashes.append(perfect(b"".join(part)))
        level, old = level + 1, old // WIDTH


def all_tiles(size: int) -> Iterator[Tile]:
    """Every tile of hashes of a log of that size."""
    level = 0
    while size:
        whole, rest = divmod(size, WIDTH)
        for index in range(whole):
            yield Tile(level=level, index=index, width=WIDTH)
        if rest:
            yield Tile(level=level, index=whole, width=rest)
        level, size = level + 1, whole


def bundles(size: int) -> Iterator[Tile]:
    """Every bundle of entries of a log of that size."""
    for tile in all_tiles(size):
        if tile.level:
            return
        yield Tile(level=None, index=tile.index, width=tile.width)


class Hashes:
    """Computes from tiles of a log of one size. Each tile is asked for once."""

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self._size = size
        self._rows: dict[tuple[int, int], list[bytes]] = {}

    def leaf(self, index: int) -> bytes:
        """The leaf hash of an entry."""
        if not 0 <= index < self._size:
            raise UsageError("there is no such entry in the log")
        return self._row(0, index // WIDTH)[index % WIDTH]

    def root(self, size: int | None = None) -> Root:
        """The root over the first ``size`` entries."""
        size = self._size if size is None else size
        return Root(size, self._over(0, size)) if size else root([])

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        """The path of an entry to the root (RFC 9162 §2.1.3.1), lowest sibling first."""
        if not 0 <= index < self._size:
            raise UsageError("there is no such entry in the log")
        path, start, end = [], 0, self._size
        while end - start > 1:
            middle = start + below(end - start)
            if index < middle:
                path.append(self._over(middle, end))
                end = middle
            else:
                path.append(self._over(start, middle))
                start = middle
        return tuple(reversed(path))

    def consistency(self, old: int) -> tuple[bytes, ...]:
        """That the first ``old`` entries are where they were (RFC 9162 §2.1.4.1). Empty for none and for all."""
        if not 0 <= old <= self._size:
            raise UsageError("the older checkpoint has more entries than the log")
        if old in (0, self._size):
            return ()
        path, start, end, whole = [], 0, self._size, True
        while end != old:
            middle = start + below(end - start)
            if old <= middle:
                path.append(self._over(middle, end))
                end = middle
            else:
                path.append(self._over(start, middle))
                start, whole = middle, False
        if not whole:
            path.append(self._over(start, end))
        return tuple(reversed(path))

    def _over(self, start: int, end: int) -> bytes:
        """The hash over a range that begins where a subtree of its height may begin."""
        count = end - start
        if count & (count - 1) == 0:
            return self._perfect(count.bit_length() - 1, start // count)
        middle = start + below(count)
        return node(self._over(start, middle), self._over(middle, end))

    def _perfect(self, height: int, index: int) -> bytes:
        level, above = divmod(height, 8)
        first = index << above
        row = self._row(level, first // WIDTH)
        part = row[first % WIDTH : first % WIDTH + (1 << above)]
        return perfect(b"".join(part))

    def _row(self, level: int, index: int) -> list[bytes]:
        if (level, index) not in self._rows:
            width = min(WIDTH, (self._size >> (8 * level)) - index * WIDTH)
            data = self._read(Tile(level=level, index=index, width=width))
            if len(data) != width * HASH_BYTES:
                raise VerificationFailed("a tile of the log was cut")
            self._rows[level, index] = split(data)
        return self._rows[level, index]


def below(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << (count - 1).bit_length() - 1
