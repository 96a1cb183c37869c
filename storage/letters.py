"""Outcome letters of a batch: from what was staged and what the read-back saw, and after a crash. Small and pure.

The one place where an observation becomes an outcome. It refuses to turn doubt into *destroyed*.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from retention.errors import StoreUnavailable
from retention.outcomes import CODES, OPEN, OUTCOMES, Fate, Outcome, Presence
from storage.contract import Staged
from storage.ledger.batches import ABSENT, CHOSEN, ELSEWHERE, WITHHELD
from storage.worklist import Slice

FAILURES = frozenset({CODES[Outcome.NOT_DESTROYED], CODES[Outcome.UNKNOWN]})

_FAULTY = "the store chose items that it was not given, or not in their order"
_REPORT = "report this: it is a fault"

_SEEN = {
    Presence.ABSENT: CODES[Outcome.DESTROYED],
    Presence.PRESENT: CODES[Outcome.NOT_DESTROYED],
    Presence.UNREADABLE: CODES[Outcome.UNKNOWN],
}


def staged_letters(piece: Slice, staged: Staged, *, withheld: Iterable[int] = ()) -> str:
    """One letter per line of the batch's range, as the intent keeps them. ``withheld``: places that stay whatever was staged,
    because the store was not even offered them.

    Raises `StoreUnavailable` when the store did not keep to its contract: what it means cannot be told then.
    """
    for indexes in (staged.chosen, staged.absent):
        if any(after <= before for before, after in pairwise((-1, *indexes, len(piece.lines)))):
            raise StoreUnavailable(_FAULTY, _REPORT)
    if not set(staged.chosen).isdisjoint(staged.absent):
        raise StoreUnavailable(_FAULTY, _REPORT)
    letters = bytearray(ELSEWHERE.encode() * piece.where.items)
    for pick in (*withheld, *piece.picks):
        letters[pick] = ord(WITHHELD)
    for index in staged.absent:
        letters[piece.picks[index]] = ord(ABSENT)
    for index in staged.chosen:
        letters[piece.picks[index]] = ord(CHOSEN)
    return letters.decode()


def outcome_letters(letters: str, seen: Sequence[str]) -> str:
    """Outcome letters: what was seen for each chosen item, in order; absent and withheld ones as they were staged.

    Raises `StoreUnavailable` when there is not exactly one answer per chosen item: nobody knows then which is whose.
    """
    if len(seen) != letters.count(CHOSEN):
        raise StoreUnavailable("the store read back another number of items than it was asked for", _REPORT)
    found = iter(seen)
    return "".join(next(found) if letter == CHOSEN else letter for letter in letters)


def seen_letter(presence: Presence) -> str:
    """Outcome of an item whose destruction was committed, from the read-back after it."""
    return _SEEN[presence]


def settled_letter(fate: Fate, presence: Presence) -> str:
    """Outcome of a chosen item of an interrupted batch: what its store says of the transaction, and what the read-back saw.

    Still there and not known to be committed: interrupted, to be done again. Gone although it was rolled back: somebody
    else's doing, looked at again. Gone and nobody knows whether by us: unknown.
    """
    if fate is Fate.COMMITTED:
        return _SEEN[presence]
    if presence is Presence.UNREADABLE:
        return CODES[Outcome.UNKNOWN]
    if presence is Presence.PRESENT or fate is Fate.ROLLED_BACK:
        return OPEN
    return CODES[Outcome.UNKNOWN] if fate is Fate.UNKNOWN else CODES[Outcome.DESTROYED]


def final_runs(codes: str) -> Iterator[list[int]]:
    """Runs of neighbouring positions that have a final outcome."""
    run: list[int] = []
    for position, code in enumerate(codes):
        if code in (OPEN, ELSEWHERE):
            if run:
                yield run
            run = []
        else:
            run.append(position)
    if run:
        yield run


def outcome_of(code: str) -> Outcome:
    return OUTCOMES[code]
