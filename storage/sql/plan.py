"""A location resolved against its database: the question to ask, and the tables whose rows go with a record.

Refuses to resolve a location with anything missing: there is no half plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import sqlalchemy as sa

from retention.schedule import Dependent
from storage.sql.engine import Engine
from storage.sql.kinds import Ref, Shape
from storage.sql.predicate import Question


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One dependent table. ``parent``: the branch it hangs on; ``None`` for the location's own table.

    ``refers``: its column; ``referred``: the parent's column. ``number`` tells branches on the same table apart.
    """

    number: int
    dependent: Dependent
    shape: Shape
    parent: Branch | None
    parent_shape: Shape

    @cached_property
    def table(self) -> sa.FromClause:
        return self.shape.clause()

    @cached_property
    def refers(self) -> Ref:
        return self.shape.ref(self.table, self.dependent.column)

    @property
    def soft(self) -> bool:
        return self.dependent.soft


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``branches`` in order: parents before what hangs on them."""

    engine: Engine
    question: Question
    branches: tuple[Branch, ...] = ()
    statements: dict[str, object] = field(default_factory=dict)

    @property
    def hard(self) -> tuple[Branch, ...]:
        return tuple(branch for branch in self.branches if not branch.soft)

    @property
    def soft(self) -> tuple[Branch, ...]:
        return tuple(branch for branch in self.branches if branch.soft)

    @cached_property
    def root_columns(self) -> tuple[str, ...]:
        """Columns of the location's own table that dependents refer to, the key aside."""
        referred = {branch.dependent.parent_column for branch in self.branches if branch.parent is None}
        return tuple(sorted(referred - {self.question.location.key}))

    def children(self, parent: Branch | None) -> Iterator[Branch]:
        return (branch for branch in self.branches if branch.parent is parent)


def grow(
    root: Shape, table: str, dependents: tuple[Dependent, ...], shapes: dict[str, Shape]
) -> tuple[tuple[Branch, ...], list[Dependent]]:
    """The branches of a location, and the dependents whose parent is no table of it or that hang on themselves.

    A dependent whose parent is declared twice (two columns of one table) hangs on both.
    """
    branches: list[Branch] = []
    left = list(dependents)

    def is_root(dependent: Dependent) -> bool:
        return dependent.parent == table

    for dependent in [dependent for dependent in left if is_root(dependent)]:
        branches.append(_branch(len(branches), dependent, shapes, None, root))
        left.remove(dependent)
    grown = True
    while left and grown:
        grown = False
        for dependent in list(left):
            if any(other.table == dependent.parent for other in left):
                continue  # its parent is not wholly placed yet
            parents = [branch for branch in branches if branch.dependent.table == dependent.parent]
            for parent in parents:
                branches.append(_branch(len(branches), dependent, shapes, parent, parent.shape))
            if parents:
                left.remove(dependent)
                grown = True
    return tuple(branches), left


def _branch(
    number: int, dependent: Dependent, shapes: dict[str, Shape], parent: Branch | None, parent_shape: Shape
) -> Branch:
    return Branch(
        number=number,
        dependent=dependent,
        shape=shapes[dependent.table],
        parent=parent,
        parent_shape=parent_shape,
    )
