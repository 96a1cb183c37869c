"""Rows of an export: they go when their patron withdraws, stay while a hold keeps them, and take nothing else along."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import openpyxl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from openpyxl.styles import Font

from retention.condition import Compare
from retention.decide import KeepReason
from retention.errors import StoreUnavailable
from retention.outcomes import Presence
from retention.schedule import Disposition, Rows, TriggerKind
from storage.files.lines import from_text
from storage.rows import rewriting, workbook
from storage.rows.facts import ROUNDED
from storage.rows.lines import read_row
from storage.rows.opening import PARTIAL
from tests.storage.files.shelf import give_up_rights, without_rights
from tests.storage.rows.desk import ADA, BELA, CLEO, LOCATION, NOW, ON, Desk, hold_on

HEAD = b"cardnumber,name,balance\n"
ROWS = HEAD + f"{ADA},Ada,0\n{BELA},Bela,5\n{CLEO},Cleo,0\n".encode()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(root=tmp_path)


def test_the_rows_of_a_person_who_withdrew_go_and_no_others(desk: Desk) -> None:
    path = desk.put("savannah-2026-06-01.csv", ROWS)
    assert desk.destroy() == [Presence.ABSENT]
    assert path.read_bytes() == HEAD + f"{BELA},Bela,5\n{CLEO},Cleo,0\n".encode()
    assert desk.survey()[0].kept == Counter({KeepReason.CONSENT: 2})


def test_all_rows_go_after_the_maximum_and_the_file_with_the_last(desk: Desk) -> None:
    path = desk.put("savannah-2026-04-01.csv", ROWS)
    other = desk.put("savannah-2026-06-01.csv", HEAD + f"{BELA},Bela,5\n".encode())
    stamp = (NOW - timedelta(days=70)).timestamp()
    os.utime(path, (stamp, stamp))
    assert desk.destroy() == [Presence.ABSENT] * 3
    assert (path.exists(), other.exists()) == (False, True)


def test_a_hold_on_a_person_keeps_their_rows_in_every_file(desk: Desk) -> None:
    for day in (1, 2):
        desk.put(f"savannah-2026-06-0{day}.csv", ROWS)
    desk.withdrawn = (ADA, BELA)
    _, lines = desk.survey()
    assert len(lines) == 4
    assert desk.destroy(hold_on(ADA), lines=lines) == [Presence.ABSENT] * 2
    assert all(ADA in path.read_text() for path in (desk.root / "vendor").iterdir())
    assert desk.survey(hold_on(ADA))[0].kept[KeepReason.HELD] == 2


def test_a_hold_keeps_the_row_of_a_number_that_lost_its_zeros_or_its_case(desk: Desk) -> None:
    path = desk.put("savannah-2026-06-01.csv", HEAD + b"12345,Ada,0\nab7,Bela,0\n678.0,Cleo,0\n")
    desk.location = replace(LOCATION, consent=None)
    _, lines = desk.survey()
    assert len(lines) == 3
    assert desk.destroy(hold_on("0012345", "AB7", "678"), lines=lines) == []
    assert path.read_text().count("\n") == 4


def test_a_number_that_a_spreadsheet_rounded_is_nobodys_for_certain_so_its_row_stays(desk: Desk) -> None:
    desk.put("savannah-2026-06-01.csv", HEAD + b"2.1234E+13,Ada,0\n")
    desk.location = replace(LOCATION, consent=None)
    ((_, reason, detail),) = desk.store.cannot_decide(desk.criteria, (), 5)
    assert (reason, detail) == (KeepReason.UNDECIDABLE, ROUNDED)


def test_a_row_that_changed_meanwhile_stays_though_the_rest_of_its_file_goes(desk: Desk) -> None:
    path = desk.put("savannah-2026-06-01.csv", ROWS)
    desk.withdrawn = (ADA, BELA)
    _, lines = desk.survey()
    desk.put(path.name, ROWS.replace(b"Ada,0", b"Ada,7"))
    assert desk.destroy(lines=lines) == [Presence.ABSENT]
    assert path.read_text().splitlines()[1:] == [f"{ADA},Ada,7", f"{CLEO},Cleo,0"]


def test_the_same_row_twice_goes_twice(desk: Desk) -> None:
    path = desk.put("savannah-2026-06-01.csv", ROWS + f"{ADA},Ada,0\r\n{ADA},Ada,0".encode())
    assert desk.destroy() == [Presence.ABSENT] * 3
    assert ADA not in path.read_text()


def test_owner_rights_attributes_and_age_stay_as_they_were(desk: Desk) -> None:
    path = desk.put("savannah-2026-06-01.csv", ROWS)
    path.chmod(0o640)
    os.setxattr(path, "user.origin", b"savannah")
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    before = path.stat()
    desk.destroy()
    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid, after.st_mtime_ns) == (
        before.st_mode, before.st_uid, before.st_gid, before.st_mtime_ns,
    )  # fmt: skip
    assert os.getxattr(path, "user.origin") == b"savannah"


@pytest.mark.parametrize("beside", [".~lock.savannah-2026-06-01.csv#", "~$savannah-2026-06-01.csv"])
def test_a_file_that_is_open_in_an_office_program_is_left_alone(desk: Desk, beside: str) -> None:
    path = desk.put("savannah-2026-06-01.csv", ROWS)
    _, lines = desk.survey()
    desk.put(beside, b"")
    assert desk.destroy(lines=lines) == [Presence.PRESENT]
    assert path.read_bytes() == ROWS


def test_a_file_that_another_process_has_locked_is_left_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.rows.opening.PATIENCE", 0.1)
    path = desk.put("savannah-2026-06-01.csv", ROWS)
    with path.open("rb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        assert desk.destroy() == [Presence.PRESENT]
    assert path.read_bytes() == ROWS
    assert desk.destroy() == [Presence.ABSENT]


def test_a_full_disk_leaves_the_file_whole_and_nothing_beside_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = desk.put("savannah-2026-06-01.csv", ROWS)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("storage.rows.rewriting.os.fsync", full)
    with pytest.raises(StoreUnavailable, match="full"):
        desk.destroy()
    assert path.read_bytes() == ROWS
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_a_killed_process_left_half_written_is_swept_up_and_what_is_being_written_is_not(
    desk: Desk,
) -> None:
    desk.put("savannah-2026-06-01.csv", ROWS)
    stale = desk.put(f"{PARTIAL}0123456789abcdef", ROWS)
    busy = desk.put(f"{PARTIAL}fedcba9876543210", ROWS)
    with busy.open("rb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        desk.destroy()
    assert (stale.exists(), busy.exists()) == (False, True)
    assert desk.survey()[0].findings == []


def test_killed_in_the_middle_of_writing_a_file_the_old_one_is_whole(desk: Desk) -> None:
    rows = "".join(f"{number:014},N,0\n" for number in range(60_000)).encode()
    path = desk.put("savannah-2026-06-01.csv", ROWS + rows)
    whole = path.read_bytes()
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom storage.rows import rewriting\n"
        "from tests.storage.rows.desk import Desk\n"
        "rewriting._take_after = lambda *_: os.kill(os.getpid(), 9)\n"
        "Desk(root=Path(sys.argv[1])).destroy()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(desk.root)], check=False, capture_output=True, cwd=Path.cwd()
    )
    assert ended.returncode == -9
    assert path.read_bytes() == whole
    assert desk.store.presence(desk.criteria, desk.survey()[1]) == [Presence.PRESENT]
    assert desk.destroy() == [Presence.ABSENT]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_exchanged_between_reading_and_replacing_is_not_replaced(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = desk.put("savannah-2026-06-01.csv", ROWS)
    newer = ROWS + f"{BELA},Bela again,9\n".encode()
    original = rewriting._take_after

    def exchanged(target: int, source: int, before: os.stat_result) -> None:
        original(target, source, before)
        path.write_bytes(newer)

    monkeypatch.setattr(rewriting, "_take_after", exchanged)
    assert desk.destroy() == [Presence.PRESENT]
    assert path.read_bytes() == newer


def test_links_unreadable_and_strange_files_are_kept_and_told(desk: Desk, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.csv"
    target.write_bytes(ROWS)
    desk.put("savannah-2026-06-01.csv", ROWS)
    (desk.root / "vendor" / "savannah-2026-06-02.csv").symlink_to(target)
    os.link(target, desk.root / "vendor" / "savannah-2026-06-03.csv")
    desk.put("savannah-2026-06-04.csv", HEAD + b'1,"never closed\n')
    desk.put("savannah-2026-06-05.xlsm", b"PK\x03\x04")
    desk.put("savannah-2026-06-06.pdf", b"%PDF")
    found, lines = desk.survey()
    assert len(lines) == 1
    assert found.kept[KeepReason.UNDECIDABLE] == 5
    assert sum(finding.count for finding in found.findings) == 5
    desk.destroy()
    assert target.read_bytes() == ROWS


def test_a_file_without_rights_is_kept_and_told_and_a_folder_without_rights_is_not_changed() -> None:
    with without_rights() as folder:
        desk = Desk(root=folder, location=LOCATION)
        desk.put("savannah-2026-06-01.csv", ROWS).chmod(0)
        (folder / "vendor").chmod(0o755)
        give_up_rights()
        found, lines = desk.survey()
    assert (lines, found.kept[KeepReason.UNDECIDABLE]) == ([], 1)
    with without_rights() as folder:
        desk = Desk(root=folder, location=LOCATION)
        path = desk.put("savannah-2026-06-01.csv", ROWS)
        (folder / "vendor").chmod(0o555)
        give_up_rights()
        assert desk.destroy() == [Presence.PRESENT]
        assert path.read_bytes() == ROWS


def test_a_row_is_named_by_its_file_and_key(desk: Desk) -> None:
    desk.put("savannah-2026-06-01.csv", ROWS)
    _, (line,) = desk.survey()
    key = desk.store.reference(line)
    assert key == f"savannah-2026-06-01.csv#{ADA}"
    record = desk.store.read(desk.criteria, key)
    assert record is not None
    assert record.subject is not None
    assert record.subject.reveal() == ADA
    assert read_row(line).path == from_text("savannah-2026-06-01.csv")


def test_dates_numbers_and_words_are_compared_as_the_schedule_means_them(desk: Desk) -> None:
    desk.put(
        "loans.csv",
        b"id,returned,owed,state\n1,06/01/2026,0.00,closed\n2,04/01/2026,0.00,closed\n3,04/01/2026,2.50,closed\n"
        b"4,04/01/2026,,closed\n5,13/13/2026,0,closed\n6,04/01/2026,x,closed\n",
    )
    desk.location = replace(
        LOCATION, template="{any}.csv", trigger_kind=TriggerKind.DATE, subject="id", consent=None,
        blocked=Compare("owed", ">", 0), rows=Rows(key=("id",), trigger="returned", date_format="%m/%d/%Y"),
    )  # fmt: skip
    desk.on = ON - timedelta(days=0)
    found, lines = desk.survey()
    assert [read_row(line).key for line in lines] == ["1", "2"]
    assert found.kept == {KeepReason.BLOCKED: 1, KeepReason.UNCLEAR: 2, KeepReason.NO_TRIGGER: 1}


def test_several_columns_can_be_the_key(desk: Desk) -> None:
    path = desk.put("loans-2026-06-01.csv", f"Card Number,Item\n{ADA},1\n{ADA},2\n{BELA},1\n".encode())
    desk.location = replace(LOCATION, subject="card_number", rows=Rows(key=("card_number", "item")))
    _, lines = desk.survey()
    assert {read_row(line).key for line in lines} == {f"{ADA}|1", f"{ADA}|2"}
    assert desk.destroy(lines=lines[:1]) == [Presence.ABSENT]
    assert path.read_text() == f"Card Number,Item\n{ADA},2\n{BELA},1\n"


# Spreadsheets and Parquet


def sheet(path: Path, *rows: tuple[str | float | None, ...]) -> None:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    for row in (("Cardnumber", "Name", "Balance"), *rows):
        page.append(row)
    page["A2"].font = Font(bold=True)
    book.save(path)
    stamp = (NOW - timedelta(days=3)).timestamp()
    os.utime(path, (stamp, stamp))


def test_a_row_of_a_spreadsheet_goes_and_its_values_are_nowhere_in_the_file(desk: Desk) -> None:
    path = desk.put("savannah-2026-06-01.xlsx", b"")
    sheet(path, (float(ADA), "Ada Example", 1), (int(BELA), "Bela", 2.5), (CLEO, "Cleo", None))
    assert desk.destroy() == [Presence.ABSENT]
    page = openpyxl.load_workbook(path).active
    assert page is not None
    assert [row for row in page.iter_rows(values_only=True) if any(row)] == [
        ("Cardnumber", "Name", "Balance"), (int(BELA), "Bela", 2.5), (CLEO, "Cleo", None),
    ]  # fmt: skip
    unpacked = subprocess.run(
        ["python3", "-m", "zipfile", "-e", path, path.parent / "out"], check=True, capture_output=True
    )
    assert unpacked.returncode == 0
    for part in (path.parent / "out").rglob("*.xml"):
        assert b"Ada Example" not in part.read_bytes()
        assert ADA.encode() not in part.read_bytes()


def test_a_workbook_is_anonymized_in_place(desk: Desk) -> None:
    path = desk.put("savannah-2026-06-01.xlsx", b"")
    sheet(path, (ADA, "Ada", 1), (BELA, "Bela", 2))
    desk.disposition = Disposition.ANONYMIZE
    desk.location = replace(LOCATION, rows=Rows(key=("cardnumber",), clear=("name",)))
    assert desk.destroy() == [Presence.ABSENT]
    page = openpyxl.load_workbook(path).active
    assert page is not None
    assert [row[1] for row in page.iter_rows(min_row=2, values_only=True)] == [None, "Bela"]
    assert desk.survey()[0].kept[KeepReason.DONE] == 1


def test_workbooks_that_remember_more_than_cells_or_are_bombs_are_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = desk.put("savannah-2026-06-01.xlsx", b"")
    sheet(path, *((ADA, "A" * 30_000, 1) for _ in range(200)))
    assert "far more" in str(next(iter(desk.survey()[0].findings)).message)
    sheet(path, (ADA, "Ada", 1))
    monkeypatch.setattr(workbook, "LARGEST", 100)
    assert "64 MiB" in next(iter(desk.survey()[0].findings)).message
    desk.put("savannah-2026-06-01.xlsx", b"PK\x03\x04 no archive")
    assert "damaged" in next(iter(desk.survey()[0].findings)).message


def test_a_formula_is_nothing_to_decide_on(desk: Desk) -> None:
    path = desk.put("savannah-2026-06-01.xlsx", b"")
    sheet(path, (ADA, "=A1", 1))
    assert desk.survey()[0].kept == {KeepReason.UNDECIDABLE: 1}


def test_parquet_keeps_schema_groups_and_nested_columns_and_forgets_dictionaries(desk: Desk) -> None:
    path = desk.put("savannah-2026-06-01.parquet", b"")
    table = pa.table(
        {
            "cardnumber": pa.array([int(ADA), int(BELA), int(CLEO)], pa.int64()),
            "name": pa.array(["Ada Example", "Bela", "Cleo"]).dictionary_encode(),
            "loans": pa.array([[{"item": "A"}], [], None]),
        }
    )
    pq.write_table(table, path, row_group_size=2, compression="zstd")
    before = pq.read_table(path)
    stamp = (NOW - timedelta(days=3)).timestamp()
    os.utime(path, (stamp, stamp))
    assert desk.destroy() == [Presence.ABSENT]
    after = pq.read_table(path)
    assert after.schema.equals(before.schema, check_metadata=True)
    assert after.to_pylist() == table.to_pylist()[1:]
    assert b"Ada Example" not in path.read_bytes()
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_nested_key_and_a_damaged_parquet_file_are_refused(desk: Desk) -> None:
    path = desk.put("savannah-2026-06-01.parquet", b"PAR1 nothing PAR1")
    assert "no Parquet" in next(iter(desk.survey()[0].findings)).message
    pq.write_table(pa.table({"cardnumber": [{"a": 1}]}), path)
    assert "nested" in next(iter(desk.survey()[0].findings)).message


def test_a_large_file_is_done_in_little_memory(desk: Desk) -> None:
    """Thirty megabytes here, in a process of its own whose peak is told by the kernel."""
    row = "{number:014},Some Name,a note that is as long as notes in such files are,2026-06-01\n"
    lines = "".join(row.format(number=number) for number in range(400_000))
    path = desk.put(
        "savannah-2026-06-01.csv", b"cardnumber,name,note,day\n" + f"{ADA},Ada,,\n".encode() + lines.encode()
    )
    size = path.stat().st_size
    del lines
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom tests.storage.rows.desk import Desk\n"
        "desk = Desk(root=Path(sys.argv[1]))\nstart = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(desk.destroy(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)\n"
    )
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", code, str(desk.root)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path.cwd(),
    )
    assert time.monotonic() - began < 60
    assert "absent" in ended.stdout
    assert int(ended.stdout.split()[-1]) < 32 * 1024, "kibibytes"
    assert path.stat().st_size == size - len(f"{ADA},Ada,,\n")
    assert stat.S_ISREG(path.stat().st_mode)
