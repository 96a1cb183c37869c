"""Deciding many at once comes out as deciding on each."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from retention.condition import Compare
from retention.decide import decide
from retention.holds import Hold, HoldState, Scope
from retention.layout import Placed
from storage.files.deciding import decide_all
from storage.files.facts import Facts, Found, Sighting
from storage.files.lines import Identity
from tests.storage.files.shelf import FRIGATE, NOW, criteria_for

ON = date(2026, 3, 20)
AROUND = datetime(2026, 2, 18, tzinfo=UTC)
"""Thirty days before `ON`, so that both sides of the cut are met."""
IT = Found(Identity(1, 1, 1, 1), 1, 1, 1, "")

moments = st.integers(-3 * 86_400, 3 * 86_400).map(lambda seconds: AROUND + timedelta(seconds=seconds))
cameras = st.sampled_from(["door", "hall", None])
lengths = st.none() | st.integers(0, 7200).map(lambda seconds: timedelta(seconds=seconds))


@st.composite
def sightings(draw: st.DrawFn) -> Sighting:
    start, length = draw(st.none() | moments), draw(lengths)
    trigger = draw(st.none() | moments)
    undecidable = draw(st.sampled_from([None, None, None, "odd"]))
    end = None if start is None or length is None else start + length
    camera = draw(cameras)
    return Sighting("a", IT, Placed(camera=camera), camera, start, end, trigger, undecidable)


holds = st.builds(
    Hold,
    id=st.sampled_from(["one", "two"]),
    state=st.sampled_from(HoldState),
    sealed=st.booleans(),
    scope=st.builds(
        Scope,
        cameras=st.sampled_from([frozenset(), frozenset({"door"}), frozenset({"garage"})]),
        record_types=st.sampled_from([frozenset(), frozenset({"files"}), frozenset({"other"})]),
        since=st.none() | moments,
        until=st.none() | moments,
    ),
)
conditions = st.sampled_from([None, None, Compare("camera", "=", "door")])


@given(st.lists(sightings(), max_size=30), st.lists(holds, max_size=3), conditions)
def test_deciding_on_all_comes_out_as_deciding_on_each(
    seen: list[Sighting], held: list[Hold], when: Compare | None
) -> None:
    criteria = criteria_for(FRIGATE, ON, when)
    facts = Facts(criteria, NOW)
    expected = [decide(facts.record(one), criteria, held) for one in seen]
    assert decide_all(criteria, facts, held, seen) == expected
