"""The forecast: what is due, how late, and what comes due in which month; without what is held; counted once a day."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest

from flows.answering import ANSWERS, answer
from flows.settings import load_settings
from flows.wiring import Site
from tests.console.library import NOW, Library


def of(library: Library, record_type: str, *words: str) -> dict[str, object]:
    found = library("forecast", "--json", *words).json["record_types"]
    (one,) = [one for one in found if one["record_type"] == record_type]
    whole: dict[str, object] = one
    return whole


def test_what_is_due_and_what_comes_due_in_which_month(staffed: Library) -> None:
    due = planned(staffed)
    found = of(staffed, "past-checkouts")
    assert found["backlog"] == due == 4
    months = found["months"]
    assert isinstance(months, dict)
    assert list(months)[:2] == ["2035-06", "2035-07"]
    assert len(months) == 12
    assert sum(months.values()) + due == planned(staffed, "--on", "2036-06-01")
    assert sum(months.values()) > 0


def test_what_is_late_is_said_in_days(staffed: Library) -> None:
    connection = sqlite3.connect(staffed.ils)
    connection.execute(
        "UPDATE loan SET returned = ? WHERE id = 1", ((NOW - timedelta(days=100)).isoformat(" "),)
    )
    connection.commit()
    connection.close()
    found = of(staffed, "past-checkouts")
    assert isinstance(found["past_maximum"], int)
    assert found["past_maximum"] >= 1
    assert isinstance(found["days_past"], int)
    assert found["days_past"] >= 10


@pytest.mark.parametrize("seal", [(), ("--sealed",)], ids=["open", "sealed"])
def test_a_forecast_and_a_plan_differ_by_nothing_that_a_hold_keeps(
    staffed: Library, seal: tuple[str, ...]
) -> None:
    """For any day: who subtracts one from the other learns nothing about a sealed hold. One made before it is counted anew."""
    before = of(staffed, "past-checkouts")
    staffed.done(
        "hold", "place", "--matter", "M", "--kind", "audit", "--authority", "A", "--subject", "102", "--record-type", "past-checkouts",
        *seal, "--as", "ada",
    )  # fmt: skip
    found = of(staffed, "past-checkouts")
    assert found["backlog"] == planned(staffed) != before["backlog"]
    months = found["months"]
    assert isinstance(months, dict)
    assert isinstance(found["backlog"], int)
    expected = found["backlog"]
    for name, first in zip(list(months)[:3], ("2035-07-01", "2035-08-01", "2035-09-01"), strict=True):
        expected += months[name]
        assert planned(staffed, "--on", first) == expected


def planned(library: Library, *words: str) -> int:
    said = library.done("run", "--record-type", "past-checkouts", *words, "--json")
    due: int = said.json["results"][0]["plan"]["due"]
    return due


def test_it_is_counted_once_a_day(staffed: Library) -> None:
    first = of(staffed, "past-checkouts")
    connection = sqlite3.connect(staffed.ils)
    connection.execute("DELETE FROM loan")
    connection.commit()
    connection.close()
    assert of(staffed, "past-checkouts") == first
    assert of(staffed, "past-checkouts", "--fresh")["backlog"] == 0
    staffed.now += timedelta(days=1)
    assert of(staffed, "past-checkouts")["backlog"] == 0


def test_a_place_that_does_not_answer_is_named(staffed: Library) -> None:
    staffed.ils.unlink()
    said = staffed("forecast", "--json")
    assert said.code == 3
    (one,) = [one for one in said.json["record_types"] if one["record_type"] == "past-checkouts"]
    assert one["not_counted"]
    (other,) = [one for one in said.json["record_types"] if one["record_type"] == "vendor-exports"]
    assert other["backlog"] == 3


def test_the_keeper_answers_it_to_a_page(staffed: Library) -> None:
    site = Site(load_settings(), lambda: staffed.now)
    id = site.ledger.questions.ask("forecast", {"months": 3}, person="ada", at=staffed.now)
    (question,) = [one for one in site.ledger.questions.waiting() if one.id == id]
    found = answer(site, question, ANSWERS)
    assert {len(one["months"]) for one in found["record_types"]} == {3}
    site.close()
