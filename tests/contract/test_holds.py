"""What every store must do about holds: a held record is counted as held, withheld from every batch, and stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from retention.decide import Due, KeepReason, decide
from retention.holds import Hold, HoldState, Scope
from retention.records import Personal
from tests.contract.conftest import Build
from tests.contract.harness import ON, ZONE, HarnessFactory, Seed, StoreHarness, Supports
from tests.contract.shelf import (
    ADA,
    BELA,
    ago,
    destroy,
    due,
    existing,
    hold,
    hold_everything,
    is_due,
    shelf,
    survey,
)

Keeps = Callable[[Seed, Supports, str], bool]
"""Whether a hold keeps a seed, given what the store supports and its ``Location.subject``."""


@pytest.fixture
def supports(factory: HarnessFactory) -> Supports:
    return factory.supports


@pytest.fixture
def seeds(supports: Supports) -> list[Seed]:
    return shelf(supports)


@pytest.fixture
def harness(build: Build, seeds: list[Seed]) -> StoreHarness:
    return build(seeds)


def about(*subjects: str) -> Keeps:
    def keeps(one: Seed, supports: Supports, subject: str) -> bool:
        return one.subject in subjects if supports.subjects else subject != "none"

    return keeps


def seen_by(*cameras: str) -> Keeps:
    return lambda one, supports, subject: supports.cameras and one.camera in cameras


def in_branch(*branches: str) -> Keeps:
    return lambda one, supports, subject: not supports.branches or one.branch in branches


def around(first: int, last: int) -> Keeps:
    """Between so many and so many days ago; a store that knows no spans keeps everything."""

    def keeps(one: Seed, supports: Supports, subject: str) -> bool:
        if not supports.spans or one.trigger is None:
            return True
        return ago(first) <= one.trigger <= ago(last)

    return keeps


def both(one: Keeps, other: Keeps) -> Keeps:
    return lambda seed, supports, subject: one(seed, supports, subject) and other(seed, supports, subject)


def everything(one: Seed, supports: Supports, subject: str) -> bool:
    return True


def nothing(one: Seed, supports: Supports, subject: str) -> bool:
    return False


def subjects(*names: str) -> frozenset[Personal[str]]:
    return frozenset(Personal(name) for name in names)


DAY = timedelta(days=1)
TYPE = frozenset({"contract-suite"})
MONTH_AGO_BUT_NOT_TODAY = Scope(since=ago(92), until=ago(42))
SCOPES: dict[str, tuple[Scope, Keeps]] = {
    "record-type": (Scope(record_types=TYPE), everything),
    "several-record-types": (Scope(record_types=TYPE | {"another"}), everything),
    "another-record-type": (Scope(record_types=frozenset({"another"})), nothing),
    "another-store": (Scope(stores=frozenset({"another"})), nothing),
    "another-store-of-this-type": (Scope(record_types=TYPE, stores=frozenset({"another"})), nothing),
    "subject": (Scope(subjects=subjects(ADA)), about(ADA)),
    "several-subjects": (Scope(subjects=subjects(ADA, BELA, "zqcanary-o'hara")), about(ADA, BELA)),
    "subject-nobody-has": (Scope(subjects=subjects("zqcanary-' OR 1=1 --")), about("zqcanary-' OR 1=1 --")),
    "three-thousand-subjects": (
        Scope(subjects=subjects(*(f"zqcanary-{number}" for number in range(3000)), ADA)),
        about(ADA),
    ),
    "camera": (Scope(cameras=frozenset({"stacks"})), seen_by("stacks")),
    "several-cameras": (Scope(cameras=frozenset({"stacks", "garage"})), seen_by("stacks")),
    "camera-nobody-has": (Scope(cameras=frozenset({"garage"})), seen_by("garage")),
    "branch": (Scope(branches=frozenset({"main"})), in_branch("main")),
    "branch-nobody-has": (Scope(branches=frozenset({"mobile"})), in_branch("mobile")),
    "since": (Scope(since=ago(42)), around(42, -1)),
    "until": (Scope(until=ago(42)), around(9999, 42)),
    "time": (MONTH_AGO_BUT_NOT_TODAY, around(92, 42)),
    "time-with-margins": (
        Scope(since=ago(82), until=ago(52), margin_before=10 * DAY, margin_after=10 * DAY),
        around(92, 42),
    ),
    "subject-and-time": (
        Scope(subjects=subjects(ADA), since=ago(92), until=ago(42)),
        both(about(ADA), around(92, 42)),
    ),
    "camera-and-time": (
        Scope(cameras=frozenset({"stacks"}), since=ago(92), until=ago(42)),
        both(seen_by("stacks"), around(92, 42)),
    ),
    "all-at-once": (
        Scope(
            record_types=TYPE,
            subjects=subjects(ADA),
            branches=frozenset({"main"}),
            since=ago(92),
            until=ago(42),
        ),
        both(both(about(ADA), in_branch("main")), around(92, 42)),
    ),
}


@pytest.mark.parametrize("kind", SCOPES)
def test_what_a_hold_covers_is_withheld_and_nothing_else(
    harness: StoreHarness, seeds: list[Seed], supports: Supports, kind: str
) -> None:
    scope, keeps = SCOPES[kind]
    held = [hold(scope)]
    criteria = harness.criteria(ON)
    _, lines = survey(harness)
    harness.store.preserve(criteria, held)
    free = set()
    for one in seeds:
        record = harness.store.read(criteria, harness.key(one.number))
        assert record is not None
        if isinstance(decide(record, criteria, held), Due):
            free.add(one.number)
    assert free == {
        one.number for one in seeds if is_due(one) and not keeps(one, supports, criteria.location.subject)
    }
    found, surveyed = survey(harness, held)
    assert {harness.number(line) for line in surveyed} == free
    assert found.kept[KeepReason.HELD] == sum(
        keeps(one, supports, criteria.location.subject) for one in seeds
    )
    days = [
        one.trigger.astimezone(ZONE).date()
        for one in seeds
        if one.trigger is not None and keeps(one, supports, criteria.location.subject)
    ]
    assert (found.held_oldest, found.held_newest) == ((min(days), max(days)) if days else (None, None))
    done = destroy(harness, lines, held)
    assert set(done.chosen) == free
    assert done.absent == []
    assert existing(harness, seeds) == {one.number for one in seeds} - free


def test_a_hold_on_the_store_itself_keeps_everything_in_it(harness: StoreHarness) -> None:
    held = [hold(Scope(stores=frozenset({harness.store.name})))]
    _, lines = survey(harness)
    assert survey(harness, held)[1] == []
    assert destroy(harness, lines, held).chosen == []


@pytest.mark.parametrize("state", HoldState)
def test_a_hold_keeps_from_being_placed_until_it_is_released(
    harness: StoreHarness, seeds: list[Seed], state: HoldState
) -> None:
    held = [hold(Scope(record_types=TYPE), state=state)]
    _, lines = survey(harness)
    done = destroy(harness, lines, held)
    assert set(done.chosen) == (set() if state.keeps else due(seeds))


def test_a_sealed_hold_keeps_and_shows_only_as_not_eligible_where_nothing_else_keeps(
    harness: StoreHarness, seeds: list[Seed]
) -> None:
    held = [hold(Scope(record_types=TYPE), sealed=True)]
    before, lines = survey(harness)
    found, surveyed = survey(harness, held)
    assert surveyed == []
    assert found.kept == before.kept + Counter({KeepReason.NOT_ELIGIBLE: before.records})
    assert before.records
    assert destroy(harness, lines, held).staged.chosen == ()


def test_a_hold_of_any_kind_beside_others_still_keeps(harness: StoreHarness, seeds: list[Seed]) -> None:
    others: list[Hold] = [
        hold(
            Scope(subjects=subjects(f"zqcanary-{number}"), since=ago(9000), until=ago(8000)),
            id=f"hold-{number}",
        )
        for number in range(400)
    ]
    _, lines = survey(harness)
    harness.store.preserve(harness.criteria(ON), others)
    assert set(destroy(harness, lines[:1], others).chosen) == {harness.number(lines[0])}
    assert destroy(harness, lines[1:], [*others, hold_everything(harness)]).chosen == []


def test_a_record_held_after_the_survey_is_withheld_and_goes_once_the_hold_is_released(
    harness: StoreHarness, seeds: list[Seed]
) -> None:
    _, lines = survey(harness)
    assert destroy(harness, lines, [hold_everything(harness)]).chosen == []
    assert existing(harness, seeds) == {one.number for one in seeds}
    assert set(destroy(harness, lines, ()).chosen) == due(seeds)
