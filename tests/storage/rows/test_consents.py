"""Rows that rest on a consent which another store records: asked at the survey and again at the batch, and silence never destroys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from retention.decide import KeepReason
from retention.errors import StoreUnavailable
from retention.outcomes import Presence
from retention.schedule import Rows
from storage.files.facts import NoRegister
from tests.contract.harness_rows import FORMS, HEADER
from tests.storage.rows.desk import ADA, BELA, CLEO, RECORDED, Desk, OptedIn, hold_on

NAMED = dict(zip((ADA, BELA, CLEO), ("Abel", "Berg", "Cole"), strict=True))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(root=tmp_path, location=RECORDED, register=OptedIn([BELA, CLEO]))
    desk.put(
        "list-2026-06-01.csv",
        "".join(f"{one}\n" for one in ("cardnumber,surname", *map(",".join, NAMED.items()))).encode(),
    )
    return desk


def due(desk: Desk) -> list[str]:
    return [desk.store.reference(line).partition("#")[2] for line in desk.survey()[1]]


@pytest.mark.parametrize("form", FORMS)
def test_the_rows_of_who_does_not_consent_go_out_of_every_form(form: str, tmp_path: Path) -> None:
    write, read = FORMS[form]
    at = HEADER.index("Card Number")
    rows = [("L1", ADA, "t", "", ""), ("L2", BELA, "t", "", ""), ("L3", ADA, "u", "", "")]
    write(tmp_path / "aside", rows)
    location = replace(RECORDED, subject="card_number", rows=Rows(key=("loan_id",)))
    desk = Desk(root=tmp_path / "root", location=location, register=OptedIn([BELA]))
    path = desk.put(f"list-2026-06-01.{form}", (tmp_path / "aside").read_bytes())
    found, _ = desk.survey()
    assert (found.due, [finding.count for finding in found.findings]) == (2, [2])
    assert desk.destroy() == [Presence.ABSENT, Presence.ABSENT]
    assert [row[at] for row in read(path)] == [BELA]


def test_who_consents_again_between_plan_and_batch_is_kept(desk: Desk) -> None:
    lines = desk.survey()[1]
    assert len(lines) == 1
    desk.register = OptedIn([ADA, BELA, CLEO])
    assert desk.destroy(lines=lines) == []
    assert due(desk) == []


def test_a_record_that_was_emptied_or_lost_after_the_plan_ends_the_batch(desk: Desk) -> None:
    lines = desk.survey()[1]
    for register, told in ((OptedIn([]), "nobody consents there"), (NoRegister(), "")):
        desk.register = register
        if told:
            with pytest.raises(StoreUnavailable, match=told):
                desk.destroy(lines=lines)
        else:
            assert desk.destroy(lines=lines) == []
    desk.register = OptedIn([ADA, BELA, CLEO])
    assert desk.survey()[0].population == 3


def test_a_hold_keeps_them_and_what_nobody_can_tell_stays(desk: Desk) -> None:
    assert desk.survey(hold_on(ADA))[0].kept[KeepReason.HELD] == 1
    desk.register = OptedIn([CLEO], unclear=[ADA])
    found, _ = desk.survey()
    assert (due(desk), found.kept[KeepReason.UNCLEAR]) == ([BELA], 1)


def test_a_record_that_knows_nobody_of_these_people_is_no_answer(desk: Desk) -> None:
    desk.register = OptedIn(["1", "2", "3"])
    with pytest.raises(StoreUnavailable, match="it knows nobody of those in the rows of vendor-rows"):
        desk.survey()


def test_who_withdrew_here_goes_whatever_is_recorded_elsewhere(desk: Desk) -> None:
    desk.register = OptedIn([ADA, BELA, CLEO], noted=[CLEO])
    assert due(desk) == [CLEO]
    assert desk.survey()[0].findings == [], "the store does not say it"


@pytest.mark.parametrize(
    "written", [f"00{ADA} ", f"{ADA}.0", f" {ADA}", "".join(chr(ord(digit) + 0xFEE0) for digit in ADA)]
)
def test_a_number_that_was_written_otherwise_is_the_same_person(desk: Desk, written: str) -> None:
    desk.register = OptedIn([written, BELA, CLEO])
    assert due(desk) == []


@pytest.mark.parametrize("nobody", ["", "   "])
def test_a_row_that_names_nobody_was_withdrawn_by_nobody(desk: Desk, nobody: str) -> None:
    desk.location = replace(RECORDED, subject="name", rows=Rows(key=("card",)))
    desk.put("list-2026-06-01.csv", f"card,name,score\n1,{nobody},0\n2,{BELA},0\n3,{CLEO},0\n".encode())
    desk.register = OptedIn([CLEO])
    found, _ = desk.survey()
    assert (found.due, found.kept[KeepReason.UNCLEAR]) == (1, 1)
