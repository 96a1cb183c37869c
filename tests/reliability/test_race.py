"""Holds placed at random moments beside several workers: once one is effective, nothing in scope goes. Zero lost.

Half of them are placed where stores are reached, half as a page does it: written down, and made effective by the keeper.
"""

from __future__ import annotations

import math
import random
import time
from pathlib import Path

import pytest

from flows.wiring import Site
from retention.holds import HoldState, Matter, MatterKind, Scope
from retention.records import Personal
from storage.signatures import Signatory
from tests.reliability.site import ON, TestSite, build, patron

MATTER = Matter(number="2026-18", kind=MatterKind.WARRANT, issuing_authority="District Court")
HOLDS = 60
SOON = 1.0
"""Seconds within which a page's hold is effective, in 99 of 100 cases."""


@pytest.mark.postgresql
def test_no_hold_is_lost_beside_several_workers_on_postgresql(postgresql_url: str, tmp_path: Path) -> None:
    race(build(tmp_path, postgresql_url, loans=50_000, files=500, patrons=1_000))


@pytest.mark.mariadb
def test_no_hold_is_lost_beside_several_workers_on_mariadb(mariadb_url: str, tmp_path: Path) -> None:
    race(build(tmp_path, mariadb_url, loans=30_000, files=500, patrons=1_000))


def test_no_hold_is_lost_beside_several_workers_on_sqlite(tmp_path: Path) -> None:
    race(build(tmp_path, f"sqlite:///{tmp_path / 'ils.db'}", loans=30_000, files=500, patrons=1_000))


def race(made: TestSite) -> None:
    site = made.site()
    director = site.signatory("director")
    chance = random.Random(331)  # chosen moments, not secrets
    keepers = [made.start("serve", "holds") for _ in range(2)]
    seconds: list[float] = [page_places(site, made.patrons + 1, director)]  # both are awake, or one at least
    before = made.count("intent")
    run = made.start("run", "--on", ON, "--execute")
    while made.count("intent") == before and run.poll() is None:
        time.sleep(0.005)
    kept: dict[str, set[int]] = {}
    seconds.clear()
    while run.poll() is None and len(kept) < HOLDS:
        number = chance.randrange(made.patrons)
        if len(kept) % 2:
            seconds.append(page_places(site, number, director))
        else:
            site.enforcing.place(on_loans_of(number), MATTER, director)
        kept[patron(number)] = made.loans_left(patron=patron(number))
        time.sleep(chance.uniform(0, 0.05))
    assert run.wait(300) == 0
    for keeper in keepers:
        keeper.terminate()
    assert [keeper.wait(5) for keeper in keepers] == [0, 0]
    effective = [
        event.subject for event in site.ledger.events(limit=10_000) if event.kind == "hold.provisional"
    ]
    assert len(effective) == len(set(effective)), "two keepers, and each hold became effective once"
    site.close()
    with_records = {name: ids for name, ids in kept.items() if any(id % 10 for id in ids)}
    assert len(with_records) >= 5, "too few holds met records that were still there: make the site larger"
    lost = {name: ids - made.loans_left(patron=name) for name, ids in kept.items()}
    assert not any(lost.values()), f"{sum(map(len, lost.values()))} records of {len(kept)} holds were lost"
    assert made.loans_left(due=True) == {id for ids in kept.values() for id in ids if id % 10}
    assert len(seconds) >= 5
    assert sorted(seconds)[math.ceil(len(seconds) * 0.99) - 1] <= SOON, (
        f"effective after {sorted(seconds)[-3:]} s"
    )


def on_loans_of(number: int) -> Scope:
    return Scope(record_types=frozenset({"loans"}), subjects=frozenset({Personal(patron(number))}))


def page_places(site: Site, number: int, by: Signatory) -> float:
    """Place with the ledger alone and wait until somebody has made it effective. Seconds."""
    began = time.monotonic()
    file = site.holding.place(on_loans_of(number), MATTER, by)
    while site.ledger.holds.get(file.id).state is HoldState.PLACING:
        assert time.monotonic() < began + 60, "nobody keeps holds"
        time.sleep(0.005)
    return time.monotonic() - began
