"""People are told apart; certificates are kept in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from retention.errors import LedgerUnavailable, Refused, UsageError
from retention.permissions import Role
from storage.ledger.cases import CaseState
from storage.ledger.ledger import Ledger
from storage.ledger.people import Person
from tests.storage.desk import NOW, certificate, opened, person


def somebody(name: str, full_name: str, key: str) -> Person:
    return Person(
        name=name, full_name=full_name, title="Director", role=Role.CUSTODIAN, public_key=key, added_at=NOW
    )


def test_a_person_is_read_as_they_were_added(ledger: Ledger) -> None:
    director = person(ledger, "director")
    assert ledger.people.get("director") == director.person
    with pytest.raises(UsageError, match="no person"):
        ledger.people.get("deputy")


@pytest.mark.parametrize(
    ("name", "full_name", "key"),
    [
        ("director", "Somebody Else", "another"),
        ("deputy", "Somebody Else", "key"),
        ("deputy", "  ALICE   Director ", "another"),
        ("deputy", "Ａｌｉｃｅ Director", "another"),
    ],
    ids=["name", "key", "full name", "full name in wide letters"],
)
def test_nobody_is_two_people(ledger: Ledger, name: str, full_name: str, key: str) -> None:
    """A certificate with two approvals by one full name would be refused, after the destruction."""
    ledger.people.add(somebody("director", "Alice Director", "key"), actor="test")
    with pytest.raises(UsageError, match="already a person director"):
        ledger.people.add(somebody(name, full_name, key), actor="test")
    assert len(ledger.people.list()) == 1


def test_the_latest_certificate_of_a_case_is_the_same_one_every_time(ledger: Ledger) -> None:
    case, other = opened(ledger), opened(ledger)
    for number in (1, 2):
        ledger.certificates.issue(certificate(case, number), actor="test")
    ledger.certificates.issue(certificate(other, at=NOW - timedelta(days=1)), actor="test")
    assert ledger.certificates.get(case.id).id == f"{case.id}-2"
    assert ledger.certificates.get(f"{case.id}-1").id == f"{case.id}-1"
    assert [one.id for one in ledger.certificates.list()] == [f"{case.id}-2", f"{case.id}-1", f"{other.id}-1"]
    assert ledger.certificates.list(limit=1)[0].id == f"{case.id}-2"
    with pytest.raises(UsageError, match="no certificate"):
        ledger.certificates.get("C1")


def test_of_every_case_the_latest_is_followed_up_however_many_there_are(ledger: Ledger) -> None:
    first, second, third = opened(ledger), opened(ledger), opened(ledger)
    issue = partial(ledger.certificates.issue, actor="test")
    issue(certificate(first, 1, at=NOW))
    issue(certificate(first, 2, at=NOW + timedelta(days=1)))
    issue(replace(certificate(second, at=NOW), state="final"))
    issue(replace(certificate(third, at=NOW), final_from=NOW.date() + timedelta(days=30)))
    assert {one.id for one in ledger.certificates.latest()} == {
        f"{second.id}-1",
        f"{third.id}-1",
        f"{first.id}-2",
    }
    for days, due in ((29, set()), (30, {f"{third.id}-1"})):
        by = NOW.date() + timedelta(days=days)
        assert {one.id for one in ledger.certificates.latest(final_by=by)} == due


def test_a_certificate_and_the_end_of_its_case_are_one(ledger: Ledger) -> None:
    case = opened(ledger)
    ledger.certificates.issue(certificate(case), actor="test", closing={})
    assert ledger.cases.get(case.id).state is CaseState.CLOSED
    with pytest.raises(Refused, match="already ended"):
        ledger.certificates.issue(certificate(case, 2), actor="test", closing={})
    assert len(ledger.certificates.list()) == 1
    with pytest.raises(LedgerUnavailable, match="refused"):
        ledger.certificates.issue(certificate(case), actor="test")
