"""Copies of the rows that holds keep, with everything that hangs on them: read only, in one snapshot, a few hundred rows in memory.

Every column of the location's table and of its dependents is copied, whether a decision asks for it or not. What Python cannot carry
exactly (times beyond its years, arrays, ranges) is taken as the database writes it; its declared type stands beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import islice

import sqlalchemy as sa

from retention.holds import Hold
from retention.records import Record
from retention.schedule import TableLocation
from storage.row_copy import About, write, write_row
from storage.sql import moments
from storage.sql.comparing import either
from storage.sql.keys import Key, as_kind, read_lines
from storage.sql.plan import Branch, Plan
from storage.sql.reading import records
from storage.sql.removal import KEYS
from storage.sql.survey import lines_of

AT_ONCE = 200
"""Records read at a time."""
_IN_MEMORY = 1024 * 1024
"""Bytes of the list of keys that stay in memory; a longer one goes to a file without a name."""
REFERRED = "referred_keys"
_Chain = tuple[Branch, ...]


def copies(plan: Plan, holds: Sequence[Hold]) -> Iterator[list[bytes]]:
    """The content of one copy for each row that one of these holds keeps, in key order, some at a time.

    A row without a key of the declared kind has none to be found by: it is left alone, as everything here leaves it.
    """
    question = plan.question
    kept = either(*(truth for _, truth in question.holding(holds)))
    where = [question.values.is_key(question.key), kept]
    with plan.engine.snapshot() as connection, tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as keys:
        for lines, _ in lines_of(question, connection, where):
            keys.write(lines)
        keys.seek(0)
        while some := [line.rstrip(b"\n") for line in islice(keys, AT_ONCE)]:
            yield list(_copied(plan, connection, read_lines(some, question.key.kind)))


def _copied(plan: Plan, connection: sa.Connection, keys: Sequence[Key]) -> Iterator[bytes]:
    rows = dict(_rows(plan, connection, keys, ()))
    hanging: dict[str, list[bytes]] = {}
    for branch in plan.branches:
        for key, line in _rows(plan, connection, keys, _chain(branch)):
            hanging.setdefault(key, []).append(line)
    for record in records(plan, connection, keys):
        key = record.key.reveal()
        own = rows.get(key)
        if own is not None:
            yield write(_about(record, plan.question.location), [own, *sorted(hanging.get(key, []))])


def _about(record: Record, location: TableLocation) -> About:
    return About(
        trigger=_last(record.trigger, location),
        start=record.span.start,
        end=record.span.end,
        subject=record.subject,
        branch=record.branch,
        fields=record.fields,
    )


def _last(trigger: date | datetime | None, location: TableLocation) -> datetime | None:
    return None if trigger is None else moments.last_moment(trigger, location.zone)


def _chain(branch: Branch) -> _Chain:
    """From the branch that hangs on the location's own table to this one."""
    return (branch,) if branch.parent is None else (*_chain(branch.parent), branch)


def _rows(
    plan: Plan, connection: sa.Connection, keys: Sequence[Key], chain: _Chain
) -> Iterator[tuple[str, bytes]]:
    """The rows of one table that belong to these records, each with the record's key as `reading.records` shows it."""
    question, values = plan.question, plan.question.values
    shape, clause, joined = question.shape, question.table, question.table
    where, given = [values.exactly_among(question.key, KEYS)], {KEYS: values.listed(keys)}
    for branch in chain:
        below = branch.shape.clause(f"b{branch.number}")
        ours = shape.ref(clause, branch.dependent.parent_column)
        theirs = branch.shape.ref(below, branch.dependent.column)
        if branch is chain[-1]:
            # Said once more as a list, for the index: two columns of different types are not looked up by a comparison of the two.
            above = connection.execute(sa.select(ours.at).select_from(joined).where(*where), given).scalars()
            referred = as_kind(set(above), theirs.kind, values.whole_numbers)
            if not referred:
                return
            where.append(values.among(theirs, REFERRED))
            given[REFERRED] = values.listed(referred)
        joined, shape, clause = sa.join(joined, below, values.same(theirs, ours)), branch.shape, below
    columns = [plan.engine.copied(shape.ref(clause, name)) for name in shape.columns]
    statement = (
        sa.select(values.shown(question.key), *(column.label(f"c{at}") for at, column in enumerate(columns)))
        .select_from(joined)
        .where(*where)
    )
    declared = {name: column.declared or column.kind.value for name, column in shape.columns.items()}
    for key, *raw in connection.execute(statement, given):
        yield str(key), write_row(shape.title, declared, dict(zip(shape.columns, raw, strict=True)))
