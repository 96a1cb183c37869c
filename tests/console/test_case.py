"""The ``case`` commands: what waits, who approves, what a brake needs, and sending a case back."""

from __future__ import annotations

import pytest

from flows import running
from flows.settings import load_settings
from flows.wiring import Site
from tests.console.golden import same_as_before, transcript
from tests.console.library import Library


@pytest.fixture
def case(staffed: Library) -> str:
    """A case that two people have to approve, with a brake on."""
    staffed.done("run", "--execute", "--record-type", "vendor-exports")
    (found,) = staffed.done("case", "list", "--json").json["cases"]
    id: str = found["id"]
    return id


def test_a_case_shows_what_waits_for_whom(staffed: Library, case: str) -> None:
    found = staffed.done("case", "show", case, "--json").json["case"]
    assert (found["state"], found["items"], found["approval"], list(found["brakes"])) == (
        "started",
        3,
        "two-person",
        ["records"],
    )
    assert (found["clearance"]["ready"], found["clearance"]["missing"], found["clearance"]["braked"]) == (
        False,
        2,
        True,
    )
    assert staffed.done("case", "list", "--state", "closed", "--json").json["cases"] == []


def test_two_custodians_who_lift_the_brake_clear_it(staffed: Library, case: str) -> None:
    staffed.done("case", "approve", case, "--records", "3", "--as", "ada", "--lift", "records")
    staffed.done("run", "--execute", "--record-type", "vendor-exports")
    assert len(staffed.exports()) == 3
    said = staffed.done("case", "approve", case, "--records", "3", "--as", "bela", "--lift", "records")
    assert "it is cleared" in said.out
    staffed.done("run", "--execute", "--record-type", "vendor-exports")
    assert staffed.exports() == []
    shown = staffed.done("case", "show", case)
    assert "3 destroyed" in shown.out
    (certificate,) = staffed.done("certificate", "list", "--json").json["certificates"]
    assert "approved by Ada Example, Director" in staffed.done("certificate", "show", case).out
    staffed.done("certificate", "verify", certificate["path"])
    assert staffed("case", "approve", case, "--records", "3", "--as", "ada").code == 5, "it has ended"


def test_an_approval_names_the_number_of_records(staffed: Library, case: str) -> None:
    said = staffed("case", "approve", case, "--as", "ada", "--lift", "records")
    assert (said.code, "--records N" in said.err) == (2, True)
    said = staffed("case", "approve", case, "--records", "4", "--as", "ada", "--lift", "records")
    assert (said.code, "not about 4 records" in said.err) == (2, True)
    assert staffed.done("case", "show", case, "--json").json["decisions"] == []


def test_what_a_case_sent_back_left_in_the_spool_is_swept_up_by_the_nightly_run(
    staffed: Library, case: str
) -> None:
    """A page sends cases back without reaching the spool; so does a command that is killed just after it."""
    site = Site(load_settings(), lambda: staffed.now)
    site.dispositions.return_case(case, site.signatory("ada"), "wrong folder")
    folder = staffed.state / "cases" / case
    assert next(folder.glob("*.lines"), None) is not None
    running.settle(site)
    site.close()
    assert not folder.exists()


def test_one_person_counts_once(staffed: Library, case: str) -> None:
    staffed.done("case", "approve", case, "--records", "3", "--as", "ada", "--lift", "records")
    said = staffed("case", "approve", case, "--records", "3", "--as", "ada", "--lift", "records")
    assert said.code == 5
    assert "already" in said.err
    assert staffed.done("case", "show", case, "--json").json["case"]["clearance"]["missing"] == 1


def test_a_brake_may_be_lifted_by_who_approved_without_it(staffed: Library, case: str) -> None:
    staffed.done("case", "approve", case, "--records", "3", "--as", "ada")
    said = staffed.done("case", "approve", case, "--records", "3", "--as", "ada", "--lift", "records")
    assert "1 approval that lifts it still missing" in said.out


