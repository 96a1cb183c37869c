"""Planning: writes nothing in a store, binds everything it saw, and leaves nothing behind when it fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.errors import LedgerUnavailable, Refused, RetentionError, SettingsError, VerificationFailed
from retention.outcomes import Outcome
from retention.schedule import Limits, RecordType
from storage.contract import Finding, Survey
from storage.ledger.cases import Cases, CaseState, Part
from storage.ledger.ledger import Ledger
from storage.planning import Plan, Planned, brakes, plan
from storage.spool import Spool
from tests.storage.desk import MATTER, part, person
from tests.storage.site import Site, about


@pytest.fixture
def site(ledger: Ledger, tmp_path: Path) -> Site:
    made = Site(ledger, tmp_path)
    for number in range(5):
        made.add("loan", number)
    made.add("aged-loan", 9)
    made.add("loan", 50, days=3)
    return made


def spooled(site: Site) -> list[str]:
    return [path.name for path in site.spool.root.iterdir()] if site.spool.root.exists() else []


def test_a_case_holds_what_was_surveyed(site: Site) -> None:
    planned, case = site.open()
    assert case is not None
    assert (planned.due, planned.population, case.items) == (6, 7, 6)
    assert [one.items for one in case.parts] == [5, 1]
    assert [one.first_ordinal for one in case.parts] == [0, 5]
    assert case.manifest_digest == planned.digest
    assert case.survey["loan"] | {"seconds": 0} == {
        "store": "ils", "due": 5, "records": 5, "withdrawn": 0, "population": 6, "kept": {"not-yet": 1}, "oldest": "2025-04-18", "newest": "2025-04-18",
        "past_maximum": 0, "volume": 0, "seconds": 0, "spread": [{"branch": None, "year": 2025, "records": 5}],
    }  # fmt: skip
    site.spool.verify(case)
    assert spooled(site) == [case.id]
    assert site.left("loan") == ["000", "001", "002", "003", "004", "050"]


def test_a_dry_run_writes_nothing_anywhere(site: Site) -> None:
    before = site.ledger.connection.verify_chain()
    dry = plan(
        ledger=site.ledger, stores=site.stores, spool=site.spool, schedule=site.schedule,
        record_type=site.schedule.record_type("loans"), on=site.today, case_id=None,
    )  # fmt: skip
    assert dry.due == 6
    assert spooled(site) == []
    assert site.ledger.connection.verify_chain() == before
    _, case = site.open()
    assert case is not None
    assert [one.items for one in case.parts] == [one.part.items for one in dry.locations]


def test_nothing_due_opens_no_case_and_says_so(site: Site) -> None:
    planned, case = site.open("sign-ins")
    assert (planned.due, case) == (0, None)
    assert spooled(site) == []
    assert site.ledger.events()[0].kind == "case.nothing-due"


def fail_to_check(site: Site, patch: pytest.MonkeyPatch) -> type[BaseException]:
    def check(_criteria: object) -> list[Finding]:
        return [
            Finding(location="loan", message="there is no such table", hint="see the schedule", fatal=True)
        ]

    patch.setattr(site.stores["ils"], "check", check)
    return Refused


def find_something_fatal_late(site: Site, patch: pytest.MonkeyPatch) -> type[BaseException]:
    really = site.stores["ils"].survey

    def survey(*given: Any) -> Survey:
        found = really(*given)
        found.findings.append(Finding(location="loan", message="a key twice", fatal=True))
        return found

    patch.setattr(site.stores["ils"], "survey", survey)
    return Refused


def miscount(site: Site, patch: pytest.MonkeyPatch) -> type[BaseException]:
    really = site.stores["ils"].survey

    def survey(*given: Any) -> Survey:
        found = really(*given)
        found.due += 1
        return found

    patch.setattr(site.stores["ils"], "survey", survey)
    return VerificationFailed


def lose_the_store(site: Site, _patch: pytest.MonkeyPatch) -> type[BaseException]:
    site.targets["ils"].faults.unreachable = True
    return RetentionError


def forget_its_address(site: Site, _patch: pytest.MonkeyPatch) -> type[BaseException]:
    del site.stores["ils"]
    return SettingsError


def lose_the_ledger(_site: Site, patch: pytest.MonkeyPatch) -> type[BaseException]:
    def open(*_given: object, **_named: object) -> None:
        raise LedgerUnavailable("the ledger does not answer")

    patch.setattr(Cases, "open", open)
    return LedgerUnavailable


def interrupt(site: Site, patch: pytest.MonkeyPatch) -> type[BaseException]:
    def survey(*_given: object) -> Survey:
        raise KeyboardInterrupt

    patch.setattr(site.stores["ils"], "survey", survey)
    return KeyboardInterrupt


@pytest.mark.parametrize(
    "trouble",
    [
        fail_to_check,
        find_something_fatal_late,
        miscount,
        lose_the_store,
        forget_its_address,
        lose_the_ledger,
        interrupt,
    ],
)
def test_whatever_fails_no_case_is_opened_and_no_manifest_stays(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[Site, pytest.MonkeyPatch], type[BaseException]],
) -> None:
    expected = trouble(site, monkeypatch)
    with pytest.raises(expected):
        site.open()
    assert site.ledger.cases.list() == []
    assert spooled(site) == []


def test_a_case_whose_opening_was_written_but_not_answered_keeps_its_manifest(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit arrived, the answer did not. Without its manifest the case could never be finished."""

    def get(_self: Cases, _id: str) -> None:
        raise LedgerUnavailable("the ledger does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Cases, "get", get)
        with pytest.raises(LedgerUnavailable):
            site.open()
    (case,) = site.ledger.cases.list(state=CaseState.STARTED)
    site.spool.verify(case)
    assert site.destroyer.dispose(case.id).counts == {Outcome.DESTROYED: 6}


def test_when_nobody_can_say_whether_the_case_was_opened_the_manifest_stays_until_somebody_can(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_given: object, **_named: object) -> None:
        raise LedgerUnavailable("the ledger does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Cases, "open", unavailable)
        patch.setattr(Cases, "state", unavailable)
        patch.setattr(Spool, "sweep", lambda *_given: None)
        with pytest.raises(LedgerUnavailable):
            site.open()
    assert len(spooled(site)) == 1
    case = site.opened()
    assert spooled(site) == [case.id]


def test_a_process_that_died_between_spool_and_ledger_leaves_nothing_for_long(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    def dead(*_given: object, **_named: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(Cases, "open", dead)
        patch.setattr(Cases, "state", dead)
        patch.setattr(Spool, "discard", dead)
        patch.setattr(Spool, "sweep", lambda *_given: None)
        with pytest.raises(PowerCut):
            site.open()
    assert len(spooled(site)) == 1
    site.open("sign-ins")
    assert spooled(site) == []


def test_a_run_killed_before_it_dropped_an_ended_cases_manifest_leaves_it_to_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "drop_manifests", lambda *_given: None)
        closed = site.destroyer.dispose(site.opened().id).case
    assert closed.state is CaseState.CLOSED
    assert list(site.spool.root.rglob("*.lines"))
    site.open("sign-ins")
    assert not list(site.spool.root.rglob("*.lines"))
    assert len(site.spool.evidence_key(closed.id)) == 32


def test_a_hold_placed_in_the_middle_of_a_plan_keeps_what_was_already_written_down(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    director = person(site.ledger, "director")
    for place in ("loan", "aged-loan"):
        site.add(place, 70, subject="p-7")
    really, seen = site.stores["ils"].survey, []

    def survey(*given: Any) -> Survey:
        seen.append(really(*given))
        if len(seen) == 1:
            site.enforcing.place(about("p-7"), MATTER, director)
        return seen[-1]

    monkeypatch.setattr(site.stores["ils"], "survey", survey)
    planned, case = site.open()
    assert case is not None
    assert [one.part.items for one in planned.locations] == [6, 1], "the second location saw the hold"
    assert case.opened_epoch == 0, "approvals given under this case's own epoch are void"
    assert site.destroyer.dispose(case.id).counts == {Outcome.DESTROYED: 6, Outcome.WITHHELD: 1}
    assert "070" in site.left("loan")
    assert "070" in site.left("aged-loan")


def planned_of(
    record_type: str = "loans",
    on: date = date(2025, 6, 2),
    digest: str = "5c" * 32,
    parts: tuple[Part, ...] = (),
) -> Plan:
    locations = [
        Planned(part=one, survey=Survey(location=one.location, due=one.items, population=100))
        for one in parts
    ]
    return Plan(
        record_type=cast("RecordType", SimpleNamespace(id=record_type, limits=Limits())),
        on=on,
        schedule_digest=digest,
        locations=locations,
    )


def test_the_manifest_digest_changes_with_whatever_a_person_approves() -> None:
    first, second = part(3, content=b"1"), part(4, number=1, first=3, content=b"2")
    same = planned_of(parts=(first, second)).digest
    assert planned_of(parts=(first, second)).digest == same
    others = [
        planned_of("sign-ins", parts=(first, second)),
        planned_of(on=date(2025, 6, 3), parts=(first, second)),
        planned_of(digest="5d" * 32, parts=(first, second)),
        planned_of(parts=(first,)),
        planned_of(parts=(second, first)),
        planned_of(parts=()),
    ]
    for change in (
        {"digest": "0" * 64},
        {"items": 5},
        {"store": "kiosk"},
        {"location": "other"},
        {"number": 2},
    ):
        others.append(planned_of(parts=(first, dataclasses.replace(second, **cast("Any", change)))))
    digests = {other.digest for other in others}
    assert len(digests) == len(others)
    assert same not in digests


@given(
    due=st.integers(0, 200),
    population=st.integers(0, 200),
    records=st.none() | st.integers(0, 200),
    percent=st.none() | st.floats(0, 100),
    jump=st.none() | st.floats(1, 5),
    earlier=st.lists(st.integers(1, 100), max_size=3),
)
def test_a_brake_is_on_exactly_above_its_limit(  # noqa: PLR0917  # Hypothesis gives the arguments by name
    due: int,
    population: int,
    records: int | None,
    percent: float | None,
    jump: float | None,
    earlier: list[int],
) -> None:
    planned = planned_of(parts=(part(due),))
    planned.locations[0].survey.population = population
    planned.record_type = cast(
        "RecordType", SimpleNamespace(id="x", limits=Limits(records=records, percent=percent, jump=jump))
    )
    found = brakes(planned, earlier)
    assert ("records" in found) is (records is not None and due > records)
    assert ("percent" in found) is (percent is not None and due > 0 and due * 100 > percent * population)
    assert ("jump" in found) is (jump is not None and bool(earlier) and due > jump * max(earlier, default=0))
    assert all(found.values())


def test_the_jump_brake_looks_at_the_last_three_executed_cases(ledger: Ledger, tmp_path: Path) -> None:
    site = Site(ledger, tmp_path, limits="records = 1000, jump = 2")
    for size in (9, 2, 1, 2, 4):
        for number in range(size):
            site.add("loan", number)
        case = site.opened()
        assert case.brakes == {}
        assert site.destroyer.dispose(case.id).counts == {Outcome.DESTROYED: size}
        site.clock.at += timedelta(days=1)
    for number in range(9):
        site.add("loan", number)
    assert "any of the last cases (4)" in site.opened().brakes["jump"]
