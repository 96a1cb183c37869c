"""The ledger for one answer about many cases: what was read for one of them is not read again for the next.

Only for looking. It is as old as its first reading and is never kept beyond the answer: whoever acts asks the ledger itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cache

from storage.ledger.ledger import Ledger

READ_ONCE = {
    "people": ("get", "passkeys", "roles"),
    "rulings": ("of",),
    "cases": ("schedule_text",),
    "holds": ("in_force",),
}
"""Of each part of the ledger, the readings that many cases have in common."""


def glance(ledger: Ledger, cases: Sequence[str]) -> Ledger:
    """``cases``: ids of those that it is asked about, whose decisions and exceptions are read together, and of no others."""
    once = copy(ledger)
    for part, readings in READ_ONCE.items():
        shared = copy(getattr(ledger, part))
        for name in readings:
            setattr(shared, name, cache(getattr(getattr(ledger, part), name)))
        setattr(once, part, shared)
    setattr(once.people, "decisions", ledger.people.decided(cases).__getitem__)  # noqa: B010  # a method in its place
    once.exceptions = copy(ledger.exceptions)
    setattr(once.exceptions, "epoch", ledger.exceptions.epochs(cases).__getitem__)  # noqa: B010  # likewise
    return once
