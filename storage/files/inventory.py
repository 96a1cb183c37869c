"""Every folder of a file store that has files directly in it, with their number: names of folders, never of files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from retention.coverage import Place
from storage.files.lines import to_text
from storage.files.row_vault import NAMING, TAKEN
from storage.files.tree import Tree, join
from storage.files.vault import INDEX, MARK, UNFINISHED

_ABOVE_COPIES = 2
"""Folders above that of a location in a vault: its store and its record type."""
_OWN = frozenset({INDEX, MARK, NAMING, TAKEN})


def inventory(root: Path) -> Iterator[Place]:
    """Outer folders before inner ones. In a vault no copy is counted: how many there are tells of holds that may be sealed. What cannot be entered (links, other file systems) is another store's, or a survey's finding.

    Raises `StoreUnavailable` when the root is not there.
    """
    own = (root / MARK).exists()
    with Tree(root, "") as tree:
        for visit in tree.walk(lambda path: own and _is_shut(path), lambda bar: None):
            if own and visit.path.count("/") == _ABOVE_COPIES - 1:
                for entry in visit.entries:
                    if entry.kind == "d":
                        yield Place(kind="folder", names=(to_text(join(visit.path, entry.name)),), items=1)
            files = [entry.name for entry in visit.entries if entry.kind != "d"]
            if own and not visit.path:
                files = [name for name in files if name not in _OWN]
            if files:
                yield Place(
                    kind="folder", names=(to_text(visit.path) if visit.path else "",), items=len(files)
                )


def _is_shut(path: str) -> bool:
    """Whether a folder of a vault is not gone into."""
    return path == UNFINISHED or path.count("/") == _ABOVE_COPIES
