"""A bucket of its own per test, and hands behind the store's back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import boto3
import urllib3
from botocore.config import Config

from storage.s3.wire import Address

ACCESS, SECRET = "test", "test"
UNSIGNED = f"AWS4-HMAC-SHA256 Credential={ACCESS}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@lru_cache(maxsize=4)
def client_of(endpoint: str) -> Any:
    """One client per server: making one takes longer than most tests."""
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=ACCESS, aws_secret_access_key=SECRET,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )  # fmt: skip


@lru_cache(maxsize=1)
def pool() -> urllib3.PoolManager:
    """Plain requests for what is done thousands of times: neither server looks at signatures."""
    return urllib3.PoolManager(maxsize=16, retries=False, headers={"Authorization": UNSIGNED})


class Bucket:
    """A bucket on a test server. ``versioned``: True, False, or ``"locked"``: with Object Lock as well."""

    def __init__(self, endpoint: str, *, versioned: bool | str = True, prefix: str = "") -> None:
        self.name = f"retention-{uuid.uuid4().hex[:12]}"
        self.endpoint = endpoint
        self.prefix = prefix
        self.versioned = bool(versioned)
        self.client = client_of(endpoint)
        locked = {"ObjectLockEnabledForBucket": True} if versioned == "locked" else {}
        self.client.create_bucket(Bucket=self.name, **locked)
        if versioned is True:
            self.version("Enabled")

    @property
    def address(self) -> Address:
        return Address(
            bucket=self.name, prefix=self.prefix, endpoint=self.endpoint, region="us-east-1", addressing="path",
            access_key=ACCESS, secret_key=SECRET,
        )  # fmt: skip

    def version(self, status: str) -> None:
        self.client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": status})

    def put(self, key: str, body: bytes = b"x", **more: object) -> str:
        """Upload an object; the id of its version."""
        if not more:
            answer = pool().request("PUT", self._url(key), body=body)
            assert answer.status == 200, answer.data
            return answer.headers.get("x-amz-version-id", "null")
        done: Mapping[str, Any] = self.client.put_object(
            Bucket=self.name, Key=self.prefix + key, Body=body, **more
        )
        return str(done.get("VersionId", "null"))

    def hide(self, key: str) -> str:
        """Delete as people do: a delete marker. Its id."""
        return str(
            self.client.delete_object(Bucket=self.name, Key=self.prefix + key).get("VersionId", "null")
        )

    def begin(self, key: str) -> str:
        """Begin an upload and leave it; its id."""
        begun: Mapping[str, Any] = self.client.create_multipart_upload(
            Bucket=self.name, Key=self.prefix + key
        )
        return str(begun["UploadId"])

    def everything(self, key: str | None = None) -> list[tuple[str, str]]:
        """Key (below the prefix) and id of every version, marker and upload, of one key or of all."""
        found: list[tuple[str, str]] = []
        narrowed = {"Prefix": self.prefix + (key or "")}
        for page in self.client.get_paginator("list_object_versions").paginate(Bucket=self.name, **narrowed):
            found += [
                (one["Key"], one["VersionId"]) for kind in ("Versions", "DeleteMarkers") for one in page.get(kind, ())
            ]  # fmt: skip
        uploads = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())
        found += [(one["Key"], one["UploadId"]) for one in uploads]
        below = [(one.removeprefix(self.prefix), id) for one, id in found if one.startswith(self.prefix)]
        return sorted(one for one in below if key is None or one[0] == key)

    def contents(self, key: str) -> list[bytes]:
        """What every version at a key holds, the newest first."""
        full = self.prefix + key
        listed = self.client.list_object_versions(Bucket=self.name, Prefix=full).get("Versions", ())
        return [
            self.client.get_object(Bucket=self.name, Key=full, VersionId=one["VersionId"])["Body"].read()
            for one in listed
            if one["Key"] == full
        ]

    def holds(self, key: str) -> bool:
        """Whether anything is at a key. Asked for the object first: a listing takes moto as long as the bucket is large."""
        if pool().request("HEAD", self._url(key)).status == 200:
            return True
        return bool(self.everything(key))

    def _url(self, key: str) -> str:
        return f"{self.endpoint}/{self.name}/{quote(self.prefix + key, safe='')}"

    def wipe(self, key: str | None = None) -> None:
        """Take away everything at a key, or everything, as somebody else would."""
        for name, id in self.everything(key):
            full = self.prefix + name
            self.client.delete_object(Bucket=self.name, Key=full, VersionId=id)

    def drop(self) -> None:
        """Remove the bucket with all that is in it."""
        self.wipe()
        self.client.delete_bucket(Bucket=self.name)
