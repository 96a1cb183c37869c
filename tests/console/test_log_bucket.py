"""The transparency log in a bucket, on the whole way: run, show, verify, prove, consistency, hand over."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from console.web.desk import open_desk
from flows.buckets import log_place
from flows.settings import load_settings
from tests.console.library import Library
from tests.storage.s3.buckets import ACCESS, SECRET, Bucket
from tests.web.house import Hands, House, listening, served


@pytest.fixture(params=["moto", "localstack"])
def bucket(request: pytest.FixtureRequest, library: Library, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The library's log is in this bucket."""
    made = Bucket(request.getfixturevalue(f"{request.param}_endpoint"), prefix="evidence/")
    monkeypatch.setenv("RETENTION_LOG_URL", f"s3://{made.name}/evidence")
    values = {
        "ENDPOINT": made.endpoint,
        "REGION": "us-east-1",
        "ADDRESSING": "path",
        "ACCESS_KEY": ACCESS,
        "SECRET_KEY": SECRET,
    }
    for name, value in values.items():
        monkeypatch.setenv(f"RETENTION_LOG_S3__{name}", value)
    return made


def copied(bucket: Bucket, folder: Path) -> Path:
    """A copy of the log as anybody makes it who may read the bucket."""
    for page in bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name):
        for one in page["Contents"]:
            path = folder / str(one["Key"]).removeprefix(bucket.prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bucket.client.get_object(Bucket=bucket.name, Key=one["Key"])["Body"].read())
    return folder


@contextmanager
def pages(library: Library) -> Iterator[httpx.Client]:
    """The library's pages, wired as `retention serve console` does, with ada signed in."""
    settings = load_settings()
    with listening() as sock:
        desk = open_desk(
            ledger_url=settings.ledger, state=settings.state_dir, policies=settings.policies, log=log_place(settings),
            evidence=settings.evidence, origin=f"http://localhost:{sock.getsockname()[1]}", now=Hands(), grace_days=7,
        )  # fmt: skip
        house = House(desk=desk, clock=Hands())
        with served(desk, sock), house.client("ada") as client:
            yield client
        desk.ledger.close()


def test_a_case_is_certified_into_the_bucket_and_an_outsider_verifies_it(
    library: Library, bucket: Bucket, tmp_path: Path
) -> None:
    library.done("run", "--execute", "--record-type", "past-checkouts")
    shown = library.done("log", "show", "--json").json
    assert shown["place"] == f"s3://{bucket.name}/evidence/"
    assert shown["entries"] == shown["published"] == 4
    folder = library.root / "state" / "evidence" / "log"
    assert (folder / "checkpoint").read_text().splitlines()[1] == "1", "as it was before the bucket was set"
    assert library.done("log", "verify", "--json").json["kinds"]["certificate-of-destruction"] == 1
    (found,) = library.done("certificate", "list", "--json").json["certificates"]
    handed = tmp_path / "handed"
    library.done("certificate", "bundle", found["id"], "--to", handed)
    library.done("certificate", "verify", handed)
    log = copied(bucket, tmp_path / "copy")
    key = library.root / "state" / "evidence" / "retention.pub"
    assert library.done("log", "verify", log, "--key", key, "--json").json["root"] == shown["root"]
    url = f"s3://{bucket.name}/evidence"
    assert library.done("log", "verify", url, "--key", key, "--json").json["root"] == shown["root"]
    for place in (log, url):
        said = library.done("certificate", "verify", found["path"], "--log", place, "--json")
        assert [one["result"] for one in said.json["certificates"][0]["steps"]][7:9] == ["passed", "passed"]
    proof = tmp_path / "one.tlog-proof"
    library.done("log", "prove", found["id"], "--to", proof)
    assert proof.read_bytes().startswith(b"c2sp.org/tlog-proof@v1\n")
    old = tmp_path / "old"
    shutil.copy(log / "checkpoint", old)
    library.done("run", "--execute", "--record-type", "camera-footage")
    library.add_people("ada")
    with pages(library) as client:
        steps = client.get(f"/certificates/{found['id']}.json").json()["verification"]["steps"]
        assert [one["result"] for one in steps][7:9] == ["passed", "passed"], (
            "a page verifies against the bucket too"
        )
    for where in ((), ("--log", url, "--key", key)):
        assert library.done("log", "consistency", old, *where, "--json").json["old"] == 4
    assert library.done("log", "verify", "--checkpoint", old, "--json").json["continues"] == [4]


