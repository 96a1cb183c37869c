"""Manifest lines: every name that a disk can hold comes back, and nothing else is believed."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.errors import VerificationFailed
from storage.files.lines import Identity, Line, from_text, read_line, to_text, write_line

component = st.binary(min_size=1, max_size=40).filter(
    lambda name: not {0, 47} & set(name) and name not in (b".", b"..")
)
paths = st.lists(component, min_size=1, max_size=4).map(lambda parts: os.fsdecode(b"/".join(parts)))
times = st.none() | st.floats(min_value=0, max_value=4e9)
stamps = st.integers() | st.text("0123456789abcdef", min_size=64, max_size=64)


lines = st.builds(
    Line,
    path=paths,
    identity=st.builds(Identity, st.integers(0), st.integers(0), st.integers(0), stamps),
    start=times,
    end=times,
    camera=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
)


@given(lines)
def test_a_line_comes_back_as_it_was_written(line: Line) -> None:
    text = write_line(line)
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    assert read_line(text) == line
    assert json.loads(text)[1:] == [*line.identity, line.start, line.end, line.camera]


@given(paths)
def test_a_path_as_text_is_valid_text_and_reversible(path: str) -> None:
    text = to_text(path)
    text.encode()
    assert from_text(text) == path


@given(paths, paths)
def test_two_paths_never_share_a_text(one: str, other: str) -> None:
    assert (to_text(one) == to_text(other)) == (one == other)


def test_a_latin_1_name_is_written_with_its_bytes() -> None:
    assert to_text(os.fsdecode(b"J\xfcrgen/a b.csv")) == "/J%FCrgen/a%20b.csv"
    assert to_text("Jürgen/a b.csv") == "Jürgen/a b.csv"


GOOD = ["zqcanary/a.csv", 1, 2, 3, 4, None, None, None]


@pytest.mark.parametrize(
    "fields",
    [
        GOOD[:-1],
        [*GOOD, None],
        ["", *GOOD[1:]],
        ["zqcanary/../../etc/passwd", *GOOD[1:]],
        ["./zqcanary", *GOOD[1:]],
        ["//zqcanary", *GOOD[1:]],
        ["/%2e%2e/zqcanary", *GOOD[1:]],
        ["/%2Fzqcanary", *GOOD[1:]],
        ["zqcanary\0", *GOOD[1:]],
        ["\ud800zqcanary", *GOOD[1:]],
        [7, *GOOD[1:]],
        ["zqcanary", "1", *GOOD[2:]],
        ["zqcanary", True, *GOOD[2:]],
        ["zqcanary", 1, 2, 3, 4.5, None, None, None],
        ["zqcanary", 1, 2, 3, 4, float("nan"), None, None],
        ["zqcanary", 1, 2, 3, 4, None, "later", None],
        ["zqcanary", 1, 2, 3, 4, None, None, 9],
    ],
)
def test_a_line_that_no_survey_wrote_is_refused_without_being_quoted(fields: list[object]) -> None:
    with pytest.raises(VerificationFailed) as caught:
        read_line(json.dumps(fields).encode())
    assert "zqcanary" not in f"{caught.value!r} {caught.value.hint}"
