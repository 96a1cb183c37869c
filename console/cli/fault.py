"""What is left of an unexpected error: its type and where it happened. Never its text, which may quote a record."""

from __future__ import annotations

import os
import secrets
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path


def describe(error: BaseException) -> str:
    """Types and places of the error and of those it came from, outermost last; no text, no values."""
    return "\n\n".join(reversed([_one(link) for link in _chain(error)])) + "\n"


def keep(error: BaseException, folder: Path, at: datetime | None = None) -> Path | None:
    """Write the description into a new private file; ``None`` when that is impossible too."""
    stamp = (at or datetime.now(UTC)).strftime("%Y%m%dT%H%M%S")
    path = folder / f"{stamp}-{secrets.token_hex(4)}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(describe(error))
    except OSError:
        return None
    return path


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _one(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    return "\n".join([f"{type(error).__module__}.{type(error).__qualname__}", *places])
