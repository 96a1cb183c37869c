"""Deciding at the command line: taking back, taking out, putting off, standing approvals, people, and the queue."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from tests.console.library import NOW, Library

LIFT = ("--records", "3", "--lift", "records")


@pytest.fixture
def case(staffed: Library) -> str:
    """A case of three exports that two people have to approve, with a brake on."""
    staffed.done("run", "--execute", "--record-type", "vendor-exports")
    (found,) = staffed.done("case", "list", "--json").json["cases"]
    id: str = found["id"]
    return id


def missing(library: Library, case: str) -> int:
    found: int = library.done("case", "show", case, "--json").json["case"]["clearance"]["missing"]
    return found


def test_an_approval_is_taken_back(staffed: Library, case: str) -> None:
    staffed.done("case", "approve", case, *LIFT, "--as", "ada")
    staffed.done("case", "withdraw", case, "--as", "ada")
    assert missing(staffed, case) == 2
    assert staffed("case", "withdraw", case, "--as", "ada").code == 5
    shown = staffed.done("case", "show", case)
    assert "approval taken back by ada" in shown.out


def test_what_is_taken_out_of_a_case_stays(staffed: Library, case: str) -> None:
    assert staffed("case", "except", case, "--position", "3", "--reason", "x", "--as", "ada").code == 2
    said = staffed.done(
        "case", "except", case, "--position", "0", "--position", "2", "--reason", "asked for", "--as", "ada"
    )
    assert "2 items" in said.out
    assert staffed("case", "approve", case, *LIFT, "--as", "ada").code == 2, "3 records are not what would go"
    shown = staffed.done("case", "show", case, "--json").json["case"]
    assert (shown["records"], shown["going"]) == (3, 1)
    assert shown["spread"] == [{"branch": None, "year": 2035, "records": 3}]
    listed = staffed.done("case", "items", case, "--as", "ada", "--json").json["items"]
    assert [(one["ordinal"], one["excepted"]) for one in listed] == [(0, True), (1, False), (2, True)]
    named = staffed.done(
        "case", "items", case, "--record", listed[2]["key"], "--record", "nothing", "--as", "ada"
    )
    assert ("taken out" in named.out, "1 item of 3" in named.out) == (True, True)
    for name in ("ada", "bela"):
        staffed.done("case", "approve", case, "--records", "1", *LIFT[2:], "--as", name)
    staffed.done("run", "--execute", "--record-type", "vendor-exports")
    assert len(staffed.exports()) == 2
    shown = staffed.done("case", "show", case, "--json")
    assert shown.json["case"]["counts"]["withheld"] == 2
    assert [(one["position"], one["person"]) for one in shown.json["excepted"]] == [(0, "ada"), (2, "ada")]
    assert "asked for" not in shown.out
    assert "2 items taken out by ada: 1 record of 3 would go" in staffed.done("case", "show", case).out


def test_a_disposition_is_put_off_and_that_is_undone(staffed: Library, case: str) -> None:
    assert staffed("case", "extend", case, "--reason", "x", "--as", "ada").code == 2
    said = staffed("case", "extend", case, "--until", "2036-06-15", "--reason", "x", "--as", "ada")
    assert (said.code, "only a hold" in said.err) == (5, True)


def test_who_runs_by_hand_does_not_approve_what_they_opened(staffed: Library) -> None:
    assert staffed("run", "--execute", "--record-type", "vendor-exports", "--as", "nobody").code == 2
    staffed.done("run", "--execute", "--record-type", "vendor-exports", "--as", "ada")
    (found,) = staffed.done("case", "list", "--json").json["cases"]
    assert found["opened_by"] == "ada"
    said = staffed("case", "approve", found["id"], *LIFT, "--as", "ada")
    assert (said.code, "opened case" in said.err) == (5, True)


def test_the_queue_says_what_waits_for_whom(staffed: Library, case: str) -> None:
    said = staffed("queue", "--as", "ada", "--json")
    assert (said.code, said.json["waiting"]["approve"]) == (3, [case])
    assert staffed("queue", "--as", "ada", "--quiet").code == 0
    staffed.done("case", "approve", case, *LIFT, "--as", "ada")
    assert staffed.done("queue", "--as", "ada").out.startswith("nothing waits for ada")
    assert staffed("queue", "--as", "bela").code == 3
    staffed.done(
        "hold", "place", "--matter", "M", "--kind", "audit", "--authority", "A", "--store", "ils", "--from", "2035-05-01",
        "--until", "2035-05-02", "--as", "ada",
    )  # fmt: skip
    (hold,) = staffed("queue", "--as", "bela", "--json").json["waiting"]["confirm"]
    assert staffed("queue", "--as", "ada", "--json").json["waiting"]["confirm"] == []
    staffed.done("hold", "confirm", hold, "--as", "bela")
    assert staffed("queue", "--as", "bela", "--json").json["waiting"]["confirm"] == []


def test_a_hold_that_lapsed_still_waits_for_a_second_person(staffed: Library) -> None:
    hold = staffed.done(
        "hold", "place", "--matter", "M", "--kind", "audit", "--authority", "A", "--store", "ils", "--from", "2035-05-01",
        "--until", "2035-05-02", "--as", "ada", "--json",
    ).json["hold"]["id"]  # fmt: skip
    staffed.now += timedelta(days=15)
    staffed.done("run", "--execute", "--record-type", "vendor-exports")
    assert staffed.done("hold", "show", hold, "--json").json["hold"]["lapsed"]
    assert staffed("queue", "--as", "bela", "--json").json["waiting"]["confirm"] == [hold]
    assert staffed("queue", "--as", "ada", "--json").json["waiting"]["confirm"] == []
    staffed.done("hold", "confirm", hold, "--as", "bela")
    assert staffed("queue", "--as", "bela", "--json").json["waiting"]["confirm"] == []


def test_a_sealed_hold_is_in_nobody_elses_queue(staffed: Library) -> None:
    staffed.done(
        "hold", "place", "--matter", "M", "--kind", "audit", "--authority", "A", "--store", "ils", "--from", "2035-05-01",
        "--until", "2035-05-02", "--sealed", "--as", "ada",
    )  # fmt: skip
    assert staffed.done("queue", "--as", "bela", "--json").json["waiting"]["confirm"] == []


def test_people_get_roles_are_disabled_and_acknowledge_the_code_of_ethics(
    staffed: Library, case: str
) -> None:
    staffed.done("person", "role", "bela", "administrator")
    assert staffed("person", "role", "ada", "auditor").code == 5, "there is an administrator now"
    staffed.done("person", "role", "ada", "auditor", "--as", "bela")
    assert staffed("case", "approve", case, *LIFT, "--as", "ada").code == 5
    assert staffed("case", "approve", case, *LIFT, "--as", "bela").code == 5
    assert staffed("person", "role", "bela", "custodian", "--as", "bela").code == 5
    staffed.done("person", "role", "ada", "custodian", "--as", "bela")
    staffed.done("person", "disable", "ada", "--as", "bela")
    assert staffed("case", "approve", case, *LIFT, "--as", "ada").code == 5
    staffed.done("person", "enable", "ada", "--as", "bela")
    staffed.done("person", "acknowledge-ethics", "--as", "ada")
    shown = staffed.done("person", "show", "ada", "--json").json
    assert (shown["role"], shown["disabled"], shown["ethics"]) == ("custodian", False, [2035])
    assert [one["step"] for one in shown["steps"]] == ["role", "role", "disabled", "enabled", "ethics"]
    staffed.done("case", "approve", case, *LIFT, "--as", "ada")


def test_a_service_is_not_a_person(staffed: Library) -> None:
    said = staffed("person", "add", "scheduler", "--full-name", "S", "--title", "T", "--role", "custodian")
    assert said.code == 2


def test_a_standing_approval_takes_two_and_ends_at_once(
    staffed: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETENTION_STANDING_APPROVALS", "required")
    before = staffed.loans()
    staffed.done("run", "--execute", "--record-type", "past-checkouts")
    assert staffed.loans() == before
    until = ("--until", "2036-01-01", "--reason", "reviewed")
    staffed.done("standing", "propose", "past-checkouts", *until, "--as", "ada")
    assert staffed("standing", "agree", "past-checkouts", "--as", "ada").code == 5
    assert staffed("queue", "--as", "bela", "--json").json["waiting"]["agree"] == ["past-checkouts"]
    staffed.done("standing", "agree", "past-checkouts", "--as", "bela")
    (shown,) = [
        one
        for one in staffed.done("standing", "list", "--json").json["standing"]
        if one["record_type"] == "past-checkouts"
    ]
    assert (shown["state"], shown["proposed_by"], shown["agreed_by"]) == ("in force", "ada", "bela")
    staffed.done("standing", "revoke", "past-checkouts", "--reason", "over", "--as", "bela")
    staffed.now += timedelta(seconds=1)
    staffed.done("run", "--execute", "--record-type", "past-checkouts")
    assert staffed.loans() == before
    staffed.done("standing", "propose", "past-checkouts", *until, "--as", "ada")
    staffed.done("standing", "agree", "past-checkouts", "--as", "bela")
    staffed.done("run", "--execute", "--record-type", "past-checkouts")
    assert len(staffed.loans()) == len(before) - 4


def test_a_rule_whose_cases_are_approved_one_by_one_has_no_standing_approval(staffed: Library) -> None:
    said = staffed(
        "standing", "propose", "vendor-exports", "--until", "2036-01-01", "--reason", "x", "--as", "ada"
    )
    assert said.code == 5


def test_a_case_says_what_changed_since_a_person_last_looked(staffed: Library, case: str) -> None:
    def changed() -> object:
        return staffed.done("case", "show", case, "--as", "bela", "--json").json.get("changed")

    assert (changed(), changed()) == (None, None)
    staffed.done("case", "approve", case, *LIFT, "--as", "ada")
    assert changed() == ["decisions"]
    assert changed() is None
    hold = (
        "hold", "place", "--matter", "M", "--kind", "audit", "--authority", "A", "--store", "exports", "--from", "2035-05-01",
        "--until", "2035-05-02", "--as", "ada",
    )  # fmt: skip
    staffed.done(*hold, "--sealed")
    assert changed() is None, "not a word of a sealed hold"
    staffed.done(*hold)
    assert changed() == ["approvals-void"]
    staffed.done("case", "return", case, "--reason", "x", "--as", "ada")
    shown = staffed.done("case", "show", case, "--as", "bela")
    assert "changed since you looked" in shown.out
    assert "hold" not in shown.out


LETTERS = """
[record-type.letters]
title = "Rows sent to the agency"
description = "People in the exports of the collection agency."
authority = { citation = "Policy 5-9, VI" }
owner = "Circulation"
personal-data = ["cardnumber"]
trigger = "exported"
cutoff = "day"
minimum = "P0D"
maximum = "P60D"
disposition = "purge"
approval = "custodian"
cooling-off = "P0D"
limits = { records = 10, percent = 100 }
effective-from = 2020-01-01

