"""What waits for a person: decisions that their role lets them take and that they have not taken yet. Needs the ledger alone.

A sealed hold is told to those on its need-to-know list, and to nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime

from retention.clearance import Requirements
from retention.decide import CANNOT_DECIDE
from retention.holds import HoldState
from retention.permissions import Act, may
from retention.ruling import standing_approvals
from retention.schedule import ApprovalKind, Schedule
from storage.dispositions import OpenCase
from storage.ledger.holds import HoldFile
from storage.ledger.ledger import Ledger
from storage.ledger.people import Person
from storage.rulings import rulings_of
from storage.seeing import all_seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Ids, oldest first where they have an age. ``agree``: record types whose standing approval waits for a second person."""

    approve: tuple[str, ...] = ()
    agree: tuple[str, ...] = ()
    decide: tuple[str, ...] = ()
    """Requests that a custodian places or declines."""
    verify: tuple[str, ...] = ()
    """Requests that counsel has not looked at; a custodian has them among those to decide on."""
    acknowledge: tuple[str, ...] = ()
    """Holds that the person was told of."""
    confirm: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    review: tuple[str, ...] = ()
    ethics: tuple[str, ...] = ()
    """The year, where the code of ethics is to be acknowledged before anything is approved."""

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


def queue(
    ledger: Ledger, schedule: Schedule, open_cases: Iterable[OpenCase], person: Person, *, now: datetime, required: Requirements
) -> Queue:  # fmt: skip
    """``open_cases``: from `Dispositions.open_cases`, newest first. Somebody who is disabled has nothing to do."""
    if person.disabled:
        return Queue()
    on = now.astimezone(schedule.library.zone).date()
    holds = all_seen(ledger, person.name)
    confirms, places = may(person.role, Act.CONFIRM_HOLD), may(person.role, Act.PLACE_HOLD)
    verifies, seconds = may(person.role, Act.VERIFY_REQUEST) and not places, may(person.role, Act.SECOND)
    return Queue(
        approve=tuple(one.case.id for one in reversed([*open_cases]) if one.waits_for(person.name)) if seconds else (),
        agree=tuple(_standing(ledger, schedule, person, on)) if seconds else (),
        decide=_chosen(holds, places, lambda one: one.state is HoldState.REQUESTED),
        verify=_chosen(holds, verifies, lambda one: one.unverified),
        acknowledge=_chosen(holds, True, lambda one: one.state.keeps and person.name in one.unacknowledged),
        confirm=_chosen(holds, confirms, lambda one: one.unconfirmed and one.placed_by != person.name),
        release=_chosen(holds, confirms, lambda one: one.state is HoldState.RELEASE_REQUESTED and _asked(one) != person.name),
        review=_chosen(holds, places, lambda one: one.state.keeps and one.review_on is not None and one.review_on <= on),
        ethics=(str(on.year),) if seconds and required.ethics and not ledger.steps.acknowledged(person.name, on.year) else (),
    )  # fmt: skip


def undecided(ledger: Ledger, schedule: Schedule) -> dict[str, dict[str, int]]:
    """Records that nobody can decide on: by record type, then by reason, as its last case counted them."""
    found: dict[str, dict[str, int]] = {}
    for record_type in schedule.record_types:
        last = next(iter(ledger.cases.list(record_type=record_type.id, limit=1)), None)
        if last is None:
            continue
        counts: dict[str, int] = {}
        for entry in last.survey.values():
            for reason in sorted(CANNOT_DECIDE):
                if count := int(entry.get("kept", {}).get(reason.value, 0)):
                    counts[reason.value] = counts.get(reason.value, 0) + count
        if counts:
            found[record_type.id] = counts
    return found


def _chosen(
    holds: list[HoldFile], allowed: bool, wanted: Callable[[HoldFile], bool]
) -> tuple[str, ...]:  # fmt: skip
    return tuple(one.id for one in reversed(holds) if allowed and wanted(one))


def _asked(file: HoldFile) -> str:
    return next((step.person for step in reversed(file.actions) if step.action == "request-release"), "")


def _standing(ledger: Ledger, schedule: Schedule, person: Person, on: date) -> list[str]:
    found = []
    for record_type in schedule.record_types:
        if record_type.approval is not ApprovalKind.STANDING:
            continue
        _, waiting = standing_approvals(rulings_of(ledger, record_type.id))
        if waiting is None or waiting.proposed_by == person.name:
            continue
        if waiting.rule == record_type.digest and on <= waiting.until:
            found.append(record_type.id)
    return found
