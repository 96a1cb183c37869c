"""Decisions on a case by several people: taken back, items taken out, put off; and who may decide at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from retention.clearance import Requirements
from retention.document import JSON
from retention.envelope import read
from retention.errors import Refused, UsageError
from retention.expression import parse
from retention.holds import Matter, MatterKind, Scope
from retention.loader import load
from retention.outcomes import Outcome
from retention.permissions import Role
from retention.schedule import Schedule
from retention.signed import Signed
from retention.verify import verify
from storage.clearing import read_frozen
from storage.dispositions import Dispositions
from storage.ledger.cases import Case, CaseState
from storage.ledger.glance import glance
from storage.ledger.ledger import Ledger
from storage.rehearsal import Presigned, Rehearsal, SignatureNeeded
from storage.rulings import Rulings
from storage.signatures import Signatory, Signing
from storage.staff import Staff
from storage.statements import verify_statements
from tests.retention.authenticator import authenticator
from tests.storage.browser import Touching
from tests.storage.desk import behind_its_back, given_passkey, person
from tests.storage.site import TWO_PEOPLE, Site

MATTER = Matter(number="2025-17", kind=MatterKind.AUDIT, issuing_authority="State Auditor")


class Office:
    """A case of three loans that two people have to approve, and everybody who works there."""

    def __init__(self, ledger: Ledger, folder: Path, approval: str = TWO_PEOPLE) -> None:
        self.site = Site(ledger, folder, approval=approval)
        self.ledger = ledger
        for number in range(3):
            self.site.add("loan", number)
        self.ada, self.bela = person(ledger, "ada"), person(ledger, "bela")
        self.second = person(ledger, "second", Role.SECOND_CUSTODIAN)
        self.other_second = person(ledger, "other", Role.SECOND_CUSTODIAN)
        self.root = person(ledger, "root", Role.ADMINISTRATOR)
        self.rulings = Rulings(ledger=ledger, schedule=self.site.schedule, now=self.site.clock)
        self.dispositions = Dispositions(ledger=ledger, now=self.site.clock)
        self.staff = Staff(ledger=ledger, now=self.site.clock)
        self.case = self.site.opened("loans")

    def approve(self, *by: Signing) -> None:
        records = self.dispositions.review(self.case.id).going
        for one in by:
            self.dispositions.approve(self.case.id, one, records=records)

    def missing(self) -> int:
        verdict = self.dispositions.standing(self.ledger.cases.get(self.case.id))
        assert verdict is not None
        return verdict.missing

    def destroyed(self) -> int:
        return self.site.destroyer.dispose(self.case.id).counts[Outcome.DESTROYED]


@pytest.fixture
def office(ledger: Ledger, tmp_path: Path) -> Office:
    return Office(ledger, tmp_path)


def test_an_approval_that_was_taken_back_no_longer_counts(office: Office) -> None:
    office.approve(office.ada, office.bela)
    assert office.missing() == 0
    office.dispositions.withdraw(office.case.id, office.ada)
    assert office.missing() == 1
    assert office.destroyed() == 0
    with pytest.raises(Refused, match="has not approved"):
        office.dispositions.withdraw(office.case.id, office.ada)
    office.site.clock.at += timedelta(seconds=1)
    office.approve(office.ada)
    assert office.destroyed() == 3
    with pytest.raises(Refused):
        office.dispositions.withdraw(office.case.id, office.bela)


def test_what_was_taken_out_stays_and_the_certificate_does_not_say_why(office: Office) -> None:
    office.approve(office.ada)
    assert office.dispositions.except_items(office.case.id, office.ada, [1], "asked for by zqcanary") == 1
    assert office.missing() == 2, "the manifest is not the one that was approved"
    with pytest.raises(UsageError, match="not about 3 records"):
        office.dispositions.approve(office.case.id, office.ada, records=3)
    assert office.dispositions.review(office.case.id).going == 2
    office.approve(office.ada, office.bela)
    disposal = office.site.destroyer.dispose(office.case.id)
    assert disposal.counts == {Outcome.DESTROYED: 2, Outcome.WITHHELD: 1}
    assert disposal.certificate is not None
    told = json.dumps(read(disposal.certificate.envelope).statement())
    assert "withheld" in told
    assert "zqcanary" not in told
    assert "except" not in told.replace("exceptions", "")
    (kept,) = office.ledger.exceptions.of(office.case.id)
    assert (kept.ordinal, kept.reason, kept.person) == (1, "asked for by zqcanary", "ada")
    leaves = (office.site.folder / "evidence" / f"{disposal.certificate.id}.leaves").read_bytes()
    keys = {office.site.signer.keyid: office.site.signer.public}
    assert verify_statements(office.ledger) == 4
    report = verify(disposal.certificate.envelope, keys=keys, leaves=leaves)
    assert report.ok, report


def test_an_exception_is_refused_out_of_bounds_without_a_reason_and_once_destroying_began(
    office: Office,
) -> None:
    for positions, reason in (([3], "why"), ([-1], "why"), ([0], " ")):
        with pytest.raises(UsageError):
            office.dispositions.except_items(office.case.id, office.ada, positions, reason)
    with pytest.raises(Refused):
        office.dispositions.except_items(office.case.id, office.second, [0], "why")
    office.approve(office.ada, office.bela)
    office.site.ledger.cases.begin_destroying(
        office.ledger.cases.get(office.case.id), cleared_by=(1, 2), actor="test", at=office.site.clock()
    )
    with pytest.raises(Refused, match="begun"):
        office.dispositions.except_items(office.case.id, office.ada, [0], "why")
    assert office.ledger.exceptions.ordinals(office.case.id) == frozenset()


def test_who_approves_says_how_many_records_and_looked_at_the_case_as_it_is(office: Office) -> None:
    with pytest.raises(UsageError, match="not about 4 records"):
        office.dispositions.approve(office.case.id, office.ada, records=4)
    seen = office.dispositions.review(office.case.id)
    office.site.holding.place(Scope(record_types=frozenset({"loans"})), MATTER, office.bela)
    with pytest.raises(Refused, match="no longer as it was when you looked"):
        office.dispositions.approve(office.case.id, office.ada, records=3, epoch=seen.epoch)
    assert office.ledger.people.decisions(office.case.id) == []


def test_a_second_custodian_counts_as_the_second_only(office: Office) -> None:
    office.approve(office.second, office.other_second)
    assert office.missing() == 1
    assert office.destroyed() == 0
    office.approve(office.ada)
    assert office.destroyed() == 3


def test_who_opened_a_case_does_not_approve_it(office: Office) -> None:
    office.dispositions.return_case(office.case.id, office.bela, "opened again by hand")
    office.case = office.site.opened("loans", actor="ada")
    with pytest.raises(Refused, match="opened case"):
        office.approve(office.ada)
    office.approve(office.bela, office.second)
    assert office.destroyed() == 3


def test_an_administrator_does_not_approve_and_a_disabled_person_does_nothing(office: Office) -> None:
    with pytest.raises(Refused, match="administrator"):
        office.approve(office.root)
    office.approve(office.ada)
    office.staff.disable("bela", office.root)
    with pytest.raises(Refused, match="disabled"):
        office.approve(office.bela)
    office.staff.disable("ada", office.root)
    office.staff.enable("bela", office.root)
    office.approve(office.bela)
    assert office.missing() == 0, "what somebody signed while they could stays signed"


def test_approvals_count_by_the_role_of_the_moment(office: Office) -> None:
    office.approve(office.ada)
    office.site.clock.at += timedelta(days=1)
    office.staff.give_role("ada", Role.AUDITOR, office.root)
    office.approve(office.second)
    assert office.missing() == 0
    office.dispositions.withdraw(office.case.id, office.second)
    office.staff.give_role("second", Role.CUSTODIAN, office.root)
    with pytest.raises(Refused):
        office.approve(office.ada)


def test_only_an_administrator_manages_people_and_never_themselves(office: Office) -> None:
    for by in (None, office.ada):
        with pytest.raises(Refused):
            office.staff.give_role("bela", Role.AUDITOR, by)
    with pytest.raises(Refused, match="their own"):
        office.staff.give_role("root", Role.CUSTODIAN, office.root)


def test_the_code_of_ethics_may_be_asked_for_before_anybody_approves(office: Office) -> None:
    strict = Dispositions(ledger=office.ledger, now=office.site.clock, required=Requirements(ethics=True))
    with pytest.raises(Refused, match="code of ethics"):
        strict.approve(office.case.id, office.ada, records=3)
    step = office.staff.acknowledge(office.ada, 2025)
    assert (step.person, step.value) == ("ada", "2025")
    with pytest.raises(UsageError):
        office.staff.acknowledge(office.ada, 2025)
    strict.approve(office.case.id, office.ada, records=3)
    office.site.clock.at += timedelta(days=365)
    with pytest.raises(Refused, match="2026"):
        strict.approve(office.case.id, office.ada, records=3)


def test_the_code_of_ethics_is_for_the_year_on_the_librarys_calendar(office: Office) -> None:
    def in_denver(text: str) -> Schedule:
        schedule = read_frozen(text)
        return replace(schedule, library=replace(schedule.library, zone=ZoneInfo("America/Denver")))

    strict = Dispositions(
        ledger=office.ledger, now=office.site.clock, required=Requirements(ethics=True), read_schedule=in_denver
    )  # fmt: skip
    office.staff.acknowledge(office.ada, 2025)
    office.site.clock.at = datetime(2026, 1, 1, 6, 59, tzinfo=UTC)
    strict.approve(office.case.id, office.ada, records=3)
    office.site.clock.at += timedelta(minutes=1)
    with pytest.raises(Refused, match="2026"):
        strict.approve(office.case.id, office.ada, records=3)


class Late:
    """A person who signs a moment later than they looked, and what happens in between."""

    def __init__(self, signatory: Signatory, meanwhile: Callable[[], object]) -> None:
        self.person, self.public, self.at = signatory.person, signatory.public, None
        self._signatory, self._meanwhile = signatory, meanwhile

    def sign(self, statement: Mapping[str, JSON]) -> Signed:
        self._meanwhile()
        return self._signatory.sign(statement)


def test_of_two_administrators_who_disable_each_other_at_once_one_stays(office: Office) -> None:
    other = person(office.ledger, "twin", Role.ADMINISTRATOR)
    with pytest.raises(Refused, match="twin manages people no longer"):
        office.staff.disable("root", Late(other, lambda: office.staff.disable("twin", office.root)))
    assert office.staff.managers() == ["root"]
    office.staff.enable("twin", office.root)
    demoted = Late(other, lambda: office.staff.give_role("twin", Role.AUDITOR, office.root))
    with pytest.raises(Refused, match="twin manages people no longer"):
        office.staff.give_role("ada", Role.AUDITOR, demoted)


def test_many_open_cases_are_decided_as_one_is_and_share_what_is_read(office: Office) -> None:
    office.site.add("sign-in", 0)
    office.approve(office.ada)
    opened = office.site.opened("sign-ins")
    newest, first = office.dispositions.open_cases()
    assert (newest.case, first.case) == (opened, office.case)
    assert [one.clearance for one in (newest, first)] == [
        office.dispositions.standing(one.case) for one in (newest, first)
    ]
    assert (first.approved_by, first.waits_for("ada"), first.waits_for("bela")) == (
        frozenset({"ada"}),
        False,
        True,
    )
    once = glance(office.ledger, [])
    office.staff.give_role("bela", Role.AUDITOR, office.root)
    assert (once.people.get("bela").role, office.ledger.people.get("bela").role) == (
        Role.AUDITOR,
        Role.AUDITOR,
    )
    office.staff.give_role("bela", Role.CUSTODIAN, office.root)
    assert once.people.get("bela").role is Role.AUDITOR, "read once"
    assert office.ledger.people.get("bela").role is Role.CUSTODIAN, "the ledger itself is asked each time"


def test_a_disposition_is_put_off_until_the_first_maximum_and_no_longer(office: Office) -> None:
    latest = _first_maximum(office.case)
    with pytest.raises(Refused, match="past the maximum"):
        office.dispositions.extend(office.case.id, office.ada, latest + timedelta(days=1), "audit")
    with pytest.raises(UsageError):
        office.dispositions.extend(office.case.id, office.ada, office.site.today, "audit")
    office.dispositions.extend(office.case.id, office.ada, latest, "audit")
    assert office.ledger.cases.get(office.case.id).state is CaseState.RETURNED
    assert office.rulings.extended("loans") == latest
    again = office.site.opened("loans")
    verdict = office.dispositions.standing(again)
    assert verdict is not None
    assert verdict.extended == latest, "a case that was opened all the same does not begin"
    office.dispositions.cancel_extension(again.id, office.bela, "it is over")
    assert office.rulings.extended("loans") is None


def test_a_day_that_was_cancelled_does_not_come_back_as_a_copied_row(office: Office, ledger_url: str) -> None:
    """What was signed last counts, not what stands last."""
    first = office.site.today + timedelta(days=2)
    office.dispositions.extend(office.case.id, office.ada, first, "audit")
    office.site.clock.at += timedelta(seconds=2)
    office.dispositions.cancel_extension(office.case.id, office.bela, "it is over")
    copied = "record_type, kind, until, person, statement, signature, at"
    with behind_its_back(ledger_url) as connection:
        connection.execute(
            text(
                f"INSERT INTO ruling ({copied}) SELECT {copied} FROM ruling WHERE kind = 'extended'"
            )  # our own names
        )
    assert office.rulings.extended("loans") is None
    office.site.clock.at += timedelta(seconds=2)
    again = office.site.opened("loans")
    office.dispositions.extend(again.id, office.ada, first, "audit")
    with behind_its_back(ledger_url) as connection:
        connection.execute(
            text(
                f"INSERT INTO ruling ({copied}) SELECT {copied} FROM ruling WHERE kind = 'extension-cancelled'"
            )
        )
    assert office.rulings.extended("loans") == first


def test_what_lives_until_its_maximum_by_consent_is_not_put_off(office: Office) -> None:
    """It is not in the case, and may reach its maximum before what is."""

    def with_consent(text: str) -> Schedule:
        schedule = load(text, "policies.toml")
        loans = schedule.record_type("loans")
        places = tuple(replace(one, consent=parse("wants_history = true")) for one in loans.locations)
        others = tuple(one for one in schedule.record_types if one.id != "loans")
        return replace(schedule, record_types=(replace(loans, locations=places), *others))

    asked = Dispositions(ledger=office.ledger, now=office.site.clock, read_schedule=with_consent)
    tomorrow = office.site.today + timedelta(days=1)
    with pytest.raises(Refused, match="by consent"):
        asked.extend(office.case.id, office.ada, tomorrow, "audit")
    assert office.ledger.cases.get(office.case.id).state is CaseState.STARTED
    office.dispositions.extend(office.case.id, office.ada, tomorrow, "audit")


def test_every_decision_can_be_rehearsed_and_writes_nothing_then(office: Office) -> None:
    by = Rehearsal(person=office.ada.person, public=office.ada.public, at=office.site.clock())
    before = office.ledger.events(limit=1000)
    acts = (
        lambda who: office.dispositions.approve(office.case.id, who, records=3),
        lambda who: office.dispositions.except_items(office.case.id, who, [0], "why"),
        lambda who: office.dispositions.extend(office.case.id, who, _first_maximum(office.case), "why"),
        lambda who: office.dispositions.return_case(office.case.id, who, "why"),
    )
    for act in acts:
        with pytest.raises(SignatureNeeded):
            act(by)
    assert office.ledger.events(limit=1000) == before
    with pytest.raises(SignatureNeeded) as needed:
        acts[0](by)
    signed = office.ada.sign(needed.value.statement)
    acts[0](
        Presigned(
            person=by.person, public=by.public, at=by.at, statement=needed.value.statement, signed=signed
        )
    )
    assert office.missing() == 1


def _first_maximum(case: Case) -> date:
    """60 days after the oldest record, as the schedule of these tests says."""
    oldest = min(date.fromisoformat(entry["oldest"]) for entry in case.survey.values() if entry["oldest"])
    return oldest + timedelta(days=60)


def test_whatever_people_decided_is_signed_and_checked(office: Office) -> None:
    """By an own key and by a passkey: every act writes a statement that says what its row says."""
    phone = authenticator()
    given_passkey(office.ledger, office.bela, phone.public, at=office.site.clock())
    bela = Touching(person=office.bela.person, passkey=phone)
    done = 1
    assert verify_statements(office.ledger) == done
    for by, position in ((office.ada, 0), (bela, 1)):
        office.dispositions.except_items(office.case.id, by, [position], "why")
        office.approve(by)
        office.dispositions.withdraw(office.case.id, by)
        office.staff.acknowledge(by, 2025)
        office.site.holding.place(Scope(cameras=frozenset({"nowhere"})), MATTER, by)
        done += 5
        assert verify_statements(office.ledger) == done
    office.dispositions.extend(office.case.id, bela, _first_maximum(office.case), "audit")
    assert verify_statements(office.ledger) == done + 1
