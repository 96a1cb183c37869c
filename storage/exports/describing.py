"""What an export is, from its content: columns, rows, size, digest. Values are never kept."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import BinaryIO

from retention.exports import shown_columns
from storage.rows.form import Unreadable
from storage.rows.forms import open_form


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """``rows``: ``None`` where they cannot be counted. ``digest``: SHA-256 (hex). ``identity``: what changes when it is written again,
    as `storage.exports.lying` has it."""

    columns: tuple[str, ...]
    rows: int | None
    size: int
    digest: str
    identity: tuple[int, int, int]


def describe(name: str, file: BinaryIO, identity: tuple[int, int, int], encoding: str = "utf-8") -> Content:
    """Read a file to its end. Raises ``OSError``."""
    digest, size = hashlib.sha256(), 0
    while block := file.read(1 << 20):
        digest.update(block)
        size += len(block)
    file.seek(0)
    columns: tuple[str, ...] = ()
    rows: int | None = None
    try:
        form = open_form(name, file, encoding)
        columns, rows = shown_columns(form.columns), form.count()
    except Unreadable:
        rows = None
    return Content(
        columns=columns,
        rows=rows,
        size=size,
        digest=digest.hexdigest(),
        identity=identity,
    )


def identity_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns
