"""One scan of this site: where to look, who answers for what is found, and what is written down of it (counts only)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from flows.exports import file_roots
from flows.wiring import Site
from retention.errors import UsageError
from retention.layout import Layout, Placed, compile_layout
from retention.schedule import TreeLocation
from storage.exports.registering import place_of
from storage.scanning.patterns import Patterns, read_barcodes
from storage.scanning.scan import Cover, Report, Scanner

ACTOR = "scan"
MEMORY = "scans.json"


def places_to_scan(site: Site) -> list[Path]:
    """What the settings name, else the roots of all file stores. Raises `UsageError` for neither."""
    named = [Path(part) for part in site.settings.scan_paths.split(os.pathsep) if part]
    found = named or sorted(set(file_roots(site).values()))
    if not found:
        raise UsageError("there is nothing to scan", "name a folder, or set RETENTION_SCAN_PATHS")
    return found


def scan(
    site: Site, places: Sequence[Path], *, whole: bool = False, known: bool = False, progress: Callable[[int], None] = lambda _: None
) -> Report:  # fmt: skip
    """Scan, and note in the ledger that it was done. Raises `UsageError`, `LedgerUnavailable`, `Unavailable`."""
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
    report = scanner.scan(places, site.now(), progress)
    body = {
        "files": report.files, "alarms": len(report.alarms), "drifted": len(report.drifted), "unread": sum(report.unread.values()),
        "known": known,
    }  # fmt: skip
    site.ledger.note("scan", actor=ACTOR, subject="scan", body=body, at=site.now())
    return report


def covers(site: Site) -> Callable[[Path], Cover]:
    """Who answers for a file, by the registry and the schedule as they are now."""
    roots, today = file_roots(site), site.today()
    registered = site.ledger.exports.at_place()
    layouts: list[tuple[str, str, Layout]] = [
        (location.store, f"{location.path}/" if location.path else "", compile_layout(location.template))
        for record_type in site.schedule.record_types
        for location in record_type.locations
        if isinstance(location, TreeLocation)
    ]

    def cover(path: Path) -> Cover:
        store, below = place_of(path, roots)
        export = registered.get((store, below))
        if export is not None:
            late = export.due_on is not None and export.due_on < today
            return Cover.OVERDUE if late else Cover.REGISTERED
        for own, folder, layout in layouts:
            if (
                own == store
                and below.startswith(folder)
                and isinstance(layout.read(below[len(folder) :]), Placed)
            ):
                return Cover.SCHEDULED
        return Cover.NOBODY

    return cover
