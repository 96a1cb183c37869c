"""Sealing as a plain function, with or without Prefect. Keys are in the memory of this process while it runs.

Refuses to seal while the kill switch is engaged, or while another run works on the record type.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from flows.running import ACTOR, chosen_types
from flows.wiring import Site
from retention.decide import Criteria
from retention.errors import Refused, RetentionError, UsageError
from retention.schedule import Disposition, RecordType, TreeLocation
from storage.keys.hardening import harden
from storage.ledger.cases import LEASE, Lease
from storage.planning import criteria_for
from storage.sealed.columns_sealing import ColumnSealer
from storage.sealed.sealing import FileSealer
from storage.sealed.sealing_result import Sealing

_PULSE = LEASE.total_seconds() / 4
"""Seconds between two signs of life of the lease."""

Progress = Callable[[str, str, int], object]
"""Told record type, location and how many were sealed so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A location that could not be sealed."""

    record_type: str
    location: str
    error: RetentionError


@dataclass(kw_only=True)
class SealRun:
    """What a run sealed, or would seal, and where it failed."""

    execute: bool
    results: list[Sealing] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def sealed_types(site: Site, names: Iterable[str]) -> list[RecordType]:
    """The record types of these ids that are sealed, or all of them. Raises `UsageError` for one that is not."""
    chosen = chosen_types(site, wanted := list(names))
    for record_type in chosen:
        if wanted and record_type.disposition is not Disposition.CRYPTO_SHRED:
            raise UsageError(
                f"record type {record_type.id} is not sealed by the schedule",
                'seal what has disposition = "crypto-shred"',
            )
    return [one for one in chosen if one.disposition is Disposition.CRYPTO_SHRED]


def seal(
    site: Site,
    *,
    record_types: Iterable[str] = (),
    execute: bool = False,
    progress: Progress = lambda *_: None,
) -> SealRun:
    """Seal what is ready. One location's failure does not keep the others from being sealed. Raises `Refused`, `LedgerUnavailable`."""
    site.ledger.require_ready(site.now())
    chosen = sealed_types(site, record_types)
    if chosen:
        site.keys.require_ready()
    halted = site.ledger.cases.halted()
    if execute and halted is not None:
        raise Refused(
            "the kill switch is engaged: no plaintext is removed", "to go on: retention halt --lift"
        )
    run = SealRun(execute=execute)
    for record_type in chosen:
        try:
            _seal_type(site, record_type, run, progress)
        except RetentionError as error:
            run.failures.append(Failure(record_type=record_type.id, location="", error=error))
    return run


def _seal_type(site: Site, record_type: RecordType, run: SealRun, progress: Progress) -> None:
    if not run.execute:
        _seal_locations(site, record_type, run, progress, lambda: None)
        return
    harden()
    with worked_on(site, record_type.id) as pulse:
        _seal_locations(site, record_type, run, progress, pulse)


@contextmanager
def worked_on(site: Site, record_type: str) -> Iterator[Callable[[], object]]:
    """The lease on a record type, so that nobody destroys or seals there meanwhile. Gives what keeps it alive: call it often.

    Raises `Refused` while another run has it.
    """
    lease = site.ledger.cases.acquire(record_type, at=site.now())
    try:
        yield _Pulse(site, lease)
    finally:
        site.ledger.cases.release(lease, at=site.now())


def _seal_locations(
    site: Site, record_type: RecordType, run: SealRun, progress: Progress, pulse: Callable[[], object]
) -> None:
    for location in record_type.locations:

        def told(count: int, name: str = location.name) -> None:
            progress(record_type.id, name, count)

        try:
            criteria = criteria_for(site.schedule, record_type, location.name, site.today())
            result = _seal_location(site, criteria, execute=run.execute, told=told, pulse=pulse)
        except RetentionError as error:
            run.failures.append(Failure(record_type=record_type.id, location=location.name, error=error))
            continue
        run.results.append(result)
        if run.execute and (result.sealed or result.resumed or result.taken_away):
            counts = {"sealed": result.sealed, "bytes": result.size}
            mended = {"resumed": result.resumed, "taken_away": result.taken_away}
            site.ledger.note(
                "store.sealed",
                actor=ACTOR,
                subject=f"{record_type.id}/{location.name}",
                body={**counts, **mended},
                at=site.now(),
            )


def _seal_location(
    site: Site,
    criteria: Criteria,
    *,
    execute: bool,
    told: Callable[[int], object],
    pulse: Callable[[], object],
) -> Sealing:
    location = criteria.location
    if isinstance(location, TreeLocation):
        files = FileSealer(
            criteria, site.stores.root_of(location.store), site.keys, now=site.now, pulse=pulse
        )
        return files.seal(told) if execute else files.plan(told)
    with closing(site.stores.database(location.store)) as store:
        columns = ColumnSealer(criteria, store, site.keys, now=site.now, pulse=pulse)
        return columns.seal(told) if execute else columns.plan(told)


class _Pulse:
    """Keeps the lease alive while data moves. Called often; writes seldom."""

    def __init__(self, site: Site, lease: Lease) -> None:
        self._site = site
        self._lease = lease
        self._next = time.monotonic() + _PULSE

    def __call__(self) -> None:
        if time.monotonic() >= self._next:
            self._site.ledger.cases.renew(self._lease, at=self._site.now())
            self._next = time.monotonic() + _PULSE
