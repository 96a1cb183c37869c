"""Inline examples of the schedule, decided by the same function that decides real records.

An example states facts and what must come out of them on a day. Columns it does not name are NULL, relations it does not name
have no rows, and no hold is in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from retention.decide import Criteria, Due, KeepReason, decide
from retention.evaluate import columns
from retention.records import Personal, Record
from retention.schedule import Example, Library, RecordType, TableLocation, TreeLocation, TriggerKind

EXPECTATIONS = ("due", *(reason.value for reason in KeepReason))
"""What an example may expect: ``due``, or the first reason why the record stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An example that came out otherwise. ``got``: ``due`` or the primary reason; ``until``: last day it is kept, if known."""

    example: Example
    got: str
    until: date | None


def failures(record_type: RecordType, library: Library) -> list[Failure]:
    """The examples of a record type that do not come out as they say."""
    found: list[Failure] = []
    for example in record_type.examples:
        location = record_type.location(example.location)
        criteria = Criteria(record_type=record_type, location=location, library=library, on=example.on)
        decision = decide(_record(example, record_type, location), criteria, ())
        got = "due" if isinstance(decision, Due) else decision.primary.value
        if got != example.expect:
            until = None if isinstance(decision, Due) else decision.until
            found.append(Failure(example=example, got=got, until=until))
    return found


def read_trigger(example: Example, location: TableLocation | TreeLocation) -> date | datetime | None:
    """The example's trigger as the location would give it. Raises ``ValueError`` when a day meets a time or a time a day."""
    if example.trigger is None:
        return None
    is_day = len(example.trigger) == len("2026-01-31")
    if is_day != (location.trigger_kind is TriggerKind.DATE):
        raise ValueError(f"a trigger of kind {location.trigger_kind} is a {'time' if is_day else 'day'}")
    return date.fromisoformat(example.trigger) if is_day else datetime.fromisoformat(example.trigger)


def asked(record_type: RecordType, location: TableLocation | TreeLocation) -> frozenset[str]:
    """The columns that any condition on records of this location asks for."""
    conditions = [location.consent, location.blocked, *(rule.when for rule in record_type.rules)]
    return frozenset[str]().union(*(columns(condition) for condition in conditions if condition is not None))


def _record(example: Example, record_type: RecordType, location: TableLocation | TreeLocation) -> Record:
    relations = location.relations if isinstance(location, TableLocation) else ()
    return Record(
        record_type=record_type.id,
        store=location.store,
        location=location.name,
        key=Personal("example"),
        trigger=read_trigger(example, location),
        fields=example.facts,
        related={relation.name: example.related.get(relation.name, False) for relation in relations},
    )
