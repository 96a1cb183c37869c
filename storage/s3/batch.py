"""One batch in a bucket: choose, delete every version, look again.

What can happen to a key between two looks, and what is made of it:

- something at it that the survey did not see (a new version, a delete marker, an upload): withheld. What was added after it was
  chosen is not deleted, since only what was seen is named, and the key is read back as present;
- some of it gone (a lifecycle rule, another program): the rest goes;
- all of it gone before it was chosen: absent;
- locked by the store: withheld, or where that could not be asked, refused and read back as present;
- refused for want of a permission: read back as present, the others go on;
- the store too busy for too long, without an answer, or with credentials that have expired: `StoreUnavailable`, the result is
  uncertain and read back later.

Without versioning a key holds one nameless version, and what is uploaded over it has the same name. Such keys are looked at once
more right before they are deleted; between that look and the delete lie milliseconds in which an upload would be lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from retention.decide import Criteria, Due
from retention.errors import StoreUnavailable
from retention.holds import Hold
from retention.outcomes import Presence
from storage.contract import Lines, Staged
from storage.files.deciding import decide_all
from storage.files.facts import Facts, Register, Sighting
from storage.s3.gate import Ticket
from storage.s3.items import Item, found
from storage.s3.lines import Line, read_line
from storage.s3.listing import Entry, at
from storage.s3.locks import Locks
from storage.s3.removal import Removal
from storage.s3.survey import prefix_of
from storage.s3.wire import Wire

PASSES = 4
"""How often a key is listed again when all that is still listed was answered for as deleted: some servers lag behind."""
_LAG = 0.2
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A key about to go, with what was seen at it."""

    key: str
    entries: Sequence[Entry]

    @property
    def tokens(self) -> set[str]:
        return {entry.token for entry in self.entries}


class S3Batch:
    """The batch of one location. Made by `storage.s3.store.S3Store.batch`, inside the gate."""

    def __init__(
        self, criteria: Criteria, locks: Locks, pool: ThreadPoolExecutor, ticket: Ticket, now: datetime, *,
        register: Register,
    ) -> None:  # fmt: skip
        self._criteria = criteria
        self._wire = locks.wire
        self._locks = locks
        self._removal = Removal(locks.wire, pool)
        self._ticket = ticket
        self._facts = Facts(criteria, now, register=register, growing=False)
        self._prefix = prefix_of(locks.wire, self._facts.location)
        self._chosen: list[_Chosen] = []
        self._deleted: set[int] = set()
        self._over = False

    # -- step 5 ------------------------------------------------------------------------------------------------------

    def stage(self, lines: Lines, holds: Iterable[Hold]) -> Staged:
        """Raises `VerificationFailed` for a line no survey wrote, `StoreUnavailable` when the store does not answer."""
        surveyed = [read_line(line) for line in lines]
        expected = sum(len(line.tokens) for line in surveyed)
        there = at(self._wire, [self._prefix + line.key for line in surveyed], expected)
        absent: list[int] = []
        candidates: list[tuple[int, _Chosen, Sighting]] = []
        for index, line in enumerate(surveyed):
            entries = there[self._prefix + line.key]
            if not entries:
                absent.append(index)
                continue
            item = _Chosen(self._prefix + line.key, entries)
            if item.tokens <= set(line.tokens):
                end = None if line.end is None else _ZERO + timedelta(microseconds=round(line.end * 1e6))
                sighting = self._facts.sight_again(line.key, found(Item(line.key, entries)), end)
                candidates.append((index, item, sighting))
        decisions = decide_all(
            self._criteria, self._facts, self._facts.holds(holds), [seen for _, _, seen in candidates]
        )
        due = [
            (index, item)
            for (index, item, _), decision in zip(candidates, decisions, strict=True)
            if isinstance(decision, Due)
        ]
        locked: Mapping[str, str] = {}
        if due and self._locks.enabled:
            locked = self._locks.until([Item(item.key, item.entries) for _, item in due], self._facts.now)
        free = [(index, item) for index, item in due if item.key not in locked]
        self._chosen = [item for _, item in free]
        return Staged(chosen=tuple(index for index, _ in free), absent=tuple(absent))

    # -- step 7 ------------------------------------------------------------------------------------------------------

    def destroy(self) -> None:
        """Delete all that was staged. Raises `StoreUnavailable` when the result is uncertain."""
        if self._over:
            raise StoreUnavailable("the batch is over", "open another one")
        self._over = True
        going = self._unreplaced()
        if not going:
            return
        self._ticket.draw()
        done = self._removal.remove([self._chosen[index].entries for index in going])
        self._deleted = {going[position] for position in done}

    def _unreplaced(self) -> list[int]:
        """The indexes of what may go: without versioning, only what has not been uploaded anew since it was chosen."""
        nameless = [
            index
            for index, item in enumerate(self._chosen)
            if any(entry.version == "null" for entry in item.entries)
        ]
        if not nameless:
            return list(range(len(self._chosen)))
        there = at(self._wire, [self._chosen[index].key for index in nameless], len(nameless))
        replaced = {
            index
            for index in nameless
            if not {entry.token for entry in there[self._chosen[index].key]} <= self._chosen[index].tokens
        }
        return [index for index in range(len(self._chosen)) if index not in replaced]

    # -- step 8 ------------------------------------------------------------------------------------------------------

    def read_back(self) -> list[Presence]:
        """List the keys again from the beginning, until none of them shows what was deleted. "Absent" only for what was deleted here."""
        answers: dict[int, Presence] = {}
        waiting = list(range(len(self._chosen)))
        for attempt in range(PASSES):
            time.sleep(_LAG * attempt)
            try:
                there = at(self._wire, [self._chosen[index].key for index in waiting], 0)
            except StoreUnavailable:
                answers.update(dict.fromkeys(waiting, Presence.UNREADABLE))
                break
            lagging = []
            for index in waiting:
                left = {entry.token for entry in there[self._chosen[index].key]}
                if not left:
                    answers[index] = Presence.ABSENT if index in self._deleted else Presence.UNREADABLE
                    continue
                answers[index] = Presence.PRESENT
                if index in self._deleted and left <= self._chosen[index].tokens:
                    lagging.append(index)
            waiting = lagging
            if not waiting:
                break
        return [answers[index] for index in range(len(self._chosen))]


def presence(wire: Wire, prefix: str, lines: Sequence[Line]) -> list[Presence]:
    """Whether anything is at these keys now. Unreadable where the store cannot be asked."""
    try:
        there = at(wire, [prefix + line.key for line in lines], len(lines))
    except StoreUnavailable:
        return [Presence.UNREADABLE] * len(lines)
    return [Presence.PRESENT if there[prefix + line.key] else Presence.ABSENT for line in lines]
