"""Copies of rows as records: each says itself, in its first line, whom and what it is about (`storage.row_copy`).

Holds and rules judge the copy by that and by nothing that its name tells: its name tells nothing. A copy counts as old as the row it
was made of or as itself, whichever is younger. One that cannot be read is one that nobody can decide on.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from retention.decide import Criteria
from retention.errors import VerificationFailed
from retention.records import Record, Span
from storage.files.facts import Facts, Register, Sighting, tree_location
from storage.files.recorder import NOTHING, Protection
from storage.row_copy import LONGEST_HEAD, About, read_about

UNREADABLE = "a copy of a row that cannot be read"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def facts_at(
    criteria: Criteria, root: Path, now: datetime, protection: Protection = NOTHING, register: Register | None = None
) -> Facts:  # fmt: skip
    """The facts of a location of files; of one of copied rows, with what each of them says."""
    if tree_location(criteria).copies_rows:
        return RowCopies(criteria, root, now)
    return Facts(criteria, now, protection, register)


class RowCopies(Facts):
    """``root``: of the vault."""

    def __init__(self, criteria: Criteria, root: Path, now: datetime) -> None:
        super().__init__(criteria, now)
        self.has_conditions = True  # each is asked by itself: no two are alike
        self._folder = root / self.location.path

    def record(self, seen: Sighting) -> Record:
        record = super().record(seen)
        about = self._about(seen.path)
        if about is None:
            return replace(record, fields={}, undecidable=record.undecidable or UNREADABLE)
        trigger = seen.trigger
        if trigger is not None and about.trigger is not None:
            trigger = max(trigger, about.trigger)
        return replace(
            record, trigger=trigger, span=Span(start=about.start, end=about.end), subject=about.subject, branch=about.branch,
            fields=about.fields,
        )  # fmt: skip

    def _about(self, path: str) -> About | None:
        try:
            with os.fdopen(os.open(self._folder / path, _READ), "rb") as file:
                return read_about(file.readline(LONGEST_HEAD))
        except (OSError, VerificationFailed):
            return None
