"""The evidence vault: copies of held footage, outside every recorder's root.

A recorder keeps no promise about a file: when its disk fills it truncates or deletes protected clips too, and a hard link ends with
zero bytes (measured). So what a hold keeps is copied out at once: a reflink where the file system can, else byte by byte; read
back and compared by digest; made to last; then named in the vault's index. In the schedule the vault is a location of the same
record type, so holds keep the copies as they keep the originals, and after the last release they go by the same rule, through the
same choke point.

It never writes into a vault that was not made as one (an unmounted disk is an empty folder), never replaces a copy, never touches
the original.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retention.decide import Criteria, holds_on
from retention.errors import StoreUnavailable
from retention.holds import Hold
from retention.schedule import TreeLocation
from storage.files.facts import GROWING, NEWEST, Sighting, tree_location
from storage.files.folder import take_inventory
from storage.files.lines import Identity, to_text
from storage.files.survey import Look, SealedFile, Stranger
from storage.files.tree import LOST, Barred, Tree, split, unavailable

MARK = ".retention-vault"
INDEX = "index.jsonl"
UNFINISHED = ".unfinished"
_CHUNK = 1024 * 1024
_FICLONE = 0x40049409
"""ioctl(2) that makes one file share another's extents; XFS, Btrfs and others have it, ext4 does not."""
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(kw_only=True)
class _Pass:
    """What one pass came to. ``waiting``: changed while they were copied. ``other``: the vault has another file of that name."""

    copied: int = 0
    waiting: int = 0
    other: int = 0


def make(root: Path, below: str) -> bool:
    """Make a vault, or the folder of one more location in it. False when both were there. Raises `StoreUnavailable`."""
    try:
        mark, folder = root / MARK, root / below
        if mark.exists() and folder.is_dir():
            return False
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for level in (*reversed(folder.relative_to(root).parents[:-1]), folder.relative_to(root)):
            (root / level).mkdir(exist_ok=True, mode=0o700)  # "parents" would give those above the usual mode
        mark.touch(mode=0o600)
        for place in (folder, root):
            synchronise(place)
    except OSError as error:
        raise unavailable(error.errno, "the vault") from None
    return True


def keep(
    criteria: Criteria, root: Path, holds: Sequence[Hold], *, vault: Path, below: str, now: datetime
) -> int:
    """Copy what these holds keep at the location into the vault at ``below``. Returns how many files were copied now.

    A file that is still being written is left for the next pass: there is one before every run, and one per hold placed.
    Raises `StoreUnavailable` when something held could not be copied: then it is kept in its place all the same.
    """
    if not holds:
        return 0
    done = _Pass()
    looking = Look(criteria, root, now, ())
    relevant = looking.facts.holds(holds)
    with opened(vault) as index, Tree(root, tree_location(criteria).path) as tree:
        for judged in looking:
            if isinstance(judged, Stranger | SealedFile) or _may_grow(
                judged.seen, tree_location(criteria), now
            ):
                continue
            if holds_on(looking.facts.record(judged.seen), criteria.location, relevant):
                for path, identity in _files(
                    tree, judged.seen, whole=tree_location(criteria).unit == "folder"
                ):
                    _keep_one(tree, path, identity, vault=vault, below=below, index=index, done=done)
    if done.waiting or done.other:
        raise _incomplete(done)
    return done.copied


@contextmanager
def opened(vault: Path) -> Iterator[int]:
    """The vault for one pass, alone: its index, to append to. What a killed pass left is swept. Raises `StoreUnavailable`."""
    if not (vault / MARK).exists():
        raise StoreUnavailable(
            "the vault is not there",
            "see whether its disk is mounted; a new one is made by: retention db upgrade",
        )
    with _index(vault) as index:
        _sweep(vault)
        yield index


def note_going(vault: Path, paths: Iterable[str]) -> None:
    """Say in the index that these copies (paths below the vault) go now, before they do: what is missing later was not lost.

    Waits for no pass: one write, at the end of the file. Raises `StoreUnavailable`.
    """
    lines = [_line({"path": to_text(path), "gone": True}) for path in paths]
    try:
        descriptor = os.open(vault / INDEX, APPEND, 0o600)
        try:
            os.write(descriptor, b"".join(lines))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unavailable(error.errno, "the vault") from None


def _may_grow(seen: Sighting, location: TreeLocation, now: datetime) -> bool:
    """The newest file of a camera may be the one being written, unless it was left alone for as long as a file can be long."""
    if seen.undecidable == NEWEST:
        left_alone = now - timedelta(seconds=max(location.settle, location.max_length))
        return datetime.fromtimestamp(seen.it.touched / 1e9, UTC) > left_alone
    return seen.undecidable == GROWING


