"""Who has to do something: holds to review, to confirm or to complete, cases that wait for people. Opaque ids only.

Sealed holds are left out: whoever reads a reminder is not known to be on their need-to-know list.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from flows.wiring import Site
from retention.holds import HoldState
from storage.ledger.holds import HoldFile

ACTOR = "scheduler"
NOTE = "reminder"
SOON = timedelta(days=5)
"""How long before a provisional hold lapses people are reminded to confirm it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminders:
    """Ids of holds (``review``: its review day has come; ``confirm``: nobody confirmed it in time, and it is in its grace; ``lapsing``:
    provisional with less than `SOON` left; ``complete``: a store did
    not answer when it was placed), of cases that wait for a person's decision (``approve``), and of exports whose recipient has not
    confirmed destruction (``attest``); requests nobody has decided on (``decide``), holds that somebody who was told of has not acknowledged."""

    review: tuple[str, ...] = ()
    confirm: tuple[str, ...] = ()
    lapsing: tuple[str, ...] = ()
    complete: tuple[str, ...] = ()
    approve: tuple[str, ...] = ()
    attest: tuple[str, ...] = ()
    decide: tuple[str, ...] = ()
    acknowledge: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        return {field.name: len(getattr(self, field.name)) for field in fields(self)}

    def __bool__(self) -> bool:
        return any(self.counts.values())


def reminders(site: Site) -> Reminders:
    """What waits for a person now."""
    now, today = site.now(), site.today()
    site.ledger.require_ready(now)
    holds = [hold for hold in site.ledger.holds.list() if not hold.sealed]
    return Reminders(
        review=tuple(hold.id for hold in holds if hold.review_on is not None and hold.review_on <= today),
        confirm=tuple(hold.id for hold in holds if hold.lapsed or _lapses(hold, now)),
        lapsing=tuple(hold.id for hold in holds if _lapses(hold, now + SOON) and not _lapses(hold, now)),
        complete=tuple(hold.id for hold in holds if hold.state is HoldState.PLACING),
        approve=_waiting_cases(site),
        attest=tuple(export.id for export in site.ledger.exports.list() if export.awaits_attestation),
        decide=tuple(hold.id for hold in holds if hold.state is HoldState.REQUESTED),
        acknowledge=tuple(hold.id for hold in holds if hold.state.keeps and hold.unacknowledged),
    )  # fmt: skip


def remember(site: Site, found: Reminders) -> None:
    """Write into the ledger that people were reminded, and of what."""
    body = {name: list(getattr(found, name)) for name in found.counts}
    site.ledger.note(NOTE, actor=ACTOR, subject="reminders", body=body, at=site.now())


def _lapses(hold: HoldFile, by: datetime) -> bool:
    """Whether it is provisional, and no longer at that time."""
    until = hold.provisional_until
    return hold.state is HoldState.PROVISIONAL and until is not None and until <= by


def _waiting_cases(site: Site) -> tuple[str, ...]:
    return tuple(one.case.id for one in site.dispositions.open_cases() if one.waits_for_approval)
