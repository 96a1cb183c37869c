"""The ``hold`` commands: placing, previewing, confirming, releasing, showing; and everything they refuse."""

from __future__ import annotations

import hashlib
import io
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from flows.settings import load_settings
from flows.wiring import Site
from tests.console.golden import same_as_before, transcript
from tests.console.library import Library, Said

MATTER = ("--matter", "2035-CV-7", "--kind", "subpoena", "--authority", "District Court")


def place(library: Library, *scope: str | Path, by: str = "ada") -> str:
    id: str = library.done("hold", "place", *MATTER, *scope, "--as", by, "--json").json["hold"]["id"]
    return id


def state(said: Said) -> str:
    found: str = said.json["hold"]["state"]
    return found


@pytest.fixture
def document(staffed: Library) -> Path:
    path = staffed.root / "release.pdf"
    path.write_bytes(b"the court releases it")
    return path


def test_a_hold_is_in_force_when_the_command_returns(staffed: Library) -> None:
    said = staffed.done(
        "hold", "place", *MATTER, "--record-type", "past-checkouts", "--subject", "102", "--as", "ada"
    )
    assert "is in force: confirmed by ils" in said.out
    assert "a second custodian confirms it" in said.err
    assert "102" not in said.out
    record = staffed.done("explain", "past-checkouts", "1").out
    assert "under a legal hold" in record
    assert "hold H2035" in record


def test_the_whole_record_is_kept_and_shown(staffed: Library, document: Path) -> None:
    id = place(
        staffed, "--subject", "102", "--branch", "main", "--from", "2035-03-01", "--until", "2035-03-01T14:00",
        "--margin-before", "1h30m", "--margin-after", "PT5M", "--document", document, "--issued-on", "2035-06-01",
        "--received-at", "2035-06-14T09:30", "--served-by", "Sheriff", "--officer", "J. Roe", "--agency", "Police", "--badge", "77",
        "--counsel", "verified", "--jurisdiction", "Colorado", "--court", "Second", "--case-number", "7", "--snapshot",
    )  # fmt: skip
    hold = staffed.done("hold", "show", id, "--as", "bela", "--json").json["hold"]
    assert hold["matter"] == {
        "number": "2035-CV-7", "kind": "subpoena", "authority": "District Court", "jurisdiction": "Colorado", "court": "Second",
        "case_number": "7", "document_sha256": hashlib.sha256(document.read_bytes()).hexdigest(), "issued_on": "2035-06-01",
        "received_at": "2035-06-14T15:30:00Z", "served_by": "Sheriff", "officer": "J. Roe", "agency": "Police", "badge": "77",
        "counsel": "verified",
    }  # fmt: skip
    assert hold["scope"]["from"] == "2035-03-01T07:00:00Z"
    assert hold["scope"]["until"] == "2035-03-01T21:00:00Z"
    assert (hold["scope"]["margin_before"], hold["scope"]["margin_after"]) == (5400, 300)
    assert (hold["continuing"], hold["scope"]["subjects"], hold["scope"]["branches"]) == (False, 1, ["main"])
    assert "J. Roe, Police, badge 77" in staffed.done("hold", "show", id, "--as", "bela").out
    assert "102" not in staffed.done("hold", "show", id, "--as", "bela").out
    assert "keeps subjects: 102" in staffed.done("hold", "show", id, "--subjects", "--as", "bela").out


def test_whom_and_what_a_hold_is_about_is_shown_to_those_who_may_read_it_and_written_down(
    staffed: Library,
) -> None:
    id = place(staffed, "--subject", "102", "--officer", "J. Roe")
    staffed.done("person", "add", "olga", "--full-name", "Olga", "--title", "Clerk", "--role", "operator")
    assert staffed("hold", "show", id, "--subjects").code == 2
    refused = staffed("hold", "show", id, "--subjects", "--as", "olga")
    assert refused.code == 5
    assert "102" not in refused.out + refused.err
    with closing(Site(load_settings(), lambda: staffed.now)) as site:
        assert [event for event in site.ledger.events(subject=id) if event.kind == "hold.subjects-read"] == []
    for words in (("show", id), ("list",)):
        for who in ((), ("--as", "olga")):
            said = [staffed.done("hold", *words, *who, *form).out for form in ((), ("--json",))]
            assert not any(secret in text for text in said for secret in ("2035-CV-7", "J. Roe", "District"))
        assert "2035-CV-7" in staffed.done("hold", *words, "--as", "ada").out
    staffed.done("hold", "show", id, "--subjects", "--as", "ada")
    with closing(Site(load_settings(), lambda: staffed.now)) as site:
        (event,) = [one for one in site.ledger.events(subject=id) if one.kind == "hold.subjects-read"]
    assert (event.actor, "102" in str(event)) == ("ada", False)


