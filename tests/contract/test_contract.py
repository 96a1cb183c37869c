"""What every store must do: survey, choose, destroy, read back. Holds, gates and errors have files of their own beside.

Each test runs on every harness of `tests.contract.conftest`.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from retention.decide import Due, Keep, KeepReason, decide
from retention.outcomes import Fate, Presence
from tests.contract.conftest import Build
from tests.contract.harness import MAXIMUM_DAYS, ON, ZONE, HarnessFactory, Seed, StoreHarness, Supports
from tests.contract.shelf import ago, destroy, due, existing, is_due, many, seed, shelf, survey


@pytest.fixture
def supports(factory: HarnessFactory) -> Supports:
    return factory.supports


@pytest.fixture
def seeds(supports: Supports) -> list[Seed]:
    return shelf(supports)


@pytest.fixture
def harness(build: Build, seeds: list[Seed]) -> StoreHarness:
    return build(seeds)


# Survey


def test_a_survey_counts_what_deciding_on_each_record_says(harness: StoreHarness, seeds: list[Seed]) -> None:
    criteria = harness.criteria(ON)
    kept: Counter[KeepReason] = Counter()
    chosen = set()
    for one in seeds:
        record = harness.store.read(criteria, harness.key(one.number))
        assert record is not None
        decision = decide(record, criteria, ())
        if isinstance(decision, Keep):
            kept[decision.primary] += 1
        else:
            chosen.add(one.number)
    found, lines = survey(harness)
    assert chosen == due(seeds) == {harness.number(line) for line in lines}
    assert found.kept == kept
    assert found.due == len(lines) == len(chosen)
    assert found.population == len(seeds) == found.due + found.kept.total()
    assert found.location == criteria.location.name


def test_a_survey_says_how_old_and_how_late_the_due_ones_are(
    harness: StoreHarness, seeds: list[Seed]
) -> None:
    days = [one.trigger.astimezone(ZONE).date() for one in seeds if is_due(one) and one.trigger is not None]
    found, _ = survey(harness)
    assert (found.oldest, found.newest) == (min(days), max(days))
    assert found.past_maximum == sum(day + timedelta(days=MAXIMUM_DAYS) < ON for day in days)


def test_a_survey_of_an_empty_place_finds_nothing_to_destroy(build: Build) -> None:
    found, lines = survey(build([]))
    assert (lines, found.due, found.population, found.kept.total(), found.oldest) == ([], 0, 0, 0, None)


def test_a_survey_reports_its_progress(harness: StoreHarness, seeds: list[Seed]) -> None:
    told: list[int] = []
    harness.store.survey(harness.criteria(ON), (), lambda lines: None, told.append)
    assert told == sorted(told)
    assert all(0 <= looked_at <= len(seeds) for looked_at in told)


def test_two_surveys_write_the_same_manifest(harness: StoreHarness) -> None:
    first, second, elsewhere = survey(harness), survey(harness), survey(harness, store=harness.reopen())
    assert first[1] == second[1] == elsewhere[1]
    assert first[0] == second[0] == elsewhere[0]


def test_a_manifest_of_several_hundred_lines_is_complete_and_names_nothing_twice(
    build: Build, supports: Supports
) -> None:
    seeds = many(supports, 620)
    harness = build(seeds)
    numbers = [harness.number(line) for line in survey(harness)[1]]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) == due(seeds)


def test_looking_changes_nothing(harness: StoreHarness, seeds: list[Seed]) -> None:
    criteria = harness.criteria(ON)
    before = survey(harness)
    harness.store.check(criteria)
    list(harness.store.cannot_decide(criteria, (), 100))
    harness.store.read(criteria, harness.key(seeds[0].number))
    harness.store.presence(criteria, before[1])
    harness.store.claim(criteria)
    harness.store.barrier(10)
    assert survey(harness) == before
    assert existing(harness, seeds) == {one.number for one in seeds}


def test_a_sound_place_has_no_fatal_finding(harness: StoreHarness) -> None:
    assert not [finding for finding in harness.store.check(harness.criteria(ON)) if finding.fatal]


def test_the_store_has_the_name_that_the_schedule_gives_it(harness: StoreHarness) -> None:
    assert harness.store.name == harness.criteria(ON).location.store


# Reading


def test_a_record_is_read_with_what_a_decision_needs(
    harness: StoreHarness, seeds: list[Seed], supports: Supports
) -> None:
    criteria = harness.criteria(ON)
    for one in seeds:
        record = harness.store.read(criteria, harness.key(one.number))
        assert record is not None
        assert (record.record_type, record.store, record.location) == (
            criteria.record_type.id,
            criteria.location.store,
            criteria.location.name,
        )
        assert isinstance(decide(record, criteria, ()), Due) is is_due(one)
        if supports.tells and supports.subjects:
            assert (None if record.subject is None else record.subject.reveal()) == one.subject
        if supports.tells and supports.cameras:
            assert record.camera == one.camera
        if supports.tells and supports.branches:
            assert record.branch == one.branch
        if one.trigger is None:
            assert record.trigger is None


@pytest.mark.parametrize(
    "key", ["", "0", "-1", "no such key", "'; --", "../..", "\N{SNOWMAN}", "9" * 40, "x" * 5000]
)
def test_a_key_that_is_nowhere_reads_as_nothing(harness: StoreHarness, key: str) -> None:
    assert harness.store.read(harness.criteria(ON), key) is None
    assert harness.store.read(harness.criteria(ON), harness.key(7999999)) is None


def test_records_that_nobody_can_decide_on_are_named_up_to_the_limit(
    harness: StoreHarness, seeds: list[Seed]
) -> None:
    criteria = harness.criteria(ON)
    undated = {harness.key(one.number) for one in seeds if one.trigger is None}
    listed = list(harness.store.cannot_decide(criteria, (), 100))
    assert {key for key, _, _ in listed} == undated
    assert {reason for _, reason, _ in listed} <= {KeepReason.NO_TRIGGER}
    for limit in (0, 1):
        assert len(list(harness.store.cannot_decide(criteria, (), limit))) == min(limit, len(undated))


# Choosing


def test_a_batch_destroys_what_is_due_and_in_its_lines_and_nothing_else(
    harness: StoreHarness, seeds: list[Seed]
) -> None:
    _, lines = survey(harness)
    scattered = lines[0::2]
    wanted = {harness.number(line) for line in scattered}
    done = destroy(harness, scattered)
    assert set(done.chosen) == wanted
    assert done.absent == []
    assert done.seen == [Presence.ABSENT] * len(wanted)
    assert existing(harness, seeds) == {one.number for one in seeds} - wanted
    rest = destroy(harness, lines[1::2])
    assert set(rest.chosen) == due(seeds) - wanted
    assert existing(harness, seeds) == {one.number for one in seeds} - due(seeds)


def test_a_batch_without_lines_destroys_nothing(harness: StoreHarness, seeds: list[Seed]) -> None:
    done = destroy(harness, [])
    assert (done.staged.chosen, done.staged.absent, done.seen) == ((), (), [])
    assert existing(harness, seeds) == {one.number for one in seeds}


def test_a_record_that_became_due_after_the_survey_is_not_touched(
    harness: StoreHarness, seeds: list[Seed], supports: Supports
) -> None:
    _, lines = survey(harness)
    late = [Seed(number=seed(index, supports, None).number + 5, trigger=ago(70) + timedelta(hours=index),
                 camera="stacks" if supports.cameras else None) for index in range(4)]  # fmt: skip
    for one in late:
        harness.add(one)
    assert set(destroy(harness, lines).chosen) == due(seeds)
    assert existing(harness, late) == {one.number for one in late}


def test_one_gone_and_one_new_are_not_taken_for_each_other(
    harness: StoreHarness, seeds: list[Seed], supports: Supports
) -> None:
    _, lines = survey(harness)
    gone = harness.number(lines[2])
    harness.remove(gone)
    new = Seed(number=gone + 5, trigger=ago(50, ago(0).time()), camera="stacks" if supports.cameras else None)
    harness.add(new)
    done = destroy(harness, lines[1:4])
    assert done.absent == [gone]
    assert harness.exists(new.number)
    assert set(done.chosen) == {harness.number(lines[1]), harness.number(lines[3])}


def test_a_record_that_changed_after_the_survey_is_withheld(harness: StoreHarness) -> None:
    _, lines = survey(harness)
    changed = harness.number(lines[1])
    harness.change(changed)
    done = destroy(harness, lines)
    assert changed not in done.chosen
    assert changed not in done.absent
    assert harness.exists(changed)
    assert len(done.chosen) == len(lines) - 1


def test_a_record_that_is_gone_already_is_reported_absent(harness: StoreHarness) -> None:
    _, lines = survey(harness)
    gone = {harness.number(lines[0]), harness.number(lines[-1])}
    for number in gone:
        harness.remove(number)
    done = destroy(harness, lines)
    assert set(done.absent) == gone
    assert not gone & set(done.chosen)
    assert done.seen == [Presence.ABSENT] * (len(lines) - 2)


def test_nothing_is_destroyed_twice(harness: StoreHarness, supports: Supports) -> None:
    _, lines = survey(harness)
    destroy(harness, lines)
    again = destroy(harness, lines)
    assert again.chosen == []
    if supports.purges:
        assert len(again.absent) == len(lines)


def test_a_batch_that_is_left_without_destroying_leaves_everything(
    harness: StoreHarness, seeds: list[Seed]
) -> None:
    before = survey(harness)
    with harness.store.batch(harness.criteria(ON)) as batch:
        assert batch.stage(before[1], ()).chosen
    assert existing(harness, seeds) == {one.number for one in seeds}
    assert survey(harness) == before


class Interrupted(Exception):
    """Something else went wrong in the middle of a batch."""


def break_off(harness: StoreHarness, lines: list[bytes]) -> None:
    with harness.store.batch(harness.criteria(ON)) as batch:
        batch.stage(lines, ())
        raise Interrupted


def test_a_batch_that_breaks_off_leaves_everything_and_lets_go_of_the_gate(
    harness: StoreHarness, seeds: list[Seed]
) -> None:
    before = survey(harness)
    with pytest.raises(Interrupted):
        break_off(harness, before[1])
    harness.reopen().barrier(5)
    assert existing(harness, seeds) == {one.number for one in seeds}
    assert set(destroy(harness, before[1]).chosen) == due(seeds)


def test_after_destroying_a_survey_finds_only_the_rest(
    harness: StoreHarness, seeds: list[Seed], supports: Supports
) -> None:
    before, lines = survey(harness)
    destroy(harness, lines[:3])
    found, rest = survey(harness)
    assert rest == lines[3:]
    if supports.purges:
        assert (found.population, found.kept) == (len(seeds) - 3, before.kept)
    else:
        assert (found.population, found.kept) == (len(seeds), before.kept + Counter({KeepReason.DONE: 3}))


# Reading back


def test_a_read_back_sees_what_is_really_there(harness: StoreHarness) -> None:
    _, lines = survey(harness)
    returned = harness.number(lines[1])
    with harness.store.batch(harness.criteria(ON)) as batch:
        chosen = batch.stage(lines[:3], ()).chosen
        batch.destroy()
        harness.restore(returned)
        seen = batch.read_back()
    assert chosen == (0, 1, 2)
    assert seen == [Presence.ABSENT, Presence.PRESENT, Presence.ABSENT]


def test_presence_agrees_with_what_is_really_there(harness: StoreHarness) -> None:
    _, lines = survey(harness)
    assert set(harness.store.presence(harness.criteria(ON), lines)) == {Presence.PRESENT}
    destroy(harness, [lines[0], lines[3]])
    harness.remove(harness.number(lines[5]))
    for store in (harness.store, harness.reopen()):
        seen = store.presence(harness.criteria(ON), lines)
        assert [answer is Presence.PRESENT for answer in seen] == [
            harness.exists(harness.number(line)) for line in lines
        ]
        assert Presence.UNREADABLE not in seen
    assert harness.store.presence(harness.criteria(ON), []) == []


def test_a_store_with_transactions_knows_the_fate_of_each(harness: StoreHarness, supports: Supports) -> None:
    _, lines = survey(harness)
    done = destroy(harness, lines[:2])
    with harness.store.batch(harness.criteria(ON)) as batch:
        left = batch.stage(lines[2:4], ())
    other = harness.reopen()
    other.barrier(10)
    for store in (harness.store, other):
        if supports.transactions:
            assert done.staged.witness
            assert left.witness
            assert store.fate(done.staged.witness) is Fate.COMMITTED
            assert store.fate(left.witness) is Fate.ROLLED_BACK
        else:
            assert (done.staged.witness, left.witness) == ("", "")
            assert store.fate("") is Fate.NONE


def test_a_witness_says_nothing_about_the_records(harness: StoreHarness) -> None:
    _, lines = survey(harness)
    witness = destroy(harness, lines).staged.witness
    assert not [line for line in lines if str(harness.number(line)) in witness]
    assert len(witness) < 200


# What goes to the certificate


def test_references_are_stable_and_name_one_item_each(harness: StoreHarness) -> None:
    _, lines = survey(harness)
    before = [harness.store.reference(line) for line in lines]
    assert len(set(before)) == len(lines)
    assert all(before)
    destroy(harness, lines[:4])
    assert [harness.reopen().reference(line) for line in lines] == before


def test_a_claim_is_no_more_than_deleting_can_claim(harness: StoreHarness, supports: Supports) -> None:
    claim = harness.store.claim(harness.criteria(ON))
    assert claim.method == ("none-claimed" if supports.purges else "de-identify")
    assert claim.technique
    assert claim.verification
    assert claim.not_claimed


def test_a_store_may_be_closed_twice_and_takes_no_other_with_it(harness: StoreHarness) -> None:
    other = harness.reopen()
    assert survey(harness, store=other)[1]
    other.close()
    other.close()
    assert survey(harness)[1]
