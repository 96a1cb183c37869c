"""How people sign in to the pages: accounts, one-time invitations, sessions, and failed attempts. No evidence, and no secret:
codes and cookies are here as digests, names and addresses of failed attempts as keyed digests, passwords as argon2id.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from retention.errors import UsageError
from storage.ledger import tables
from storage.ledger.connection import LedgerConnection, stamp, unstamp
from storage.ledger.sealing import Sealer

IDLE = timedelta(minutes=30)
"""A session without a request for that long has ended."""
ABSOLUTE = timedelta(hours=12)
"""No session lives longer than that."""
KEPT = timedelta(days=1)
"""For how long an ended session can still say whose it was, so that what was being typed is kept for that person."""
SEEN_EVERY = timedelta(minutes=1)
"""A request is noted at most that often: reading pages must not make the ledger write."""
INVITED = timedelta(hours=48)
WINDOW = timedelta(minutes=15)
LIMITS = {"pair": 5, "name": 50, "address": 30}
"""Failed sign-ins within `WINDOW` after which more are refused: by name and address together, by either alone. Passkeys and
invitations come without a name: of them only the address counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    person: str
    password: str | None
    oidc_subject: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """``id``: SHA-256 (hex) of the cookie. ``how``: ``password``, ``passkey`` or ``oidc``."""

    id: str
    person: str
    how: str
    made_at: datetime
    seen_at: datetime
    expires_at: datetime

    def is_over(self, at: datetime) -> bool:
        return at >= self.expires_at or at >= self.seen_at + IDLE


