"""A hold's life at the command line: requests, widening and narrowing, care, documents, and who is told what."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.console.library import Library

VERBAL = (
    "--matter",
    "call at the desk",
    "--kind",
    "verbal-request",
    "--authority",
    "Police",
    "--officer",
    "J. Roe",
)
MATTER = ("--matter", "2035-CV-7", "--kind", "subpoena", "--authority", "District Court")
PATRON = ("--subject", "102", "--record-type", "past-checkouts")


@pytest.fixture
def order(staffed: Library) -> Path:
    path = staffed.root / "order.pdf"
    path.write_bytes(b"the court says so")
    return path


def place(library: Library, *words: str | Path) -> str:
    id: str = library.done("hold", "place", *MATTER, *words, "--as", "ada", "--json").json["hold"]["id"]
    return id


def test_a_verbal_request_is_recorded_and_then_decided_on(staffed: Library) -> None:
    assert staffed("hold", "place", *VERBAL, *PATRON, "--as", "ada").code == 5
    said = staffed.done("hold", "request", *VERBAL, *PATRON, "--snapshot", "--as", "ada", "--json")
    id = said.json["hold"]["id"]
    assert said.json["hold"]["state"] == "requested"
    assert "102" not in said.out
    assert "stays" not in staffed.done("explain", "past-checkouts", "1").out
    assert "recorded; nobody has decided" in staffed.done("hold", "show", id).out
    accepted = staffed.done("hold", "accept", id, "--as", "bela", "--json").json
    assert (accepted["hold"]["state"], accepted["stores"]) == ("provisional", ["ils"])
    assert (accepted["hold"]["continuing"], accepted["hold"]["taken_at"] is None) == (False, False)
    assert "under a legal hold" in staffed.done("explain", "past-checkouts", "1").out
    other = staffed.done("hold", "request", *VERBAL, *PATRON, "--as", "ada", "--json").json["hold"]["id"]
    assert staffed("hold", "decline", other, "--as", "bela").code == 2
    staffed.done("hold", "decline", other, "--reason", "nothing in writing", "--as", "bela")
    assert "declined because: nothing in writing" in staffed.done("hold", "show", other, "--as", "ada").out
    assert "nothing in writing" not in staffed.done("hold", "show", other).out, "a reason is of the matter"
    assert other not in staffed.done("hold", "list").out
    assert other in staffed.done("hold", "list", "--all").out


def test_a_hold_is_widened_by_adding_to_it_and_by_lifting_a_restriction(staffed: Library) -> None:
    id = place(staffed, *PATRON)
    assert "stays" not in staffed.done("explain", "past-checkouts", "2").out
    widened = staffed.done("hold", "widen", id, "--subject", "101", "--as", "ada", "--json").json["hold"]
    assert (widened["scope"]["subjects"], widened["state"]) == (2, "provisional")
    assert "under a legal hold" in staffed.done("explain", "past-checkouts", "2").out
    narrowing = staffed("hold", "widen", id, "--camera", "door", "--as", "ada")
    assert narrowing.code == 2
    assert "would narrow it" in narrowing.err
    assert staffed("hold", "widen", id, "--any", "subject", "--branch", "main", "--as", "ada").code == 2
    lifted = staffed.done("hold", "widen", id, "--any", "subject", "--as", "ada", "--json").json["hold"]
    assert lifted["scope"]["subjects"] == 0
    assert [step["action"] for step in lifted["history"]] == ["place", "widen", "widen"]


def test_a_hold_is_narrowed_beside_itself(staffed: Library, order: Path) -> None:
    old = place(staffed, "--record-type", "past-checkouts")
    said = staffed.done("hold", "narrow", old, *PATRON, "--document", order, "--as", "ada", "--json").json
    assert (said["hold"]["state"], said["replaces"]["state"]) == ("provisional", "release-requested")
    assert said["replaces"]["id"] == old
    assert said["replaces"]["links"] == [said["hold"]["id"]]
    assert "under a legal hold" in staffed.done("explain", "past-checkouts", "2").out
    assert (
        staffed(
            "hold",
            "narrow",
            said["hold"]["id"],
            "--record-type",
            "past-checkouts",
            "--document",
            order,
            "--as",
            "ada",
        ).code
        == 5
    )


def test_the_care_of_a_hold_is_in_its_history(staffed: Library) -> None:
    id, other = place(staffed, *PATRON, "--told", "bela"), place(staffed, "--camera", "door")
    staffed.done("hold", "verify", id, "--rejected", "--as", "ada")
    staffed.done("hold", "review", id, "--next", "2036-02-01", "--as", "ada")
    staffed.done("hold", "tell", id, "ada", "--as", "ada")
    staffed.done("hold", "acknowledge", id, "--as", "bela")
    staffed.done("hold", "link", id, other, "--as", "ada")
    staffed.done("person", "add", "ora", "--full-name", "Ora Example", "--title", "IT", "--role", "operator")
    staffed.done("hold", "tell", id, "ora", "--as", "ada")
    told = staffed.done("hold", "acknowledge", id, "--as", "ora", "--json").json["hold"]
    assert told["matter"] is None, "being told is not to read what it is about"
    hold = staffed.done("hold", "show", id, "--as", "ada", "--json").json["hold"]
    assert [step["action"] for step in hold["history"]] == [
        "place", "verify", "review", "tell", "acknowledge", "link", "tell", "acknowledge",
    ]  # fmt: skip
    assert (hold["state"], hold["matter"]["counsel"], hold["review_on"]) == (
        "provisional",
        "rejected",
        "2036-02-01",
    )
    assert (hold["told"], hold["unacknowledged"], hold["links"]) == (["ada", "bela", "ora"], ["ada"], [other])
    assert staffed.done("hold", "show", other, "--json").json["hold"]["links"] == [id]
    assert staffed("hold", "verify", id, "--as", "ada").code == 2
    assert "stays" in staffed.done("explain", "past-checkouts", "1").out


def test_a_document_comes_back_as_it_was_served_and_leaves_an_event(staffed: Library, order: Path) -> None:
    id = place(staffed, *PATRON, "--document", order)
    out = staffed.root / "again.pdf"
    assert staffed("hold", "document", id, "--out", out).code == 2
    staffed.done("hold", "document", id, "--out", out, "--as", "ada")
    assert out.read_bytes() == order.read_bytes()
    assert out.stat().st_mode & 0o077 == 0
    assert staffed("hold", "document", id, "--out", out, "--as", "ada").code == 2
    release = staffed.root / "release.pdf"
    release.write_bytes(b"another one")
    staffed.done("hold", "release", id, "--document", release, "--as", "ada")
    several = staffed("hold", "document", id, "--out", staffed.root / "x", "--as", "ada")
    assert "2 documents" in several.err
    digest = hashlib.sha256(b"another one").hexdigest()
    staffed.done("hold", "document", id, "--digest", digest[:12], "--out", staffed.root / "x", "--as", "ada")
    assert (staffed.root / "x").read_bytes() == b"another one"
    kept = b"".join(path.read_bytes() for path in (staffed.state / "documents").iterdir())
    assert b"the court says so" not in kept


def test_a_sealed_hold_says_when_nobody_else_could_confirm_it(staffed: Library) -> None:
    sealed = ("hold", "place", *MATTER, *PATRON, "--sealed", "--as", "ada")
    alone = staffed.done(*sealed, "--json")
    assert "nobody else who could confirm it may see it" in alone.err
    id = alone.json["hold"]["id"]
    assert staffed("hold", "confirm", id, "--as", "bela").code == 2
    staffed.done("hold", "know", id, "--add", "bela", "--as", "ada")
    staffed.done("hold", "confirm", id, "--as", "bela")
    assert "nobody else" not in staffed.done(*sealed, "--need-to-know", "bela").err
    gone = staffed.done("hold", "know", id, "--remove", "ada", "--as", "ada")
    assert id not in gone.out
    assert staffed("hold", "show", id, "--as", "ada").code == 2
