"""What stands about an object beside its key: the trigger in the clear, and who and what it is about sealed with the object's own key.

So a hold on a patron can be matched by a process that has the keys, and by nobody else; and it dies with the key.
"""

from __future__ import annotations

import json
import os
from datetime import date, datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from retention.errors import KeyUnreadable
from retention.records import Personal, Record, Span
from storage.database import stamp, unstamp
from storage.keys.secret import SecretKey
from storage.keys.values import Facts, Trigger

NONCE_BYTES = 12
_PURPOSE = b"retention facts v1"
_NAIVE = "%Y-%m-%dT%H:%M:%S.%f"


def trigger_text(trigger: Trigger) -> str:
    """Text that sorts like the triggers of one location (all aware, all naive, or all days)."""
    if isinstance(trigger, datetime):
        return trigger.strftime(_NAIVE) if trigger.tzinfo is None else stamp(trigger)
    return trigger.isoformat()


def trigger_of(written: str) -> Trigger:
    if len(written) == len("2026-01-01"):
        return date.fromisoformat(written)
    if written.endswith("Z"):
        return unstamp(written)
    return datetime.strptime(written, _NAIVE)  # noqa: DTZ007  # naive as it was given: read in the location's zone


def seal_facts(facts: Facts, id: str, key: SecretKey) -> bytes:
    body = {
        "subject": None if facts.subject is None else facts.subject.reveal(),
        "camera": facts.camera,
        "branch": facts.branch,
        "start": None if facts.span.start is None else stamp(facts.span.start),
        "end": None if facts.span.end is None else stamp(facts.span.end),
    }
    nonce = os.urandom(NONCE_BYTES)
    with key.subkey(_PURPOSE) as own:
        return nonce + AESGCM(own.reveal()).encrypt(nonce, json.dumps(body).encode(), id.encode())


def open_record(row: Any, key: SecretKey) -> Record:
    """The object as a hold sees it, from its row. Raises `KeyUnreadable`."""
    sealed = bytes(row.facts)
    try:
        with key.subkey(_PURPOSE) as own:
            opened = AESGCM(own.reveal()).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], row.id.encode())
    except InvalidTag:
        raise KeyUnreadable(
            f"what object {row.id} is about cannot be read with its key",
            "the key store is damaged: restore its newest backup (docs/keys.md)",
        ) from None
    body = json.loads(opened)
    return Record(
        record_type=row.record_type,
        store=row.store,
        location=row.location,
        key=Personal(row.id),
        trigger=trigger_of(row.trigger),
        span=Span(start=_moment(body["start"]), end=_moment(body["end"])),
        subject=None if body["subject"] is None else Personal(body["subject"]),
        camera=body["camera"],
        branch=body["branch"],
    )


def _moment(written: str | None) -> datetime | None:
    return None if written is None else unstamp(written)