def test_what_is_torn_in_the_bucket_is_named_and_repaired(library: Library, bucket: Bucket) -> None:
    library.done("run", "--execute", "--record-type", "past-checkouts")
    bucket.put("tile/entries/000.p/4", b"torn")
    said = library("log", "verify")
    assert said.code == 6
    assert library.done("log", "verify", "--repair", "--json").json["repaired"] is True
    library.done("log", "verify")


def test_without_the_bucket_nothing_is_destroyed(library: Library, bucket: Bucket) -> None:
    before = library.done("explain", "past-checkouts", "2").out
    bucket.drop()
    said = library("run", "--execute", "--record-type", "past-checkouts")
    assert said.code == 7
    assert "the log's bucket: the bucket does not exist" in said.err
    assert library.done("explain", "past-checkouts", "2").out == before
    assert library.done("certificate", "list", "--json").json["certificates"] == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("RETENTION_LOG_URL", "http://bucket/log", "RETENTION_LOG_URL"),
        ("RETENTION_LOG_URL", "s3://", "RETENTION_LOG_URL"),
        ("RETENTION_LOG_DIR", "elsewhere", "two places"),
        ("RETENTION_LOG_S3__ACCESS_KEY", "only-one", "half of its credentials"),
        ("RETENTION_LOG_S3__ENDPOINT", "zqcanary", "RETENTION_LOG_S3__ENDPOINT"),
    ],
)
def test_settings_of_the_bucket_that_are_wrong_are_named(
    library: Library, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv("RETENTION_LOG_URL", "s3://bucket/log")
    monkeypatch.setenv(name, value)
    said = library("log", "show")
    assert said.code == 2
    assert told in said.err
    assert "zqcanary" not in said.out + said.err


def test_a_log_in_a_bucket_is_read_as_the_settings_reach_it_or_not_at_all(
    library: Library, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.done("run", "--execute", "--record-type", "past-checkouts")
    (found,) = library.done("certificate", "list", "--json").json["certificates"]
    verify = ("certificate", "verify", found["path"], "--log")
    url = f"s3://{bucket.name}/evidence"
    library.done(*verify, url)
    said = library(*verify, f"s3://{bucket.name}/elsewhere")
    assert (said.code, "step 8" in said.out) == (6, True)
    assert "no keys beside it" in library("log", "verify", url).err
    assert "write s3://BUCKET/PREFIX" in library(*verify, "s3://").err
    assert "no such folder" in library(*verify, "elsewhere").err
    bucket.put("tile/entries/000.p/4", b"torn")
    key = library.state / "evidence" / "retention.pub"
    assert library("log", "verify", url, "--key", key).code == 6
    monkeypatch.delenv("RETENTION_LOG_URL")
    library.done(*verify, url)
    for name in ("ENDPOINT", "REGION", "ADDRESSING", "ACCESS_KEY", "SECRET_KEY"):
        monkeypatch.delenv(f"RETENTION_LOG_S3__{name}")
    said = library(*verify, url)
    assert said.code == 2
    assert "RETENTION_LOG_S3__REGION" in said.err
    monkeypatch.setenv("RETENTION_LOG_URL", url)
    monkeypatch.setenv("RETENTION_LOG_S3__ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("RETENTION_LOG_S3__ACCESS_KEY", "a")
    monkeypatch.setenv("RETENTION_LOG_S3__SECRET_KEY", "b")
    said = library(*verify, url)
    assert said.code == 7
    assert "the log's bucket" in said.err
