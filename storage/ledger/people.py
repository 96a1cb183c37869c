"""People who decide, by name and public key, and what they signed. Their secrets never come here."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from retention.approval import Decision
from retention.errors import UsageError
from retention.permissions import Role
from retention.signing import PublicKey, decode
from storage.ledger import passkeys, tables
from storage.ledger.cases import require_not_begun, require_started
from storage.ledger.connection import LedgerConnection, stamp, unstamp
from storage.ledger.passkeys import Passkey
from storage.ledger.person_steps import roles_given, standing_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """``public_key``: raw Ed25519 public key, base64 (as `retention.signing.PublicKey.text`)."""

    name: str
    full_name: str
    title: str
    role: Role
    public_key: str
    added_at: datetime
    disabled: bool = False

    @property
    def public(self) -> PublicKey:
        """Their own key."""
        return PublicKey(decode(self.public_key, f"the key of {self.name}"), self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDecision:
    """A person's signed approval or return of a case. ``epoch``: hold epoch when it was given. ``id``: 0 until written."""

    id: int = 0
    case_id: str
    person: str
    decision: str
    statement: Mapping[str, Any]
    signature: str
    """As `retention.signed.Signed.text`."""
    epoch: int
    at: datetime


def as_compared(full_name: str) -> str:
    """A name as people compare names: case, spacing and compatible letters make no difference."""
    return " ".join(unicodedata.normalize("NFKC", full_name).casefold().split())


class People:
    def __init__(self, connection: LedgerConnection) -> None:
        self._db = connection

    def require_new(self, person: Person) -> None:
        """Raises `UsageError` when the name, the full name or the key is taken: four eyes need two people, and a certificate
        tells people apart by their full names."""
        with self._db.read() as connection:
            _require_new_person(connection, person)

    def can_add(self) -> bool:
        """Whether whoever opened the ledger has the right to. The pages' own role on PostgreSQL has it only where it was granted."""
        with self._db.read() as connection:
            if connection.dialect.name != "postgresql":
                return True
            allowed = func.has_table_privilege(tables.person.name, "INSERT")
            return bool(connection.execute(select(allowed)).scalar())

    def add(self, person: Person, *, actor: str, signed: Mapping[str, Any] | None = None) -> None:
        """``signed``: statement and signature of whoever adds them; kept in the event. Raises as `require_new`."""
        with self._db.write(person.added_at) as entry:
            _require_new_person(entry.connection, person)
            entry.connection.execute(
                insert(tables.person).values(
                    name=person.name, full_name=person.full_name, title=person.title, role=person.role.value,
                    public_key=person.public_key, added_at=stamp(person.added_at),
                )
            )  # fmt: skip
            body = {"role": person.role.value, **(signed or {})}
            entry.record("person.added", actor=actor, subject=person.name, body=body)

    def get(self, name: str) -> Person:
        """As they are now. Raises `UsageError` for an unknown name."""
        with self._db.read() as connection:
            for person in _people(connection, name):
                return person
        raise UsageError(
            f"there is no person {name}", "see: retention person list, or add one: retention person add"
        )

    def passkeys(self, name: str | None = None) -> Sequence[Passkey]:
        """A person's passkeys, or everybody's, as their rows say; oldest first, retired ones too. Which count: `storage.personal_keys`."""
        with self._db.read() as connection:
            return list(passkeys.read(connection, person=name))

    def passkey(self, credential: str) -> Passkey | None:
        """The passkey with this id (base64url), retired or not."""
        with self._db.read() as connection:
            return next(passkeys.read(connection, credential=credential), None)

    def require_new_passkey(self, passkey: Passkey) -> None:
        """Raises `UsageError` for an unknown person, and for a key or an authenticator's entry that is known already, of whomever."""
        self.get(passkey.person)
        with self._db.read() as connection:
            _require_new(connection, passkey)

    def add_passkey(self, passkey: Passkey, *, actor: str, signed: Mapping[str, Any]) -> None:
        """``signed``: statement and signature of its owner; kept in the event. Raises as `require_new_passkey`."""
        self.get(passkey.person)
        with self._db.write(passkey.added_at) as entry:
            _require_new(entry.connection, passkey)
            passkeys.add(entry, passkey, actor=actor, signed=signed)

    def retire_passkey(
        self, credential: str, *, actor: str, at: datetime, signed: Mapping[str, Any] | None = None
    ) -> Passkey:  # fmt: skip
        """From now on it signs nothing more; what it signed stays signed. Raises `UsageError` for one that does not sign.

        ``signed``: statement and signature of whoever retires it; kept in the event.
        """
        with self._db.write(at) as entry:
            passkey = next(passkeys.read(entry.connection, credential=credential), None)
            if passkey is None or passkey.retired_at is not None:
                raise UsageError(
                    "there is no such passkey, or it was retired", "see: retention person show NAME"
                )
            passkeys.retire(entry, passkey, actor=actor, signed=signed or {})
        return replace(passkey, retired_at=at)

    def sign_off(self, decision: SignedDecision) -> None:
        """Write a signed decision about a case down. Raises `Refused` when the case has ended."""
        with self._db.write(decision.at) as entry:
            require_started(entry, decision.case_id)
            if decision.decision == Decision.WITHDRAW.value:
                require_not_begun(entry, decision.case_id)
            entry.connection.execute(
                insert(tables.approval).values(
                    case_id=decision.case_id, person=decision.person, decision=decision.decision,
                    statement=json.dumps(decision.statement, sort_keys=True), signature=decision.signature,
                    epoch=decision.epoch, at=stamp(decision.at),
                )
            )  # fmt: skip
            entry.record(
                f"case.{decision.decision}",
                actor=decision.person,
                subject=decision.case_id,
                body={"epoch": decision.epoch},
            )

    def decisions(self, case_id: str) -> list[SignedDecision]:
        """Oldest first."""
        return self.decided([case_id])[case_id]

    def decided(self, cases: Sequence[str]) -> dict[str, list[SignedDecision]]:
        """The decisions about each of these cases, oldest first."""
        table = tables.approval
        found: dict[str, list[SignedDecision]] = {id: [] for id in cases}
        with self._db.read() as connection:
            for row in connection.execute(
                select(table).where(table.c.case_id.in_(cases)).order_by(table.c.id)
            ):
                found[row.case_id].append(
                    SignedDecision(
                        id=row.id, case_id=row.case_id, person=row.person, decision=row.decision, statement=json.loads(row.statement),
                        signature=row.signature, epoch=row.epoch, at=unstamp(row.at),
                    )
                )  # fmt: skip
        return found

    def list(self) -> list[Person]:
        """Everybody as they are now: with the role given last, and disabled or not."""
        with self._db.read() as connection:
            return _people(connection)

    def role_at(self, name: str, at: datetime) -> Role:
        """The role that a person had then. Raises `UsageError` for an unknown name."""
        until = stamp(at)
        return [role for since, role in self.roles(name) if since <= until][-1]

    def roles(self, name: str) -> Sequence[tuple[str, Role]]:
        """A person's roles, oldest first, each with when it was given (as `stamp` writes it); the one they were added with has always
        been theirs before. Raises `UsageError` for an unknown name."""
        person = tables.person.c
        with self._db.read() as connection:
            first = connection.execute(select(person.role).where(person.name == name)).scalar()
            if first is None:
                raise UsageError(f"there is no person {name}", "see: retention person list")
            return [("", Role(first)), *roles_given(connection, name)]


