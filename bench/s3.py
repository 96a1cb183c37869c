"""A bucket of versions, beside a plain boto3 program that lists them and deletes them in a pool of eight requests of a thousand."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from pydantic import SecretStr

from bench.bucket import BUCKET, KEY_SECONDS, REQUEST_SECONDS, filled, key_of, version_of
from bench.report import Findings, Goal
from bench.site import Round, carry_out, on_subjects, place_holds, site
from bench.sizes import Scale
from flows.settings import StoreSettings
from storage.s3.listing import walk
from storage.s3.wire import Address, Wire

VERSIONS = {"full": 50_000, "small": 5_000, "tiny": 500}
ONE_BY_ONE = {"full": 600, "small": 200, "tiny": 20}
POOL = 8
BATCH = 1000

SCHEDULE = """
[store.bucket]
kind = "s3"
title = "Bucket"

[record-type.exports]
title = "Exports"
description = "Files exported to vendors."
authority = { citation = "Policy 5-9" }
owner = "Information Technology"
personal-data = ["patron"]
trigger = "uploaded"
cutoff = "day"
minimum = "P14D"
maximum = "P90D"
disposition = "purge"
approval = "standing"
limits = { percent = 100 }
effective-from = 2020-01-01

[[record-type.exports.location]]
name = "exports"
store = "bucket"
path = "exports"
template = "{any}/{any}.csv"
trigger-kind = "modified"
time-zone = "library"
subject = "none"
"""


def measure(scale: Scale) -> Findings:
    count, few = scale.of(VERSIONS), scale.of(ONE_BY_ONE)
    found = Findings(
        bench="s3", title=f"{count:,} versions in a bucket, {REQUEST_SECONDS * 1000:.0f} ms a request and {KEY_SECONDS * 1e6:.0f} µs a deleted key",
        sizes={"versions": count, "one_by_one": few, "holds": 5},
    )  # fmt: skip
    found.versions = {"boto3": boto3.__version__}
    whole = found.measure("whole run", "versions/s", "boto3: list, then a pool of 8", Goal(value=0.9))
    alone = found.measure(
        "destroying and certificate alone",
        "versions/s",
        "boto3: a pool of 8, versions known",
        Goal(value=0.9),
    )
    slow = found.measure("whole run", "versions/s", "boto3: delete_object, one by one, versions known")
    listing = found.measure(
        "processor time of listing", "µs/version", "boto3's paginator", Goal(value=0.2, at_least=False)
    )
    for pair in range(scale.pairs):
        with filled(count) as url:
            client = client_of(url)
            began = time.monotonic()
            pooled(client, listed(client))
            both = time.monotonic() - began
        with filled(count) as url:
            began = time.monotonic()
            pooled(client_of(url), [(key_of(number), version_of(number)) for number in range(count)])
            deleting = time.monotonic() - began
        with filled(count) as url:
            done = ours(scale, f"site-{pair}", url, count)
        with filled(few) as url:
            began = time.monotonic()
            client = client_of(url)
            for number in range(few):
                client.delete_object(Bucket=BUCKET, Key=key_of(number), VersionId=version_of(number))
            single = time.monotonic() - began
        with filled(count) as url:
            client, wire = client_of(url), Wire(address(url))
            assert wire.client is not None  # made before the clock runs, as boto3's own
            theirs = processor_time(partial(listed, client))
            mine = processor_time(partial(walked, wire))
            wire.close()
        whole.add(done.rate, count / both)
        alone.add(done.destroyed / done.destroying, count / deleting)
        slow.add(done.rate, few / single)
        listing.add(mine / count * 1e6, theirs / count * 1e6)
    found.notes.append(
        "the server is a stand-in on this machine; ours lists every key three times, before, at its batch and after"
    )
    return found


def ours(scale: Scale, name: str, url: str, count: int) -> Round:
    settings = StoreSettings(
        bucket=BUCKET, endpoint=url, region="us-east-1", addressing="path", access_key=SecretStr("bench"), secret_key=SecretStr("bench"),
    )  # fmt: skip
    with site(scale.folder / name, SCHEDULE, {"bucket": settings}) as made:
        place_holds(made, on_subjects(range(10)))
        done = carry_out(made)
    left = len(listed(client_of(url)))
    if done.destroyed != count or left:
        raise AssertionError(f"{done.destroyed} of {count} versions destroyed, {left} left")
    return done


def address(url: str) -> Address:
    return Address(
        bucket=BUCKET, endpoint=url, region="us-east-1", addressing="path", access_key="bench", secret_key="bench",  # noqa: S106  # no secret: a stand-in takes any
    )  # fmt: skip


def client_of(url: str) -> Any:
    config = Config(max_pool_connections=2 * POOL, s3={"addressing_style": "path"})
    return boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="bench", aws_secret_access_key="bench", config=config,  # noqa: S106  # no secret: a stand-in takes any
    )  # fmt: skip


def listed(client: Any) -> list[tuple[str, str]]:
    pages = client.get_paginator("list_object_versions").paginate(Bucket=BUCKET)
    return [(one["Key"], one["VersionId"]) for page in pages for one in page.get("Versions", ())]


def walked(wire: Wire) -> int:
    return sum(map(len, walk(wire, "")))


def pooled(client: Any, versions: list[tuple[str, str]]) -> None:
    def delete(part: list[tuple[str, str]]) -> None:
        objects = [{"Key": key, "VersionId": version} for key, version in part]
        client.delete_objects(Bucket=BUCKET, Delete={"Objects": objects, "Quiet": True})

    parts = [versions[at : at + BATCH] for at in range(0, len(versions), BATCH)]
    with ThreadPoolExecutor(POOL) as pool:
        list(pool.map(delete, parts))


def processor_time(work: Callable[[], object]) -> float:
    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    work()
    return spent() - before
