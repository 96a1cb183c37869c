"""Sealing beside raw AES of OpenSSL on one core, beside Tink for Python and age; and whether its memory stays flat.

The plaintext comes from memory and the sealed file goes nowhere, so that no disk is measured, except where a whole file is sealed: there
the peer copies it and synchronises the copy.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyrage
import tink
from tink import streaming_aead

from bench.report import Findings, Goal, Measure
from bench.sizes import Scale
from retention.decide import Criteria
from retention.loader import load
from storage.keys.keystore import KeyStore
from storage.keys.roots.local import LocalRoot
from storage.keys.roots.root import RootKind, Roots
from storage.sealed import stream
from storage.sealed.sealing import FileSealer

MEBIBYTE = 1 << 20
SIZES = {"full": 2048, "small": 256, "tiny": 4}
"""MiB sealed for a rate."""
FILE = {"full": 1024, "small": 64, "tiny": 4}
LONG = {"full": 10 * 1024, "small": 1024, "tiny": 64}
"""MiB streamed through for the memory."""
SECONDS = {"full": 3, "small": 1, "tiny": 1}
"""Of each run of ``openssl speed``."""
GROWTH = Goal(value=16, at_least=False, of_ours=True)

KEY = bytes(range(32))
OBJECT = b"00112233aabbccdd"
SCHEDULE = """
version = "bench"

[library]
organization = "Bench"
custodian = "Library Director"
time-zone = "UTC"
fiscal-year-start = "01-01"

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
disposition = "crypto-shred"
approval = "standing"
limits = { percent = 100 }
effective-from = 2020-01-01

[[record-type.exports.location]]
name = "drop"
store = "exports"
path = "drop"
template = "{path}"
trigger-kind = "modified"
time-zone = "library"
subject = "unknown"
settle = "PT1H"
"""


def measure(scale: Scale) -> Findings:
    mebibytes = scale.of(SIZES)
    found = Findings(
        bench="seal", title=f"Sealing {mebibytes:,} MiB in segments of 1 MiB, one core",
        sizes={"mebibytes": mebibytes, "file_mebibytes": scale.of(FILE), "streamed_mebibytes": scale.of(LONG)},
        versions={
            "openssl": _told("openssl", "version"), "cryptography": version("cryptography"), "tink": version("tink"),
            "pyrage": version("pyrage"),
        },
    )  # fmt: skip
    streaming_aead.register()
    beside: list[tuple[Measure, Callable[[], float]]] = [
        (
            found.measure("sealing", "MB/s", "openssl speed -evp aes-256-gcm", Goal(value=0.65)),
            lambda: openssl(scale.of(SECONDS)),
        ),
        (found.measure("sealing", "MB/s", "tink-py, AES256-GCM-HKDF 1 MiB", Goal(value=1.0)), lambda: by_tink(mebibytes)),
        (found.measure("sealing", "MB/s", "pyrage (age, ChaCha20)", Goal(value=1.0)), lambda: by_age(mebibytes)),
    ]  # fmt: skip
    opening = found.measure("opening", "MB/s", "sealing")
    whole = found.measure(
        "a file sealed, synchronised, read back, plaintext removed", "MB/s", "cp, then sync of the copy"
    )
    for _ in range(scale.pairs):
        ours = rate(mebibytes, seal_of(mebibytes))
        for compared, peer in beside:
            compared.add(ours, peer())
            ours = rate(mebibytes, seal_of(mebibytes))
        opening.add(rate(mebibytes, open_of(mebibytes)), ours)
        whole.add(*file_rates(scale.folder, scale.of(FILE)))
    few, many = memory(MEBIBYTE), memory(scale.of(LONG) * MEBIBYTE)
    found.measure(f"peak memory added by {scale.of(LONG):,} MiB", "MB", goal=GROWTH).add(
        max(0.001, many - few)
    )
    found.notes += [
        "openssl speed runs the cipher over one buffer again and again; ours derives a key, moves the plaintext and writes segments",
        f"peak memory of the process that streams: {few:.0f} MB with 1 MiB, {many:.0f} MB with {scale.of(LONG):,} MiB",
    ]
    return found


@dataclass(slots=True)
class Endless:
    """A source of so many bytes that costs one copy, as a file in the page cache does."""

    left: int
    block: bytes = bytes(MEBIBYTE)

    def readinto(self, buffer: memoryview, /) -> int:
        count = min(self.left, len(buffer), MEBIBYTE)
        buffer[:count] = self.block[:count]
        self.left -= count
        return count


class Nowhere(io.RawIOBase):
    """Takes everything and keeps nothing."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return len(data)


