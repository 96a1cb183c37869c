"""Removing ciphertext that nobody can read any more: sealed files whose key is destroyed.

Only what the key store says is destroyed, by the object's id in its name. A file with our suffix and an id that the key store does
not know is a stranger's, or the key store is the wrong one: it stays. No hold gate is needed: what a hold keeps has its key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from retention.decide import Criteria
from retention.errors import StoreUnavailable
from storage.files.facts import tree_location
from storage.files.folder import look
from storage.files.sealed_name import read_name
from storage.files.tree import LOST, Barred, Tree, oddity, unavailable

_AT_ONCE = 500


class _Found(NamedTuple):
    folder: str
    name: str
    id: str


def remove_unreadable(
    criteria: Criteria, root: Path, are_destroyed: Callable[[Sequence[str]], Sequence[bool]]
) -> int:
    """Remove them, and make that last. Returns how many went. Raises `StoreUnavailable`."""
    removed = 0
    with Tree(root, tree_location(criteria).path) as tree:
        waiting = _sealed_files(tree)
        while found := list(islice(waiting, _AT_ONCE)):
            dead = are_destroyed([one.id for one in found])
            removed += _remove(tree, [one for one, gone in zip(found, dead, strict=True) if gone])
    return removed


def _sealed_files(tree: Tree) -> Iterator[_Found]:
    for visit in tree.walk(lambda path: False, lambda bar: None):
        for entry in visit.entries:
            name = read_name(entry.name) if entry.kind == "f" else None
            if name is not None:
                yield _Found(visit.path, entry.name, name.id)


def _remove(tree: Tree, dead: Sequence[_Found]) -> int:
    removed = 0
    touched: set[str] = set()
    for one in dead:
        try:
            status = look(tree, one.folder, one.name)
            if status is None or oddity(status):
                continue
            os.unlink(one.name, dir_fd=tree.open(one.folder))
        except Barred:
            continue
        except OSError as error:
            if error.errno in LOST:
                raise unavailable(error.errno, "the store") from None
            continue  # no right to remove it, or busy: it stays for another night
        touched.add(one.folder)
        removed += 1
    passing = [folder for folder in sorted(touched) if not tree.make_lasting(folder)]
    if passing:
        raise StoreUnavailable(
            "what was removed could not be written to the disk", "see whether the disk is in order"
        )
    return removed
