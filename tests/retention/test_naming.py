"""Holds in a location's own words: an old camera name, copies in a vault, footage that names no camera."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from retention.holds import Hold, HoldState, Scope
from retention.naming import Naming
from retention.records import Personal
from retention.schedule import Camera, TableLocation, TreeLocation, TriggerKind

ZONE = ZoneInfo("America/Denver")
FOOTAGE = TreeLocation(
    name="recordings",
    store="cameras",
    zone=ZONE,
    trigger_kind=TriggerKind.NAME,
    subject="unknown",
    path="",
    template="{camera}/{Y}-{m}-{d}/{H}.{M}.{S}.mp4",
    max_length=10.0,
    cameras={"door": Camera(also_called=("entry", "door-sub")), "hall": Camera()},
)
NAMELESS = replace(FOOTAGE, template="{Y}-{m}-{d}/{H}.{M}.{S}.mp4", cameras={})
COPIES = replace(FOOTAGE, store="vault", vault_of="cameras")
LOANS = TableLocation(
    name="loans", store="ils", zone=ZONE, trigger_kind=TriggerKind.TIMESTAMP, subject="usr", table="loan", key="id", trigger="ended"
)  # fmt: skip


def applied(location: TableLocation | TreeLocation, scope: Scope) -> Scope:
    placed = Hold(id="H-1", state=HoldState.ACTIVE, scope=scope)
    (found,) = Naming.of(location).holds([placed])
    assert replace(found, scope=scope) == placed, "nothing but the scope may change"
    return found.scope


@pytest.mark.parametrize("name", ["entry", "door-sub", "door"])
def test_a_hold_on_any_name_a_camera_had_is_one_on_its_present_name(name: str) -> None:
    assert applied(FOOTAGE, Scope(cameras=frozenset({name, "hall"}))).cameras == {"door", "hall"}
    assert Naming.of(FOOTAGE).camera(name) == "door"


def test_a_camera_that_nobody_renamed_keeps_its_name() -> None:
    assert applied(FOOTAGE, Scope(cameras=frozenset({"attic"}))).cameras == {"attic"}
    assert Naming.of(FOOTAGE).camera("attic") == "attic"
    assert Naming.of(FOOTAGE).camera(None) is None


def test_footage_that_names_no_camera_may_be_of_any_so_a_hold_on_one_keeps_it() -> None:
    since = datetime(2026, 3, 1, 14, tzinfo=UTC)
    scope = Scope(cameras=frozenset({"door"}), since=since)
    assert applied(NAMELESS, scope) == Scope(since=since)


def test_files_that_are_no_footage_are_of_no_camera_and_a_hold_on_one_stays_as_it_is() -> None:
    scope = Scope(cameras=frozenset({"door"}))
    assert applied(replace(NAMELESS, max_length=0.0), scope) == scope


def test_a_hold_on_a_store_is_one_on_the_copies_made_of_it() -> None:
    assert applied(COPIES, Scope(stores=frozenset({"cameras"}))).stores == {"cameras", "vault"}


def test_a_hold_on_another_store_or_on_none_is_not_widened_to_the_copies() -> None:
    for stores in (frozenset({"ils"}), frozenset({"vault"}), frozenset[str]()):
        assert applied(COPIES, Scope(stores=stores, subjects=frozenset({Personal("7")}))).stores == stores


def test_the_store_itself_is_not_taken_for_its_copies() -> None:
    assert applied(FOOTAGE, Scope(stores=frozenset({"cameras"}))).stores == {"cameras"}


def test_a_table_has_neither_cameras_nor_copies_so_holds_apply_as_they_are() -> None:
    scope = Scope(
        stores=frozenset({"ils"}), cameras=frozenset({"entry"}), subjects=frozenset({Personal("7")})
    )
    assert applied(LOANS, scope) == scope


def test_a_layout_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="brace"):
        Naming.of(replace(FOOTAGE, template="{camera/{Y}.mp4"))
