"""A role that no administrator gave: nothing is destroyed, whoever approved, and the check of the ledger finds it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from retention.document import write
from retention.errors import VerificationFailed
from retention.outcomes import Outcome
from retention.permissions import Role
from storage.ledger import tables
from storage.ledger.connection import stamp
from storage.ledger.ledger import Ledger
from storage.role_proof import RoleProof
from storage.signatures import Signatory
from storage.staff import PEOPLE, Staff
from storage.statements import verify_statements
from tests.storage.desk import person
from tests.storage.site import Site


@dataclass
class Desk:
    ledger: Ledger
    site: Site
    root: Signatory
    ada: Signatory
    olga: Signatory

    @property
    def staff(self) -> Staff:
        return Staff(ledger=self.ledger, now=self.site.clock)

    def give(self, role: Role, *, actor: str, by: Signatory | None = None, **changed: str) -> None:
        """Olga's role, as somebody writes it who may write into the tables."""
        at = self.site.clock()
        said: dict[str, Any] = {
            "type": PEOPLE, "act": "person.role", "subject": "olga", "value": role.value, "before": "operator", "person": actor,
            "at": write(at), **changed,
        }  # fmt: skip
        signed = {} if by is None else {"statement": said, "signature": by.sign(said).text}
        self.write(role, actor, at, signed)

    def write(self, role: Role, actor: str, at: datetime, signed: dict[str, Any]) -> None:
        row = {"person": "olga", "step": "role", "value": role.value, "actor": actor, "at": stamp(at)}
        with self.ledger.connection.write(at) as entry:
            entry.connection.execute(insert(tables.person_step).values(**row))
            entry.record("person.role", actor=actor, subject="olga", body={"value": role.value, **signed})


@pytest.fixture
def desk(sqlite_ledger: Ledger, tmp_path: Path) -> Desk:
    site = Site(sqlite_ledger, tmp_path)
    site.add("loan", 0)
    root = person(sqlite_ledger, "root", Role.ADMINISTRATOR)
    return Desk(
        sqlite_ledger, site, root, person(sqlite_ledger, "ada"), person(sqlite_ledger, "olga", Role.OPERATOR)
    )


def by_nobody(desk: Desk) -> None:
    desk.give(Role.CUSTODIAN, actor="console")


def by_a_custodian(desk: Desk) -> None:
    desk.give(Role.CUSTODIAN, actor="ada", by=desk.ada)


def with_another_key(desk: Desk) -> None:
    desk.give(Role.CUSTODIAN, actor="root", by=desk.ada)


def by_herself(desk: Desk) -> None:
    desk.staff.give_role("olga", Role.ADMINISTRATOR, desk.root)
    desk.staff.give_role("ada", Role.ADMINISTRATOR, desk.olga)
    desk.give(Role.CUSTODIAN, actor="ada", by=desk.ada, person="olga")


def of_something_else(desk: Desk) -> None:
    desk.give(Role.CUSTODIAN, actor="root", by=desk.root, value="auditor")


def again(desk: Desk) -> None:
    """She was a custodian once, and what was signed for it is written again."""
    desk.staff.give_role("olga", Role.CUSTODIAN, desk.root)
    desk.staff.give_role("olga", Role.OPERATOR, desk.root)
    event = next(one for one in reversed(desk.ledger.events()) if one.kind == "person.role")
    body = json.loads(event.body)
    signed = {part: body[part] for part in ("statement", "signature")}
    desk.write(Role.CUSTODIAN, "root", desk.site.clock(), signed)


def once_others_were_signed(desk: Desk) -> None:
    desk.staff.give_role("ada", Role.AUDITOR, desk.root)
    desk.give(Role.CUSTODIAN, actor="root")


@pytest.mark.parametrize(
    "given",
    [
        by_nobody,
        by_a_custodian,
        with_another_key,
        by_herself,
        of_something_else,
        again,
        once_others_were_signed,
    ],
)
def test_a_role_that_no_administrator_gave_stops_everything(
    desk: Desk, given: Callable[[Desk], None]
) -> None:
    case = desk.site.opened("loans")
    given(desk)
    with pytest.raises(VerificationFailed):
        desk.site.destroyer.dispose(case.id)
    assert len(desk.site.left("loan")) == 1
    with pytest.raises(VerificationFailed):
        verify_statements(desk.ledger)


def test_roles_that_administrators_gave_and_those_before_there_was_any_count(desk: Desk) -> None:
    desk.staff.disable("olga", desk.root)
    desk.staff.enable("olga", desk.root)
    desk.staff.give_role("olga", Role.ADMINISTRATOR, desk.root)
    desk.staff.give_role("root", Role.CUSTODIAN, desk.olga)
    desk.staff.disable("olga", desk.olga)
    desk.staff.give_role("ada", Role.SECOND_CUSTODIAN, None)
    desk.staff.enable("olga", None)
    RoleProof(desk.ledger).require()
    verify_statements(desk.ledger)
    assert desk.site.destroyer.dispose(desk.site.opened("loans").id).counts == {Outcome.DESTROYED: 1}


def test_a_role_of_a_version_that_signed_none_counts(desk: Desk) -> None:
    desk.give(Role.CUSTODIAN, actor="root")
    RoleProof(desk.ledger).require()
