"""`S3Store`: exports, footage and archives in one bucket, or below one prefix of it.

An object is destroyed when every version, delete marker and unfinished upload at its key is gone and a new listing shows nothing
there. It refuses to delete what it has not seen, to bypass or shorten a lock, and to judge what its layout does not recognise.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path

from retention.coverage import Place
from retention.decide import CANNOT_DECIDE, Criteria, Keep, KeepReason
from retention.errors import ScheduleInvalid
from retention.holds import Hold
from retention.outcomes import Fate, Presence
from retention.records import Record
from storage.contract import Claim, Finding, Lines, Pace, Survey
from storage.files.checks import consent_findings
from storage.files.facts import UNRECOGNISED, Facts, NoRegister, Register, tree_location
from storage.rows import survey as rows
from storage.rows.claim import claim as rows_claim
from storage.rows.facts import RowFacts
from storage.rows.lines import is_row, read_row
from storage.s3 import checks, pushing, survey
from storage.s3.batch import S3Batch, presence
from storage.s3.gate import IN_FLIGHT, Gate
from storage.s3.inventory import inventory
from storage.s3.items import shown
from storage.s3.lines import read_key, read_line
from storage.s3.listing import LONGEST_KEY
from storage.s3.locks import Locks
from storage.s3.rewritten import Rewritten
from storage.s3.row_batch import PACE as ROW_PACE
from storage.s3.row_batch import ObjectRowBatch
from storage.s3.row_batch import presence as rows_presence
from storage.s3.row_shelf import ObjectShelf
from storage.s3.survey import Look, Stranger, prefix_of
from storage.s3.wire import Address, Wire

REQUESTS = 8
"""Deleting requests side by side, over all batches: more gave nothing more (measured)."""


class S3Store:
    """A store of kind *s3*. ``state``: a private folder of this store, for what it must remember. ``gate``: one that all machines
    share which work on the bucket, by default in ``state``. ``now``, ``register``: as for files. ``in_flight``: see `storage.s3.gate`.

    Locations whose records are rows inside the objects are left to `ObjectRowBatch` and `ObjectShelf`.
    """

    sealed: None = None

    def __init__(
        self, name: str, address: Address, *, state: Path, now: Callable[[], datetime], gate: Path | None = None,
        in_flight: float = IN_FLIGHT, register: Callable[[], Register] = NoRegister,
    ) -> None:  # fmt: skip
        self._name = name
        self._now = now
        self._register = register
        self._wire = Wire(address)
        self._locks = Locks(self._wire)
        self._state = state
        self._gate = Gate(gate or state / "gate", in_flight=in_flight)
        self._pushed = pushing.Pushed(state / "holds.db")
        self._rewritten = Rewritten(state / "rows.db")
        self._making = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def pace(self) -> Pace:
        """Few batches of many keys: a request takes as long for one as for a thousand."""
        return Pace(workers=8, first=1000, most=4000, seconds=0.8)

    def check(self, criteria: Criteria) -> list[Finding]:
        """Raises `StoreUnavailable`. Reads only: what is said of locks is what `probe` last saw."""
        try:
            facts = Facts(criteria, self._now(), growing=False)
        except ScheduleInvalid as error:
            return [
                Finding(location=criteria.location.name, message=error.message, hint=error.hint, fatal=True)
            ]
        return [
            *checks.layout_findings(criteria, facts),
            *checks.row_findings(criteria, self._wire, self._locks),
            *checks.gate_findings(criteria, self._gate),
            *consent_findings(criteria, self._register()),
            *checks.bucket_findings(criteria, self._wire, self._locks, self._pushed.enforced()),
        ]

    def pace_at(self, criteria: Criteria) -> Pace:
        """How fast one location may be worked on: rows in larger batches, since each writes an object anew."""
        return ROW_PACE if _has_rows(criteria) else self.pace

    def inventory(self) -> Iterator[Place]:
        return inventory(self._wire)

    def survey(
        self,
        criteria: Criteria,
        holds: Sequence[Hold],
        write: Callable[[bytes], object],
        progress: Callable[[int], None],
    ) -> Survey:
        if _has_rows(criteria):
            return rows.survey(self._rows(criteria, holds), criteria, write, progress)
        return survey.survey(self._look(criteria, holds), criteria, write, progress)

    def _rows(self, criteria: Criteria, holds: Sequence[Hold]) -> rows.RowLook:
        facts = RowFacts(criteria, self._now(), self._register(), holds)
        return rows.RowLook(criteria, facts, ObjectShelf(facts, self._locks, self._state, self._rewritten))

    def read(self, criteria: Criteria, key: str) -> Record | None:
        """``key``: below the location's prefix, as `cannot_decide` and manifests write it; a row's is ``key#key``."""
        if _has_rows(criteria):
            return self._rows(criteria, ()).one(key)
        location = tree_location(criteria)
        if not key or len((prefix_of(self._wire, location) + key).encode("utf-8", "replace")) > LONGEST_KEY:
            return None
        return self._look(criteria, ()).one(key)

    def cannot_decide(
        self, criteria: Criteria, holds: Sequence[Hold], limit: int
    ) -> Iterator[tuple[str, KeepReason, str]]:
        left = limit
        if left <= 0:
            return
        if _has_rows(criteria):
            yield from islice(rows.undecidable(self._rows(criteria, holds), CANNOT_DECIDE), limit)
            return
        for seen in self._look(criteria, holds):
            if isinstance(seen, Stranger):
                told = (shown(seen.key), KeepReason.UNDECIDABLE, UNRECOGNISED)
            elif isinstance(decision := seen.judged.decision, Keep) and decision.primary in CANNOT_DECIDE:
                told = (shown(seen.item.key), decision.primary, " ".join(decision.detail))
            else:
                continue
            yield told
            left -= 1
            if left == 0:
                return

    def reference(self, line: bytes) -> str:
        return read_row(line).reference if is_row(line) else read_key(line)

    @contextmanager
    def batch(self, criteria: Criteria) -> Iterator[S3Batch | ObjectRowBatch]:
        with self._gate.entered() as ticket:
            if _has_rows(criteria):
                with self._gate.alone():
                    yield ObjectRowBatch(
                        criteria, self._locks, self._requests(), ticket, self._now, register=self._register(),
                        rewritten=self._rewritten,
                    )  # fmt: skip
                return
            yield S3Batch(
                criteria, self._locks, self._requests(), ticket, self._now(), register=self._register()
            )

    def barrier(self, timeout: float) -> None:
        self._gate.pass_barrier(timeout)

    def preserve(self, criteria: Criteria, holds: Sequence[Hold]) -> int:
        """Puts the bucket's own legal hold on what is held, where it has Object Lock; elsewhere `check` says that it has not.

        Not for rows: it would lock everybody's in the object, for as long as one person's are held.
        """
        if not self._locks.enabled or _has_rows(criteria):
            return 0
        if holds:
            self.probe()
        return pushing.push(self._look(criteria, holds), criteria, holds, self._locks, self._pushed)

    def probe(self) -> None:
        """In a bucket with Object Lock, once: whether the server refuses to delete a locked object."""
        if self._locks.enforced is None and (enforced := self._locks.probe()) is not None:
            self._pushed.remember_probe(enforced=enforced)

    def fate(self, witness: str) -> Fate:
        """A bucket has no transactions: only a read-back can tell."""
        return Fate.NONE

    def presence(self, criteria: Criteria, lines: Lines) -> list[Presence]:
        if _has_rows(criteria):
            surveyed = [read_row(line) for line in lines]
            return rows_presence(criteria, self._wire, self._now(), self._rewritten, surveyed)
        prefix = prefix_of(self._wire, tree_location(criteria))
        return presence(self._wire, prefix, [read_line(line) for line in lines])

    def claim(self, criteria: Criteria) -> Claim:
        if _has_rows(criteria):
            return rows_claim(criteria, in_bucket=True)
        not_claimed = [
            "Replicas in other buckets, regions or accounts, backups and inventories are not covered.",
            "The media of the provider are not sanitised by deleting, and when it reuses their space is not known.",
            "A reader that had begun to fetch an object could go on to its end.",
        ]
        if self._pushed.enforced() is not True:
            not_claimed.append("It was not shown that the store enforces locks of its own on objects.")
        return Claim(
            method="none-claimed",
            technique="every version, delete marker and unfinished upload of the object deleted in the bucket; media not sanitised",
            verification="versions, delete markers and unfinished uploads listed again from the beginning until none was left",
            not_claimed=tuple(not_claimed),
        )

    def close(self) -> None:
        with self._making:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()
        self._wire.close()

    def _look(self, criteria: Criteria, holds: Sequence[Hold]) -> Look:
        return Look(criteria, self._locks, self._state, self._now(), holds, register=self._register())

    def _requests(self) -> ThreadPoolExecutor:
        with self._making:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(REQUESTS, thread_name_prefix=f"s3-{self._name}")
            return self._pool


def _has_rows(criteria: Criteria) -> bool:
    """Whether the records of the location are rows inside its objects."""
    return tree_location(criteria).rows is not None
