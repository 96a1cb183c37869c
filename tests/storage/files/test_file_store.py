"""What a survey of a file tree makes of what it meets: what cannot be judged is kept, counted and told."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retention.condition import Compare
from retention.decide import Criteria, Due, KeepReason, decide
from retention.errors import StoreUnavailable
from retention.outcomes import Presence
from retention.schedule import Disposition, ExportRule, TreeLocation, TriggerKind
from storage.exports.describing import identity_of
from storage.files import facts
from storage.files.facts import UNRECOGNISED, Facts, NoRegister, found
from storage.files.store import FileStore
from tests.storage.files.shelf import (
    EXPORTS,
    FRIGATE,
    LIBRARY,
    LONG_AGO,
    NOW,
    Shelf,
    criteria_for,
    give_up_rights,
    record_segments,
    segment,
    stamp,
    without_rights,
)

DATED = replace(EXPORTS, trigger_kind=TriggerKind.NAME, template="collection/ums-{any}-{Y}-{m}-{d}.csv")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(root=tmp_path, location=EXPORTS)


# Names


def test_every_name_that_a_disk_can_hold_is_found_destroyed_and_read_back(shelf: Shelf) -> None:
    names = [
        b"plain.csv", b"two words.csv", b"new\nline.csv", b"tab\t.csv", b'quote".csv', b"back\\slash.csv", b"J\xfcrgen.csv",
        b"\xff\xfe", "Jürgen.csv".encode(), b"-rf", b"*", b"%2e%2e", b"[1,2]", b"{any}", b" ", b"\x01", b"\xe2\x80\xa8", b"x" * 255,
    ]  # fmt: skip
    for name in names:
        path = os.fsencode(shelf.place) + b"/" + name
        with open(path, "wb"):  # noqa: PTH123  # a Path holds no bytes
            pass
        os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    found, lines = shelf.survey()
    assert found.due == len(lines) == len(names)
    keys = shelf.due()
    assert len(set(keys)) == len(names)
    for key in keys:
        assert shelf.store.read(shelf.criteria, key) is not None
    assert set(shelf.destroy(lines)) == set(keys)
    assert shelf.files() == set()
    assert shelf.store.presence(shelf.criteria, lines) == [Presence.ABSENT] * len(names)


def test_a_sparse_file_is_counted_by_its_length_and_goes(shelf: Shelf) -> None:
    path = shelf.write("out.img")
    os.truncate(path, 1 << 36)
    stamp(path, LONG_AGO)
    assert path.stat().st_blocks * 512 < 1 << 20
    found, lines = shelf.survey()
    assert (found.due, found.volume) == (1, 1 << 36)
    assert shelf.destroy(lines) == {"out.img": Presence.ABSENT}


# What is never judged


def test_links_and_special_files_are_left_alone_and_listed(shelf: Shelf) -> None:
    outside = shelf.root / "outside.csv"
    outside.touch()
    (shelf.place / "link.csv").symlink_to(outside)
    (shelf.place / "dangling.csv").symlink_to("nowhere")
    os.mkfifo(shelf.place / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(shelf.place / "socket.csv"))
        assert shelf.due() == []
        reasons = shelf.undecided()
    assert reasons.keys() == {"link.csv", "dangling.csv", "pipe.csv", "socket.csv"}
    assert "symbolic link" in reasons["link.csv"]
    assert reasons["pipe.csv"] == "not a plain file"
    assert shelf.survey()[0].kept == {KeepReason.UNDECIDABLE: 4}


def test_a_file_with_another_name_is_not_judged(shelf: Shelf) -> None:
    shelf.write("a.csv")
    os.link(shelf.place / "a.csv", shelf.root / "other name")
    assert shelf.due() == []
    assert "several hard links" in shelf.undecided()["a.csv"]
    (shelf.root / "other name").unlink()
    assert shelf.due() == ["a.csv"]


def test_what_no_layout_recognises_is_counted_told_and_left_alone(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=DATED)
    shelf.write("collection/ums-sync-2026-03-01.csv")
    shelf.write("collection/patrons jsmith.xlsx", datetime(2024, 5, 6, tzinfo=UTC))
    shelf.write("elsewhere/x.csv")
    (shelf.place / "way").symlink_to("/etc")
    found, _ = shelf.survey()
    assert (found.population, found.due) == (1, 1)
    strangers, links = found.findings
    assert (strangers.count, strangers.fatal) == (2, False)
    assert "2024-05-06" in strangers.message
    assert (links.count, links.fatal) == (1, False)
    assert "jsmith" not in f"{found}"
    assert shelf.undecided() == {
        "collection/patrons jsmith.xlsx": UNRECOGNISED,
        "elsewhere/x.csv": UNRECOGNISED,
        "way": UNRECOGNISED,
    }
    record = shelf.store.read(shelf.criteria, "elsewhere/x.csv")
    assert record is not None
    assert not isinstance(decide(record, shelf.criteria, ()), Due)


def test_an_impossible_name_is_listed_and_never_old(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=DATED)
    shelf.write("collection/ums-sync-2020-02-30.csv", datetime(2020, 2, 28, tzinfo=UTC))
    assert shelf.due() == []
    assert "does not exist" in shelf.undecided()["collection/ums-sync-2020-02-30.csv"]


def test_another_file_system_below_is_told_and_not_walked() -> None:
    """/dev/pts and /dev/shm are mounts of their own on every Linux machine."""
    location = replace(EXPORTS, path="", template="{path}.nothing-like-it")
    found = FileStore("disk", Path("/dev"), now=lambda: NOW).survey(
        criteria_for(location), (), bytes, lambda count: None
    )
    assert [finding.message for finding in found.findings if "another file system" in finding.message]


# Times of files


def test_the_later_of_name_and_modification_counts(tmp_path: Path) -> None:
    """Excel saved it again: it is as young as that. It was unpacked with an old time: the name counts."""
    shelf = Shelf(root=tmp_path, location=DATED)
    shelf.write("collection/ums-sync-2026-03-01.csv", NOW - timedelta(days=3))
    shelf.write("collection/ums-sync-2026-11-19.csv", LONG_AGO)
    shelf.write("collection/ums-new-2026-03-01.csv", LONG_AGO)
    assert shelf.due() == ["collection/ums-new-2026-03-01.csv"]
    assert shelf.survey()[0].kept == {KeepReason.NOT_YET: 2}


def test_a_named_day_is_over_at_its_end_in_the_locations_zone(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=DATED)
    shelf.write("collection/ums-sync-2026-10-22.csv", LONG_AGO)
    for day, due in ((21, 0), (22, 1)):
        shelf.on = datetime(2026, 11, day, tzinfo=UTC).date()
        assert len(shelf.due()) == due


def test_a_name_in_the_future_is_not_judged(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=DATED)
    shelf.write("collection/ums-sync-2062-03-01.csv", LONG_AGO)
    assert shelf.undecided() == {"collection/ums-sync-2062-03-01.csv": facts.AHEAD_NAME}


@pytest.mark.parametrize(
    ("modified", "reason"),
    [
        (NOW + timedelta(days=2), facts.AHEAD_FILE),
        (NOW + timedelta(hours=2), facts.GROWING),
        (datetime(1970, 1, 1, tzinfo=UTC), facts.NEVER_SET),
        (datetime(1980, 1, 1, tzinfo=UTC), facts.NEVER_SET),
    ],
)
def test_a_modification_time_that_cannot_be_is_not_judged(
    shelf: Shelf, modified: datetime, reason: str
) -> None:
    shelf.write("a.csv", modified)
    assert shelf.due() == []
    assert shelf.undecided() == {"a.csv": reason}


def test_the_time_of_a_change_cannot_be_set_back_by_a_copy(tmp_path: Path) -> None:
    """``cp -p`` and ``unzip`` give old modification times; the kernel sets the time of the inode's change itself."""
    shelf = Shelf(
        root=tmp_path, location=replace(EXPORTS, trigger_kind=TriggerKind.CHANGED), now=datetime.now(UTC)
    )
    shelf.on = shelf.now.date()
    shelf.write("a.csv", LONG_AGO - timedelta(days=2000))
    assert shelf.due() == []
    assert shelf.survey()[0].kept == {KeepReason.NOT_YET: 1}
    shelf.now += timedelta(days=40)
    shelf.on = shelf.now.date()
    assert shelf.due() == ["a.csv"]


