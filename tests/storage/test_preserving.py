"""Hold push-down: a placed hold is pushed into every store in scope, after the barrier; what was released is let go of before the next run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from retention.decide import Criteria
from retention.errors import StoreUnavailable
from retention.holds import Hold, HoldState
from storage.ledger.ledger import Ledger
from tests.simulator.store import SimulatorStore
from tests.storage.desk import MATTER, person
from tests.storage.site import SMALL, Site, about

DOCUMENT = b"The court releases the library."


class Vault(SimulatorStore):
    """A store that outlives nothing by itself: it remembers what it was told to preserve, and can be out of order."""

    told: list[tuple[str, ...]]
    fails = False

    def barrier(self, timeout: float) -> None:
        super().barrier(timeout)
        self.told.append(("barrier",))

    def preserve(self, criteria: Criteria, holds: Sequence[Hold]) -> int:
        if self.fails:
            raise StoreUnavailable("the vault does not answer", "see whether it is there")
        self.told.append(("preserve", criteria.location.name, *sorted(hold.id for hold in holds)))
        return len(holds)


class Office:
    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.site = Site(ledger, folder)
        self.vault = Vault(self.site.targets["ils"], name="ils", pace=SMALL)
        self.vault.told = []
        self.site.stores["ils"] = self.vault
        self.amara, self.boris = (person(ledger, name) for name in ("amara", "boris"))


@pytest.fixture
def office(sqlite_ledger: Ledger, tmp_path: Path) -> Office:
    return Office(sqlite_ledger, tmp_path)


def test_placing_pushes_the_hold_down_after_the_barrier_and_before_it_is_effective(office: Office) -> None:
    placed = office.site.enforcing.place(about("p-1"), MATTER, office.amara).file
    assert office.vault.told == [
        ("barrier",),
        ("preserve", "loan", placed.id),
        ("preserve", "aged-loan", placed.id),
    ]
    assert placed.state is HoldState.PROVISIONAL


def test_a_hold_is_pushed_down_with_all_others_that_touch_the_place(office: Office) -> None:
    first = office.site.enforcing.place(about("p-1"), MATTER, office.amara).file
    office.site.enforcing.place(about("p-2", record_type="sign-ins"), MATTER, office.amara)
    office.vault.told.clear()
    second = office.site.enforcing.place(about("p-2"), MATTER, office.amara).file
    assert ("preserve", "loan", *sorted((first.id, second.id))) in office.vault.told


def test_a_push_down_that_fails_leaves_the_hold_placing_and_keeping_until_it_is_resumed(
    office: Office,
) -> None:
    office.site.add("loan", 1, subject="p-1")
    office.vault.fails = True
    with pytest.raises(
        StoreUnavailable, match=r"is written down and keeps, .*the vault does not answer"
    ) as raised:
        office.site.enforcing.place(about("p-1"), MATTER, office.amara)
    assert "--resume" in raised.value.hint
    (file,) = office.site.ledger.holds.list()
    assert file.state is HoldState.PLACING
    planned, case = office.site.open()
    assert (planned.due, case) == (0, None)
    office.vault.fails = False
    assert office.site.enforcing.resume(file.id, actor="amara").file.state is HoldState.PROVISIONAL
    assert ("preserve", "loan", file.id) in office.vault.told


def test_what_was_released_is_let_go_of_before_the_next_run(office: Office) -> None:
    holding, enforcing = office.site.holding, office.site.enforcing
    file = enforcing.place(about("p-1"), MATTER, office.amara).file
    holding.request_release(file.id, office.amara, DOCUMENT)
    holding.approve_release(file.id, office.boris, timedelta(days=1))
    office.vault.told.clear()
    assert enforcing.preserve() == []
    assert ("preserve", "loan", file.id) in office.vault.told, "a hold in grace keeps"
    office.site.clock.at += timedelta(days=2)
    assert holding.end_grace(actor="scheduler") == [file.id]
    office.vault.told.clear()
    assert enforcing.preserve() == []
    assert ("preserve", "loan") in office.vault.told


def test_a_store_that_cannot_be_pushed_into_before_a_run_is_told_and_keeps_no_other_from_it(
    office: Office,
) -> None:
    office.vault.fails = True
    (trouble,) = office.site.enforcing.preserve()
    assert (type(trouble), str(trouble)) == (StoreUnavailable, "the vault does not answer")
