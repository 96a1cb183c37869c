"""A site of the product for one round: settings, schedule, ledger, holds; and one run of it as `retention run --execute` does it.

Nothing is left out to be faster: the ledger is on SQLite with its own durability, the canary goes first, holds are in force, and
a round whose certificate does not verify completely is an error, not a number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from flows import running
from flows.clock import clock
from flows.settings import Settings, StoreSettings
from flows.wiring import Site
from retention.holds import Matter, MatterKind, Scope
from retention.outcomes import Outcome
from retention.permissions import Role
from retention.records import Personal
from retention.signing import generate, key_ring
from retention.verify import Result, verify
from storage.ledger.people import Person
from storage.signatures import Signatory

LIBRARY = """\
version = "bench"

[library]
organization = "Cedar Valley Library District"
custodian = "Library Director"
time-zone = "America/Denver"
fiscal-year-start = "07-01"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One run: items destroyed and withheld, seconds to plan, and seconds from the plan to the signed certificate."""

    destroyed: int
    kept_by_holds: int
    planning: float
    destroying: float

    @property
    def seconds(self) -> float:
        return self.planning + self.destroying

    @property
    def rate(self) -> float:
        """Items destroyed per second of the whole run, planning and certificate included."""
        return self.destroyed / self.seconds


@contextmanager
def site(
    folder: Path, schedule: str, stores: Mapping[str, StoreSettings], now: Callable[[], datetime] = clock
) -> Iterator[Site]:
    """A new site whose state lies in ``folder``."""
    folder.mkdir(parents=True)
    policies = folder / "policies.toml"
    policies.write_text(LIBRARY + schedule, encoding="utf-8")
    made = Site(
        Settings(_env_file=None, policies=policies, state_dir=folder / "state", stores=dict(stores)), now
    )
    try:
        made.set_up()
        yield made
    finally:
        made.close()


class _Watch:
    """Notes when planning ended. Progress is asked for and thrown away, as a terminal would draw it."""

    def __init__(self) -> None:
        self.planned_at = 0.0

    def surveying(self, record_type: str, location: str, looked_at: int) -> None:
        self.planned_at = time.monotonic()

    def destroying(self, case: str, done: int, items: int) -> None:
        return None


def carry_out(site: Site) -> Round:
    """Run the schedule for real and verify every certificate it made."""
    watch, began = _Watch(), time.monotonic()
    run = running.run(site, execute=True, watcher=watch)
    ended = time.monotonic()
    destroyed = kept = 0
    for result in run.results:
        if result.error is not None:
            raise result.error
        if result.disposal is None or result.disposal.certificate is None or result.plan is None:
            waiting = "" if result.disposal is None else result.disposal.waiting or result.disposal.failed
            raise AssertionError(f"{result.record_type} destroyed nothing: {waiting}")
        destroyed += result.disposal.counts[Outcome.DESTROYED]
        kept += sum(count for reason, count in result.plan.kept.items() if reason.value == "held")
        _verified(site, site.certifier.path(result.disposal.certificate))
    return Round(
        destroyed=destroyed,
        kept_by_holds=kept,
        planning=watch.planned_at - began,
        destroying=ended - watch.planned_at,
    )


def _verified(site: Site, path: Path) -> None:
    keys = key_ring(*site.signing_keys.history()[-1].keys)
    with path.with_name(path.name.replace(".dsse.json", ".leaves")).open("rb") as leaves:
        report = verify(path.read_bytes(), keys=keys, leaves=leaves)
    if not report.ok or report.steps[5].result is not Result.PASSED:
        raise AssertionError(report.verdict)


def place_holds(site: Site, scopes: Iterable[Scope]) -> int:
    """Place holds as a custodian does, barriers included. Returns how many."""
    by = custodian(site, "custodian")
    placed = 0
    for placed, scope in enumerate(scopes, start=1):
        matter = Matter(number=f"M-{placed}", kind=MatterKind.SUBPOENA, issuing_authority="District Court")
        site.enforcing.place(scope, matter, by)
    return placed


def custodian(site: Site, name: str) -> Signatory:
    """A new custodian with a key of their own."""
    key = generate(name)
    person = Person(
        name=name, full_name=f"A Custodian, {name}", title="Library Director", role=Role.CUSTODIAN, public_key=key.public.text,
        added_at=site.now(),
    )  # fmt: skip
    site.ledger.people.add(person, actor="bench")
    return Signatory(person=person, key=key)


def release_holds(site: Site) -> timedelta:
    """Release every hold as two custodians do. Returns how long they still keep."""
    one, two, grace = custodian(site, "first"), custodian(site, "second"), timedelta(days=1)
    for file in site.ledger.holds.list():
        site.holding.request_release(file.id, one, b"dismissed")
        site.holding.approve_release(file.id, two, grace)
    return 2 * grace


def on_subjects(subjects: Iterable[int], per_hold: int = 2) -> Iterator[Scope]:
    """Holds on patrons, a few each."""
    waiting = [str(subject) for subject in subjects]
    for start in range(0, len(waiting), per_hold):
        yield Scope(subjects=frozenset(Personal(subject) for subject in waiting[start : start + per_hold]))


def on_times(branches: Iterable[str], since: datetime) -> Iterator[Scope]:
    """Holds on a branch and one day: asked of every row, and covering nothing that is due."""
    for branch in branches:
        yield Scope(branches=frozenset({branch}), since=since, until=since + timedelta(days=1))
