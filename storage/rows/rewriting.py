"""Writing a file anew without some of its rows: aside, read back, made lasting, then put in its place in one step.

Until the last step the old file is untouched; after it the new one is whole. Owner, rights, attributes and modification time stay
as they were: to lose a row makes a file no younger. A file whose last row goes is removed.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO

from storage.files.facts import SIDECAR
from storage.files.folder import is_same
from storage.files.lines import Identity
from storage.files.tree import Tree, split
from storage.rows.form import Change, Form, Unreadable
from storage.rows.forms import open_form
from storage.rows.opening import PARTIAL


class Changed(Exception):
    """The file is no longer the one that was read."""


def rewrite(
    tree: Tree,
    path: str,
    file: BinaryIO,
    rows: Mapping[bytes, int],
    *,
    change: Change | None,
    encoding: str,
    sidecar: bool,
) -> frozenset[bytes]:
    """Take these rows out of the file (or change them). Returns those that went by this. ``file``: as `opening.locked` gave it.
    ``sidecar``: what says what the file is goes with its last row.

    The caller makes the folder lasting. Raises `Changed`, `Unreadable`, ``OSError``; then nothing was changed.
    """
    folder, name = split(path)
    before = os.fstat(file.fileno())
    form = open_form(name, file, encoding)
    directory = tree.open(folder)
    partial, target = _aside(directory)
    try:
        with target:
            went, left = _write(form, target, rows, change=change, name=name, encoding=encoding)
            if not went:
                return went
            _take_after(target.fileno(), file.fileno(), before)
            os.fsync(target.fileno())
            now = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if not is_same(now, _identity(before)):
                raise Changed
            if left:
                os.rename(partial, name, src_dir_fd=directory, dst_dir_fd=directory)
            else:
                os.unlink(name, dir_fd=directory)
                if sidecar:
                    with suppress(FileNotFoundError):
                        os.unlink(name + SIDECAR, dir_fd=directory)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=directory)
    return went


def _aside(directory: int) -> tuple[str, BinaryIO]:
    """A new file, locked, so that nobody takes it for one that a killed process left behind."""
    while True:
        name = f"{PARTIAL}{secrets.token_hex(8)}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.fdopen(os.open(name, flags, 0o600, dir_fd=directory), "w+b")
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return name, file
        file.close()  # swept up between being made and being locked


def _write(
    form: Form,
    target: BinaryIO,
    rows: Mapping[bytes, int],
    *,
    change: Change | None,
    name: str,
    encoding: str,
) -> tuple[frozenset[bytes], int]:
    """Write and read back. Returns which rows went and how many are in the new file. Raises `Unreadable` when it is not as it must be."""
    went, gone, kept = form.rewrite(target, rows, change)
    target.flush()
    left = kept + (gone if change is not None else 0)
    if not went or not left:
        return went, left
    target.seek(0)
    standing, records = open_form(name, target, encoding).look(rows)
    if standing or records != left:
        raise Unreadable("it could not be written back as it was")
    return went, left


def _take_after(target: int, source: int, before: os.stat_result) -> None:
    os.fchmod(target, before.st_mode & 0o7777)
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(target, before.st_uid, before.st_gid)
        os.fchmod(target, before.st_mode & 0o7777)
    for name in os.listxattr(source):
        with suppress(OSError):  # a label of the security system, which the kernel sets by itself
            os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))


def _identity(status: os.stat_result) -> Identity:
    return Identity(status.st_ino, status.st_dev, status.st_size, status.st_mtime_ns)
