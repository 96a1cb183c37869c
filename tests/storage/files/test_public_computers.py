"""Public computers: browser profiles, temporary files and print queues, by the locations of the schedule that ships."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retention.decide import Criteria
from retention.holds import Hold, HoldState, Scope
from retention.loader import load
from retention.outcomes import Presence
from storage.files.store import FileStore

SHIPPED = load((Path(__file__).parents[3] / "policies.toml").read_text(encoding="utf-8"), "policies.toml")
CACHES = SHIPPED.record_type("computer-caches")


class Computers:
    """The share with the folders of the public computers, ``days`` from now."""

    def __init__(self, root: Path, days: float) -> None:
        self.root = root
        self.now = datetime.now(UTC) + timedelta(days=days)
        self.store = FileStore("caches", root, now=lambda: self.now)

    def criteria(self, name: str) -> Criteria:
        return Criteria(
            record_type=CACHES,
            location=CACHES.location(name),
            library=SHIPPED.library,
            on=self.now.astimezone(SHIPPED.library.zone).date(),
        )

    def clear(self, name: str, *holds: Hold) -> set[Presence]:
        """Everything due at a location goes; what was read back."""
        lines: list[bytes] = []
        criteria = self.criteria(name)
        self.store.survey(criteria, holds, lines.append, lambda _: None)
        with self.store.batch(criteria) as batch:
            batch.stage(b"".join(lines).splitlines(), holds)
            batch.destroy()
            return set(batch.read_back())

    def left(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")}


def profile(root: Path) -> Path:
    """A profile as a browser leaves it: databases with their journals, a cache, folders that name web sites, a lock that is a link."""
    folder = root / "profiles" / "PC-07" / "firefox" / "x1.default"
    for name in (
        "cache2/entries/0A1B",
        "storage/default/https+++clinic.example/.metadata-v2",
        "sessionstore.jsonlz4",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"visited")
    with sqlite3.connect(folder / "places.sqlite") as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("CREATE TABLE moz_places (url TEXT)")
    base.close()
    (folder / "places.sqlite-wal").write_bytes(b"visited")
    (folder / "lock").symlink_to("127.0.0.1:+4711")
    return folder


@pytest.fixture
def share(tmp_path: Path) -> Path:
    profile(tmp_path)
    for name in (
        "temp/PC-07/~WRD0001.tmp",
        "spool/print1/c00042",
        "spool/print1/d00042-001",
        "spool/PC-07/00042.SPL",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"letter")
    return tmp_path


@pytest.mark.parametrize("name", ["browser-profiles", "temporary-files", "print-spool"])
def test_what_a_patron_left_goes_on_the_third_day_with_the_folders_that_name_web_sites(
    share: Path, name: str
) -> None:
    location = CACHES.location(name)
    computers = Computers(share, days=3)
    assert not [one for one in computers.store.check(computers.criteria(name)) if one.fatal]
    assert computers.clear(name) == {Presence.ABSENT}
    below = {path for path in computers.left() if path.startswith(getattr(location, "path", "?") + "/")}
    lock = "profiles/PC-07/firefox/x1.default/lock"
    assert {path for path in below if (share / path).is_symlink() or not (share / path).is_dir()} == (
        {lock} if name == "browser-profiles" else set()
    )
    assert not [path for path in below if "clinic" in path]


def test_nothing_goes_the_next_day_nor_what_a_program_is_still_writing(share: Path) -> None:
    before = Computers(share, days=0).left()
    for name in ("browser-profiles", "temporary-files", "print-spool"):
        assert Computers(share, days=0.9).clear(name) == set()
    assert Computers(share, days=0).left() == before
    late = Computers(share, days=0)
    late.now = datetime.now(UTC) + timedelta(minutes=30)
    lines: list[bytes] = []
    found = late.store.survey(late.criteria("print-spool"), (), lines.append, lambda _: None)
    assert (lines, found.population) == ([], 3)


def test_old_times_that_a_program_set_make_nothing_go_early(share: Path) -> None:
    path = share / "temp" / "PC-07" / "~WRD0001.tmp"
    os.utime(path, (0, 0))
    assert Computers(share, days=0.9).clear("temporary-files") == set()
    assert path.exists()


def test_a_hold_keeps_what_was_printed(share: Path) -> None:
    hold = Hold(
        id="H1", state=HoldState.ACTIVE, scope=Scope(record_types=frozenset({"computer-caches"}))
    )  # fmt: skip
    assert Computers(share, days=3).clear("print-spool", hold) == set()
    assert (share / "spool/print1/d00042-001").exists()