def test_location_is_another_word_for_branch(staffed: Library) -> None:
    id = place(staffed, "--location", "main")
    assert staffed.done("hold", "show", id, "--json").json["hold"]["scope"]["branches"] == ["main"]


def test_patron_ids_come_from_a_file_or_standard_input(
    staffed: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = staffed.root / "ids.txt"
    ids.write_text("101\n\n102\n", encoding="utf-8")
    id = place(staffed, "--subject-file", ids)
    assert staffed.done("hold", "show", id, "--subjects", "--as", "ada", "--json").json["hold"]["scope"][
        "subjects"
    ] == [
        "101",
        "102",
    ]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"103\n")))
    id = place(staffed, "--subject-file", "-")
    assert staffed.done("hold", "show", id, "--subjects", "--as", "ada", "--json").json["hold"]["scope"][
        "subjects"
    ] == ["103"]
    ids.write_text("\n", encoding="utf-8")
    assert staffed("hold", "place", *MATTER, "--subject-file", ids, "--as", "ada").code == 2


def test_a_preview_counts_and_places_nothing(staffed: Library) -> None:
    said = staffed.done(
        "hold", "place", "--subject", "102", "--record-type", "past-checkouts", "--preview", "--json"
    )
    assert (said.json["format"], said.json["keeps"]) == ("retention.hold.preview/1", 5)
    assert staffed.done("hold", "list", "--json").json["holds"] == []


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        ((), "empty scope"),
        (("--record-type", "past-chekouts"), "no record type"),
        (("--store", "isl"), "no store"),
        (("--from", "2035-03-02", "--until", "2035-03-01"), "ends before it begins"),
        (("--from", "soon"), "not a time"),
        (("--camera", "door", "--from", "2035-03-01", "--margin-before", "a while"), "not a length of time"),
        (("--camera", "door", "--margin-after", "5m"), "nothing to widen"),
        (("--subject", " "), "is empty"),
        (("--camera", "door", "--document", "nothing.pdf"), "nothing.pdf"),
    ],
)
def test_a_scope_that_was_not_thought_about_is_refused(
    staffed: Library, scope: tuple[str, ...], told: str
) -> None:
    said = staffed("hold", "place", *MATTER, *scope, "--as", "ada")
    assert said.code == 2
    assert told in said.err
    assert staffed.done("hold", "list", "--json").json["holds"] == []


def test_a_hold_needs_its_matter_and_a_name(staffed: Library) -> None:
    assert "--kind" in staffed("hold", "place", "--matter", "M", "--camera", "door", "--as", "ada").err
    assert "--as is missing" in staffed("hold", "place", *MATTER, "--camera", "door").err
    assert staffed("hold", "place", *MATTER, "--camera", "door", "--as", "nobody").code == 2


def test_a_request_that_counsel_rejected_is_not_placed(staffed: Library) -> None:
    assert (
        staffed("hold", "place", *MATTER, "--camera", "door", "--counsel", "rejected", "--as", "ada").code
        == 5
    )


def test_another_persons_key_is_refused(staffed: Library) -> None:
    keys = staffed.root / "keys"
    said = staffed(
        "hold", "place", *MATTER, "--camera", "door", "--as", "ada", "--key-file", keys / "bela.pem"
    )
    assert said.code == 5
    assert "not a signing key" in said.err


def test_only_a_second_person_confirms(staffed: Library) -> None:
    id = place(staffed, "--camera", "door")
    assert staffed("hold", "confirm", id, "--as", "ada").code == 5
    assert state(staffed.done("hold", "confirm", id, "--as", "bela", "--json")) == "active"


