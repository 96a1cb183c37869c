"""Sealing files: what is sealed, what is left alone, and what the registry is told."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retention.errors import Refused, ScheduleInvalid, StoreUnavailable
from retention.holds import Scope
from storage.files import facts
from storage.files.facts import UNRECOGNISED
from storage.keys.keystore import KeyStore
from storage.keys.values import ObjectState
from storage.sealed import sealing_file, stream
from storage.sealed.sealing import LINK, FileSealer
from storage.sealed.sealing_file import CHANGED
from storage.sealed.stream import FIRST, sealed_size
from tests.storage.files.shelf import EVENTS, EXPORTS, FRIGATE, LONG_AGO, NOW, Shelf, criteria_for, hold
from tests.storage.files.test_event_folders import put_event, settle
from tests.storage.sealed.safe import Safe, shredded


@pytest.fixture
def exports(tmp_path: Path, keys: KeyStore) -> Safe:
    return Safe.at(tmp_path / "root", EXPORTS, keys)


@pytest.fixture
def cameras(tmp_path: Path, keys: KeyStore) -> Safe:
    return Safe.at(tmp_path / "root", FRIGATE, keys)


def test_a_file_becomes_a_sealed_one_that_opens_to_the_same(exports: Safe) -> None:
    plain = exports.shelf.write("vendor/list.csv", text="patron,4711\n" * 1000)
    content = plain.read_bytes()
    done = exports.seal()
    assert (done.sealed, done.size, done.before) == (1, len(content), 0)
    assert not plain.exists()
    assert list(exports.sealed()) == ["vendor/list.csv"]
    assert exports.opened("vendor/list.csv") == content
    (one,) = exports.objects()
    assert one.state is ObjectState.SEALED
    assert exports.names() == [f"vendor/list.csv.{one.id}.sealed"]
    assert (one.size, one.sealed_size) == (len(content), sealed_size(len(content)))
    assert one.plaintext_since == LONG_AGO
    assert one.trigger == LONG_AGO
    assert one.period == "2026-03-31"


def test_the_sealed_file_is_private_and_keeps_the_time(exports: Safe) -> None:
    exports.shelf.write("list.csv")
    exports.seal()
    status = (exports.shelf.place / exports.names()[0]).stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_mtime == LONG_AGO.timestamp()


@pytest.mark.parametrize("size", [0, 1, FIRST - 1, FIRST, FIRST + 1, 3 * FIRST])
def test_files_of_any_size_are_sealed(exports: Safe, size: int) -> None:
    path = exports.shelf.write("data")
    path.write_bytes(os.urandom(size))
    os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    content = path.read_bytes()
    assert exports.seal().sealed == 1
    assert exports.opened("data") == content


def test_a_plan_counts_and_touches_nothing(exports: Safe) -> None:
    exports.shelf.write("a", text="12345")
    exports.shelf.write("b", text="123")
    planned = exports.sealer.plan()
    assert (planned.sealed, planned.size) == (2, 8)
    assert exports.names() == ["a", "b"]
    assert exports.objects() == []


def test_what_is_sealed_is_not_sealed_again(exports: Safe) -> None:
    exports.shelf.write("a")
    exports.seal()
    before = exports.names()
    again = exports.seal()
    assert (again.sealed, again.before) == (0, 1)
    assert exports.names() == before


def test_held_files_are_sealed_like_all_others(exports: Safe) -> None:
    exports.shelf.write("a")
    exports.shelf.holds.append(hold(Scope(stores=frozenset({"disk"}))))
    assert exports.seal().sealed == 1


def test_footage_is_registered_with_its_camera_span_and_length_and_the_newest_stays(cameras: Safe) -> None:
    for minute in ("00.00", "00.10", "00.20"):
        at = datetime(2026, 3, 1, 14, 0, int(minute[3:]) + 9, tzinfo=UTC)
        cameras.shelf.write(f"2026-03-01/14/door/{minute}.mp4", at, text=minute)
    done = cameras.seal()
    assert done.left == {facts.NEWEST: 1}
    assert list(cameras.sealed()) == ["2026-03-01/14/door/00.00.mp4", "2026-03-01/14/door/00.10.mp4"]
    assert sum(one.seconds for one in cameras.objects()) == pytest.approx(done.seconds)
    assert [one.period for one in cameras.objects()] == ["2026-03-31"] * 2
    cameras.shelf.write("2026-03-01/14/door/00.30.mp4", datetime(2026, 3, 1, 14, 0, 39, tzinfo=UTC))
    assert cameras.seal().sealed == 1
    assert exports_names(cameras) == ["2026-03-01/14/door/00.30.mp4"]


def exports_names(safe: Safe) -> list[str]:
    return [name for name in safe.names() if not name.endswith(".sealed")]


def test_a_sealed_neighbour_still_tells_when_a_recording_ended(cameras: Safe) -> None:
    first = "2026-03-01/14/door/00.00.mp4"
    at = datetime(2026, 3, 1, 14, 0, 9, tzinfo=UTC)
    for minute in ("00.10", "00.20"):
        cameras.shelf.write(f"2026-03-01/14/door/{minute}.mp4", at + timedelta(seconds=int(minute[3:])))
    cameras.seal()
    cameras.shelf.write(first, at)
    record = cameras.shelf.store.read(cameras.shelf.criteria, first)
    assert record is not None
    assert record.span.end is not None
    assert record.span.end < datetime(2026, 3, 1, 14, 0, 20, tzinfo=UTC)


def test_links_strangers_and_growing_files_are_left_alone(tmp_path: Path, keys: KeyStore) -> None:
    safe = Safe.at(tmp_path / "root", FRIGATE, keys)
    other = tmp_path / "elsewhere"
    other.write_text("a patron")
    day = "2026-03-01/14/door"
    at = datetime(2026, 3, 1, 14, 0, 9, tzinfo=UTC)
    safe.shelf.write(f"{day}/59.00.mp4", at + timedelta(minutes=59))  # the newest
    (safe.shelf.place / day / "00.00.mp4").symlink_to(other)
    linked = safe.shelf.write(f"{day}/01.00.mp4", at + timedelta(minutes=1))
    os.link(linked, tmp_path / "second name")
    safe.shelf.write(f"{day}/notes.txt", at)
    safe.shelf.write(f"{day}/02.00.mp4", NOW)
    before = safe.names()
    done = safe.seal()
    assert done.sealed == 0
    assert safe.names() == before
    assert other.read_text() == "a patron"
    assert done.left[facts.GROWING] == 1
    assert done.left[facts.NEWEST] == 1
    assert done.left[UNRECOGNISED] == 1
    assert done.left.total() == 5
    assert LINK not in done.left  # one that fits the layout is told as what it is


def test_a_location_that_is_purged_or_has_event_folders_is_refused(tmp_path: Path, keys: KeyStore) -> None:
    with pytest.raises(ScheduleInvalid, match="not sealed by the schedule"):
        FileSealer(criteria_for(EXPORTS), tmp_path, keys, now=lambda: NOW)
    with pytest.raises(ScheduleInvalid, match="not event folders"):
        FileSealer(shredded(criteria_for(EVENTS)), tmp_path, keys, now=lambda: NOW)


@pytest.mark.parametrize("suffix", ["sealed", "sealing"])
def test_a_strangers_file_with_our_suffix_is_told_and_never_touched(exports: Safe, suffix: str) -> None:
    stranger = exports.shelf.write(f"x.csv.0123456789abcdef.{suffix}", text="a stranger's")
    done = exports.seal()
    assert (done.foreign, done.sealed) == (1, 0)
    assert done.findings[0].count == 1
    assert stranger.read_text() == "a stranger's"


def test_sealed_files_are_no_records_of_another_record_type(exports: Safe) -> None:
    exports.shelf.write("a")
    exports.seal()
    name = exports.names()[0]
    found, due = exports.shelf.survey()  # under a purge rule that matches every path
    assert (found.population, due) == (0, [])
    assert [finding.message for finding in found.findings] == ["1 sealed file is left alone"]
    assert exports.shelf.undecided() == {}
    record = exports.shelf.store.read(exports.shelf.criteria, name)
    assert record is not None
    assert record.undecidable == facts.SEALED


def test_an_event_folder_with_a_sealed_file_in_it_does_not_go(tmp_path: Path) -> None:
    shelf = Shelf(root=tmp_path, location=EVENTS)
    for day in (1, 2, 3):
        put_event(shelf, day, datetime(2026, 3, day, 15, tzinfo=UTC))
    assert shelf.due() == ["3/2026-03-01/1", "3/2026-03-02/2"]
    shelf.write("3/2026-03-01/1/extra.0123456789abcdef.sealed", datetime(2026, 3, 1, 15, tzinfo=UTC))
    settle(shelf.place / "3/2026-03-01/1", datetime(2026, 3, 1, 15, tzinfo=UTC))
    assert shelf.due() == ["3/2026-03-02/2"]


@pytest.mark.parametrize("change", ["append", "replace", "touch", "link", "vanish"])
def test_a_plaintext_that_changes_while_it_is_sealed_stays_and_the_copy_goes(
    exports: Safe, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    plain = exports.shelf.write("a", text="first")
    genuine = stream.seal

    def meanwhile(*args: Any, **kwargs: Any) -> Any:
        done = genuine(*args, **kwargs)
        if change == "append":
            with plain.open("a") as file:
                file.write(" and more")
        elif change == "replace":
            other = plain.with_name("other")
            other.write_text("first")
            os.utime(other, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
            other.replace(plain)
        elif change == "touch":
            os.utime(plain)
        elif change == "link":
            os.link(plain, plain.with_name("second"))
        else:
            plain.unlink()
        return done

    monkeypatch.setattr(sealing_file, "seal", meanwhile)
    done = exports.seal()
    assert done.sealed == 0
    assert done.left == {CHANGED: 1}
    assert exports.sealed() == {}
    assert exports.objects(ObjectState.SEALED) == []
    assert plain.exists() is (change != "vanish")


def test_a_change_at_the_last_moment_keeps_plaintext_and_copy(
    exports: Safe, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = exports.shelf.write("a", text="first")
    genuine = exports.keys.finish_sealing

    def finish(*args: Any, **kwargs: Any) -> None:
        genuine(*args, **kwargs)
        plain.write_text("second")
        os.utime(plain, (LONG_AGO.timestamp() + 5, LONG_AGO.timestamp() + 5))

    with monkeypatch.context() as patched:
        patched.setattr(exports.keys, "finish_sealing", finish)
        done = exports.seal()
    assert (done.sealed, done.left) == (0, {CHANGED: 1})
    assert plain.read_text() == "second"
    assert exports.opened("a") == b"first"
    assert len(exports.fatal()) == 1
    assert exports.seal().sealed == 1
    assert not plain.exists()
    assert len(exports.names()) == 2


def test_a_copy_that_does_not_read_back_is_taken_away(exports: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = exports.shelf.write("a", text="first")
    genuine = os.rename

    def damaging(*args: Any, **kwargs: Any) -> None:
        genuine(*args, **kwargs)
        (copy,) = exports.shelf.place.glob("*.sealed")
        raw = bytearray(copy.read_bytes())
        raw[-1] ^= 1
        copy.write_bytes(raw)

    monkeypatch.setattr(os, "rename", damaging)
    done = exports.seal()
    assert done.left == {sealing_file.DAMAGED: 1}
    assert exports.names() == ["a"]
    assert plain.read_text() == "first"
    assert [one.state for one in exports.objects()] == [ObjectState.DESTROYED]


def test_a_full_disk_is_told_and_no_plaintext_is_touched(
    exports: Safe, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports.shelf.write("a", text="first")

    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sealing_file, "seal", full)
    with pytest.raises(StoreUnavailable, match="disk of the store is full"):
        exports.seal()
    assert exports.names() == ["a"]
    assert [one.state for one in exports.objects()] == [ObjectState.DESTROYED]


def test_a_folder_that_may_not_be_written_is_told(exports: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
    exports.shelf.write("a")
    genuine = os.open

    def denied(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied")
        return genuine(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(Refused, match="EACCES; no plaintext was touched"):
        exports.seal()
    assert exports.names() == ["a"]


def test_a_lost_lease_stops_before_the_next_plaintext_goes(exports: Safe) -> None:
    exports.shelf.write("a")

    def lost() -> None:
        raise Refused("this run lost its lease", "")

    exports.pulse = lost
    with pytest.raises(Refused):
        exports.seal()
    assert exports.names() == ["a"]


def test_errors_and_results_quote_no_name(exports: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
    exports.shelf.write("jane-doe.csv")

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise OSError(5, "Input/output error", "jane-doe.csv")

    monkeypatch.setattr(sealing_file, "seal", broken)
    with pytest.raises(StoreUnavailable) as caught:
        exports.seal()
    assert "jane" not in f"{caught.value!r} {caught.value.hint} {caught.value.__context__!r}"
