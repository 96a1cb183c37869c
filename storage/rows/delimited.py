"""CSV and its kin. Bytes are kept: encoding, byte order mark, quotes and line ends of every other row stay as they are.

The parsing is the standard library's, in its strict mode; this module only keeps track of which bytes each row came from. It
refuses UTF-16, lone carriage returns as line ends, a quote that is never closed, and a record above one mebibyte: where rows
begin and end must be beyond doubt.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import BinaryIO

from storage.rows.form import Change, Form, Rewritten, Row, Unreadable

BLOCK = 1 << 20
LONGEST = 1 << 20
"""Bytes of one record."""
DELIMITERS = ",\t;|"
FEW = 32
"""Up to so many keys a block of the file is searched for them before it is parsed."""
_MARK = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_ENDS = (b"", b"\n", b"\r\n")
_DRESSED = "='"
"""How values begin that spreadsheets are to leave alone. The empty value is among them, too: it is none."""
_BLANK = b" \t\r\n"
"""Bytes that are blank in every encoding; ``bytes.strip`` on its own would be the same, ``str.strip`` of undecoded text would not."""

RAGGED = "it has not as many fields as the header"
UNDECODABLE = "it is not text in the encoding that the schedule names"


class Delimited(Form):
    """A text file with one row per record. The first record is the header; the delimiter is the one that parts it best."""

    def __init__(self, file: BinaryIO, encoding: str = "utf-8") -> None:
        super().__init__(file)
        self._encoding = encoding
        start = file.read(4096)
        file.seek(0)
        if start.startswith(_WIDE) or b"\0" in start:
            raise Unreadable("it is UTF-16 or no text: save it as UTF-8")
        self._mark = _MARK if start.startswith(_MARK) else b""
        head = file.readline(LONGEST).removeprefix(self._mark)
        file.seek(0)
        if not head.strip():
            raise Unreadable("its first line, the header, is empty")
        try:
            shown = head.decode(encoding)
        except UnicodeDecodeError:
            raise Unreadable("its header is not text in the encoding that the schedule names") from None
        self._delimiter, self._columns = max(
            ((sign, _header(shown, sign)) for sign in DELIMITERS), key=lambda parted: len(parted[1])
        )
        if not self._columns:
            raise Unreadable("its header is not one well-formed line")

    @property
    def columns(self) -> Sequence[str]:
        return self._columns

    def rows(self, wanted: Sequence[str], keys: Collection[str] | None = None) -> Iterator[Row]:
        at = self.places(wanted)
        width = len(self._columns)
        few = _few_keys(keys)
        for first, block in enumerate(self._blocks()):
            if not block.mentions(few):
                continue
            records = block.records[1:] if first == 0 else block.records
            parsed = _parsed([raw.decode("latin-1") for raw in records], self._delimiter)
            for raw, fields in zip(records, parsed, strict=True):
                if len(fields) != width:
                    if raw.strip(_BLANK):
                        yield Row((None,) * len(at), RAGGED, raw)
                    continue
                if not any(fields):
                    continue
                odd, asked = "", [fields[place] for place in at]
                if not raw.isascii():
                    try:
                        asked = [value.encode("latin-1").decode(self._encoding) for value in asked]
                    except UnicodeDecodeError:
                        odd = UNDECODABLE
                values = [
                    value if (value := cell.strip())[:1] not in _DRESSED else _undressed(value)
                    for cell in asked
                ]
                yield Row(tuple(values), odd, raw)

    def cells(self) -> Iterator[Sequence[object]]:
        for first, block in enumerate(self._blocks()):
            records = [raw.decode("latin-1") for raw in (block.records[1:] if first == 0 else block.records)]
            for fields in _parsed(records, self._delimiter):
                if len(fields) == len(self._columns):
                    yield fields

    def rewrite(self, target: BinaryIO, rows: Mapping[bytes, int], change: Change | None) -> Rewritten:
        wanted, few = _with_ends(rows), _few(rows)
        found: set[bytes] = set()
        gone, kept, header = 0, -1, True
        for block in self._blocks():
            if not block.mentions(few) or wanted.isdisjoint(block.records):
                target.write(block.content)
                kept += block.count
                header = False
                continue
            for raw in block.records:
                if raw not in wanted or header:
                    target.write(raw)
                    kept += 1
                    header = False
                    continue
                gone += 1
                found.add(raw)
                if change is not None:
                    target.write(self._changed(raw, change))
        return Rewritten(_among(rows, found), gone, kept)

    def look(self, rows: Mapping[bytes, int]) -> tuple[frozenset[bytes], int]:
        wanted, few = _with_ends(rows), _few(rows)
        found: set[bytes] = set()
        count, header = -1, True
        for block in self._blocks():
            count += block.count
            if block.mentions(few):
                found |= wanted.intersection(block.records[1:] if header else block.records)
            header = False
        return _among(rows, found), count

    def _changed(self, raw: bytes, change: Change) -> bytes:
        fields = _parsed([raw.decode("latin-1")], self._delimiter)[0]
        for place, value in zip(self.places(tuple(change.values)), change.values.values(), strict=True):
            fields[place] = (value or "").encode(self._encoding).decode("latin-1")
        written = io.StringIO(newline="")
        csv.writer(written, delimiter=self._delimiter, lineterminator="\r\n").writerow(fields)
        return _bare(written.getvalue().encode("latin-1")) + raw[len(_bare(raw)) :]

    def _blocks(self) -> Iterator[_Block]:
        """The file, about a mebibyte at a time, parted between records: byte for byte. The first record is the header.

        Raises `Unreadable`.
        """
        self._file.seek(len(self._mark))
        mark = self._mark
        while content := self._file.read(BLOCK):
            if not content.endswith(b"\n"):
                content += self._file.readline(LONGEST)
            if b'"' in content:
                records = self._records(io.BytesIO(content).readlines())
                records[0] = mark + records[0]
                yield _Block(b"".join(records), records)
            elif b"\r" in content and content.count(b"\r") != content.count(b"\r\n"):
                raise Unreadable("it has carriage returns within a line")
            else:
                yield _Block(mark + content, None)
            mark = b""

    def _records(self, lines: list[bytes]) -> list[bytes]:
        """Lines put together where a quoted field goes over several; reads on until the last record is whole."""
        try:
            if len(_parsed([line.decode("latin-1") for line in lines], self._delimiter)) == len(lines):
                return lines
        except Unreadable:
            pass  # a record that goes on after this block, or one that is not well-formed: the next lines tell
        tracked = _Tracked(chain(lines, iter(lambda: self._file.readline(LONGEST), b"")))
        reader = csv.reader(tracked, delimiter=self._delimiter, strict=True)
        records: list[bytes] = []
        try:
            while tracked.given < len(lines):
                next(reader)
                records.append(tracked.take())
        except csv.Error:
            raise Unreadable("it is not well-formed: a quote is out of place or never closed") from None
        return records


class _Block:
    """A stretch of the file between records. Parted into them only when somebody asks: most stretches mention nobody."""

    def __init__(self, content: bytes, records: list[bytes] | None) -> None:
        self.content = content
        self._records = records
        """Given where quotes make more than lines of them."""

    @cached_property
    def records(self) -> list[bytes]:
        """With their line ends. Raises `Unreadable`."""
        records = io.BytesIO(self.content).readlines() if self._records is None else self._records
        if max(map(len, records)) >= LONGEST:
            raise Unreadable("a record is longer than a mebibyte")
        return records

    @property
    def count(self) -> int:
        if self._records is not None:
            return len(self._records)
        return self.content.count(b"\n") + (not self.content.endswith(b"\n"))

    def mentions(self, few: list[bytes] | None) -> bool:
        """Whether one of a few texts stands in it. True for ``None``: too many to look for one by one."""
        return few is None or any(text in self.content for text in few)


class _Tracked:
    """Lines for the parser, which remembers the bytes of those it took."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._taken: list[bytes] = []
        self._length = 0
        self.given = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.given += 1
        self._length += len(line)
        if self._length > LONGEST:
            raise Unreadable("a record is longer than a mebibyte: a quote is never closed")
        self._taken.append(line)
        return line.decode("latin-1")

    def take(self) -> bytes:
        taken = b"".join(self._taken)
        self._taken.clear()
        self._length = 0
        return taken


