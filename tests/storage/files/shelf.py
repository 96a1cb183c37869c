"""Small file trees for the tests of the file store, and the few moves of a case on them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from retention.condition import Condition
from retention.decide import Criteria
from retention.holds import Hold, HoldState, Scope
from retention.outcomes import Presence
from retention.schedule import (
    ApprovalKind,
    Authority,
    Cutoff,
    Disposition,
    Library,
    Limits,
    Period,
    RecordType,
    Rule,
    TreeLocation,
    TriggerKind,
)
from storage.contract import Survey
from storage.files.lines import read_line, to_text
from storage.files.store import FileStore

NEW_YORK = ZoneInfo("America/New_York")
UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
ON = NOW.date()
LONG_AGO = datetime(2026, 3, 1, 14, tzinfo=UTC)
NOBODY = 65534
"""User id without rights."""

LIBRARY = Library(
    organization="Prairie Creek", custodian="Library Director", zone=NEW_YORK, fiscal_year_start=(7, 1)
)
EXPORTS = TreeLocation(
    name="exports", store="disk", zone=NEW_YORK, trigger_kind=TriggerKind.MODIFIED, subject="none", path="out", template="{path}"
)  # fmt: skip
FRIGATE = TreeLocation(
    name="recordings", store="disk", zone=UTC_ZONE, trigger_kind=TriggerKind.NAME, subject="unknown", path="recordings",
    template="preset:frigate", max_length=60, settle=300,
)  # fmt: skip
EVENTS = TreeLocation(
    name="events", store="disk", zone=NEW_YORK, trigger_kind=TriggerKind.NAME, subject="unknown", path="events",
    template="preset:zoneminder-medium", unit="folder", max_length=600, settle=300,
)  # fmt: skip


def criteria_for(location: TreeLocation, on: date = ON, when: Condition | None = None) -> Criteria:
    """Thirty days, at most sixty."""
    rule = Rule(
        id="rule", authority=Authority(citation="Policy 4.2"), minimum=Period(days=30), maximum=Period(days=60), when=when
    )  # fmt: skip
    record_type = RecordType(
        id="files", title="Files", description="Invented", owner="IT", personal_data=(), trigger_event="written",
        cutoff=Cutoff.DAY, rules=(rule,), disposition=Disposition.PURGE, approval=ApprovalKind.STANDING, cooling_off=Period(),
        limits=Limits(), effective_from=date(2020, 1, 1), effective_until=None, locations=(location,),
    )  # fmt: skip
    return Criteria(record_type=record_type, location=location, library=LIBRARY, on=on)


def hold(scope: Scope) -> Hold:
    return Hold(id="hold-1", state=HoldState.ACTIVE, scope=scope)


@dataclass(kw_only=True)
class Shelf:
    """A root folder with one location, and the store on it."""

    root: Path
    location: TreeLocation
    now: datetime = NOW
    holds: list[Hold] = field(default_factory=list)
    on: date = ON

    def __post_init__(self) -> None:
        self.place.mkdir(parents=True, exist_ok=True)

    @property
    def place(self) -> Path:
        return self.root / self.location.path

    @property
    def store(self) -> FileStore:
        return FileStore("disk", self.root, now=lambda: self.now)

    @property
    def criteria(self) -> Criteria:
        return criteria_for(self.location, self.on)

    def write(self, path: str, modified: datetime = LONG_AGO, text: str = "content") -> Path:
        """A file below the location, with that modification time; its folders too."""
        file = self.place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        stamp(file, modified)
        return file

    def survey(self) -> tuple[Survey, list[bytes]]:
        written: list[bytes] = []
        found = self.store.survey(self.criteria, self.holds, written.append, lambda count: None)
        return found, b"".join(written).splitlines()

    def due(self) -> list[str]:
        """Keys of what is due, in order."""
        return [to_text(read_line(line).path) for line in self.survey()[1]]

    def undecided(self) -> dict[str, str]:
        """What nobody can decide on, with the reason."""
        listed = self.store.cannot_decide(self.criteria, self.holds, 1000)
        return {key: detail for key, _, detail in listed}

    def destroy(self, lines: Sequence[bytes]) -> dict[str, Presence]:
        """One batch. What was chosen, and what the read-back saw."""
        with self.store.batch(self.criteria) as batch:
            staged = batch.stage(lines, self.holds)
            batch.destroy()
            seen = batch.read_back()
        return {
            self.store.reference(lines[index]): answer
            for index, answer in zip(staged.chosen, seen, strict=True)
        }

    def files(self) -> set[str]:
        """Everything below the location that is not a folder."""
        return {
            str(path.relative_to(self.place))
            for path in self.place.rglob("*")
            if path.is_symlink() or not path.is_dir()
        }

    def folders(self) -> set[str]:
        return {
            str(path.relative_to(self.place))
            for path in self.place.rglob("*")
            if path.is_dir() and not path.is_symlink()
        }


def stamp(path: Path, modified: datetime) -> None:
    seconds = modified.timestamp()
    os.utime(path, (seconds, seconds), follow_symlinks=False)


def segment(camera: str, start: datetime) -> str:
    """The path that Frigate gives a segment."""
    return f"{start:%Y-%m-%d}/{start:%H}/{camera}/{start:%M.%S}.mp4"


def record_segments(shelf: Shelf, camera: str, start: datetime, count: int, seconds: int = 10) -> list[str]:
    """Segments one after the other, each written when it ended."""
    paths = []
    for index in range(count):
        begins = start + timedelta(seconds=seconds * index)
        paths.append(segment(camera, begins))
        shelf.write(paths[-1], begins + timedelta(seconds=seconds))
    return paths


@contextmanager
def without_rights() -> Iterator[Path]:
    """A new folder anybody may look into, and a process that may change only what is its own or open to all.

    As root this takes the rights of the user *nobody*: a real refusal by the kernel, no imitation of one.
    """
    with tempfile.TemporaryDirectory(prefix="retention-rights-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
            for path in [folder, *folder.rglob("*/")]:
                path.chmod(0o755)


def give_up_rights() -> None:
    if os.getuid() == 0:
        os.seteuid(NOBODY)
