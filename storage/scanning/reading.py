"""A file as blocks of text to look at, whatever its form. Large ones by samples: their head, their tail, and blocks by chance between.

Refuses to guess about what is no text: archives, images and databases are told as *not looked into*, never as clean.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import PurePosixPath
from typing import BinaryIO

from storage.rows.columnar import Columnar
from storage.rows.delimited import Delimited
from storage.rows.form import Form, Unreadable, text_of
from storage.rows.forms import TEXT
from storage.rows.workbook import Workbook

WHOLE = 4 << 20
"""Bytes up to which a file is looked at whole."""
BLOCK = 1 << 20
SAMPLE = 64 << 10
CHANCE = 16 << 10
CHANCES = 24
SAMPLED_ROWS = 500
_WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_OPAQUE = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
    b"Rar!",
    b"%PDF",
    b"SQLite format 3",
    b"\xd0\xcf\x11\xe0",
)


class Opaque(Exception):
    """The file cannot be looked into. ``reason`` holds no data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Text:
    """``headers`` and ``rows`` (the first few hundred) of a file with columns; ``sampled``: not every byte was looked at."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str | None]]
    blocks: Iterator[bytes]
    sampled: bool


def read(name: str, file: BinaryIO, *, whole: bool, chance: random.Random) -> Text:
    """What there is to look at. Raises `Opaque`, ``OSError``."""
    ending = PurePosixPath(name).suffix.casefold()
    start = file.read(8192)
    size = file.seek(0, SEEK_END)
    file.seek(0)
    if ending in {".xlsx", ".xlsm", ".parquet"}:
        return _tabular(file, workbook=ending != ".parquet")
    if start.startswith(_OPAQUE):
        raise Opaque("an archive, document or database")
    encoding = _WIDE.get(start[:2])
    if encoding is None and b"\0" in start:
        raise Opaque("no text")
    sampled = size > WHOLE and not whole
    blocks = _samples(file, size, chance) if sampled else _all(file)
    if encoding is not None:
        blocks = _narrowed(blocks, encoding)
    headers, rows = _head(ending, start, encoding)
    return Text(headers, rows, blocks, sampled)


def _tabular(file: BinaryIO, *, workbook: bool) -> Text:
    try:
        opened: Form = Workbook(file, reading=True) if workbook else Columnar(file)
        headers = list(opened.columns)
        rows: list[Sequence[str | None]] = []
        for values in _values(opened, len(headers)):
            rows.append(values)
            if len(rows) == SAMPLED_ROWS:
                break
    except Unreadable as unreadable:
        raise Opaque(unreadable.reason) from None

    def blocks() -> Iterator[bytes]:
        waiting: list[bytes] = []
        try:
            for values in _values(opened, len(headers)):
                waiting.append("\t".join(value or "" for value in values).encode())
                if len(waiting) == 5000:
                    yield b"\n".join(waiting) + b"\n"
                    waiting.clear()
        except Unreadable as unreadable:
            raise Opaque(unreadable.reason) from None
        yield b"\n".join(waiting)

    return Text(headers, rows, blocks(), sampled=False)


def _values(form: Form, width: int) -> Iterator[Sequence[str | None]]:
    for cells in form.cells():
        texts = [text_of(cell) for cell in cells]
        yield [*texts, *[None] * (width - len(texts))]


def _head(
    ending: str, start: bytes, encoding: str | None
) -> tuple[Sequence[str], Sequence[Sequence[str | None]]]:
    """Header and first rows of text that is parted into columns."""
    if ending not in TEXT and ending != "":
        return (), ()
    whole = start.decode(encoding, "ignore").encode() if encoding else start
    lines = whole[: whole.rfind(b"\n") + 1] or whole
    try:
        form = Delimited(BytesIO(lines), "latin-1")
        if len(form.columns) < 2:
            return (), ()
        return form.columns, [list(map(text_of, row)) for row in form.cells()][:SAMPLED_ROWS]
    except Unreadable:
        return (), ()


def _all(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block + file.readline(BLOCK)


def _samples(file: BinaryIO, size: int, chance: random.Random) -> Iterator[bytes]:
    places = sorted(chance.randrange(SAMPLE, size - SAMPLE) for _ in range(CHANCES))
    for place, length in ((0, SAMPLE), *((place, CHANCE) for place in places), (size - SAMPLE, SAMPLE)):
        file.seek(place)
        yield file.read(length)


def _narrowed(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    for block in blocks:
        yield block[: len(block) & ~1].decode(encoding, "ignore").encode()
