"""What a scan looks at: files below folders, and the current versions of objects in buckets, one by one in a stable order.

It follows no link and enters no other file system unless it is named. Of a bucket it says how much it does not look at: older versions,
what is hidden behind a delete marker, and uploads that were never finished.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from retention.errors import UsageError
from storage.s3.content import open_version
from storage.s3.items import NOT_UTF8, is_nameable, shown
from storage.s3.listing import MARKER, UPLOAD, walk
from storage.s3.locks import CANARY
from storage.s3.wire import Wire

SCHEME = "s3://"
OLDER = "in a bucket: an older version, or hidden behind a delete marker"
UNFINISHED = "in a bucket: an upload that was never finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lying:
    """A file or object. ``name``: its path, or ``s3://bucket/key``. ``identity``: what changes when it does.

    ``open`` raises ``OSError``, `StoreUnavailable`.
    """

    name: str
    size: int
    identity: tuple[int | str, ...]
    open: Callable[[], BinaryIO]


def in_folders(
    places: Iterable[Path], unread: dict[str, int], leave_out: Path | None = None
) -> Iterator[Lying]:
    """Plain files, each once however often its place is named. Raises `UsageError` for a place that is not there."""
    without = None if leave_out is None else leave_out.resolve()
    for path, status in _walk(places, unread):
        if without is None or not path.resolve().is_relative_to(without):
            yield Lying(
                name=str(path), size=status.st_size, identity=(status.st_ino, status.st_size, status.st_mtime_ns),
                open=partial(_open, path),
            )  # fmt: skip


def in_bucket(wire: Wire, unread: dict[str, int]) -> Iterator[Lying]:
    """What a reader of the bucket gets: the current version of each key below the address's prefix. Raises `StoreUnavailable`."""
    canaries = wire.address.prefix + CANARY
    for entries in walk(wire, wire.address.prefix):
        for entry in entries:
            if entry.kind == UPLOAD or not entry.latest:
                reason = UNFINISHED if entry.kind == UPLOAD else OLDER
                unread[reason] = unread.get(reason, 0) + 1
            elif not is_nameable(entry.key):
                unread[NOT_UTF8] = unread.get(NOT_UTF8, 0) + 1
            elif entry.kind != MARKER and not entry.key.startswith(canaries):
                yield Lying(
                    name=f"{SCHEME}{wire.bucket}/{shown(entry.key)}", size=entry.size,
                    identity=(entry.version, entry.etag, entry.size, entry.modified), open=partial(open_version, wire, entry),
                )  # fmt: skip


def _open(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb")


def _walk(places: Iterable[Path], unread: dict[str, int]) -> Iterator[tuple[Path, os.stat_result]]:
    """Plain files, in a stable order, each once however often its place is named."""
    seen: set[tuple[int, int]] = set()

    def denied(error: OSError) -> None:
        reason = f"a folder: {os.strerror(error.errno or 0).lower()}"
        unread[reason] = unread.get(reason, 0) + 1

    for number, place in enumerate(places, start=1):
        try:
            top = place.stat()
        except OSError as error:
            raise UsageError(
                f"place {number} to scan is not there: {os.strerror(error.errno or 0)}",
                "name a file, a folder, a store of kind s3, or s3://bucket/prefix",
            ) from None
        if stat.S_ISREG(top.st_mode):
            yield place, top
            continue
        for folder, folders, names in os.walk(place, onerror=denied):
            folders[:] = sorted(name for name in folders if _same_device(Path(folder) / name, top.st_dev))
            for name in sorted(names):
                path = Path(folder) / name
                try:
                    status = path.lstat()
                except OSError:
                    continue  # gone meanwhile
                key = (status.st_dev, status.st_ino)
                if stat.S_ISREG(status.st_mode) and key not in seen:
                    seen.add(key)
                    yield path, status


def _same_device(path: Path, device: int) -> bool:
    try:
        return path.lstat().st_dev == device
    except OSError:
        return False
