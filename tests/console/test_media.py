"""``media``: two allow it, one attests, another witnesses; what is certified is what they signed, and no more."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from retention.media import NOTHING_SEEN
from tests.console.library import NOW, Library
from tests.console.test_scan import CARDS
from tests.retention.test_certificate import CONFORMS
from tests.storage.paper import press

HEADER = "make,model,serial,property_number,media_type,source,categorization\n"
DISK = "Seagate,Barracuda,ZA123456,LIB-0042,hard-disk,camera recorder at Main,confidential\n"
PAPER = ",,,,paper,registration desk at Main,confidential\n"
DATES = ("--from", "2034-01-01", "--to", "2034-12-31")
HOW = ("--method", "destroy", "--technique", "disk shredder, 2 mm")


@pytest.fixture
def desk(staffed: Library) -> Library:
    for name, title, role in (
        ("cleo", "Systems", "operator"),
        ("dora", "Branch Manager", "second-custodian"),
    ):
        staffed.done(
            "person", "add", name, "--full-name", f"{name.title()} Example", "--title", title, "--role", role
        )
    return staffed


def listed(library: Library, text: str = HEADER + DISK + PAPER) -> Path:
    path = library.root / "media.csv"
    path.write_text(text)
    return path


def planned(library: Library, *more: str, kind: str = "camera-footage") -> str:
    said = library.done(
        "media",
        "plan",
        "--media",
        listed(library),
        "--record-type",
        kind,
        *DATES,
        "--as",
        "ada",
        "--json",
        *more,
    )
    return str(said.json["lot"]["id"])


def later(library: Library, hours: int = 1) -> None:
    library.now += timedelta(hours=hours)


def attested(library: Library) -> str:
    lot = planned(library)
    later(library)
    library.done("media", "approve", lot, "--as", "bela")
    later(library)
    library.done("media", "attest", lot, *HOW, "--as", "ada")
    return lot


def certificate(library: Library, lot: str) -> dict[str, object]:
    envelope = json.loads((library.state / "evidence" / f"{lot}.dsse.json").read_bytes())
    statement: dict[str, object] = json.loads(base64.b64decode(envelope["payload"]))
    return statement


def test_what_two_attest_is_certified_logged_and_verified_and_nothing_more_is_claimed(desk: Library) -> None:
    lot = attested(desk)
    assert not (desk.state / "evidence" / f"{lot}.dsse.json").exists()
    later(desk)
    said = desk.done("media", "witness", lot, "--as", "dora")
    assert NOTHING_SEEN in " ".join(said.out.split())
    path = desk.state / "evidence" / f"{lot}.dsse.json"
    verified = desk.done(
        "certificate", "verify", path, "--key", desk.state / "evidence" / "retention.pub", "--json"
    ).json["certificates"][0]
    results = {step["number"]: step["result"] for step in verified["steps"]}
    assert {number for number, result in results.items() if result == "passed"} >= {1, 2, 3, 4, 5, 6, 7, 8}
    assert "failed" not in results.values()
    assert verified["certificate"] == lot
    told = certificate(desk, lot)
    predicate = told["predicate"]
    assert isinstance(predicate, dict)
    assert predicate["summary"] == {"media": 2, "method": "destroy", "result": "attested", "seen": 0}
    assert [one["serial"] for one in predicate["lot"]["media"]] == ["ZA123456", ""]
    assert [one["statement"]["step"] for one in predicate["signed"]] == [
        "plan",
        "approve",
        "attest",
        "witness",
    ]
    assert [one["person"] for one in predicate["signed"]] == [
        "Ada Example",
        "Bela Example",
        "Ada Example",
        "Dora Example",
    ]
    assert "read-back" not in json.dumps(told)
    desk.done("log", "verify")
    desk.done(
        "certificate", "verify", desk.state / "evidence", "--key", desk.state / "evidence" / "retention.pub"
    )


@pytest.fixture
def lot(desk: Library) -> str:
    """Certified."""
    lot = attested(desk)
    desk.done("media", "witness", lot, "--as", "dora")
    return lot


def test_its_certificate_is_among_the_others_and_says_that_it_is_attested(desk: Library, lot: str) -> None:
    CONFORMS.validate(certificate(desk, lot))
    later(desk)
    desk.done("run", "--execute", "--record-type", "past-checkouts")
    listed_ = desk.done("certificate", "list", "--json").json["certificates"]
    assert [(one["id"] == lot, one["attested"], one["state"]) for one in listed_] == [
        (False, False, "provisional"), (True, True, "final")
    ]  # fmt: skip
    assert re.search(f"{lot} +final, attested", desk.done("certificate", "list").out)
    assert [
        one["id"] for one in desk.done("certificate", "list", "--limit", "1", "--json").json["certificates"]
    ] != [lot]
    shown = " ".join(desk.done("certificate", "show", lot).out.split())
    for said in ("attested by people, not read back by the program", "ZA123456", "LIB-0042", NOTHING_SEEN, "witnessed by Dora Example, Branch Manager"):  # fmt: skip
        assert said in shown
    assert desk.done("certificate", "show", lot, "--json").json["statement"] == certificate(desk, lot)
    assert "has no records to open" in desk("certificate", "open", lot, "--record", "ils/loans/1").err
    assert "index 1" in desk.done("log", "prove", lot).out


@pytest.mark.usefixtures("poppler")
def test_its_page_has_every_field_and_verifies_and_a_changed_one_does_not(desk: Library, lot: str) -> None:
    (page,) = (Path(one["file"]) for one in desk.done("certificate", "pdf", "--json").json["pages"])
    assert page == desk.state / "evidence" / f"{lot}.pdf"
    text = " ".join(press.said("pdftotext", "-layout", page, "-").split())
    for words in (
        "Attested by people, not read back by the program", "ATTESTED", "Hard disk", "Seagate", "Barracuda", "ZA123456", "LIB-0042", "recorder",
        "confidential", "Destroy: the medium itself was destroyed.", "Disk shredder, 2 mm.", "Preparer: Ada Example, Director, June 15, 2035",
        "Approver: Bela Example, Director, June 15, 2035", "Destroyer: Ada Example, Director, June 15, 2035", "Witness: Dora Example, Branch Manager, June 15, 2035",
    ):  # fmt: skip
        assert words in text
    verified = desk.done("certificate", "verify", page, "--json").json["certificates"][0]
    assert [step["result"] for step in verified["pdf"]] == ["passed"] * 4
    assert [step["result"] for step in verified["steps"]] == ["passed"] * 9 + ["not-checked"]
    whole = page.read_bytes()
    at = whole.index(b"/Title")
    page.write_bytes(whole[: at + 8] + bytes([whole[at + 8] ^ 1]) + whole[at + 9 :])
    changed = desk("certificate", "verify", page)
    assert changed.code == 6
    assert "not verified: step P1" in changed.out


def test_the_folder_handed_over_verifies_and_so_do_its_own_instructions(
    desk: Library, lot: str, tmp_path: Path
) -> None:
    folder = tmp_path / "handed"
    desk.done("certificate", "bundle", lot, "--to", folder)
    verified = desk.done("certificate", "verify", folder, "--json").json["certificates"][0]
    assert [step["result"] for step in verified["steps"]] == ["passed"] * 9 + ["not-checked"]
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert ".leaves" not in text
    script = "set -e\n" + "\n".join(block.partition("```")[0] for block in text.split("```sh\n")[1:])
    done = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Signature Verified Successfully") == 6, (
        "the library's, the log's and four people's"
    )
    assert done.stdout.endswith("in the log\n")
    told = certificate(desk, lot)
    assert isinstance(told["predicate"], dict)
    assert told["predicate"]["evidence"]["digest"] in done.stdout
    exported = tmp_path / "exported"
    desk.done("certificate", "export", lot, "--to", exported)
    assert sorted(path.name for path in exported.iterdir()) == [
        f"{lot}.dsse.json",
        "retention.keys",
        "retention.pub",
    ]
    path = folder / f"{lot}.dsse.json"
    path.write_bytes(path.read_bytes().replace(b"payload", b"pay1oad"))
    wrong = desk("certificate", "verify", folder)
    assert wrong.code == 6
    assert "not verified: step 1" in wrong.out


def test_a_changed_word_anywhere_in_the_certificate_is_noticed(desk: Library) -> None:
    lot = attested(desk)
    desk.done("media", "witness", lot, "--as", "dora")
    path = desk.state / "evidence" / f"{lot}.dsse.json"
    whole = json.loads(path.read_bytes())
    forged = base64.b64decode(whole["payload"]).replace(b"ZA123456", b"ZA123457")
    whole["payload"] = base64.b64encode(forged).decode()
    path.write_text(json.dumps(whole, separators=(",", ":"), sort_keys=True))
    said = desk("certificate", "verify", path, "--key", desk.state / "evidence" / "retention.pub")
    assert said.code == 6


@pytest.mark.parametrize(
    ("step", "who", "words"),
    [
        (("approve",), "ada", "took the step plan of lot"),
        (("approve",), "cleo", "not custodian"),
        (("attest", *HOW), "ada", "the next step is: approve"),
        (("witness",), "dora", "the next step is: approve"),
    ],
)
def test_nobody_steps_out_of_turn_or_does_both_parts(
    desk: Library, step: tuple[str, ...], who: str, words: str
) -> None:
    lot = planned(desk)
    later(desk)
    said = desk("media", step[0], lot, *step[1:], "--as", who)
    assert said.code != 0
    assert words in " ".join(said.err.split())
    assert len(desk.done("media", "show", lot, "--json").json["lot"]["steps"]) == 1


def test_who_attested_or_approved_cannot_witness_and_an_operator_can_neither(desk: Library) -> None:
    lot = attested(desk)
    for who in ("ada", "bela", "cleo"):
        assert desk("media", "witness", lot, "--as", who).code != 0
    assert not (desk.state / "evidence" / f"{lot}.dsse.json").exists()
    desk.done("media", "witness", lot, "--as", "dora")
    assert desk("media", "witness", lot, "--as", "dora").code != 0


def hold(library: Library, *scope: str) -> None:
    library.done(
        "hold", "place", "--matter", "M1", "--kind", "subpoena", "--authority", "Court", *scope, "--as", "ada"
    )


@pytest.mark.parametrize(
    "scope",
    [
        ("--record-type", "camera-footage"),
        ("--store", "ils"),
        ("--camera", "front-door"),
        ("--subject", "P1"),
        ("--from", "2034-06-01", "--until", "2034-06-02"),
    ],
)
def test_a_hold_that_touches_a_lot_refuses_every_further_step(desk: Library, scope: tuple[str, ...]) -> None:
    """Nobody can say which store, camera or person the content of a disk is of: every one may be."""
    lot = attested(desk)
    hold(desk, *scope)
    said = desk("media", "witness", lot, "--as", "dora")
    assert said.code == 5
    assert "to be retained" in said.err
    assert "M1" not in said.err
    assert not (desk.state / "evidence" / f"{lot}.dsse.json").exists()
    refused = desk(
        "media", "plan", "--media", listed(desk), "--record-type", "camera-footage", *DATES, "--as", "ada"
    )
    assert refused.code == 5


@pytest.mark.parametrize(
    "scope",
    [
        ("--record-type", "past-checkouts"),
        ("--record-type", "camera-footage", "--from", "2035-06-01", "--until", "2035-06-02"),
    ],
)
def test_a_hold_on_something_else_does_not_stop_it(desk: Library, scope: tuple[str, ...]) -> None:
    lot = attested(desk)
    hold(desk, *scope)
    desk.done("media", "witness", lot, "--as", "dora")


def test_a_hold_on_cameras_stops_no_kind_of_record_that_has_none(desk: Library) -> None:
    lot = planned(desk, kind="vendor-exports")
    hold(desk, "--camera", "front-door")
    later(desk)
    desk.done("media", "approve", lot, "--as", "bela")


def test_what_is_younger_than_its_minimum_is_not_planned(desk: Library) -> None:
    said = desk(
        "media", "plan", "--media", listed(desk), "--record-type", "camera-footage", "--from", "2035-01-01",
        "--to", f"{NOW:%Y-%m-%d}", "--as", "ada",
    )  # fmt: skip
    assert said.code == 5
    assert "the minimum of camera-footage is not over until 2035-06-29" in said.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER, "from 1 to 1000 media"),
        (DISK, "exactly the columns"),
        (HEADER + DISK + DISK, "there twice"),
        (HEADER + "a,b,,,hard-disk,desk,confidential\n", "neither a serial nor a property number"),
        (HEADER + "a,b,c,,zip-drive,desk,confidential\n", "a media type is none of"),
        (HEADER + "a,b,c,,laptop,,confidential\n", "where it comes from"),
        (HEADER + f",,,,paper,letters to {CARDS[0]},confidential\n", "names a person"),
        (HEADER + ",,,,paper,letters of ada.abel@example.org,confidential\n", "names a person"),
        (HEADER + ",,,,paper,kept for a litigation hold,confidential\n", "names a hold"),
    ],
)
def test_a_list_that_leaves_a_medium_in_doubt_or_names_a_person_is_refused(
    desk: Library, text: str, words: str
) -> None:
    said = desk(
        "media",
        "plan",
        "--media",
        listed(desk, text),
        "--record-type",
        "camera-footage",
        *DATES,
        "--as",
        "ada",
    )
    assert said.code != 0
    assert words in " ".join(said.err.split())
    assert CARDS[0] not in said.err
    assert desk.done("media", "list", "--json").json["lots"] == []


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (("--method", "clear", "--technique", "overwritten"), "paper cannot be cleared"),
        (("--method", "none-claimed", "--technique", "lost"), 'Choose from: "clear", "purge", "destroy"'),
        (("--method", "destroy", "--technique", " "), "is not said in 1 to 400 characters"),
        (("--method", "destroy", "--technique", "ground " * 60), "is not said in 1 to 400 characters"),
        ((*HOW, "--destroyed-at", "2035-06-14T10:00"), "between the approval and now"),
        ((*HOW, "--destroyed-at", "2035-06-17T10:00"), "between the approval and now"),
    ],
)
def test_an_attestation_that_cannot_be_true_is_refused(
    desk: Library, how: tuple[str, ...], words: str
) -> None:
    lot = planned(desk)
    later(desk)
    desk.done("media", "approve", lot, "--as", "bela")
    later(desk)
    said = desk("media", "attest", lot, *how, "--as", "ada")
    assert said.code != 0
    assert words in " ".join(said.err.split())


def test_a_schedule_that_was_changed_before_the_approval_needs_a_new_plan_and_later_it_does_not_matter(
    desk: Library,
) -> None:
    stale, lot = planned(desk), attested(desk)
    desk.amend('version = "2035.test"', 'version = "2035.next"')
    assert "plan it anew" in desk("media", "approve", stale, "--as", "bela").err
    desk.done("media", "witness", lot, "--as", "dora")
    desk.done(
        "certificate", "verify", desk.state / "evidence" / f"{lot}.dsse.json", "--key", desk.state / "evidence" / "retention.pub"
    )  # fmt: skip


def test_a_certificate_whose_file_is_missing_is_published_again_by_the_next_run(desk: Library) -> None:
    lot = attested(desk)
    desk.done("media", "witness", lot, "--as", "dora")
    path = desk.state / "evidence" / f"{lot}.dsse.json"
    before = path.read_bytes()
    path.unlink()
    desk.done("run", "--execute")
    assert path.read_bytes() == before


def test_the_ledger_file_names_no_medium_in_the_clear(desk: Library) -> None:
    lot = attested(desk)
    assert re.fullmatch(r"M\d{8}-[0-9a-f]{8}", lot)
    assert b"ZA123456" not in b"".join(path.read_bytes() for path in desk.state.glob("ledger*"))


def test_whoever_puts_another_witness_into_the_ledger_is_found(desk: Library, lot: str) -> None:
    assert desk.done("db", "check", "--json").json["signatures"] == 4
    with sqlite3.connect(desk.state / "ledger.db") as ledger:
        ledger.execute("DROP TRIGGER refuse_update_media_step")
        ledger.execute("UPDATE media_step SET person = 'bela' WHERE lot_id = ? AND step = 'witness'", (lot,))
    ledger.close()
    said = desk("db", "check")
    assert said.code == 6
    assert f"step witness of lot {lot}" in said.err


def test_counsel_is_told_of_media_with_records_of_the_kind_and_time_asked_about(
    desk: Library, lot: str, tmp_path: Path
) -> None:
    def stated(name: str, first: str, served: str, *more: str) -> tuple[list[str], list[str], str]:
        out = desk.done(
            "certificate", "ordinary-course", "--subject", "P1", "--from", first, "--to", "2035-05-31", "--served", served,
            "--out", tmp_path / name, "--json", *more,
        ).json  # fmt: skip
        told = out["statement"]["predicate"]
        before, after = (
            [one["certificate"] for one in told[f"byHand{when}Service"]] for when in ("Before", "After")
        )
        assert [one["name"] for one in out["statement"]["subject"]] == before + after
        return before, after, " ".join(told["sentences"])

    before, after, said = stated("on-the-day", "2034-03-01", "2035-06-15")
    assert (before, after) == ([], [lot])
    assert (
        "By hand, 2 media with records of these kinds and dates were destroyed on or after that day" in said
    )
    assert "how many records were on them is not known" in said
    assert stated("later", "2035-01-01", "2035-06-15")[:2] == ([], []), "another time"
    assert stated("kind", "2034-03-01", "2035-06-15", "--record-type", "past-checkouts")[:2] == ([], [])
    later(desk, 24)
    assert stated("after", "2034-03-01", "2035-06-16")[:2] == ([lot], [])
