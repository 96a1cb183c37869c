"""Merging holds changes no decision: it is only fewer words for the same question."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from retention.decide import Criteria, Due, decide
from retention.holds import Hold, HoldState, merged
from retention.records import Record
from tests.simulator.library import criteria, holds, records


@given(st.data())
def test_merged_holds_keep_exactly_the_same_records(data: st.DataObject) -> None:
    asked: Criteria = data.draw(criteria())
    record: Record = data.draw(records(asked))
    placed: list[Hold] = [data.draw(holds(number)) for number in range(data.draw(st.integers(0, 6)))]
    alone, together = decide(record, asked, placed), decide(record, asked, merged(placed))
    assert isinstance(alone, Due) is isinstance(together, Due)
    if not isinstance(alone, Due) and not isinstance(together, Due):
        assert alone.reasons == together.reasons


@given(st.lists(st.integers(0, 3).flatmap(holds), max_size=8))
def test_a_released_hold_is_not_among_them_and_none_that_keeps_is_lost(placed: list[Hold]) -> None:
    fewer = merged(placed)
    assert all(hold.state is not HoldState.RELEASED for hold in fewer)
    assert {subject for hold in placed if hold.state.keeps for subject in hold.scope.subjects} == {
        subject for hold in fewer for subject in hold.scope.subjects
    }
