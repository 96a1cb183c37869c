"""One row as a `Record`: just what a decision needs, normalised exactly as the compiled decision sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from retention.condition import Condition
from retention.evaluate import columns
from retention.records import Personal, Record, Span, Value
from storage.sql import moments
from storage.sql.keys import Key
from storage.sql.kinds import Ref
from storage.sql.plan import Plan
from storage.sql.predicate import Question
from storage.sql.removal import KEYS


def read(plan: Plan, connection: sa.Connection, key: Key) -> Record | None:
    """The row of that key."""
    return next(records(plan, connection, [key]), None)


def records(plan: Plan, connection: sa.Connection, keys: Sequence[Key]) -> Iterator[Record]:
    """The rows of these keys, in no order. Those that are not there are left out."""
    question, values = plan.question, plan.question.values
    location = question.location
    asked: dict[str, sa.ColumnElement[Any]] = {"key": values.shown(question.key)}
    refs: dict[str, Ref] = {"trigger": question.trigger}
    refs["start"] = question.time(location.span_start or location.trigger)
    refs["end"] = question.time(location.span_end or location.trigger)
    if location.created is not None:
        refs["created"] = question.time(location.created)
    fields = {name: question.column(name) for name in sorted(_mentioned(question))}
    refs |= {f"field {name}": ref for name, ref in fields.items()}
    asked |= {name: values.value(ref) for name, ref in refs.items()}
    if location.subject not in {"none", "unknown"}:
        asked["subject"] = values.shown(question.column(location.subject))
    if location.branch is not None:
        asked["branch"] = values.shown(question.column(location.branch))
    for relation in location.relations:
        asked[f"relation {relation.name}"] = _flag(question.relation(relation.name))
    asked["done"] = _flag(question.done)
    asked["valid"] = _flag(values.is_key(question.key))
    statement = (
        sa.select(*(expression.label(f"c{place}") for place, expression in enumerate(asked.values())))
        .select_from(question.table)
        .where(values.exactly_among(question.key, KEYS))
    )
    for row in connection.execute(statement, {KEYS: values.listed(keys)}).all():
        raw = dict(zip(asked, row, strict=True))
        plain = {name: values.plain(ref.kind, raw[name]) for name, ref in refs.items()}
        trigger = plain["trigger"]
        yield Record(
            record_type=question.criteria.record_type.id,
            store=location.store,
            location=location.name,
            key=Personal(str(raw["key"])),
            trigger=trigger if isinstance(trigger, date) else None,
            span=Span(start=_first(question, plain["start"]), end=_last(question, plain["end"])),
            subject=_text(raw.get("subject")),
            created=_first(question, plain.get("created")),
            branch=None if raw.get("branch") is None else str(raw["branch"]),
            fields={name: plain[f"field {name}"] for name in fields},
            related={
                relation.name: bool(raw[f"relation {relation.name}"]) for relation in location.relations
            },
            undecidable=None if raw["valid"] else "the row has no key of the declared kind",
            done=bool(raw["done"]),
        )


def _mentioned(question: Question) -> set[str]:
    asked: list[Condition | None] = [question.location.blocked, question.location.consent]
    asked += [rule.when for rule in question.criteria.record_type.rules]
    return {name for condition in asked if condition is not None for name in columns(condition)}


def _flag(truth: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    return sa.case((truth, sa.literal_column("1")), else_=sa.literal_column("0"))


def _text(raw: Any) -> Personal[str] | None:
    return None if raw is None else Personal(str(raw))


def _first(question: Question, value: Value) -> datetime | None:
    if not isinstance(value, date):
        return None
    first = moments.first_moment(value, question.location.zone)
    return first - question.values.grain if isinstance(value, datetime) else first


def _last(question: Question, value: Value) -> datetime | None:
    if not isinstance(value, date):
        return None
    last = moments.last_moment(value, question.location.zone)
    return last + question.values.grain if isinstance(value, datetime) else last
