"""The evidence vault: what a hold keeps outlives a recorder that truncates and deletes it, and goes by the rule afterwards."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retention.decide import KeepReason
from retention.errors import StoreUnavailable
from retention.holds import Hold, Scope
from storage.files import vault
from storage.files.store import FileStore
from tests.storage.files.shelf import (
    EVENTS,
    FRIGATE,
    LONG_AGO,
    NOW,
    Shelf,
    criteria_for,
    hold,
    record_segments,
    segment,
    stamp,
)

START = datetime(2026, 3, 1, 14, tzinfo=UTC)
BELOW = "disk/files/recordings"
WITH_VAULT = replace(FRIGATE, vault="evidence")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(root=tmp_path / "recorder", location=WITH_VAULT)


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    root = tmp_path / "evidence"
    assert vault.make(root, BELOW)
    return root


def minutes(since: int, until: int, camera: str = "door") -> Hold:
    return hold(
        Scope(
            cameras=frozenset({camera}), since=START + timedelta(minutes=since), until=START + timedelta(minutes=until)
        )
    )  # fmt: skip


def preserve(shelf: Shelf, evidence: Path, *holds: Hold) -> int:
    store = FileStore(
        "disk", shelf.root, now=lambda: shelf.now, root_of=lambda name: {"evidence": evidence}[name]
    )
    return store.preserve(shelf.criteria, holds)


def copies(evidence: Path) -> set[str]:
    below = evidence / BELOW
    return {str(path.relative_to(below)) for path in below.rglob("*") if path.is_file()}


def vault_shelf(evidence: Path, shelf: Shelf) -> Shelf:
    location = shelf.location.in_vault("files")
    assert location is not None
    return Shelf(root=evidence, location=location, now=shelf.now)


def test_what_overlaps_the_hold_is_copied_and_nothing_else(shelf: Shelf, evidence: Path) -> None:
    paths = record_segments(shelf, "door", START, 30)
    record_segments(shelf, "hall", START, 30)
    assert preserve(shelf, evidence, minutes(1, 2)) == 8
    assert copies(evidence) == set(paths[5:13])
    kept = shelf.place / paths[6]
    copy = evidence / BELOW / paths[6]
    assert copy.read_bytes() == kept.read_bytes()
    assert copy.stat().st_mtime_ns == kept.stat().st_mtime_ns
    assert copy.stat().st_ino != kept.stat().st_ino


def test_the_index_names_every_copy_with_its_digest(shelf: Shelf, evidence: Path) -> None:
    record_segments(shelf, "door", START, 3)
    preserve(shelf, evidence, minutes(0, 5))
    lines = [json.loads(line) for line in (evidence / "index.jsonl").read_text().splitlines()]
    assert {line["path"] for line in lines} == {f"{BELOW}/{path}" for path in copies(evidence)}
    for line in lines:
        assert line["sha256"] == hashlib.sha256((evidence / line["path"]).read_bytes()).hexdigest()


def test_a_recorder_that_truncates_before_it_deletes_takes_a_hard_link_along_and_not_the_copy(
    shelf: Shelf, evidence: Path
) -> None:
    """Measured on Frigate's own way of making room; the hard link is the control."""
    (path, *_) = record_segments(shelf, "door", START, 2)
    preserve(shelf, evidence, minutes(0, 1))
    link = shelf.root / "linked.mp4"
    os.link(shelf.place / path, link)
    os.truncate(shelf.place / path, 0)
    (shelf.place / path).unlink()
    assert link.read_bytes() == b""
    assert (evidence / BELOW / path).read_bytes() == b"content"


def test_a_second_pass_copies_only_what_came_since(shelf: Shelf, evidence: Path) -> None:
    record_segments(shelf, "door", START, 3)
    assert preserve(shelf, evidence, minutes(0, 60)) == 3
    assert preserve(shelf, evidence, minutes(0, 60)) == 0
    later = record_segments(shelf, "door", START + timedelta(minutes=10), 2)
    assert preserve(shelf, evidence, minutes(0, 60)) == 2
    assert set(later) <= copies(evidence)


def test_without_a_hold_nothing_is_copied_and_no_vault_is_needed(shelf: Shelf, tmp_path: Path) -> None:
    record_segments(shelf, "door", START, 3)
    assert preserve(shelf, tmp_path / "nowhere") == 0


def test_the_segment_that_is_still_being_written_waits_for_the_next_pass(
    shelf: Shelf, evidence: Path
) -> None:
    shelf.now = NOW
    growing = segment("door", NOW - timedelta(seconds=20))
    shelf.write(growing, NOW - timedelta(seconds=1))
    everything = hold(Scope(cameras=frozenset({"door"})))
    assert preserve(shelf, evidence, everything) == 0
    shelf.now = NOW + timedelta(minutes=10)
    assert preserve(shelf, evidence, everything) == 1
    assert copies(evidence) == {growing}