def _parsed(texts: Sequence[str], delimiter: str) -> list[list[str]]:
    """One list of fields per text. Raises `Unreadable` when they are not one record each."""
    try:
        return list(csv.reader(texts, delimiter=delimiter, strict=True))
    except csv.Error:
        raise Unreadable("it is not well-formed: a quote is out of place or never closed") from None


def _header(text: str, delimiter: str) -> list[str]:
    """The columns of a header under this delimiter; none when it is no header under it."""
    try:
        (fields,) = csv.reader([text], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError):
        return []
    return [name.strip() for name in fields]


def _bare(raw: bytes) -> bytes:
    """The record without its line end."""
    return raw.removesuffix(b"\n").removesuffix(b"\r")


def _with_ends(rows: Mapping[bytes, int]) -> frozenset[bytes]:
    """Rows as they may stand in the file: a row that was the last one may have had no line end."""
    return frozenset(_bare(raw) + end for raw in rows for end in _ENDS)


def _among(rows: Mapping[bytes, int], found: Collection[bytes]) -> frozenset[bytes]:
    """Those of the rows that were found, whatever line end they had."""
    return frozenset(raw for raw in rows if any(_bare(raw) + end in found for end in _ENDS))


def _few_keys(keys: Collection[str] | None) -> list[bytes] | None:
    if keys is None or len(keys) > FEW or not all(key.isascii() and '"' not in key for key in keys):
        return None
    return [key.encode() for key in keys]


def _few(rows: Mapping[bytes, int]) -> list[bytes] | None:
    """The rows without their line ends, where they are few enough to be looked for one by one."""
    return [_bare(raw) for raw in rows] if len(rows) <= FEW else None


def _undressed(value: str) -> str | None:
    """A value without what people put round it so that a spreadsheet leaves it alone: ``="2123"`` and ``'2123``."""
    if value.startswith('="') and value.endswith('"'):
        value = value[2:-1]
    return value.removeprefix("'") or None
