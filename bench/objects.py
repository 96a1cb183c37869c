"""Large objects on a server that enforces locks: one beyond 5 GiB, put in parts, known, held and destroyed; and one row out of a CSV.

The server is LocalStack, a process of its own on the same machine, so both sides wait for it. Ours runs in a process of its own as well,
whose high-water mark of memory counts. ``python -m bench.objects whole|row ENDPOINT FOLDER`` is that process.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import SecretStr

from bench.report import Findings, Goal
from bench.site import carry_out, place_holds, release_holds, site
from bench.sizes import Scale
from flows.exports import sight_exports
from flows.settings import StoreSettings
from retention.holds import Scope
from tests.servers.localstack import localstack

MIB = 1 << 20
WHOLE = {"full": 5 * 1024 * MIB + 100 * MIB, "small": 200 * MIB, "tiny": 20 * MIB}
ROWS = {"full": 1_000_000_000, "small": 20_000_000, "tiny": 2_000_000}
PART = {"full": 64 * MIB, "small": 16 * MIB, "tiny": 5 * MIB}
BUCKET = "bench"
KEY, CSV = "footage/evening.mp4", "letters/list.csv"
CARD = "21234000000011"

SCHEDULE = """
[store.bucket]
kind = "s3"
title = "Bucket"

[record-type.footage]
title = "Clips sent to the insurer"
description = "Long clips."
authority = { citation = "Policy 7-2" }
owner = "Facilities"
personal-data = ["likeness"]
trigger = "sent"
cutoff = "day"
minimum = "P14D"
maximum = "P90D"
disposition = "purge"
approval = "standing"
limits = { percent = 100 }
effective-from = 2020-01-01

[[record-type.footage.location]]
name = "clips"
store = "bucket"
path = "footage"
template = "{any}.mp4"
trigger-kind = "registered"
time-zone = "library"
subject = "unknown"

[record-type.footage.location.export]
purpose = "claim"
recipient = "Insurer"
ground = "Policy 12"
"""
ROWS_SCHEDULE = """
[store.bucket]
kind = "s3"
title = "Bucket"

[record-type.letters]
title = "Rows sent to the agency"
description = "People in the exports of the collection agency."
authority = { citation = "Policy 5-9" }
owner = "Circulation"
personal-data = ["cardnumber"]
trigger = "exported"
cutoff = "day"
minimum = "P30D"
maximum = "P90D"
disposition = "purge"
approval = "standing"
limits = { percent = 100 }
effective-from = 2020-01-01

[[record-type.letters.location]]
name = "rows"
store = "bucket"
path = "letters"
template = "{any}.csv"
trigger-kind = "date"
time-zone = "library"
subject = "cardnumber"

