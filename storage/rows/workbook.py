"""Spreadsheets in XLSX. Each sheet with a header is a table; a row that goes leaves an empty line, so that nothing else shifts.

It refuses whatever may hold a row's values a second time, or more than can be written back whole: macros, pivot caches, links to
other workbooks, embedded objects, drawings, comments, formulas' remembered results, and archives that unpack to more than they should.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, BinaryIO

import openpyxl
from openpyxl.cell.cell import Cell, MergedCell
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.worksheet import Worksheet

from storage.rows.form import Change, Form, Rewritten, Row, Unreadable, text_of

LARGEST = 64 << 20
"""Bytes that a workbook may unpack to: about four hundred thousand cells, half a gibibyte of memory."""
RATIO = 200
"""How much smaller than its content a part may be packed; beyond that it is a bomb."""
PARTS = 500

_KNOWN = re.compile(
    r"\[Content_Types\]\.xml|_rels/\.rels|docProps/(core|app|custom)\.xml|xl/workbook\.xml|xl/_rels/workbook\.xml\.rels"
    r"|xl/(styles|sharedStrings|calcChain)\.xml|xl/theme/[^/]+|xl/worksheets/(_rels/)?sheet\d+\.xml(\.rels)?|xl/tables/[^/]+"
    r"|xl/printerSettings/[^/]+|xl/metadata\.xml|docProps/thumbnail\.[a-z]+"
)
_REFUSED = (
    ("vbaProject", "it has macros"),
    ("pivot", "it has a pivot table, which remembers the rows"),
    ("externalLinks", "it is linked to other workbooks"),
    ("embeddings", "it has embedded objects"),
    ("comments", "it has comments"),
    ("drawings", "it has drawings"),
    ("charts", "it has charts, which remember the values"),
    ("EncryptedPackage", "it is encrypted"),
)


class Workbook(Form):
    """An XLSX file. Raises `Unreadable` for one that cannot be written back whole; with ``reading`` only for one that is unsafe to
    unpack."""

    def __init__(self, file: BinaryIO, *, reading: bool = False) -> None:
        super().__init__(file)
        look_into(file, reading=reading)

    @property
    def columns(self) -> Sequence[str]:
        return [name or "" for name in self._tables[0][1]]

    def places(self, wanted: Sequence[str]) -> list[int]:
        first = self._tables[0][1]
        if any(header != first for _, header in self._tables[1:]):
            raise Unreadable("its sheets have different headers")
        return super().places(wanted)

    def rows(self, wanted: Sequence[str], keys: Collection[str] | None = None) -> Iterator[Row]:
        at = self.places(wanted)
        for sheet, _ in self._tables:
            for cells in sheet.iter_rows(min_row=2):
                texts = _texts(cells)
                if any(texts):
                    odd = "it has a formula" if any(cell.data_type == "f" for cell in cells) else ""
                    raw = _raw(texts)
                    yield Row(tuple(texts[place] for place in at), odd, raw)

    def cells(self) -> Iterator[Sequence[object]]:
        for sheet, _ in self._tables:
            for values in sheet.iter_rows(min_row=2, values_only=True):
                if any(value is not None for value in values):
                    yield values

    def rewrite(self, target: BinaryIO, rows: Mapping[bytes, int], change: Change | None) -> Rewritten:
        new = {} if change is None else dict(
            zip(self.places(tuple(change.values)), change.values.values(), strict=True)
        )  # fmt: skip
        found: set[bytes] = set()
        gone = kept = 0
        for sheet, _ in self._tables:
            for cells in sheet.iter_rows(min_row=2):
                texts = _texts(cells)
                if not any(texts):
                    continue
                raw = _raw(texts)
                if raw not in rows:
                    kept += 1
                    continue
                gone += 1
                found.add(raw)
                for place, cell in enumerate(cells):
                    if isinstance(cell, MergedCell):
                        raise Unreadable("a row that is to go is merged with another")
                    if change is None or place in new:
                        cell.value = new.get(place)
                        cell.hyperlink = None
        self._book.save(target)
        del self.__dict__["_book"], self.__dict__["_tables"]
        return Rewritten(frozenset(found), gone, kept)

    def look(self, rows: Mapping[bytes, int]) -> tuple[frozenset[bytes], int]:
        found: set[bytes] = set()
        number = 0
        for row in self.rows(()):
            number += 1
            if row.raw in rows:
                found.add(row.raw)
        return frozenset(found), number

    @cached_property
    def _book(self) -> openpyxl.Workbook:
        self._file.seek(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they quote the file
                return openpyxl.load_workbook(self._file)
        except (
            InvalidFileException,
            KeyError,
            ValueError,
            TypeError,
            IndexError,
            AttributeError,
            SyntaxError,
            zipfile.BadZipFile,
        ):
            raise Unreadable("it is no workbook, or a damaged one") from None

    @cached_property
    def _tables(self) -> list[tuple[Worksheet, tuple[str | None, ...]]]:
        found: list[tuple[Worksheet, tuple[str | None, ...]]] = []
        for sheet in self._book.worksheets:
            first = next(sheet.iter_rows(min_row=1, max_row=1), ())
            header = _texts(first)
            if any(header):
                found.append((sheet, tuple(header)))
        if not found:
            raise Unreadable("no sheet has a header in its first line")
        return found


def look_into(file: BinaryIO, *, reading: bool) -> None:
    """Whether the archive is a plain workbook of a sane size, from its directory alone. Raises `Unreadable`."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError):
        raise Unreadable("it is no workbook, or a damaged or encrypted one") from None
    if len(parts) > PARTS or sum(part.file_size for part in parts) > LARGEST:
        raise Unreadable("it unpacks to more than 64 MiB: export it as CSV")
    for part in parts:
        if part.file_size > 1 << 20 and part.file_size > RATIO * max(1, part.compress_size):
            raise Unreadable("it unpacks to far more than its size")
        if part.flag_bits & 1:
            raise Unreadable("it is encrypted")
        if reading:
            continue
        for word, reason in _REFUSED:
            if word in part.filename:
                raise Unreadable(reason)
        if not _KNOWN.fullmatch(part.filename):
            raise Unreadable("it holds more than cells")


def _texts(cells: Sequence[Cell | MergedCell]) -> list[str | None]:
    return [text_of(cell.value) for cell in cells]


def _raw(texts: Sequence[Any]) -> bytes:
    while texts and texts[-1] is None:  # a sheet is as wide as its widest row
        texts = texts[:-1]
    return json.dumps(texts, ensure_ascii=True).encode()
