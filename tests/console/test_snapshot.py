"""A snapshot hold: what was there when it was placed is kept, what surely came later goes by its rule."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from tests.console.library import Library
from tests.console.test_hold import place

LATER = (
    (21, "2035-06-15 17:00:00+00:00", "an hour before it was placed"),
    (22, "2035-06-15 18:30:00+00:00", "half an hour after: clocks may be that far apart"),
    (23, "2035-06-15 21:00:00+00:00", "after it"),
    (24, None, "nobody knows"),
    (25, "some day", "nobody can read"),
)


@pytest.fixture
def dated(staffed: Library) -> Library:
    """The loans say when they were made; those there at first, long ago."""
    staffed.amend('table = "loan"', 'table = "loan"\ncreated = "made"')
    with closing(sqlite3.connect(staffed.ils)) as connection, connection:
        connection.execute("ALTER TABLE loan ADD COLUMN made TEXT")
        connection.execute("UPDATE loan SET made = '2034-12-01 10:00:00'")
    return staffed


def age(library: Library) -> None:
    """More loans, and so long after that all of them would be due."""
    with closing(sqlite3.connect(library.ils)) as connection, connection:
        rows = [(number, made) for number, made, _ in LATER]
        connection.executemany(
            "INSERT INTO loan VALUES (?1, 101, 'main', '2035-06-16 10:00:00', 0, ?2)", rows
        )
    library.now += timedelta(days=100)
    library.done("run", "--execute", "--record-type", "past-checkouts")


def test_a_snapshot_keeps_all_but_what_surely_came_later(dated: Library) -> None:
    id = place(dated, "--subject", "101", "--snapshot")
    assert "snapshot: what existed on 2035-06-15" in dated.done("hold", "show", id).out
    age(dated)
    assert dated.loans() == [2, 4, 6, 8, 9, 10, 21, 22, 24, 25]
    told = dated.done("explain", "past-checkouts", "22", "--json").out
    assert "held" in told


def test_a_continuing_hold_keeps_what_comes_later_too(dated: Library) -> None:
    place(dated, "--subject", "101")
    age(dated)
    assert 23 in dated.loans()


def test_a_snapshot_that_was_widened_since_keeps_what_was_there_then(dated: Library) -> None:
    id = place(dated, "--subject", "101", "--snapshot")
    dated.now += timedelta(days=2)
    dated.done("hold", "widen", id, "--subject", "102", "--as", "ada")
    age(dated)
    assert 23 in dated.loans()


def test_footage_recorded_after_a_snapshot_is_not_kept_by_it(staffed: Library) -> None:
    place(staffed, "--store", "cameras", "--snapshot")
    before = staffed.footage()
    at = staffed.now + timedelta(days=1)
    path = staffed.root / "cameras" / "recordings" / f"{at:%Y-%m-%d}" / "09" / "door" / "00.00.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"later")
    moment = at.replace(hour=9, minute=1).timestamp()
    os.utime(path, (moment, moment))
    (path.parent / "05.00.mp4").write_bytes(b"newest")
    os.utime(path.parent / "05.00.mp4", (moment + 300, moment + 300))
    staffed.now += timedelta(days=100)
    staffed.done("run", "--execute", "--record-type", "camera-footage")
    left = staffed.footage()
    assert set(before) <= set(left)
    assert not path.exists()
