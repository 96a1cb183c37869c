"""Passkeys in the ledger: keys in an authenticator that sign for a person, each with what a browser finds it by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from retention.signing import PublicKey, load_public
from storage.ledger import tables
from storage.ledger.connection import Entry, stamp, unstamp

ADDED = "passkey.added"
"""The event with which a passkey begins: it has the statement that its owner signed, and the signature."""
ENDED = "passkey.retired"
"""The event with which it ends."""
RETIRED = "passkey-retired"
"""The step of a person with which a passkey of theirs ends; its value: the key id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """``credential``: its id, base64url without padding. ``label``: what its owner calls it. ``retired_at``: ``None`` while it signs."""

    credential: str
    person: str
    public: PublicKey
    label: str
    added_at: datetime
    retired_at: datetime | None = None

    @property
    def line(self) -> str:
        """Its key without a name."""
        return PublicKey(self.public.raw, "", self.public.kind).line

    def signs(self, at: datetime | None) -> bool:
        """Whether it signed for its person at that time; ``None``: whether it signs now."""
        if at is None:
            return self.retired_at is None
        return self.added_at <= at and (self.retired_at is None or at < self.retired_at)


def read(
    connection: Connection, *, person: str | None = None, credential: str | None = None
) -> Iterator[Passkey]:
    """Oldest first, retired ones too. By person, by credential, or all."""
    table, step = tables.passkey, tables.person_step
    query = select(table).order_by(table.c.added_at, table.c.credential)
    if person is not None:
        query = query.where(table.c.person == person)
    if credential is not None:
        query = query.where(table.c.credential == credential)
    rows = connection.execute(query).all()
    owners = {row.person for row in rows}
    ended = {
        (row.person, row.value): unstamp(row.at)
        for row in connection.execute(
            select(step).where(step.c.step == RETIRED, step.c.person.in_(owners)).order_by(step.c.id.desc())
        )
    }
    return (_passkey(row, ended) for row in rows)


def _passkey(row: Row[Any], ended: dict[tuple[str, str], datetime]) -> Passkey:
    public = load_public(row.public_key.encode("ascii"))
    return Passkey(
        credential=row.credential, person=row.person, public=public, label=row.label, added_at=unstamp(row.added_at),
        retired_at=ended.get((row.person, public.keyid)),
    )  # fmt: skip


def add(entry: Entry, passkey: Passkey, *, actor: str, signed: Mapping[str, Any]) -> None:
    entry.connection.execute(
        insert(tables.passkey).values(
            credential=passkey.credential, person=passkey.person, public_key=passkey.line,
            label=passkey.label, added_at=stamp(passkey.added_at),
        )
    )  # fmt: skip
    body = {"keyid": passkey.public.keyid, **signed}
    entry.record(ADDED, actor=actor, subject=passkey.person, body=body)


def retire(entry: Entry, passkey: Passkey, *, actor: str, signed: Mapping[str, Any]) -> None:
    keyid = passkey.public.keyid
    entry.connection.execute(
        insert(tables.person_step).values(
            person=passkey.person, step=RETIRED, value=keyid, actor=actor, at=stamp(entry.at)
        )
    )
    entry.record(ENDED, actor=actor, subject=passkey.person, body={"keyid": keyid, **signed})
