"""What waits for a person: opaque ids, and nothing of a sealed hold."""

from datetime import timedelta

import pytest

from flows.clock import clock
from flows.reminders import Reminders, remember, reminders
from flows.reminding import written
from flows.running import Silent, begin, chosen_types
from flows.settings import Settings
from flows.wiring import Site
from retention.holds import Matter, MatterKind, Scope
from retention.permissions import Role
from retention.records import Personal
from retention.signing import generate
from storage.ledger.people import Person
from storage.signatures import Signatory
from tests.flows.conftest import CANARY

MATTER = Matter(number=f"{CANARY} matter", kind=MatterKind.SUBPOENA, issuing_authority="Court")


def person(site: Site, name: str) -> Signatory:
    key = generate(name)
    added = Person(
        name=name, full_name=f"{name} {CANARY}", title="Director", role=Role.CUSTODIAN, public_key=key.public.text, added_at=site.now(),
    )  # fmt: skip
    site.ledger.people.add(added, actor="test")
    return Signatory(person=added, key=key)


def placed(site: Site, by: Signatory, *, sealed: bool = False, review_every_days: int | None = 30) -> str:
    scope = Scope(subjects=frozenset({Personal(f"{CANARY}-1")}))
    return site.enforcing.place(scope, MATTER, by, sealed=sealed, review_every_days=review_every_days).file.id


@pytest.fixture
def later(library: Settings) -> Site:
    """The same site, forty days from now."""
    return Site(library, now=lambda: clock() + timedelta(days=40))


def test_nothing_waits_at_first(site: Site) -> None:
    assert not reminders(site)
    assert written(Reminders()) == "Nothing waits for anybody."


def test_a_provisional_hold_is_reminded_of_when_its_time_is_over(site: Site, later: Site) -> None:
    hold = placed(site, person(site, "ada"), review_every_days=None)
    assert reminders(site).confirm == ()
    assert reminders(later).confirm == (hold,)
    later.close()


def test_a_confirmed_hold_is_reminded_of_on_its_review_day(site: Site, later: Site) -> None:
    hold = placed(site, person(site, "ada"))
    site.holding.confirm(hold, person(site, "ben"))
    assert not reminders(site)
    assert reminders(later) == Reminders(review=(hold,))
    later.close()


def test_a_sealed_hold_shows_in_no_reminder(site: Site, later: Site) -> None:
    placed(site, person(site, "ada"), sealed=True)
    assert not reminders(later)
    later.close()


def test_a_case_waits_until_enough_people_approved(site: Site) -> None:
    (fees,) = chosen_types(site, ["fees"])
    _, case = begin(site, fees, site.today(), Silent())
    assert case is not None
    assert reminders(site).approve == (case.id,)


def test_a_case_without_approval_waits_for_nobody(site: Site) -> None:
    (loans,) = chosen_types(site, ["loans"])
    begin(site, loans, site.today(), Silent())
    assert not reminders(site)


def test_the_ledger_and_the_page_get_ids_only(site: Site, later: Site) -> None:
    hold = placed(site, person(site, "ada"))
    found = reminders(later)
    remember(later, found)
    (event,) = later.ledger.events(subject="reminders")
    later.close()
    assert hold in event.body
    assert hold in written(found)
    assert CANARY not in event.body + written(found)
