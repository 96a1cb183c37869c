"""Sealing one file: the steps, in the order in which a power cut between any two of them loses nothing.

1. the plaintext is opened without following a link, and is still the file that was surveyed
2. a data key is made; the registry has the object as *sealing*, which counts nowhere
3. the sealed copy is written under a temporary name that is new, readable by its owner only, with the plaintext's times; fsync
4. it takes its name; the folder is synchronised
5. it is read back whole from the disk, with the key as the key store gives it back, and compared with the plaintext byte for byte
6. the plaintext has not changed: same inode, size, modification and change time
7. the registry has the object as *sealed*
8. the plaintext has not changed still; it is unlinked, the folder synchronised, and it is looked for again

Whatever fails before step 7 takes the sealed copy and the key away again and leaves the plaintext. Step 8 is no destruction in the
sense of the choke point: nothing of the record is lost, it lives on in the copy that was just read back, under the same holds.
That is why this module may unlink, and why it unlinks nothing but the file whose content it has compared.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import NamedTuple

from retention.errors import KeyDestroyed, Refused, RetentionError, SealedUnreadable, StoreUnavailable
from retention.records import Record
from storage.files.facts import Found
from storage.files.folder import is_same, look
from storage.files.lines import Identity
from storage.files.sealed_name import sealed_name
from storage.files.tree import Barred, Tree, oddity, split, unavailable
from storage.keys.keystore import KeyStore
from storage.keys.values import Facts
from storage.sealed.stream import Seekable, Source, fill, pieces, seal

CHANGED = "changed while it was sealed"
EXPIRED = "its expiry period was destroyed while it was sealed"
DAMAGED = "the sealed copy could not be read back"
GONE = "gone before it was sealed"

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class NotSealed(Exception):
    """This file stays as it is; the next one may be sealed. ``why``: words without data."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Seen(NamedTuple):
    """What must not change about a plaintext while it is sealed."""

    inode: int
    device: int
    size: int
    modified: int
    changed: int


