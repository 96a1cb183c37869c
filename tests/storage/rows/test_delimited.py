"""CSV: what goes, goes; every other byte stays. Shown on generated files of every dialect."""

from __future__ import annotations

import csv
import inspect
import io
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from storage.rows import delimited
from storage.rows import form as form_module
from storage.rows.delimited import Delimited
from storage.rows.form import Change, Unreadable

SOURCE = inspect.getsource(delimited) + inspect.getsource(form_module)
CELL = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=12)


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, list[bytes], str]:
    """A file, its records with their line ends, and its encoding; written by hand, not by what reads it."""
    encoding = draw(st.sampled_from(["utf-8", "cp1252", "latin-1"]))
    delimiter = draw(st.sampled_from(",;\t|"))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) if encoding == "utf-8" else b""
    always = draw(st.booleans())
    rows = draw(st.lists(st.tuples(CELL, CELL, CELL), max_size=8))

    def cell(text: str) -> str:
        bare = text.encode(encoding, "ignore").decode(encoding)
        if always or any(sign in bare for sign in (delimiter, '"', "\n")):
            return '"' + bare.replace('"', '""') + '"'
        return bare

    header = delimiter.join(("Key", "Name", "Note")) + end
    lines = [delimiter.join((f"k{index}", *map(cell, row[1:]))) + end for index, row in enumerate(rows)]
    records = [line.encode(encoding) for line in (header, *lines)]
    if draw(st.booleans()):
        records[-1] = records[-1].removesuffix(end.encode())
    records[0] = mark + records[0]
    return b"".join(records), records, encoding


@settings(max_examples=80, deadline=None)
@given(files(), st.sets(st.integers(0, 7)), st.sampled_from([1, 7, 1 << 20]))
def test_without_some_rows_every_byte_of_the_others_is_unchanged(
    file: tuple[bytes, list[bytes], str], gone: set[int], block: int
) -> None:
    content, records, encoding = file
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK", block)  # rows over the ends of blocks
        form = Delimited(io.BytesIO(content), encoding)
        read = list(form.rows(("key",)))
        assert [row.values[0] for row in read] == [f"k{index}" for index in range(len(records) - 1)]
        assert [row.raw for row in read] == records[1:]
        wanted = {row.raw: place for place, row in enumerate(read) if place in gone}
        target = io.BytesIO()
        counted = form.rewrite(target, wanted, None)
        kept = [record for place, record in enumerate(records[1:]) if place not in gone]
        assert target.getvalue() == b"".join((records[0], *kept))
        assert counted == (frozenset(wanted), len(wanted), len(kept))
        left = Delimited(target, encoding)
        assert left.look(wanted) == (frozenset(), len(kept))
        assert form.look(wanted) == (frozenset(wanted), len(records) - 1)


@settings(max_examples=60, deadline=None)
@given(files(), st.sets(st.integers(0, 7), min_size=1))
def test_anonymized_rows_lose_the_named_columns_and_the_others_stay_byte_for_byte(
    file: tuple[bytes, list[bytes], str], chosen: set[int]
) -> None:
    content, records, encoding = file
    form = Delimited(io.BytesIO(content), encoding)
    read = list(form.rows(("key", "note")))
    wanted = {row.raw: place for place, row in enumerate(read) if place in chosen}
    target = io.BytesIO()
    form.rewrite(target, wanted, Change({"name": 'removed, "all"'}))
    target.seek(0)
    after = list(Delimited(target, encoding).rows(("key", "note", "name")))
    assert [row.values[:2] for row in after] == [row.values for row in read]
    for place, row in enumerate(after):
        assert (row.values[2] == 'removed, "all"') if place in chosen else (row.raw == records[place + 1])


