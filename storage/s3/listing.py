"""What is in the bucket: versions, delete markers and unfinished uploads, page by page, or at certain keys only.

Servers list in the order of keys as UTF-8, which is that of code points; one that does not is noticed and not worked with, since
a key that is looked for would seem absent. Listing while deleting skips entries on many servers (103 of 107, measured): callers
end a listing before they begin to delete.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import wait
from typing import NamedTuple
from urllib.parse import unquote_plus

from retention.errors import StoreUnavailable
from storage.s3.failures import answered
from storage.s3.reading import rows, unreadable
from storage.s3.wire import Wire

PAGE = 1000
"""The most entries that S3 gives in one answer."""
_SMALLEST = 32
LONGEST_KEY = 1024
"""Bytes."""

VERSION, MARKER, UPLOAD = "V", "M", "U"


class Entry(NamedTuple):
    """One version, delete marker or unfinished upload. ``version``: its id (``null`` without versioning), or the upload's.

    ``modified``: as the store wrote it (ISO 8601, UTC). ``latest``: what a reader who names no version gets.
    """

    key: str
    kind: str
    version: str
    modified: str
    size: int
    etag: str
    latest: bool

    @property
    def token(self) -> str:
        """What makes it the surveyed one. An id of a version is never given twice; ``null`` is what it holds."""
        if self.version == "null":
            return f"{self.kind}null {self.size} {self.etag} {self.modified}"
        return self.kind + self.version


class Page(NamedTuple):
    entries: list[Entry]
    following: tuple[str, str] | None
    """Key and version (or upload) after which the next page begins; ``None``: this is the last."""


Pages = Callable[[Wire, str, tuple[str, str], int], Page]
"""Prefix, marker and size of a page."""


def versions_page(wire: Wire, prefix: str, after: tuple[str, str], size: int) -> Page:
    """One page of versions and delete markers below a prefix."""
    parameters = {"Prefix": prefix, "MaxKeys": size, "EncodingType": "url"}
    if after[0]:
        parameters["KeyMarker"] = after[0]
    if after[1]:
        parameters["VersionIdMarker"] = after[1]
    answer = wire.get("list_object_versions", **parameters)
    if answer.status != 200:
        raise answered(answer.code)
    listed, about = rows(answer.body, "ListVersionsResult", ("Version", "DeleteMarker"))
    plain = _decoder(about)
    try:
        entries = [
            Entry(
                plain(row["Key"]), VERSION if name == "Version" else MARKER, row.get("VersionId") or "null", row["LastModified"],
                int(row.get("Size", 0)), row.get("ETag", ""), row.get("IsLatest") == "true",
            )
            for name, row in listed
        ]  # fmt: skip
    except (KeyError, ValueError):
        raise unreadable() from None
    return _page(about, entries, after, "NextVersionIdMarker")


def uploads_page(wire: Wire, prefix: str, after: tuple[str, str], size: int) -> Page:
    """One page of unfinished uploads below a prefix. Some servers ignore the prefix."""
    parameters = {"Prefix": prefix, "MaxUploads": size, "EncodingType": "url"}
    if after[0]:
        parameters["KeyMarker"] = after[0]
    if after[1]:
        parameters["UploadIdMarker"] = after[1]
    answer = wire.get("list_multipart_uploads", **parameters)
    if answer.status != 200:
        raise answered(answer.code)
    listed, about = rows(answer.body, "ListMultipartUploadsResult", ("Upload",))
    plain = _decoder(about)
    try:
        entries = [
            Entry(plain(row["Key"]), UPLOAD, row["UploadId"], row["Initiated"], 0, "", False)
            for _, row in listed
        ]
    except KeyError:
        raise unreadable() from None
    page = _page(about, entries, after, "NextUploadIdMarker")
    return page._replace(entries=[entry for entry in page.entries if entry.key.startswith(prefix)])


def walk(wire: Wire, prefix: str) -> Iterator[list[Entry]]:
    """Everything below a prefix, a page at a time. Raises `StoreUnavailable`."""
    for pages in (versions_page, uploads_page):
        after: tuple[str, str] | None = ("", "")
        while after is not None:
            entries, after = pages(wire, prefix, after, PAGE)
            yield entries


def at(wire: Wire, keys: Sequence[str], expected: int) -> dict[str, list[Entry]]:
    """Everything at these keys. Nothing at a key is an empty list. Raises `StoreUnavailable`.

    ``expected``: about how many entries there may be, so that no page is read in vain.

    One pass over the stretch of the bucket in which they lie, leaping over what lies between: neighbours cost one request per
    thousand entries, a key far from the others one request. Where the server cannot leap, keys far from the others cost one each.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    prefix = os.path.commonprefix([wanted[0], wanted[-1]])  # noqa: RUF071  # of texts, not of paths
    leaping = len(wanted) > 1 and _leaps(wire, prefix)

    def looked(pages: Pages, likely: int) -> dict[str, dict[tuple[str, str], Entry]]:
        found: dict[str, dict[tuple[str, str], Entry]] = {key: {} for key in keys}
        look = _Pass(wire, pages, found, likely)
        for key in look.over(prefix, wanted, leaping=leaping):
            look.over(key, [key], leaping=False)
        return found

    uploads = wire.beside(lambda: looked(uploads_page, 0))
    try:
        versions = looked(versions_page, expected)
    finally:
        wait([uploads])  # nothing is asked any more when this returns
    begun = uploads.result()
    return {key: [*entries.values(), *begun[key].values()] for key, entries in versions.items()}


