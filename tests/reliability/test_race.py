"""Holds placed at random moments beside several workers: once `place` has returned, nothing in scope goes. Zero lost."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from retention.holds import Matter, MatterKind, Scope
from retention.records import Personal
from tests.reliability.site import ON, TestSite, build, patron

MATTER = Matter(number="2026-18", kind=MatterKind.WARRANT, issuing_authority="District Court")
HOLDS = 60


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
    before = made.count("intent")
    run = made.start("run", "--on", ON, "--execute")
    while made.count("intent") == before and run.poll() is None:
        time.sleep(0.005)
    kept: dict[str, set[int]] = {}
    while run.poll() is None and len(kept) < HOLDS:
        name = patron(chance.randrange(made.patrons))
        scope = Scope(record_types=frozenset({"loans"}), subjects=frozenset({Personal(name)}))
        site.enforcing.place(scope, MATTER, director)
        kept[name] = made.loans_left(patron=name)
        time.sleep(chance.uniform(0, 0.05))
    assert run.wait(300) == 0
    site.close()
    with_records = {name: ids for name, ids in kept.items() if any(id % 10 for id in ids)}
    assert len(with_records) >= 5, "too few holds met records that were still there: make the site larger"
    lost = {name: ids - made.loans_left(patron=name) for name, ids in kept.items()}
    assert not any(lost.values()), f"{sum(map(len, lost.values()))} records of {len(kept)} holds were lost"
    assert made.loans_left(due=True) == {id for ids in kept.values() for id in ids if id % 10}
