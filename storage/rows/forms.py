"""Which form a file has. By its name, and never against its first bytes: a spreadsheet called ``.csv`` is no text."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import BinaryIO

from storage.rows.columnar import Columnar
from storage.rows.delimited import Delimited
from storage.rows.form import Form, Unreadable
from storage.rows.workbook import Workbook

TEXT = frozenset({".csv", ".tsv", ".txt", ".tab", ".psv"})
_PACKED = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"%PDF")


def open_form(name: str, file: BinaryIO, encoding: str = "utf-8") -> Form:
    """The file's form. Raises `Unreadable`. ``file``: open for reading, at its start, seekable."""
    ending = PurePosixPath(name).suffix.casefold()
    start = file.read(8)
    file.seek(0)
    if ending in TEXT:
        if start.startswith((*_PACKED, b"PAR1")):
            raise Unreadable("it is not the text that its name says")
        return Delimited(file, encoding)
    if ending == ".parquet":
        return Columnar(file)
    if ending == ".xlsx":
        return Workbook(file)
    if ending in {".xlsm", ".xltm", ".xlsb"}:
        raise Unreadable("it is a workbook with macros")
    raise Unreadable("rows can be read from CSV, Parquet and XLSX only")
