"""A small library on disk: a SQLite ILS, a drop folder of exports, and a camera's footage; and a shell to run commands in.

The time is set in the future, so that what the file system says of the files made here (their inode change) is always past.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console.cli.main import main

NOW = datetime(2035, 6, 15, 18, 0, tzinfo=UTC)
SET_UP = datetime(2025, 1, 2, 12, 0, tzinfo=UTC)
"""Noon in the library's zone."""

POLICIES = """\
version = "2035.test"

[library]
organization = "Test Library"
custodian = "Library Director"
time-zone = "America/Denver"
fiscal-year-start = "07-01"

[store.ils]
kind = "database"
title = "The integrated library system"
residual = { "database backups" = "P35D" }

[store.exports]
kind = "files"
title = "Drop folder"

[store.cameras]
kind = "footage"
title = "Cameras"

[record-type.past-checkouts]
title = "Past checkouts"
description = "Who had what."
authority = { citation = "Policy 5-9", series = "CIR-20" }
owner = "Circulation"
personal-data = ["patron"]
trigger = "item returned"
cutoff = "day"
minimum = "P30D"
maximum = "P90D"
disposition = "purge"
approval = "standing"
limits = { percent = 90 }
effective-from = 2020-01-01

[[record-type.past-checkouts.location]]
name = "loans"
store = "ils"
table = "loan"
key = "id"
trigger-column = "returned"
trigger-kind = "timestamp"
time-zone = "library"
subject = "patron"
branch = "branch"
blocked = "balance > 0"

[record-type.vendor-exports]
title = "Exports to vendors"
description = "Files sent to the collection agency."
authority = { citation = "Policy 5-9, VI" }
owner = "Systems"
personal-data = ["name"]
trigger = "file exported"
cutoff = "day"
minimum = "P30D"
maximum = "P60D"
disposition = "purge"
approval = "two-person"
cooling-off = "P0D"
limits = { records = 2 }
effective-from = 2020-01-01

[[record-type.vendor-exports.location]]
name = "agency"
store = "exports"
path = "agency"
template = "submission-{Y}{m}{d}.{ext}"
trigger-kind = "name"
time-zone = "library"
subject = "unknown"

[record-type.camera-footage]
title = "Camera footage"
description = "Segments of a minute."
authority = { citation = "Policy 7-2" }
owner = "Facilities"
personal-data = ["likeness"]
trigger = "recorded"
cutoff = "day"
minimum = "P14D"
maximum = "P30D"
disposition = "purge"
approval = "standing"
limits = { percent = 95 }
effective-from = 2020-01-01

[[record-type.camera-footage.location]]
name = "recordings"
store = "cameras"
path = "recordings"
template = "{Y}-{m}-{d}/{H}/{camera}/{M}.{S}.mp4"
trigger-kind = "name"
time-zone = "UTC"
subject = "unknown"
max-length = "PT60S"
"""


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


@dataclass
class Library:
    """The library below ``root``; call it with a command's words."""

    root: Path
    now: datetime = NOW
    people: list[str] = field(default_factory=list)

    def __call__(self, *words: str | Path) -> Said:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main([str(word) for word in words], now=lambda: self.now)
        return Said(code, out.getvalue(), err.getvalue())

    def done(self, *words: str | Path) -> Said:
        """A command that must end well."""
        said = self(*words)
        assert said.code == 0, (words, said)
        return said

    @property
    def policies(self) -> Path:
        return self.root / "policies.toml"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def ils(self) -> Path:
        return self.root / "ils.db"

    def settings(self) -> dict[str, str]:
        return {
            "RETENTION_POLICIES": str(self.policies),
            "RETENTION_STATE_DIR": str(self.state),
            "RETENTION_KEYRING": str(self.root / "keys"),
            "RETENTION_STORES__ILS__URL": f"sqlite:///{self.ils}",
            "RETENTION_STORES__EXPORTS__ROOT": str(self.root / "exports"),
            "RETENTION_STORES__CAMERAS__ROOT": str(self.root / "cameras"),
        }

    def amend(self, old: str, new: str) -> None:
        """Change the schedule."""
        text = self.policies.read_text(encoding="utf-8")
        assert old in text
        self.policies.write_text(text.replace(old, new), encoding="utf-8")

    def add_people(self, *names: str) -> None:
        for name in names or ("ada", "bela"):
            self.done(
                "person",
                "add",
                name,
                "--full-name",
                f"{name.title()} Example",
                "--title",
                "Director",
                "--role",
                "custodian",
            )

    def loans(self) -> list[int]:
        """Ids of the loans still in the ILS."""
        with sqlite3.connect(self.ils) as connection:
            found = [row[0] for row in connection.execute("SELECT id FROM loan ORDER BY id")]
        connection.close()
        return found

    def exports(self) -> list[str]:
        return sorted(path.name for path in (self.root / "exports" / "agency").iterdir())

    def footage(self) -> list[str]:
        """The segments there are; also while a run takes folders away."""
        folder = self.root / "cameras" / "recordings"
        walked = (Path(top) / name for top, _, names in os.walk(folder) for name in names)
        return sorted(str(path.relative_to(folder)) for path in walked if path.suffix == ".mp4")


def build(root: Path) -> Library:
    """Ten loans (four due), three exports (all due), three segments (two due); a ledger; nobody yet."""
    library = Library(root)
    library.policies.write_text(POLICIES, encoding="utf-8")
    connection = sqlite3.connect(library.ils)
    connection.execute(
        "CREATE TABLE loan (id INTEGER PRIMARY KEY, patron INTEGER, branch TEXT, returned TEXT, balance INTEGER NOT NULL)"
    )
    connection.executemany("INSERT INTO loan VALUES (?, ?, ?, ?, ?)", list(_loans()))
    connection.commit()
    connection.close()
    for days in (40, 50, 70):
        _file(
            root / "exports" / "agency" / f"submission-{NOW - timedelta(days=days):%Y%m%d}.csv",
            NOW - timedelta(days=days),
        )
    for days in (2, 20, 40):
        at = (NOW - timedelta(days=days)).replace(hour=9, minute=0, second=0)
        _file(
            root / "cameras" / "recordings" / f"{at:%Y-%m-%d}" / f"{at:%H}" / "door" / f"{at:%M.%S}.mp4", at
        )
    return library


def furnish(root: Path) -> Path:
    """State and keys of a new site (``new``) and of one with the custodians ada and bela (``staffed``), to be copied."""
    library = build(root)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in library.settings().items():
            patch.setenv(name, value)
        # Set up long ago: a command with the real clock may run in it, too.
        library.now = SET_UP
        library.done("db", "upgrade")
        library.now = NOW
        shutil.copytree(library.state, root / "new" / "state")
        library.add_people("ada", "bela")
        shutil.copytree(library.state, root / "staffed" / "state")
        shutil.copytree(root / "keys", root / "staffed" / "keys")
    return root


def _loans() -> list[tuple[int, int, str, str | None, int]]:
    """1 to 4 are due, of patrons 101 and 102; 5 to 7 are young; 8 owes something; 9 is out; 10 is young."""
    ages: list[int | None] = [100, 95, 60, 40, 20, 10, 1, 80, None, 5]
    return [
        (
            number,
            101 + number % 2,
            "main",
            None if age is None else f"{NOW - timedelta(days=age):%Y-%m-%d} 10:00:00",
            500 if number == 8 else 0,
        )
        for number, age in enumerate(ages, 1)
    ]


def _file(path: Path, at: datetime) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"number,amount\n1,2\n")
    os.utime(path, (at.timestamp(), at.timestamp()))
