"""Where exports lie, as the registry looks at them: files below a location's folder, or objects below its prefix.

What is at a key of a bucket is its newest version: the older ones are what was replaced. One that is hidden behind a delete marker
still lies there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Protocol, Self

from storage.exports.describing import identity_of
from storage.exports.sidecar import LARGEST
from storage.files.facts import SIDECAR, Found, found
from storage.files.folder import look
from storage.files.tree import Tree, join, split
from storage.rows.opening import PARTIAL, opened
from storage.s3.content import open_version
from storage.s3.items import data_versions, is_nameable, nanoseconds
from storage.s3.listing import Entry, at
from storage.s3.locks import CANARY
from storage.s3.sheet import Sheet
from storage.s3.wire import Wire


class State(NamedTuple):
    """What a place shows without opening it. ``identity``: what changes whenever it is written again."""

    identity: tuple[int, int, int]
    modified: datetime


class Shelf(Protocol):
    """The exports of one location. Used as a context manager, by one look. Everything raises `StoreUnavailable`; looking at one
    export also `Barred` and ``OSError``."""

    def __iter__(self) -> Iterator[str]:
        """Paths below the location, without what is beside an export."""
        ...

    def is_whole(self) -> bool:
        """After a look: whether nothing kept us out, so that what was not given is not there."""
        ...

    def state(self, path: str) -> State | None:
        """``None`` for what is no export: a link, a thing that cannot be named."""
        ...

    def open(self, path: str) -> AbstractContextManager[BinaryIO]: ...

    def beside(self, path: str) -> bytes | None:
        """What lies beside an export and says what it is, one byte more than it may have at most; ``None``: nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FolderShelf:
    """``folder``: of the location, below the root of its store."""

    def __init__(self, root: Path, folder: str) -> None:
        self._root = root
        self._folder = folder
        self._bars: list[object] = []

    def __enter__(self) -> Self:
        self._tree = Tree(self._root, self._folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tree.close()

    def __iter__(self) -> Iterator[str]:
        for visit in self._tree.walk(lambda _path: False, self._bars.append):
            for entry in visit.entries:
                if (
                    entry.kind == "f"
                    and not entry.name.endswith(SIDECAR)
                    and not entry.name.startswith(PARTIAL)
                ):
                    yield join(visit.path, entry.name)

    def is_whole(self) -> bool:
        return not self._bars

    def state(self, path: str) -> State | None:
        status = look(self._tree, *split(path))
        if status is None or found(status).odd:
            return None
        return State(identity_of(status), moment_of(found(status)))

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        return opened(self._tree, path)

    def beside(self, path: str) -> bytes | None:
        folder, name = split(path)
        if look(self._tree, folder, name + SIDECAR) is None:
            return None
        with opened(self._tree, path + SIDECAR) as file:
            return file.read(LARGEST + 1)


class BucketShelf:
    """``prefix``: of the location, with that of its store. ``scratch``: a private folder for the listing."""

    def __init__(self, wire: Wire, prefix: str, scratch: Path) -> None:
        self._wire = wire
        self._prefix = prefix
        self._scratch = scratch
        self._seen: tuple[str, Entry] | None = None

    def __enter__(self) -> Self:
        self._sheet = Sheet(self._wire, self._prefix, self._scratch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sheet.close()

    def __iter__(self) -> Iterator[str]:
        for item in self._sheet:
            newest = _newest(item.entries)
            if newest is None or item.key.endswith((SIDECAR, "/")):
                continue
            if not newest.key.startswith(self._wire.address.prefix + CANARY):
                self._seen = item.key, newest
                yield item.key

    def find(self, path: str) -> bool:
        """Look for one export, outside a look. Whether it is there."""
        key = self._prefix + path
        newest = _newest(at(self._wire, [key], 1)[key])
        if newest is not None:
            self._seen = path, newest
        return newest is not None

    def is_whole(self) -> bool:
        return True

    def state(self, path: str) -> State | None:
        entry = self._entry(path)
        if not is_nameable(path):
            return None
        try:
            modified = nanoseconds(entry.modified)
        except ValueError:
            return None
        written = hashlib.blake2b(f"{entry.version}\0{entry.etag}".encode(), digest_size=7).digest()
        return State((int.from_bytes(written), entry.size, modified), _moment(modified))

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        return closing(open_version(self._wire, self._entry(path)))

    def beside(self, path: str) -> bytes | None:
        key = self._prefix + path + SIDECAR
        newest = _newest(at(self._wire, [key], 1)[key])
        if newest is None:
            return None
        with open_version(self._wire, newest) as file:
            return file.read(LARGEST + 1)

    def _entry(self, path: str) -> Entry:
        assert self._seen is not None, "not the last one given"
        assert self._seen[0] == path, "not the last one given"
        return self._seen[1]


def moment_of(it: Found) -> datetime:
    return _moment(it.modified or 0)


def _newest(entries: Iterable[Entry]) -> Entry | None:
    versions = data_versions(entries)
    return max(versions, key=lambda entry: (entry.latest, entry.modified), default=None)


def _moment(nanoseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)
