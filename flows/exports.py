"""Entering in the registry what the rules of the schedule find in folders and buckets, before anything is decided by its age."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from flows.wiring import Site
from retention.schedule import RecordType, StoreKind, TreeLocation, TriggerKind
from storage.exports.lying import BucketShelf, FolderShelf, Shelf
from storage.exports.registering import Sighted, sight
from storage.s3.survey import prefix_of
from storage.s3.wire import Wire


def file_roots(site: Site) -> Mapping[str, Path]:
    """The root folder of each store of files that has an address."""
    return {
        declared.name: root
        for declared in site.schedule.stores
        if declared.kind is StoreKind.FILES and (root := site.stores.root(declared.name)) is not None
    }


def sight_exports(site: Site, record_types: Iterable[RecordType]) -> list[Sighted]:
    """Look through every folder and prefix that holds exports. Raises `StoreUnavailable`, `LedgerUnavailable`."""
    return [
        _sighted(site, record_type, location)
        for record_type in record_types
        for location in record_type.locations
        if isinstance(location, TreeLocation) and _has_exports(site, location)
    ]


def _sighted(site: Site, record_type: RecordType, location: TreeLocation) -> Sighted:
    with ExitStack() as parts:
        shelf: Shelf
        if site.schedule.store(location.store).kind is StoreKind.S3:
            wire = parts.enter_context(closing(Wire(site.stores.address(location.store))))
            shelf = BucketShelf(wire, prefix_of(wire, location), site.stores.state_of(location.store))
        else:
            shelf = FolderShelf(site.stores.root_of(location.store), location.path)
        return sight(site.schedule, record_type, location, shelf, exports=site.ledger.exports, at=site.now())


def _has_exports(site: Site, location: TreeLocation) -> bool:
    kept = site.schedule.store(location.store).kind in (StoreKind.FILES, StoreKind.S3)
    if not kept or location.store not in site.stores:
        return False
    return location.export is not None or location.trigger_kind is TriggerKind.REGISTERED
