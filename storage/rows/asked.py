"""What the lines of a batch ask of each file: its rows by content, and by key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from storage.rows.lines import RowLine


@dataclass(slots=True)
class Asked:
    """One file. Indexes are those of the batch's lines."""

    path: str
    device: int
    digests: dict[str, list[int]] = field(default_factory=dict)
    """By digest: the same row may stand in a file twice."""
    keys: dict[str, list[int]] = field(default_factory=dict)

    @property
    def indexes(self) -> list[int]:
        return [index for indexes in self.digests.values() for index in indexes]

    @property
    def first_keys(self) -> frozenset[str]:
        """What the first key column of a wanted row may be. A joined key begins with it."""
        return frozenset(part for key in self.keys for part in (key, key.partition("|")[0]))


@dataclass(slots=True)
class Going:
    """What goes out of one file. ``rows``: place among the chosen, by content; ``places``: all its places among the chosen."""

    path: str
    rows: dict[bytes, int] = field(default_factory=dict)
    places: list[int] = field(default_factory=list)


def by_file(lines: Sequence[RowLine]) -> list[Asked]:
    files: dict[tuple[str, int], Asked] = {}
    for index, line in enumerate(lines):
        file = files.setdefault((line.path, line.device), Asked(line.path, line.device))
        file.digests.setdefault(line.digest, []).append(index)
        file.keys.setdefault(line.key, []).append(index)
    return list(files.values())


def going(chosen: Iterable[tuple[RowLine, bytes]]) -> list[Going]:
    """The chosen rows with their content, by file."""
    files: dict[str, Going] = {}
    for place, (line, raw) in enumerate(chosen):
        file = files.setdefault(line.path, Going(line.path))
        file.rows.setdefault(raw, place)
        file.places.append(place)
    return list(files.values())
