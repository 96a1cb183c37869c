"""Opening what is sealed for a person. Keys are in the memory of this process while it runs.

Refuses anybody but a custodian with their own key. Every opening is an event of the ledger, with ids only, before its first byte is
handed out.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.sealwork import worked_on
from flows.wiring import Site
from retention.document import texts
from retention.envelope import read
from retention.errors import KeyDestroyed, Refused, RetentionError, UsageError
from retention.permissions import Act
from retention.schedule import TreeLocation
from storage.keys.hardening import harden
from storage.keys.values import SealedObject
from storage.sealed import opening, resealing
from storage.signatures import Signatory, authorise


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An object that may be read once. ``portions``: see `storage.sealed.opening.read`."""

    object: SealedObject
    portions: Iterator[memoryview]


def open_sealed(
    site: Site, which: str, signatory: Signatory, *, start: int = 0, end: int | None = None
) -> Opened:
    """Open an object, given by its id or by the path of its sealed file, for a custodian. Raises `Refused`, `UsageError`,
    `KeyDestroyed`, `KeyUnreadable`, `SealedUnreadable`, `Unavailable`."""
    authorise(site.ledger, signatory, Act.OPEN_SEALED)
    site.ledger.require_ready(site.now())
    harden()
    given = None
    if "/" in which or "." in which:
        id, given = opening.open_path(Path(which))
    else:
        id = which
    try:
        found = site.keys.object(id)
        _require_key(site, found)
        file = given or _file_of(site, found)
    except RetentionError:
        if given is not None:
            given.close()
        raise
    site.ledger.note(
        "object.opened",
        actor=signatory.person.name,
        subject=id,
        body={"record_type": found.record_type, "location": found.location, "start": start, "end": end},
        at=site.now(),
    )
    return Opened(object=found, portions=opening.read(file, site.keys, id, start=start, end=end))


def governed_roots(site: Site) -> Iterator[Path]:
    """The root folders of all stores that settings give one."""
    return (store.root for store in site.settings.stores.values() if store.root is not None)


def _file_of(site: Site, found: SealedObject) -> io.FileIO:
    location = _tree_location(site, found)
    return opening.open_in_store(site.stores.root_of(location.store), location, found.id)


def _tree_location(site: Site, found: SealedObject) -> TreeLocation:
    try:
        location = site.schedule.record_type(found.record_type).location(found.location)
    except KeyError:
        raise UsageError(
            f"the schedule has no location {found.record_type}/{found.location} any more",
            "give the path of the sealed file instead of the object's id",
        ) from None
    if not isinstance(location, TreeLocation):
        raise UsageError(
            "this object is the sealed values of a patron in a table, not a file",
            "the application that reads the table opens them",
        )
    return location


def _require_key(site: Site, found: SealedObject) -> None:
    """Whether it opens at all, before anything is searched for or written down. A destroyed key's error names its certificate."""
    try:
        site.keys.key_of(found.id).wipe()
    except KeyDestroyed as error:
        ids = [found.id] if found.cohort is None else [found.id, found.cohort]
        kids = {kid for kid in site.keys.kids(ids) if kid is not None}
        for certificate in site.ledger.certificates.list():
            if not kids.isdisjoint(texts(read(certificate.envelope).statement())):
                raise KeyDestroyed(
                    f"{error.message}; certificate {certificate.id} says when and why",
                    f"see: retention certificate show {certificate.id}",
                ) from None
        raise


def reseal(site: Site, ids: Sequence[str], signatory: Signatory) -> dict[str, str]:
    """Seal these objects anew, for a custodian. Old ids and new ones, in order. Raises as `open_sealed` does, at the first that fails."""
    authorise(site.ledger, signatory, Act.OPEN_SEALED)
    site.ledger.require_ready(site.now())
    if site.ledger.cases.halted() is not None:
        raise Refused("the kill switch is engaged: no key is destroyed", "to go on: retention halt --lift")
    harden()
    done: dict[str, str] = {}
    for id in ids:
        found = site.keys.object(id)
        _require_key(site, found)
        location = _tree_location(site, found)
        with worked_on(site, found.record_type) as pulse:
            new = resealing.reseal(
                site.stores.root_of(location.store), location, site.keys, id, now=site.now, pulse=pulse
            )
        done[id] = new
        site.ledger.note(
            "object.resealed", actor=signatory.person.name, subject=id, body={"as": new}, at=site.now()
        )
    return done
