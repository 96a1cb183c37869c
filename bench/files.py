"""Camera footage and small files, beside ``find ROOT -type f -delete`` on an identical tree of the same file system."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.report import Findings, Goal
from bench.site import Round, carry_out, place_holds, site
from bench.sizes import Scale
from flows.settings import StoreSettings
from retention.holds import Scope

SEGMENTS = {"full": 72_000, "small": 4_800, "tiny": 240}
SMALL_FILES = {"full": 100_000, "small": 5_000, "tiny": 300}
CAMERAS = ("entrance", "stairs", "loading_dock", "reading_room")
FOLDERS = 20
CONTENT = os.urandom(1024)
_FIRST = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=60)

FOOTAGE = """
[store.cameras]
kind = "footage"
title = "Cameras"

[record-type.footage]
title = "Camera footage"
description = "Entrances and stairs."
authority = { citation = "Camera policy" }
owner = "Facilities"
personal-data = ["images"]
trigger = "recorded"
cutoff = "day"
minimum = "P14D"
maximum = "P90D"
disposition = "purge"
approval = "standing"
limits = { percent = 100 }
effective-from = 2020-01-01

[[record-type.footage.location]]
name = "recordings"
store = "cameras"
path = "recordings"
template = "{Y}-{m}-{d}/{H}/{camera}/{M}.{S}.mp4"
trigger-kind = "name"
time-zone = "UTC"
max-length = "PT60S"
subject = "unknown"
"""
EXPORTS = """
[store.exports]
kind = "files"
title = "Exports"

[record-type.exports]
title = "Exports"
description = "Files exported to vendors."
authority = { citation = "Policy 5-9" }
owner = "Information Technology"
personal-data = ["patron"]
trigger = "written"
cutoff = "day"
minimum = "P14D"
maximum = "P90D"
disposition = "purge"
approval = "standing"
limits = { percent = 100 }
effective-from = 2020-01-01

[[record-type.exports.location]]
name = "drop"
store = "exports"
path = "drop"
template = "{any}/{path}"
trigger-kind = "modified"
time-zone = "library"
subject = "unknown"
settle = "PT1H"
"""


def measure(scale: Scale) -> Findings:
    segments, small = scale.of(SEGMENTS), scale.of(SMALL_FILES)
    found = Findings(
        bench="files", title=f"{segments:,} footage segments and {small:,} small files, 1 KiB each",
        sizes={"segments": segments, "small_files": small, "folders": FOLDERS, "holds": 25},
    )  # fmt: skip
    told = subprocess.run(["find", "--version"], check=True, capture_output=True, text=True)
    found.versions = {"find": told.stdout.splitlines()[0]}
    kinds = (
        (Kind(title="footage", make=frigate, store="cameras", schedule=FOOTAGE), segments),
        (Kind(title="small files", make=drop, store="exports", schedule=EXPORTS), small),
    )
    for kind, count in kinds:
        whole = found.measure(f"{kind.title}, whole run", "files/s", "find -type f -delete", Goal(value=0.7))
        alone = found.measure(f"{kind.title}, destroying and certificate alone", "files/s", "the same")
        synced = found.measure(f"{kind.title}, whole run", "files/s", "find -type f -delete, then sync")
        for pair in range(scale.pairs):
            quick, lasting = found_and_deleted(scale.folder / "peer", kind.make, count)
            done = ours(scale, f"{kind.store}-{pair}", kind, count)
            whole.add(done.rate, count / quick)
            alone.add(done.destroyed / done.destroying, count / quick)
            synced.add(done.rate, count / lasting)
    found.notes.append(
        "ours reads back every file and synchronises every folder to the disk before it says destroyed; find does neither"
    )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A tree and the schedule for it."""

    title: str
    make: Callable[[Path, int], None]
    store: str
    schedule: str


def ours(scale: Scale, name: str, kind: Kind, count: int) -> Round:
    root = scale.folder / name / "root"
    kind.make(root, count)
    os.sync()
    with site(scale.folder / name / "site", kind.schedule, {kind.store: StoreSettings(root=root)}) as made:
        since = made.now() - timedelta(hours=1)
        place_holds(
            made,
            (
                Scope(stores=frozenset({kind.store}), cameras=frozenset({f"camera-{number}"}), since=since)
                for number in range(25)
            ),
        )
        done = carry_out(made)
    left = sum(len(names) for _, _, names in os.walk(root))
    if (
        done.destroyed < count - len(CAMERAS) or left > count - done.destroyed + 1
    ):  # a camera's last segment has no known end
        raise AssertionError(f"{done.destroyed} of {count} files destroyed, {left} files left")
    shutil.rmtree(scale.folder / name)
    return done


def found_and_deleted(root: Path, make: Callable[[Path, int], None], count: int) -> tuple[float, float]:
    """Seconds of find alone, and with the sync after it that a crash-proof answer would need."""
    make(root, count)
    os.sync()
    began = time.monotonic()
    subprocess.run(["find", str(root), "-type", "f", "-delete"], check=True)
    quick = time.monotonic() - began
    os.sync()
    lasting = time.monotonic() - began
    shutil.rmtree(root)
    return quick, lasting


def frigate(root: Path, count: int) -> None:
    """Ten-second segments of four cameras in Frigate's layout, in UTC."""
    made = 0
    while made < count:
        at = _FIRST + timedelta(seconds=10 * (made // len(CAMERAS)))
        for camera in CAMERAS[: count - made]:
            folder = root / "recordings" / f"{at:%Y-%m-%d}" / f"{at:%H}" / camera
            if at.minute == 0 and at.second == 0:
                folder.mkdir(parents=True)
            path = folder / f"{at:%M.%S}.mp4"
            path.write_bytes(CONTENT)
            os.utime(path, (at.timestamp() + 10, at.timestamp() + 10))
            made += 1


def drop(root: Path, count: int) -> None:
    """A few folders with thousands of files each, all written a month ago."""
    then = (datetime.now(UTC) - timedelta(days=30)).timestamp()
    for folder in range(FOLDERS):
        (root / "drop" / f"vendor-{folder}").mkdir(parents=True)
    for number in range(count):
        path = root / "drop" / f"vendor-{number % FOLDERS}" / f"export-{number:07}.csv"
        path.write_bytes(CONTENT)
        os.utime(path, (then, then))
