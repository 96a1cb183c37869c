"""How a store is plugged into the contract suite.

A *harness* builds one target (a folder, a database) from abstract seeds, opens the store under test on it, and lets the
suite act behind the store's back. It decides nothing and knows no expectation: those are in `tests.contract.test_contract`.

To plug a store in:

1. Write a class with the methods of `StoreHarness`, and a function ``build(request, folder, seeds) -> StoreHarness``.
   ``folder`` is empty and private to the test. A server comes from ``request.getfixturevalue("postgresql")`` or the like;
   make a fresh database, or a fresh schema, per build.
2. Export ``HARNESSES: tuple[HarnessFactory, ...]`` from ``tests/contract/harness_sql.py`` or ``harness_files.py``; one
   factory per engine, disposition and layout that deserves a run of the whole suite. `tests.contract.conftest` lists them.
3. Make the location with whatever names and columns the store needs, then get the criteria from `criteria_for`: all
   harnesses share its record type (minimum 30 days, maximum 60, cutoff by day), so that expectations are the suite's.

Rules for the target:

- A seed's record has exactly ``trigger`` as its trigger (aware, whole seconds, UTC); `ZONE` is the library's zone, use it
  for the location too unless the layout itself is in UTC. ``None`` comes only to stores that support ``undated``.
- ``blocked``: make ``Location.blocked`` true for the record, or give it a row of a blocking relation.
- A fact that the store does not support (``subject``, ``camera``, ``branch``, ``blocked``) is never given in a seed.
- Where a store supports cameras every seed has one, out of `CAMERAS`; a seed with camera and branch has the camera's own.
- ``number`` is distinctive (seven digits) and unique; two seeds never share both camera and second. Put the number into
  the key and, where the store has any, into personal columns or the content: the suite looks for it in every error.
- Methods that act behind the store's back open their own connection, commit before they return, may be called from any
  thread, wait at least 20 s for a lock, and do not mind finding nothing to change. The suite never writes behind the
  back of an open batch from the batch's own thread; ``exists`` it does call there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

import pytest

from retention.decide import Criteria
from retention.schedule import (
    ApprovalKind,
    Authority,
    Cutoff,
    Disposition,
    Library,
    Limits,
    Period,
    RecordType,
    Rule,
    TableLocation,
    TreeLocation,
)
from storage.contract import Store

ZONE = ZoneInfo("America/Chicago")
ON = date(2025, 6, 2)
MINIMUM_DAYS = 30
MAXIMUM_DAYS = 60

CAMERAS = {"front-door": "main", "stacks": "east"}
"""The cameras of the suite and the branches they stand in."""

LIBRARY = Library(
    organization="Prairie Creek Library District",
    custodian="Library Director",
    zone=ZONE,
    fiscal_year_start=(7, 1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One record, described without saying where it lives."""

    number: int
    trigger: datetime | None
    subject: str | None = None
    camera: str | None = None
    branch: str | None = None
    blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Supports:
    """What a store can be asked about; the suite leaves out what it cannot.

    ``subjects``: records are tied to a patron (``Location.subject`` names a column). ``cameras``/``branches``: records
    carry one. ``spans``: the span of a record is known and within a day of its trigger. ``blocking``: a record can be
    blocked. ``undated``: the trigger can be missing. ``transactions``: `Store.fate` answers committed or rolled back.
    ``purges``: what is destroyed is gone (false: it stays, de-identified, and counts as *done*). ``tells``: `Store.read` gives
    subject, camera and branch (false: they are sealed, and only the push-down of holds sees them).
    """

    subjects: bool = False
    cameras: bool = False
    branches: bool = False
    spans: bool = False
    blocking: bool = False
    undated: bool = False
    transactions: bool = False
    purges: bool = True
    tells: bool = True


class StoreHarness(Protocol):
    """One target, the store under test on it, and hands behind its back."""

    @property
    def store(self) -> Store:
        """The store under test. The same object at every call."""
        ...

    def reopen(self) -> Store:
        """Another store object on the same target, sharing nothing with the first: another worker, another process."""
        ...

    def criteria(self, on: date) -> Criteria:
        """The criteria of the one location on that day: `criteria_for` with this harness's location."""
        ...

    def key(self, number: int) -> str:
        """The key of a record as a person gives it on the command line. Also for numbers that were never seeded."""
        ...

    def number(self, line: bytes) -> int:
        """Which seed a manifest line (without its newline) is about."""
        ...

    def exists(self, number: int) -> bool:
        """Look straight at the target: is the record (where it is de-identified: its personal data) still there?"""
        ...

    def change(self, number: int) -> None:
        """Make the record no longer the surveyed one: its trigger moves past the day, its content is replaced."""
        ...

    def remove(self, number: int) -> None:
        """Take the record away, wholly, as somebody else would."""
        ...

    def restore(self, number: int) -> None:
        """Put a seeded record back as it was seeded, after it was destroyed or removed."""
        ...

    def add(self, seed: Seed) -> None:
        """Add one more record. Where keys are in order of age or number, it may land anywhere among the others."""
        ...

    def ruin(self) -> None:
        """Make the target unusable for stores opened already and later: drop the table, put a file in the folder's place."""
        ...

    def close(self) -> None:
        """Close every store and remove what `build` made outside its folder. May be called twice, also after `ruin`."""
        ...


Build = Callable[[pytest.FixtureRequest, Path, Sequence[Seed]], StoreHarness]


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessFactory:
    """``label`` names the test; ``marks``: pytest marks the test needs (``pytest.mark.postgresql``)."""

    label: str
    supports: Supports
    build: Build
    marks: tuple[pytest.MarkDecorator, ...] = ()


def criteria_for(
    location: TableLocation | TreeLocation, on: date, disposition: Disposition = Disposition.PURGE
) -> Criteria:
    """The record type of the suite at that location: due from the 31st day after its trigger, late after the 60th."""
    rule = Rule(
        id="finished",
        authority=Authority(citation="Policy 4.2"),
        minimum=Period(days=MINIMUM_DAYS),
        maximum=Period(days=MAXIMUM_DAYS),
    )
    record_type = RecordType(
        id="contract-suite",
        title="Contract suite",
        description="Invented records of the contract suite",
        owner="Circulation",
        personal_data=(),
        trigger_event="finished",
        cutoff=Cutoff.DAY,
        rules=(rule,),
        disposition=disposition,
        approval=ApprovalKind.STANDING,
        cooling_off=Period(),
        limits=Limits(),
        effective_from=date(2020, 1, 1),
        effective_until=None,
        locations=(location,),
    )
    return Criteria(record_type=record_type, location=location, library=LIBRARY, on=on)