def _require_new_person(connection: Connection, person: Person) -> None:
    for other in connection.execute(select(tables.person)):
        if (
            other.name == person.name
            or other.public_key == person.public_key
            or as_compared(other.full_name) == as_compared(person.full_name)
        ):
            raise UsageError(f"there is already a person {other.name}", "see: retention person list")
    for passkey in passkeys.read(connection):
        if passkey.public.text == person.public_key:
            raise UsageError(f"this key is a passkey of {passkey.person}", "give them a key of their own")


def _people(connection: Connection, name: str | None = None) -> list[Person]:
    """As they are now, by name; ``name``: only that one, if there is one."""
    query = select(tables.person).order_by(tables.person.c.name)
    rows = connection.execute(query if name is None else query.where(tables.person.c.name == name)).all()
    roles, disabled = standing_now(connection, name)
    return [
        Person(
            name=row.name, full_name=row.full_name, title=row.title, role=Role(roles.get(row.name, row.role)),
            public_key=row.public_key, added_at=unstamp(row.added_at), disabled=row.name in disabled,
        )
        for row in rows
    ]  # fmt: skip


def _require_new(connection: Connection, passkey: Passkey) -> None:
    """Four eyes need two people: a key signs for one of them alone."""
    for other in passkeys.read(connection):
        if other.credential == passkey.credential or other.public == passkey.public:
            raise UsageError(
                f"this passkey is {other.person}'s already", "a passkey that was retired is not taken back"
            )
    for person in connection.execute(select(tables.person.c.name, tables.person.c.public_key)):
        if person.public_key == passkey.public.text:
            raise UsageError(
                f"this key is {person.name}'s own key", "a passkey has a key that never leaves it"
            )