def digest(token: str) -> str:
    """Tokens are 256 random bits: a plain hash cannot be guessed back."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def new_code() -> str:
    """A code for an invitation."""
    return secrets.token_urlsafe(24)


class Accounts:
    def __init__(self, connection: LedgerConnection, sealer: Sealer) -> None:
        self._db = connection
        self._sealer = sealer

    # -- accounts and invitations ----------------------------------------------------------------------------------

    def get(self, person: str) -> Account | None:
        table = tables.account
        with self._db.read() as connection:
            row = connection.execute(select(table).where(table.c.person == person)).first()
        return (
            None
            if row is None
            else Account(person=row.person, password=row.password, oidc_subject=row.oidc_subject)
        )

    def set_password(self, person: str, hashed: str, *, actor: str, at: datetime) -> None:
        """Give a person a password (argon2id). All their sessions end."""
        table = tables.account
        with self._db.write(at) as entry:
            known = entry.connection.execute(select(table.c.person).where(table.c.person == person)).scalar()
            change = (
                insert(table).values(person=person, password=hashed, changed_at=stamp(at))
                if known is None
                else update(table)
                .where(table.c.person == person)
                .values(password=hashed, changed_at=stamp(at))
            )
            entry.connection.execute(change)
            entry.connection.execute(delete(tables.session).where(tables.session.c.person == person))
            entry.record("account.password", actor=actor, subject=person)

    def mark_of(self, subject: str) -> str:
        """A subject as a statement names it: the same for the same one, and no name to anybody without the key."""
        return self._sealer.mark("oidc subject", subject)

    def require_free(self, subject: str | None, person: str) -> None:
        """Raises `UsageError` when the subject is somebody else's."""
        with self._db.read() as connection:
            _require_free(connection, subject, person)

    def bind(
        self, person: str, subject: str | None, *, actor: str, at: datetime, signed: Mapping[str, Any] | None = None
    ) -> None:  # fmt: skip
        """Let whoever an identity provider calls this sign in as that person; ``None``: nobody. All their sessions end.

        ``signed``: statement and signature of whoever does it; kept in the event. Raises as `require_free`.
        """
        table = tables.account
        with self._db.write(at) as entry:
            _require_free(entry.connection, subject, person)
            changed = entry.connection.execute(
                update(table)
                .where(table.c.person == person)
                .values(oidc_subject=subject, changed_at=stamp(at))
            )
            if changed.rowcount == 0:
                entry.connection.execute(
                    insert(table).values(person=person, oidc_subject=subject, changed_at=stamp(at))
                )
            entry.connection.execute(delete(tables.session).where(tables.session.c.person == person))
            kind = "account.unbound" if subject is None else "account.bound"
            entry.record(kind, actor=actor, subject=person, body=signed)

    def bound(self, subject: str) -> str | None:
        """Whom an identity provider's subject signs in."""
        table = tables.account
        with self._db.read() as connection:
            found = connection.execute(select(table.c.person).where(table.c.oidc_subject == subject)).scalar()
        return None if found is None else str(found)

    def invite(
        self, person: str, *, actor: str, at: datetime, code: str | None = None, signed: Mapping[str, Any] | None = None
    ) -> str:  # fmt: skip
        """A one-time code with which this person sets a password. An earlier one that was not used is void.

        ``code``: made before by `new_code`. ``signed``: statement and signature of whoever invites; kept in the event.
        """
        code = code or new_code()
        table = tables.invitation
        with self._db.write(at) as entry:
            entry.connection.execute(delete(table).where(table.c.person == person))
            entry.connection.execute(
                insert(table).values(token=digest(code), person=person, expires_at=stamp(at + INVITED))
            )
            entry.record("account.invited", actor=actor, subject=person, body=signed)
        return code

    def invited(self, code: str, at: datetime) -> str | None:
        """Whom a code invites; ``None`` when it is unknown, used or too old."""
        table = tables.invitation
        query = select(table.c.person).where(table.c.token == digest(code), table.c.expires_at > stamp(at))
        with self._db.read() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else str(found)

    def use_invitation(self, code: str, at: datetime) -> str | None:
        """Whom the code invites, once."""
        table = tables.invitation
        with self._db.write(at) as entry:
            person = entry.connection.execute(
                select(table.c.person).where(table.c.token == digest(code), table.c.expires_at > stamp(at))
            ).scalar()
            entry.connection.execute(delete(table).where(table.c.token == digest(code)))
        return None if person is None else str(person)

    # -- sessions --------------------------------------------------------------------------------------------------

    def start(
        self, person: str, how: str, at: datetime, *, instead_of: str | None = None, id_token: str | None = None
    ) -> str:  # fmt: skip
        """A new session. Returns its cookie, which is written nowhere. ``instead_of``: a session that ends with it.

        ``id_token``: of the identity provider, to end the session there; kept sealed as long as the session.
        """
        token = secrets.token_urlsafe(32)
        sealed = (
            None if id_token is None else self._sealer.seal(id_token.encode(), f"session {digest(token)}")
        )
        table = tables.session
        with self._db.write(at) as entry:
            if instead_of is not None:
                entry.connection.execute(delete(table).where(table.c.token == instead_of))
            entry.connection.execute(delete(table).where(table.c.expires_at < stamp(at - KEPT)))
            entry.connection.execute(
                insert(table).values(
                    token=digest(token), person=person, how=how, made_at=stamp(at), seen_at=stamp(at),
                    expires_at=stamp(at + ABSOLUTE), id_token=sealed,
                )
            )  # fmt: skip
            entry.record("session.began", actor=person, subject=person, body={"how": how})
        return token

    def session(self, token: str, at: datetime) -> Session | None:
        """The session of a cookie, over or not; ``None`` for one that nobody has. Notes that it was used."""
        table = tables.session
        with self._db.read() as connection:
            row = connection.execute(select(table).where(table.c.token == digest(token))).first()
        if row is None:
            return None
        found = _session(row)
        if not found.is_over(at) and at - found.seen_at >= SEEN_EVERY:
            with self._db.write(at) as entry:
                entry.connection.execute(
                    update(table).where(table.c.token == found.id).values(seen_at=stamp(at))
                )
        return found

    def last_signed_in(self) -> dict[str, datetime]:
        """When each person signed in last; who never did is not there."""
        event = tables.event.c
        began = (event.kind == "session.began") & event.subject.in_(select(tables.person.c.name))
        with self._db.read() as connection:
            rows = connection.execute(
                select(event.subject, func.max(event.at).label("at")).where(began).group_by(event.subject)
            ).all()
        return {row.subject: unstamp(row.at) for row in rows}

    def id_token(self, session: Session) -> str | None:
        """The identity provider's token that the session began with."""
        table = tables.session
        with self._db.read() as connection:
            sealed = connection.execute(select(table.c.id_token).where(table.c.token == session.id)).scalar()
        return None if sealed is None else self._sealer.open(sealed, f"session {session.id}").decode()

    def sessions(self, person: str, at: datetime) -> list[Session]:
        """Those that are not over, newest first."""
        table = tables.session
        query = select(table).where(table.c.person == person).order_by(table.c.made_at.desc())
        with self._db.read() as connection:
            found = [_session(row) for row in connection.execute(query)]
        return [one for one in found if not one.is_over(at)]

    def end(self, person: str, *ids: str, at: datetime) -> None:
        """End these sessions of a person; all of them without ids."""
        table = tables.session
        query = delete(table).where(table.c.person == person)
        with self._db.write(at) as entry:
            entry.connection.execute(query.where(table.c.token.in_(ids)) if ids else query)
            entry.record("session.ended", actor=person, subject=person)

    # -- failed attempts -------------------------------------------------------------------------------------------

    def begin(self, name: str, address: str, at: datetime) -> bool:
        """Whether somebody may try to sign in with this name from this address: false after too many attempts that failed.

        The attempt counts as failed from now on, until `succeeded` takes it back: many at once are as many one after the other.
        """
        table = tables.attempt
        marks = self._marks(name, address)
        with self._db.write(at) as entry:
            entry.connection.execute(delete(table).where(table.c.until <= stamp(at)))
            rows = entry.connection.execute(select(table).where(table.c.key.in_(marks.values()))).all()
            counted: dict[str, int] = {row.key: row._mapping["count"] for row in rows}
            if any(counted.get(mark, 0) >= LIMITS[kind] for kind, mark in marks.items()):
                return False
            for mark in marks.values():
                entry.connection.execute(
                    update(table).where(table.c.key == mark).values(count=table.c.count + 1)
                    if mark in counted
                    else insert(table).values(key=mark, count=1, until=stamp(at + WINDOW))
                )
        return True

    def succeeded(self, name: str, address: str, at: datetime) -> None:
        """The attempt did not fail, and what this name failed from this address before counts no longer."""
        table = tables.attempt
        marks = self._marks(name, address)
        with self._db.write(at) as entry:
            entry.connection.execute(delete(table).where(table.c.key == marks.pop("pair", "")))
            entry.connection.execute(
                update(table)
                .where(table.c.key.in_(marks.values()), table.c.count > 0)
                .values(count=table.c.count - 1)
            )

    def once(self, mark: str, until: datetime, at: datetime) -> bool:
        """Whether this is the first time that ``mark`` comes, as far as anybody asks before ``until``."""
        table = tables.attempt
        with self._db.write(at) as entry:
            if entry.connection.execute(select(table.c.key).where(table.c.key == mark)).first() is not None:
                return False
            entry.connection.execute(insert(table).values(key=mark, count=0, until=stamp(until)))
        return True

    def _marks(self, name: str, address: str) -> dict[str, str]:
        """Without a name only the address counts: else anybody could shut what needs no name for everybody."""
        source = {"address": self._sealer.mark("sign-in from", address)}
        if not name:
            return source
        return source | {
            "pair": self._sealer.mark("sign-in", f"{name}\0{address}"),
            "name": self._sealer.mark("sign-in of", name),
        }


def _require_free(connection: Connection, subject: str | None, person: str) -> None:
    table = tables.account
    taken = select(table.c.person).where(table.c.oidc_subject == subject, table.c.person != person)
    other = None if subject is None else connection.execute(taken).scalar()
    if other is not None:
        raise UsageError(f"this subject signs in as {other} already", "a subject is one person")


def _session(row: Row[Any]) -> Session:
    return Session(
        id=row.token, person=row.person, how=row.how, made_at=unstamp(row.made_at), seen_at=unstamp(row.seen_at),
        expires_at=unstamp(row.expires_at),
    )  # fmt: skip
