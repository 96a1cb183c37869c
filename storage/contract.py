"""What every store promises. One small protocol; one contract test suite that every store passes.

A store surveys, reads, takes part in a batch of the choke point (`storage.destroy`), and reads back. It never decides
on its own what is due: it is given the criteria of the case and the holds in force, and may only shrink what it is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol, runtime_checkable

from retention.coverage import Place
from retention.decide import Criteria, KeepReason
from retention.holds import Hold
from retention.outcomes import Fate, Presence
from retention.records import Record
from storage.keys.values import Erasure

Lines = Sequence[bytes]
"""Items of a manifest: one JSON value per item, without the newline, as the store's survey wrote them.

A row is its key (``123`` or ``"a-b"``); a file is an array (relative path, identity, span …) of the store's own making.
Lines may hold personal data (a file name): they live in the case's spool only, never in the ledger, a log or an error.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem with a location that a person must look at: a missing table, an unrecognised file, a cascading key.

    ``fatal``: nothing may be destroyed at this location until it is solved. ``count`` items are concerned.
    """

    location: str
    message: str
    hint: str = ""
    count: int = 1
    fatal: bool = False


@dataclass(kw_only=True)
class Survey:
    """What a survey of one location found. ``kept`` counts by primary reason; ``due`` = lines written to the manifest.

    ``population``: all records at the location. ``oldest``: earliest trigger day among the due ones, ``past_maximum`` how
    many of them are past their maximum. ``held_oldest``, ``held_newest``: the same days of those that a hold keeps which is not
    sealed, where they have one. ``volume``: bytes (files) or 0. ``seconds``: footage length or 0.
    ``together``: records that the due lines stand for, where a line is many that go at once (sealed under one key); else 0.
    ``withdrawn``: due lines that go before the end of their minimum, because somebody entitled withdrew them. ``spread``: records
    that are due by branch and year of their trigger; ``None`` where a location names no branch, or a year is not known.
    """

    location: str
    due: int = 0
    population: int = 0
    kept: Counter[KeepReason] = field(default_factory=Counter)
    oldest: date | None = None
    newest: date | None = None
    held_oldest: date | None = None
    held_newest: date | None = None
    past_maximum: int = 0
    volume: int = 0
    seconds: float = 0.0
    together: int = 0
    withdrawn: int = 0
    spread: Counter[tuple[str | None, int | None]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def records(self) -> int:
        """How many records are due: what limits and people count."""
        return self.together or self.due

    def note_due(self, *days: date) -> None:
        """Trigger days of due records."""
        self.oldest = min(days if self.oldest is None else (self.oldest, *days))
        self.newest = max(days if self.newest is None else (self.newest, *days))

    def note_held(self, *days: date) -> None:
        """Trigger days of records that an open hold keeps."""
        self.held_oldest = min(days if self.held_oldest is None else (self.held_oldest, *days))
        self.held_newest = max(days if self.held_newest is None else (self.held_newest, *days))


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Step 5 of a batch: what is about to go. Nothing has left the store yet.

    ``chosen``: indexes into the batch's lines, ascending. ``absent``: indexes that are already gone. Every other index is
    withheld (no longer due, held, blocked, changed since the survey). ``witness``: what `Store.fate` needs after a crash to
    tell whether the transaction committed ("" where a store has none); opaque, no personal data.
    """

    chosen: tuple[int, ...]
    absent: tuple[int, ...] = ()
    witness: str = ""


