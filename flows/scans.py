"""One scan of this site: where to look, who answers for what is found, and what is written down of it (counts only).

A place is a folder, a file, the name of a store of buckets, or ``s3://bucket/prefix``. A bucket that a store of the schedule is in is read
with that store's address and credentials; any other one as AWS's own tools would find them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows.exports import file_roots
from flows.wiring import Site
from retention.errors import UsageError
from retention.layout import Layout, Placed, compile_layout
from retention.schedule import StoreKind, TreeLocation
from storage.exports.registering import place_of
from storage.s3.wire import Address, Wire
from storage.scanning.lying import SCHEME
from storage.scanning.patterns import Patterns, read_barcodes
from storage.scanning.scan import Cover, Report, Scanner

ACTOR = "scan"
MEMORY = "scans.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where to look."""

    folders: Sequence[Path] = ()
    buckets: Sequence[Address] = ()


def places_to_scan(site: Site, named: Sequence[str] = ()) -> Places:
    """What is named, else what the settings name, else every file store and every bucket. Raises `UsageError`, `SettingsError`."""
    texts = [*named] or [part for part in re.split(r":(?!//)", site.settings.scan_paths) if part]
    stores = bucket_stores(site)
    if not texts:
        folders = sorted(set(file_roots(site).values()))
        if not folders and not stores:
            raise UsageError(
                "there is nothing to scan", "name a folder or a bucket, or set RETENTION_SCAN_PATHS"
            )
        return Places(folders=folders, buckets=list(stores.values()))
    buckets = [
        stores[text] if text in stores else _named(text, stores.values())
        for text in texts
        if text in stores or text.startswith(SCHEME)
    ]
    return Places(
        folders=[Path(text) for text in texts if text not in stores and not text.startswith(SCHEME)], buckets=buckets
    )  # fmt: skip


def bucket_stores(site: Site) -> Mapping[str, Address]:
    """The address of each store of buckets that has one. Raises `SettingsError`."""
    return {
        declared.name: site.stores.address(declared.name)
        for declared in site.schedule.stores
        if declared.kind is StoreKind.S3 and declared.name in site.stores
    }


def _named(text: str, stores: Iterable[Address]) -> Address:
    bucket, _, prefix = text.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise UsageError("an address of a bucket names none", "write s3://bucket or s3://bucket/prefix")
    known = next((store for store in stores if store.bucket == bucket), Address(bucket=bucket))
    return replace(known, prefix=prefix)


def scan(
    site: Site, places: Places, *, whole: bool = False, known: bool = False, progress: Callable[[int], None] = lambda _: None
) -> Report:  # fmt: skip
    """Scan, and note in the ledger that it was done. Raises `UsageError`, `LedgerUnavailable`, `Unavailable`, `StoreUnavailable`."""
    site.ledger.require_ready(site.now())
    scanner = Scanner(
        patterns=Patterns(read_barcodes(site.settings.barcodes), site.settings.region),
        cover=covers(site),
        mark=site.ledger.exports.mark_path,
        memory=site.settings.state_dir / MEMORY,
        leave_out=site.settings.state_dir,
        known=site.known if known else None,
        whole=whole,
    )
    wires = [Wire(address) for address in places.buckets]
    try:
        report = scanner.scan(places.folders, site.now(), progress, buckets=wires)
    finally:
        for wire in wires:
            wire.close()
    body = {
        "files": report.files, "alarms": len(report.alarms), "drifted": len(report.drifted), "unread": sum(report.unread.values()),
        "known": known,
    }  # fmt: skip
    site.ledger.note("scan", actor=ACTOR, subject="scan", body=body, at=site.now())
    return report


def covers(site: Site) -> Callable[[str], Cover]:
    """Who answers for a file or object, by the registry and the schedule as they are now."""
    roots, buckets, today = file_roots(site), bucket_stores(site), site.today()
    registered = site.ledger.exports.at_place()
    layouts: list[tuple[str, str, Layout]] = [
        (location.store, f"{location.path}/" if location.path else "", compile_layout(location.template))
        for record_type in site.schedule.record_types
        for location in record_type.locations
        if isinstance(location, TreeLocation)
    ]

    def cover(name: str) -> Cover:
        in_bucket = name.startswith(SCHEME)
        places = _in_stores(name, buckets) if in_bucket else [place_of(Path(name), roots)]
        for place in places:
            export = registered.get(place)
            if export is not None:
                late = export.due_on is not None and export.due_on < today
                return Cover.OVERDUE if late else Cover.REGISTERED
        for store, below in places:
            for own, folder, layout in layouts:
                if (
                    own == store
                    and below.startswith(folder)
                    and isinstance(layout.read(below[len(folder) :]), Placed)
                ):
                    return Cover.SCHEDULED
        return Cover.NOBODY

    return cover


def _in_stores(name: str, buckets: Mapping[str, Address]) -> list[tuple[str, str]]:
    """Every store that an object is in, with its key below the store's prefix."""
    bucket, _, key = name.removeprefix(SCHEME).partition("/")
    return [
        (store, key.removeprefix(address.prefix))
        for store, address in buckets.items()
        if address.bucket == bucket and key.startswith(address.prefix)
    ]
