"""What a certificate says of destroyed keys: which died, what they had sealed, and when the last copy of them is worthless.

Refuses to claim a method for what had been stored unencrypted, and a date while the root key that had wrapped the keys lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date

from retention.decide import Criteria
from retention.errors import VerificationFailed
from retention.facts import Method, Window
from retention.outcomes import CODES, Outcome
from retention.schedule import Disposition, Schedule
from storage.contract import Claim, Sealed, Stores
from storage.keys.values import Erasure
from storage.ledger.cases import Case
from storage.ledger.ledger import Ledger
from storage.planning import criteria_for, store_of

KEY_STORE = "key store"
GONE = "older versions of the destroyed keys, worthless once the root key that had wrapped them was destroyed"
REVIVED = "the destruction of a root key that had wrapped the destroyed keys was cancelled, and they may open again until it is destroyed"
DOUBTFUL = Window(copy="the destroyed keys, which may open again", store=KEY_STORE, until=None)

Witnesses = Mapping[int, Sequence[str]]
"""By part of a case: the transactions in which something was destroyed."""


def witnesses(ledger: Ledger, case: Case) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {part.number: [] for part in case.parts}
    for batch in ledger.batches.settled(case.id):
        if CODES[Outcome.DESTROYED] in batch.codes:
            found[batch.range.part].append(batch.witness)
    return found


def erased(stores: Stores, case: Case, schedule: Schedule, witnesses: Witnesses) -> dict[int, Erasure]:
    """By part: what the keys had sealed that this case destroyed. Empty where nothing was sealed. Raises `StoreUnavailable`."""
    found: dict[int, Erasure] = {}
    for number, sealed, criteria in _sealed_parts(stores, case, schedule):
        erasure = sealed.erasure(criteria, witnesses[number]) if witnesses[number] else None
        if erasure is not None:
            found[number] = erasure
    return found


def doubt(stores: Stores, case: Case, schedule: Schedule, witnesses: Witnesses) -> str:
    """Why what was certified about this case's keys no longer holds; "" when it does. Raises `StoreUnavailable`."""
    for number, sealed, criteria in _sealed_parts(stores, case, schedule):
        why = sealed.doubt(criteria, witnesses[number]) if witnesses[number] else ""
        if why:
            return why
    return ""


def windows(erasures: Iterable[Erasure]) -> list[Window]:
    """The copies of destroyed keys, each with the day from which it is worthless."""
    found = {
        Window(copy=copy, store=KEY_STORE, until=until) for erasure in erasures for copy, until in _copies(erasure)
    }  # fmt: skip
    return sorted(found, key=lambda window: (window.copy, window.until or date.max))


def outlasts(erasures: Iterable[Erasure], day: date | None) -> bool:
    """Whether a root key lives on beyond the day that a certificate gave: its destruction was called back."""
    if day is None:
        return False
    untils = [until for erasure in erasures for _, until in erasure.windows]
    return any(until is None or until > day for until in untils)


def method(claim: Claim, erasure: Erasure | None) -> Method:
    """The weakest over all objects: destroying a key does nothing to what was once stored unencrypted."""
    if erasure is None:
        return Method(claim.method)
    return Method.NONE_CLAIMED if erasure.unsealed_before else Method(erasure.method_cap)


def _copies(erasure: Erasure) -> Sequence[tuple[str, date | None]]:
    if erasure.windows:
        return erasure.windows
    gone = erasure.irrecoverable_from
    return [(GONE, None if gone is None else gone.astimezone(UTC).date())]


def _sealed_parts(stores: Stores, case: Case, schedule: Schedule) -> Iterator[tuple[int, Sealed, Criteria]]:
    record_type = schedule.record_type(case.record_type)
    if record_type.disposition is not Disposition.CRYPTO_SHRED:
        return
    for part in case.parts:
        sealed = store_of(stores, part.store).sealed
        if sealed is None:
            raise VerificationFailed(
                f"store {part.store} keeps nothing sealed, and case {case.id} destroyed its keys",
                "see the settings of the key store",
            )
        yield part.number, sealed, criteria_for(schedule, record_type, part.location, case.on)