class Batch(Protocol):
    """One batch, inside the shared hold gate of its store. Made by `Store.batch`, used as a context manager.

    Leaving the context without `destroy` leaves everything as it was. Only `storage.destroy` may call these methods.
    """

    def stage(self, lines: Lines, holds: Iterable[Hold]) -> Staged:
        """Step 5. Choose among ``lines`` what is still due under the criteria, present, unchanged, and not held.

        ``holds`` were read from the ledger after the gate was taken. Called once per batch.
        """
        ...

    def destroy(self) -> None:
        """Step 7. Destroy what was staged and commit. Raises `StoreUnavailable` when the result is uncertain."""
        ...

    def read_back(self) -> list[Presence]:
        """Step 8. In a fresh view, one answer per chosen index, in order; dependents of the record included."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a store can honestly say about its destroying: goes to the certificate.

    ``method``: clear | purge | destroy | de-identify | none-claimed (NIST SP 800-88 words; deleting rows or unlinking files
    sanitises no medium, so it claims none). ``not_claimed``: sentences for the certificate.
    """

    method: str
    technique: str
    verification: str
    not_claimed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a store may be worked on. Batches grow and shrink to take about ``seconds``.

    ``workers``: batches side by side. ``first``/``most``: items of the first and of the largest batch. ``rest``: pause after a
    batch as a share of the time it took (0 = none), for a database that serves the public meanwhile.
    """

    workers: int = 2
    first: int = 1000
    most: int = 10_000
    seconds: float = 0.25
    rest: float = 0.0


class Sealed(Protocol):
    """What a store can be asked about records that it keeps sealed, each under a key of its own making."""

    def kids(self, criteria: Criteria, lines: Lines) -> list[str | None]:
        """The ids of the keys that these items live and die with, destroyed or not; ``None`` for an item that is not sealed."""
        ...

    def erasure(self, criteria: Criteria, witnesses: Sequence[str]) -> Erasure | None:
        """What the keys destroyed in these batches had sealed, and what copies of them live on. Raises `StoreUnavailable`.

        ``None`` where this location is not sealed.
        """
        ...

    def doubt(self, criteria: Criteria, witnesses: Sequence[str]) -> str:
        """Why what was certified about these batches no longer holds; "" when it does."""
        ...

    def epoch(self) -> int:
        """Grows with every change of keys. A smaller one later: the key store was restored to an older state."""
        ...

    def remove_unreadable(self, criteria: Criteria) -> int:
        """Remove ciphertext whose key is destroyed: nobody can read it. Returns how much. Only `storage.destroy` may call it."""
        ...


class Store(Protocol):
    """A place where records live."""

    @property
    def name(self) -> str: ...

    @property
    def sealed(self) -> Sealed | None:
        """The sealed side of this store; ``None`` where records are kept as they are."""
        ...

    @property
    def pace(self) -> Pace:
        """How fast this store may be worked on."""
        ...

    def check(self, criteria: Criteria) -> list[Finding]:
        """Look whether the location is as the schedule says. Raises `StoreUnavailable`."""
        ...

    def inventory(self) -> Iterator[Place]:
        """Everything in the store where records may live, whatever the schedule says of it: names, never contents.

        Raises `StoreUnavailable`.
        """
        ...

    def survey(
        self,
        criteria: Criteria,
        holds: Sequence[Hold],
        write: Callable[[bytes], object],
        progress: Callable[[int], None],
    ) -> Survey:
        """Count everything at the location by decision and write a line (with newline) per due item, in a stable order.

        ``write`` may be called with many whole lines at once. ``progress``: number of records looked at so far.
        """
        ...

    def read(self, criteria: Criteria, key: str) -> Record | None:
        """One record by its key as a person gives it, with what a decision needs; ``None`` when there is none."""
        ...

    def cannot_decide(
        self, criteria: Criteria, holds: Sequence[Hold], limit: int
    ) -> Iterator[tuple[str, KeepReason, str]]:
        """Up to ``limit`` records that nobody can decide on: key, reason, detail. For a person's terminal only."""
        ...

    def reference(self, line: bytes) -> str:
        """The item's key as text: what its leaf in the certificate commits to (salted, never in the clear)."""
        ...

    def batch(self, criteria: Criteria) -> AbstractContextManager[Batch]:
        """Open a batch: takes the shared gate of this store, in the target itself, before it returns (step 4)."""
        ...

    def barrier(self, timeout: float) -> None:
        """Take and release the exclusive gate: returns when every batch that was open has ended.

        Raises `StoreUnavailable` when that takes more than ``timeout`` seconds or the store cannot be reached.
        """
        ...

    def preserve(self, criteria: Criteria, holds: Sequence[Hold]) -> int:
        """Hold push-down: make what these holds keep at this location outlast whatever else could end it.

        ``holds``: all that are in force and touch the record type and the store, so that what no hold keeps any more is
        let go of. May be called again at any time: when a hold is placed (after `barrier`), when one was released, before
        every run. Returns how many items it changed; 0 where a store keeps held records simply by not destroying them.
        Raises `StoreUnavailable` when it is not known to be complete.
        """
        ...

    def fate(self, witness: str) -> Fate:
        """What became of an interrupted batch. Call only after `barrier`."""
        ...

    def presence(self, criteria: Criteria, lines: Lines) -> list[Presence]:
        """Read back these items, as `Batch.read_back` does, outside any batch. One answer per line."""
        ...

    def claim(self, criteria: Criteria) -> Claim:
        """What a certificate may say of a destruction here."""
        ...

    def close(self) -> None:
        """Let go of connections. May be called twice."""
        ...


@runtime_checkable
class Paced(Protocol):
    """A store whose locations are not all worked on alike."""

    def pace_at(self, criteria: Criteria) -> Pace:
        """How fast this location may be worked on."""
        ...


def pace_of(store: Store, criteria: Criteria) -> Pace:
    """How fast a location may be worked on."""
    return store.pace_at(criteria) if isinstance(store, Paced) else store.pace


@runtime_checkable
class Copying(Protocol):
    """A store whose held records are edited where they are: what stands in them is copied out (`storage.files.row_vault`)."""

    def copies(self, criteria: Criteria, holds: Sequence[Hold]) -> Iterator[Sequence[bytes]]:
        """The content of one copy for each record at the location that one of these holds keeps, some at a time.

        The same record in the same state makes the same bytes. Raises `StoreUnavailable`.
        """
        ...


def copies_of(store: Store, criteria: Criteria, holds: Sequence[Hold]) -> Iterator[Sequence[bytes]]:
    """Nothing, of a store that does not copy."""
    return store.copies(criteria, holds) if isinstance(store, Copying) else iter(())


@runtime_checkable
class Probing(Protocol):
    """A store that can try whether its server keeps a promise that holds rest on."""

    def probe(self) -> None:
        """Put a canary, try to destroy it against the promise, remove it, and remember the result for `Store.check`.

        Writes, so it is no part of a check or a dry run. Raises `StoreUnavailable`.
        """
        ...


Stores = Mapping[str, Store]