class Readable(io.RawIOBase):
    """`Endless` for those who ask for a file."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._source = Endless(size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._source.readinto(memoryview(buffer))


def rate(mebibytes: int, work: Callable[[], object]) -> float:
    """MB (10^6 bytes) of plaintext per second of processor time of this process."""
    began = time.process_time()
    work()
    return mebibytes * MEBIBYTE / 1e6 / (time.process_time() - began)


def seal_of(mebibytes: int) -> Callable[[], object]:
    return lambda: stream.seal(Endless(mebibytes * MEBIBYTE), _Discard(), key=KEY, associated=OBJECT)


def open_of(mebibytes: int) -> Callable[[], object]:
    kept = io.BytesIO()
    stream.seal(Endless(min(mebibytes, 256) * MEBIBYTE), kept, key=KEY, associated=OBJECT)

    def work() -> None:
        for _ in range(max(1, mebibytes // 256)):
            kept.seek(0)
            for _piece in stream.pieces(kept, key=KEY, associated=OBJECT):
                pass

    return work


class _Discard:
    def write(self, data: memoryview, /) -> None:
        return None


def openssl(seconds: int) -> float:
    """MB/s of the cipher alone, on one core, by its own clock of processor time."""
    told = _told(
        "openssl", "speed", "-mr", "-evp", "aes-256-gcm", "-bytes", str(MEBIBYTE), "-seconds", str(seconds)
    )
    (line,) = [line for line in told.splitlines() if line.startswith("+F:")]
    return float(line.rsplit(":", 1)[1]) / 1e6


def by_tink(mebibytes: int) -> float:
    handle = tink.new_keyset_handle(streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB)
    primitive = handle.primitive(streaming_aead.StreamingAead)
    block = bytes(MEBIBYTE)

    def work() -> None:
        with primitive.new_encrypting_stream(Nowhere(), OBJECT) as target:
            for _ in range(mebibytes):
                view: memoryview = memoryview(block)
                while view:
                    view = view[target.write(view) :]

    return rate(mebibytes, work)


def by_age(mebibytes: int) -> float:
    recipient = pyrage.x25519.Identity.generate().to_public()
    return rate(mebibytes, lambda: pyrage.encrypt_io(Readable(mebibytes * MEBIBYTE), Nowhere(), [recipient]))


def file_rates(folder: Path, mebibytes: int) -> tuple[float, float]:
    """MB/s by the clock on the wall: ours with everything a sealing does, and a copy made durable."""
    root, place = folder / "root", folder / "root" / "drop"
    place.mkdir(parents=True, exist_ok=True)
    plain, copy = place / "export.bin", folder / "copy.bin"
    block = os.urandom(MEBIBYTE)
    with plain.open("wb") as file:
        for _ in range(mebibytes):
            file.write(block)
        os.fsync(file.fileno())
    began = time.monotonic()
    subprocess.run(["cp", str(plain), str(copy)], check=True)
    subprocess.run(["sync", str(copy)], check=True)
    peer = time.monotonic() - began
    copy.unlink()
    now = datetime.now(UTC) + timedelta(days=1)
    roots = Roots(chosen=RootKind.LOCAL, known={RootKind.LOCAL: LocalRoot(folder / "roots")})
    keys = KeyStore(f"sqlite:///{folder / 'keys.db'}", roots, backups=folder / "backups")
    keys.upgrade(at=now)
    try:
        began = time.monotonic()
        done = FileSealer(criteria(now.date()), root, keys, now=lambda: now).seal()
        ours = time.monotonic() - began
    finally:
        keys.close()
    if done.sealed != 1 or plain.exists():
        raise AssertionError(f"{done.sealed} files sealed, left: {dict(done.left)}")
    for sealed in place.iterdir():
        sealed.unlink()
    return mebibytes * MEBIBYTE / 1e6 / ours, mebibytes * MEBIBYTE / 1e6 / peer


def criteria(on: date) -> Criteria:
    schedule = load(SCHEDULE, "bench")
    (record_type,) = schedule.record_types
    (location,) = record_type.locations
    return Criteria(record_type=record_type, location=location, library=schedule.library, on=on)


def memory(size: int) -> float:
    """Peak resident memory in MB of a process of its own that seals and opens so many bytes as a stream."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.seal", str(size)], check=True, stdout=subprocess.PIPE, text=True
    )
    return int(done.stdout) * 1024 / 1e6


def main(size: str) -> None:
    """The measured process: sealing into a pipe that a thread opens again, then its own high-water mark."""
    reading, writing = os.pipe()
    opened = 0

    def drain() -> None:
        nonlocal opened
        with io.FileIO(reading, "rb") as source:
            for piece in stream.pieces(source, key=KEY, associated=OBJECT):
                opened += len(piece)

    thread = threading.Thread(target=drain)
    thread.start()
    with os.fdopen(writing, "wb") as target:
        stream.seal(Endless(int(size)), target, key=KEY, associated=OBJECT)
    thread.join()
    if opened != int(size):
        raise AssertionError(f"{opened} of {size} bytes came back")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    print(peak)


def _told(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main(*sys.argv[1:])
