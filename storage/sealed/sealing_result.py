"""What became of a sealing at one location, files or columns alike. Counts and words, no data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from storage.contract import Finding


@dataclass(kw_only=True)
class Sealing:
    """What was sealed at one location, or would be: files, or values of columns. ``size``: bytes of plaintext; ``seconds``: of footage.

    ``sealed``: in this run; ``before``: what was sealed already. ``left``: what stays as it is, by reason. ``resumed``/``taken_away``:
    what a crash left, finished or removed. ``foreign``: what looks sealed and is not known to the key store.
    """

    record_type: str
    location: str
    store: str
    sealed: int = 0
    size: int = 0
    seconds: float = 0.0
    before: int = 0
    resumed: int = 0
    taken_away: int = 0
    foreign: int = 0
    left: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
