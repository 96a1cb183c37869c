"""Sealed records as records that can be decided on: a whole cohort by the trigger of its newest object, or one object alone.

Refuses to look inside. Subject, camera, branch and time of an object are sealed with it, so whether a hold covers it is for the
push-down to say (`Store.preserve`): what it covers has left its cohort. A hold that has not looked at the newest object yet may cover
anything, and keeps everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

from retention import dates
from retention.decide import Criteria, Keep, KeepReason, decide
from retention.holds import Hold
from retention.records import Personal, Record
from storage.keys.values import Cohort, ObjectState, SealedObject, Trigger

LookedAt = Callable[[Hold, Criteria], int]
"""Newest object (``seq``) at this location that the push-down of a hold has looked at; -1 for none."""


def cohort_record(cohort: Cohort, kept_by: Iterable[str]) -> Record:
    """It goes by its last trigger, so nothing in it goes too early."""
    return Record(
        record_type=cohort.record_type, store=cohort.store, location=cohort.location, key=Personal(cohort.id),
        trigger=cohort.trigger_last, kept_by=frozenset(kept_by),
    )  # fmt: skip


def object_record(item: SealedObject, kept_by: Iterable[str], trigger: Trigger | None = None) -> Record:
    """``trigger``: of its cohort, which it goes with; its own when it goes alone."""
    return Record(
        record_type=item.record_type, store=item.store, location=item.location, key=Personal(item.id),
        trigger=item.trigger if trigger is None else trigger, kept_by=frozenset((*item.holds, *kept_by)),
        withdrawn=item.state is ObjectState.WITHDRAWN,
    )  # fmt: skip


def not_looked(holds: Iterable[Hold], criteria: Criteria, seq: int, looked_at: LookedAt) -> list[str]:
    """Ids of the holds that may cover something here and have not looked that far."""
    record_type, store = criteria.record_type.id, criteria.location.store
    return [
        hold.id
        for hold in holds
        if hold.state.keeps and hold.scope.touches(record_type, store) and looked_at(hold, criteria) < seq
    ]


def is_early(item: SealedObject, criteria: Criteria) -> bool:
    """Whether the object's minimum is not over yet."""
    record = Record(
        record_type=item.record_type, store=item.store, location=item.location, key=Personal(item.id), trigger=item.trigger
    )  # fmt: skip
    decision = decide(record, criteria, ())
    return isinstance(decision, Keep) and KeepReason.NOT_YET in decision.reasons


def local_day(trigger: Trigger, criteria: Criteria) -> date:
    return dates.local_day(trigger, criteria.location.zone, criteria.library.zone)
