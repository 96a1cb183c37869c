"""Observations become outcomes in one place, and doubt never becomes *destroyed*."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.errors import StoreUnavailable
from retention.outcomes import CODES, OPEN, OUTCOMES, Fate, Outcome, Presence
from storage.contract import Staged
from storage.ledger.batches import CHOSEN, ELSEWHERE, Range
from storage.letters import final_runs, outcome_letters, seen_letter, settled_letter, staged_letters
from storage.worklist import Slice

D, N, U = CODES[Outcome.DESTROYED], CODES[Outcome.NOT_DESTROYED], CODES[Outcome.UNKNOWN]

SETTLED = {
    (Fate.COMMITTED, Presence.ABSENT): D,
    (Fate.COMMITTED, Presence.PRESENT): N,
    (Fate.COMMITTED, Presence.UNREADABLE): U,
    (Fate.ROLLED_BACK, Presence.ABSENT): OPEN,
    (Fate.ROLLED_BACK, Presence.PRESENT): OPEN,
    (Fate.ROLLED_BACK, Presence.UNREADABLE): U,
    (Fate.NONE, Presence.ABSENT): D,
    (Fate.NONE, Presence.PRESENT): OPEN,
    (Fate.NONE, Presence.UNREADABLE): U,
    (Fate.UNKNOWN, Presence.ABSENT): U,
    (Fate.UNKNOWN, Presence.PRESENT): OPEN,
    (Fate.UNKNOWN, Presence.UNREADABLE): U,
}


@pytest.mark.parametrize(("fate", "presence"), list(product(Fate, Presence)))
def test_after_a_crash_every_pair_of_answers_has_one_outcome(fate: Fate, presence: Presence) -> None:
    assert settled_letter(fate, presence) == SETTLED[fate, presence]


def test_destroyed_needs_an_absence_that_was_seen_and_a_store_that_does_not_doubt_its_commit() -> None:
    """A store without transactions has only the read-back to ask: what it was about to unlink is gone."""
    said = {pair for pair in product(Fate, Presence) if settled_letter(*pair) == D}
    assert said == {(Fate.COMMITTED, Presence.ABSENT), (Fate.NONE, Presence.ABSENT)}


def test_without_a_crash_only_an_absence_is_destroyed() -> None:
    assert {presence: seen_letter(presence) for presence in Presence} == {
        Presence.ABSENT: D,
        Presence.PRESENT: N,
        Presence.UNREADABLE: U,
    }


@st.composite
def slices(draw: st.DrawFn) -> Slice:
    items = draw(st.integers(1, 12))
    picks = tuple(sorted(draw(st.sets(st.integers(0, items - 1), min_size=1))))
    lines = tuple(b"%d" % pick for pick in picks)
    return Slice(where=Range(part=0, offset=0, first=0, items=items), picks=picks, lines=lines)


@given(slices(), st.data())
def test_staged_and_seen_come_back_at_their_own_lines(piece: Slice, data: st.DataObject) -> None:
    fates = data.draw(st.lists(st.sampled_from("CAW"), min_size=len(piece.lines), max_size=len(piece.lines)))
    chosen = tuple(index for index, letter in enumerate(fates) if letter == "C")
    staged = Staged(chosen=chosen, absent=tuple(index for index, letter in enumerate(fates) if letter == "A"))
    letters = staged_letters(piece, staged)
    assert len(letters) == piece.where.items
    assert [letters[pick] for pick in piece.picks] == fates
    assert {letters[line] for line in set(range(piece.where.items)) - set(piece.picks)} <= {ELSEWHERE}
    seen = data.draw(st.lists(st.sampled_from([D, N, U, OPEN]), min_size=len(chosen), max_size=len(chosen)))
    codes = outcome_letters(letters, seen)
    assert len(codes) == len(letters)
    assert [codes[piece.picks[index]] for index in chosen] == seen
    for staged_as, code in zip(letters, codes, strict=True):
        assert staged_as in (CHOSEN, code)
        assert code not in {D, N, U, OPEN} or staged_as == CHOSEN
    runs = list(final_runs(codes))
    assert [line for run in runs for line in run] == [
        line for line, code in enumerate(codes) if code in OUTCOMES
    ]
    assert all(run == list(range(run[0], run[-1] + 1)) for run in runs)
    assert all(before[-1] + 1 < after[0] for before, after in pairwise(runs))


PIECE = Slice(where=Range(part=0, offset=0, first=0, items=3), picks=range(3), lines=(b"1", b"2", b"3"))


@pytest.mark.parametrize(
    ("chosen", "absent"),
    [((1, 0), ()), ((0, 0), ()), ((3,), ()), ((-1,), ()), ((), (2, 1)), ((), (3,)), ((0, 1), (1,))],
)
def test_a_store_that_breaks_its_contract_is_stopped_before_anything_goes(
    chosen: tuple[int, ...], absent: tuple[int, ...]
) -> None:
    with pytest.raises(StoreUnavailable, match="not given"):
        staged_letters(PIECE, Staged(chosen=chosen, absent=absent))


@pytest.mark.parametrize("seen", [[], [D], [D, D, D]])
def test_too_many_or_too_few_answers_are_nobodys(seen: list[str]) -> None:
    with pytest.raises(StoreUnavailable, match="another number"):
        outcome_letters("CWC", seen)