def test_conditions_look_at_single_files(tmp_path: Path) -> None:
    location = replace(FRIGATE, blocked=Compare("camera", "=", "vault"))
    shelf = Shelf(root=tmp_path, location=location)
    for camera in ("door", "vault"):
        record_segments(shelf, camera, LONG_AGO, 5)
    assert {path.split("/")[2] for path in shelf.due()} == {"door"}
    assert shelf.survey()[0].kept[KeepReason.BLOCKED] == 4


# Counting


def test_a_survey_tells_volume_and_length(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=FRIGATE)
    record_segments(shelf, "door", LONG_AGO, 4)
    found, _ = shelf.survey()
    assert (found.due, found.population, found.volume) == (3, 4, 3 * len("content"))
    assert 30 <= found.seconds < 35
    assert found.oldest == found.newest == LONG_AGO.date()
    assert found.past_maximum == 3


def test_a_manifest_is_the_same_whatever_order_files_were_made_in(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=EXPORTS)
    for name in ("b/2", "a/1", "c", "b/1"):
        shelf.write(name)
    first = shelf.survey()[1]
    shelf.write("d/9")
    (shelf.place / "d/9").unlink()
    assert shelf.survey()[1] == first
    assert len(first) == 4


# The check


def messages(store: FileStore, criteria: Criteria) -> dict[str, bool]:
    return {finding.message: finding.fatal for finding in store.check(criteria)}


