"""A hold that ended, or keeps less than it did, without the signatures for that: nothing is destroyed, whatever the rows say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from retention.errors import VerificationFailed
from retention.holds import HoldState, Scope
from retention.outcomes import Outcome
from storage.hold_proof import HoldProof
from storage.hold_steps import STATEMENT_TYPE
from storage.ledger.holds import HoldAction, HoldFile
from storage.ledger.ledger import Ledger
from storage.signatures import Signatory
from storage.statements import verify_statements
from tests.storage.desk import MATTER, person
from tests.storage.site import Site

LOANS = Scope(record_types=frozenset({"loans"}))


class Desk:
    """Three due loans under a hold, and a hand that writes as the pages' own role may, with the sealing key."""

    def __init__(self, ledger: Ledger, folder: Path, *, sealed: bool = False) -> None:
        self.ledger = ledger
        self.site = Site(ledger, folder)
        for number in range(3):
            self.site.add("loan", number)
        self.ada, self.bela = person(ledger, "ada"), person(ledger, "bela")
        self.case = self.site.opened("loans")
        placed = self.site.enforcing.place(LOANS, MATTER, self.ada, sealed=sealed, continuing=False)
        self.id = placed.file.id

    @property
    def file(self) -> HoldFile:
        return self.ledger.holds.get(self.id)

    def move(self, to: HoldState, action: HoldAction | None = None, **more: object) -> None:
        now = self.site.clock()
        grace = now + timedelta(days=15) if to is HoldState.IN_GRACE else None
        revised = replace(self.file, **more) if more else None  # type: ignore[arg-type]  # fields of a hold, by name
        self.ledger.holds.move(
            self.file, to=to, actor="ada", at=now, action=action, grace_until=grace, revised=revised
        )

    def step(self, action: str, name: str, by: Signatory) -> HoldAction:
        """Signed by whoever, for whomever."""
        at, file = self.site.clock(), self.file
        said = {"type": STATEMENT_TYPE, "hold": file.id, "action": action, "person": name, "document": None,
                "body": self.ledger.holds.mark(file), "after": len(file.actions), "at": at.isoformat()}  # fmt: skip
        return HoldAction(
            action=action, person=name, document_digest=None, statement=said, signature=by.sign(said).text, epoch=0, at=at
        )  # fmt: skip


@pytest.fixture
def desk(sqlite_ledger: Ledger, tmp_path: Path) -> Desk:
    return Desk(sqlite_ledger, tmp_path)


def released_by_nobody(desk: Desk) -> None:
    desk.move(HoldState.IN_GRACE)
    desk.move(HoldState.RELEASED)


def approved_with_a_key_of_somebody_else(desk: Desk) -> None:
    desk.move(HoldState.RELEASE_REQUESTED, desk.step("request-release", "ada", desk.ada))
    desk.move(HoldState.IN_GRACE, desk.step("approve-release", "bela", desk.ada))
    desk.move(HoldState.RELEASED)


def released_with_what_was_signed_for_another_step(desk: Desk) -> None:
    desk.move(HoldState.RELEASE_REQUESTED, desk.step("request-release", "ada", desk.ada))
    desk.move(HoldState.IN_GRACE, replace(desk.step("confirm", "bela", desk.bela), action="approve-release"))
    desk.move(HoldState.RELEASED)


def narrowed(desk: Desk) -> None:
    desk.move(desk.file.state, scope=Scope(record_types=frozenset({"footage"})))


def narrowed_behind_a_step_that_says_nothing(desk: Desk) -> None:
    bare = replace(desk.step("review", "ada", desk.ada), statement={})
    desk.move(desk.file.state, bare, scope=Scope(record_types=frozenset({"footage"})))


def taken_earlier(desk: Desk) -> None:
    desk.move(desk.file.state, taken_at=desk.file.placed_at - timedelta(days=900))


FORGED = (
    released_by_nobody, approved_with_a_key_of_somebody_else, released_with_what_was_signed_for_another_step, narrowed,
    narrowed_behind_a_step_that_says_nothing, taken_earlier,
)  # fmt: skip


@pytest.mark.parametrize("forged", FORGED)
def test_what_nobody_signed_away_stops_everything(desk: Desk, forged: Callable[[Desk], None]) -> None:
    forged(desk)
    with pytest.raises(VerificationFailed) as caught:
        desk.site.destroyer.dispose(desk.case.id)
    assert desk.id not in str(caught.value)
    assert len(desk.site.left("loan")) == 3
    with pytest.raises(VerificationFailed):
        verify_statements(desk.ledger)


def test_what_two_people_signed_away_is_gone(desk: Desk) -> None:
    desk.site.holding.request_release(desk.id, desk.ada, b"order")
    desk.site.holding.approve_release(desk.id, desk.bela, timedelta(days=1))
    desk.site.clock.at += timedelta(days=2)
    assert desk.site.holding.end_grace(actor="test") == [desk.id]
    assert desk.site.destroyer.dispose(desk.case.id).counts == {Outcome.DESTROYED: 3}


def test_what_nobody_confirmed_in_time_lapses(desk: Desk) -> None:
    desk.site.clock.at += timedelta(days=20)
    assert desk.site.holding.lapse(timedelta(days=1), actor="test") == [desk.id]
    desk.site.clock.at += timedelta(days=2)
    assert desk.site.holding.end_grace(actor="test") == [desk.id]
    assert desk.site.destroyer.dispose(desk.case.id).counts == {Outcome.DESTROYED: 3}


def test_what_was_found_in_order_is_not_verified_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    proof, now = HoldProof(desk.ledger), desk.site.clock()
    proof.require(desk.ledger.holds.in_force(), now)
    monkeypatch.setattr("storage.hold_proof.verify_signed", lambda *_, **__: pytest.fail("verified again"))
    proof.require(desk.ledger.holds.in_force(), now)
    proof.require_all(now)
