"""Standing approvals: two people, one rule exactly as it stands, until a day, ended at once; and what waits without one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from retention.certificate import facts_of
from retention.clearance import Requirements
from retention.document import JSON
from retention.envelope import read as read_envelope
from retention.errors import Refused, UsageError, VerificationFailed
from retention.loader import load
from retention.outcomes import Outcome
from retention.permissions import Role
from retention.signed import Signed
from retention.steps import Result
from retention.verify import verify
from storage.destroy import Destroyer
from storage.dispositions import Dispositions
from storage.ledger.ledger import Ledger
from storage.paper.content import page
from storage.paper.parsed import parse
from storage.rulings import Rulings, rulings_of, standing_at
from storage.signatures import Signatory
from storage.statements import verify_statements
from tests.storage.desk import behind_its_back, person
from tests.storage.site import TWO_PEOPLE, Site
from tests.storage.site import text as schedule_text


class Office:
    """A case of two loans under a rule whose cases nobody approves, at a site that asks for a standing approval."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger = ledger
        self.site = Site(ledger, folder)
        for number in range(2):
            self.site.add("loan", number)
        self.ada, self.bela = person(ledger, "ada"), person(ledger, "bela")
        self.olga = person(ledger, "olga", Role.OPERATOR)
        self.rulings = Rulings(ledger=ledger, schedule=self.site.schedule, now=self.site.clock)
        self.until = self.site.today + timedelta(days=100)
        self.case = self.site.opened("loans")
        required = Requirements(standing=True)
        self.dispositions = Dispositions(ledger=ledger, now=self.site.clock, required=required)
        self.destroyer = Destroyer(
            ledger=ledger, stores=self.site.stores, spool=self.site.spool, certifier=self.site.certifier, now=self.site.clock,
            required=required,
        )  # fmt: skip

    def agree(self) -> None:
        self.rulings.propose("loans", self.ada, self.until, "reviewed with the board")
        self.rulings.agree("loans", self.bela)


@pytest.fixture
def office(ledger: Ledger, tmp_path: Path) -> Office:
    return Office(ledger, tmp_path)


def test_a_case_waits_for_the_standing_approval_of_its_rule(office: Office) -> None:
    assert "standing approval" in office.destroyer.dispose(office.case.id).waiting
    office.rulings.propose("loans", office.ada, office.until, "reviewed")
    assert office.destroyer.dispose(office.case.id).waiting, "one person is not two"
    office.rulings.agree("loans", office.bela)
    assert office.destroyer.dispose(office.case.id).counts == {Outcome.DESTROYED: 2}


def test_the_certificate_says_which_standing_approval_it_was_and_verifies_alone(office: Office) -> None:
    office.agree()
    agreed, _ = office.rulings.standing("loans")
    certificate = office.destroyer.dispose(office.case.id).certificate
    assert agreed is not None
    assert certificate is not None
    office.rulings.revoke("loans", office.bela, "new system")
    report = verify(
        certificate.envelope, keys={office.site.signer.keyid: office.site.signer.public}, leaves=None
    )
    assert not [one for one in report.steps if one.result is Result.FAILED], report
    assert f"standing approval {agreed.id}: 2 person(s), by own key, own key" in report.steps[4].detail
    made = facts_of(read_envelope(certificate.envelope).statement()).people.standing
    assert made is not None
    assert (made.proposed.person, made.agreed.person, made.until) == ("Ada", "Bela", office.until)
    told = json.dumps(
        page(facts_of(read_envelope(certificate.envelope).statement()), parse(certificate.envelope))
    )
    assert f"Under the standing approval {agreed.id} of the rule" in told
    begun = office.ledger.cases.get(office.case.id).destroying_since
    assert begun is not None
    rule = office.site.schedule.record_type("loans")
    assert standing_at(office.ledger, rule, begun, begun.date()) == made, "what came later changes nothing"
    assert standing_at(office.ledger, rule, office.site.clock(), office.site.today) is None


def test_a_reason_that_cannot_stand_in_a_certificate_is_refused(office: Office) -> None:
    with pytest.raises(UsageError, match="cannot stand in a certificate"):
        office.rulings.propose("loans", office.ada, office.until, "after the legal hold")


def test_a_site_that_does_not_ask_for_it_goes_on_without(office: Office) -> None:
    assert office.site.destroyer.dispose(office.case.id).counts == {Outcome.DESTROYED: 2}


def test_it_ends_at_once_when_anybody_of_them_revokes_it(office: Office) -> None:
    office.agree()
    office.rulings.revoke("loans", office.bela, "new system")
    assert office.destroyer.dispose(office.case.id).waiting
    with pytest.raises(Refused):
        office.rulings.revoke("loans", office.ada, "again")
    assert verify_statements(office.ledger) == 3