class Bench:
    """Where files of one location are sealed. ``pulse``: called often while data moves; may raise to stop (a lease was lost)."""

    def __init__(
        self, tree: Tree, keys: KeyStore, now: Callable[[], datetime], pulse: Callable[[], object]
    ) -> None:
        self.tree = tree
        self.keys = keys
        self.now = now
        self.pulse = pulse

    def seal(self, path: str, it: Found, facts: Facts, period: str) -> int:
        """All steps for one file. Returns the bytes of plaintext. Raises `NotSealed`, `StoreUnavailable`."""
        with disk():
            return self._seal(path, it.identity, facts, period)

    def finish(self, path: str, id: str) -> None:
        """Steps 5 to 8 for a sealed copy that lies beside its plaintext at ``path``. Raises `NotSealed`, `StoreUnavailable`."""
        with disk(), self._plain(path, None) as (plain, before):
            self._prove(path, id, plain, before)
            self._unlink_plain(path, before)

    def remove(self, path: str, id: str) -> None:
        """Steps 5, 6 and 8 for a sealed copy that is registered as sealed already. Raises `NotSealed`, `StoreUnavailable`."""
        with disk(), self._plain(path, None) as (plain, before):
            self.compare(path, id, plain)
            self._unlink_plain(path, before)

    def take_away(self, path: str, id: str) -> None:
        """Remove a sealed copy that does not count, and its key. The plaintext, if there is one, stays.

        The key goes first: while the key store cannot be asked, the copy stays and the next run looks at it again.
        """
        with disk():
            self.keys.abandon_sealing(id, at=self.now())
            folder, name = split(path)
            above = self.tree.open(folder)
            for whole in (False, True):
                try:
                    os.unlink(sealed_name(name, id, whole=whole), dir_fd=above)
                except FileNotFoundError:
                    continue
            os.fsync(above)

    def discard(self, path: str) -> None:
        """Remove a half-written copy whose key is gone."""
        with disk():
            folder, name = split(path)
            os.unlink(name, dir_fd=self.tree.open(folder))
            os.fsync(self.tree.open(folder))

    # -- the steps -----------------------------------------------------------------------------------------------------

    def _seal(self, path: str, identity: Identity, facts: Facts, period: str) -> int:
        with self._plain(path, identity) as (plain, before):  # 1
            new = self.keys.begin_sealing(facts, period=period, at=self.now())  # 2
            try:
                with new.key as key:
                    self.write(path, new.id, plain, before.modified, key.reveal())  # 3, 4
                self._prove(path, new.id, plain, before)  # 5 to 7
            except (NotSealed, RetentionError, OSError):
                with suppress(
                    RetentionError
                ):  # the first failure is the one to tell; the next run takes the rest away
                    self.take_away(path, new.id)
                raise
            self._unlink_plain(path, before)  # 8; from step 7 on the sealed copy is never taken away
            return before.size

    @contextmanager
    def _plain(self, path: str, identity: Identity | None) -> Iterator[tuple[io.FileIO, Seen]]:
        """Step 1. ``identity``: as surveyed."""
        folder, name = split(path)
        try:
            descriptor = os.open(name, _READ, dir_fd=self.tree.open(folder))
        except (Barred, FileNotFoundError):
            raise NotSealed(GONE) from None
        with io.FileIO(descriptor, "rb") as plain:
            status = os.fstat(descriptor)
            if oddity(status) or (identity is not None and not is_same(status, identity)):
                raise NotSealed(CHANGED)
            yield plain, _seen(status)

    def write(self, path: str, id: str, plain: Seekable, modified: int, key: bytearray) -> None:
        """Steps 3 and 4. ``modified``: nanoseconds since 1970, for the sealed file."""
        folder, name = split(path)
        above = self.tree.open(folder)
        temporary = sealed_name(name, id, whole=False)
        with io.FileIO(os.open(temporary, _NEW, 0o600, dir_fd=above), "r+b") as copy:
            seal(_Paced(plain, self.pulse), _Whole(copy), key=key, associated=id.encode())
            os.utime(copy.fileno(), ns=(modified, modified))
            os.fsync(copy.fileno())
            # What is read back is to come from the disk, not from what the kernel remembers of the writing.
            os.posix_fadvise(copy.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        os.rename(temporary, sealed_name(name, id), src_dir_fd=above, dst_dir_fd=above)
        os.fsync(above)

    def _prove(self, path: str, id: str, plain: io.FileIO, before: Seen) -> None:
        """Steps 5 to 7."""
        size, digest = self.compare(path, id, plain)
        self._require_unchanged(path, before)
        try:
            self.keys.finish_sealing(id, sealed_size=size, digest=digest, at=self.now())
        except KeyDestroyed:
            raise NotSealed(EXPIRED) from None

    def compare(self, path: str, id: str, plain: Seekable) -> tuple[int, str]:
        """Step 5. Returns size and SHA-256 of the sealed copy. Raises `NotSealed`."""
        folder, name = split(path)
        plain.seek(0)
        with (
            io.FileIO(os.open(sealed_name(name, id), _READ, dir_fd=self.tree.open(folder)), "rb") as copy,
            self.keys.key_of(id) as key,
        ):
            hashing = _Hashing(copy, self.pulse)
            try:
                for piece in pieces(hashing, key=key.reveal(), associated=id.encode()):
                    same = bytearray(len(piece))
                    if fill(plain, memoryview(same)) < len(piece) or same != piece:
                        raise NotSealed(CHANGED)
            except SealedUnreadable:
                raise NotSealed(DAMAGED) from None
            if fill(plain, memoryview(bytearray(1))):
                raise NotSealed(CHANGED)
            return hashing.size, hashing.digest

    def _require_unchanged(self, path: str, before: Seen) -> None:
        """Step 6, by name: another file may have taken it."""
        folder, name = split(path)
        try:
            status = look(self.tree, folder, name)
        except Barred:
            status = None
        if status is None or _seen(status) != before or oddity(status):
            raise NotSealed(CHANGED)

    def _unlink_plain(self, path: str, before: Seen) -> None:
        """Step 8."""
        folder, name = split(path)
        self.pulse()
        self._require_unchanged(path, before)
        os.unlink(name, dir_fd=self.tree.open(folder))
        os.fsync(self.tree.open(folder))
        if look(self.tree, folder, name) is not None:
            raise StoreUnavailable(
                "a plaintext is still there after it was unlinked",
                "see whether the disk or share is in order",
            )


def facts_of(record: Record, it: Found, *, seconds: float) -> Facts:
    """What the registry is told of a file. It was stored unencrypted at least since it was last written."""
    assert record.trigger is not None  # a file without one is not sealed
    written = datetime.fromtimestamp(it.touched / 1e9, UTC)
    return Facts(
        record_type=record.record_type,
        location=record.location,
        store=record.store,
        trigger=record.trigger,
        span=record.span,
        subject=record.subject,
        camera=record.camera,
        branch=record.branch,
        size=it.identity.size,
        seconds=seconds,
        plaintext_since=written,
    )


@contextmanager
def disk() -> Iterator[None]:
    """System errors as ours, which quote no path."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreUnavailable(
                "the disk of the store is full; no plaintext was touched",
                "sealing needs as much free space as the largest file; nothing is lost, run it again",
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Refused(
                f"the store cannot be written to: {errno.errorcode[error.errno]}; no plaintext was touched",
                "give the program's user the rights to read, write and enter the folder",
            ) from None
        raise unavailable(error.errno, "the store") from None
    except Barred as barred:
        raise StoreUnavailable(
            f"a folder was exchanged while it was worked in: {barred.bar}", "run it again"
        ) from None


def _seen(status: os.stat_result) -> Seen:
    return Seen(status.st_ino, status.st_dev, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class _Paced:
    """A file that gives a sign of life with every read."""

    def __init__(self, file: Source, pulse: Callable[[], object]) -> None:
        self._file = file
        self._pulse = pulse

    def readinto(self, buffer: memoryview, /) -> int | None:
        self._pulse()
        return self._file.readinto(buffer)


class _Hashing(_Paced):
    """Digests what is read."""

    def __init__(self, file: Source, pulse: Callable[[], object]) -> None:
        super().__init__(file, pulse)
        self._sha = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return self._sha.hexdigest()

    def readinto(self, buffer: memoryview, /) -> int | None:
        count = super().readinto(buffer)
        if count:
            self._sha.update(buffer[:count])
            self.size += count
        return count


class _Whole:
    """Writes all it is given: a system call may take less."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def write(self, data: memoryview, /) -> None:
        while data:
            data = data[self._file.write(data) :]