[record-type.letters.location.rows]
key = ["cardnumber"]
trigger-column = "sent"
"""


def measure(scale: Scale) -> Findings:
    size, rows = scale.of(WHOLE), scale.of(ROWS)
    found = Findings(
        bench="objects", title=f"An object of {size / 2**30:.2f} GiB put in parts, and one row out of a CSV object of {rows / 1e6:,.0f} MB, LocalStack",
        sizes={"whole": size, "part": scale.of(PART), "rows": rows, "holds": 1},
    )  # fmt: skip
    found.versions = {"boto3": boto3.__version__, "localstack": "4.8.1"}
    limit = Goal(value=300, at_least=False, of_ours=True)
    known = found.measure(
        "known: registered, read to its end with SHA-256",
        "MB/s",
        "boto3: download_file, then SHA-256 of the file",
    )
    held = found.measure("held: the store's own lock put on", "s")
    gone = found.measure("destroyed, read back and certified, once released", "s")
    peak = found.measure("peak of the process, large object", "MB", goal=limit)
    run = found.measure(
        "one row, whole run",
        "MB/s",
        "boto3: download_file, grep -v, upload_file, delete the old version",
        Goal(value=0.5),
    )
    alone = found.measure("one row, destroying and certificate alone", "MB/s", "the same", Goal(value=0.5))
    row_peak = found.measure("peak of the process, one row", "MB", goal=limit)
    with localstack() as url:
        for pair in range(scale.pairs):
            with bucket(url) as client:
                put_in_parts(client, size, scale.of(PART))
                theirs = downloaded(client, scale.folder / "peer")
                done = apart("whole", url, scale.folder / f"whole-{pair}")
                if left(client):
                    raise AssertionError(f"something is left of the large object: {left(client)}")
                known.add(size / 1e6 / done["knowing"], size / 1e6 / theirs)
                held.add(done["holding"])
                gone.add(done["destroying"])
                peak.add(done["peak"])
            with bucket(url) as client:
                path = scale.folder / "rows.csv"
                write_rows(path, rows)
                client.upload_file(str(path), BUCKET, CSV)
                done = apart("row", url, scale.folder / f"row-{pair}")
                only = client.get_object(Bucket=BUCKET, Key=CSV)
                ours = sha256(only["Body"])
                client.delete_object(Bucket=BUCKET, Key=CSV, VersionId=only["VersionId"])
                version = client.head_object(Bucket=BUCKET, Key=CSV)["VersionId"] if left(client) else ""
                if version:
                    raise AssertionError("an earlier version is left")
                client.upload_file(str(path), BUCKET, CSV)
                peer = timed(lambda: filtered(client, scale.folder / "peer"))
                if ours != sha256(client.get_object(Bucket=BUCKET, Key=CSV)["Body"]):
                    raise AssertionError("the two sides wrote different objects")
                run.add(rows / 1e6 / done["seconds"], rows / 1e6 / peer)
                alone.add(rows / 1e6 / done["destroying"], rows / 1e6 / peer)
                row_peak.add(done["peak"])
                path.unlink()
    found.notes.append(
        "a hold in a bucket puts the store's own legal hold on the version and copies nothing; while it was on, a run destroyed nothing and the store refused to delete it"
    )
    found.notes.append(
        "ours reads a CSV object row by row at the survey and again at the batch, writes it anew, and reads the new version twice before and after the old one goes; the peer looks at nothing"
    )
    return found


def main(what: str, url: str, folder: str) -> None:
    """The measured process."""
    done = {"whole": _whole, "row": _row}[what](url, Path(folder))
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    print(json.dumps({**done, "peak": int(peak) * 1024 / 1e6}))


def _whole(url: str, folder: Path) -> dict[str, float]:
    ahead = [timedelta(days=15)]
    with site(folder, SCHEDULE, {"bucket": settings(url)}, now=lambda: datetime.now(UTC) + ahead[0]) as made:
        knowing = timed(lambda: sight_exports(made, made.schedule.record_types))
        (export,) = made.ledger.exports.list()
        ahead[0] += timedelta(days=20)
        holding = timed(lambda: place_holds(made, [Scope(record_types=frozenset({"footage"}))]))
        _refused(url)
        try:
            carry_out(made)
        except AssertionError as error:
            if "destroyed nothing" not in str(error):
                raise
        else:
            raise AssertionError("a held object was destroyed")
        ahead[0] += release_holds(made)
        done = carry_out(made)
    if done.destroyed != 1 or export.size < MIB:
        raise AssertionError(f"{done.destroyed} objects destroyed")
    return {"knowing": knowing, "holding": holding, "destroying": done.seconds}


def _refused(url: str) -> None:
    """That the store itself keeps what is held."""
    client = client_of(url)
    version = client.head_object(Bucket=BUCKET, Key=KEY)["VersionId"]
    try:
        client.delete_object(Bucket=BUCKET, Key=KEY, VersionId=version)
    except ClientError as error:
        if error.response["Error"]["Code"] == "AccessDenied":
            return
    raise AssertionError("the store did not refuse to delete a held version")


def _row(url: str, folder: Path) -> dict[str, float]:
    with site(folder, ROWS_SCHEDULE, {"bucket": settings(url)}) as made:
        done = carry_out(made)
    if done.destroyed != 1:
        raise AssertionError(f"{done.destroyed} rows destroyed")
    return {"seconds": done.seconds, "destroying": done.destroying}


def apart(what: str, url: str, folder: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.objects", what, url, str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def settings(url: str) -> StoreSettings:
    return StoreSettings(
        bucket=BUCKET, endpoint=url, region="us-east-1", addressing="path", access_key=SecretStr("test"), secret_key=SecretStr("test"),
    )  # fmt: skip


def client_of(url: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test",  # noqa: S106  # no secret: a stand-in takes any
        config=Config(s3={"addressing_style": "path"}, read_timeout=600),
    )  # fmt: skip


@contextmanager
def bucket(url: str) -> Iterator[Any]:
    """A fresh bucket with Object Lock, removed with all that is left in it."""
    client = client_of(url)
    client.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    yield client
    for key, version in left(client):
        client.delete_object(Bucket=BUCKET, Key=key, VersionId=version)
    client.delete_bucket(Bucket=BUCKET)


def left(client: Any) -> list[tuple[str, str]]:
    listed = client.list_object_versions(Bucket=BUCKET)
    return [
        (one["Key"], one["VersionId"])
        for kind in ("Versions", "DeleteMarkers")
        for one in listed.get(kind, ())
    ]


class Stream(io.RawIOBase):
    """So many bytes that do not repeat within a part, made as they are asked for."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._block = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(MIB // 32))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        given = min(len(buffer), self._left, len(self._block))
        buffer[:given] = self._block[:given]
        self._left -= given
        return given


