"""Frigate's database beside its files: what it protects stays, what is gone is gone there too, and what cannot be read protects all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retention.errors import StoreUnavailable
from storage.files.recorder import PROTECTED
from storage.files.store import FileStore
from tests.storage.files.shelf import FRIGATE, Shelf, record_segments

START = datetime(2026, 3, 1, 14, tzinfo=UTC)


@dataclass(kw_only=True)
class Recorder(Shelf):
    database: Path

    @property
    def store(self) -> FileStore:
        return FileStore("disk", self.root, now=lambda: self.now, recorder=self.database)

    def run(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def retain(self, camera: str, start: datetime, end: datetime | None, *, flag: int = 1) -> None:
        until = None if end is None else end.timestamp()
        self.run("INSERT INTO event VALUES (?, ?, ?, ?)", camera, start.timestamp(), until, flag)

    def paths(self) -> set[str]:
        return {
            str(row[0]).removeprefix("/media/frigate/recordings/")
            for row in self.run("SELECT path FROM recordings")
        }


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    made = Recorder(
        root=tmp_path / "media",
        location=replace(FRIGATE, recorder="frigate"),
        database=tmp_path / "frigate.db",
    )
    made.run("CREATE TABLE event (camera TEXT, start_time REAL, end_time REAL, retain_indefinitely INTEGER)")
    made.run("CREATE TABLE recordings (path TEXT PRIMARY KEY, camera TEXT, start_time REAL, end_time REAL)")
    return made


def record(recorder: Recorder, camera: str, count: int) -> list[str]:
    paths = record_segments(recorder, camera, START, count)
    for index, path in enumerate(paths):
        start = (START + timedelta(seconds=10 * index)).timestamp() + 0.25
        recorder.run(
            "INSERT INTO recordings VALUES (?, ?, ?, ?)",
            f"/media/frigate/recordings/{path}",
            camera,
            start,
            start + 10,
        )
    return paths


def test_segments_of_a_retained_event_are_kept_and_listed(recorder: Recorder) -> None:
    paths = record(recorder, "door", 30)
    record(recorder, "hall", 30)
    recorder.retain("door", START + timedelta(seconds=105), START + timedelta(seconds=125))
    protected = [path for path, why in recorder.undecided().items() if why == PROTECTED]
    assert sorted(protected) == paths[10:13]
    assert not set(protected) & set(recorder.due())
    assert len(recorder.due()) == 30 + 30 - 2 - 3


def test_an_event_that_is_not_over_protects_from_its_start_on(recorder: Recorder) -> None:
    paths = record(recorder, "door", 10)
    recorder.retain("door", START + timedelta(seconds=55), None)
    assert set(recorder.due()) == set(paths[:5])


def test_an_event_nobody_marked_protects_nothing(recorder: Recorder) -> None:
    record(recorder, "door", 10)
    recorder.retain("door", START, None, flag=0)
    assert len(recorder.due()) == 9


def test_what_is_marked_between_survey_and_destroying_is_not_destroyed(recorder: Recorder) -> None:
    record(recorder, "door", 10)
    _, lines = recorder.survey()
    recorder.retain("door", START, START + timedelta(seconds=15))
    done = recorder.destroy(lines)
    assert len(done) == 9 - 2
    assert len(recorder.files()) == 3


def test_rows_of_destroyed_segments_go_and_others_stay(recorder: Recorder) -> None:
    paths = record(recorder, "door", 10)
    others = record(recorder, "hall", 1)
    _, lines = recorder.survey()
    recorder.destroy(lines)
    assert recorder.files() == {paths[-1], *others}
    assert recorder.paths() == {paths[-1], *others}


def test_a_busy_database_is_left_to_the_recorder(recorder: Recorder) -> None:
    paths = record(recorder, "door", 3)
    _, lines = recorder.survey()
    with closing(sqlite3.connect(recorder.database, isolation_level=None)) as busy:
        busy.execute("BEGIN IMMEDIATE")
        assert len(recorder.destroy(lines)) == 2
    assert recorder.files() == {paths[-1]}
    assert len(recorder.paths()) == 3


@pytest.mark.parametrize("broken", ["missing", "no database", "another recorder's"])
def test_a_database_that_cannot_be_read_protects_everything(recorder: Recorder, broken: str) -> None:
    record(recorder, "door", 3)
    _, lines = recorder.survey()
    recorder.database.unlink()
    if broken == "no database":
        recorder.database.write_bytes(b"not a database at all, not a database at all")
    elif broken == "another recorder's":
        recorder.run("CREATE TABLE videos (id INTEGER)")
    (finding,) = recorder.store.check(recorder.criteria)
    assert finding.fatal
    assert "nobody knows what it protects" in finding.message
    with pytest.raises(StoreUnavailable, match="nobody knows what it protects"):
        recorder.destroy(lines)
    assert len(recorder.files()) == 3


def test_a_location_without_a_recorder_asks_no_database(recorder: Recorder) -> None:
    record(recorder, "door", 3)
    recorder.location = FRIGATE
    recorder.database.unlink()
    assert len(recorder.due()) == 2
