"""Opening a sealed file again: whole or in part, in portions, without the plaintext ever lying anywhere but where it is asked for.

Three different things can keep it from opening, and each has its own error: its key was destroyed (`KeyDestroyed`), the file or the
key is not what it was (`SealedUnreadable`, `KeyUnreadable`), or something is not there now (`StoreUnavailable` and its kin).
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from retention.errors import SealedUnreadable, StoreUnavailable, UsageError
from retention.schedule import TreeLocation
from storage.files.sealed_name import read_name
from storage.files.tree import Bar, Barred, Tree, unavailable
from storage.keys.keyring import CACHE_SECONDS
from storage.keys.keystore import KeyStore
from storage.sealed.stream import FULL, SealedReader, fill

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def find(tree: Tree, location: TreeLocation, id: str) -> tuple[str, str]:
    """Folder and name of the sealed file of an object, wherever below the location it lies. Raises `StoreUnavailable`, `UsageError`."""
    bars: list[Bar] = []
    for visit in tree.walk(lambda _: False, bars.append):
        for entry in visit.entries:
            name = read_name(entry.name) if entry.kind == "f" else None
            if name is not None and name.id == id and name.whole:
                return visit.path, entry.name
    if bars:
        raise StoreUnavailable(
            "folders of the location cannot be entered, and the sealed file may lie in one of them",
            "give the program's user the rights to read and enter them",
        )
    raise UsageError(
        f"no sealed file of object {id} lies at location {location.name}",
        "it was moved or removed: give its path instead of its id, for instance from a backup",
    )


def open_in_store(root: Path, location: TreeLocation, id: str) -> io.FileIO:
    """The sealed file of an object. Raises `StoreUnavailable`, `UsageError`."""
    with Tree(root, location.path) as tree:
        folder, name = find(tree, location, id)
        return open_below(tree, folder, name)


def open_path(path: Path) -> tuple[str, io.FileIO]:
    """Object id and file of a sealed file given by its path. Raises `UsageError`."""
    name = read_name(path.name)
    if name is None:
        raise UsageError(
            "this is not called like a sealed file", "its name ends with the object's id and .sealed"
        )
    try:
        return name.id, io.FileIO(os.open(path, _READ), "rb")
    except OSError as error:
        raise UsageError(
            f"the sealed file cannot be read: {error.strerror}", "see its path and rights"
        ) from None


def read(
    file: io.FileIO, keys: KeyStore, id: str, *, start: int = 0, end: int | None = None
) -> Iterator[memoryview]:
    """The plaintext from byte ``start`` to before ``end``, in portions; each is valid until the next one is asked for. Closes the file.

    The key is asked for again after `CACHE_SECONDS`, so that what is destroyed meanwhile stops being handed out.
    Raises `KeyDestroyed`, `KeyUnreadable`, `SealedUnreadable`, `StoreUnavailable`, and `UsageError` for a range outside the file.
    """
    portion = memoryview(bytearray(FULL))
    reader: SealedReader | None = None
    try:
        reader = _reader(file, keys, id)
        deadline = time.monotonic() + CACHE_SECONDS
        until = reader.size if end is None else end
        if start > until or until > reader.size:
            raise UsageError(f"the object has {reader.size} bytes", "give a range within it")
        reader.seek(start)
        while start < until:
            if time.monotonic() > deadline:
                reader.close()
                reader = _reader(file, keys, id)
                reader.seek(start)
                deadline = time.monotonic() + CACHE_SECONDS
            count = fill(reader, portion[: min(FULL, until - start)])
            if not count:
                raise SealedUnreadable("the sealed file became shorter while it was read", "read it again")
            yield portion[:count]
            start += count
    except OSError as error:
        raise unavailable(error.errno, "the sealed file") from None
    finally:
        portion[:] = bytes(FULL)
        if reader is not None:
            reader.close()
        file.close()


def require_outside(path: Path, roots: Callable[[], Iterator[Path]]) -> None:
    """Raises `UsageError` when the plaintext would come to lie in a folder that the schedule governs: nobody sealed it there."""
    above = path.absolute().parent.resolve()
    for root in roots():
        if above.is_relative_to(root.resolve()):
            raise UsageError(
                "the plaintext of a sealed record is not written into a store",
                "choose a folder outside of all stores, and remove the file when it has served",
            )


def _reader(file: io.FileIO, keys: KeyStore, id: str) -> SealedReader:
    with keys.key_of(id) as key:
        return SealedReader(_Shared(file), key=key.reveal(), associated=id.encode())


class _Shared(io.RawIOBase):
    """A file that outlives its reader."""

    def __init__(self, file: io.FileIO) -> None:
        super().__init__()
        self._file = file

    def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]  # as in `SealedReader`
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)


def open_below(tree: Tree, folder: str, name: str) -> io.FileIO:
    """Open a file for reading, no link followed. Raises `StoreUnavailable`."""
    try:
        return io.FileIO(os.open(name, _READ, dir_fd=tree.open(folder)), "rb")
    except Barred as barred:
        raise StoreUnavailable(f"the folder of the sealed file is {barred.bar}", "try again") from None
    except OSError as error:
        raise unavailable(error.errno, "the sealed file") from None
