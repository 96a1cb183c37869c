"""Holds on sealed objects: a held object outlives its cohort, opens as long as its hold lives, and comes back when it is released."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from retention.errors import KeyDestroyed, KeyUnreadable, Refused
from retention.holds import HoldState, Scope
from retention.records import Span
from retention.schedule import Camera, TreeLocation
from storage.keys import reconciling
from storage.keys.ground import Ground, write_down
from storage.keys.values import NewObject, ObjectState
from tests.storage.files.shelf import FRIGATE, criteria_for
from tests.storage.keys.vault import NOW, OTHER_PLACE, PLACE, RECORD_TYPE, Vault, criteria, facts, hold


def opens(vault: Vault, one: NewObject) -> bool:
    try:
        with vault.store.key_of(one.id) as key:
            return bytes(key.reveal()) == bytes(one.key.reveal())
    except KeyDestroyed:
        return False


def looked(vault: Vault, *holds: Any, place: str = PLACE) -> list[int]:
    with vault.store.gate(at=vault.now()) as writing:
        return [writing.looked_at(one, criteria(place)) for one in holds]


def test_what_a_hold_keeps_leaves_its_cohort_and_outlives_it(vault: Vault) -> None:
    held, free = vault.seal(1, subject="p1"), vault.seal(2, subject="p2")
    cohort = vault.cohort_of(held.id)
    assert vault.hold(hold("H-1", "p1")) == 1
    found = vault.store.object(held.id)
    assert (found.cohort, found.holds) == (None, ("H-1",))
    assert vault.store.cohorts(RECORD_TYPE, PLACE)[0].objects == 1
    vault.destroy(cohort)
    vault.store.rotate(at=vault.now())
    vault.reopen()
    assert opens(vault, held)
    assert not opens(vault, free)


def test_an_object_under_a_hold_is_not_destroyed_even_if_asked(vault: Vault) -> None:
    held = vault.seal(1, subject="p1")
    vault.store.withdraw(held.id, reason="consent withdrawn", at=vault.now())
    vault.hold(hold("H-1", "p1"))
    with pytest.raises(Refused, match="not eligible"):
        vault.destroy(held.id)
    assert opens(vault, held)


def test_under_several_holds_it_lives_until_the_last_is_released(vault: Vault) -> None:
    held = vault.seal(1, subject="p1")
    first, second = hold("H-1", "p1"), hold("H-2", "p1", record_types=frozenset({RECORD_TYPE}))
    vault.hold(first)
    vault.hold(first, second)
    assert vault.store.object(held.id).holds == ("H-1", "H-2")
    vault.hold(second)
    assert vault.store.object(held.id).holds == ("H-2",)
    assert opens(vault, held)
    vault.hold()
    found = vault.store.object(held.id)
    assert found.holds == ()
    vault.destroy(str(found.cohort))
    assert not opens(vault, held)


def test_a_released_object_goes_back_into_the_living_cohort_of_its_period(vault: Vault) -> None:
    held, other = vault.seal(5, subject="p1"), vault.seal(9, subject="p2")
    cohort = vault.cohort_of(other.id)
    vault.hold(hold("H-1", "p1"))
    vault.hold()
    assert vault.cohort_of(held.id) == cohort
    assert vault.store.cohorts(RECORD_TYPE, PLACE)[0].objects == 2


def test_when_its_cohort_has_died_meanwhile_it_gets_a_new_one_of_its_period(vault: Vault) -> None:
    held, other = vault.seal(5, subject="p1"), vault.seal(9, subject="p2")
    old = vault.cohort_of(other.id)
    vault.hold(hold("H-1", "p1"))
    vault.destroy(old)
    vault.hold()
    cohort = vault.store.cohorts(RECORD_TYPE, PLACE)[0]
    assert cohort.id != old
    assert (cohort.period, cohort.objects, cohort.trigger_last) == (
        "2025-01",
        1,
        vault.store.object(held.id).trigger,
    )
    assert opens(vault, held)


def test_the_key_of_a_hold_is_destroyed_when_its_hold_is_gone(vault: Vault) -> None:
    vault.seal(1, subject="p1")
    vault.hold(hold("H-1", "p1"))
    assert vault.rows("SELECT count(*) FROM wrap WHERE purpose = 'hold'") == [(1,)]
    vault.hold()
    assert vault.rows("SELECT count(*) FROM wrap WHERE purpose = 'hold'") == [(0,)]


def test_a_hold_may_come_again_after_its_key_was_destroyed(vault: Vault) -> None:
    held = vault.seal(1, subject="p1")
    for _ in range(2):
        vault.hold(hold("H-1", "p1"))
        assert vault.store.object(held.id).holds == ("H-1",)
        vault.hold()
    assert opens(vault, held)


def test_a_hold_at_two_places_keeps_its_key_until_both_have_let_go(vault: Vault) -> None:
    here, there = vault.seal(1, subject="p1"), vault.seal(1, subject="p1", place=OTHER_PLACE)
    for place in (PLACE, OTHER_PLACE):
        vault.hold(hold("H-1", "p1"), place=place)
    vault.hold(place=PLACE)
    assert vault.store.object(here.id).holds == ()
    assert vault.store.object(there.id).holds == ("H-1",)
    assert opens(vault, there)
    vault.hold(place=OTHER_PLACE)
    assert opens(vault, here)
    assert opens(vault, there)


def test_a_hold_has_looked_up_to_the_newest_object_that_was_finished(vault: Vault) -> None:
    one = hold("H-1", "p1")
    assert looked(vault, one) == [-1]
    first = vault.seal(1)
    vault.hold(one)
    assert looked(vault, one) == [vault.store.object(first.id).seq]
    later = vault.seal(2)
    cohort = vault.store.cohorts(RECORD_TYPE, PLACE)[0]
    assert looked(vault, one)[0] < cohort.last_seq
    vault.hold(one)
    assert looked(vault, one) == [cohort.last_seq] == [vault.store.object(later.id).seq]
    assert looked(vault, one, place=OTHER_PLACE) == [-1]


def test_under_other_terms_a_hold_has_not_looked_yet(vault: Vault) -> None:
    vault.seal(1)
    one = hold("H-1", "p1")
    vault.hold(one)
    assert looked(vault, one) != [-1]
    widened = replace(one, epoch=one.epoch + 1)
    later = replace(one, scope=replace(one.scope, until=NOW))
    assert looked(vault, widened, later) == [-1, -1]


def test_a_hold_that_no_longer_matches_lets_go(vault: Vault) -> None:
    held = vault.seal(1, subject="p1", camera="entrance")
    vault.hold(hold("H-1", cameras=frozenset({"entrance"})))
    assert vault.store.object(held.id).holds == ("H-1",)
    vault.hold(replace(hold("H-1", cameras=frozenset({"stairs"})), epoch=1))
    assert vault.store.object(held.id).holds == ()
    assert opens(vault, held)


def test_a_hold_matches_by_the_facts_that_are_sealed(vault: Vault) -> None:
    span = Span(start=NOW - timedelta(hours=2), end=NOW - timedelta(hours=1))
    inside = vault.seal(1, camera="entrance", branch="main", span=span)
    before = vault.seal(
        2, camera="entrance", branch="main", span=Span(start=None, end=NOW - timedelta(days=3))
    )
    scope = Scope(
        cameras=frozenset({"entrance"}), branches=frozenset({"main"}), since=NOW - timedelta(hours=1)
    )
    vault.hold(replace(hold("H-1"), scope=scope))
    assert [vault.store.object(one.id).holds for one in (inside, before)] == [("H-1",), ()]


def test_a_released_hold_in_the_list_keeps_nothing(vault: Vault) -> None:
    made = vault.seal(1, subject="p1")
    vault.hold(replace(hold("H-1", "p1"), state=HoldState.RELEASED))
    assert vault.store.object(made.id).holds == ()


def test_what_is_destroyed_is_not_looked_at(vault: Vault) -> None:
    gone = vault.seal(1, subject="p1")
    vault.destroy(vault.cohort_of(gone.id))
    assert vault.hold(hold("H-1", "p1")) == 0
    assert vault.store.object(gone.id).state is ObjectState.DESTROYED


def test_an_object_that_is_being_sealed_is_looked_at_when_it_is_finished(vault: Vault) -> None:
    one = hold("H-1", "p1")
    made = vault.store.begin_sealing(facts(subject="p1"), period="2025-01", at=vault.now())
    vault.seal(2, subject="p2")
    vault.hold(one)
    vault.store.finish_sealing(made.id, sealed_size=1, digest="ab", at=vault.now())
    cohort = vault.store.cohorts(RECORD_TYPE, PLACE)[0]
    assert looked(vault, one)[0] < cohort.last_seq
    vault.hold(one)
    assert vault.store.object(made.id).holds == ("H-1",)


def test_many_objects_move_in_strides_and_a_killed_push_down_goes_on(
    sqlite_vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = sqlite_vault
    monkeypatch.setattr(reconciling, "STRIDE", 3)
    made = [vault.seal(1, subject=f"p{number % 2}") for number in range(11)]
    calls = 0

    def fails_once(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        write_down(*arguments)

    monkeypatch.setattr("storage.keys.reconciling.write_down", fails_once)
    one = hold("H-1", "p1")
    with pytest.raises(KeyboardInterrupt):
        vault.hold(one)
    assert 0 < looked(vault, one)[0] < 11
    vault.hold(one)
    assert [bool(vault.store.object(each.id).holds) for each in made] == [
        number % 2 == 1 for number in range(11)
    ]
    vault.hold()
    assert all(vault.store.object(each.id).cohort for each in made)
    assert vault.store.cohorts(RECORD_TYPE, PLACE)[0].objects == 11


def test_an_object_that_cannot_be_read_stops_the_push_down(vault: Vault) -> None:
    """Not known to be complete: then it must not be told to be."""
    vault.seal(1, subject="p1")
    with vault.store.db.writing() as connection:
        connection.exec_driver_sql("DELETE FROM wrap WHERE purpose = 'data'")
    one = hold("H-1", "p1")
    with pytest.raises(KeyUnreadable):
        vault.hold(one)
    assert looked(vault, one) == [-1]


def test_a_push_down_with_an_older_list_of_holds_opens_nothing_to_destruction(vault: Vault) -> None:
    """It was given the holds before H-2 was placed, and comes after H-2's own: what it lets go of, H-2 has to look at again.

    H-2 keeps something elsewhere too, so its key lives on and says nothing.
    """
    held = vault.seal(1, subject="p1")
    vault.seal(1, subject="p1", place=OTHER_PLACE)
    late = hold("H-2", "p1")
    vault.hold(late)
    vault.hold(late, place=OTHER_PLACE)
    vault.hold()
    assert vault.store.object(held.id).holds == ()
    assert looked(vault, late) == [-1], "step 5 withholds what a hold in force has not looked at"
    vault.hold(late)
    assert vault.store.object(held.id).holds == ("H-2",)


def footage(**more: Any) -> TreeLocation:
    return replace(FRIGATE, **more)


def sealed_footage(vault: Vault, number: int, camera: str | None) -> NewObject:
    return vault.seal(
        number, subject=None, record_type="files", location="recordings", store="disk", camera=camera,
        span=Span(start=NOW - timedelta(hours=1), end=NOW),
    )  # fmt: skip


def test_a_hold_on_any_name_of_a_camera_keeps_what_was_sealed_under_each(vault: Vault) -> None:
    before, now = sealed_footage(vault, 1, "lot"), sealed_footage(vault, 2, "parking")
    other = sealed_footage(vault, 3, "lobby")
    ground = Ground.of(
        criteria_for(footage(cameras={"parking": Camera(also_called=("lot",)), "lobby": Camera()}))
    )
    for name in ("lot", "parking"):
        vault.store.reconcile(ground, [hold("H-1", cameras=frozenset({name}))], at=vault.now())
        kept = [vault.store.object(one.id).holds for one in (before, now, other)]
        assert kept == [("H-1",), ("H-1",), ()]
        vault.store.reconcile(ground, [], at=vault.now())


def test_another_register_of_cameras_has_every_hold_look_again(vault: Vault) -> None:
    old = sealed_footage(vault, 1, "lot")
    placed = hold("H-1", cameras=frozenset({"parking"}))
    vault.store.reconcile(Ground.of(criteria_for(footage())), [placed], at=vault.now())
    assert vault.store.object(old.id).holds == ()
    renamed = criteria_for(footage(cameras={"parking": Camera(also_called=("lot",))}))
    with vault.store.gate(at=vault.now()) as writing:
        assert writing.looked_at(placed, renamed) == -1
    vault.store.reconcile(Ground.of(renamed), [placed], at=vault.now())
    assert vault.store.object(old.id).holds == ("H-1",)


def test_sealed_footage_whose_name_tells_no_camera_is_kept_by_every_hold_on_one(vault: Vault) -> None:
    any_of_them = sealed_footage(vault, 1, None)
    nameless = criteria_for(footage(template="{Y}-{m}-{d}/{H}.{M}.{S}.mp4"))
    vault.store.reconcile(Ground.of(nameless), [hold("H-1", cameras=frozenset({"door"}))], at=vault.now())
    assert vault.store.object(any_of_them.id).holds == ("H-1",)
