"""What sealed files are called: ``<original name>.<object id>.sealed``, and ``….sealing`` until they are whole.

A name says only that a file *may* be one of ours; whether it is, the registry of the key store knows. Either way no layout judges
it: its key decides, and a stranger's file with our suffix is reported and left alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SEALED = "sealed"
SEALING = "sealing"

_NAME = re.compile(r"(?P<original>[\s\S]*[^/])\.(?P<id>[0-9a-f]{16})\.(?P<state>sealed|sealing)")


class SealedName(NamedTuple):
    """``original``: the path of the plaintext it was made from. ``whole``: not a half-written one."""

    original: str
    id: str
    whole: bool


def read_name(path: str) -> SealedName | None:
    """What a path says; ``None`` for every other file."""
    if not path.endswith((f".{SEALED}", f".{SEALING}")):
        return None
    found = _NAME.fullmatch(path)
    return None if found is None else SealedName(found["original"], found["id"], found["state"] == SEALED)


def sealed_name(original: str, id: str, *, whole: bool = True) -> str:
    """The name, or path, of the sealed file beside its plaintext."""
    return f"{original}.{id}.{SEALED if whole else SEALING}"
