"""Count a location by decision and write the keys of what is due: in the database, in one snapshot, in memory that does not grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from retention import dates
from retention.decide import CANNOT_DECIDE, KeepReason
from retention.errors import StoreUnavailable
from retention.holds import Hold
from retention.schedule import TableLocation
from storage.contract import Survey
from storage.sql.comparing import either, surely
from storage.sql.keys import read_lines, write_lines
from storage.sql.kinds import Kind, Truth
from storage.sql.plan import Plan
from storage.sql.predicate import DUE, Question

Write = Callable[[bytes], object]
STRETCH = 100_000
"""Keys listed at a time."""
AFTER = "after_key"


def survey(plan: Plan, holds: Sequence[Hold], write: Write, progress: Callable[[int], None]) -> Survey:
    """Count and write. Both see the same moment."""
    question = plan.question
    with plan.engine.snapshot() as connection:
        found = count(question, connection, holds)
        looked_at = found.kept.total()
        progress(looked_at)
        plan.engine.walk_by_key(connection)
        by, tally = _parts(question, found), Counter[tuple[Any, ...]]()
        for lines, many in lines_of(question, connection, question.due(holds), by, tally):
            write(lines)
            found.due += many
            progress(looked_at + found.due)
    for (year, *branch), many in tally.items():
        found.spread[branch[0] if branch else None, int(year) or None] += many
    if found.due + looked_at != found.population:
        raise StoreUnavailable(
            f"location {found.location}: counting and listing found different numbers of records",
            "survey again",
        )
    return found


def _parts(question: Question, found: Survey) -> list[sa.ColumnElement[Any]]:
    """What the due ones are counted by while they are listed, so that nothing is looked at twice: the year, 0 where it is not known, and the
    branch where the location names one. ``found``: what was counted."""
    if found.oldest is None or found.newest is None:
        return []
    place = question.location.branch
    branch = [] if place is None else [sa.cast(question.values.shown(question.column(place)), sa.Text())]
    return [question.year(found.oldest.year, found.newest.year), *branch]


def lines_of(
    question: Question, connection: sa.Connection, where: Sequence[Truth],
    by: Sequence[sa.ColumnElement[Any]] = (), tally: Counter[tuple[Any, ...]] | None = None,
) -> Iterator[tuple[bytes, int]]:  # fmt: skip
    """Manifest lines of the rows for which all of that holds, in key order, with how many there are. Counted into ``tally`` by the values of
    ``by``, the first of which is never null."""
    key, counts = question.key, Counter[tuple[Any, ...]]() if tally is None else tally
    parts = [part.label(f"part_{number}") for number, part in enumerate(by)]
    chosen = sa.select(key.at.label("key"), *parts).select_from(question.table).where(*where).order_by(key.at)
    stretch = chosen.limit(STRETCH)
    if question.values.joined(stretch.subquery("s").c.key, key.kind) is None:
        yield from _fetched(connection, chosen, key.kind, counts)
        return
    after = stretch.where(key.at > sa.bindparam(AFTER, type_=question.values.key_type(key.kind)))
    first, next_ = (_joining(question, one.cte("stretch")) for one in (stretch, after))
    text, many = _told(connection.execute(first), counts)
    while many:
        lines = str(text).encode()
        if lines.count(b"\n") != many - 1:
            raise StoreUnavailable("the database cut a list of keys short", "see max_allowed_packet")
        yield lines + b"\n", int(many)
        if many < STRETCH:
            return
        last = read_lines([lines[lines.rfind(b"\n") + 1 :]], key.kind)
        text, many = _told(connection.execute(next_, {AFTER: last[0]}), counts)


def _joining(question: Question, stretch: sa.CTE) -> sa.Executable:
    """One row with the lines and their number; and, with parts, whose first is null there, one for each value of them with its number."""
    joined = question.values.joined(stretch.c.key, question.key.kind)
    assert joined is not None
    parts = [column for column in stretch.c if column.name != "key"]
    empty = (sa.cast(sa.null(), part.type) for part in parts)
    whole = sa.select(joined, sa.func.count(), *empty).select_from(stretch)
    if not parts:
        return whole
    each = sa.select(sa.cast(sa.null(), sa.Text()), sa.func.count(), *parts).group_by(*parts)
    return sa.union_all(whole, each)


def _told(result: sa.CursorResult[Any], counts: Counter[tuple[Any, ...]]) -> tuple[Any, int]:
    lines: tuple[Any, int] = (None, 0)
    for text, many, *parts in result:
        if parts and parts[0] is not None:
            counts[tuple(parts)] += int(many)
        else:
            lines = text, int(many)
    return lines


def _fetched(
    connection: sa.Connection, chosen: sa.Select[Any], kind: Kind, counts: Counter[tuple[Any, ...]]
) -> Iterator[tuple[bytes, int]]:
    with connection.execute(chosen, execution_options={"yield_per": STRETCH}) as result:
        for rows in result.partitions():
            counts.update(Counter(tuple(row[1:]) for row in rows if len(row) > 1))
            yield write_lines([row[0] for row in rows], kind), len(rows)


def count(question: Question, connection: sa.Connection, holds: Sequence[Hold]) -> Survey:
    """Everything at the location by primary reason. ``due`` is left to the writing."""
    values = question.values
    late = sa.case((surely(question.past_maximum), sa.literal_column("1")), else_=sa.literal_column("0"))
    reasons = question.reasons(holds)
    marks: list[sa.ColumnElement[Any]] = (
        [truth for truth, _ in reasons] if values.groups_by_truths else [question.reason(holds)]
    )
    moment = values.rank(question.trigger)
    held = next((number for number, (_, reason) in enumerate(reasons) if reason is KeepReason.HELD), None)
    if held is not None:  # a hold keeps what has no time too, or none that Python could carry
        moment = sa.case((sa.not_(values.missing(question.trigger)), moment), else_=sa.null())
    each = (
        sa.select(
            *(mark.label(f"mark_{number}") for number, mark in enumerate(marks)),
            values.form(question.trigger).label("form"),
            moment.label("moment"),
            late.label("late"),
        )
        .select_from(question.table)
        .subquery("each_row")
    )
    marked = [each.c[f"mark_{number}"] for number in range(len(marks))]
    is_due = (
        sa.not_(either(*marked)) if values.groups_by_truths else marked[0] == sa.literal_column(f"'{DUE}'")
    )
    shown = is_due
    if held is not None:
        is_held = (
            sa.and_(sa.not_(either(*marked[:held])), marked[held])
            if values.groups_by_truths
            else marked[0] == sa.literal_column(f"'{KeepReason.HELD.value}'")
        )
        shown = sa.or_(is_due, is_held)
    oldest, newest = sa.func.min(each.c.moment), sa.func.max(each.c.moment)
    # Not shown for what else is kept: it may hold times that Python cannot carry. Asked of each group, not of each row.
    counted = sa.select(
        each.c.form,
        sa.func.count(),
        sa.case((shown, oldest), else_=sa.null()),
        sa.case((shown, newest), else_=sa.null()),
        sa.func.sum(each.c.late),
        *marked,
    ).group_by(*marked, each.c.form)
    found = Survey(location=question.location.name)
    for form, many, first, last, past, *told in connection.execute(counted).all():
        found.population += int(many)
        if values.groups_by_truths:
            word = next((reason for it, (_, reason) in zip(told, reasons, strict=True) if it), DUE)
        else:
            word = told[0]
        days = [_day(question, form, raw) for raw in (first, last) if raw is not None]
        if word == DUE:
            found.past_maximum += int(past)
            found.note_due(*days)
            continue
        found.kept[KeepReason(word)] += int(many)
        if word == KeepReason.HELD and days:
            found.note_held(*days)
    return found


def _day(question: Question, form: Any, raw: Any) -> date:
    moment = question.values.ranked(question.trigger.kind, form, raw)
    return dates.local_day(moment, question.location.zone, question.criteria.library.zone)


def cannot_decide(
    plan: Plan, connection: sa.Connection, holds: Sequence[Hold], limit: int
) -> Iterator[tuple[str, KeepReason, str]]:
    """Up to ``limit`` rows that nobody can decide on, in key order."""
    question = plan.question
    each = (
        sa.select(question.values.shown(question.key).label("key"), question.reason(holds).label("reason"))
        .select_from(question.table)
        .order_by(question.key.at)
        .subquery("each_row")
    )
    words = [reason.value for reason in KeepReason if reason in CANNOT_DECIDE]
    listed = sa.select(each.c.key, each.c.reason).where(each.c.reason.in_(words)).limit(limit)
    for key, word in connection.execute(listed).all():
        reason = KeepReason(word)
        yield str(key), reason, _detail(question.location, reason)


def _detail(location: TableLocation, reason: KeepReason) -> str:
    if reason is KeepReason.NO_TRIGGER:
        return f"column {location.trigger} is empty or no date"
    if reason is KeepReason.UNDECIDABLE:
        return f"column {location.key} holds no key"
    if reason is KeepReason.UNCLEAR:
        return "a column that a condition asks for is empty or of another kind"
    return "no rule of the record type applies"