def test_a_sound_location_has_no_findings(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=FRIGATE)
    shelf.write(segment("door", LONG_AGO))
    assert shelf.store.check(shelf.criteria) == []


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (replace(EXPORTS, template="{nonsense}"), "no field"),
        (replace(EXPORTS, template="preset:nvr"), "preset"),
        (replace(EXPORTS, trigger_kind=TriggerKind.NAME), "names no time"),
        (replace(EXPORTS, trigger_kind=TriggerKind.TIMESTAMP), "trigger"),
        (replace(EXPORTS, unit="box"), "unit"),
        (replace(EXPORTS, path="missing"), "absent"),
        (replace(EXPORTS, path="out/a.csv"), "not a folder"),
        (replace(EXPORTS, path="../elsewhere"), "not a folder"),
    ],
)
def test_a_location_that_cannot_work_is_a_fatal_finding(
    tmp_path: Path, location: TreeLocation, words: str
) -> None:
    shelf = Shelf(root=tmp_path / "root", location=EXPORTS)
    shelf.write("a.csv")
    found = messages(shelf.store, criteria_for(location))
    assert [message for message, fatal in found.items() if fatal and words in message]


def test_an_empty_root_is_fatal_and_an_emptied_location_is_told(tmp_path: Path) -> None:
    store = FileStore("disk", tmp_path, now=lambda: NOW)
    whole = replace(EXPORTS, path="")
    assert messages(store, criteria_for(whole))["the root of the store is empty"]
    (tmp_path / "out").mkdir()
    assert messages(store, criteria_for(EXPORTS)) == {"the folder of the location is empty": False}


