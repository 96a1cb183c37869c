"""Every prefix of a bucket, up to the last slash, that has keys directly in it, with their number: names of prefixes, never of objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from retention.coverage import Place
from storage.s3.items import shown
from storage.s3.listing import walk
from storage.s3.locks import CANARY
from storage.s3.wire import Wire


def inventory(wire: Wire) -> Iterator[Place]:
    """In order of their names. What is hidden behind a delete marker, or was never finished, is there too.

    Raises `StoreUnavailable`.
    """
    keys: Counter[str] = Counter()
    last = ""
    for entries in walk(wire, wire.address.prefix):
        for entry in entries:
            below = entry.key.removeprefix(wire.address.prefix)
            if entry.key != last and below and not below.startswith(CANARY):
                keys[below.rpartition("/")[0]] += 1
            last = entry.key
    for prefix, count in sorted(keys.items()):
        yield Place(kind="folder", names=(shown(prefix),), items=count)
