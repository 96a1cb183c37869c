"""The transparency log in a bucket: the same files under the same names, below a prefix.

The store writes an object whole or not at all, and shows it at once. One writer at a time is the ledger's turn (`storage.log`); beyond
that the checkpoint is replaced on the condition that it still is the one that was read, where the server knows conditional writes
(RFC 9110 §13.1): of two sites on one bucket, or a writer that lost its turn unawares, one is refused. Asks for listing, reading and
writing; where deleting is refused, parts of full tiles stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from retention.errors import StoreUnavailable, Unavailable, VerificationFailed
from retention.log_files import CHECKPOINT
from retention.note import MAX_BYTES
from storage.log_places import LogPlace
from storage.s3.failures import answered, told
from storage.s3.wire import Address, Wire

_MISSING = frozenset({"NoSuchKey", "404"})
_LOST = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_NO_CONDITIONS = frozenset({"NotImplemented", "501"})


class BucketPlace(LogPlace):
    """``address``: the bucket, and the prefix that all names get."""

    def __init__(self, address: Address) -> None:
        self._wire = Wire(address)

    @property
    def shown(self) -> str:
        return f"s3://{self._wire.bucket}/{self._wire.address.prefix}"

    def read(self, name: str, limit: int) -> bytes | None:
        with _ours():
            data, _ = self._get(name, limit)
        if data is not None and len(data) > limit:
            raise VerificationFailed(f"{name} of the log is too large")
        return data

    def names(self, below: str) -> list[str]:
        prefix, found = self._wire.address.prefix, list[str]()
        after: dict[str, str] = {}
        with _ours():
            while True:
                page = self._wire.ask("list_objects_v2", Prefix=f"{prefix}{below}/", **after)
                if isinstance(page, str):
                    raise answered(page)
                found += [str(one["Key"]).removeprefix(prefix) for one in page.get("Contents", ())]
                if not page.get("IsTruncated"):
                    return sorted(found)
                after = {"ContinuationToken": page["NextContinuationToken"]}

    def write(self, name: str, data: bytes) -> None:
        with _ours():
            code = self._put(name, data)
            if code:
                raise answered(code)

    def replace(self, name: str, data: bytes, before: bytes | None) -> None:
        with _ours():
            found, tag = self._get(name, MAX_BYTES)
            code = "412" if found != before else self._put(name, data, tag=tag, conditional=True)
            if (
                code in _LOST and self._get(name, MAX_BYTES)[0] != data
            ):  # ours, when the answer was lost and the write was not
                raise Unavailable(
                    f"somebody else wrote the {name} of the log meanwhile",
                    "run it again: the next run looks at both",
                )
            if code and code not in _LOST:
                raise answered(code)

    def drop(self, below: str) -> None:
        with suppress(Unavailable):
            keys = [{"Key": self._wire.address.prefix + name} for name in self.names(below)]
            if keys:
                with _ours():
                    self._wire.ask("delete_objects", Delete={"Objects": keys, "Quiet": True})

    def close(self) -> None:
        self._wire.close()

    def _get(self, name: str, limit: int) -> tuple[bytes | None, str]:
        """At most a byte more than ``limit``, and the tag to tell another version by."""
        got = self._wire.ask("get_object", Key=self._wire.address.prefix + name)
        if isinstance(got, str):
            if got in _MISSING:
                return None, ""
            raise answered(got)
        with told():
            body = got["Body"]
            try:
                return body.read(limit + 1), str(got["ETag"])
            finally:
                body.close()

    def _put(self, name: str, data: bytes, *, tag: str = "", conditional: bool = False) -> str:
        """The code of what went wrong, or nothing."""
        kind = "text/plain; charset=utf-8" if name.endswith(CHECKPOINT) else "application/octet-stream"
        what = {"Key": self._wire.address.prefix + name, "Body": data, "ContentType": kind}
        if conditional:
            condition = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
            done = self._wire.ask("put_object", **what, **condition)
            if not isinstance(done, str) or done not in _NO_CONDITIONS:
                return done if isinstance(done, str) else ""
        done = self._wire.ask("put_object", **what)
        return done if isinstance(done, str) else ""


@contextmanager
def _ours() -> Iterator[None]:
    """What went wrong at the bucket, as a trouble of the log."""
    try:
        yield
    except StoreUnavailable as error:
        raise Unavailable(
            f"the log's bucket: {error.message}",
            "see RETENTION_LOG_URL and RETENTION_LOG_S3; the ledger has the entries",
        ) from None
