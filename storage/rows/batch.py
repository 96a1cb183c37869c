"""One batch of rows: choose, write the files anew, make it last, look again.

- a row is known by its content: one that changed since the survey is withheld, whatever became of the rest of its file;
- a row that somebody changed or took between choosing and destroying is not ours: read back as present while its key stands in the
  file, otherwise unreadable;
- a file that is locked, open in an office program, read-only, or cannot be read to its end stays whole: its rows read back as present;
- a full disk or an input/output error ends the batch with `StoreUnavailable`; what was put in its place before is settled by reading back.

The gate is held while a file is written anew: four to ten seconds for a gibibyte. A hold that is placed meanwhile waits for that.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from retention.decide import Criteria, Due
from retention.errors import StoreUnavailable
from retention.holds import Hold
from retention.outcomes import Presence
from storage.contract import Lines, Pace, Staged
from storage.files.facts import NoRegister, Register, Sighting, found
from storage.files.folder import look
from storage.files.tree import LOST, Bar, Barred, Tree, split, unavailable
from storage.rows.asked import Asked, Going, by_file, going
from storage.rows.facts import RowFacts
from storage.rows.form import Row, Unreadable
from storage.rows.forms import open_form
from storage.rows.lines import RowLine, read_row
from storage.rows.opening import locked, opened, sweep
from storage.rows.rewriting import Changed, rewrite

PACE = Pace(workers=1, first=20_000, most=100_000, seconds=60.0)
"""A file is written anew once per batch, however few of its rows go: many rows at a time, and one worker to a file."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class RowBatch:
    """The batch of one location. Made by `storage.files.store.FileStore.batch`, inside the gate."""

    def __init__(self, criteria: Criteria, root: Path, now: datetime, register: Register) -> None:
        self._criteria = criteria
        self._root = root
        self._now = now
        self._register = register
        self._facts = RowFacts(criteria, now, register, ())
        self._tree = Tree(root, self._facts.location.path)
        self._files: list[Going] = []
        self._chosen: list[RowLine] = []
        self._raws: list[bytes] = []
        self._ours: set[int] = set()
        self._over = False

    @property
    def top(self) -> int:
        """The descriptor of the root that this batch locks."""
        return self._tree.top

    def close(self) -> None:
        self._tree.close()

    # -- step 5 ------------------------------------------------------------------------------------------------------

    def stage(self, lines: Lines, holds: Iterable[Hold]) -> Staged:
        """Raises `VerificationFailed` for a line no survey wrote, `StoreUnavailable` when the disk does not answer."""
        self._facts = RowFacts(self._criteria, self._now, self._register, holds)
        read = [read_row(line) for line in lines]
        due: dict[int, bytes] = {}
        absent: set[int] = set()
        for file in by_file(read):
            try:
                self._stage_file(file, due, absent)
            except Unreadable:
                for index in file.indexes:
                    due.pop(index, None)
            except Barred as barred:
                if barred.bar is Bar.ABSENT:
                    absent.update(file.indexes)
        chosen = sorted(due)
        self._chosen = [read[index] for index in chosen]
        self._raws = [due[index] for index in chosen]
        self._files = going(zip(self._chosen, self._raws, strict=True))
        return Staged(chosen=tuple(chosen), absent=tuple(sorted(absent)))

    def _stage_file(self, file: Asked, due: dict[int, bytes], absent: set[int]) -> None:
        if file.device != self._tree.device:
            return
        sweep(self._tree, split(file.path)[0])
        status = look(self._tree, *split(file.path))
        if status is None:
            raise Barred(Bar.ABSENT)
        seen = self._facts.files.sight(file.path, found(status), None)
        if seen.it.odd:
            return
        standing: set[str] = set()
        matched: set[str] = set()
        with opened(self._tree, file.path) as stream:
            form = open_form(file.path, stream, self._facts.rows.encoding)
            for row in form.rows(self._facts.wanted, file.first_keys):
                key = self._facts.key(row)
                if key not in file.keys:
                    continue
                standing.add(key)
                if row.digest in file.digests:
                    matched.add(row.digest)
                    self._choose(file, seen, row, due)
        for key, indexes in file.keys.items():
            if key not in standing:
                absent.update(indexes)

    def _choose(self, file: Asked, seen: Sighting, row: Row, due: dict[int, bytes]) -> None:
        decision, _ = self._facts.decide(seen, row)
        if isinstance(decision, Due):
            due.update(dict.fromkeys(file.digests[row.digest], row.raw))

    # -- step 7 ------------------------------------------------------------------------------------------------------

    def destroy(self) -> None:
        """Write the files anew. Raises `StoreUnavailable` when the result is uncertain."""
        if self._over:
            raise StoreUnavailable("the batch is over", "open another one")
        self._over = True
        lost: int | None = None
        touched: set[str] = set()
        for file in self._files:
            try:
                with locked(self._tree, file.path) as stream:
                    if stream is None:
                        continue
                    went = rewrite(
                        self._tree,
                        file.path,
                        stream,
                        file.rows,
                        change=self._facts.change,
                        encoding=self._facts.rows.encoding,
                        sidecar=self._facts.files.has_sidecar(file.path),
                    )
            except (Unreadable, Changed, Barred):
                continue
            except OSError as error:
                if error.errno in LOST | _FULL:
                    lost = error.errno
                    break
                continue
            touched.add(split(file.path)[0])
            self._ours.update(place for place in file.places if self._raws[place] in went)
        passing = [folder for folder in sorted(touched) if not self._tree.make_lasting(folder)]
        if lost in _FULL:
            raise StoreUnavailable(
                "the disk is full: a file could not be written anew", "make room; nothing was lost"
            )
        if lost is not None:
            raise unavailable(lost, "the store")
        if passing:
            raise StoreUnavailable(
                "what was changed could not be written to the disk", "see whether the disk is in order"
            )

    # -- step 8 ------------------------------------------------------------------------------------------------------

    def read_back(self) -> list[Presence]:
        """Look again along new paths from the root. "Absent" only for rows that this batch itself took out."""
        answers: dict[int, Presence] = {}
        try:
            with Tree(self._root, self._facts.location.path) as tree:
                for file in self._files:
                    answers |= self._answers(tree, file)
        except StoreUnavailable:
            pass
        return [answers.get(place, Presence.UNREADABLE) for place in range(len(self._chosen))]

    def _answers(self, tree: Tree, file: Going) -> dict[int, Presence]:
        places = file.places
        try:
            with opened(tree, file.path) as stream:
                form = open_form(file.path, stream, self._facts.rows.encoding)
                standing, _ = form.look(file.rows)
                doubtful = [place for place in places if place not in self._ours]
                keys = {self._chosen[place].key for place in doubtful}
                there = (
                    {self._facts.key(row) for row in form.rows(self._facts.wanted)} & keys
                    if doubtful
                    else set()
                )
        except Barred as barred:
            ours = Presence.ABSENT if barred.bar is Bar.ABSENT else Presence.UNREADABLE
            return {place: ours if place in self._ours else Presence.UNREADABLE for place in places}
        except Unreadable:
            return {}
        answers: dict[int, Presence] = {}
        for place in places:
            if self._raws[place] in standing or self._chosen[place].key in there:
                answers[place] = Presence.PRESENT
            else:
                answers[place] = Presence.ABSENT if place in self._ours else Presence.UNREADABLE
        return answers


def presence(criteria: Criteria, root: Path, now: datetime, lines: Sequence[RowLine]) -> list[Presence]:
    """What a look outside any batch sees: a row that stands there, or another one under its key, is present."""
    facts = RowFacts(criteria, now, NoRegister(), ())
    answers = [Presence.UNREADABLE] * len(lines)
    with Tree(root, facts.location.path) as tree:
        for file in by_file(lines):
            if file.device != tree.device:
                continue
            standing: set[str] = set()
            try:
                with opened(tree, file.path) as stream:
                    form = open_form(file.path, stream, facts.rows.encoding)
                    for row in form.rows(facts.wanted, file.first_keys):
                        key = facts.key(row)
                        if key in file.keys and not facts.is_done(row):
                            standing.add(key)
            except Barred as barred:
                if barred.bar is not Bar.ABSENT:
                    continue
            except Unreadable:
                continue
            lasts = tree.make_lasting(split(file.path)[0])
            for key, indexes in file.keys.items():
                for index in indexes:
                    if key in standing:
                        answers[index] = Presence.PRESENT
                    elif lasts:
                        answers[index] = Presence.ABSENT
    return answers