def put_in_parts(client: Any, size: int, part: int) -> None:
    config = TransferConfig(multipart_threshold=part, multipart_chunksize=part, max_concurrency=2)
    client.upload_fileobj(io.BufferedReader(Stream(size), MIB), BUCKET, KEY, Config=config)
    head = client.head_object(Bucket=BUCKET, Key=KEY)
    if head["ContentLength"] != size or "-" not in head["ETag"]:
        raise AssertionError("the object was not put in parts")


def downloaded(client: Any, path: Path) -> float:
    """Seconds of downloading the large object as boto3 does, and hashing the file."""

    def work() -> None:
        client.download_file(BUCKET, KEY, str(path))
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")

    seconds = timed(work)
    path.unlink()
    return seconds


def write_rows(path: Path, size: int) -> None:
    """A CSV of that many bytes in which one row is a year old."""
    day, old = datetime.now(UTC).date(), datetime.now(UTC).date() - timedelta(days=365)
    with path.open("w", encoding="ascii") as file:
        written = file.write("cardnumber,surname,street,sent\n")
        number = 0
        while written < size:
            block = [
                f"{21235000000000 + one},Example {one % 977},{one % 90} Prairie Creek Road,{day}\n"
                for one in range(number, number + 10_000)
            ]
            if number == 0:
                block.insert(5_000, f"{CARD},Abel,1 Prairie Creek Road,{old}\n")
            number += 10_000
            written += file.write("".join(block))


def filtered(client: Any, path: Path) -> None:
    """What a person would do by hand."""
    version = client.head_object(Bucket=BUCKET, Key=CSV)["VersionId"]
    client.download_file(BUCKET, CSV, str(path))
    new = path.with_suffix(".new")
    with new.open("wb") as target:
        subprocess.run(["grep", "-v", f"^{CARD},", str(path)], check=True, stdout=target)
    client.upload_file(str(new), BUCKET, CSV)
    client.delete_object(Bucket=BUCKET, Key=CSV, VersionId=version)
    path.unlink()
    new.unlink()


def sha256(body: Any) -> str:
    digest = hashlib.sha256()
    for block in body.iter_chunks(MIB):
        digest.update(block)
    return digest.hexdigest()


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    main(*sys.argv[1:])
