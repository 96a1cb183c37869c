"""Parquet. Read and written one row group at a time, with the same schema, groups and compression.

It refuses a key, subject or date that is not a flat column, and dictionaries are built anew: those of the old file would carry
the values of rows that went.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, BinaryIO

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from storage.rows.form import Change, Form, Rewritten, Row, Unreadable, text_of

AT_ONCE = 10_000
LARGEST_GROUP = 1 << 30
"""Bytes of one row group, unpacked. A larger one is refused: it would be held in memory whole."""


class Columnar(Form):
    """A Parquet file. Raises `Unreadable` for a damaged or an encrypted one."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        with _telling():
            self._parquet = pq.ParquetFile(file)
        groups = self._parquet.metadata
        for number in range(groups.num_row_groups):
            if groups.row_group(number).total_byte_size > LARGEST_GROUP:
                raise Unreadable("one of its row groups is above a gibibyte")

    @property
    def columns(self) -> Sequence[str]:
        return list(self._parquet.schema_arrow.names)

    def rows(self, wanted: Sequence[str], keys: Collection[str] | None = None) -> Iterator[Row]:
        at = self.places(wanted)
        for place in at:
            if pa.types.is_nested(self._parquet.schema_arrow.field(place).type):
                raise Unreadable("a column that the schedule names is nested")
        with _telling():
            for batch in self._parquet.iter_batches(AT_ONCE):
                for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    raw = _raw(cells)
                    yield Row(tuple(text_of(cells[place]) for place in at), "", raw)

    def cells(self) -> Iterator[Sequence[object]]:
        with _telling():
            for batch in self._parquet.iter_batches(AT_ONCE):
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def rewrite(self, target: BinaryIO, rows: Mapping[bytes, int], change: Change | None) -> Rewritten:
        found: set[bytes] = set()
        gone = kept = 0
        with _telling(), self._writer(target) as writer:
            for number in range(self._parquet.num_row_groups):
                table = self._parquet.read_row_group(number)
                hit: list[bool] = []
                for cells in zip(*(_cells(column) for column in table.columns), strict=True):
                    raw = _raw(cells)
                    hit.append(raw in rows)
                    if hit[-1]:
                        found.add(raw)
                gone += sum(hit)
                kept += len(hit) - sum(hit)
                if any(hit):
                    table = self._without(table, hit) if change is None else self._changed(table, hit, change)
                if table.num_rows:
                    writer.write_table(_compact(table), row_group_size=max(1, table.num_rows))
        return Rewritten(frozenset(found), gone, kept)

    def look(self, rows: Mapping[bytes, int]) -> tuple[frozenset[bytes], int]:
        found: set[bytes] = set()
        number = 0
        for row in self.rows(()):
            number += 1
            if row.raw in rows:
                found.add(row.raw)
        return frozenset(found), number

    def count(self) -> int:
        return int(self._parquet.metadata.num_rows)

    @cached_property
    def _compression(self) -> dict[str, str] | str:
        groups = self._parquet.metadata
        if not groups.num_row_groups:
            return "snappy"
        group = groups.row_group(0)
        columns = (group.column(place) for place in range(group.num_columns))
        return {
            column.path_in_schema: column.compression.lower().replace("uncompressed", "none")
            for column in columns
        }

    def _writer(self, target: BinaryIO) -> pq.ParquetWriter:
        version = self._parquet.metadata.format_version
        return pq.ParquetWriter(
            target,
            self._parquet.schema_arrow,
            compression=self._compression,
            version="1.0" if version == "1.0" else "2.6",
        )

    @staticmethod
    def _without(table: pa.Table, hit: list[bool]) -> pa.Table:
        return table.filter(pa.array([not one for one in hit]))

    def _changed(self, table: pa.Table, hit: list[bool], change: Change) -> pa.Table:
        for place, value in zip(self.places(tuple(change.values)), change.values.values(), strict=True):
            field = table.schema.field(place)
            if value is None and not field.nullable:
                raise Unreadable("a column that is to be emptied may not be empty")
            try:
                new = None if value is None else pa.scalar(value).cast(field.type).as_py()
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise Unreadable("a value of the schedule does not fit its column") from None
            cells = _cells(table.column(place))
            mixed = [new if one else cell for one, cell in zip(hit, cells, strict=True)]
            table = table.set_column(place, field, pa.array(mixed, type=field.type))
        return table


class _telling:
    """Turns the library's errors, which may quote the file, into ours."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and error.errno:
            return  # the disk's, not the file's
        if isinstance(error, pa.ArrowException | OSError | ValueError) and not isinstance(error, Unreadable):
            raise Unreadable("it is no Parquet file, damaged or encrypted") from None


def _cells(column: Any) -> list[Any]:
    return list(column.to_pylist())


def _raw(cells: Sequence[object]) -> bytes:
    """The row's content in one form: the same for the same values, whatever the file's encoding."""
    return json.dumps([repr(cell) for cell in cells], ensure_ascii=True).encode()


def _compact(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            values = table.column(place).cast(field.type.value_type)
            table = table.set_column(place, field, values.dictionary_encode().cast(field.type))
    return table
