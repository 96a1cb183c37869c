"""What of a case is still to be done: folds the ledger's concluded batches over the frozen manifest.

Refuses to hand out a line twice or to lose one: every line of the manifest is either settled, handed out once per run, or
counted as remaining.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock

from retention.errors import VerificationFailed
from retention.outcomes import OPEN, OUTCOMES, Outcome
from storage.ledger.batches import ELSEWHERE, Range, Settled
from storage.ledger.cases import Case, Part
from storage.spool import Manifest

_CHANGED = "the ledger was changed; compare with its backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Lines to work on: ``lines[i]`` stands at ``picks[i]`` within ``where`` (0-based)."""

    where: Range
    picks: tuple[int, ...] | range
    lines: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """State of a case: outcome counts over all items, ranges with interrupted items, and all ranges that batches took."""

    counts: Counter[Outcome]
    reopened: tuple[tuple[Range, tuple[int, ...]], ...]
    taken: tuple[Range, ...]
    """Sorted by part and line, without overlaps. What lies between and behind them was never tried."""

    def remaining(self, case: Case) -> int:
        return case.items - sum(self.counts.values())


def tally(case: Case, settled: Iterable[Settled]) -> Tally:
    """Fold concluded batches; interrupted ones must have been settled before.

    Raises `VerificationFailed` on an item twice, a batch outside its part, or an outcome that is none.
    """
    parts = {part.number: part for part in case.parts}
    letters: dict[tuple[int, int], tuple[Range, bytearray]] = {}
    counts: Counter[Outcome] = Counter()
    for batch in settled:
        key = (batch.range.part, batch.range.first)
        new = key not in letters
        known, current = letters.setdefault(key, (batch.range, bytearray(OPEN.encode() * len(batch.codes))))
        part = parts.get(known.part)
        if part is None or known.first < 0 or known.items < 1 or known.first + known.items > part.items:
            raise VerificationFailed(f"a batch of case {case.id} is not part of its manifest", _CHANGED)
        if known != batch.range or len(batch.codes) != known.items:
            raise VerificationFailed(f"batches of case {case.id} overlap", _CHANGED)
        found = Counter({OUTCOMES[code]: batch.codes.count(code) for code in OUTCOMES if code in batch.codes})
        if found.total() + batch.codes.count(OPEN) + batch.codes.count(ELSEWHERE) != known.items:
            raise VerificationFailed(f"an outcome of case {case.id} cannot be read", _CHANGED)
        counts.update(found)
        if new and ELSEWHERE not in batch.codes:
            current[:] = batch.codes.encode()
            continue
        for position, code in enumerate(batch.codes):
            if code in (ELSEWHERE, OPEN):
                continue
            if current[position] != ord(OPEN):
                raise VerificationFailed(f"an item of case {case.id} has two outcomes", _CHANGED)
            current[position] = ord(code)
    reopened = tuple(
        (known, tuple(index for index, letter in enumerate(current) if letter == ord(OPEN)))
        for known, current in letters.values()
        if ord(OPEN) in current
    )
    taken = tuple(
        sorted((known for known, _ in letters.values()), key=lambda known: (known.part, known.first))
    )
    for before, after in pairwise(taken):
        if before.part == after.part and after.first < before.first + before.items:
            raise VerificationFailed(f"batches of case {case.id} overlap", _CHANGED)
    return Tally(counts=counts, reopened=reopened, taken=taken)


class Slicer:
    """Hands out what is left of one part, from several workers at once: interrupted ranges first, then the rest in order."""

    def __init__(self, part: Part, manifest: Manifest, state: Tally) -> None:
        self._part = part
        self._manifest = manifest
        self._lock = Lock()
        self._reopened = [(known, picks) for known, picks in state.reopened if known.part == part.number]
        self._untouched = list(_untouched(part, manifest, state))

    def take(self, count: int) -> Slice | None:
        """Up to ``count`` lines never tried, or an interrupted range whole; ``None`` when nothing is left."""
        with self._lock:
            if self._reopened:
                known, picks = self._reopened.pop()
                lines = self._read(known)[0]
                return Slice(where=known, picks=picks, lines=tuple(lines[pick] for pick in picks))
            if not self._untouched:
                return None
            gap = self._untouched.pop()
            taken = Range(part=gap.part, offset=gap.offset, first=gap.first, items=min(count, gap.items))
            lines, after = self._read(taken)
            if taken.items < gap.items:
                rest = Range(
                    part=gap.part, offset=after, first=gap.first + taken.items, items=gap.items - taken.items
                )
                self._untouched.append(rest)
            return Slice(where=taken, picks=range(taken.items), lines=tuple(lines))

    def _read(self, wanted: Range) -> tuple[list[bytes], int]:
        lines, after = self._manifest.lines(wanted.offset, wanted.items)
        if len(lines) != wanted.items:
            raise VerificationFailed(
                f"the manifest of {self._part.location} is shorter than it was", "return the case"
            )
        return lines, after


def _untouched(part: Part, manifest: Manifest, state: Tally) -> Iterator[Range]:
    """Ranges of a part that no batch took, last first."""
    gaps: list[Range] = []
    line = offset = 0
    for known in [known for known in state.taken if known.part == part.number]:
        if known.first > line:
            gaps.append(Range(part=part.number, offset=offset, first=line, items=known.first - line))
        line = known.first + known.items
        _, offset = manifest.lines(known.offset, known.items)
    if line < part.items:
        gaps.append(Range(part=part.number, offset=offset, first=line, items=part.items - line))
    yield from reversed(gaps)
