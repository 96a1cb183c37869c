"""Event folders that are one record: what is in one, and taking it away whole, innermost first."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from storage.files.facts import Found
from storage.files.lines import Identity
from storage.files.sealed_name import read_name
from storage.files.tree import LOST, Bar, Barred, Tree, join, oddity, split, unavailable

_ODD = {
    Bar.ABSENT: "changed while it was looked at",
    Bar.LINK: "changed while it was looked at",
    Bar.MOUNT: "holds a folder that is another file system",
    Bar.DENIED: "holds a folder that cannot be read",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything in an event folder. ``files``: path below the location, with identity. ``folders``: it and those in it, outer first."""

    found: Found
    files: tuple[tuple[str, Identity], ...]
    folders: tuple[str, ...]


def take_inventory(tree: Tree, path: str) -> Inventory:
    """Look at the folder and all in it. Its identity is a digest over its files, so one more or another file is a change.

    Raises `Barred` when the folder itself cannot be entered, `StoreUnavailable`.
    """
    own = os.fstat(tree.open(path))
    files: list[tuple[str, Identity]] = []
    folders: list[str] = []
    modified: int | None = None
    changed = touched = 0
    odd = ""
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        try:
            entries = tree.list(folder)
            status = os.fstat(tree.open(folder))
        except Barred as barred:
            if folder == path:
                raise
            odd = odd or _ODD[barred.bar]
            continue
        folders.append(folder)
        touched = max(touched, status.st_mtime_ns)
        changed = max(changed, status.st_mtime_ns, status.st_ctime_ns)
        for entry in entries:
            inner = join(folder, entry.name)
            if entry.kind == "d":
                waiting.append(inner)
                continue
            seen = look(tree, folder, entry.name)
            if seen is None:
                odd = odd or _ODD[Bar.ABSENT]
                continue
            odd = odd or ("holds " + oddity(seen) if oddity(seen) else "")
            odd = odd or ("" if read_name(entry.name) is None else "holds a sealed file, whose key decides")
            files.append((inner, Identity(seen.st_ino, seen.st_dev, seen.st_size, seen.st_mtime_ns)))
            modified = max(modified or 0, seen.st_mtime_ns)
            changed = max(changed, seen.st_mtime_ns, seen.st_ctime_ns)
    files.sort()
    identity = Identity(
        own.st_ino, own.st_dev, sum(one.size for _, one in files), _digest(path, files, folders)
    )
    found = Found(identity, modified, changed, max(touched, modified or 0), odd)
    return Inventory(found=found, files=tuple(files), folders=tuple(folders))


def look(tree: Tree, folder: str, name: str) -> os.stat_result | None:
    """What lies under that name now, no link followed; ``None`` when nothing does.

    Raises `Barred` for the folder, `StoreUnavailable` when the disk does not answer.
    """
    try:
        return os.stat(name, dir_fd=tree.open(folder), follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in LOST:
            raise unavailable(error.errno, "the store") from None
        raise Barred(Bar.DENIED) from None
    except ValueError:  # a name that no file can have
        return None


def destroy_folder(tree: Tree, inventory: Inventory) -> bool:
    """Unlink the files of the inventory that are still the same, then remove the folders, innermost first. True when all went.

    A file that came or changed meanwhile stays, and the folder with it. Raises ``OSError``, `Barred`, `StoreUnavailable`.
    """
    whole = True
    for path, identity in inventory.files:
        folder, name = split(path)
        seen = look(tree, folder, name)
        if seen is None or not is_same(seen, identity):
            whole = False
            continue
        os.unlink(name, dir_fd=tree.open(folder))
    if not whole:
        return False
    for path in sorted(inventory.folders, key=lambda one: one.count("/"), reverse=True):
        above, name = split(path)
        os.rmdir(name, dir_fd=tree.open(above))
        tree.forget(path)
    return True


def is_same(status: os.stat_result, identity: Identity) -> bool:
    """Whether this is the file that was surveyed: same inode, size and time, still plain and under one name."""
    return (
        status.st_ino == identity.inode
        and status.st_mtime_ns == identity.stamp
        and status.st_size == identity.size
        and status.st_dev == identity.device
        and not oddity(status)
    )


def _digest(path: str, files: list[tuple[str, Identity]], folders: list[str]) -> str:
    digest = hashlib.sha256()
    for inner, one in files:
        name = os.fsencode(inner[len(path) :])
        digest.update(b"%d %b%d %d %b\n" % (len(name), name, one.inode, one.size, str(one.stamp).encode()))
    for inner in sorted(folders):
        digest.update(b"%b\0" % os.fsencode(inner[len(path) :]))
    return digest.hexdigest()
