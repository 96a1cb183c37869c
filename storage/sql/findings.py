"""Look whether a location is as the schedule says, before anything is destroyed there.

Refuses to trust what the schedule does not mention: a foreign key of an undeclared table would destroy or change rows that nobody
decided on, a view or a row filter would make a row look gone that is not.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from retention.condition import And, Compare, Condition, In, IsNull, Not, Or
from retention.decide import Criteria
from retention.errors import UsageError
from retention.evaluate import columns as columns_of
from retention.schedule import Disposition, TableLocation, TriggerKind
from storage.contract import Finding
from storage.sql.catalog_sqlite import key_kind
from storage.sql.comparing import UNKNOWN
from storage.sql.engine import Engine
from storage.sql.kinds import NAMES_SOMEBODY, TEMPORAL, ForeignKey, Kind, Shape
from storage.sql.plan import Branch, Plan, grow
from storage.sql.predicate import Question

_KEYS = frozenset({Kind.INTEGER, Kind.TEXT, Kind.UUID})
_TRIGGERS = {
    TriggerKind.TIMESTAMP: frozenset({Kind.WALL, Kind.INSTANT, Kind.LOOSE_TIME}),
    TriggerKind.DATE: frozenset({Kind.DATE, Kind.LOOSE_TIME}),
}


class Inspection:
    """One look at one location. ``findings`` in the order found; ``plan`` when everything named is there."""

    def __init__(self, engine: Engine, connection: sa.Connection, criteria: Criteria) -> None:
        location = criteria.location
        if not isinstance(location, TableLocation):
            raise UsageError(f"location {location.name} is no table: a database store keeps rows only")
        self._engine = engine
        self._connection = connection
        self._criteria = criteria
        self._location = location
        self._shapes: dict[str, Shape] = {}
        self.findings: list[Finding] = []
        self.plan: Plan | None = None
        self._look()

    @property
    def fatal(self) -> Finding | None:
        return next((finding for finding in self.findings if finding.fatal), None)

    def _find(self, message: str, hint: str = "", *, fatal: bool = True) -> None:
        self.findings.append(Finding(location=self._location.name, message=message, hint=hint, fatal=fatal))

    def _look(self) -> None:
        root = self._table(self._location.table)
        for relation in self._location.relations:
            self._table(relation.table)
        for dependent in self._location.dependents:
            self._table(dependent.table)
        if root is None or self.fatal:
            return
        self._columns(root)
        if self.fatal:
            return
        branches, left = grow(root, self._location.table, self._location.dependents, self._shapes)
        for dependent in left:
            self._find(
                f"dependent {dependent.table} hangs on {dependent.parent}, which is neither the location's table nor one of its other dependents",
                "name the parent as it is named elsewhere in this location",
            )
        key = self._key(root)
        if self.fatal:
            return
        question = Question(
            criteria=self._criteria,
            location=self._location,
            values=self._engine.values,
            shape=root,
            related={relation.name: self._shapes[relation.table] for relation in self._location.relations},
            key_kind=key,
        )
        self._times(question)
        self._names(root)
        if self._criteria.record_type.disposition is Disposition.ANONYMIZE:
            self._anonymizing(question, root)
        self._dependents(branches)
        self._references(root, branches)
        self._conditions(question)
        if self._criteria.record_type.disposition is not Disposition.CRYPTO_SHRED:
            self._running(root, branches)
        self.plan = Plan(engine=self._engine, question=question, branches=branches)

    # What is named

    def _table(self, name: str) -> Shape | None:
        if name in self._shapes:
            return self._shapes[name]
        shape = self._engine.shape(self._connection, name)
        if shape is None:
            self._find(f"there is no table {name}", _meant(name, self._engine.tables(self._connection)))
            return None
        self._shapes[name] = shape
        for remark in shape.remarks:
            self._find(f"table {name} {remark.message}", remark.hint, fatal=remark.fatal)
        return shape

    def _columns(self, root: Shape) -> None:
        location = self._location
        wanted: list[str | None] = [
            location.key,
            location.trigger,
            location.branch,
            location.span_start,
            location.span_end,
            location.created,
        ]
        wanted += [None if location.subject in {"none", "unknown"} else location.subject]
        wanted += [*location.clear, *(name for name, _ in location.replace), *location.sealed]
        wanted += [relation.matches for relation in location.relations]
        for condition in self._own_conditions():
            wanted += sorted(columns_of(condition))
        self._has(root, wanted)
        for relation in location.relations:
            where = [] if relation.where is None else sorted(columns_of(relation.where))
            self._has(self._shapes[relation.table], [relation.column, *where])
        for dependent in location.dependents:
            self._has(self._shapes[dependent.table], [dependent.column])
            parent = self._shapes.get(dependent.parent)
            if parent is not None:
                self._has(parent, [dependent.parent_column])

    def _has(self, shape: Shape, names: Iterable[str | None]) -> None:
        for name in dict.fromkeys(names):
            if name is not None and name not in shape.columns:
                self._find(f"table {shape.name} has no column {name}", _meant(name, shape.columns))

    def _own_conditions(self) -> Iterator[Condition]:
        for condition in (self._location.blocked, self._location.consent):
            if condition is not None:
                yield condition
        for rule in self._criteria.record_type.rules:
            if rule.when is not None:
                yield rule.when

    # What it is

    def _key(self, root: Shape) -> Kind:
        column = root.columns[self._location.key]
        kind = key_kind(column.declared) if column.kind in {Kind.LOOSE, Kind.LOOSE_TIME} else column.kind
        if kind not in _KEYS:
            message = f"key {column.name} holds {column.declared or 'nothing declared'}"
            self._find(message, "a key is a whole number, a text or a uuid")
        elif kind is Kind.TEXT and column.folds:
            message = f"key {column.name} ({column.declared}) does not tell every two texts apart"
            self._find(message, "use another unique column")
        if column.name not in root.unique:
            self._find(
                f"key {column.name} of table {root.name} does not name one row: it is not unique alone, or may be missing",
                "name a column that is a primary key, or unique and NOT NULL; keys of several columns are not supported",
            )
        return kind

    def _times(self, question: Question) -> None:
        location = self._location
        trigger = question.shape.columns[location.trigger]
        allowed = _TRIGGERS.get(location.trigger_kind)
        loose = trigger.kind is Kind.LOOSE and not any(
            word in trigger.declared.upper() for word in ("INT", "REAL", "FLOA", "DOUB", "BLOB")
        )
        if allowed is None:
            self._find(
                f"trigger kind {location.trigger_kind.value} is for files", 'use "timestamp" or "date"'
            )
        elif trigger.kind not in allowed and not loose:
            self._find(
                f"trigger {trigger.name} holds {trigger.declared or 'nothing declared'}, which is no {location.trigger_kind.value}",
                "name a column of dates or times, and say which of the two it is",
            )
        if trigger.auto_updates:
            self._find(
                f"trigger {trigger.name} is set anew by the database whenever the row changes: it says nothing about when the unit closed",
                "name the column of the event itself (item returned, card expired)",
            )
        for name in (location.span_start, location.span_end):
            if name is not None and question.time(name).kind not in TEMPORAL:
                self._find(
                    f"column {name} holds no time", "span-start and span-end are columns of dates or times"
                )
        if location.created is None:
            return
        created = question.time(location.created)
        if created.kind not in TEMPORAL:
            self._find(f"column {location.created} holds no time", "created is a column of dates or times")
        elif created.column.auto_updates:
            self._find(
                f"column {location.created} is set anew by the database whenever the row changes: it does not say when the row came into being",
                "name the column that is set once, or leave created out",
            )

    def _names(self, root: Shape) -> None:
        subject = self._location.subject
        for name in (None if subject in {"none", "unknown"} else subject, self._location.branch):
            if name is not None and root.columns[name].kind not in NAMES_SOMEBODY:
                self._find(
                    f"column {name} holds {root.columns[name].declared}: it cannot be compared with what a hold names"
                )

    def _anonymizing(self, question: Question, root: Shape) -> None:
        location = self._location
        if not location.clear and not location.replace:
            self._find(
                "nothing is declared to be cleared or replaced",
                "name the personal columns in clear or replace",
            )
        named = [*location.clear, *(name for name, _ in location.replace)]
        for name in sorted({name for name in named if named.count(name) > 1}):
            self._find(f"column {name} is cleared and replaced at once")
        for name in named:
            if name in {location.key, location.trigger} or root.columns[name].generated:
                self._find(f"column {name} cannot be changed: it is the key, the trigger or computed")
        for name in [*location.clear, *(name for name, value in location.replace if value is None)]:
            if not root.columns[name].nullable:
                self._find(
                    f"column {name} is NOT NULL and cannot be cleared", "replace it by a fixed value instead"
                )
        for name, value in location.replace:
            if value is not None and question.values.compare(question.column(name), "=", value) is UNKNOWN:
                self._find(
                    f"column {name} holds {root.columns[name].kind.value}: the replacement is of another kind"
                )

    # What hangs on it

    def _dependents(self, branches: tuple[Branch, ...]) -> None:
        for branch in branches:
            dependent = branch.dependent
            keys = self._engine.foreign_keys(self._connection, branch.parent_shape)
            has_key = any(
                branch.shape.is_same(key) and _is(key, dependent.column, dependent.parent_column)
                for key in keys
            )
            if not has_key and not dependent.soft:
                self._find(
                    f"dependent {dependent.table}.{dependent.column} has no foreign key to {dependent.parent}.{dependent.parent_column}",
                    "declare it as soft, if it is the right column",
                )
            if not _names_one(branch):
                self._find(
                    f"{dependent.parent}.{dependent.parent_column} is not unique: rows of {dependent.table} that hang on it may belong to another record as well, and would go with the first of them",
                    "hang them on a column that is a primary key or unique",
                )
            if dependent.column not in branch.shape.indexed:
                self._find(
                    f"dependent {dependent.table}.{dependent.column} has no index: every batch reads the whole table",
                    f"create an index on {dependent.table} ({dependent.column})",
                    fatal=False,
                )

    def _references(self, root: Shape, branches: tuple[Branch, ...]) -> None:
        """Foreign keys that the schedule does not know of. Those onto a table whose rows are deleted are fatal."""
        purges = self._criteria.record_type.disposition is Disposition.PURGE
        changed = {*self._location.clear, *(name for name, _ in self._location.replace)}
        deleted = ([root] if purges else []) + [branch.shape for branch in branches]
        seen: list[Shape] = []
        for shape in deleted:
            if any(shape.is_same(other) for other in seen):
                continue
            seen.append(shape)
            for key in self._engine.foreign_keys(self._connection, shape):
                if self._declared(key, shape, branches) or (shape is root and self._blocks(key)):
                    continue
                self._find(
                    f"{key.title} ({', '.join(key.columns)}) refers to {shape.name} ON DELETE {key.on_delete} and is not declared",
                    "declare it as a dependent, or as a relation without a condition that blocks while it exists",
                )
        if not purges:
            for key in self._engine.foreign_keys(self._connection, root):
                if changed & set(key.parent_columns):
                    self._find(f"{key.title} refers to a column of {root.name} that is cleared or replaced")

    def _declared(self, key: ForeignKey, onto: Shape, branches: tuple[Branch, ...]) -> bool:
        return any(
            branch.parent_shape.is_same(onto)
            and branch.shape.is_same(key)
            and _is(key, branch.dependent.column, branch.dependent.parent_column)
            for branch in branches
        )

    def _blocks(self, key: ForeignKey) -> bool:
        """Whether a declared relation keeps every record that the foreign key refers to."""
        return any(
            relation.where is None
            and self._shapes[relation.table].is_same(key)
            and _is(key, relation.column, relation.matches)
            for relation in self._location.relations
        )

    # What else a person should know

    def _conditions(self, question: Question) -> None:
        for condition in self._own_conditions():
            for part in _comparisons(condition):
                self._comparable(question, part)

    def _comparable(self, question: Question, part: Compare | In) -> None:
        values = part.values if isinstance(part, In) else (part.value,)
        operator = "=" if isinstance(part, In) else part.operator
        ref = question.column(part.column)
        if all(question.values.compare(ref, operator, value) is UNKNOWN for value in values):
            self._find(
                f"a condition on {part.column} can never be answered: the column holds {ref.kind.value}, and it is compared with {_named(values)}",
                "every record it is asked of is kept as unclear",
                fatal=False,
            )

    def _running(self, root: Shape, branches: tuple[Branch, ...]) -> None:
        purges = self._criteria.record_type.disposition is Disposition.PURGE
        looked: list[tuple[Shape, str]] = [(root, "DELETE" if purges else "UPDATE")]
        looked += [(branch.shape, "DELETE") for branch in branches]
        for shape, event in dict.fromkeys((shape.title, event) for shape, event in looked):
            table = next(one for one, _ in looked if one.title == shape)
            names = self._engine.triggers(self._connection, table, event)
            if names:
                self._find(
                    f"table {table.name} runs {', '.join(names)} on {event}",
                    "see that they keep no copy and prevent nothing; copies can be declared as soft dependents",
                    fatal=False,
                )


def _names_one(branch: Branch) -> bool:
    """Whether what hangs on the branch's parent hangs on one record alone.

    A column by which the parent itself hangs on its own parent names the same record as that does.
    """
    wanted, parent = branch.dependent.parent_column, branch.parent
    if wanted in branch.parent_shape.distinct:
        return True
    return parent is not None and wanted == parent.dependent.column and _names_one(parent)


def _is(key: ForeignKey, column: str, parent_column: str) -> bool:
    return key.columns == (column,) and key.parent_columns == (parent_column,)


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}?" if close else ""


def _comparisons(condition: Condition) -> Iterator[Compare | In]:
    match condition:
        case Compare() | In():
            yield condition
        case Not(part):
            yield from _comparisons(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from _comparisons(part)
        case IsNull():
            pass


def _named(values: Iterable[object]) -> str:
    names = {str: "text", bool: "a truth value", int: "a whole number", float: "a number"}
    return " or ".join(sorted({names.get(type(value), type(value).__name__) for value in values}))
