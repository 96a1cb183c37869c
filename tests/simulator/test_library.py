"""The generators reach what they are for, and the simulator agrees with `decide` on everything they make."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, given, seed, settings

from retention.decide import Due, Keep, KeepReason, decide
from retention.outcomes import Presence
from tests.simulator.library import Shelf, shelves
from tests.simulator.store import SimulatorStore, parse, place_of
from tests.simulator.target import Target

EVERY_WAY: set[str] = {*KeepReason, "due", "late"}


def test_every_decision_turns_up() -> None:
    seen: set[str] = set()

    @given(shelves())
    @settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck), deadline=None)
    def look(shelf: Shelf) -> None:
        for record in shelf.records:
            decision = decide(record, shelf.asked, shelf.holds)
            if isinstance(decision, Keep):
                seen.add(decision.primary)
            else:
                seen.add("late" if decision.days_past_maximum(shelf.asked.on) else "due")

    for number in range(20):
        seed(number)(look)()
        if seen == EVERY_WAY:
            break
    assert seen == EVERY_WAY


@given(shelves())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_the_simulator_surveys_and_destroys_what_deciding_says(shelf: Shelf) -> None:
    target = Target()
    target.known.add(place_of(shelf.asked))
    for record in shelf.records:
        target.put(record)
    store = SimulatorStore(target)
    decisions = {record.key.reveal(): decide(record, shelf.asked, shelf.holds) for record in shelf.records}
    due = {key for key, decision in decisions.items() if isinstance(decision, Due)}
    written: list[bytes] = []
    found = store.survey(shelf.asked, shelf.holds, written.append, lambda looked_at: None)
    lines = b"".join(written).splitlines()
    assert {parse(line)[0] for line in lines} == due
    assert found.kept == Counter(
        decision.primary for decision in decisions.values() if isinstance(decision, Keep)
    )
    with store.batch(shelf.asked) as batch:
        assert batch.stage(lines, shelf.holds).chosen == tuple(range(len(lines)))
        batch.destroy()
        assert batch.read_back() == [Presence.ABSENT] * len(lines)
    assert {record.key.reveal() for record in shelf.records if not record.done} - due == {
        item.record.key.reveal() for item in target.at(place_of(shelf.asked)) if not item.record.done
    }
