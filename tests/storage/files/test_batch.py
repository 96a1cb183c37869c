"""Batches on files that change, move, vanish or resist between two looks."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from retention.errors import StoreUnavailable
from retention.holds import Scope
from retention.outcomes import Presence
from storage.files import tree
from storage.files.batch import FileBatch
from storage.files.lines import read_line, write_line
from tests.storage.files.shelf import (
    EXPORTS,
    FRIGATE,
    LONG_AGO,
    NOW,
    Shelf,
    give_up_rights,
    hold,
    record_segments,
    stamp,
    without_rights,
)

ABSENT, PRESENT, UNREADABLE = Presence.ABSENT, Presence.PRESENT, Presence.UNREADABLE


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(root=tmp_path / "root", location=EXPORTS)
    for name in ("a", "b", "c"):
        shelf.write(f"weekly/{name}.csv")
    return shelf


Meddle = Callable[[Path], object]


def grow(path: Path) -> None:
    with path.open("a") as file:
        file.write("more")


def rewrite_keeping_size_and_time(path: Path) -> None:
    other = path.with_name("new")
    other.write_text("CONTENT")
    stamp(other, LONG_AGO)
    other.replace(path)


def touch(path: Path) -> None:
    stamp(path, LONG_AGO + timedelta(seconds=1))


def link_again(path: Path) -> None:
    os.link(path, path.parents[3] / "other name")


def put_a_link_in_its_place(path: Path) -> None:
    path.rename(path.parents[3] / "aside")
    path.symlink_to(path.parents[3] / "aside")


def put_a_folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()
    stamp(path, LONG_AGO)


MEDDLING = [
    grow,
    rewrite_keeping_size_and_time,
    touch,
    link_again,
    put_a_link_in_its_place,
    put_a_folder_in_its_place,
]


@pytest.mark.parametrize("meddle", MEDDLING)
def test_what_is_not_the_surveyed_file_any_more_is_withheld(shelf: Shelf, meddle: Meddle) -> None:
    _, lines = shelf.survey()
    meddle(shelf.place / "weekly/b.csv")
    assert shelf.destroy(lines) == {"weekly/a.csv": ABSENT, "weekly/c.csv": ABSENT}
    assert os.path.lexists(shelf.place / "weekly/b.csv")


@pytest.mark.parametrize("meddle", MEDDLING)
def test_what_changes_after_it_was_chosen_is_not_destroyed(shelf: Shelf, meddle: Meddle) -> None:
    _, lines = shelf.survey()
    with shelf.store.batch(shelf.criteria) as batch:
        assert len(batch.stage(lines, ()).chosen) == 3
        meddle(shelf.place / "weekly/b.csv")
        batch.destroy()
        assert dict(zip(shelf_keys(lines), batch.read_back(), strict=True)) == {
            "weekly/a.csv": ABSENT, "weekly/b.csv": PRESENT, "weekly/c.csv": ABSENT,
        }  # fmt: skip
    assert os.path.lexists(shelf.place / "weekly/b.csv")


def shelf_keys(lines: list[bytes]) -> list[str]:
    return [read_line(line).path for line in lines]


def test_a_file_that_is_gone_before_it_is_chosen_is_absent(shelf: Shelf) -> None:
    _, lines = shelf.survey()
    (shelf.place / "weekly/b.csv").unlink()
    with shelf.store.batch(shelf.criteria) as batch:
        staged = batch.stage(lines, ())
    assert [shelf_keys(lines)[index] for index in staged.absent] == ["weekly/b.csv"]


def test_a_file_moved_away_after_it_was_chosen_is_not_certified_as_destroyed(shelf: Shelf) -> None:
    """It is absent where it was, and it lives: only what our own unlink took may be read back as absent."""
    _, lines = shelf.survey()
    with shelf.store.batch(shelf.criteria) as batch:
        batch.stage(lines, ())
        (shelf.place / "weekly/b.csv").rename(shelf.root / "saved")
        batch.destroy()
        answers = dict(zip(shelf_keys(lines), batch.read_back(), strict=True))
    assert answers == {"weekly/a.csv": ABSENT, "weekly/b.csv": UNREADABLE, "weekly/c.csv": ABSENT}
    assert (shelf.root / "saved").exists()


def test_a_folder_exchanged_for_a_link_before_the_batch_is_not_followed(shelf: Shelf) -> None:
    _, lines = shelf.survey()
    (shelf.place / "weekly").rename(shelf.root / "elsewhere")
    (shelf.place / "weekly").symlink_to(shelf.root / "elsewhere")
    with shelf.store.batch(shelf.criteria) as batch:
        staged = batch.stage(lines, ())
    assert (staged.chosen, staged.absent) == ((), ())
    assert shelf.store.presence(shelf.criteria, lines) == [UNREADABLE] * 3
    assert len(list((shelf.root / "elsewhere").iterdir())) == 3


@pytest.mark.parametrize("link", [True, False])
def test_a_folder_exchanged_after_choosing_leads_to_no_other_files(shelf: Shelf, link: bool) -> None:
    """The files that were chosen go, wherever their folder is now; the ones in its place stay. Nobody says "absent"."""
    theirs = shelf.root / "theirs"
    theirs.mkdir()
    for name in ("a", "b", "c"):
        (theirs / f"{name}.csv").write_text("content")
        stamp(theirs / f"{name}.csv", LONG_AGO)
    _, lines = shelf.survey()
    with shelf.store.batch(shelf.criteria) as batch:
        assert len(batch.stage(lines, ()).chosen) == 3
        (shelf.place / "weekly").rename(shelf.root / "moved")
        if link:
            (shelf.place / "weekly").symlink_to(theirs)
        else:
            theirs.rename(shelf.place / "weekly")
            theirs = shelf.place / "weekly"
        batch.destroy()
        assert batch.read_back() == [UNREADABLE if link else PRESENT] * 3
    assert len(list(theirs.iterdir())) == 3


def test_a_folder_that_refills_is_not_removed(shelf: Shelf) -> None:
    _, lines = shelf.survey()
    with shelf.store.batch(shelf.criteria) as batch:
        batch.stage(lines, ())
        shelf.write("weekly/new.csv", NOW)
        batch.destroy()
        assert batch.read_back() == [ABSENT] * 3
    assert shelf.files() == {"weekly/new.csv"}


def test_a_file_that_comes_back_under_the_same_name_is_read_back_as_present(shelf: Shelf) -> None:
    _, lines = shelf.survey()
    with shelf.store.batch(shelf.criteria) as batch:
        batch.stage(lines, ())
        batch.destroy()
        shelf.write("weekly/b.csv", NOW)
        assert dict(zip(shelf_keys(lines), batch.read_back(), strict=True))["weekly/b.csv"] is PRESENT


def test_a_hold_placed_after_the_survey_withholds(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=FRIGATE)
    paths = record_segments(shelf, "door", LONG_AGO, 7)
    _, lines = shelf.survey()
    since = LONG_AGO + timedelta(seconds=25)
    shelf.holds = [hold(Scope(cameras=frozenset({"door"}), since=since, until=since))]
    assert set(shelf.destroy(lines)) == {*paths[:2], *paths[3:6]}
    assert shelf.files() == {paths[2], paths[6]}


def test_a_span_is_the_surveys_even_when_the_neighbour_that_ended_it_is_gone(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=FRIGATE)
    paths = record_segments(shelf, "door", LONG_AGO, 3)
    _, lines = shelf.survey()
    (shelf.place / paths[1]).unlink()
    since = LONG_AGO + timedelta(seconds=20)
    shelf.holds = [hold(Scope(cameras=frozenset({"door"}), since=since, until=since))]
    assert set(shelf.destroy(lines)) == {paths[0]}


def test_a_line_cannot_say_that_a_file_is_of_another_camera_or_earlier(tmp_path: Path) -> None:
    """Camera and start are read from the path again: a manifest altered in the spool frees nothing from a hold."""
    shelf = Shelf(root=tmp_path, location=FRIGATE)
    paths = record_segments(shelf, "door", LONG_AGO, 2)
    _, lines = shelf.survey()
    line = read_line(lines[0])
    altered = write_line(line._replace(camera="hall", start=0.0, end=1.0))
    shelf.holds = [
        hold(Scope(cameras=frozenset({"door"}), since=LONG_AGO, until=LONG_AGO + timedelta(seconds=5)))
    ]
    assert shelf.destroy([altered]) == {}
    assert shelf.files() == set(paths)


# Folders that became empty


def test_emptied_folders_go_up_to_the_location_and_those_of_the_layout_stay(tmp_path: Path) -> None:
    location = replace(EXPORTS, template="collection/{event}/{any}/{any}.csv")
    shelf = Shelf(root=tmp_path, location=location)
    shelf.write("collection/agency/week1/a.csv")
    shelf.write("collection/agency/week2/b.csv")
    shelf.write("collection/other/week1/new.csv", NOW - timedelta(days=1))
    shelf.destroy(shelf.survey()[1])
    assert shelf.folders() == {"collection", "collection/other", "collection/other/week1"}
    (shelf.place / "collection/other/week1/new.csv").unlink()
    assert shelf.place.exists()


def test_a_date_tree_leaves_nothing_behind_but_the_newest(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=FRIGATE)
    paths = record_segments(shelf, "door", LONG_AGO - timedelta(minutes=1), 20)
    shelf.destroy(shelf.survey()[1])
    assert shelf.files() == {paths[-1]}
    assert shelf.folders() == {"2026-03-01", "2026-03-01/14", "2026-03-01/14/door"}


def test_an_empty_folder_that_we_did_not_empty_stays(shelf: Shelf) -> None:
    (shelf.place / "new/empty").mkdir(parents=True)
    shelf.destroy(shelf.survey()[1])
    assert shelf.folders() == {"new", "new/empty"}


# Refusals and failures


def test_a_file_that_may_not_be_unlinked_stays_and_the_others_go() -> None:
    with without_rights() as folder:
        shelf = Shelf(root=folder, location=EXPORTS)
        shelf.write("closed/a.csv")
        shelf.write("open/b.csv")
        (shelf.place / "open").chmod(0o777)
        (shelf.place / "closed").chmod(0o555)
        _, lines = shelf.survey()
        give_up_rights()
        assert shelf.destroy(lines) == {"closed/a.csv": PRESENT, "open/b.csv": ABSENT}
        assert shelf.files() == {"closed/a.csv"}


def test_a_folder_that_may_not_be_entered_says_nothing_about_what_is_in_it() -> None:
    with without_rights() as folder:
        shelf = Shelf(root=folder, location=EXPORTS)
        shelf.write("closed/a.csv")
        _, lines = shelf.survey()
        (shelf.place / "closed").chmod(0o000)
        give_up_rights()
        assert shelf.store.presence(shelf.criteria, lines) == [UNREADABLE]
        with shelf.store.batch(shelf.criteria) as batch:
            staged = batch.stage(lines, ())
        assert (staged.chosen, staged.absent) == ((), ())


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_disk_that_fails_stops_the_batch_and_nothing_is_called_absent_that_was_not_unlinked(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A failing disk or a stale handle cannot be made on every machine: the system call is replaced."""
    _, lines = shelf.survey()
    real = os.unlink

    def failing(name: str, *, dir_fd: int) -> None:
        if name == shelf_keys(lines)[1].split("/")[1]:
            raise OSError(number, "no answer", "zqcanary")
        real(name, dir_fd=dir_fd)

    with shelf.store.batch(shelf.criteria) as batch:
        batch.stage(lines, ())
        monkeypatch.setattr(os, "unlink", failing)
        with pytest.raises(StoreUnavailable) as caught:
            batch.destroy()
        monkeypatch.undo()
        assert batch.read_back() == [ABSENT, PRESENT, PRESENT]
    assert errno.errorcode[number] in str(caught.value)
    assert "zqcanary" not in repr(caught.value)


