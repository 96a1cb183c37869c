"""Requests, lapsing, widening and narrowing: nothing that was kept ceases to be kept on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from retention.errors import Refused, StoreUnavailable, UsageError
from retention.holds import CounselVerification, HoldState, MatterKind, Scope
from retention.permissions import Role
from retention.records import Personal
from storage.holding import PROVISIONAL
from storage.ledger.holds import HoldFile
from storage.ledger.ledger import Ledger
from tests.storage.desk import MATTER, NOW, person
from tests.storage.site import Site, about
from tests.storage.test_holding import DOCUMENT, GRACE, Office

VERBAL = replace(MATTER, kind=MatterKind.VERBAL_REQUEST)


@pytest.fixture
def office(ledger: Ledger, tmp_path: Path) -> Office:
    return Office(Site(ledger, tmp_path))


@pytest.fixture
def desk(sqlite_ledger: Ledger, tmp_path: Path) -> Office:
    return Office(Site(sqlite_ledger, tmp_path))


# Requests


def test_an_officers_word_is_recorded_and_keeps_nothing_until_somebody_decides(office: Office) -> None:
    counsel = person(office.site.ledger, "counsel", Role.COUNSEL)
    request = office.holding.request(about("p-1"), VERBAL, counsel)
    assert (request.state, request.requested_by, request.placed_by) == (HoldState.REQUESTED, "counsel", "")
    assert not office.keeps(request)
    office.site.clock.at += timedelta(days=3)
    placing = office.holding.accept(request.id, office.amara)
    assert (placing.state, placing.placed_by, placing.matter) == (HoldState.PLACING, "amara", VERBAL)
    assert placing.placed_at > NOW + timedelta(days=3)
    assert placing.provisional_until is not None
    assert abs(placing.provisional_until - placing.placed_at - PROVISIONAL) < timedelta(seconds=1)
    assert placing.epoch == office.site.ledger.holds.epoch(), "approvals given before are void for it"
    assert office.keeps(request)
    office.enforcing.resume(request.id, actor="keeper")
    with pytest.raises(Refused, match="cannot confirm"):
        office.holding.confirm(request.id, office.amara)
    assert office.holding.confirm(request.id, office.boris).state is HoldState.ACTIVE


def test_a_declined_request_is_kept_on_record_with_its_reason_and_never_placed(office: Office) -> None:
    request = office.holding.request(about("p-1"), VERBAL, office.amara)
    with pytest.raises(UsageError, match="reason"):
        office.holding.decline(request.id, office.amara, " ")
    declined = office.holding.decline(request.id, office.amara, "nothing in writing")
    assert (declined.state, declined.declined_because) == (HoldState.DECLINED, "nothing in writing")
    with pytest.raises(Refused, match="no request"):
        office.holding.accept(request.id, office.amara)
    assert not office.keeps(request)
    assert office.site.ledger.holds.list() == []
    assert [file.id for file in office.site.ledger.holds.list(released=True)] == [request.id]


def test_a_verbal_request_is_not_placed_past_the_record(desk: Office) -> None:
    with pytest.raises(Refused, match="verbal"):
        desk.holding.place(about("p-1"), VERBAL, desk.amara)
    assert desk.site.ledger.holds.list() == []


def test_a_request_that_counsel_rejected_meanwhile_is_not_accepted(desk: Office) -> None:
    request = desk.holding.request(about("p-1"), MATTER, desk.amara)
    counsel = person(desk.site.ledger, "counsel", Role.COUNSEL)
    desk.site.care.verify(request.id, counsel, CounselVerification.REJECTED)
    with pytest.raises(Refused, match="counsel rejected"):
        desk.holding.accept(request.id, desk.amara)


# Lapsing


def lapsed(office: Office) -> HoldFile:
    file = office.placed()
    assert file.provisional_until is not None
    office.site.clock.at = file.provisional_until
    assert office.holding.lapse(GRACE, actor="scheduler") == [file.id]
    return office.site.ledger.holds.get(file.id)


def test_a_hold_that_nobody_confirms_lapses_into_a_grace_period_and_keeps_in_it(office: Office) -> None:
    file = office.placed()
    assert file.provisional_until is not None
    office.site.clock.at = file.provisional_until - timedelta(seconds=1)
    assert office.holding.lapse(GRACE, actor="scheduler") == []
    office.site.clock.at = file.provisional_until
    assert office.holding.lapse(GRACE, actor="scheduler") == [file.id]
    now = office.site.ledger.holds.get(file.id)
    assert (now.state, now.lapsed) == (HoldState.IN_GRACE, True)
    assert office.keeps(file)
    assert office.holding.end_grace(actor="scheduler") == []
    office.site.clock.at += GRACE
    assert office.holding.end_grace(actor="scheduler") == [file.id]
    assert not office.keeps(file)


def test_a_lapsed_hold_can_be_confirmed_by_a_second_person_and_not_prolonged_by_one(office: Office) -> None:
    file = lapsed(office)
    with pytest.raises(Refused, match="lapsed"):
        office.holding.cancel_release(file.id, office.amara)
    with pytest.raises(Refused, match="cannot confirm"):
        office.holding.confirm(file.id, office.amara)
    confirmed = office.holding.confirm(file.id, office.boris)
    assert (confirmed.state, confirmed.grace_until, confirmed.lapsed) == (HoldState.ACTIVE, None, False)
    office.site.clock.at += GRACE * 9
    assert office.holding.lapse(GRACE, actor="scheduler") == []
    assert office.holding.end_grace(actor="scheduler") == []


def test_an_approved_release_is_not_undone_by_confirming(office: Office) -> None:
    file = office.in_grace()
    with pytest.raises(Refused, match="nothing to confirm"):
        office.holding.confirm(file.id, office.chen)


def test_a_confirmed_hold_and_a_sealed_one_do_not_lapse(desk: Office) -> None:
    """Nobody may be reminded of a sealed one."""
    desk.active()
    desk.enforcing.place(about("p-2"), MATTER, desk.amara, sealed=True)
    desk.site.clock.at += PROVISIONAL * 2
    assert desk.holding.lapse(GRACE, actor="scheduler") == []


# Widening


def test_a_wider_scope_keeps_at_once_and_is_effective_when_the_barriers_are_passed(office: Office) -> None:
    file = office.active()
    wider = about("p-1", "p-2")
    placing = office.holding.widen(file.id, wider, office.amara)
    assert (placing.state, placing.scope) == (HoldState.PLACING, wider)
    (seen,) = office.site.ledger.holds.in_force().holds
    assert seen.scope == wider
    assert seen.epoch > file.epoch, "approvals given before are void for it"
    assert office.enforcing.resume(file.id, actor="keeper").file.state is HoldState.ACTIVE


def test_a_provisional_hold_is_provisional_again_after_it_was_widened(office: Office) -> None:
    file = office.placed()
    office.holding.widen(file.id, about("p-1", "p-2"), office.boris)
    again = office.enforcing.resume(file.id, actor="keeper").file
    assert (again.state, again.provisional_until) == (HoldState.PROVISIONAL, file.provisional_until)


def test_a_store_that_is_down_while_a_hold_is_widened_costs_nothing(office: Office) -> None:
    file = office.active()
    office.site.targets["ils"].faults.unreachable = True
    office.holding.widen(file.id, about("p-1", "p-2"), office.amara)
    with pytest.raises(StoreUnavailable, match="written down and keeps"):
        office.enforcing.resume(file.id, actor="amara")
    office.site.targets["ils"].faults.unreachable = False
    for number, subject in enumerate(("p-1", "p-2"), 1):
        office.site.add("loan", number, subject=subject)
    assert office.site.open()[1] is None, "old and new are kept"


def test_whoever_passed_the_barriers_of_the_narrow_scope_does_not_make_the_wide_one_effective(
    office: Office,
) -> None:
    file = office.holding.place(about("p-1"), MATTER, office.amara)
    office.holding.widen(file.id, about("p-1", "p-2"), office.amara)
    with pytest.raises(Refused, match="changed meanwhile"):
        office.holding.take_effect(file, actor="keeper")
    assert office.state(file) is HoldState.PLACING


def test_a_snapshot_is_taken_when_every_store_has_confirmed_it_and_again_when_it_is_widened(
    office: Office,
) -> None:
    file = office.holding.place(about("p-1"), MATTER, office.amara, continuing=False)
    assert file.hold.existing_by is None, "until then it keeps whatever comes"
    office.site.clock.at += timedelta(hours=5)
    first = office.enforcing.resume(file.id, actor="keeper").file
    assert first.taken_at is not None
    assert first.taken_at >= file.placed_at + timedelta(hours=5)
    office.holding.confirm(file.id, office.boris)
    office.site.clock.at += timedelta(days=1)
    assert office.holding.widen(file.id, about("p-1", "p-2"), office.amara).hold.existing_by is None
    second = office.enforcing.resume(file.id, actor="keeper").file
    assert (second.state, second.epoch > first.epoch) == (HoldState.ACTIVE, True)
    assert second.taken_at is not None
    assert second.taken_at >= first.taken_at + timedelta(days=1)
    (held,) = office.site.ledger.holds.in_force().holds
    assert held == second.hold


def test_a_hold_that_continues_has_no_such_moment(desk: Office) -> None:
    file = desk.enforcing.place(about("p-1"), MATTER, desk.amara).file
    assert (file.taken_at, file.revision, file.hold.existing_by) == (None, 0, None)


def test_widening_leaves_nothing_out(desk: Office) -> None:
    file = desk.active()
    for scope in (about("p-2"), about("p-1"), Scope(subjects=frozenset({Personal("p-1")}), since=NOW)):
        if scope != file.scope:
            with pytest.raises((Refused, UsageError)):
                desk.holding.widen(file.id, replace(scope, record_types=frozenset({"sign-ins"})), desk.amara)
    with pytest.raises(Refused, match="does not widen"):
        desk.holding.widen(file.id, file.scope, desk.amara)
    assert desk.site.ledger.holds.get(file.id).scope == file.scope


def test_what_is_being_released_is_not_widened(desk: Office) -> None:
    for file in (desk.requested(), desk.in_grace()):
        with pytest.raises(Refused, match="cannot be widened"):
            desk.holding.widen(file.id, about("p-1", "p-2"), desk.amara)


def test_the_signature_under_a_widening_binds_the_wider_scope(desk: Office) -> None:
    file = desk.active()
    wider = desk.holding.widen(file.id, about("p-1", "p-2"), desk.amara)
    assert wider.actions[-1].statement["body"] == desk.site.ledger.holds.mark(wider)
    assert wider.actions[-1].statement["body"] != desk.site.ledger.holds.mark(file)


# Narrowing


def test_a_hold_is_narrowed_by_another_one_and_keeps_until_its_own_release_is_over(desk: Office) -> None:
    old = desk.holding.confirm(
        desk.enforcing.place(about("p-1", "p-2"), MATTER, desk.amara).file.id, desk.boris
    )
    with pytest.raises(Refused, match="not within"):
        desk.holding.check_narrower(old.id, about("p-3"), desk.amara)
    assert desk.holding.check_narrower(old.id, about("p-1"), desk.amara) == old
    new = desk.enforcing.place(about("p-1"), old.matter, desk.amara, links=[old.id]).file
    desk.holding.request_release(old.id, desk.amara, DOCUMENT)
    assert new.links == (old.id,)
    assert desk.keeps(old)
    assert desk.keeps(new)


def test_what_was_accepted_from_a_verbal_request_is_narrowed_though_counsel_rejects_it(desk: Office) -> None:
    request = desk.holding.request(about("p-1", "p-2"), VERBAL, desk.amara)
    desk.holding.accept(request.id, desk.amara)
    desk.enforcing.resume(request.id, actor="keeper")
    counsel = person(desk.site.ledger, "counsel", Role.COUNSEL)
    desk.site.care.verify(request.id, counsel, CounselVerification.REJECTED)
    old = desk.holding.check_narrower(request.id, about("p-1"), desk.amara)
    for other in (VERBAL, replace(MATTER, counsel=CounselVerification.REJECTED)):
        with pytest.raises(Refused):
            desk.holding.place(about("p-1"), other, desk.amara, instead_of=old)
    ended = replace(old, state=HoldState.DECLINED)
    with pytest.raises(Refused):
        desk.holding.place(about("p-1"), old.matter, desk.amara, instead_of=ended)
    new = desk.holding.narrow(old.id, about("p-1"), desk.amara)
    assert (new.matter, new.links) == (old.matter, (old.id,))
    assert desk.keeps(old)
    assert desk.keeps(new)


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        (Scope(stores=frozenset({"ils"})), Scope(stores=frozenset({"ils"}), since=NOW), True),
        (Scope(since=NOW), Scope(since=NOW - timedelta(1)), False),
        (Scope(since=NOW), Scope(stores=frozenset({"ils"})), False),
        (Scope(since=NOW, margin_before=timedelta(2)), Scope(since=NOW - timedelta(1)), True),
        (Scope(until=NOW), Scope(until=NOW, margin_after=timedelta(1)), False),
        (Scope(cameras=frozenset({"a", "b"})), Scope(cameras=frozenset({"a"})), True),
        (Scope(cameras=frozenset({"a"})), Scope(branches=frozenset({"a"})), False),
        (Scope(branches=frozenset({"a"})), Scope(branches=frozenset({"a", "b"})), False),
    ],
)
def test_a_scope_covers_another_when_it_keeps_all_of_it(wide: Scope, narrow: Scope, covers: bool) -> None:
    assert wide.covers(narrow) is covers
