"""Lines of a manifest at a sealed location: a cohort that goes whole, or one object that was withdrawn. Ids only, nothing personal.

``["cohort", id, last_seq, objects]``: the cohort as the survey saw it; one that has grown since is not the one that was approved.
``["object", id]``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from retention.errors import VerificationFailed

_COHORT_ID = re.compile("K[0-9a-f]{12}")
_OBJECT_ID = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class CohortLine:
    id: str
    last_seq: int
    objects: int

    def __str__(self) -> str:
        return f'["cohort","{self.id}",{self.last_seq},{self.objects}]'


@dataclass(frozen=True, slots=True)
class ObjectLine:
    id: str

    def __str__(self) -> str:
        return f'["object","{self.id}"]'


Line = CohortLine | ObjectLine


def write_line(line: Line) -> bytes:
    """With its newline."""
    return f"{line}\n".encode("ascii")


def read_line(line: bytes) -> Line:
    """Raises `VerificationFailed` for a line that no survey wrote; its text stands in no error."""
    try:
        read = json.loads(line)
    except ValueError:  # JSONDecodeError and UnicodeDecodeError are both ValueErrors
        read = None
    match read:
        case ["cohort", str(id), int(last_seq), int(objects)] if _COHORT_ID.fullmatch(id):
            return CohortLine(id, last_seq, objects)
        case ["object", str(id)] if _OBJECT_ID.fullmatch(id):
            return ObjectLine(id)
    raise VerificationFailed(
        "a line of the manifest is not one that a survey of sealed records writes", "return the case"
    )
