"""Removing ciphertext: only sealed files, only of destroyed keys, never through a link."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from retention.decide import Criteria
from retention.errors import StoreUnavailable
from retention.schedule import Disposition
from storage.files.unreadable import remove_unreadable
from tests.contract.harness import ON, criteria_for
from tests.contract.harness_sealed import CLIPS

DEAD, LIVING = "d" * 16, "a" * 16


def criteria() -> Criteria:
    return criteria_for(CLIPS, ON, Disposition.CRYPTO_SHRED)


def are_destroyed(ids: Sequence[str]) -> list[bool]:
    return [id == DEAD for id in ids]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "root" / "clips" / "door"
    folder.mkdir(parents=True)
    return folder


def remove(clips: Path) -> int:
    return remove_unreadable(criteria(), clips.parents[1], are_destroyed)


def test_files_of_destroyed_keys_go_and_no_others(clips: Path) -> None:
    for name in (
        f"a.mp4.{DEAD}.sealed",
        f"b.mp4.{LIVING}.sealed",
        f"c.mp4.{DEAD}",
        "d.mp4",
        f"{DEAD}.sealed",
    ):
        (clips / name).write_bytes(b"x")
    assert remove(clips) == 1
    assert sorted(path.name for path in clips.iterdir()) == sorted(
        [f"b.mp4.{LIVING}.sealed", f"c.mp4.{DEAD}", "d.mp4", f"{DEAD}.sealed"]
    )


def test_a_half_written_one_whose_key_was_taken_away_goes_too(clips: Path) -> None:
    (clips / f"a.mp4.{DEAD}.sealing").write_bytes(b"x")
    assert remove(clips) == 1
    assert list(clips.iterdir()) == []


def test_links_and_files_with_a_second_name_stay(clips: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    (clips / f"a.mp4.{DEAD}.sealed").symlink_to(elsewhere)
    os.link(elsewhere, clips / f"b.mp4.{DEAD}.sealed")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / f"c.mp4.{DEAD}.sealed").write_bytes(b"precious")
    (clips / "linked").symlink_to(tmp_path / "folder")
    assert remove(clips) == 0
    assert elsewhere.read_bytes() == b"precious"
    assert (tmp_path / "folder" / f"c.mp4.{DEAD}.sealed").exists()


def test_more_than_one_stride_goes_in_one_call(clips: Path) -> None:
    for number in range(1203):
        (clips / f"{number}.mp4.{DEAD if number % 2 else LIVING}.sealed").write_bytes(b"x")
    assert remove(clips) == 601
    assert remove(clips) == 0


def test_a_root_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        remove_unreadable(criteria(), tmp_path / "unmounted", are_destroyed)
