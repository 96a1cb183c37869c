"""Scan as a Prefect flow: an artifact for people who look, an event that a site can turn into mail. Counts and masks only."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from flows.door import RETRIES, RETRY_DELAYS, at_the_door, may_retry, site
from flows.scans import places_to_scan, scan
from storage.scanning.scan import Report

ARTIFACT = "retention-scan"
EVENT = "retention.scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What a scan found, as it may be shown to anybody: counts, and the masks of files that nobody answers for."""

    files: int
    alarms: tuple[str, ...]
    drifted: tuple[str, ...]
    unread: int

    @property
    def counts(self) -> dict[str, int]:
        return {
            "files": self.files, "alarms": len(self.alarms), "drifted": len(self.drifted), "unread": self.unread,
        }  # fmt: skip


@task(
    name="scan", retries=RETRIES, retry_delay_seconds=RETRY_DELAYS, retry_condition_fn=may_retry, persist_result=False,
    cache_policy=NO_CACHE,
)  # fmt: skip
@at_the_door
def look_through() -> Scanned:
    """Scan what the settings name, for personal data and for people whose records were destroyed."""
    with site() as opened:
        return shown(scan(opened, places_to_scan(opened), known=opened.known.size > 0))


def shown(report: Report) -> Scanned:
    return Scanned(
        files=report.files,
        alarms=tuple(result.mask for result in report.alarms),
        drifted=tuple(result.mask for result in report.drifted),
        unread=sum(report.unread.values()),
    )


@flow(name="scan", persist_result=False, log_prints=False)
@at_the_door
def scan_weekly() -> Scanned:
    """Look for personal data that nobody answers for. Tells nobody anything but counts and masks."""
    found = look_through()
    create_markdown_artifact(
        written(found), key=ARTIFACT, description="personal data that nobody answers for"
    )
    if found.alarms or found.drifted:
        emit_event(
            event=EVENT, resource={"prefect.resource.id": "retention.scan"}, payload=dict(found.counts)
        )
    return found


def written(found: Scanned) -> str:
    """What was found, as Markdown."""
    lines = [f"{found.files} files looked through, {found.unread} not looked into.", ""]
    for title, masks in (("Nobody answers for", found.alarms), ("New since the last scan", found.drifted)):
        if masks:
            lines += [
                f"**{title}** ({len(masks)}): see `retention scan`",
                "",
                *(f"- {mask}" for mask in masks[:100]),
                "",
            ]
    return "\n".join(lines)
