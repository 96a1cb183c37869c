"""The statement for counsel: rules, certificates, before or after service, what is held; and nobody's name."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retention.envelope import read
from retention.signing import key_ring, load_public
from tests.console.library import Library, Said

PATRON = "zqcanary-patron-101"


def stated(library: Library, out: Path, *more: str, served: str = "2035-06-14") -> Said:
    return library(
        "certificate", "ordinary-course", "--subject", PATRON, "--from", "2035-03-01", "--to", "2035-05-31", "--served", served,
        "--out", out, "--json", *more,
    )  # fmt: skip


def predicate(said: Said) -> dict[str, Any]:
    assert said.code == 0, said
    found: dict[str, Any] = said.json["statement"]["predicate"]
    return found


def hold(library: Library, *more: str) -> str:
    library.add_people("ada")
    done = library.done(
        "hold", "place", "--matter", "2035-7", "--kind", "subpoena", "--authority", "District Court", "--record-type",
        "past-checkouts", "--as", "ada", "--json", *more,
    )  # fmt: skip
    found = done.json
    id: str = found.get("id") or found["hold"]["id"]
    return id


def test_it_says_what_was_destroyed_before_and_after_service(library: Library, tmp_path: Path) -> None:
    library.done("run", "--execute", "--record-type", "past-checkouts")
    later = predicate(stated(library, tmp_path / "later", served="2035-06-15"))
    assert (len(later["beforeService"]), len(later["afterService"])) == (0, 1)
    library.now += timedelta(days=3)
    before = predicate(stated(library, tmp_path / "before", served="2035-06-17"))
    assert (len(before["beforeService"]), len(before["afterService"])) == (1, 0)
    assert before["beforeService"][0]["destroyed"] == 4
    assert "past-checkouts" in {one["recordType"] for one in before["series"]}
    other = predicate(stated(library, tmp_path / "other", "--record-type", "camera-footage"))
    assert other["beforeService"] == other["afterService"] == []
    assert "says nothing about whether a record of any particular person existed" in other["sentences"][-1]


def test_it_is_signed_with_both_keys(library: Library, tmp_path: Path) -> None:
    library.done("run", "--execute", "--record-type", "past-checkouts")
    said = stated(library, tmp_path)
    signed = read((tmp_path / "ordinary-course.dsse.json").read_bytes())
    keys = key_ring(*(load_public((tmp_path / f"{kind}.pem").read_bytes()) for kind in ("ed25519", "p256")))
    assert len(signed.check(keys)) == 2
    assert json.loads(signed.payload) == said.json["statement"]


def test_the_name_is_neither_printed_nor_kept_anywhere(library: Library, tmp_path: Path) -> None:
    library.done("run", "--execute", "--record-type", "past-checkouts")
    said = stated(library, tmp_path / "out")
    assert PATRON not in said.out + said.err
    for path in (*library.state.rglob("*"), *(tmp_path / "out").rglob("*")):
        if path.is_file():
            assert PATRON.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("sealed", [False, True])
def test_a_hold_is_named_by_its_id_and_a_sealed_one_not_at_all(
    library: Library, tmp_path: Path, sealed: bool
) -> None:
    subjects = tmp_path / "subjects"
    subjects.write_text(f"{PATRON}\n")
    id = hold(library, "--subject-file", str(subjects), *(["--sealed"] if sealed else []))
    said = stated(library, tmp_path / "out")
    held = predicate(said)["held"]
    assert [one["hold"] for one in held] == ([] if sealed else [id])
    assert (id in said.out) is not sealed


def test_a_call_that_makes_no_sense_is_refused(library: Library, tmp_path: Path) -> None:
    assert stated(library, tmp_path / "a", served="2035-06-30").code == 2
    assert stated(library, tmp_path / "b", "--record-type", "nothing").code == 2
    said = library(
        "certificate", "ordinary-course", "--subject", PATRON, "--from", "2035-05-31", "--to", "2035-03-01", "--served", "2035-06-01",
        "--out", tmp_path / "c",
    )  # fmt: skip
    assert said.code == 2
    assert PATRON not in said.err
