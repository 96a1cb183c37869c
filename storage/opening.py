"""Opening one record of a certificate, while the key of its salts lives; and ending that key's life.

The key is the only thing that links a leaf to a record. It is kept in the spool for as long as the site says, then removed:
every certificate still verifies, and nobody can say any more whose records it covered. Refuses to open what the leaves do not
hold: no outcome is taken from anywhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from retention.errors import Refused, Unavailable, UsageError, VerificationFailed
from retention.leaves import SALT_BYTES, leaf, leaves, salts
from retention.opening import Opening
from retention.outcomes import OUTCOMES, Outcome
from retention.tiles import below
from retention.tree import HASH_BYTES, Root, root, split
from storage.ledger.cases import Case, CaseState
from storage.ledger.certificates import Certificate
from storage.ledger.ledger import Ledger
from storage.letters import final_runs
from storage.spool import Spool

_BLOCK = 1 << 20


def open_record(
    ledger: Ledger, spool: Spool, certificate: Certificate, leaves_file: Path, record: str, *, kids: Sequence[str | None] = (None,)
) -> Opening:  # fmt: skip
    """The proof of one record's outcome. ``record``: ``store/location/key``. ``kids``: key ids it may have been sealed under.

    Takes some microseconds per item of the case and little memory. Raises `Refused` when the key has expired or the record
    is not in the certificate, `Unavailable` when the leaves file is gone.
    """
    case = ledger.cases.get(certificate.case_id)
    if not spool.has_evidence_key(case.id):
        raise Refused(
            f"the records of {certificate.id} can no longer be opened: the key that links them has expired",
            "the certificate itself stays valid",
        )
    key = spool.evidence_key(case.id)
    for found, ordinal, outcome, kid in _matches(ledger, case, key, record, kids):
        with _Leaves(leaves_file) as sorted_leaves:
            index = sorted_leaves.find(found)
            path = sorted_leaves.inclusion(index)
        return Opening(
            envelope=certificate.envelope, record=record, kid=kid, outcome=outcome, salt=salts(key, ordinal, 1), index=index,
            path=path,
        )  # fmt: skip
    raise Refused(
        f"the record is not in {certificate.id}",
        "a record is written store/location/key; see: retention certificate show",
    )


def _matches(
    ledger: Ledger, case: Case, key: bytes, record: str, kids: Sequence[str | None]
) -> Iterator[tuple[bytes, int, Outcome, str | None]]:
    """Every leaf that this record gives: its hash, the item's ordinal, outcome and key id."""
    parts = {part.number: part for part in case.parts if record.startswith(f"{part.store}/{part.location}/")}
    for batch in ledger.batches.settled(case.id, with_leaves=True):
        part = parts.get(batch.range.part)
        if part is None:
            continue
        at = 0
        for run in final_runs(batch.codes):
            first = part.first_ordinal + batch.range.first + run[0]
            outcomes = [OUTCOMES[batch.codes[position]] for position in run]
            there = split(batch.leaves[at : at + HASH_BYTES * len(run)])
            at += HASH_BYTES * len(run)
            for kid in kids:
                made = _made(key, first, record, outcomes, kid)
                for number, (one, other) in enumerate(zip(made, there, strict=True)):
                    if one == other:
                        yield one, first + number, outcomes[number], kid


def _made(key: bytes, first: int, record: str, outcomes: list[Outcome], kid: str | None) -> list[bytes]:
    """The leaves that items from ordinal ``first`` on would have if each were this record."""
    if kid is None:
        return split(leaves(key, first, [record] * len(outcomes), outcomes))
    salted = salts(key, first, len(outcomes))
    return [
        leaf(salted[number * SALT_BYTES : (number + 1) * SALT_BYTES], record, outcome, kid)
        for number, outcome in enumerate(outcomes)
    ]


def expire(ledger: Ledger, spool: Spool, *, keep: timedelta, at: datetime, actor: str) -> list[str]:
    """Remove the keys of cases that ended longer ago than ``keep``. Returns the ids of the cases."""
    expired = []
    for case_id in spool.with_evidence_key():
        try:
            case = ledger.cases.get(case_id)
        except UsageError:
            continue  # being opened just now, or a leftover: the sweep's business
        if case.state is CaseState.CLOSED and case.closed_at is not None and case.closed_at + keep <= at:
            spool.drop_evidence_key(case_id)
            ledger.note("evidence.expired", actor=actor, subject=case_id, body={}, at=at)
            expired.append(case_id)
    return expired


class _Leaves:
    """A leaves file: sorted hashes, looked up and hashed without reading it whole into memory."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise Unavailable(
                f"the leaves file cannot be read: {os.strerror(error.errno or 0)}",
                "restore the evidence folder from its backup",
            ) from None
        self._size = os.fstat(self._file.fileno()).st_size // HASH_BYTES

    def __enter__(self) -> _Leaves:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def find(self, leaf: bytes) -> int:
        low, high = 0, self._size
        while low < high:
            middle = (low + high) // 2
            if self._at(middle) < leaf:
                low = middle + 1
            else:
                high = middle
        if low == self._size or self._at(low) != leaf:
            raise VerificationFailed(
                "the leaves file is not the one that was made", "restore the evidence folder from its backup"
            )
        return low

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        """The path of a leaf, lowest sibling first."""
        path, start, end = [], 0, self._size
        while end - start > 1:
            middle = start + below(end - start)
            if index < middle:
                path.append(self._over(middle, end).hash)
                end = middle
            else:
                path.append(self._over(start, middle).hash)
                start = middle
        return tuple(reversed(path))

    def _at(self, index: int) -> bytes:
        return os.pread(self._file.fileno(), HASH_BYTES, index * HASH_BYTES)

    def _over(self, start: int, end: int) -> Root:
        def blocks() -> Iterator[bytes]:
            at, stop = start * HASH_BYTES, end * HASH_BYTES
            while at < stop and (block := os.pread(self._file.fileno(), min(_BLOCK, stop - at), at)):
                yield block
                at += len(block)

        return root(blocks())
