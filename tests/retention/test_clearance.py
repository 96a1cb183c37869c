"""Clearance: every way to be short of a person, a day or a brake, against other arithmetic than the product's."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retention.clearance import PEOPLE_NEEDED, Approved, Clearance, clear
from retention.schedule import ApprovalKind, Period

OPENED = datetime(2025, 1, 31, 12, 0, tzinfo=UTC)
MANIFEST, SCHEDULE = "m", "s"
BRAKES = ("jump", "percent", "records")


def approved(
    person: str,
    *,
    id: int = 1,
    hours: float = 0,
    epoch: int = 5,
    lifts: tuple[str, ...] = (),
    manifest: str = MANIFEST,
    schedule: str = SCHEDULE,
    first: bool = True,
) -> Approved:
    return Approved(
        id=id,
        person=person,
        manifest_digest=manifest,
        schedule_digest=schedule,
        epoch=epoch,
        lifts=frozenset(lifts),
        at=OPENED + timedelta(hours=hours),
        first=first,
    )


def cleared(
    *approvals: Approved,
    kind: ApprovalKind = ApprovalKind.STANDING,
    cooling_off: Period | None = None,
    brakes: tuple[str, ...] = (),
    holds_changed: int = 0,
    after: timedelta = timedelta(days=365),
    opened_by: str = "",
    unruled: bool = False,
    extended: date | None = None,
) -> Clearance:
    return clear(
        kind=kind,
        cooling_off=cooling_off or Period(),
        opened_at=OPENED,
        manifest_digest=MANIFEST,
        schedule_digest=SCHEDULE,
        brakes=brakes,
        approvals=approvals,
        holds_changed=holds_changed,
        now=OPENED + after,
        opened_by=opened_by,
        unruled=unruled,
        extended=extended,
    )


def test_second_custodians_alone_clear_nothing() -> None:
    seconds = [approved("b", id=1, first=False), approved("c", id=2, hours=1, first=False)]
    for kind in (ApprovalKind.CUSTODIAN, ApprovalKind.TWO_PERSON):
        assert cleared(*seconds, kind=kind).missing == 1
    assert cleared(seconds[0], kind=ApprovalKind.TWO_PERSON).missing == 1
    braked = [approved("b", lifts=BRAKES, first=False)]
    assert cleared(*braked, brakes=BRAKES).braked
    whole = cleared(*seconds, approved("a", id=3, hours=2), kind=ApprovalKind.TWO_PERSON)
    assert (whole.ready, whole.counted) == (True, (1, 2, 3))


def test_cooling_off_begins_with_the_custodian_who_was_missing() -> None:
    given = [approved("b", id=1, first=False), approved("a", id=2, hours=48)]
    verdict = cleared(
        *given, kind=ApprovalKind.CUSTODIAN, cooling_off=Period(days=1), after=timedelta(hours=49)
    )
    assert verdict.not_before == OPENED + timedelta(hours=72)


def test_who_opened_a_case_counts_for_nothing() -> None:
    verdict = cleared(approved("a", id=1), approved("b", id=2), kind=ApprovalKind.TWO_PERSON, opened_by="a")
    assert (verdict.missing, verdict.void) == (1, ())
    assert cleared(approved("a", lifts=BRAKES), brakes=BRAKES, opened_by="a").braked


def test_a_missing_standing_approval_stops_only_what_rests_on_one() -> None:
    assert cleared(unruled=True).unruled
    assert "standing approval" in cleared(approved("a"), unruled=True).reason
    assert cleared(approved("a"), kind=ApprovalKind.CUSTODIAN, unruled=True).ready


def test_what_was_put_off_waits_whoever_approved() -> None:
    until = date(2025, 6, 1)
    verdict = cleared(approved("a"), approved("b"), kind=ApprovalKind.TWO_PERSON, extended=until)
    assert (verdict.ready, verdict.extended) == (False, until)
    assert "2025-06-01" in verdict.reason


def test_every_kind_of_approval_is_known() -> None:
    assert PEOPLE_NEEDED.keys() == set(ApprovalKind)


people = st.sampled_from("abc")
approvals = st.lists(
    st.builds(
        approved,
        people,
        hours=st.integers(0, 9),
        epoch=st.integers(3, 7),
        lifts=st.lists(st.sampled_from(BRAKES), unique=True).map(tuple),
        manifest=st.sampled_from((MANIFEST, MANIFEST, MANIFEST, "other")),
        schedule=st.sampled_from((SCHEDULE, SCHEDULE, SCHEDULE, "other")),
    ),
    max_size=6,
)


@given(
    given=approvals,
    kind=st.sampled_from(ApprovalKind),
    brakes=st.lists(st.sampled_from(BRAKES), unique=True, max_size=2).map(tuple),
    holds_changed=st.integers(0, 8),
    cooling=st.integers(0, 2),
    now=st.integers(0, 80),
)
@example(
    given=[approved("a"), approved("a", lifts=BRAKES)],
    kind=ApprovalKind.CUSTODIAN,
    brakes=("jump",),
    holds_changed=0,
    cooling=0,
    now=0,
)
def test_a_case_is_ready_exactly_when_enough_people_have_approved_it_as_it_is_and_the_time_is_over(  # noqa: PLR0917  # Hypothesis gives the arguments by name
    given: list[Approved],
    kind: ApprovalKind,
    brakes: tuple[str, ...],
    holds_changed: int,
    cooling: int,
    now: int,
) -> None:
    numbered = [
        Approved(
            id=number,
            person=one.person,
            manifest_digest=one.manifest_digest,
            schedule_digest=one.schedule_digest,
            epoch=one.epoch,
            lifts=one.lifts,
            at=one.at,
        )
        for number, one in enumerate(sorted(given, key=lambda one: one.at), start=1)
    ]
    verdict = cleared(
        *numbered,
        kind=kind,
        brakes=brakes,
        holds_changed=holds_changed,
        cooling_off=Period(days=cooling),
        after=timedelta(hours=now),
    )
    counting = [
        one
        for one in numbered
        if (one.manifest_digest, one.schedule_digest) == (MANIFEST, SCHEDULE)
        and one.epoch >= holds_changed
        and set(brakes) <= one.lifts
    ]
    firsts = sorted({one.person: one.at for one in reversed(counting)}.values())
    needed = max({"standing": 0, "custodian": 1, "two-person": 2}[kind], 1 if brakes else 0)
    enough = len(firsts) >= needed
    since = OPENED if needed == 0 else firsts[needed - 1] if enough else None
    ready = since is not None and OPENED + timedelta(hours=now) >= since + timedelta(days=cooling)
    assert verdict.ready is ready
    assert verdict.ready is (verdict.reason == "")
    if ready:
        assert len({numbered[id - 1].person for id in verdict.counted}) == len(verdict.counted) >= needed
        assert {numbered[id - 1] for id in verdict.counted} <= set(counting)
    else:
        assert verdict.counted == ()
        assert bool(verdict.missing) is not enough
        assert (verdict.not_before is not None) is enough


@pytest.mark.parametrize(
    ("kind", "given", "missing"),
    [
        (ApprovalKind.STANDING, (), 0),
        (ApprovalKind.CUSTODIAN, (), 1),
        (ApprovalKind.CUSTODIAN, (approved("a"),), 0),
        (ApprovalKind.TWO_PERSON, (), 2),
        (ApprovalKind.TWO_PERSON, (approved("a"), approved("a", id=2)), 1),
        (ApprovalKind.TWO_PERSON, (approved("a"), approved("b", id=2)), 0),
    ],
)
def test_four_eyes_are_two_people(kind: ApprovalKind, given: tuple[Approved, ...], missing: int) -> None:
    verdict = cleared(*given, kind=kind)
    assert (verdict.ready, verdict.missing) == (missing == 0, missing)


@pytest.mark.parametrize(
    "void", [approved("a", manifest="x"), approved("a", schedule="x"), approved("a", epoch=5)]
)
def test_an_approval_of_something_else_is_void_and_said_so(void: Approved) -> None:
    verdict = cleared(void, kind=ApprovalKind.CUSTODIAN, holds_changed=6)
    assert (verdict.ready, verdict.void) == (False, ("a",))
    assert "no longer count" in verdict.reason
    assert cleared(approved("a", epoch=6), kind=ApprovalKind.CUSTODIAN, holds_changed=6).ready


def test_one_person_lifts_all_brakes_or_none() -> None:
    halves = (approved("a", lifts=("jump",)), approved("b", id=2, lifts=("records",)))
    verdict = cleared(*halves, brakes=("jump", "records"))
    assert (verdict.ready, verdict.braked, verdict.missing) == (False, True, 1)
    assert "brake" in verdict.reason
    assert cleared(approved("a", lifts=BRAKES), brakes=("jump", "records")).ready


def test_with_two_persons_both_lift_the_brakes() -> None:
    one = (approved("a", lifts=BRAKES), approved("b", id=2))
    assert cleared(*one, kind=ApprovalKind.TWO_PERSON, brakes=BRAKES).missing == 1


def test_the_cooling_off_begins_with_the_approval_that_was_enough() -> None:
    given = (approved("a", hours=1), approved("b", id=2, hours=30), approved("c", id=3, hours=90))
    wait = Period(days=2)
    almost, over = timedelta(hours=77, minutes=59), timedelta(hours=78)
    waiting = cleared(*given, kind=ApprovalKind.TWO_PERSON, cooling_off=wait, after=almost)
    assert waiting.not_before == OPENED + over
    assert "2025-02-03 18:00" in waiting.reason
    assert cleared(*given, kind=ApprovalKind.TWO_PERSON, cooling_off=wait, after=over).ready


def test_a_standing_approval_cools_off_from_the_opening_and_a_month_ends_with_its_month() -> None:
    month = Period(months=1)
    assert not cleared(cooling_off=month, after=timedelta(days=28) - timedelta(seconds=1)).ready
    assert cleared(cooling_off=month, after=timedelta(days=28)).ready
