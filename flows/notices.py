"""Notices to people who are not looking: by mail, chat or whatever address the site gives. Counts and commands, nothing else.

Nothing personal and nothing sealed is in one: whoever reads it is not known. Refuses to stop anything: what cannot be sent is noted in
the ledger, and the work goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress

from apprise import Apprise

from flows.settings import Settings
from flows.wiring import Site
from retention.errors import RetentionError

ACTOR = "scheduler"
TITLE = "Records retention: something waits for you"
_SENTENCES = {
    "unfinished": ("{} not finish its work", "run did", "runs did"),
    "failed": ("{} in trouble in the last run", "record type was", "record types were"),
    "braked": ("{} stopped by a brake", "case was", "cases were"),
    "approve": ("{} for approval", "case waits", "cases wait"),
    "lapsing": (
        "{} soon, unless a second person confirms",
        "provisional hold lapses",
        "provisional holds lapse",
    ),
    "confirm": ("{} beyond the time to be confirmed", "provisional hold is", "provisional holds are"),
    "review": ("{} for review", "hold is due", "holds are due"),
    "complete": ("{} not confirmed by every store", "hold is", "holds are"),
}
"""What may be told, and in which order."""


def text(counts: Mapping[str, int]) -> str:
    """The notice; "" when there is nothing to tell."""
    lines = [
        sentence.format(f"{counts[name]} {one if counts[name] == 1 else many}") + "."
        for name, (sentence, one, many) in _SENTENCES.items()
        if counts.get(name)
    ]
    return "\n".join([*lines, "See: retention queue --as NAME"]) if lines else ""


def send(settings: Settings, counts: Mapping[str, int]) -> int:
    """Send what there is to tell to every address. Returns how many addresses did not take it."""
    body, addresses = text(counts), settings.notices_to
    if not body or not addresses:
        return 0
    logging.getLogger("apprise").disabled = True  # it writes addresses, which carry passwords, into the log
    failed = 0
    for address in addresses:
        one = Apprise()
        failed += not (one.add(address) and one.notify(title=TITLE, body=body))
    return failed


def tell(site: Site, counts: Mapping[str, int]) -> None:
    """`send`, and note in the ledger what could not be sent, if it can be noted."""
    failed = send(site.settings, counts)
    if failed:
        with suppress(RetentionError):
            site.ledger.note(
                "notice.not-sent", actor=ACTOR, subject="notices", body={"addresses": failed}, at=site.now()
            )
