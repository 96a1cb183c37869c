"""Withdrawing sealed objects by name: somebody entitled asks that they go before their period is over. Destroys nothing.

Refuses: a person who is no custodian or holds another key, an object of a record type that is not sealed, one whose key is destroyed. What
was withdrawn is an item of the next case like every other: approved, braked, kept by holds, read back, certified.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flows.wiring import Site
from retention.errors import Refused, UsageError
from retention.permissions import Act
from retention.schedule import Disposition
from storage.keys.values import ObjectState, SealedObject
from storage.sealed import remembering
from storage.sealed.remembering import remembered
from storage.signatures import Signatory, authorise


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """``again``: it had been withdrawn before; nothing was changed."""

    id: str
    record_type: str
    location: str
    again: bool


def withdraw(site: Site, ids: Iterable[str], signatory: Signatory, reason: str) -> list[Withdrawn]:
    """Withdraw these objects, all or none of them. Raises `Refused`, `UsageError`, `KeyStoreUnavailable`."""
    authorise(site.ledger, signatory, Act.APPROVE)
    if not reason.strip():
        raise UsageError("an object is withdrawn with a reason", "say why with --reason")
    now = site.now()
    site.ledger.require_ready(now)
    site.require_keys()
    items = [site.keys.object(id) for id in dict.fromkeys(ids)]
    for item in items:
        _check(site, item)
    done: list[Withdrawn] = []
    for item in items:
        again = item.state is ObjectState.WITHDRAWN
        if not again:
            # Who asked is written down before anything changes.
            body = {"record_type": item.record_type, "location": item.location, "reason": reason.strip()}
            site.ledger.note(
                "object.withdrawn", actor=signatory.person.name, subject=item.id, body=body, at=now
            )
            site.keys.withdraw(item.id, reason=reason.strip(), at=now)
        done.append(Withdrawn(id=item.id, record_type=item.record_type, location=item.location, again=again))
    return done


def _check(site: Site, item: SealedObject) -> None:
    known = {
        (record_type.id, location.name)
        for record_type in site.schedule.record_types
        if record_type.disposition is Disposition.CRYPTO_SHRED
        for location in record_type.locations
    }
    if (item.record_type, item.location) not in known:
        raise Refused(
            f"object {item.id} belongs to {item.record_type} at {item.location}, which the schedule does not shred",
            "give that record type disposition crypto-shred again, or destroy it under a case of its own",
        )
    if item.state is ObjectState.DESTROYED:
        raise Refused(f"the key of object {item.id} is destroyed already", "see: retention certificate list")
    if item.state is ObjectState.SEALING:
        raise Refused(f"object {item.id} is not sealed yet", "finish it, or clear it away: retention seal")


def accept(site: Site, signatory: Signatory, reason: str) -> tuple[int, int]:
    """Go on with a key store that was restored to an older state. Returns the epoch the ledger knew, and that of the store.

    Raises `Refused` when the key store is not older than the ledger knows: there is nothing to accept.
    """
    authorise(site.ledger, signatory, Act.APPROVE)
    if not reason.strip():
        raise UsageError("an older key store is accepted with a reason", "say why with --reason")
    now = site.now()
    site.ledger.require_ready(now)
    before, epoch = remembered(site.ledger), site.keys.epoch()
    if epoch >= before:
        raise Refused("the key store is not older than the ledger knows", "there is nothing to accept")
    remembering.accept(site.ledger, epoch, reason.strip(), actor=signatory.person.name, at=now)
    return before, epoch
