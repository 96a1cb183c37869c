"""Entering in the registry what the folder rules of the schedule find, before anything is decided by its age."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from flows.wiring import Site
from retention.schedule import RecordType, StoreKind, TreeLocation, TriggerKind
from storage.exports.registering import Sighted, sight


def file_roots(site: Site) -> Mapping[str, Path]:
    """The root folder of each store of files that has an address."""
    return {
        declared.name: root
        for declared in site.schedule.stores
        if declared.kind is StoreKind.FILES and (root := site.stores.root(declared.name)) is not None
    }


def sight_exports(site: Site, record_types: Iterable[RecordType]) -> list[Sighted]:
    """Look through every folder that holds exports. Raises `StoreUnavailable`, `LedgerUnavailable`."""
    roots = file_roots(site)
    found: list[Sighted] = []
    for record_type in record_types:
        for location in record_type.locations:
            if isinstance(location, TreeLocation) and location.store in roots and _has_exports(location):
                root = roots[location.store]
                found.append(
                    sight(
                        site.schedule, record_type, location, root, exports=site.ledger.exports, at=site.now()
                    )
                )
    return found


def _has_exports(location: TreeLocation) -> bool:
    return location.export is not None or location.trigger_kind is TriggerKind.REGISTERED
