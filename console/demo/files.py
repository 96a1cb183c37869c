"""Lays out the demo's folders: exports to vendors, public computers, camera footage. Times on disk agree with the names."""

from __future__ import annotations

import csv
import io
import os
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from random import Random

from console.demo.invented import CAMERAS, HELD_CAMERA, HELD_FROM, HELD_UNTIL, SEED, TODAY, ZONE, Size
from console.demo.library import barcode

FORGOTTEN = "Copy of patrons FINAL (2).csv"
"""An export that somebody made by hand: no schedule knows its name."""

SEGMENT = timedelta(seconds=10)


def build_files(folder: Path, size: Size) -> dict[str, int]:
    """Make exports, computers and footage below the folder. Returns how many files of each there are."""
    made = {
        "exports": _exports(folder / "exports", folder / "library.db", size),
        "computers": _computers(folder / "computers", size),
        "cameras": _footage(folder / "cameras" / "recordings", size),
    }
    # What the camera software keeps beside its recordings; nobody schedules it, and it must survive.
    (folder / "cameras" / "exports").mkdir()
    _write(folder / "cameras" / "config.txt", b"frigate\n", datetime(2026, 1, 5, 9, tzinfo=UTC))
    return made


def _exports(root: Path, database: Path, size: Size) -> int:
    with closing(sqlite3.connect(database)) as connection:
        owing = connection.execute(
            "select c.barcode, u.family_name, u.first_given_name, a.street1, a.post_code, u.day_phone, s.balance_owed"
            " from money_materialized_billable_xact_summary s join actor_usr u on u.id = s.usr join actor_card c on c.usr = u.id"
            " join actor_usr_address a on a.usr = u.id order by s.id limit 400"
        ).fetchall()
        readers = connection.execute(
            "select family_name, first_given_name, email from actor_usr where id % 5 = 0 order by id limit 500"
        )
        opted_in = readers.fetchall()
    agency = ("barcode", "family_name", "given_name", "street", "post_code", "phone", "amount_owed")
    vendor = ("family_name", "given_name", "email")
    count = 0
    for week in range(size.weeks):
        on = TODAY - timedelta(days=7 * week + 1)
        part = slice(15 * week % 300, 15 * week % 300 + 60)
        _write(
            root / "collection-agency" / f"submission-{on:%Y%m%d}.csv",
            _table(agency, owing[part]),
            _local(on, 4),
        )
        _write(root / "analytics" / f"opted-in-{on:%Y%m%d}.csv", _table(vendor, opted_in), _local(on, 5))
        count += 2
    _write(root / "analytics" / FORGOTTEN, _table(vendor, opted_in), _local(TODAY - timedelta(days=200), 16))
    return count + 1


def _computers(root: Path, size: Size) -> int:
    draw = Random(SEED + 1)
    count = 0
    for number in range(1, size.computers + 1):
        computer = f"pc-{number:02}"
        for back in range(size.days):
            on = TODAY - timedelta(days=back + 1)
            lines = [
                f"{hour:02}:{draw.randint(0, 59):02} {barcode(draw.randint(1, size.patrons))} signed in"
                for hour in range(9, 9 + draw.randint(1, 8))
            ]
            _write(
                root / "sign-in" / computer / f"{on}.log", "\n".join([*lines, ""]).encode(), _local(on, 20)
            )
            count += 1
        for session in range(20):
            at = _local(TODAY - timedelta(days=draw.randint(1, 25)), draw.randint(9, 19))
            where = root / "sessions" / computer / f"session-{session:02}"
            _write(where / "cookies.sqlite", draw.randbytes(200), at)
            _write(where / "history.txt", b"https://jobs.example/apply\nhttps://clinic.example/results\n", at)
            count += 2
    return count


def _footage(root: Path, size: Size) -> int:
    draw = Random(SEED + 2)
    clips = {camera: (files("console.demo") / "clips" / f"{camera}.mp4").read_bytes() for camera in CAMERAS}
    count = 0
    last = datetime.combine(TODAY, time(6), ZONE).astimezone(UTC)
    for hour in range(size.days * 24):
        begins = last - timedelta(hours=hour)
        for camera, clip in clips.items():
            moment = begins + timedelta(minutes=draw.randint(0, 58), seconds=draw.randint(0, 49))
            count += _segment(root, camera, clip, moment)
    minute = HELD_FROM - timedelta(minutes=15)
    while minute < HELD_UNTIL + timedelta(
        minutes=15
    ):  # the hour of the subpoena, and what lies around it, without gaps
        count += _segment(root, HELD_CAMERA, clips[HELD_CAMERA], minute.astimezone(UTC))
        minute += timedelta(minutes=1)
    return count


def _segment(root: Path, camera: str, clip: bytes, start: datetime) -> int:
    path = root / f"{start:%Y-%m-%d}" / f"{start:%H}" / camera / f"{start:%M.%S}.mp4"
    if path.exists():
        return 0
    _write(path, clip, start + SEGMENT)
    return 1


def _write(path: Path, content: bytes, at: datetime) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (at.timestamp(), at.timestamp()))


def _local(on: date, hour: int) -> datetime:
    return datetime.combine(on, time(hour), ZONE)


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()