def test_a_hold_placed_afterwards_voids_an_approval(staffed: Library, case: str) -> None:
    staffed.done("case", "approve", case, "--records", "3", "--as", "ada", "--lift", "records")
    staffed.done(
        "hold", "place", "--matter", "M", "--kind", "audit", "--authority", "A", "--store", "exports", "--from", "2035-05-01",
        "--until", "2035-05-02", "--as", "ada",
    )  # fmt: skip
    found = staffed.done("case", "show", case, "--json").json["case"]["clearance"]
    assert (found["missing"], found["void"]) == (2, ["ada"])
    staffed.done("case", "approve", case, "--records", "3", "--as", "ada", "--lift", "records")
    assert staffed.done("case", "show", case, "--json").json["case"]["clearance"]["missing"] == 1


def test_who_may_not_approve_is_refused(staffed: Library, case: str) -> None:
    staffed.done(
        "person", "add", "olga", "--full-name", "Olga Example", "--title", "Operator", "--role", "operator"
    )
    assert staffed("case", "approve", case, "--records", "3", "--as", "olga").code == 5
    assert (
        staffed(
            "case",
            "approve",
            case,
            "--records",
            "3",
            "--as",
            "ada",
            "--key-file",
            staffed.root / "keys" / "bela.pem",
        ).code
        == 5
    )
    assert staffed("case", "approve", case, "--records", "3", "--as", "ada", "--lift", "percent").code == 2
    assert staffed("case", "approve", "C20350615-00000000", "--records", "3", "--as", "ada").code == 2
    assert staffed("case", "approve", case, "--records", "3").code == 2


def test_a_case_that_was_sent_back_destroys_nothing_and_is_planned_afresh(
    staffed: Library, case: str
) -> None:
    assert staffed("case", "return", case, "--as", "ada").code == 2
    assert staffed("case", "return", case, "--as", "ada", "--reason", " ").code == 2
    staffed.done("case", "return", case, "--as", "ada", "--reason", "wrong folder")
    assert not (staffed.state / "cases" / case).exists()
    found = staffed.done("case", "show", case, "--json").json
    assert found["case"]["state"] == "returned"
    assert [one["decision"] for one in found["decisions"]] == ["return"]
    staffed.done("run", "--execute", "--record-type", "vendor-exports")
    assert len(staffed.exports()) == 3
    assert len(staffed.done("case", "list", "--json").json["cases"]) == 2
    assert staffed("case", "return", case, "--as", "bela", "--reason", "again").code == 5


def test_a_case_under_which_something_was_destroyed_is_not_sent_back(
    staffed: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.cli import progress

    def interrupt(self: progress.Reporter, case: str, done: int, items: int) -> None:
        raise progress.Interrupted("here")

    with monkeypatch.context() as patch:
        patch.setattr(progress.Reporter, "destroying", interrupt)
        assert staffed("run", "--execute", "--record-type", "past-checkouts").code == 130
    (found,) = staffed.done("case", "list", "--json").json["cases"]
    said = staffed("case", "return", found["id"], "--as", "ada", "--reason", "stop")
    assert said.code == 5
    assert "finish it" in said.err
    assert staffed("case", "approve", found["id"], "--records", "3", "--as", "ada").code == 5, "it has begun"


def test_a_case_that_a_run_works_on_is_not_sent_back(staffed: Library, case: str) -> None:
    site = Site(load_settings(), lambda: staffed.now)
    lease = site.ledger.cases.acquire("vendor-exports", at=staffed.now)
    assert staffed("case", "return", case, "--as", "ada", "--reason", "stop").code == 5
    site.ledger.cases.release(lease, at=staffed.now)
    site.close()


def test_an_altered_manifest_stops_the_case(staffed: Library, case: str) -> None:
    path = staffed.state / "cases" / case / "part-0.lines"
    path.write_bytes(path.read_bytes() + path.read_bytes())
    staffed.done("case", "approve", case, "--records", "3", "--as", "ada", "--lift", "records")
    said = staffed("run", "--execute", "--record-type", "vendor-exports")
    assert said.code == 6
    assert len(staffed.exports()) == 3


def test_the_transcript_of_a_case(staffed: Library, case: str) -> None:
    text = ""
    for words in (
        ["case", "list"],
        ["case", "show", case],
        ["case", "approve", case, "--records", "3", "--as", "ada", "--lift", "records"],
        ["case", "approve", case, "--records", "3", "--as", "bela", "--lift", "records"],
        ["run", "--execute", "--record-type", "vendor-exports"],
        ["certificate", "show", case],
    ):
        text += transcript(staffed, staffed(*words), *words)
    same_as_before("case", text)
