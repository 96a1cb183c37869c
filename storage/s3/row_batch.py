"""One batch of rows in a bucket: choose, write the objects anew, destroy their older versions, look again.

- a row is known by its content: one that changed since the survey is withheld, whatever became of the rest of its object;
- every version is read before anything is chosen: an object whose older versions hold a row that is to stay is left whole;
- two batches on one object would undo each other: only one at a time is inside (`storage.s3.gate.Gate.alone`);
- an object that was replaced after it was chosen is read anew; one that is replaced, hidden or uploaded to while it is written stays as
  somebody else left it, and its rows read back as present;
- a locked object, one that cannot be read to its end, or one that the store refuses to let go of stays: its rows read back as present.

The gate is held while an object is read and written. A hold that is placed meanwhile waits for that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from retention.decide import Criteria, Due
from retention.errors import StoreUnavailable
from retention.holds import Hold
from retention.outcomes import Presence
from storage.contract import Lines, Pace, Staged
from storage.files.facts import NoRegister, Register, Sighting
from storage.rows.asked import Asked, Going, by_file, going
from storage.rows.facts import RowFacts
from storage.rows.form import Unreadable, digest_of
from storage.rows.lines import RowLine, read_row
from storage.rows.rewriting import Changed
from storage.s3.gate import Ticket
from storage.s3.items import Item, found
from storage.s3.listing import UPLOAD, VERSION, Entry, at
from storage.s3.locks import Locks
from storage.s3.removal import Removal
from storage.s3.rewritten import Rewritten, Snapshot
from storage.s3.row_object import STAYING, RowObject, form_of
from storage.s3.row_writing import Rewriter, Took
from storage.s3.survey import prefix_of
from storage.s3.wire import Wire

PACE = Pace(workers=1, first=100_000, most=100_000, seconds=60.0)
"""An object is written anew once per batch, however few of its rows go."""
PASSES = 4
TRIES = 3
"""How often an object that somebody else keeps writing to is read anew."""
_LAG = 0.2


class ObjectRowBatch:
    """The batch of one location. Made by `storage.s3.store.S3Store.batch`, inside the gate."""

    def __init__(
        self, criteria: Criteria, locks: Locks, pool: ThreadPoolExecutor, ticket: Ticket, clock: Callable[[], datetime], *,
        register: Register, rewritten: Rewritten,
    ) -> None:  # fmt: skip
        self._criteria = criteria
        self._locks = locks
        self._wire = locks.wire
        self._clock = clock
        self._now = clock()
        self._register = register
        self._holds: tuple[Hold, ...] = ()
        self._facts = self._new_facts()
        self._prefix = prefix_of(self._wire, self._facts.location)
        self._rewritten = rewritten
        self._memory = rewritten.snapshot()
        self._rewriter = Rewriter(self._wire, Removal(self._wire, pool), rewritten)
        self._ticket = ticket
        self._wholes: dict[str, RowObject] = {}
        self._files: list[Going] = []
        self._chosen: list[RowLine] = []
        self._raws: list[bytes] = []
        self._ours: set[int] = set()
        self._gone: dict[str, frozenset[str]] = {}
        """Tokens of what was destroyed, by path."""
        self._over = False

    def _new_facts(self) -> RowFacts:
        return RowFacts(self._criteria, self._now, self._register, self._holds)

    # -- step 5 ------------------------------------------------------------------------------------------------------

    def stage(self, lines: Lines, holds: Iterable[Hold]) -> Staged:
        """Raises `VerificationFailed` for a line no survey wrote, `StoreUnavailable` when the store does not answer."""
        self._holds = tuple(holds)
        self._facts = self._new_facts()
        read = [read_row(line) for line in lines]
        asked = by_file(read)
        there = at(self._wire, [self._prefix + file.path for file in asked], len(asked))
        due: dict[int, bytes] = {}
        absent: set[int] = set()
        for file in asked:
            entries = there[self._prefix + file.path]
            if not entries:
                absent.update(file.indexes)
                continue
            try:
                self._stage_object(file, entries, due, absent)
            except Unreadable:
                continue
        chosen = sorted(due)
        self._chosen = [read[index] for index in chosen]
        self._raws = [due[index] for index in chosen]
        self._files = going(zip(self._chosen, self._raws, strict=True))
        return Staged(chosen=tuple(chosen), absent=tuple(sorted(absent)))

    def _stage_object(
        self, file: Asked, entries: Sequence[Entry], due: dict[int, bytes], absent: set[int]
    ) -> None:
        """Raises `Unreadable` for an object that is left whole."""
        whole, seen = self._whole(file.path, entries)
        if seen.it.odd:
            return
        chosen: dict[int, bytes] = {}
        standing: set[str] = set()
        for row, left_out in whole.rows(self._facts.wanted, file.first_keys):
            key = self._facts.key(row)
            goes = False
            if key in file.keys:
                standing.add(key)
                if row.digest in file.digests:
                    decision, _ = self._facts.decide(seen, row)
                    goes = isinstance(decision, Due)
            if goes:
                chosen.update(dict.fromkeys(file.digests[row.digest], row.raw))
            elif left_out:
                raise Unreadable(STAYING)
        if chosen and self._is_locked(whole):
            raise Unreadable("it is locked in the store")
        due.update(chosen)
        self._wholes[file.path] = whole
        for key, indexes in file.keys.items():
            if key not in standing:
                absent.update(indexes)

    # -- step 7 ------------------------------------------------------------------------------------------------------

    def destroy(self) -> None:
        """Write the objects anew. Raises `StoreUnavailable` when the result is uncertain."""
        if self._over:
            raise StoreUnavailable("the batch is over", "open another one")
        self._over = True
        if not self._files or not keeps_versions(self._wire):
            return
        self._ticket.draw()
        for file in self._files:
            took = self._take_out(file)
            self._gone[file.path] = took.tokens
            self._ours.update(place for place in file.places if self._raws[place] in took.rows)

    def _take_out(self, file: Going) -> Took:
        for _ in range(TRIES):
            try:
                whole = self._as_it_is(file)
                chosen_here = whole is self._wholes[file.path]
                return self._rewriter.take_out(whole, file.rows, self._facts.change, chosen_here=chosen_here)
            except Changed:
                continue
            except Unreadable:
                break
        return Took(frozenset(), frozenset())

    def _as_it_is(self, file: Going) -> RowObject:
        """The object as it was chosen, or read anew where somebody wrote to it since. Raises `Unreadable` for one that stays whole."""
        before = self._wholes[file.path]
        entries = at(self._wire, [before.key], len(before.entries))[before.key]
        if {entry.token for entry in entries} == before.tokens:
            return before
        # What the facts remember is about the object before, and this one may have been uploaded after we began.
        self._now = self._clock()
        self._facts = self._new_facts()
        whole, seen = self._whole(file.path, entries)
        chosen = {digest_of(raw.rstrip(b"\r\n")) for raw in file.rows}
        for row, left_out in whole.rows(self._facts.wanted):
            if row.digest not in chosen:
                stays = left_out
            else:  # what was uploaded anew may be younger
                stays = not isinstance(self._facts.decide(seen, row)[0], Due)
            if stays:
                raise Unreadable(STAYING)
        if seen.it.odd or self._is_locked(whole):
            raise Unreadable("it is locked in the store")
        return whole

    def _whole(self, path: str, entries: Sequence[Entry]) -> tuple[RowObject, Sighting]:
        """Raises `Unreadable`, also where its older versions hold what is to stay."""
        seen = self._facts.files.sight(path, found(Item(path, self._memory.aged(entries))), None)
        whole = RowObject(self._wire, path, entries, self._facts.rows.encoding, self._memory)
        whole.require_due(self._facts, seen)
        return whole, seen

    def _is_locked(self, whole: RowObject) -> bool:
        return self._locks.enabled and bool(self._locks.until([Item(whole.key, whole.entries)], self._now))

    # -- step 8 ------------------------------------------------------------------------------------------------------

    def read_back(self) -> list[Presence]:
        """List and read again what is at the keys now. "Absent" only for rows that this batch itself took out."""
        answers: dict[int, Presence] = {}
        try:
            there = self._there()
            memory = self._rewritten.snapshot()
            for file in self._files:
                answers |= self._answers(file, there[self._prefix + file.path], memory)
        except StoreUnavailable:
            pass
        return [answers.get(place, Presence.UNREADABLE) for place in range(len(self._chosen))]

    def _there(self) -> Mapping[str, Sequence[Entry]]:
        """A new listing; again, where what was answered for as deleted is still in it: some servers lag behind."""
        keys = [self._prefix + file.path for file in self._files]
        there = at(self._wire, keys, len(keys))
        for attempt in range(1, PASSES):
            if not any(
                entry.token in gone
                for path, gone in self._gone.items()
                for entry in there[self._prefix + path]
            ):
                break
            time.sleep(_LAG * attempt)
            there = at(self._wire, keys, len(keys))
        return there

    def _answers(self, file: Going, entries: Sequence[Entry], memory: Snapshot) -> dict[int, Presence]:
        if any(entry.kind == UPLOAD and not memory.is_ours(entry) for entry in entries):
            return dict.fromkeys(file.places, Presence.PRESENT)  # nobody can see what is in it
        doubtful = {self._chosen[place].key for place in file.places if place not in self._ours}
        standing: set[bytes] = set()
        there: set[str] = set()
        for entry in entries:
            if entry.kind != VERSION:
                continue
            try:
                with form_of(self._wire, file.path, entry, self._facts.rows.encoding) as form:
                    standing |= form.look(file.rows)[0]
                    if doubtful:
                        there |= doubtful & {self._facts.key(row) for row in form.rows(self._facts.wanted)}
            except Unreadable:
                return {}
        answers: dict[int, Presence] = {}
        for place in file.places:
            if self._raws[place] in standing or self._chosen[place].key in there:
                answers[place] = Presence.PRESENT
            else:
                answers[place] = Presence.ABSENT if place in self._ours else Presence.UNREADABLE
        return answers


def presence(
    criteria: Criteria, wire: Wire, now: datetime, rewritten: Rewritten, lines: Sequence[RowLine]
) -> list[Presence]:
    """What a look outside any batch sees: a row that stands in any version, or another one under its key, is present."""
    facts = RowFacts(criteria, now, NoRegister(), ())
    prefix = prefix_of(wire, facts.location)
    answers = [Presence.UNREADABLE] * len(lines)
    asked = by_file(lines)
    try:
        memory = rewritten.snapshot()
        there = at(wire, [prefix + file.path for file in asked], len(asked))
        for file in asked:
            standing = _standing(wire, facts, file, there[prefix + file.path], memory)
            if standing is None:
                continue
            for key, indexes in file.keys.items():
                for index in indexes:
                    answers[index] = Presence.PRESENT if key in standing else Presence.ABSENT
    except StoreUnavailable:
        return [Presence.UNREADABLE] * len(lines)
    return answers


def _standing(
    wire: Wire, facts: RowFacts, file: Asked, entries: Sequence[Entry], memory: Snapshot
) -> set[str] | None:
    """The keys among those asked for that stand in any version; ``None``: nobody can tell."""
    if any(entry.kind == UPLOAD and not memory.is_ours(entry) for entry in entries):
        return set(file.keys)
    standing: set[str] = set()
    for entry in entries:
        if entry.kind != VERSION:
            continue
        try:
            with form_of(wire, file.path, entry, facts.rows.encoding) as form:
                for row in form.rows(facts.wanted, file.first_keys):
                    key = facts.key(row)
                    if key in file.keys and not facts.is_done(row):
                        standing.add(key)
        except Unreadable:
            return None
    return standing


def keeps_versions(wire: Wire) -> bool:
    """Whether what is written anew leaves what it replaces where it was. Raises `StoreUnavailable`."""
    return wire.call("get_bucket_versioning").get("Status") == "Enabled"
