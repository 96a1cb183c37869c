"""What became of one item, and how it is written down. More than two outcomes, on purpose."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """Outcome of one item of a case; the values are what stands in leaves and certificates."""

    DESTROYED = "destroyed"
    """Our intent, our commit, and a read-back that no longer found it."""
    ALREADY_ABSENT = "already-absent"
    """Gone before this case reached it. Never counted as destroyed."""
    WITHHELD = "withheld"
    """Kept: held, no longer due, blocked, changed since the survey. Generic, so that a sealed hold does not show."""
    NOT_DESTROYED = "not-destroyed"
    """We tried; the read-back still found it."""
    UNKNOWN = "unknown"
    """Nobody could say: no read-back was possible."""


OPEN = "-"
"""Code of an item without an outcome: interrupted before its commit, to be done again."""

CODES: dict[Outcome, str] = {
    Outcome.DESTROYED: "D",
    Outcome.ALREADY_ABSENT: "A",
    Outcome.WITHHELD: "W",
    Outcome.NOT_DESTROYED: "N",
    Outcome.UNKNOWN: "U",
}
"""One letter per outcome: the ledger keeps the outcomes of a batch as one string, a letter per item in manifest order."""

OUTCOMES: dict[str, Outcome] = {code: outcome for outcome, code in CODES.items()}


class Presence(StrEnum):
    """What a read-back saw."""

    ABSENT = "absent"
    PRESENT = "present"
    UNREADABLE = "unreadable"
    """The store could not be asked, or its answer could not be understood."""


class Fate(StrEnum):
    """What became of the transaction of an interrupted batch, as its store tells it."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled-back"
    NONE = "none"
    """The store has no transactions: only a read-back can tell."""
    UNKNOWN = "unknown"
