"""Every folder of a file store that has files directly in it, with their number: names of folders, never of files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from retention.coverage import Place
from storage.files.lines import to_text
from storage.files.row_vault import NAMING, TAKEN
from storage.files.tree import Tree
from storage.files.vault import INDEX, MARK, UNFINISHED

_OWN = frozenset({INDEX, MARK, NAMING, TAKEN})


def inventory(root: Path) -> Iterator[Place]:
    """Outer folders before inner ones. What cannot be entered (links, other file systems) is another store's, or a survey's finding.

    Raises `StoreUnavailable` when the root is not there.
    """
    own = (root / MARK).exists()
    with Tree(root, "") as tree:
        for visit in tree.walk(lambda path: own and path == UNFINISHED, lambda bar: None):
            files = [entry.name for entry in visit.entries if entry.kind != "d"]
            if own and not visit.path:
                files = [name for name in files if name not in _OWN]
            if files:
                yield Place(
                    kind="folder", names=(to_text(visit.path) if visit.path else "",), items=len(files)
                )
