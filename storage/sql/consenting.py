"""Who consents, as a table or view of a database says: asked in one snapshot, stretch by stretch, and never written to.

Refuses a table that it cannot see whole: a row that is hidden from this account would pass for a withdrawal.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from retention.evaluate import columns
from retention.schedule import ConsentRecord
from storage.consents import Stretch
from storage.sql.comparing import UNKNOWN, surely, surely_not
from storage.sql.engine import Engine
from storage.sql.failures import StoreRefused
from storage.sql.kinds import NAMES_SOMEBODY, Shape
from storage.sql.predicate import compiled

STRETCH = 10_000


def consenting(
    store: str, engine: Engine, connection: sa.Connection, recorded: ConsentRecord
) -> Iterator[Stretch]:
    """Everybody whom the condition is not known to be false of, with whether it is true. Raises `StoreUnavailable`."""
    shape = _shape(store, engine, connection, recorded)
    clause = shape.clause()
    values = engine.values
    truth = sa.true() if recorded.when is None else compiled(recorded.when, values, shape, clause)
    if truth is UNKNOWN:
        raise _refused(
            store, recorded, "its condition can never be answered: it compares unlike kinds of values"
        )
    flag = sa.case((surely(truth), sa.literal_column("1")), else_=sa.literal_column("0"))
    asked = (
        sa.select(values.shown(shape.ref(clause, recorded.subject)), flag)
        .select_from(clause)
        .where(sa.not_(surely_not(truth)))
    )
    engine.see_whole(connection)
    with connection.execute(asked, execution_options={"yield_per": STRETCH}) as result:
        for rows in result.partitions():
            yield [(None if subject is None else str(subject), bool(sure)) for subject, sure in rows]


def _shape(store: str, engine: Engine, connection: sa.Connection, recorded: ConsentRecord) -> Shape:
    shape = engine.shape(connection, recorded.table)
    if shape is None:
        raise _refused(store, recorded, "there is no such table")
    if shape.hides:
        raise _refused(store, recorded, "row security hides rows of it from this account")
    for name in (recorded.subject, *sorted(() if recorded.when is None else columns(recorded.when))):
        if name not in shape.columns:
            raise _refused(store, recorded, f"it has no column {name}")
    if shape.columns[recorded.subject].kind not in NAMES_SOMEBODY:
        raise _refused(
            store, recorded, f"its column {recorded.subject} names nobody: it is no number and no text"
        )
    return shape


def _refused(store: str, recorded: ConsentRecord, what: str) -> StoreRefused:
    return StoreRefused(
        f"the record of consent {store}/{recorded.table}: {what}",
        "mend consent in the schedule, or the table",
    )
