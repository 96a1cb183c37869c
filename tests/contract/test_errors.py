"""What every store must do when it cannot: say so, without a record's data, and never take silence for absence."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from retention.errors import RetentionError, StoreUnavailable
from retention.holds import Scope
from retention.outcomes import Presence
from retention.records import Personal
from tests.contract.conftest import Build
from tests.contract.harness import ON, HarnessFactory, Seed, StoreHarness, Supports
from tests.contract.shelf import ADA, existing, hold, shelf, survey, without_data


@pytest.fixture
def supports(factory: HarnessFactory) -> Supports:
    return factory.supports


@pytest.fixture
def seeds(supports: Supports) -> list[Seed]:
    return shelf(supports)


@pytest.fixture
def harness(build: Build, seeds: list[Seed]) -> StoreHarness:
    return build(seeds)


def test_a_broken_place_is_a_fatal_finding_or_unavailable(harness: StoreHarness) -> None:
    harness.ruin()
    for store in (harness.store, harness.reopen()):
        try:
            findings = store.check(harness.criteria(ON))
        except StoreUnavailable:
            continue
        assert [finding for finding in findings if finding.fatal]


def test_a_broken_place_is_not_surveyed_as_an_empty_one(harness: StoreHarness) -> None:
    harness.ruin()
    with pytest.raises(StoreUnavailable):
        survey(harness)


def test_nothing_in_a_broken_place_counts_as_absent(harness: StoreHarness) -> None:
    """An unmounted disk, a dropped table: whoever takes that for absence certifies what did not happen."""
    _, lines = survey(harness)
    harness.ruin()
    for store in (harness.store, harness.reopen()):
        try:
            seen = store.presence(harness.criteria(ON), lines)
        except StoreUnavailable:
            continue
        assert seen == [Presence.UNREADABLE] * len(lines)


def test_a_batch_in_a_broken_place_chooses_nothing_and_calls_nothing_absent(harness: StoreHarness) -> None:
    _, lines = survey(harness)
    harness.ruin()
    with suppress(StoreUnavailable), harness.store.batch(harness.criteria(ON)) as batch:
        staged = batch.stage(lines, ())
        assert (staged.chosen, staged.absent) == ((), ())


def test_a_place_that_breaks_in_the_middle_of_a_batch_reads_back_as_unreadable_not_as_absent(
    harness: StoreHarness, supports: Supports
) -> None:
    """After the commit, before the read-back."""
    _, lines = survey(harness)
    with suppress(StoreUnavailable), harness.store.batch(harness.criteria(ON)) as batch:
        staged = batch.stage(lines[:2], ())
        batch.destroy()
        harness.ruin()
        assert batch.read_back() == [Presence.UNREADABLE] * len(staged.chosen)


def test_errors_of_a_broken_place_carry_no_data(harness: StoreHarness, seeds: list[Seed]) -> None:
    criteria = harness.criteria(ON)
    _, lines = survey(harness)
    held = [hold(Scope(subjects=frozenset({Personal(ADA)})))]
    harness.ruin()
    for store in (harness.store, harness.reopen()):
        with without_data(harness, seeds):
            store.check(criteria)
        with without_data(harness, seeds):
            survey(harness, held, store)
        with without_data(harness, seeds):
            list(store.cannot_decide(criteria, held, 10))
        with without_data(harness, seeds):
            store.read(criteria, harness.key(seeds[0].number))
        with without_data(harness, seeds):
            store.presence(criteria, lines)
        with without_data(harness, seeds):
            store.barrier(5)
        with without_data(harness, seeds), store.batch(criteria) as batch:
            batch.stage(lines, held)
            batch.destroy()


SECRET = "zqcanary-secret"  # what must not show
MALFORMED = [
    b"",
    b"zqcanary-secret",
    b'"zqcanary-secret',
    b'{"zqcanary-secret": 1}',
    b"[]",
    b"null",
    b"[[[]]]",
    b"\xff\xfezqcanary-secret",
    json.dumps(["zqcanary-secret", "../../zqcanary-secret", "/etc/passwd"]).encode(),
    json.dumps("../../zqcanary-secret").encode(),
]


@pytest.mark.parametrize("line", MALFORMED)
def test_a_line_that_the_store_never_wrote_destroys_nothing_and_shows_in_no_error(
    harness: StoreHarness, seeds: list[Seed], line: bytes
) -> None:
    criteria = harness.criteria(ON)
    with without_data(harness, seeds, SECRET):
        harness.store.reference(line)
    with without_data(harness, seeds, SECRET):
        assert harness.store.presence(criteria, [line]) != [Presence.PRESENT]
    with without_data(harness, seeds, SECRET), harness.store.batch(criteria) as batch:
        assert batch.stage([line], ()).chosen == ()
        batch.destroy()
    assert existing(harness, seeds) == {one.number for one in seeds}


def test_errors_survive_being_sent_to_another_process(harness: StoreHarness) -> None:
    import pickle

    harness.ruin()
    with pytest.raises(RetentionError) as caught:
        survey(harness)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own error, made one line above
    assert (type(again), str(again), again.hint) == (type(caught.value), str(caught.value), caught.value.hint)
