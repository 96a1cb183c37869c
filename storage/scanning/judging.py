"""From counts to a finding: whether a file holds personal data. Pure arithmetic on counts, so that it can be argued about.

One hit of a weak kind is no finding: numbers that look like telephone numbers are everywhere. What a column's name and its values say
together counts more than either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from storage.scanning.columns import Sampled
from storage.scanning.patterns import Kind, Patterns
from storage.scanning.reading import Text

COUNTED = 1000
"""Different values of a kind that are counted; more make no difference to anybody, and take most of the time."""
ENOUGH: Mapping[Kind, int] = {
    Kind.BARCODE: 1,
    Kind.EMAIL: 2,
    Kind.PHONE: 3,
    Kind.ADDRESS: 3,
    Kind.BIRTH_DATE: 1,
}
"""How many different values of a kind make a finding by themselves, in text without columns."""
PASSING = 0.5
"""Share of barcode-like numbers that have to pass their check digit: of any other numbers one in ten does."""
STRONG = frozenset({Kind.BARCODE, Kind.EMAIL, Kind.PHONE, Kind.BIRTH_DATE, Kind.ADDRESS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a file holds: how many different values of each kind were seen, and the columns named so. No value."""

    kinds: Mapping[Kind, int] = field(default_factory=dict)
    columns: Mapping[Kind, int] = field(default_factory=dict)
    sampled: bool = False

    @property
    def personal(self) -> bool:
        return bool(self.kinds)


class Tally:
    """Counts the different values of each kind, block by block, until there are enough. Holds hashes of them while it lives."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns
        self._values: dict[Kind, set[int]] = {}
        self._tried: Counter[Kind] = Counter()
        self._seen: Counter[Kind] = Counter()
        self._enough: set[Kind] = set()

    def add(self, block: bytes) -> None:
        for kind, hits in self._patterns.candidates(block, self._enough).items():
            known = self._values.setdefault(kind, set())
            self._seen[kind] += len(hits)
            for hit in set(hits):
                self._tried[kind] += 1
                if self._patterns.confirms(kind, hit.decode("latin-1").strip()):
                    known.add(hash(hit))
            if len(known) >= COUNTED or (kind is Kind.ADDRESS and self._seen[kind] >= COUNTED):
                self._enough.add(kind)

    def counts(self) -> Mapping[Kind, int]:
        found = {kind: len(values) for kind, values in self._values.items() if values}
        barcodes = found.get(Kind.BARCODE, 0)
        if barcodes < PASSING * self._tried[Kind.BARCODE]:
            found.pop(Kind.BARCODE, None)
        return found


def judge(text: Text, patterns: Patterns, blocks: Iterable[bytes]) -> Found:
    """What a file holds. ``blocks``: those of the text. Raises `storage.scanning.reading.Opaque`, ``OSError``."""
    tally = Tally(patterns)
    for block in blocks:
        tally.add(block)
    sampled = Sampled(text.headers, patterns)
    width = len(text.headers)
    for row in text.rows:
        if len(row) == width:
            sampled.add(row)
    kinds = combine(tally.counts(), sampled.borne_out(), has_columns=bool(text.headers))
    return Found(kinds=kinds, columns=sampled.borne_out(), sampled=text.sampled)


def combine(
    counted: Mapping[Kind, int], columns: Mapping[Kind, int], *, has_columns: bool
) -> Mapping[Kind, int]:
    """The rule. In files with columns an address needs a column that says so, or company: titles of books look like streets."""
    kinds = {kind: count for kind, count in counted.items() if count >= ENOUGH[kind]}
    if Kind.ADDRESS in kinds and Kind.ADDRESS not in columns and not (STRONG - {Kind.ADDRESS}) & kinds.keys():
        del kinds[Kind.ADDRESS]
    if has_columns and set(kinds) == {Kind.PHONE} and Kind.PHONE not in columns and kinds[Kind.PHONE] < 10:
        del kinds[Kind.PHONE]
    person = columns.keys() >= {Kind.NAME, Kind.IDENTIFIER}
    contact = len(columns) >= 2 and bool(STRONG & columns.keys())
    if person or contact or columns.keys() & {Kind.BARCODE, Kind.EMAIL}:
        for kind, count in columns.items():
            kinds[kind] = max(count, kinds.get(kind, 0))
    return kinds