def test_a_missing_root_is_unavailable(tmp_path: Path) -> None:
    store = FileStore("disk", tmp_path / "nowhere", now=lambda: NOW)
    with pytest.raises(StoreUnavailable):
        store.check(criteria_for(EXPORTS))
    with pytest.raises(StoreUnavailable):
        store.barrier(1)
    with pytest.raises(StoreUnavailable), store.batch(criteria_for(EXPORTS)):
        pass


def test_files_cannot_be_anonymized(shelf: Shelf) -> None:
    shelf.write("a.csv")
    record_type = replace(shelf.criteria.record_type, disposition=Disposition.ANONYMIZE)
    criteria = Criteria(record_type=record_type, location=EXPORTS, library=LIBRARY, on=shelf.on)
    assert messages(shelf.store, criteria) == {"files can only be purged, not anonymized": True}


def test_a_folder_without_the_right_to_change_it_is_fatal() -> None:
    with without_rights() as folder:
        shelf = Shelf(root=folder, location=EXPORTS)
        shelf.write("a.csv")
        shelf.place.chmod(0o555)
        give_up_rights()
        assert messages(shelf.store, shelf.criteria) == {"the folder of the location cannot be changed": True}


def test_a_folder_that_cannot_be_read_is_told_and_the_rest_goes_on() -> None:
    with without_rights() as folder:
        shelf = Shelf(root=folder, location=EXPORTS)
        shelf.write("open/a.csv")
        shelf.write("closed/b.csv")
        (shelf.place / "closed").chmod(0o000)
        give_up_rights()
        found, lines = shelf.survey()
        assert len(lines) == 1
        assert [(finding.count, "not readable" in finding.message) for finding in found.findings] == [
            (1, True)
        ]


# What a person sees


def test_a_key_reads_as_what_it_is(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=FRIGATE)
    paths = record_segments(shelf, "door", LONG_AGO, 2)
    record = shelf.store.read(shelf.criteria, paths[0])
    assert record is not None
    assert (record.camera, record.key.reveal()) == ("door", paths[0])
    assert record.span.start == LONG_AGO
    for key in (
        "",
        "/",
        "..",
        "2026-03-01",
        "2026-03-01/14/door",
        "a\0b",
        "\ud800",
        "/%2e%2e/x",
        "x" * 5000,
        f"{paths[0]}/x",
    ):
        assert shelf.store.read(shelf.criteria, key) is None


def test_a_claim_says_that_no_medium_was_sanitised(shelf: Shelf) -> None:
    claim = shelf.store.claim(shelf.criteria)
    assert claim.method == "none-claimed"
    assert "not sanitised" in claim.technique


class Registry(NoRegister):
    """An export that was produced long ago, as the registry has it."""

    def __init__(self, written: tuple[int, int, int]) -> None:
        self._written = written

    def produced(self, store: str, path: str) -> datetime | None:
        return LONG_AGO

    def identity(self, store: str, path: str) -> tuple[int, int, int] | None:
        return self._written


@pytest.mark.parametrize("reused", [False, True])
def test_an_export_under_a_name_used_again_is_not_as_old_as_the_one_before_it(
    tmp_path: Path, reused: bool
) -> None:
    rule = ExportRule(purpose="a study", recipient="University", ground="Contract 7", reused=reused)
    criteria = criteria_for(replace(EXPORTS, trigger_kind=TriggerKind.REGISTERED, export=rule))
    path, written = tmp_path / "a.csv", NOW - timedelta(days=3)
    path.write_bytes(b"1")
    os.utime(path, (written.timestamp(), written.timestamp()))
    known = Facts(criteria, NOW, register=Registry(identity_of(path.stat())))
    assert known.sight("a.csv", found(path.stat()), None).trigger == LONG_AGO
    path.write_bytes(b"2 of the next night, which nobody has sighted yet")
    os.utime(path, (written.timestamp(), written.timestamp()))
    trigger = known.sight("a.csv", found(path.stat()), None).trigger
    assert trigger == (written if reused else LONG_AGO)
