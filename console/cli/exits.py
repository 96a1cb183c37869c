"""Which exit code a command ends with when several things happened: the gravest cause."""

from __future__ import annotations

from collections.abc import Iterable

ORDER = (6, 4, 7, 5, 2, 3, 1)
"""Gravest first: evidence that does not verify, an invalid schedule, something unavailable, a refusal, usage, unfinished."""

UNFINISHED = 3


def worst(codes: Iterable[int]) -> int:
    """The gravest of these codes; 0 when all are 0."""
    given = set(codes)
    return next((code for code in ORDER if code in given), max(given, default=0))
