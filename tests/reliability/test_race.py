"""Holds placed at random moments beside several workers: once one is effective, nothing in scope goes. Zero lost.

Half of them are placed where stores are reached, half through the page, which writes them down: the keeper makes them effective.
"""

from __future__ import annotations

import base64
import math
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from console.web.desk import open_desk
from retention.holds import Matter, MatterKind, Scope
from retention.log_files import LogFolder
from retention.records import Personal
from storage.signatures import Signatory
from tests.reliability.site import ON, TestSite, build, patron
from tests.web.house import Hands, House, listening, served

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
    with pages(made) as page:
        _race(made, page)


def _race(made: TestSite, page: httpx.Client) -> None:
    site = made.site()
    director = site.signatory("director")
    chance = random.Random(331)  # chosen moments, not secrets
    keepers = [made.start("serve", "holds") for _ in range(2)]
    page_places(page, made.patrons + 1, director)  # both are awake, or one at least
    seconds: list[float] = []
    before = made.count("intent")
    run = made.start("run", "--on", ON, "--execute")
    while made.count("intent") == before and run.poll() is None:
        time.sleep(0.005)
    kept: dict[str, set[int]] = {}
    while run.poll() is None and len(kept) < HOLDS:
        number = chance.randrange(made.patrons)
        if len(kept) % 2:
            seconds.append(page_places(page, number, director))
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


@contextmanager
def pages(made: TestSite) -> Iterator[httpx.Client]:
    """The site's pages on a loopback port, with the director signed in."""
    state = made.settings.state_dir
    with listening() as sock:
        desk = open_desk(
            ledger_url=f"sqlite:///{state / 'ledger.db'}", state=state, policies=made.settings.policies, log=LogFolder(state / "log"),
            evidence=state / "evidence", origin=f"http://localhost:{sock.getsockname()[1]}", now=lambda: datetime.now(UTC), grace_days=7,
        )  # fmt: skip
        house = House(desk=desk, clock=Hands())
        with served(desk, sock), house.client("director") as client:
            yield client
        desk.ledger.close()


def on_loans_of(number: int) -> Scope:
    return Scope(record_types=frozenset({"loans"}), subjects=frozenset({Personal(patron(number))}))


def page_places(page: httpx.Client, number: int, by: Signatory) -> float:
    """Fill in the form, sign, and wait until the page says that the hold keeps everywhere. Seconds since the signature was sent."""
    form = {
        "number": MATTER.number, "kind": MATTER.kind.value, "authority": MATTER.issuing_authority, "record_types": "loans",
        "subjects": patron(number), "do": "place",
    }  # fmt: skip
    to_sign = page.post("/holds/new", data=form).headers["location"]
    signature = base64.b64encode(by.key.sign(page.get(f"{to_sign}/statement").content)).decode()
    began = time.monotonic()
    hold = page.post(to_sign, data={"signature": signature}).headers["location"]
    while page.get(f"{hold}/state.json").json()["state"] == "placing":
        assert time.monotonic() < began + 60, "nobody keeps holds"
        time.sleep(0.005)
    return time.monotonic() - began