def test_what_cannot_be_written_to_the_disk_is_not_called_absent(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is gone from memory and may come back after a power cut. Replaced for the same reason."""
    shelf.write("daily/d.csv")
    shelf.write("weekly/new.csv", NOW)
    shelf.write("daily/new.csv", NOW)
    _, lines = shelf.survey()
    inode = (shelf.place / "weekly").stat().st_ino

    def failing(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == inode:
            raise OSError(errno.EIO, "no answer")

    monkeypatch.setattr(os, "fsync", failing)
    with shelf.store.batch(shelf.criteria) as batch:
        batch.stage(lines, ())
        with pytest.raises(StoreUnavailable):
            batch.destroy()
        answers = dict(zip(shelf_keys(lines), batch.read_back(), strict=True))
    assert answers.pop("daily/d.csv") is ABSENT
    assert set(answers.values()) == {UNREADABLE}
    assert set(shelf.store.presence(shelf.criteria, lines)) == {ABSENT, UNREADABLE}


def test_another_disk_in_the_place_of_ours_makes_nothing_absent(shelf: Shelf) -> None:
    """The lines are from a disk with another device number: it is not mounted now, and its folder is empty."""
    _, lines = shelf.survey()
    elsewhere = [read_line(line) for line in lines]
    elsewhere = [
        line._replace(identity=line.identity._replace(device=line.identity.device + 1)) for line in elsewhere
    ]
    lines = [write_line(line).strip() for line in elsewhere]
    shutil.rmtree(shelf.place / "weekly")
    assert shelf.store.presence(shelf.criteria, lines) == [UNREADABLE] * 3
    with shelf.store.batch(shelf.criteria) as batch:
        staged = batch.stage(lines, ())
    assert (staged.chosen, staged.absent) == ((), ())


def test_a_missing_location_makes_nothing_absent(shelf: Shelf) -> None:
    _, lines = shelf.survey()
    shelf.place.rename(shelf.root / "aside")
    assert shelf.store.presence(shelf.criteria, lines) == [UNREADABLE] * 3
    with pytest.raises(StoreUnavailable), shelf.store.batch(shelf.criteria):
        pass


def test_a_batch_over_more_folders_than_are_kept_open_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "FOLDERS_KEPT_OPEN", 3)
    shelf = Shelf(root=tmp_path, location=EXPORTS)
    for number in range(40):
        shelf.write(f"{number % 20:02}/{number % 3}/{number:02}.csv")
    answers = shelf.destroy(shelf.survey()[1])
    assert len(answers) == 40
    assert set(answers.values()) == {ABSENT}
    assert shelf.folders() == set()


# A power cut of the process


WORKER = """
import json, sys
from datetime import datetime
from pathlib import Path
from tests.storage.files.shelf import EXPORTS, Shelf
shelf = Shelf(root=Path(sys.argv[1]), location=EXPORTS)
lines = Path(sys.argv[2]).read_bytes().splitlines()
with shelf.store.batch(shelf.criteria) as batch:
    batch.stage(lines, ())
    print("staged", flush=True)
    batch.destroy()
"""


def test_after_a_kill_in_the_middle_presence_tells_what_is_there(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path / "root", location=EXPORTS)
    for number in range(4000):
        shelf.write(f"{number % 8}/{number:05}.csv")
    _, lines = shelf.survey()
    manifest = tmp_path / "manifest"
    manifest.write_bytes(b"\n".join(lines) + b"\n")
    repository = Path(tree.__file__).parents[2]
    partial = 0
    for delay in (0.0, 0.01, 0.03):
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(shelf.root), str(manifest)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=repository,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "staged\n"
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        shelf.store.barrier(10)
        seen = shelf.store.presence(shelf.criteria, lines)
        there = shelf.files()
        assert [answer is PRESENT for answer in seen] == [read_line(line).path in there for line in lines]
        assert UNREADABLE not in seen
        partial += 0 < len(there) < len(lines)
    shelf.destroy(lines)
    assert shelf.files() == set()
    assert json.loads(lines[0])


def test_a_batch_destroys_once(shelf: Shelf) -> None:
    with shelf.store.batch(shelf.criteria) as batch:
        batch.stage(shelf.survey()[1], ())
        batch.destroy()
        with pytest.raises(StoreUnavailable):
            batch.destroy()
        assert isinstance(batch, FileBatch)


def test_a_record_of_its_own_that_is_called_like_a_sidecar_is_not_taken_along(shelf: Shelf) -> None:
    """The layout of this location takes every name: what lies beside a.csv has a day of its own, and is not due."""
    shelf.write("weekly/a.csv.retention.json", NOW - timedelta(days=1))
    _, lines = shelf.survey()
    assert len(shelf.destroy(lines)) == 3
    assert shelf.files() == {"weekly/a.csv.retention.json"}


def test_what_only_says_what_an_export_is_goes_with_it(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path / "root", location=replace(EXPORTS, template="{any}/list.csv"))
    shelf.write("weekly/list.csv")
    shelf.write("weekly/list.csv.retention.json", NOW - timedelta(days=1))
    shelf.write("weekly/other.retention.json", NOW - timedelta(days=1))
    _, lines = shelf.survey()
    assert shelf.destroy(lines) == {"weekly/list.csv": ABSENT}
    assert shelf.files() == {"weekly/other.retention.json"}
