"""Whether every role that people have was given by somebody who may: looked at by whoever destroys, and by the check of the ledger.

The pages' own role writes what becomes of people. So a role that was given, or given back by enabling somebody, counts only where an
administrator signed for it who was one then; or where nobody was named and the site had no administrator. Versions that signed
nothing for it are believed until the first such signature. Refuses everything as soon as one role does not count.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, select

from retention.document import encode, write
from retention.errors import VerificationFailed
from retention.permissions import Role
from retention.signed import from_text
from retention.verify_signed import verify_signed
from storage.ledger import tables
from storage.ledger.connection import unstamp
from storage.ledger.ledger import Ledger
from storage.ledger.people import Person
from storage.ledger.person_steps import PersonStepKind
from storage.personal_keys import told_in
from storage.signatures import key_of
from storage.staff import PEOPLE

_ADDED = "person.added"
_STEPS = {
    f"person.{kind.value}": kind
    for kind in (PersonStepKind.ROLE, PersonStepKind.DISABLED, PersonStepKind.ENABLED)
}


class RoleProof:
    """Looks again only when something became of somebody. One for each process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._proven: list[Row[Any]] | None = None

    def require(self) -> None:
        """Raises `VerificationFailed`."""
        step, kinds = tables.person_step.c, [kind.value for kind in _STEPS.values()]
        query = select(step.person, step.step, step.at, step.value).where(step.step.in_(kinds))
        with self._ledger.connection.read() as connection:
            rows = list(connection.execute(query.order_by(step.id)))
        if rows and rows != self._proven:
            _Replay(self._ledger, rows).run()
        self._proven = rows


class _Replay:
    """Everybody's roles from the beginning, in the order of the chain of events."""

    def __init__(self, ledger: Ledger, rows: list[Row[Any]]) -> None:
        self._ledger = ledger
        self._unproven = Counter((row.person, row.step, row.at, row.value) for row in rows)
        self._people: dict[str, Person] = {one.name: one for one in ledger.people.list()}
        self._roles: dict[str, Role] = {}
        self._disabled: set[str] = set()
        self._used: set[str] = set()

    def run(self) -> None:
        event, person = tables.event.c, tables.person.c
        query = select(tables.event).where(
            event.subject.in_(list(self._people)), event.kind.in_([_ADDED, *_STEPS])
        )
        with self._ledger.connection.read() as connection:
            first = {row.name: Role(row.role) for row in connection.execute(select(person.name, person.role))}
            events = connection.execute(query.order_by(event.seq)).all()
        added = {row.subject for row in events if row.kind == _ADDED}
        self._roles = {name: role for name, role in first.items() if name not in added}
        for row in events:
            if row.kind == _ADDED:
                self._roles[row.subject] = first[row.subject]
            else:
                self._take(row)
        for person_, step, _, _ in +self._unproven:
            if step != PersonStepKind.DISABLED:
                raise VerificationFailed(
                    f"the role of {person_} was given by nobody who may: nothing is destroyed", "compare the ledger with its backup"
                )  # fmt: skip

    def _take(self, row: Row[Any]) -> None:
        body, kind = told_in(row.body), _STEPS[row.kind]
        told = row.subject, kind.value, row.at, str(body.get("value"))
        if not self._unproven[told] or not (
            self._signed(row, body) if "statement" in body else self._unsigned(row)
        ):
            return
        self._unproven[told] -= 1
        if kind is PersonStepKind.ROLE:
            self._roles[row.subject] = Role(body["value"])
        elif kind is PersonStepKind.DISABLED:
            self._disabled.add(row.subject)
        else:
            self._disabled.discard(row.subject)

    def _unsigned(self, row: Row[Any]) -> bool:
        if row.actor in self._people:
            return not self._used
        return not any(self._manages(name) for name in self._roles)

    def _manages(self, name: str) -> bool:
        return self._roles.get(name) is Role.ADMINISTRATOR and name not in self._disabled

    def _signed(self, row: Row[Any], body: Mapping[str, Any]) -> bool:
        said, actor = body["statement"], self._people.get(row.actor)
        if not isinstance(said, dict) or actor is None or not self._manages(actor.name):
            return False
        role = self._roles[row.subject].value
        told = (said.get("type"), said.get("act"), said.get("subject"), said.get("value"), said.get("person"))
        if told != (PEOPLE, row.kind, row.subject, body.get("value"), actor.name):
            return False
        if row.subject == actor.name and row.kind != "person.disabled":
            return False
        # As they were when it was signed, and once: what was signed about somebody could be written again later.
        before = {"person.role": "before", "person.enabled": "role"}.get(row.kind)
        at = unstamp(row.at)
        if (before is not None and said.get(before) != role) or str(said.get("at")) > str(write(at)):
            return False
        try:
            digest = hashlib.sha256(encode(said)).hexdigest()
            signed = from_text(str(body.get("signature")), actor.public)
            verify_signed(signed, key_of(self._ledger, actor, signed, at), said)
        except VerificationFailed:
            return False
        if digest in self._used:
            return False
        self._used.add(digest)
        return True
