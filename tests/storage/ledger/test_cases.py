"""Cases: opened whole, begun once, ended once; what was destroyed ends in a certificate or not at all. Kill switch and clock."""

from __future__ import annotations

from datetime import timedelta

import pytest

from retention.errors import LedgerUnavailable, Refused, UsageError
from storage.ledger.cases import CaseState
from storage.ledger.ledger import CLOCK_TOLERANCE, Ledger
from storage.ledger.people import SignedDecision
from tests.storage.desk import (
    NOW,
    begun,
    certificate,
    concluded,
    intended,
    opened,
    part,
    person,
)


def test_a_case_is_read_as_it_was_written(ledger: Ledger) -> None:
    parts = (part(3), part(2, number=1, first=3, content=b"1\n2\n"))
    case = opened(ledger, parts=parts)
    assert (case.parts, case.items, case.state) == (parts, 5, CaseState.STARTED)
    assert case.opened_at == NOW
    assert (case.closed_at, case.destroying_since, case.cleared_by) == (None, None, ())
    assert ledger.cases.list(state=CaseState.STARTED, record_type="loans") == [case]
    assert ledger.cases.list(state=CaseState.CLOSED) == []
    assert ledger.cases.schedule_text(case.schedule_digest) == "# frozen"


def test_a_manifest_of_more_than_two_gigabytes_fits(ledger: Ledger) -> None:
    huge = part(10)
    huge = type(huge)(
        number=0, location="l", store="s", items=10, first_ordinal=0, length=5 * 2**32, digest=huge.digest
    )
    assert opened(ledger, parts=(huge,)).parts[0].length == 5 * 2**32


def test_what_the_ledger_does_not_know_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="no case"):
        ledger.cases.get("C1")
    with pytest.raises(LedgerUnavailable, match="no schedule"):
        ledger.cases.schedule_text("0" * 64)
    assert ledger.cases.state("C1", at=NOW) is None


def test_a_case_that_cannot_be_written_whole_is_not_written(ledger: Ledger) -> None:
    twice = (part(3), part(3))
    with pytest.raises(LedgerUnavailable):
        opened(ledger, parts=twice)
    assert ledger.cases.list() == []
    assert ledger.connection.verify_chain() == 0


def test_destroying_begins_once_and_is_resumed_after_that(ledger: Ledger) -> None:
    case = opened(ledger)
    ledger.cases.begin_destroying(case, cleared_by=(2, 1), actor="test", at=NOW)
    first = ledger.cases.get(case.id)
    assert first.cleared_by == (1, 2)
    ledger.cases.begin_destroying(first, cleared_by=(9,), actor="test", at=NOW + timedelta(days=1))
    assert ledger.cases.get(case.id) == first
    assert [event.kind for event in ledger.events(subject=case.id)][:2] == ["case.resumed", "case.destroying"]


@pytest.mark.parametrize("state", [CaseState.RETURNED, CaseState.FAILED, CaseState.CLOSED])
def test_an_ended_case_is_neither_begun_nor_worked_on_nor_ended_again(
    ledger: Ledger, state: CaseState
) -> None:
    """A worker that read the case before somebody sent it back comes too late, whatever it still believes."""
    case = opened(ledger)
    begun_elsewhere = opened(ledger)
    ledger.cases.begin_destroying(begun_elsewhere, cleared_by=(), actor="test", at=NOW)
    lease = ledger.cases.acquire(case.record_type, at=NOW)
    for one in (case, begun_elsewhere):
        ledger.cases.close(one.id, state, actor="test", at=NOW, body={})
        with pytest.raises(Refused, match="already ended"):
            ledger.cases.begin_destroying(one, cleared_by=(), actor="test", at=NOW)
        with pytest.raises(Refused, match="already ended"):
            intended(ledger, one, lease)
        with pytest.raises(Refused, match="already ended"):
            ledger.cases.close(one.id, CaseState.CLOSED, actor="test", at=NOW, body={})
        assert ledger.cases.state(one.id, at=NOW) is state


@pytest.mark.parametrize("state", [CaseState.RETURNED, CaseState.FAILED, CaseState.CLOSED])
def test_what_was_destroyed_cannot_end_without_its_certificate(ledger: Ledger, state: CaseState) -> None:
    case, lease = begun(ledger)
    intent = intended(ledger, case, lease)
    with pytest.raises(Refused, match="only finishing it certifies"):  # nobody has looked yet
        ledger.cases.close(case.id, state, actor="test", at=NOW, body={})
    concluded(ledger, case, lease, intent, codes="ND-")
    with pytest.raises(Refused, match="only finishing it certifies"):
        ledger.cases.close(case.id, state, actor="test", at=NOW, body={})
    ledger.certificates.issue(certificate(case), actor="test", closing={})
    assert ledger.cases.get(case.id).state is CaseState.CLOSED


def test_what_destroyed_nothing_may_end(ledger: Ledger) -> None:
    case, lease = begun(ledger)
    concluded(ledger, case, lease, intended(ledger, case, lease, staged="WAC"), codes="WAN")
    ledger.cases.close(case.id, CaseState.FAILED, actor="test", at=NOW, body={})


def test_an_ended_case_takes_no_decision_any_more(ledger: Ledger) -> None:
    person(ledger, "director")
    case = opened(ledger)
    ledger.cases.close(case.id, CaseState.RETURNED, actor="test", at=NOW, body={})
    decision = SignedDecision(
        case_id=case.id, person="director", decision="approve", statement={}, signature="", epoch=0, at=NOW
    )
    with pytest.raises(Refused, match="already ended"):
        ledger.people.sign_off(decision)


def test_the_kill_switch_is_read_as_it_was_set(ledger: Ledger) -> None:
    assert ledger.cases.halted() is None
    ledger.cases.halt(True, reason="drill", actor="test", at=NOW)
    ledger.cases.halt(True, reason="fire", actor="test", at=NOW)
    assert ledger.cases.halted() == "fire"
    ledger.cases.halt(False, reason="over", actor="test", at=NOW)
    assert ledger.cases.halted() is None
    assert [event.kind for event in ledger.events(subject="halt")] == [
        "halt.lifted",
        "halt.engaged",
        "halt.engaged",
    ]


def test_a_clock_behind_the_ledger_is_refused(ledger: Ledger) -> None:
    ledger.require_ready(NOW)
    opened(ledger)
    ledger.require_ready(NOW - CLOCK_TOLERANCE)
    with pytest.raises(Refused, match="clock"):
        ledger.require_ready(NOW - CLOCK_TOLERANCE - timedelta(microseconds=1))
