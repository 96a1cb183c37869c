"""Every line of a manifest is handed out once and gets one outcome, whatever happened in between."""

from __future__ import annotations

import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.errors import VerificationFailed
from retention.outcomes import OPEN, OUTCOMES, Outcome
from storage.ledger.batches import ELSEWHERE, Range, Settled
from storage.ledger.cases import Case, Part
from storage.spool import Manifest
from storage.worklist import Slice, Slicer, tally

NOW = datetime(2025, 6, 2, tzinfo=UTC)


class Paper(Manifest):
    """A manifest in memory."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BufferedReader(cast("io.RawIOBase", io.BytesIO(content)))


def line(part: int, number: int) -> bytes:
    """Of uneven lengths, so that a wrong offset shows."""
    return b'"%d-%d%s"' % (part, number, b"x" * (number * 7 % 5))


def manifest(part: int, items: int) -> bytes:
    return b"".join(line(part, number) + b"\n" for number in range(items))


def case_of(*items: int) -> Case:
    parts = []
    for number, count in enumerate(items):
        parts.append(
            Part(
                number=number,
                location=f"l{number}",
                store="s",
                items=count,
                first_ordinal=sum(items[:number]),
                length=len(manifest(number, count)),
                digest="",
            )
        )
    return cast("Case", SimpleNamespace(id="C1", parts=tuple(parts), items=sum(items)))


def batch(where: Range, codes: str) -> Settled:
    return Settled(range=where, codes=codes, leaves=b"", epoch=0, intended_at=NOW, at=NOW)


def where(first: int, items: int, part: int = 0) -> Range:
    return Range(part=part, offset=len(manifest(part, first)), first=first, items=items)


@given(
    sizes=st.lists(st.integers(0, 23), min_size=1, max_size=3).filter(any),
    data=st.data(),
)
def test_through_crashes_and_restarts_every_line_is_handed_out_until_it_has_its_one_outcome(
    sizes: list[int], data: st.DataObject
) -> None:
    case = case_of(*sizes)
    told: dict[tuple[int, int], str] = {}
    settled: list[Settled] = []
    for _run in range(40):
        state = tally(case, settled)
        assert state.counts == Counter(OUTCOMES[code] for code in told.values())
        assert state.remaining(case) == case.items - len(told)
        if not state.remaining(case):
            break
        handed_out: list[tuple[int, int]] = []
        for part in case.parts:
            slicer = Slicer(part, Paper(manifest(part.number, part.items)), state)
            while (piece := slicer.take(data.draw(st.integers(1, 9)))) is not None:
                lines = [(part.number, piece.where.first + pick) for pick in piece.picks]
                assert list(piece.lines) == [line(*one) for one in lines]
                assert not set(lines) & told.keys(), "a line with an outcome was handed out again"
                handed_out += lines
                if data.draw(st.integers(0, 5)) == 0:
                    continue  # the worker died before it wrote an intent
                codes = data.draw(
                    st.lists(st.sampled_from("DDDAWNU--"), min_size=len(lines), max_size=len(lines))
                )
                written = [ELSEWHERE] * piece.where.items
                for pick, code, one in zip(piece.picks, codes, lines, strict=True):
                    written[pick] = code
                    if code != OPEN:
                        told[one] = code
                settled.append(batch(piece.where, "".join(written)))
        assert len(handed_out) == len(set(handed_out)), "a line was handed out twice in one run"
        assert len(handed_out) == state.remaining(case), "a line was lost"


def test_workers_side_by_side_share_the_lines() -> None:
    case = case_of(5000)
    reopened = batch(where(100, 50), "D" * 20 + "-" * 30)
    slicer = Slicer(case.parts[0], Paper(manifest(0, 5000)), tally(case, [reopened]))

    def work() -> list[bytes]:
        found: list[bytes] = []
        while (piece := slicer.take(7)) is not None:
            found += piece.lines
        return found

    with ThreadPoolExecutor(6) as pool:
        done = [one for future in [pool.submit(work) for _ in range(6)] for one in future.result()]
    assert sorted(done) == sorted(line(0, number) for number in range(5000) if not 100 <= number < 120)


def test_an_interrupted_range_comes_back_whole_and_first() -> None:
    case = case_of(10)
    slicer = Slicer(case.parts[0], Paper(manifest(0, 10)), tally(case, [batch(where(4, 3), "D-W")]))
    first = slicer.take(1)
    assert first == Slice(where=where(4, 3), picks=(1,), lines=(line(0, 5),))
    assert [len(piece.lines) for piece in iter(lambda: slicer.take(3), None)] == [3, 1, 3]


@pytest.mark.parametrize(
    ("batches", "complaint"),
    [
        ([(where(0, 3), "DDD"), (where(0, 3), "D.-")], "two outcomes"),
        ([(where(0, 3), "WDD"), (where(0, 3), "D..")], "two outcomes"),
        ([(where(0, 3), "DDD"), (where(2, 3), "DDD")], "overlap"),
        ([(where(0, 5), "DDDDD"), (where(1, 1), "D")], "overlap"),
        ([(where(0, 3), "DDD"), (where(0, 4), "...D")], "overlap"),
        ([(where(0, 3), "DD")], "overlap"),
        ([(where(0, 3), "DDDD")], "overlap"),
        ([(Range(part=0, offset=0, first=3, items=2), "DD"), (where(3, 2), "..")], "overlap"),
        ([(where(8, 3), "DDD")], "not part of its manifest"),
        ([(where(10, 1), "D")], "not part of its manifest"),
        ([(where(0, 1, part=1), "D")], "not part of its manifest"),
        ([(Range(part=0, offset=0, first=-1, items=1), "D")], "not part of its manifest"),
        ([(Range(part=0, offset=0, first=0, items=0), "")], "not part of its manifest"),
        ([(where(0, 3), "DxD")], "cannot be read"),
        ([(where(0, 3), "DCD")], "cannot be read"),
        ([(where(0, 3), "D\u00e9D")], "cannot be read"),
    ],
)
def test_a_ledger_that_contradicts_itself_is_found(batches: list[tuple[Range, str]], complaint: str) -> None:
    with pytest.raises(VerificationFailed, match=complaint):
        tally(case_of(10), [batch(*one) for one in batches])


def test_a_line_beyond_the_end_never_makes_up_for_one_that_was_left_out() -> None:
    """Ten outcomes for ten items, and yet one line was never looked at."""
    with pytest.raises(VerificationFailed):
        tally(case_of(10), [batch(where(0, 9), "D" * 9), batch(where(10, 1), "D")])


def test_a_gap_is_what_remains() -> None:
    case = case_of(4, 6)
    state = tally(case, [batch(where(0, 2), "DA"), batch(where(3, 3, part=1), "WNU")])
    assert state.remaining(case) == 5
    assert state.counts == Counter(
        [Outcome.DESTROYED, Outcome.ALREADY_ABSENT, Outcome.WITHHELD, Outcome.NOT_DESTROYED, Outcome.UNKNOWN]
    )
    left: list[Range] = []
    for part in case.parts:
        slicer = Slicer(part, Paper(manifest(part.number, part.items)), state)
        left += [piece.where for piece in iter(partial(slicer.take, 100), None)]
    assert left == [where(2, 2), where(0, 3, part=1)]


def test_a_manifest_that_became_shorter_is_found() -> None:
    case = case_of(10)
    slicer = Slicer(case.parts[0], Paper(manifest(0, 7)), tally(case, []))
    with pytest.raises(VerificationFailed, match="shorter"):
        slicer.take(10)