@given(st.binary(max_size=200))
@example(b'a,b\n1,"x\n')
@example(b"a,b\r1,2\r")
@example(b"\xff\xfea\0,\0")
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_whole_or_refused_without_being_quoted(content: bytes) -> None:
    content = b"key,note\n" + content
    reason, target, rows = "", io.BytesIO(), []
    try:
        form = Delimited(io.BytesIO(content))
        rows = list(form.rows(("key",)))
        form.rewrite(target, {}, None)
    except Unreadable as unreadable:
        reason = unreadable.reason
    assert (target.getvalue() == content) if not reason else (f'"{reason}"' in SOURCE)
    assert all(row.raw in content for row in rows)


def test_a_row_inside_a_quoted_field_is_not_taken_for_the_row_that_goes() -> None:
    content = b'key,note\nA,gone\nB,"first\nA,gone\nlast"\nC,x\n'
    form = Delimited(io.BytesIO(content))
    row = next(form.rows(("key",)))
    target = io.BytesIO()
    assert form.rewrite(target, {row.raw: 0, b"D,y\n": 1}, None) == (frozenset({row.raw}), 1, 2)
    assert target.getvalue() == b'key,note\nB,"first\nA,gone\nlast"\nC,x\n'


def test_ragged_rows_are_told_apart_and_stay() -> None:
    rows = list(Delimited(io.BytesIO(b"key,note\nA,1\nB\nC,1,2\n\n  \nD,2\n")).rows(("key",)))
    assert [(row.values[0], row.odd) for row in rows] == [
        ("A", ""), (None, delimited.RAGGED), (None, delimited.RAGGED), ("D", ""),
    ]  # fmt: skip


def test_text_in_another_encoding_is_told_apart_and_stays() -> None:
    (row,) = Delimited(io.BytesIO("key,note\nJürgen,1\n".encode("latin-1"))).rows(("key",))
    assert row.odd == delimited.UNDECODABLE
    (right,) = Delimited(io.BytesIO("key,note\nJürgen,1\n".encode("latin-1")), "latin-1").rows(("key",))
    assert (right.values, right.odd) == (("Jürgen",), "")


def test_what_people_put_round_a_number_for_a_spreadsheet_is_not_part_of_it() -> None:
    content = b'key\n"=""21234000000011"""\n\'21234000000029\n 21234000000037 \n'
    values = [row.values[0] for row in Delimited(io.BytesIO(content)).rows(("key",))]
    assert values == ["21234000000011", "21234000000029", "21234000000037"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n\n", "header"),
        (b'key,note\n1,"never closed\n', "quote"),
        (b'key,note\n"a"b,2\n', "quote"),
        (b"key,note\r1,2\r", "carriage|header"),
        ("key,note\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"key,note\n\0\n", "UTF-16"),
        (b"note,other\n1,2\n", "missing"),
        (b"Key,key\n1,2\n", "two columns"),
    ],
)
def test_what_cannot_be_read_to_its_end_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        list(Delimited(io.BytesIO(content)).rows(("key",)))
    assert re.search(reason, caught.value.reason)


def test_a_record_that_never_ends_is_refused_before_it_fills_the_memory() -> None:
    endless = io.BytesIO(b"key,note\n" + b'1,"' + b"x" * 999 + b"\n" * 3_000_000)
    with pytest.raises(Unreadable):
        list(Delimited(endless).rows(("key",)))


def test_keys_only_spare_work_and_change_no_answer() -> None:
    lines = ["key,note", *(f"k{number:05},n{number}" for number in range(60_000))]
    form = Delimited(io.BytesIO("\n".join(lines).encode()))
    wanted = {"k00003", "k59999"}
    some = [row for row in form.rows(("key",), wanted) if row.values[0] in wanted]
    assert some == [row for row in form.rows(("key",)) if row.values[0] in wanted]


def test_plain_rows_parse_as_the_standard_library_reads_them() -> None:
    content = "key,note\n" + "".join(f"{number},n {number}\n" for number in range(100_000))
    form = Delimited(io.BytesIO(content.encode()))
    theirs = [tuple(row) for row in csv.reader(io.StringIO(content))][1:]
    assert [row.values for row in form.rows(("key", "note"))] == theirs
