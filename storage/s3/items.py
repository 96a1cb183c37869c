"""From what is at one key to the facts that are decided on.

An item is a key with every version, delete marker and unfinished upload at it: it goes whole or stays whole. Its time is that of
the *newest* content at the key, so nothing goes early; its age as footage is checked against the *oldest*, the first time it was
uploaded, so that a copy made over it later is no contradiction. The time of a delete marker counts only where there is nothing
else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from storage.files.facts import Found
from storage.files.lines import Identity
from storage.s3.listing import MARKER, VERSION, Entry

NOT_UTF8 = "its key is not UTF-8: it cannot be named in a request"
NO_TIME = "the store gave a time that cannot be read"

_ZERO = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Item(NamedTuple):
    """``key``: relative to the location's prefix."""

    key: str
    entries: Sequence[Entry]


def found(item: Item) -> Found:
    """What the listing says of an item."""
    if len(item.entries) == 1:  # most are so, and this is asked of every object
        (only,) = item.entries
        identity = Identity(0, 0, only.size, "")
        try:
            time = nanoseconds(only.modified)
        except ValueError:
            return Found(identity, None, 0, 0, NO_TIME)
        return Found(identity, time, time, time, _odd(item.key), time)
    size = sum(entry.size for entry in item.entries)
    identity = Identity(0, 0, size, "")
    try:
        times = [(entry.kind, nanoseconds(entry.modified)) for entry in item.entries]
    except ValueError:
        return Found(identity, None, 0, 0, NO_TIME)
    every = [time for _, time in times]
    content = [time for kind, time in times if kind != MARKER] or every
    newest = max(content)
    return Found(identity, newest, newest, max(every), _odd(item.key), min(content))


def data_versions(entries: Iterable[Entry]) -> list[Entry]:
    """The versions that hold content: those that can be locked."""
    return [entry for entry in entries if entry.kind == VERSION]


def nanoseconds(text: str) -> int:
    """A time as S3 writes it, since 1970. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return (moment - _ZERO) // _MICROSECOND * 1000


def shown(key: str) -> str:
    """A key as valid text, for a person's terminal."""
    return key if key.isascii() else key.encode("utf-8", "backslashreplace").decode()


def is_nameable(key: str) -> bool:
    """Whether a key can be named in a request: only UTF-8 can."""
    if key.isascii():
        return True
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _odd(key: str) -> str:
    return "" if is_nameable(key) else NOT_UTF8