def test_a_release_needs_a_document_two_people_and_a_grace_period(staffed: Library, document: Path) -> None:
    id = place(staffed, "--subject", "102", "--record-type", "past-checkouts")
    assert staffed("hold", "release", id, "--as", "ada").code == 2
    (staffed.root / "empty.pdf").touch()
    assert staffed("hold", "release", id, "--as", "ada", "--document", "empty.pdf").code == 2
    assert (
        state(staffed.done("hold", "release", id, "--as", "ada", "--document", document, "--json"))
        == "release-requested"
    )
    assert staffed("hold", "release", id, "--as", "ada").code == 5
    (staffed.root / "other.pdf").write_bytes(b"another document")
    assert staffed("hold", "release", id, "--as", "bela", "--document", "other.pdf").code == 5
    assert state(staffed.done("hold", "release", id, "--as", "bela", "--json")) == "in-grace"
    staffed.done("run", "--execute", "--record-type", "past-checkouts")
    assert {1, 3} <= set(staffed.loans()), "kept until the grace period is over"
    staffed.now += timedelta(days=8)
    said = staffed.done("run", "--execute", "--record-type", "past-checkouts")
    assert "1 hold released" in said.out
    assert {1, 3}.isdisjoint(staffed.loans())
    assert staffed.done("hold", "list", "--json").json["holds"] == []
    (hold,) = staffed.done("hold", "list", "--all", "--json").json["holds"]
    assert [step["action"] for step in hold["history"]] == ["place", "request-release", "approve-release"]


def test_a_release_can_be_cancelled(staffed: Library, document: Path) -> None:
    id = place(staffed, "--camera", "door")
    staffed.done("hold", "release", id, "--as", "ada", "--document", document)
    assert state(staffed.done("hold", "release", id, "--as", "bela", "--cancel", "--json")) == "provisional"
    assert staffed("hold", "release", id, "--as", "bela", "--cancel").code == 5


def test_a_sealed_hold_is_shown_only_to_those_on_its_list(staffed: Library) -> None:
    id = place(staffed, "--camera", "door", "--sealed")
    assert staffed.done("hold", "list", "--json").json["holds"] == []
    unknown = staffed("hold", "show", "H20350615-00000000")
    assert staffed("hold", "show", id) == Said(
        unknown.code, unknown.out, unknown.err.replace("H20350615-00000000", id)
    )
    assert staffed("hold", "show", id, "--as", "bela").code == 2
    assert "sealed: shown only to ada" in staffed.done("hold", "show", id, "--as", "ada").out
    assert len(staffed.done("hold", "list", "--as", "ada", "--json").json["holds"]) == 1


def test_a_hold_that_a_store_did_not_confirm_keeps_and_is_completed_later(
    staffed: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = staffed.settings()["RETENTION_STORES__ILS__URL"]
    monkeypatch.setenv("RETENTION_STORES__ILS__URL", f"sqlite:///{staffed.root}/nowhere/ils.db")
    said = staffed(
        "hold", "place", *MATTER, "--subject", "102", "--record-type", "past-checkouts", "--as", "ada"
    )
    assert said.code == 7
    id = said.err.split("--resume ")[1].split()[0]
    monkeypatch.setenv("RETENTION_STORES__ILS__URL", there)
    assert "under a legal hold" in staffed.done("explain", "past-checkouts", "1").out
    staffed.done("person", "add", "ora", "--full-name", "Ora Example", "--title", "IT", "--role", "operator")
    completed = staffed.done("hold", "place", "--resume", id, "--as", "ora", "--json")
    assert (state(completed), completed.json["hold"]["matter"]) == ("provisional", None)


def test_the_transcript_of_a_hold(staffed: Library, document: Path) -> None:
    words = ["hold", "place", "--matter", "2035-CV-7", "--kind", "subpoena", "--authority", "District-Court"]
    words += ["--subject", "102", "--from", "2035-03-01", "--until", "2035-03-09", "--margin-after", "5m"]
    words += ["--record-type", "past-checkouts", "--document", "release.pdf", "--as", "ada"]
    text = transcript(staffed, staffed(*words), *words)
    for more in (["hold", "list", "--as", "ada"], ["run", "--record-type", "past-checkouts"]):
        text += transcript(staffed, staffed(*more), *more)
    same_as_before("hold", text)
