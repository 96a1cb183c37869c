"""Which keys sign for a person: their own, and each passkey that one of these signed for.

A row in the table of passkeys is no passkey: the pages' own role may write one, and whoever took them over could sign for anybody
with it. It counts where the act that added it stands in the chain of events and verifies, by the person's own key or by an
older passkey of theirs that counted and was not retired then. Any other is as if it were not there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import select

from retention.document import write
from retention.errors import VerificationFailed
from retention.signed import Signed, from_text
from retention.signing import PublicKey
from retention.verify_signed import verify_signed
from storage.ledger import tables
from storage.ledger.connection import unstamp
from storage.ledger.ledger import Ledger
from storage.ledger.passkeys import ADDED, ENDED, Passkey
from storage.ledger.people import Person

PASSKEY = "https://retention.example/passkey/v1"
"""The statement with which a person adds a passkey of theirs."""
_Said = tuple[str, str, str, str]
"""Credential, key, label and moment, as the statement has them."""


def counting(ledger: Ledger, person: Person) -> list[Passkey]:
    """The passkeys of a person that they signed for, in that order, retired ones too."""
    known = {_said_of(one): one for one in ledger.people.passkeys(person.name)}
    if not known:
        return []
    event = tables.event.c
    query = select(event.kind, event.at, event.body).where(
        event.subject == person.name, event.kind.in_((ADDED, ENDED))
    )
    with ledger.connection.read() as connection:
        acts = connection.execute(query.order_by(event.seq)).all()
    counted: list[Passkey] = []
    ended: set[str] = set()
    for act in acts:
        if act.kind == ENDED:
            ended.add(str(told_in(act.body).get("keyid")))
            continue
        # By their place in the chain too: whoever has a retired passkey could date what it signs back.
        at = unstamp(act.at)
        signing = (one.public for one in counted if one.signs(at) and one.public.keyid not in ended)
        said = _signed_for(act.body, person.name, at, person.public, tuple(signing))
        passkey = None if said is None else known.pop(said, None)
        if passkey is not None:
            counted.append(passkey)
    return counted


def keys_of(ledger: Ledger, person: Person, at: datetime | None = None) -> tuple[PublicKey, ...]:
    """The keys that sign for this person now, their own first; ``at``: that signed at that time, and still do."""
    known = (one for one in counting(ledger, person) if one.signs(None) and (at is None or one.signs(at)))
    return (person.public, *(one.public for one in known))


def signer(signed: Signed, own: PublicKey, passkeys: Sequence[PublicKey]) -> PublicKey | None:
    """The key that a signature says it is by.

    A bare signature is by the own key and an assertion by a passkey: who has their own key in hand could make up an authenticator.
    """
    among = (own,) if signed.assertion is None else passkeys
    return next((key for key in among if key.keyid == signed.keyid), None)


def _said_of(passkey: Passkey) -> _Said:
    return passkey.credential, passkey.line, passkey.label, str(write(passkey.added_at))


@lru_cache(maxsize=4096)
def _signed_for(
    body: str, name: str, at: datetime, own: PublicKey, passkeys: tuple[PublicKey, ...]
) -> _Said | None:
    """What the act in an event of that moment says of a new passkey, if one of these keys signed it.

    It rests on nothing but what it is given: verified once per process, and again as soon as anything of that changed.
    """
    told = told_in(body)
    said, signature = told.get("statement"), told.get("signature")
    if not isinstance(said, dict) or not isinstance(signature, str):
        return None
    try:
        signed = from_text(signature, own)
        key = signer(signed, own, passkeys)
        if key is None:
            return None
        verify_signed(signed, key, said)
    except VerificationFailed:
        return None
    if (said.get("type"), said.get("person"), said.get("at")) != (PASSKEY, name, write(at)):
        return None
    return str(said.get("credential")), str(said.get("public")), str(said.get("label")), str(said["at"])


def told_in(body: str) -> dict[str, Any]:
    """What an event tells; nothing, where somebody wrote what is none."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
