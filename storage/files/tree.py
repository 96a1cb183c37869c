"""Walking below a root without ever being led out of it.

Folders are opened one component at a time, each relative to the one before, and never through a symbolic link: a folder that
somebody exchanges for a link between two looks is not followed. A folder on another mount is refused, by device number and by
mount id (a bind mount of the same file system keeps the device). No error of this module quotes a path.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from retention.errors import StoreUnavailable

FOLDERS_KEPT_OPEN = 128
MAX_DEPTH = 128
"""Folders nested deeper than this below a location are reported, not walked."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LOST = frozenset(
    {errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.ESHUTDOWN, errno.ETIMEDOUT, errno.EHOSTDOWN}
    | {errno.EREMOTEIO, errno.EBADF, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EUCLEAN, errno.ENOTRECOVERABLE}
)  # fmt: skip
"""Error numbers after which nothing more can be said about the disk or share: a stale handle, an input/output error."""


class Bar(StrEnum):
    """Why a folder was not opened; the values are words for a finding."""

    ABSENT = "absent"
    LINK = "a symbolic link or not a folder"
    MOUNT = "another file system mounted here"
    DENIED = "not readable"


_REMEDY = {
    Bar.ABSENT: "see whether the disk or share is mounted",
    Bar.LINK: "name the real folder in the schedule",
    Bar.MOUNT: "make the mounted folder the root of a store of its own",
    Bar.DENIED: "give the program's user the right to read and enter it",
}


class Barred(Exception):
    """A folder below the root is not to be entered."""

    def __init__(self, bar: Bar) -> None:
        super().__init__(bar)
        self.bar = bar


class Entry(NamedTuple):
    """A name in a folder. Sorted by inode: on ext4 that is the order in which looking and unlinking is fastest."""

    inode: int
    name: str
    kind: str
    """``f`` regular file, ``d`` folder, ``l`` symbolic link, ``o`` anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One folder on a walk: path below the location (``""`` = itself), and its entries."""

    path: str
    entries: list[Entry]


def unavailable(number: int | None, what: str = "the folder") -> StoreUnavailable:
    """The error for a system error number. Raise it ``from None``: the system's own error quotes the path."""
    name = errno.errorcode.get(number or 0, "unknown error")
    return StoreUnavailable(
        f"{what} cannot be read: {name}", "see whether the disk or share is mounted and readable"
    )


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def split(path: str) -> tuple[str, str]:
    """Folder and name of a relative path."""
    folder, _, name = path.rpartition("/")
    return folder, name


def open_root(root: Path) -> int:
    """A descriptor of the store's root. The root itself may be reached through links: it is the administrator's word.

    Raises `StoreUnavailable`.
    """
    try:
        return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else None
        raise unavailable(number, "the root of the store") from None


