"""Sealing the columns of a table in place: batches in key order, each one transaction, read back before it is committed.

In one transaction: the rows are locked, each value sealed, the row updated, and every value read again, opened with its key, and
compared with what stood there. Only then the transaction is committed, and the plaintext gone from the row. Interrupted anywhere it
goes on where it stopped: what is a sealed value already is passed over.

It does not claim that the plaintext is gone from the database's files: old pages, its log, replicas and backups keep it for a while.
The registry remembers since when it stood there, and a certificate says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from retention.decide import Criteria
from retention.errors import Refused, SealedUnreadable
from retention.records import Record
from storage.contract import Finding
from storage.keys.keystore import KeyStore
from storage.sealed.columns_cabinet import About, Cabinet
from storage.sealed.columns_token import from_text, to_text
from storage.sealed.sealing_result import Sealing
from storage.sql import SqlStore, moments
from storage.sql.failures import CAUGHT, telling
from storage.sql.keys import Key
from storage.sql.plan import Plan
from storage.sql.reading import read
from storage.sql.removal import KEYS

ROWS = 200
"""Rows of one transaction: well under a second, since holds wait for it."""
NO_TRIGGER = "the date that starts its period is missing"
NO_TEXT = "not text"

_LOOKS_SEALED = "s1_.________________.%"
_AFTER = "after_key"


class ColumnSealer:
    """Seals at one location. ``now``: aware. ``pulse``: called for every batch; may raise to stop (a lease was lost)."""

    def __init__(
        self,
        criteria: Criteria,
        store: SqlStore,
        keys: KeyStore,
        *,
        now: Callable[[], datetime],
        pulse: Callable[[], object] = lambda: None,
    ) -> None:
        """Raises `ScheduleInvalid` for a location without sealed columns."""
        self._cabinet = Cabinet(keys, criteria, now=now)
        self._criteria = criteria
        self._location = self._cabinet.location
        self._store = store
        self._now = now
        self._pulse = pulse

    def plan(self, progress: Callable[[int], object] = lambda _: None) -> Sealing:
        """Count what would be sealed. Changes nothing. Raises `StoreUnavailable`, `Refused`."""
        result = self._result()
        plan = self._store.resolved(self._criteria)
        table = plan.question.table
        with telling(self._store.name, "counting values"), plan.engine.looking() as connection:
            for name in self._location.sealed:
                column = plan.question.column(name).at
                waits = self._pending(plan, [name])
                asked = sa.select(sa.func.count(), sa.func.sum(sa.func.length(column))).select_from(table)
                count, size = connection.execute(asked.where(waits)).one()
                result.sealed += int(count)
                result.size += int(size or 0)
                whole = sa.select(sa.func.count(column)).select_from(table)
                result.before += int(connection.execute(whole).scalar() or 0) - int(count)
            result.findings = self._findings(plan, connection)
        return result

    def seal(self, progress: Callable[[int], object] = lambda _: None) -> Sealing:
        """Seal every value that stands there in the clear. Raises `StoreUnavailable`, `Refused`, `KeyStoreUnavailable`."""
        result = self._result()
        plan = self._store.resolved(self._criteria)
        engine = plan.engine
        try:
            with telling(self._store.name, "sealing values"):
                engine.prepare()
                with engine.pool.begin() as connection:
                    self._cabinet.directory.create(connection)
                after: Key | None = None
                while keys := self._next(plan, after):
                    self._pulse()
                    self._batch(plan, keys, result)
                    after = keys[-1]
                    progress(result.sealed)
                with engine.looking() as connection:
                    result.findings = self._findings(plan, connection)
        finally:
            self._cabinet.forget()
        return result

    def _result(self) -> Sealing:
        return Sealing(
            record_type=self._criteria.record_type.id,
            location=self._location.name,
            store=self._location.store,
        )

    def _pending(self, plan: Plan, names: Sequence[str]) -> sa.ColumnElement[bool]:
        """Rows with a value that is neither missing nor looks sealed."""
        columns = [plan.question.column(name).at for name in names]
        return sa.or_(*(sa.and_(column.is_not(None), column.not_like(_LOOKS_SEALED)) for column in columns))

    def _next(self, plan: Plan, after: Key | None) -> list[Key]:
        key = plan.question.key
        query = (
            sa.select(key.at)
            .select_from(plan.question.table)
            .where(self._pending(plan, self._location.sealed))
            .order_by(key.at)
            .limit(ROWS)
        )
        given = {}
        if after is not None:
            query = query.where(key.at > sa.bindparam(_AFTER, type_=plan.question.values.key_type(key.kind)))
            given[_AFTER] = after
        with plan.engine.looking() as connection:
            return [row[0] for row in connection.execute(query, given)]

    def _batch(self, plan: Plan, keys: list[Key], result: Sealing) -> None:
        connection, _ = plan.engine.begin_batch()
        try:
            written: dict[Key, dict[str, str]] = {}
            count = size = 0
            for key, row in self._rows(plan, connection, keys, lock=True).items():
                changes = self._changes(plan, connection, key, row, result)
                if changes:
                    self._update(plan, connection, key, changes)
                    written[key] = {name: row[name] for name in changes}
                    count += len(changes)
                    size += sum(len(str(row[name]).encode()) for name in changes)
            self._require_readable(plan, connection, written)
            connection.commit()
        finally:
            try:
                connection.close()
            except CAUGHT:
                connection.invalidate()
        result.sealed += count
        result.size += size

    def _rows(
        self, plan: Plan, connection: sa.Connection, keys: Sequence[Key], *, lock: bool
    ) -> dict[Key, dict[str, Any]]:
        question = plan.question
        names = self._location.sealed
        query = (
            sa.select(question.key.at, *(question.column(name).at for name in names))
            .select_from(question.table)
            .where(question.values.among(question.key, KEYS))
            .order_by(question.key.at)
        )
        if lock and plan.engine.locks_rows:
            query = query.with_for_update()
        found = connection.execute(query, {KEYS: question.values.listed(list(keys))})
        return {row[0]: dict(zip(names, row[1:], strict=True)) for row in found}

    def _changes(
        self, plan: Plan, connection: sa.Connection, key: Key, row: dict[str, Any], result: Sealing
    ) -> dict[str, str]:
        """The sealed values of a row, by column."""
        record: Record | None = None
        changes: dict[str, str] = {}
        for name, value in row.items():
            if value is None or (isinstance(value, str) and from_text(value) is not None):
                continue
            if not isinstance(value, str):
                result.left[NO_TEXT] += 1
                continue
            record = record or read(plan, connection, key)
            if record is None or record.undecidable or record.trigger is None:
                result.left[NO_TRIGGER] += 1
                continue
            since = min(moments.first_moment(record.trigger, self._location.zone), self._now())
            about = About(subject=record.subject, trigger=record.trigger, plaintext_since=since)
            changes[name] = to_text(self._cabinet.seal(value.encode(), about, name, connection))
        return changes

    def _update(self, plan: Plan, connection: sa.Connection, key: Key, changes: dict[str, str]) -> None:
        question = plan.question
        table: Any = question.table
        values: dict[Any, Any] = {table.c[name]: text for name, text in changes.items()}
        for column in question.shape.columns.values():
            if column.auto_updates:  # a trigger that moves to today would keep the record for another period
                values[table.c[column.name]] = table.c[column.name]
        statement = sa.update(table).where(question.values.among(question.key, KEYS)).values(values)
        connection.execute(statement, {KEYS: question.values.listed([key])})

    def _require_readable(
        self, plan: Plan, connection: sa.Connection, written: dict[Key, dict[str, str]]
    ) -> None:
        """Read every value again and open it. Raises `Refused`: the transaction is not committed then."""
        rows = self._rows(plan, connection, list(written), lock=False) if written else {}
        for key, plain in written.items():
            for name, value in plain.items():
                if not self._gives_back(rows.get(key, {}).get(name), name, value):
                    raise Refused(
                        f"column {name} does not give back what was sealed; nothing was changed",
                        "widen the column: a sealed value is a third longer, and 60 characters more",
                    )

    def _gives_back(self, stands: Any, name: str, value: str) -> bool:
        token = from_text(stands) if isinstance(stands, str) else None
        try:
            return token is not None and self._cabinet.open(token, name).decode() == value
        except SealedUnreadable:
            return False

    def _findings(self, plan: Plan, connection: sa.Connection) -> list[Finding]:
        question = plan.question
        triggers = plan.engine.triggers(connection, question.shape, "UPDATE")
        if not triggers:
            return []
        return [
            Finding(
                location=self._location.name, count=0, message="triggers run when a row of the table is changed",
                hint="see whether they copy the value as it was: that copy is not sealed",
            )
        ]  # fmt: skip
