"""``check``, ``schema`` and ``explain``: what a schedule says, and what it says of one record."""

from __future__ import annotations

import json

import pytest

from tests.console.golden import same_as_before, transcript
from tests.console.library import Library


def test_a_good_schedule_is_said_to_be_good_with_what_was_checked(bare: Library) -> None:
    said = bare.done("check")
    assert "3 record types, 3 rules, 3 locations, 0 examples" in said.out
    document = bare.done("check", "--json").json
    assert (document["format"], document["ok"], document["problems"]) == ("retention.check/1", True, [])


def test_a_schedule_is_checked_without_settings_ledger_or_stores(
    bare: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in bare.settings():
        monkeypatch.delenv(name)
    bare.done("check", bare.policies)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('minimum = "P30D"\nmaximum = "P90D"', 'minimum = "P90D"\nmaximum = "P30D"'),
        ("America/Denver", "Mars/Olympus"),
        ('cutoff = "day"', 'cutof = "day"'),
        ('"balance > 0"', '"abs(balance) > 0"'),
        ('"balance > 0"', '"balance > (select 1)"'),
    ],
    ids=["minimum over maximum", "no such zone", "unknown key", "function call", "subquery"],
)
def test_every_problem_has_its_line_and_ends_with_4(bare: Library, old: str, new: str) -> None:
    bare.amend(old, new)
    said = bare("check")
    assert said.code == 4
    assert f"{bare.policies}:" in said.out
    assert "error[P" in said.out
    assert "problem" in said.err
    document = bare("check", "--json").json
    assert document["ok"] is False
    assert {"file", "line", "code", "message", "hint"} == set(document["problems"][0])


def test_nothing_runs_under_a_schedule_with_problems(library: Library) -> None:
    library.amend("America/Denver", "Mars/Olympus")
    assert library("run", "--execute").code == 4
    assert len(library.loans()) == 10


def test_a_missing_schedule_is_a_wrong_call(bare: Library) -> None:
    assert bare("check", bare.root / "nothing.toml").code == 2
    bare.policies.unlink()
    said = bare("check")
    assert said.code == 2
    assert "RETENTION_POLICIES" in said.err


def test_the_transcript_of_check(bare: Library) -> None:
    bare.amend('minimum = "P30D"\nmaximum = "P90D"', 'minimum = "P90D"\nmaximum = "P30D"')
    bare.amend("America/Denver", "Mars/Olympus")
    same_as_before("check", transcript(bare, bare("check"), "check"))


def test_the_stores_are_looked_at_when_asked(library: Library) -> None:
    said = library.done("check", "--stores")
    assert "past-checkouts/loans: as the schedule says" in said.out
    library.amend('table = "loan"', 'table = "lone"')
    said = library("check", "--stores")
    assert said.code == 4
    assert "lone" in said.out


def test_a_store_that_is_down_ends_with_7(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETENTION_STORES__ILS__URL", f"sqlite:///{library.root}/nowhere/ils.db")
    said = library("check", "--stores", "--json")
    assert said.code == 7
    assert [one["ok"] for one in said.json["stores"]] == [False, True, True]


def test_the_schema_is_json(bare: Library) -> None:
    assert json.loads(bare.done("schema").out)["type"] == "object"
    assert bare.done("schema", "--json").json["schema"]["type"] == "object"


def test_a_due_record_is_explained_with_dates_and_authority(library: Library) -> None:
    said = library.done("explain", "past-checkouts", "1")
    for part in (
        "goes: due to be destroyed since 2035-04-07",
        "10 days past its maximum",
        "30 days",
        "Policy 5-9, series CIR-20",
    ):
        assert part in said.out
    (record,) = library.done("explain", "past-checkouts", "1", "--json").json["records"]
    assert (record["decision"], record["since"], record["maximum"]) == ("due", "2035-04-07", "2035-06-05")


def test_a_kept_record_is_explained_with_every_reason(library: Library) -> None:
    assert "an open obligation" in library.done("explain", "past-checkouts", "8").out
    assert "the date that starts its period is missing" in library.done("explain", "past-checkouts", "9").out
    said = library.done("explain", "past-checkouts", "5")
    assert "retained: not eligible" in said.out
    assert "at least until the end of 2035-06-25" in said.out


def test_another_day_may_be_asked_for(library: Library) -> None:
    (record,) = library.done("explain", "past-checkouts", "5", "--on", "2035-06-26", "--json").json["records"]
    assert record["decision"] == "due"


def test_an_unknown_key_type_or_location_is_a_wrong_call_that_does_not_repeat_the_key(
    library: Library,
) -> None:
    said = library("explain", "past-checkouts", "4711")
    assert said.code == 2
    assert "4711" not in said.err + said.out
    assert library("explain", "past-chekouts", "1").code == 2
    assert library("explain", "past-checkouts", "1", "--location", "shelf").code == 2
