"""What became of people after they were added: roles given, disabled and enabled, the code of ethics acknowledged.

A person's row never changes; what is written here does not either. The last step of its kind counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select

from retention.errors import Refused
from retention.permissions import Act, Role, may
from storage.ledger import tables
from storage.ledger.connection import LedgerConnection, stamp, unstamp


class PersonStepKind(StrEnum):
    ROLE = "role"
    """``value``: the role from now on."""
    DISABLED = "disabled"
    ENABLED = "enabled"
    ETHICS = "ethics"
    """The code of ethics acknowledged; ``value``: for the year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonStep:
    person: str
    step: str
    value: str
    actor: str
    at: datetime


class PersonSteps:
    def __init__(self, connection: LedgerConnection) -> None:
        self._db = connection

    def take(self, step: PersonStep, *, signed: Mapping[str, Any] | None = None) -> None:
        """``signed``: statement and signature, where the person signed it; kept in the event. Raises `Refused` for a step of somebody
        else's by a person who manages people no longer: of two who disable each other at once the second does not."""
        with self._db.write(step.at) as entry:
            if step.actor != step.person:
                _require_manager(entry.connection, step.actor)
            entry.connection.execute(
                insert(tables.person_step).values(
                    person=step.person, step=step.step, value=step.value, actor=step.actor, at=stamp(step.at)
                )
            )
            body = {"value": step.value, **(signed or {})}
            entry.record(f"person.{step.step}", actor=step.actor, subject=step.person, body=body)

    def of(self, person: str) -> list[PersonStep]:
        """Oldest first."""
        step = tables.person_step.c
        with self._db.read() as connection:
            return [
                PersonStep(
                    person=row.person, step=row.step, value=row.value, actor=row.actor, at=unstamp(row.at)
                )
                for row in connection.execute(
                    select(tables.person_step).where(step.person == person).order_by(step.id)
                )
            ]

    def acknowledged(self, person: str, year: int) -> bool:
        """Whether the person acknowledged the code of ethics for that year."""
        return any(one.step == PersonStepKind.ETHICS and one.value == str(year) for one in self.of(person))

    def acknowledging(self, year: int) -> set[str]:
        """Everybody who acknowledged the code of ethics for that year."""
        step = tables.person_step.c
        ethics = (step.step == PersonStepKind.ETHICS.value) & (step.value == str(year))
        with self._db.read() as connection:
            return set(connection.execute(select(step.person).where(ethics)).scalars())


def standing_now(connection: Connection, person: str | None = None) -> tuple[dict[str, Role], set[str]]:
    """Roles given after people were added, and who is disabled. ``person``: read that one's only."""
    roles: dict[str, Role] = {}
    disabled: set[str] = set()
    query = select(tables.person_step).order_by(tables.person_step.c.id)
    if person is not None:
        query = query.where(tables.person_step.c.person == person)
    for row in connection.execute(query):
        if row.step == PersonStepKind.ROLE:
            roles[row.person] = Role(row.value)
        elif row.step == PersonStepKind.DISABLED:
            disabled.add(row.person)
        elif row.step == PersonStepKind.ENABLED:
            disabled.discard(row.person)
    return roles, disabled


def _require_manager(connection: Connection, actor: str) -> None:
    """Whoever is no person, somebody with the site's files, was asked for before."""
    first = connection.execute(select(tables.person.c.role).where(tables.person.c.name == actor)).scalar()
    if first is None:
        return
    roles, disabled = standing_now(connection, actor)
    if actor in disabled or not may(roles.get(actor, Role(first)), Act.MANAGE_PEOPLE):
        raise Refused(
            f"{actor} manages people no longer", "another administrator has to; see: retention person list"
        )


def roles_given(connection: Connection, person: str) -> list[tuple[str, Role]]:
    """Roles given to a person after they were added, each with when, oldest first."""
    step = tables.person_step.c
    query = select(step.at, step.value).where(step.person == person, step.step == PersonStepKind.ROLE.value)
    return [(row.at, Role(row.value)) for row in connection.execute(query.order_by(step.id))]
