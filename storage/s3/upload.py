"""Writing the next version of an object, part by part: nothing of it is to be seen before it is whole, and little of it is in memory."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from storage.rows.form import Unreadable
from storage.s3.failures import answered
from storage.s3.listing import Entry
from storage.s3.rewritten import Rewritten
from storage.s3.wire import Wire

PART = 16 << 20
"""Bytes. What is shorter is put with one request."""
MOST_PARTS = 10_000
_KEPT = (
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Metadata", "StorageClass",
    "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "WebsiteRedirectLocation",
)  # fmt: skip
_ENCRYPTED = "it is encrypted with a key that the store does not have"


class Upload(io.RawIOBase):
    """Write to it, then `finish` it or `discard` it. ``like``: how the object is kept, as `kept_as` gives it."""

    def __init__(self, wire: Wire, key: str, like: Mapping[str, Any], rewritten: Rewritten) -> None:
        self._wire = wire
        self._key = key
        self._like = like
        self._rewritten = rewritten
        self._waiting = bytearray()
        self._length = 0
        self._id = ""
        self._parts: list[dict[str, Any]] = []

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._length

    def write(self, data: Any, /) -> int:
        """Raises `StoreUnavailable`, `Unreadable` beyond what a store takes."""
        view = memoryview(data).cast("B")
        self._waiting += view
        self._length += len(view)
        while len(self._waiting) > PART:
            self._send(PART)
        return len(view)

    def finish(self) -> str:
        """The id of the new version. Raises `StoreUnavailable`: then whether there is one is not known."""
        if not self._id:
            body = bytes(self._waiting)
            done = self._wire.call(
                "put_object", Key=self._key, Body=body, ContentMD5=_md5(body), **self._like
            )
            return str(done.get("VersionId", "null"))
        self._send(len(self._waiting))
        done = self._wire.call(
            "complete_multipart_upload", Key=self._key, UploadId=self._id, MultipartUpload={"Parts": self._parts}
        )  # fmt: skip
        self._rewritten.end(self._key, self._id)
        return str(done.get("VersionId", "null"))

    def discard(self) -> None:
        """Leave nothing behind."""
        self._waiting.clear()
        if not self._id:
            return
        answer = self._wire.ask("abort_multipart_upload", Key=self._key, UploadId=self._id)
        if isinstance(answer, str) and answer not in ("NoSuchUpload", "404"):
            raise answered(answer)
        self._rewritten.end(self._key, self._id)
        self._id = ""

    def _send(self, length: int) -> None:
        if len(self._parts) == MOST_PARTS:
            raise Unreadable("it is too large to be written anew")
        if not self._id:
            self._id = str(
                self._wire.call("create_multipart_upload", Key=self._key, **self._like)["UploadId"]
            )
            self._rewritten.begin(self._key, self._id)
        number, body = len(self._parts) + 1, bytes(self._waiting[:length])
        del self._waiting[:length]
        done = self._wire.call(
            "upload_part", Key=self._key, UploadId=self._id, PartNumber=number, Body=body, ContentMD5=_md5(body)
        )  # fmt: skip
        self._parts.append({"PartNumber": number, "ETag": done["ETag"]})


def kept_as(wire: Wire, entry: Entry) -> dict[str, Any]:
    """How a version is kept: type, metadata, class, encryption, tags. Raises `Unreadable` where that cannot be asked for."""
    head = wire.ask("head_object", Key=entry.key, VersionId=entry.version)
    if isinstance(head, str):
        if head in ("400", "InvalidRequest"):
            raise Unreadable(_ENCRYPTED)
        if head in ("403", "AccessDenied", "404", "NoSuchVersion", "NoSuchKey"):
            raise Unreadable("the store lets it be listed but not read")
        raise answered(head)
    like = {name: head[name] for name in _KEPT if head.get(name)}
    tags = wire.ask("get_object_tagging", Key=entry.key, VersionId=entry.version)
    if isinstance(tags, str):
        raise Unreadable("its tags cannot be asked for (s3:GetObjectVersionTagging)")
    pairs = [(tag["Key"], tag["Value"]) for tag in tags.get("TagSet", ())]
    return {**like, "Tagging": urlencode(pairs)} if pairs else like


def _md5(body: bytes) -> str:
    """Required by AWS where the bucket locks what is new, and by older servers that know no newer checksum."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
