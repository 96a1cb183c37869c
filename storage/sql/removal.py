"""Take rows away inside an open transaction: the location's own rows and what hangs on them. Commits nothing.

Two ways. *By range*: one statement over a stretch of keys with the whole decision repeated in it; fast, for the lines of a manifest
that lie side by side. *By list*: rows are chosen and locked first, then deleted key by key; for everything else. Either
way a row goes only if the decision holds for it inside this transaction, and its dependents go only with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from retention.errors import StoreUnavailable
from retention.holds import Hold
from retention.records import Value
from storage.sql.keys import Key, as_kind
from storage.sql.kinds import Kind, Truth
from storage.sql.plan import Branch, Plan

LOW, HIGH, KEYS = "low_key", "high_key", "listed_keys"

Row = tuple[Any, ...]
"""A key and the values of `Plan.root_columns`."""


@dataclass(kw_only=True)
class Removed:
    """What was taken away. ``values``: for each branch whose rows were looked up, what they refer to (for the read-back)."""

    rows: dict[Key, Row] = field(default_factory=dict)
    values: dict[int, list[Key]] = field(default_factory=dict)

    def add(self, other: Removed) -> None:
        self.rows.update(other.rows)
        for number, values in other.values.items():
            self.values.setdefault(number, []).extend(values)


class Changed(Exception):
    """Something else is due in the range than what was chosen, or the database let less go."""


class Remover:
    """The statements of one plan under one set of holds, made once and used for every batch."""

    def __init__(self, plan: Plan, holds: Sequence[Hold]) -> None:
        self.plan = plan
        self.question = plan.question
        self.values = plan.engine.values
        self._due = self.question.due(holds)
        self._table = self.question.table
        self._key = self.question.key
        self._columns = [self._key.at, *(self.question.column(name).at for name in plan.root_columns)]

    # Statements

    def _between(self) -> list[Truth]:
        kind = self.values.key_type(self._key.kind)
        return [self._key.at >= sa.bindparam(LOW, type_=kind), self._key.at <= sa.bindparam(HIGH, type_=kind)]

    def _listed(self) -> list[Truth]:
        return [self.values.among(self._key, KEYS)]

    def _changes(self) -> dict[Any, Any]:
        """Anonymize: the columns to set. Times that the database would set anew on its own are set to what they are."""
        location = self.question.location
        changes: dict[Any, Any] = {self._set(name): self._fixed(name, None) for name in location.clear}
        changes |= {self._set(name): self._fixed(name, value) for name, value in location.replace}
        for column in self.question.shape.columns.values():
            if column.auto_updates and self._set(column.name) not in changes:
                changes[self._set(column.name)] = self._table.c[column.name]
        return changes

    def _set(self, name: str) -> Any:
        return self._table.c[name]

    def _fixed(self, name: str, value: Value) -> sa.ColumnElement[Any]:
        return sa.null() if value is None else self.values.fixed(self.question.column(name), value)

    def _taking(self, *where: Truth) -> Any:
        """DELETE, or UPDATE where the records are anonymized."""
        target: Any = self._table
        if self.question.anonymizes:
            return sa.update(target).where(*where).values(self._changes())
        return sa.delete(target).where(*where)

    @cached_property
    def _choosing_range(self) -> Any:
        return self._choosing(self._between())

    @cached_property
    def _choosing_list(self) -> Any:
        return self._choosing(self._listed())

    def _choosing(self, where: list[Truth]) -> Any:
        chosen = (
            sa.select(*self._columns)
            .select_from(self._table)
            .where(*where, *self._due)
            .order_by(self._key.at)
        )
        return chosen.with_for_update(of=self._locked) if self.plan.engine.locks_rows else chosen

    @cached_property
    def _joining_range(self) -> Any | None:
        """Choose and lock, and give the keys as one text: a row of its own for each costs more than all the rest."""
        joined = self.values.joined(self._key.at, self._key.kind)
        if joined is None or self.plan.root_columns or not self.plan.engine.locks_aggregates:
            return None
        chosen = (
            sa.select(joined, sa.func.count()).select_from(self._table).where(*self._between(), *self._due)
        )
        return chosen.with_for_update(of=self._locked)

    @property
    def _locked(self) -> Any:
        # Only this table's rows: rows of relations are looked at, not locked.
        return self._table if self.plan.engine.names_locked_tables else None

    @cached_property
    def _taking_range(self) -> Any:
        return self._taking(*self._between(), *self._due).returning(*self._columns)

    @cached_property
    def _taking_list(self) -> Any:
        statement = self._taking(*self._listed())
        return statement.returning(self._key.at) if self._can_return else statement

    @property
    def _can_return(self) -> bool:
        return self.plan.engine.returns_rows

    @cached_property
    def _taking_between(self) -> Any:
        return self._taking(*self._between(), *self._due)

    @cached_property
    def _asking(self) -> Any:
        due = sa.case((sa.and_(*self._due), sa.literal_column("1")), else_=sa.literal_column("0"))
        return sa.select(self._key.at, due).select_from(self._table).where(*self._listed())

    # By range

    @cached_property
    def _chained(self) -> Any:
        """Delete the rows and what hangs on them, all in one statement.

        What hangs on a row goes by the row that was really taken: one that changed meanwhile, or that a trigger kept, keeps
        its dependents. Foreign keys are looked at when the whole statement is over, so the order inside it does not matter.
        """
        gone = self._taking(*self._between(), *self._due).returning(*self._columns).cte("gone")
        steps: dict[int, Any] = {}
        for branch in self.plan.hard:
            above: Any = gone if branch.parent is None else steps[branch.parent.number]
            table: Any = branch.table
            step = sa.delete(table).where(
                branch.refers.at == above.c[branch.dependent.parent_column], *self._near(branch)
            )
            wanted = {child.dependent.parent_column for child in self.plan.children(branch)} or {
                branch.dependent.column
            }
            steps[branch.number] = step.returning(*(table.c[name] for name in sorted(wanted))).cte(
                f"step_{branch.number}"
            )
        return sa.select(*(gone.c[column.name] for column in self._columns)).add_cte(*steps.values())

    def _near(self, branch: Branch) -> list[Truth]:
        """The range of keys said once more for what refers to them, so that only that stretch of its index is read."""
        by_key = branch.parent is None and branch.dependent.parent_column == self._key.column.name
        if not by_key or branch.refers.kind is not Kind.INTEGER:
            return []
        kind = self.values.key_type(Kind.INTEGER)
        return [
            branch.refers.at >= sa.bindparam(LOW, type_=kind),
            branch.refers.at <= sa.bindparam(HIGH, type_=kind),
        ]

    @cached_property
    def fast(self) -> Any | None:
        """The statement that does it all for a range of keys and returns the rows; ``None`` where there is none."""
        engine, plan, location = self.plan.engine, self.plan, self.question.location
        if not engine.returns_rows or (location.relations and not engine.chains):
            return None  # where a relation is looked at by a statement that deletes, its rows would be locked
        changed = (
            {*location.clear, *(name for name, _ in location.replace)} if self.question.anonymizes else set()
        )
        # What is returned is the row as it was: not so where the very column that is referred to is changed.
        if changed.intersection(plan.root_columns) or any(branch.parent is not None for branch in plan.soft):
            return None
        if not plan.hard:
            return self._taking_range
        return self._chained if engine.chains and all(not _is_late(branch) for branch in plan.hard) else None

    def take_range(self, connection: sa.Connection, low: Key, high: Key) -> Removed | None:
        """Everything due between the two keys, both included. ``None`` where that cannot be done in one statement."""
        if self.fast is None:
            return None
        where = {LOW: low, HIGH: high}
        if self.question.location.relations:
            # Lock first: whoever adds a blocking row to one of these must wait, and the statement below sees
            # what was added before.
            connection.execute(self._choosing_range, where).close()
        rows = _rows(connection.execute(self.fast, where))
        removed = Removed(rows={row[0]: row for row in rows})
        self._take_branches(
            connection, self.plan.soft, self._values_of(self.plan.soft, removed.rows.values())
        )
        return removed

    # By list

    @property
    def by_count(self) -> bool:
        """Whether rows chosen by range may be taken by range, told to be the same by their number alone."""
        return not self.question.location.relations

    def choose_range(
        self, connection: sa.Connection, low: Key, high: Key, wanted: set[Key]
    ) -> tuple[list[Row], bool]:
        """Choose and lock what is due between the two keys and wanted; and whether nothing else there is due."""
        where = {LOW: low, HIGH: high}
        if self._joining_range is None:
            rows = _rows(connection.execute(self._choosing_range, where))
        else:
            text, many = connection.execute(self._joining_range, where).one()
            rows = [(int(key),) for key in str(text).split("\n")] if many else []
            if len(rows) != many:
                raise StoreUnavailable("the database cut a list of keys short", "see max_allowed_packet")
        chosen = self._chosen(connection, rows, wanted)
        return chosen, len(chosen) == len(rows)

    def choose_list(self, connection: sa.Connection, keys: Sequence[Key]) -> list[Row]:
        """Choose and lock what is due among these keys."""
        rows = _rows(connection.execute(self._choosing_list, {KEYS: self.values.listed(keys)}))
        return self._chosen(connection, rows, set(keys))

    def _chosen(self, connection: sa.Connection, rows: list[Row], wanted: set[Key]) -> list[Row]:
        rows = [row for row in rows if row[0] in wanted]
        if rows and self.question.location.relations and self.plan.engine.locks_rows:
            # Asked once more now that they are locked: a blocking row may have come before the lock.
            still = self.ask(connection, [row[0] for row in rows])
            rows = [row for row in rows if still.get(row[0])]
        return rows

    def take_list(
        self, connection: sa.Connection, rows: Sequence[Row], between: tuple[Key, Key] | None = None
    ) -> Removed:
        """Exactly these rows, chosen and locked before, with what hangs on them.

        ``between``: they are all that is due between two keys, and can be taken as such. Raises `Changed` when that turns out
        to be no longer so; whatever was taken must then be taken back.
        """
        if not rows:
            return Removed()
        values = self._values_of(self.plan.branches, rows)
        for branch in self.plan.branches:
            if branch.parent is not None and branch.number not in values:
                values[branch.number] = self._referred(
                    connection, branch, branch.parent, values[branch.parent.number]
                )
        self._take_branches(
            connection, [branch for branch in self.plan.branches if not _is_late(branch)], values
        )
        gone = self._take_rows(connection, rows, between)
        self._take_branches(connection, [branch for branch in self.plan.branches if _is_late(branch)], values)
        return Removed(rows={row[0]: row for row in rows if row[0] in gone}, values=values)

    def _take_rows(
        self, connection: sa.Connection, rows: Sequence[Row], between: tuple[Key, Key] | None
    ) -> set[Key]:
        keys = [row[0] for row in rows]
        if between is not None:
            # The locked rows cannot have changed: as many rows as they are can only be they.
            taken = connection.execute(self._taking_between, {LOW: between[0], HIGH: between[1]})
            if taken.rowcount != len(keys):
                raise Changed
            return set(keys)
        taken = connection.execute(self._taking_list, {KEYS: self.values.listed(keys)})
        if self._can_return:
            return {row[0] for row in _rows(taken)}
        return set(keys) if taken.rowcount == len(keys) else set(keys) - self.standing(connection, keys)

    def _values_of(self, branches: Iterable[Branch], rows: Iterable[Row]) -> dict[int, list[Key]]:
        """What the rows of branches on the location's own table refer to."""
        names = (self._key.column.name, *self.plan.root_columns)
        rows = list(rows)
        found = {}
        for branch in branches:
            if branch.parent is None:
                place = names.index(branch.dependent.parent_column)
                found[branch.number] = self.referring(branch, (row[place] for row in rows))
        return found

    def referring(self, branch: Branch, values: Iterable[Any]) -> list[Key]:
        """Values of a parent as the branch's own column would hold them."""
        return list(dict.fromkeys(as_kind(values, branch.refers.kind, self.values.whole_numbers)))

    def _referred(
        self, connection: sa.Connection, branch: Branch, parent: Branch, values: Sequence[Key]
    ) -> list[Key]:
        if not values:
            return []
        column = parent.shape.ref(parent.table, branch.dependent.parent_column)
        asked = sa.select(column.at).select_from(parent.table).where(self._refers(parent)).distinct()
        rows = _rows(connection.execute(asked, {KEYS: self.values.listed(values)}))
        return self.referring(branch, (row[0] for row in rows))

    def _refers(self, branch: Branch) -> Truth:
        # A foreign key goes by what its database takes for equal; without one only the very same text counts.
        among = self.values.exactly_among if branch.soft else self.values.among
        return among(branch.refers, KEYS)

    def _take_branches(
        self, connection: sa.Connection, branches: Sequence[Branch], values: dict[int, list[Key]]
    ) -> None:
        for branch in reversed(branches):
            if values.get(branch.number):
                table: Any = branch.table
                where = {KEYS: self.values.listed(values[branch.number])}
                connection.execute(sa.delete(table).where(self._refers(branch)), where)

    # Asking

    def ask(self, connection: sa.Connection, keys: Sequence[Key]) -> dict[Key, bool]:
        """Which of these keys exist, and whether they are due."""
        rows = _rows(connection.execute(self._asking, {KEYS: self.values.listed(keys)}))
        return {row[0]: bool(row[1]) for row in rows}

    def left(self, connection: sa.Connection, branch: Branch, values: Sequence[Key]) -> set[Key]:
        """Which of these values rows of the branch still refer to."""
        if not values:
            return set()
        asked = sa.select(branch.refers.at).select_from(branch.table).where(self._refers(branch)).distinct()
        return {row[0] for row in _rows(connection.execute(asked, {KEYS: self.values.listed(values)}))}

    def standing(self, connection: sa.Connection, keys: Sequence[Key]) -> set[Key]:
        """Which of these records are still there: as rows, or (anonymized) with a column that is not as declared."""
        where = self._listed()
        if self.question.anonymizes:
            where.append(sa.not_(self.question.done))
        asked = sa.select(self._key.at).select_from(self._table).where(*where)
        return {row[0] for row in _rows(connection.execute(asked, {KEYS: self.values.listed(keys)}))}


def _is_late(branch: Branch) -> bool:
    """Whether it goes after the record itself: triggers may write copies into tables without a foreign key until then."""
    return branch.soft or (branch.parent is not None and _is_late(branch.parent))


def _rows(result: sa.CursorResult[Any]) -> list[Row]:
    """The driver's own rows: no object is made per row."""
    cursor = result.cursor
    assert cursor is not None
    rows: list[Row] = list(cursor.fetchall())
    result.close()
    return rows