def test_what_was_revoked_does_not_stand_again_as_copied_rows(office: Office, ledger_url: str) -> None:
    office.agree()
    office.rulings.revoke("loans", office.bela, "new system")
    columns = "record_type, kind, until, person, statement, signature, at"
    with behind_its_back(ledger_url) as connection:
        for kind in ("standing-proposed", "standing-agreed"):
            connection.execute(
                text(
                    f"INSERT INTO ruling ({columns}) SELECT {columns} FROM ruling WHERE kind = '{kind}'"
                )  # our own names
            )
    assert len(rulings_of(office.ledger, "loans")) == 5
    assert office.rulings.standing("loans") == (None, None)
    assert office.destroyer.dispose(office.case.id).waiting
    office.site.clock.at += timedelta(minutes=1)
    office.agree()
    assert office.destroyer.dispose(office.case.id).counts == {Outcome.DESTROYED: 2}, "said anew"


def test_whoever_agrees_while_it_is_revoked_is_told(office: Office) -> None:
    office.rulings.propose("loans", office.ada, office.until, "reviewed")

    @dataclass(frozen=True, kw_only=True)
    class Slow(Signatory):
        def sign(self, statement: Mapping[str, JSON]) -> Signed:
            office.rulings.revoke("loans", office.ada, "second thoughts")
            return super().sign(statement)

    with pytest.raises(Refused, match="meanwhile"):
        office.rulings.agree("loans", Slow(person=office.bela.person, key=office.bela.key))
    assert office.rulings.standing("loans") == (None, None)


def test_it_ends_after_its_last_day(office: Office) -> None:
    office.agree()
    office.site.clock.at += timedelta(days=100)
    verdict = office.dispositions.standing(office.case)
    assert verdict is not None
    assert verdict.ready
    office.site.clock.at += timedelta(days=1)
    assert office.destroyer.dispose(office.case.id).waiting


def test_it_covers_the_rule_exactly_as_it_stands(office: Office) -> None:
    changed = schedule_text().replace('minimum = "P30D"', 'minimum = "P31D"', 1)
    later = Rulings(ledger=office.ledger, schedule=load(changed, "policies.toml"), now=office.site.clock)
    later.propose("loans", office.ada, office.until, "reviewed")
    with pytest.raises(Refused, match="changed"):
        office.rulings.agree("loans", office.bela)
    later.agree("loans", office.bela)
    assert office.destroyer.dispose(office.case.id).waiting, "the case runs under the rule as it was"
    again = load(schedule_text(), "policies.toml")
    assert again.record_type("loans").digest == office.site.schedule.record_type("loans").digest
    assert load(changed, "x").record_type("sign-ins").digest != again.record_type("loans").digest


def test_nobody_agrees_with_themselves_or_without_the_role_or_for_ever(office: Office) -> None:
    with pytest.raises(UsageError, match="two years"):
        office.rulings.propose("loans", office.ada, office.site.today + timedelta(days=732), "why")
    with pytest.raises(UsageError, match="reason"):
        office.rulings.propose("loans", office.ada, office.until, " ")
    with pytest.raises(Refused):
        office.rulings.propose("loans", office.olga, office.until, "why")
    with pytest.raises(Refused, match="nobody has proposed"):
        office.rulings.agree("loans", office.bela)
    office.rulings.propose("loans", office.ada, office.until, "why")
    with pytest.raises(Refused, match="proposed it"):
        office.rulings.agree("loans", office.ada)
    assert office.destroyer.dispose(office.case.id).waiting


def test_a_rule_whose_cases_are_approved_one_by_one_has_none(office: Office) -> None:
    strict = load(schedule_text(approval=TWO_PEOPLE), "policies.toml")
    with pytest.raises(Refused, match="one by one"):
        Rulings(ledger=office.ledger, schedule=strict, now=office.site.clock).propose(
            "loans", office.ada, office.until, "why"
        )


def test_a_ruling_that_nobody_signed_stops_everything(office: Office, ledger_url: str) -> None:
    office.rulings.propose("loans", office.ada, office.until, "why")
    columns = "record_type, kind, until, statement, signature, at"
    with behind_its_back(ledger_url) as connection:
        connection.execute(
            text(
                f"INSERT INTO ruling (person, {columns}) SELECT 'bela', {columns} FROM ruling"
            )  # our own names
        )
    with pytest.raises(VerificationFailed):
        rulings_of(office.ledger, "loans")
    with pytest.raises(VerificationFailed):
        office.destroyer.dispose(office.case.id)
    assert len(office.site.left("loan")) == 2