[[record-type.letters.location]]
name = "rows"
store = "exports"
path = "letters"
template = "list-{Y}-{m}-{d}.csv"
trigger-kind = "name"
time-zone = "library"
subject = "cardnumber"
consent = "withdrawn = false"

[record-type.letters.location.rows]
key = ["cardnumber"]
"""


def test_a_row_that_was_taken_out_does_not_go_with_its_twin(staffed: Library) -> None:
    """Two equal rows of a file are one to whoever removes them by their content."""
    with staffed.policies.open("a", encoding="utf-8") as file:
        file.write(LETTERS)
    path = staffed.root / "exports" / "letters" / "list-2035-03-01.csv"
    path.parent.mkdir()
    path.write_text("cardnumber,owed\n7,1\n7,1\n8,2\n", encoding="utf-8")
    stamp = (NOW - timedelta(days=100)).timestamp()
    os.utime(path, (stamp, stamp))
    staffed.done("run", "--execute", "--record-type", "letters")
    (found,) = staffed.done("case", "list", "--json").json["cases"]
    staffed.done("case", "except", found["id"], "--position", "0", "--reason", "asked for", "--as", "ada")
    staffed.done("case", "approve", found["id"], "--records", "2", "--as", "ada")
    staffed.done("run", "--execute", "--record-type", "letters")
    assert path.read_text(encoding="utf-8") == "cardnumber,owed\n7,1\n7,1\n"
    counts = staffed.done("case", "show", found["id"], "--json").json["case"]["counts"]
    assert (counts["withheld"], counts["destroyed"]) == (2, 1)
