"""The transparency log's files: appended under a lock, in the order of the ledger's rows, the checkpoint last.

The files follow from the rows, byte for byte. So a killed writer is finished by the next one, and a torn file is made again.
Refuses to publish a checkpoint that does not continue the last one: when the ledger is behind the log (it was restored from a
backup) or disagrees with it, nothing is written and `VerificationFailed` says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from retention.checkpoint import Checkpoint, Opened, open_checkpoint, sign
from retention.errors import Unavailable, VerificationFailed
from retention.log_files import CHECKPOINT
from retention.logged import entry_of
from retention.note import MAX_BYTES, NoteKey, NoteSignature
from retention.note import read as read_note
from retention.signing import Signer
from retention.tiles import WIDTH, Hashes, Tile, all_tiles, bundle, bundles, entry_hash, grown
from retention.tree import HASH_BYTES, Root, Tree, root, split
from storage.ledger.ledger import Ledger
from storage.log_places import LogPlace

PATIENCE = 20.0
"""Seconds to wait for another writer."""
TURN = 0x52_45_54_4C_4F_47
"""Advisory lock of the log's writer on PostgreSQL ("RETLOG")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """``appended``: entries added now. ``repaired``: files that were torn or missing and were made again."""

    opened: Opened | None
    appended: int = 0
    repaired: bool = False


class Log:
    """``place``: where the log is published. ``key``: its name and public key; ``signer`` signs as that.

    Whoever writes has the ledger's turn, so that no second one does, on whatever machine; the place need not know of locks.
    """

    def __init__(self, *, place: LogPlace, ledger: Ledger, key: NoteKey, signer: Signer) -> None:
        self.files = place
        self.key = key
        self._ledger = ledger
        self._signer = signer

    def opened(self, witnesses: Iterable[NoteKey] = ()) -> Opened | None:
        """The published checkpoint, its signature checked, and those of ``witnesses``; ``None`` while there is none.

        Raises `VerificationFailed`."""
        data = self.files.checkpoint()
        return None if data is None else open_checkpoint(data, [self.key], witnesses)

    def put_below(self, opened: Opened, signature: NoteSignature) -> bool:
        """Put a witness's signature below the checkpoint. False when another one has been published meanwhile."""
        with self._alone():
            there = self.files.read(CHECKPOINT, MAX_BYTES)
            if there is None or (note := read_note(there)).text != opened.note.text:
                return False
            others = [
                one for one in note.signatures if (one.name, one.hash) != (signature.name, signature.hash)
            ]
            self.files.replace(CHECKPOINT, replace(note, signatures=(*others, signature)).encode(), there)
            return True

    def publish(self, *, thorough: bool = False) -> Published:
        """Bring the files up to the ledger. ``thorough``: compare every file with the ledger, not the last ones only.

        Raises `VerificationFailed` when the log would have to go back, `Unavailable` when the disk fails or another
        writer does not finish. May be called again after any failure.
        """
        with self._alone():
            size = self._ledger.log.size()
            there = self.files.read(CHECKPOINT, MAX_BYTES)
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
                self.files.replace(CHECKPOINT, note, there)
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
        shown = set(self.files.names("tile/0"))
        most = max(map(_entries_shown, shown), default=0)
        if most == 0:
            return None, False
        if most > size:
            raise VerificationFailed(
                "the log's checkpoint is damaged, and the ledger has fewer entries than the log's files",
                "restore the ledger's newer backup; see docs/log.md",
            )
        for tile, entries in self._rows(0, size):
            hashes = b"".join(map(entry_hash, entries))
            for width in range(1, WIDTH + 1):
                name = Tile(level=0, index=tile.index, width=width).path
                if name in shown and not hashes.startswith(self._head(name, width * 32)):
                    raise _forked()
        return None, True

    def _head(self, name: str, size: int) -> bytes:
        return (self.files.read(name, WIDTH * HASH_BYTES) or b"")[:size]

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
        self.files.write(tile.path, data)
        if tile.width == WIDTH:
            self.files.drop(f"{tile.path}.p")

    def _alone(self) -> AbstractContextManager[None]:
        """One writer at a time."""
        busy = Unavailable("another run is writing the log", "run it again")
        return self._ledger.connection.alone("log-turn", TURN, busy, patience=PATIENCE)


def _entries_shown(name: str) -> int:
    """How many entries a log had at least that has this tile of hashes; 0 for what is no tile."""
    *parts, last = name.split("/")[2:]
    partial = bool(parts) and parts[-1].endswith(".p")
    digits = "".join(
        part.removeprefix("x").removesuffix(".p") for part in (parts if partial else [*parts, last])
    )
    if not (digits.isascii() and digits.isdigit() and last.removeprefix("x").isdigit()):
        return 0
    return int(digits) * WIDTH + (int(last) if partial else WIDTH)


def _forked() -> VerificationFailed:
    return VerificationFailed(
        "the ledger and the published log disagree: one of the two was altered",
        "compare both with their backups; see docs/log.md",
    )