def _files(tree: Tree, seen: Sighting, *, whole: bool) -> list[tuple[str, Identity]]:
    """The plain files of a record: itself, or everything in its event folder."""
    if not whole:
        return [(seen.path, seen.it.identity)]
    try:
        return list(take_inventory(tree, seen.path).files)
    except Barred:
        return []


def _keep_one(
    tree: Tree, path: str, identity: Identity, *, vault: Path, below: str, index: int, done: _Pass
) -> None:
    target = vault / below / path
    try:
        there = target.lstat()
    except FileNotFoundError:
        there = None
    except OSError as error:
        raise unavailable(error.errno, "the vault") from None
    if there is not None:
        same = (there.st_size, there.st_mtime_ns) == (identity.size, identity.stamp)
        done.other += not same
        return
    folder, name = split(path)
    try:
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=tree.open(folder))
    except FileNotFoundError:
        return
    except (OSError, Barred) as error:
        if isinstance(error, OSError) and error.errno in LOST:
            raise unavailable(error.errno, "the store") from None
        done.waiting += 1
        return
    try:
        digest = _copy(source, target, vault / UNFINISHED, identity)
    finally:
        os.close(source)
    if digest is None:
        done.waiting += 1
        return
    os.write(index, line_of(f"{below}/{path}", identity.size, digest))
    done.copied += 1


def line_of(path: str, size: int, digest: str) -> bytes:
    """What the index says of a copy. ``path``: below the vault; ``digest``: SHA-256 (hex)."""
    return _line({"path": to_text(path), "size": size, "sha256": digest})


def _line(said: dict[str, object]) -> bytes:
    return json.dumps(said, sort_keys=True).encode() + b"\n"


def _sweep(vault: Path) -> None:
    """Remove what a killed pass left half copied. Called with the index locked: no other pass is under way."""
    try:
        (vault / UNFINISHED).mkdir(exist_ok=True, mode=0o700)
        for left in (vault / UNFINISHED).iterdir():
            left.unlink()
    except OSError as error:
        raise unavailable(error.errno, "the vault") from None


def _copy(source: int, target: Path, unfinished: Path, identity: Identity) -> str | None:
    """A whole, durable, read-back copy under its final name; its SHA-256 (hex). ``None``: the source is no longer what was seen."""
    partial = unfinished / secrets.token_hex(8)
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy = os.open(partial, NEW, 0o600)
        try:
            written = _clone(source, copy)
            os.utime(copy, ns=(int(identity.stamp), int(identity.stamp)))
            os.fsync(copy)
            if not _unchanged(source, identity) or digest_of(copy) != (written or digest_of(source)):
                partial.unlink()
                return None
            digest = written or digest_of(copy)
        finally:
            os.close(copy)
        partial.rename(target)
        synchronise(target.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreUnavailable(
                "the vault's disk is full: what is held is not copied out, and stays where it is",
                "make room on the vault's disk",
            ) from None
        raise unavailable(error.errno, "the vault") from None
    return digest


def _clone(source: int, copy: int) -> str | None:
    """Fill the copy. Returns the digest of what was read, or ``None`` when the extents are shared and nothing was read."""
    try:
        fcntl.ioctl(copy, _FICLONE, source)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS):
            raise
    else:
        return None
    digest = hashlib.sha256()
    while chunk := os.read(source, _CHUNK):
        digest.update(chunk)
        left = memoryview(chunk)
        while left:
            left = left[os.write(copy, left) :]
    return digest.hexdigest()


def _unchanged(source: int, identity: Identity) -> bool:
    status = os.fstat(source)
    return (status.st_ino, status.st_dev, status.st_size, status.st_mtime_ns) == (
        identity.inode, identity.device, identity.size, identity.stamp,
    )  # fmt: skip


def digest_of(descriptor: int) -> str:
    """SHA-256 (hex) of what an open file holds."""
    digest, at = hashlib.sha256(), 0
    while chunk := os.pread(descriptor, _CHUNK, at):
        digest.update(chunk)
        at += len(chunk)
    return digest.hexdigest()


@contextmanager
def _index(vault: Path) -> Iterator[int]:
    """The list of everything ever copied, one JSON line each: path, size, SHA-256. Appended to only; locked, one pass at a time."""
    try:
        descriptor = os.open(vault / INDEX, APPEND, 0o600)
    except OSError as error:
        raise unavailable(error.errno, "the vault") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def synchronise(folder: Path) -> None:
    """Make the names in a folder outlive a power cut. Raises ``OSError``."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _incomplete(done: _Pass) -> StoreUnavailable:
    if done.other:
        return StoreUnavailable(
            f"the vault has {done.other} {'file' if done.other == 1 else 'files'} that differ from the held ones of the same name",
            "compare them by hand; move the vault's aside if the recorder wrote the name anew",
        )
    return StoreUnavailable(
        f"{done.waiting} held {'file' if done.waiting == 1 else 'files'} changed while being copied into the vault",
        "give the same command again",
    )
