"""Where files of rows lie, as a look through their rows needs it: below a folder, or in a bucket (`storage.s3.row_shelf`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from retention.decide import Criteria
from storage.contract import Finding
from storage.files.facts import Register, Sighting
from storage.files.survey import Judged, Look, SealedFile, Stranger, findings_of
from storage.files.tree import Barred, Tree, split
from storage.rows.form import Row, Unreadable
from storage.rows.forms import open_form
from storage.rows.opening import PARTIAL, opened


class Shelf(Protocol):
    """Used as a context manager, by one look at a time. Everything raises `StoreUnavailable`."""

    def __iter__(self) -> Iterator[Sighting | Stranger]:
        """Every file, and what the layout does not recognise."""
        ...

    def rows(
        self, seen: Sighting, wanted: Sequence[str], keys: Collection[str] | None = None
    ) -> Iterator[Row]:
        """The rows of a file, the last that was given by ``__iter__`` or `sighting`. Raises `Unreadable` before the first of them.

        ``wanted``, ``keys``: as in `storage.rows.form.Form.rows`.
        """
        ...

    def locked(self, seen: Sighting) -> str:
        """Why the store itself keeps that file as it is, in words; ``""``: it does not. Asked only where a row is due."""
        ...

    def sighting(self, path: str) -> Sighting | None:
        """The file at a path; ``None`` when nothing is there."""
        ...

    def findings(self, location: str, strangers: int, oldest: int | None, links: int) -> Sequence[Finding]:
        """What a person has to know after a whole look. ``oldest``: modification of the oldest stranger, nanoseconds since 1970."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FolderShelf:
    """Files below a location's folder on a disk."""

    def __init__(
        self, criteria: Criteria, root: Path, now: datetime, register: Register, encoding: str
    ) -> None:
        self._look = Look(criteria, root, now, (), register=register)
        self._root = root
        self._encoding = encoding
        self._tree: Tree | None = None

    def __enter__(self) -> Self:
        self._tree = Tree(self._root, self._look.facts.location.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tree, self._tree = self._tree, None
        if tree is not None:
            tree.close()

    def __iter__(self) -> Iterator[Sighting | Stranger]:
        for judged in self._look:
            if isinstance(judged, Judged):
                yield judged.seen
            elif isinstance(judged, SealedFile):
                yield Stranger(path=judged.path, modified=None, link=False)  # nobody can ask it for a row
            elif not split(judged.path)[1].startswith(PARTIAL):
                yield judged

    def rows(
        self, seen: Sighting, wanted: Sequence[str], keys: Collection[str] | None = None
    ) -> Iterator[Row]:
        try:
            with opened(self._opened, seen.path) as file:
                form = open_form(seen.path, file, self._encoding)
                if keys is None:
                    form.look({})
                yield from form.rows(wanted, keys)
        except Barred as barred:
            raise Unreadable(f"it is {barred.bar}") from None

    def locked(self, seen: Sighting) -> str:
        return ""

    def sighting(self, path: str) -> Sighting | None:
        return self._look.sighting(self._opened, path)

    def findings(self, location: str, strangers: int, oldest: int | None, links: int) -> Sequence[Finding]:
        return findings_of(location, strangers=strangers, oldest=oldest, links=links, bars=self._look.bars)

    @property
    def _opened(self) -> Tree:
        assert self._tree is not None, "used outside its context"
        return self._tree
