"""Exports on a disk: looking through CSV for personal data, and one row out of a CSV beside ``grep -v`` on it."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench.objects import CARD, ROWS, ROWS_SCHEDULE, timed, write_rows
from bench.report import Findings, Goal
from bench.site import carry_out, site
from bench.sizes import Scale
from flows.settings import StoreSettings
from storage.scanning.patterns import Patterns
from storage.scanning.scan import Cover, Scanner

SCANNED = {"full": 300_000_000, "small": 20_000_000, "tiny": 2_000_000}
SCHEDULE = ROWS_SCHEDULE.replace('kind = "s3"', 'kind = "files"').replace('"Bucket"', '"Drop folder"')


def measure(scale: Scale) -> Findings:
    size, scanned = scale.of(ROWS), scale.of(SCANNED)
    found = Findings(
        bench="exports", title=f"One row out of a CSV of {size / 1e6:,.0f} MB, and {scanned / 1e6:,.0f} MB of CSV scanned whole",
        sizes={"rows": size, "scanned": scanned},
    )  # fmt: skip
    fast = Goal(value=100, of_ours=True)
    items = found.measure("scan of a list of items, per core", "MB/s", goal=fast)
    people = found.measure("scan of a file full of people, per core", "MB/s", goal=fast)
    run = found.measure(
        "one row, whole run", "MB/s", "grep -v, synchronised and put in place", Goal(value=0.5)
    )
    alone = found.measure("one row, destroying and certificate alone", "MB/s", "the same", Goal(value=0.5))
    for pair in range(scale.pairs):
        listed = scale.folder / "scan"
        listed.mkdir()
        _write_items(listed / "items.csv", scanned)
        items.add(_scanned(listed))
        (listed / "items.csv").unlink()
        write_rows(listed / "people.csv", scanned)
        people.add(_scanned(listed))
        (listed / "people.csv").unlink()
        listed.rmdir()
        root = scale.folder / f"exports-{pair}"
        ours, theirs = root / "letters" / "list.csv", scale.folder / "peer.csv"
        ours.parent.mkdir(parents=True)
        write_rows(ours, size)
        write_rows(theirs, size)
        _settled(ours)
        _settled(theirs)
        peer = timed(partial(_filtered, theirs))
        with site(scale.folder / f"site-{pair}", SCHEDULE, {"bucket": StoreSettings(root=root)}) as made:
            done = carry_out(made)
        if done.destroyed != 1 or _sha256(ours) != _sha256(theirs):
            raise AssertionError(f"{done.destroyed} rows destroyed, or the two sides wrote different files")
        run.add(size / 1e6 / done.seconds, size / 1e6 / peer)
        alone.add(size / 1e6 / done.destroying, size / 1e6 / peer)
        ours.unlink()
        theirs.unlink()
    found.notes.append(
        "scans are counted in processor time, with every block read; files above 4 MiB are sampled otherwise"
    )
    found.notes.append(
        "ours decides on every row at the survey and again at the batch, and reads the new file back; the peer looks at nothing"
    )
    return found


def _scanned(folder: Path) -> float:
    """MB of a second of processor time."""
    scanner = Scanner(
        patterns=Patterns(), cover=lambda _: Cover.NOBODY,
        mark=lambda text: hashlib.sha256(text.encode()).hexdigest()[:12], memory=None, whole=True,
    )  # fmt: skip
    began = time.process_time()
    report = scanner.scan([folder], datetime.now(UTC))
    return report.size / 1e6 / (time.process_time() - began)


def _write_items(path: Path, size: int) -> None:
    chance = random.Random(1)
    with path.open("w", encoding="ascii") as file:
        written = file.write("item,title,call_number,shelved\n")
        while written < size:
            block = (
                f"{chance.randrange(10**12):012d},The History of Volume {chance.randrange(10**5)},{chance.randrange(1000)}.{chance.randrange(100)} ABC,2026-01-{1 + chance.randrange(28):02d}\n"
                for _ in range(10_000)
            )
            written += file.write("".join(block))


def _filtered(path: Path) -> None:
    """What a person would do by hand, written to the disk as ours is."""
    new = path.with_suffix(".new")
    with new.open("wb") as target:
        subprocess.run(["grep", "-v", f"^{CARD},", str(path)], check=True, stdout=target)
        os.fsync(target.fileno())
    new.replace(path)


def _settled(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