class _Pass:
    """Fills in what one kind of listing says of the keys in ``found``."""

    def __init__(
        self, wire: Wire, pages: Pages, found: dict[str, dict[tuple[str, str], Entry]], expected: int
    ) -> None:
        self._wire = wire
        self._pages = pages
        self._found = found
        self._left = expected

    def over(self, prefix: str, wanted: Sequence[str], *, leaping: bool) -> Sequence[str]:
        """One pass over wanted keys, in order, all of which begin with the prefix. Gives those that it did not reach."""
        reached, size = 0, _bounded(self._left + 1)  # one more, to see where the last key ends
        # What begins with the prefix begins at it: only a key in the middle of others needs a leap.
        after: tuple[str, str] | None = (
            _just_before(wanted[0]) if leaping and wanted[0] != prefix else "",
            "",
        )
        while after is not None and reached < len(wanted):
            entries, after = self._pages(self._wire, prefix, after, size)
            hits = 0
            for entry in entries:
                here = self._found.get(entry.key)
                if here is not None:
                    here[entry.kind, entry.version] = entry
                    hits += 1
            if after is None:
                break
            while reached < len(wanted) and wanted[reached] < after[0]:
                reached += 1
            if reached < len(wanted) and wanted[reached] > after[0]:
                if leaping:
                    after = max(after[0], _just_before(wanted[reached])), ""
                elif not hits and len(wanted) > 1:
                    return wanted[reached:]
            size = self._next(size, hits, dense=hits == len(entries))
        return ()

    def _next(self, size: int, hits: int, *, dense: bool) -> int:
        """The size of the next page: no more than what is left to come, small where little was wanted of the last one."""
        before, self._left = self._left, self._left - hits
        if self._left > 0:
            return _bounded(min(self._left + 1, 2 * hits))
        return _bounded(2 * size) if dense and before <= 0 else _SMALLEST


def _bounded(size: int) -> int:
    return min(PAGE, max(_SMALLEST, size))


def _leaps(wire: Wire, prefix: str) -> bool:
    """Whether the server begins a listing right after a text that is no key of it. Some skip an entry; asked once per store."""
    if wire.leaps is None:
        first = versions_page(wire, prefix, ("", ""), 1).entries
        if not first:
            return True  # nothing here to skip; ask again when there is
        again = versions_page(wire, prefix, (_just_before(first[0].key), ""), 1).entries
        wire.leaps = bool(again) and again[0][:3] == first[0][:3]
    return wire.leaps


def _just_before(key: str) -> str:
    """A text that sorts before ``key`` with hardly anything between. Listings begin after a text, never at it."""
    point = ord(key[-1])
    if point <= 1:
        return key[:-1]
    lower = 0xD7FF if point == 0xE000 else point - 1
    near = key[:-1] + chr(lower)
    return near if len(near.encode()) > LONGEST_KEY - 4 else near + "\U0010fffd"


def _decoder(about: Mapping[str, str]) -> Callable[[str], str]:
    """How keys are written in this answer. Bytes that are not UTF-8 become what `Entry` users can tell (lone surrogates)."""
    if about.get("EncodingType") != "url":
        return str
    return lambda text: unquote_plus(text, errors="surrogateescape") if "%" in text or "+" in text else text


def _page(
    about: Mapping[str, str], entries: list[Entry], after: tuple[str, str], marker: str
) -> Page:  # fmt: skip
    truncated = about.get("IsTruncated") == "true"
    last = {VERSION: after[0], MARKER: after[0], UPLOAD: after[0] if truncated else ""}
    for entry in entries:
        if entry.key < last[entry.kind] and (entry.kind != UPLOAD or truncated):
            raise StoreUnavailable(
                "the store does not list keys in their order",
                "it cannot be worked with: report its make and version",
            )
        last[entry.kind] = entry.key
    if not truncated:
        return Page(entries, None)
    # The last key that was read is where the answer's own marker is, and some servers encode that one in a way of their own.
    following = max((entry.key for entry in entries), default=""), about.get(marker, "")
    if not all(following) or following[0] < after[0] or following == after:
        raise StoreUnavailable(
            "the store's listing does not come to its end",
            "it cannot be worked with: report its make and version",
        )
    return Page(entries, following)