def test_copies_stay_while_a_hold_keeps_them_and_go_by_the_rule_after_its_release(
    shelf: Shelf, evidence: Path
) -> None:
    """The last of them too: in a vault there is no newest file that is still being written."""
    paths = record_segments(shelf, "door", START, 4)
    placed = minutes(0, 5)
    preserve(shelf, evidence, placed)
    inside = vault_shelf(evidence, shelf)
    inside.holds = [placed]
    assert inside.due() == []
    inside.holds = []
    assert sorted(inside.due()) == sorted(paths)


def test_copies_that_are_not_due_yet_are_in_no_count_lest_they_vanish_from_it_under_a_sealed_hold(
    shelf: Shelf, evidence: Path
) -> None:
    record_segments(shelf, "door", START, 4)
    placed = minutes(0, 5)
    preserve(shelf, evidence, placed)
    inside = vault_shelf(evidence, shelf)
    inside.on = START.date()
    counts = []
    for inside.holds in ([placed], [], [replace(placed, sealed=True)]):
        survey, lines = inside.survey()
        assert lines == []
        counts.append((survey.population, dict(survey.kept), survey.held_oldest))
    assert counts[0] == (4, {KeepReason.HELD: 4}, START.date())
    assert counts[1] == counts[2] == (0, {}, None)


def test_a_vault_that_was_never_made_is_taken_for_a_disk_that_is_not_mounted(
    shelf: Shelf, tmp_path: Path
) -> None:
    record_segments(shelf, "door", START, 3)
    (tmp_path / "mountpoint").mkdir()
    with pytest.raises(StoreUnavailable, match="the vault is not there") as caught:
        preserve(shelf, tmp_path / "mountpoint", minutes(0, 5))
    assert "retention db upgrade" in caught.value.hint
    assert list((tmp_path / "mountpoint").iterdir()) == []


def test_another_file_under_a_copys_name_is_never_overwritten(shelf: Shelf, evidence: Path) -> None:
    (path, *_) = record_segments(shelf, "door", START, 2)
    preserve(shelf, evidence, minutes(0, 5))
    shelf.write(path, LONG_AGO + timedelta(seconds=11), text="something else")
    with pytest.raises(StoreUnavailable, match="1 file that differ"):
        preserve(shelf, evidence, minutes(0, 5))
    assert (evidence / BELOW / path).read_text() == "content"


def test_what_a_killed_pass_left_half_copied_is_removed_by_the_next(shelf: Shelf, evidence: Path) -> None:
    record_segments(shelf, "door", START, 2)
    (evidence / ".unfinished").mkdir()
    (evidence / ".unfinished" / "0123456789abcdef").write_bytes(b"half a face")
    assert preserve(shelf, evidence, minutes(0, 5)) == 2
    assert list((evidence / ".unfinished").iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing_half_copied(
    shelf: Shelf, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is the kernel's; only its moment is ours: no test may fill the disk of whoever runs it."""
    record_segments(shelf, "door", START, 2)
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if ".unfinished" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreUnavailable, match="the vault's disk is full"):
        preserve(shelf, evidence, minutes(0, 5))
    assert copies(evidence) == set()
    assert list((evidence / ".unfinished").iterdir()) == []


def test_a_file_that_changes_while_it_is_copied_is_not_taken_for_a_copy(
    shelf: Shelf, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path, *_) = record_segments(shelf, "door", START, 2)
    real = vault._clone

    def truncated_meanwhile(source: int, copy: int) -> str | None:
        done = real(source, copy)
        os.truncate(shelf.place / path, 0)
        return done

    monkeypatch.setattr(vault, "_clone", truncated_meanwhile)
    with pytest.raises(StoreUnavailable, match="1 held file changed"):
        preserve(shelf, evidence, minutes(0, 5))
    assert path not in copies(evidence)


def test_an_event_folder_is_copied_whole(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path / "recorder", location=replace(EVENTS, vault="evidence"))
    at = datetime(2026, 3, 1, 18, tzinfo=UTC)
    for name in ("1/00001-capture.jpg", "1/video.mp4", "2/video.mp4"):
        shelf.write(f"door/2026-03-01/{name}", at)
    for path in shelf.place.rglob("*/"):
        stamp(path, at)
    evidence = tmp_path / "evidence"
    vault.make(evidence, "disk/files/events")
    whole = hold(Scope(cameras=frozenset({"door"}), since=at, until=at))
    assert preserve(shelf, evidence, whole) == 3
    copied = {
        str(path.relative_to(evidence)) for path in evidence.rglob("*.*") if path.suffix in {".jpg", ".mp4"}
    }
    assert copied == {
        f"disk/files/events/door/2026-03-01/{name}"
        for name in ("1/00001-capture.jpg", "1/video.mp4", "2/video.mp4")
    }


def test_making_a_vault_twice_changes_nothing(evidence: Path) -> None:
    assert not vault.make(evidence, BELOW)
    assert vault.make(evidence, "disk/files/another")


def test_the_criteria_of_the_copies_are_those_of_the_originals(shelf: Shelf) -> None:
    location = shelf.location.in_vault("files")
    assert location is not None
    own, theirs = criteria_for(shelf.location), criteria_for(location)
    assert own.record_type.rules == theirs.record_type.rules
    assert (location.store, location.vault, location.vault_of) == ("evidence", None, "disk")
