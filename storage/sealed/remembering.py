"""What the ledger remembers of the key store: its epoch, which only ever grows.

A key store whose epoch is smaller was restored to an older state, in which destroyed keys may live. Nothing is done with it until
somebody says, by name and with a reason, that it is the one to go on with; the certificates concerned are superseded then.
"""

from __future__ import annotations

import json
from datetime import datetime

from storage.ledger.ledger import Ledger

KEY_STORE = "key-store"
"""Subject of the ledger's events about the key store."""


def remembered(ledger: Ledger) -> int:
    """The epoch that the key store must have reached; 0 when none was ever noted."""
    for event in ledger.events(subject=KEY_STORE):
        body = json.loads(event.body)
        if "epoch" in body:
            return int(body["epoch"])
    return 0


def remember(ledger: Ledger, epoch: int, *, actor: str, at: datetime) -> None:
    """Note how far the key store is; nothing when that is known already."""
    if epoch > remembered(ledger):
        ledger.note("key-store.seen", actor=actor, subject=KEY_STORE, body={"epoch": epoch}, at=at)


def accept(ledger: Ledger, epoch: int, reason: str, *, actor: str, at: datetime) -> None:
    """Go on with a key store that was restored to this epoch."""
    ledger.note(
        "key-store.accepted", actor=actor, subject=KEY_STORE, body={"epoch": epoch, "reason": reason}, at=at
    )
