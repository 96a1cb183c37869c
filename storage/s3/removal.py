"""Deleting what was chosen: in an order that never shows a deleted object again, in batches, with each answer heard.

Unfinished uploads first (one that is completed meanwhile would become a version), then versions that are not current, then the
current ones, delete markers last: without its marker an older version would be an object again. An item of which something was
refused is not touched any further.

A batch of a thousand is answered with 200 even where single keys failed. Those that the store was too busy for are asked for
again; the rest is not deleted. A version that is no longer there counts as deleted. Keys with characters that XML cannot carry
would make the whole batch fail: they go one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xml.etree import ElementTree

from retention.errors import StoreUnavailable
from storage.s3.failures import BUSY, answered
from storage.s3.listing import MARKER, UPLOAD, Entry
from storage.s3.wire import TRIES, Wire, pause

BATCH = 1000
"""The most that S3 deletes in one request."""
_GONE = frozenset({"NoSuchVersion", "NoSuchKey", "NoSuchUpload"})
_FATAL = frozenset({
    "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket", "InvalidToken",
    "RequestTimeTooSkewed", "TokenRefreshRequired",
})  # fmt: skip
"""Answers about us or the bucket, not about the object: everything after them would be answered the same."""
_NOT_IN_XML = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
"""Wider than XML's own list: carriage returns and the like come back as something else."""

PHASES: tuple[Callable[[Entry], bool], ...] = (
    lambda entry: entry.kind == UPLOAD,
    lambda entry: entry.kind not in (UPLOAD, MARKER) and not entry.latest,
    lambda entry: entry.kind not in (UPLOAD, MARKER) and entry.latest,
    lambda entry: entry.kind == MARKER,
)


class Removal:
    """Deletes items by the entries that were seen of them. ``pool``: how many requests run side by side."""

    def __init__(self, wire: Wire, pool: ThreadPoolExecutor) -> None:
        self._wire = wire
        self._pool = pool

    def remove(self, items: Sequence[Sequence[Entry]]) -> set[int]:
        """Delete them all. Gives the indexes of those of which every entry was answered for as deleted.

        Raises `StoreUnavailable` when the store stops answering: what was deleted until then is not known.
        """
        spoilt: set[int] = set()
        for belongs in PHASES:
            wanted = [
                (index, entry)
                for index, entries in enumerate(items)
                if index not in spoilt
                for entry in entries
                if belongs(entry)
            ]
            if wanted:
                spoilt |= self._phase(wanted)
        return set(range(len(items))) - spoilt

    def _phase(self, wanted: Sequence[tuple[int, Entry]]) -> set[int]:
        together: list[tuple[int, Entry]] = []
        alone: list[tuple[int, Entry]] = []
        for pair in wanted:
            fits = pair[1].kind != UPLOAD and not _NOT_IN_XML.search(pair[1].key)
            (together if fits else alone).append(pair)
        jobs: list[tuple[Callable[..., set[int]], Any]] = [
            (self._batch, together[at : at + BATCH]) for at in range(0, len(together), BATCH)
        ]
        jobs += [(self._one, pair) for pair in alone]
        if len(jobs) == 1:
            work, given = jobs[0]
            return work(given)
        running = [self._pool.submit(work, given) for work, given in jobs]
        spoilt: set[int] = set()
        trouble: StoreUnavailable | None = None
        for future in running:  # all of them: nothing may still be on its way when the gate opens
            try:
                spoilt |= future.result()
            except StoreUnavailable as error:
                trouble = error
        if trouble is not None:
            raise trouble
        return spoilt

    def _batch(self, wanted: Sequence[tuple[int, Entry]]) -> set[int]:
        """One request, and more for what the store was too busy for. Gives the indexes of what was refused."""
        refused: set[int] = set()
        left = wanted
        for attempt in range(TRIES):
            pause(attempt)
            answer = self._wire.delete((entry.key, entry.version) for _, entry in left)
            if answer.status != 200:
                if answer.code == "AccessDenied":
                    return refused | {index for index, _ in left}
                raise answered(answer.code)
            again, denied = _sorted_out(left, answer.xml())
            refused |= denied
            if not again:
                return refused
            left = again
        raise answered("SlowDown")

    def _one(self, wanted: tuple[int, Entry]) -> set[int]:
        index, entry = wanted
        if entry.kind == UPLOAD:
            answer = self._wire.ask("abort_multipart_upload", Key=entry.key, UploadId=entry.version)
        else:
            answer = self._wire.ask("delete_object", Key=entry.key, VersionId=entry.version)
        if not isinstance(answer, str) or answer in _GONE:
            return set()
        if answer in _FATAL or answer in BUSY:
            raise answered(answer)
        return {index}


def _sorted_out(
    asked: Sequence[tuple[int, Entry]], answer: ElementTree.Element
) -> tuple[list[tuple[int, Entry]], set[int]]:
    """What to ask for again, and the indexes of what was refused. Some servers leave out the version: then all of the key."""
    if answer.tag != "DeleteResult":
        raise answered(answer.findtext("Code") or "")
    codes = {
        (error.findtext("Key") or "", error.findtext("VersionId") or ""): error.findtext("Code") or ""
        for error in answer.iter("Error")
    }
    again: list[tuple[int, Entry]] = []
    refused: set[int] = set()
    heard: set[tuple[str, str]] = set()
    for index, entry in asked if codes else ():
        for name in ((entry.key, entry.version), (entry.key, "")):
            code = codes.get(name)
            if code is None:
                continue
            heard.add(name)
            if code in _FATAL:
                raise answered(code)
            if code in BUSY:
                again.append((index, entry))
            elif code not in _GONE:
                refused.add(index)
            break
    if len(heard) != len(codes):
        raise StoreUnavailable(
            "the store answered for objects that it was not asked about", "it cannot be worked with: report its make and version"
        )  # fmt: skip
    return again, refused
