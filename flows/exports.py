"""Entering exports in the registry: by hand, and what the rules of the schedule find before anything is decided by its age."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from flows.wiring import Site
from retention.errors import UsageError
from retention.exports import Export
from retention.schedule import RecordType, StoreKind, TreeLocation, TriggerKind
from storage.exports.lying import BucketShelf, FolderShelf, Shelf
from storage.exports.registering import Sighted, register_file, register_object, sight
from storage.exports.sidecar import Sidecar
from storage.planning import looking_at
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


def register_export(site: Site, file: Path, store: str | None, told: Sidecar, actor: str) -> Export:
    """Enter one export by hand: a file, or with ``store`` an object by its key below the store's prefix.

    Raises `UsageError`, `StoreUnavailable`, `LedgerUnavailable`.
    """
    exports, zone, at = site.ledger.exports, site.schedule.library.zone, site.now()
    if store is None:
        return register_file(
            file, told, exports=exports, roots=file_roots(site), zone=zone, actor=actor, at=at
        )
    buckets = [declared.name for declared in site.schedule.stores if declared.kind is StoreKind.S3]
    if store not in buckets:
        raise UsageError(
            f"{store} is no store of kind s3", f"one of: {', '.join(buckets) or 'there is none'}"
        )
    with closing(Wire(site.stores.address(store))) as wire:
        shelf = BucketShelf(wire, wire.address.prefix, site.stores.state_of(store))
        return register_object(
            store, str(file), told, shelf=shelf, exports=exports, zone=zone, actor=actor, at=at
        )


def _sighted(site: Site, record_type: RecordType, location: TreeLocation) -> Sighted:
    with looking_at(location), ExitStack() as parts:
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
