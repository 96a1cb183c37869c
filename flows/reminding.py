"""Remind as a Prefect flow: an artifact for people who look, an event that a site can turn into mail. Counts and ids only."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from flows import notices
from flows.door import RETRIES, RETRY_DELAYS, at_the_door, may_retry, site
from flows.reminders import Reminders, remember, reminders

ARTIFACT = "retention-reminders"
EVENT = "retention.reminder"

_WORDS = {
    "review": ("Holds to review", "retention hold show"),
    "confirm": ("Holds that nobody confirmed in time: they lapse", "retention hold confirm"),
    "lapsing": ("Provisional holds that lapse soon unless they are confirmed", "retention hold confirm"),
    "complete": ("Holds that not every store has confirmed yet", "retention hold place --resume"),
    "approve": ("Cases that wait for a decision", "retention case show"),
    "decide": ("Requests to decide on", "retention hold show"),
    "acknowledge": ("Holds that somebody who was told has not acknowledged", "retention hold show"),
    "attest": ("Exports whose recipient has not confirmed destruction", "retention export attest"),
}


@task(
    name="look",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=may_retry,
    persist_result=False,
    cache_policy=NO_CACHE,
)
@at_the_door
def look() -> Reminders:
    """Look what waits for a person, and note it in the ledger."""
    with site() as opened:
        found = reminders(opened)
        if found:
            remember(opened, found)
            notices.tell(opened, found.counts)
        return found


@flow(name="remind", persist_result=False, log_prints=False)
@at_the_door
def remind() -> Reminders:
    """Remind people of what waits for them. Tells nobody anything but counts and ids."""
    found = look()
    create_markdown_artifact(written(found), key=ARTIFACT, description="what waits for people")
    if found:
        emit_event(
            event=EVENT, resource={"prefect.resource.id": "retention.reminders"}, payload=dict(found.counts)
        )
    return found


def written(found: Reminders) -> str:
    """The reminders as Markdown."""
    lines = ["# What waits for people", ""]
    for name, (title, command) in _WORDS.items():
        ids = getattr(found, name)
        if ids:
            lines += [f"**{title}** ({len(ids)})", "", *(f"- `{command} {id}`" for id in ids), ""]
    return "\n".join(lines) if found else "Nothing waits for anybody."