class Tree:
    """The folders of one location, opened on demand and kept open (up to `FOLDERS_KEPT_OPEN`). A context manager.

    ``device``: of the root; everything below must be on it. Not for use from several threads at once.
    """

    def __init__(self, root: Path, below: str) -> None:
        """Raises `StoreUnavailable` when the root or the location's folder is not there."""
        self._open: OrderedDict[str, int] = OrderedDict()
        self._top = open_root(root)
        try:
            self.device = os.fstat(self._top).st_dev
            self._mount = _mount_id(self._top)
            self._base = os.dup(self._top)
            for part in below.split("/") if below else ():
                inner = self._enter(self._base, part)
                os.close(self._base)
                self._base = inner
            self.inode = os.fstat(self._base).st_ino
        except Barred as barred:
            self.close()
            raise StoreUnavailable(
                f"the folder of the location is {barred.bar}", _REMEDY[barred.bar]
            ) from None
        except OSError as error:
            self.close()
            raise unavailable(error.errno) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every descriptor. May be called twice."""
        held = [*self._open.values(), *(getattr(self, name, -1) for name in ("_base", "_top"))]
        self._open.clear()
        self._base = self._top = -1
        for descriptor in held:
            if descriptor >= 0:
                os.close(descriptor)

    @property
    def top(self) -> int:
        """The root's own descriptor."""
        return self._top

    def open(self, path: str) -> int:
        """A descriptor of the folder at ``path`` below the location; it stays the tree's own and may be closed by a later call.

        Raises `Barred`, `StoreUnavailable`.
        """
        if not path:
            return self._base
        known = self._open.get(path)
        if known is not None:
            self._open.move_to_end(path)
            return known
        start, missing = self._nearest(path)
        descriptor = start
        try:
            for name in missing:
                inner = self._enter(descriptor, name)
                if descriptor != start:
                    os.close(descriptor)
                descriptor = inner
        except Barred:
            if descriptor != start:
                os.close(descriptor)
            raise
        self._open[path] = descriptor
        if len(self._open) > FOLDERS_KEPT_OPEN:
            os.close(self._open.popitem(last=False)[1])
        return descriptor

    def make_lasting(self, path: str) -> bool:
        """Write the folder's changes to the disk; where it is gone, those of the innermost folder above it. False: they may pass.

        Before that a power cut brings unlinked files back (measured on ext4 and xfs: 200 of 200, afterwards none).
        """
        while True:
            try:
                os.fsync(self.open(path))
            except Barred as barred:
                if barred.bar is not Bar.ABSENT:
                    return False
                path = split(path)[0]
            except (OSError, StoreUnavailable):
                return False
            else:
                return True

    def forget(self, path: str) -> None:
        """Close a folder that was removed."""
        descriptor = self._open.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)

    def _nearest(self, path: str) -> tuple[int, list[str]]:
        """The innermost open folder above ``path``, and the names from there on."""
        missing: list[str] = []
        while path:
            known = self._open.get(path)
            if known is not None:
                return known, missing
            path, name = split(path)
            missing.insert(0, name)
        return self._base, missing

    def _enter(self, above: int, name: str) -> int:
        if name in ("", ".", ".."):
            raise Barred(Bar.LINK)
        try:
            descriptor = os.open(name, _FOLDER, dir_fd=above)
        except OSError as error:
            raise barred_by(error.errno) from None
        except ValueError:  # a NUL in the name: no file can have it
            raise Barred(Bar.ABSENT) from None
        if os.fstat(descriptor).st_dev != self.device or _mount_id(descriptor) != self._mount:
            os.close(descriptor)
            raise Barred(Bar.MOUNT)
        return descriptor

    def list(self, path: str) -> list[Entry]:
        """The folder's entries by inode: a stable order. About 200 bytes of memory each. Raises as `open` does."""
        try:
            with os.scandir(self.open(path)) as found:
                entries = [Entry(entry.inode(), entry.name, _kind(entry)) for entry in found]
        except OSError as error:
            raise barred_by(error.errno) from None
        entries.sort()
        return entries

    def walk(self, is_leaf: Callable[[str], bool], barred: Callable[[Bar], object]) -> Iterator[Visit]:
        """Every folder below the location, outer before inner, by name. Folders that ``is_leaf`` are not entered.

        Folders that cannot be entered are told to ``barred`` and passed over; one that vanishes meanwhile is not an error.
        Raises `StoreUnavailable`.
        """
        waiting = [""]
        while waiting:
            path = waiting.pop()
            if path.count("/") >= MAX_DEPTH:
                barred(Bar.DENIED)
                continue
            try:
                entries = self.list(path)
            except Barred as found:
                if not path:
                    raise unavailable(errno.EACCES) from None
                if found.bar is not Bar.ABSENT:
                    barred(found.bar)
                continue
            yield Visit(path=path, entries=entries)
            inner = [join(path, entry.name) for entry in entries if entry.kind == "d"]
            waiting.extend(sorted((folder for folder in inner if not is_leaf(folder)), reverse=True))


def barred_by(number: int | None) -> Barred | StoreUnavailable:
    """What a system error on a folder means: a reason not to enter it, or that the disk does not answer."""
    if number in (errno.ENOENT, errno.ENAMETOOLONG):
        return Barred(Bar.ABSENT)
    if number in (errno.ELOOP, errno.ENOTDIR):
        return Barred(Bar.LINK)
    return unavailable(number) if number in LOST else Barred(Bar.DENIED)


def oddity(status: os.stat_result) -> str:
    """Why nothing can be decided on this kind of file, or ``""`` for a plain file with one name."""
    if stat.S_ISLNK(status.st_mode):
        return "a symbolic link: what it leads to is not here"
    if not stat.S_ISREG(status.st_mode):
        return "not a plain file"
    if status.st_nlink > 1:
        return "several hard links: other names keep the content alive"
    return ""


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "l"
    if entry.is_dir(follow_symlinks=False):
        return "d"
    return "f" if entry.is_file(follow_symlinks=False) else "o"


def _mount_id(descriptor: int) -> bytes:
    """The kernel's id of the mount that a descriptor lies in; empty where /proc is not mounted (then devices alone decide)."""
    try:
        facts = os.open(f"/proc/self/fdinfo/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return next(
                (line for line in os.read(facts, 512).split(b"\n") if line.startswith(b"mnt_id")), b""
            )
        finally:
            os.close(facts)
    except OSError:
        return b""
