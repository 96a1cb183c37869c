"""One batch of the choke point in a database: one transaction, from the fence to the commit.

The order is what makes a hold final: the fence is taken first, as part of this transaction (step 4); only then does the caller
read the holds; the statement that chooses sees every hold it is given (step 5); the commit lets go of the fence (step 7).
Leaving without `destroy` rolls back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import sqlalchemy as sa

from retention.errors import StoreUnavailable, UsageError
from retention.holds import Hold
from retention.outcomes import Presence
from storage.contract import Lines, Staged
from storage.sql.failures import CAUGHT, FOREIGN, cause, telling, unavailable
from storage.sql.keys import Key, read_lines
from storage.sql.kinds import Kind
from storage.sql.plan import Plan
from storage.sql.removal import Changed, Removed, Remover

TRIES = 3
"""A dependent row that somebody adds in the middle of the statement makes a foreign key speak up; the next try sees it."""


class SqlBatch:
    """Made by `SqlStore.batch`. ``remover`` gives the statements for the holds of this batch."""

    def __init__(
        self,
        store: str,
        plan: Plan,
        connection: sa.Connection,
        opened: str,
        remover: Callable[[Sequence[Hold]], Remover],
    ) -> None:
        self._store = store
        self._plan = plan
        self._connection = connection
        self._opened = opened
        self._make = remover
        self._remover: Remover | None = None
        self._chosen: list[Key] = []
        self._removed = Removed()
        self._tried: set[Key] = set()
        """Due, and the database did not let it go (a trigger): chosen all the same, so that the read-back shows it."""
        self._staged = False
        self._over = False

    def stage(self, lines: Lines, holds: Iterable[Hold]) -> Staged:
        """Step 5. Take away, still uncommitted, what is due among the lines."""
        if self._remover is not None or self._over:
            raise UsageError("a batch is staged once")
        keys = read_lines(lines, self._plan.question.key_kind)
        with telling(self._store, "choosing a batch"):
            remover = self._remover = self._make(tuple(holds))
            if keys:
                absent = self._take(remover, keys)
                self._plan.engine.settle_constraints(self._connection)
            else:
                absent = set()
            witness = self._plan.engine.witness(self._connection, self._opened)
        taken = self._removed.rows
        tried = self._tried
        chosen = tuple(index for index, key in enumerate(keys) if key in taken or key in tried)
        self._chosen = [keys[index] for index in chosen]
        self._staged = True
        return Staged(
            chosen=chosen,
            absent=tuple(index for index, key in enumerate(keys) if key in absent),
            witness=witness,
        )

    def _take(self, remover: Remover, keys: list[Key]) -> set[Key]:
        """Take what is due. Gives the keys that are not there at all."""
        wanted = set(keys)
        sorted_keys = self._plan.question.key_kind is Kind.INTEGER
        low, high = (min(keys), max(keys)) if sorted_keys else (keys[0], keys[-1])
        removed = self._attempt(lambda: self._by_range(remover, low, high, wanted))
        missing = [key for key in keys if key not in removed.rows]
        absent: set[Key] = set()
        if missing:
            still = remover.ask(self._connection, missing)
            due = [key for key in missing if still.get(key)]
            if due:
                # Due and not taken: outside the range, or a neighbour in it was not ours. Now one by one.
                more = self._attempt(lambda: self._by_list(remover, due))
                removed.add(more)
                self._tried = self._still_due(remover, [key for key in due if key not in more.rows])
            absent = {key for key in missing if key not in still}
        self._removed = removed
        return absent

    def _still_due(self, remover: Remover, left: list[Key]) -> set[Key]:
        return (
            {key for key, is_due in remover.ask(self._connection, left).items() if is_due} if left else set()
        )

    def _by_range(self, remover: Remover, low: Key, high: Key, wanted: set[Key]) -> Removed:
        removed = remover.take_range(self._connection, low, high)
        if removed is None:
            rows, alone = remover.choose_range(self._connection, low, high, wanted)
            return remover.take_list(
                self._connection, rows, (low, high) if alone and remover.by_count else None
            )
        if not wanted.issuperset(removed.rows):
            raise Changed  # became due after the survey, or the lines leave some out: taken back
        return removed

    def _by_list(self, remover: Remover, keys: list[Key]) -> Removed:
        return remover.take_list(self._connection, remover.choose_list(self._connection, keys))

    def _attempt(self, take: Callable[[], Removed]) -> Removed:
        """Run it so that it can be taken back alone: the fence, taken before, stays."""
        for attempt in range(1, TRIES + 1):
            nested = self._connection.begin_nested()
            try:
                removed = take()
            except Changed:
                nested.rollback()
                return Removed()
            except sa.exc.IntegrityError as error:
                nested.rollback()
                if attempt == TRIES or cause(error) != FOREIGN:
                    raise
            else:
                nested.commit()
                return removed
        raise AssertionError("unreachable")

    def destroy(self) -> None:
        """Step 7. Commit. Raises `StoreUnavailable` when it cannot be told whether the commit arrived."""
        if not self._staged or self._over:
            raise UsageError("a batch is staged before it destroys, and destroys once")
        self._over = True
        try:
            if self._connection.invalidated:
                raise StoreUnavailable(
                    f"store {self._store}: the connection broke before the commit", "settle the case"
                )
            self._connection.commit()
        except CAUGHT as error:
            told = unavailable(self._store, "committing a batch, which may or may not have arrived", error)
            raise told from None

    def read_back(self) -> list[Presence]:
        """Step 8. In a new transaction, one answer per chosen item."""
        if not self._chosen:
            return []
        remover = self._remover
        assert remover is not None
        try:
            seen = look(remover, self._connection, self._chosen, self._removed)
            self._connection.rollback()
        except CAUGHT:
            return [Presence.UNREADABLE] * len(self._chosen)
        return seen


def look(
    remover: Remover, connection: sa.Connection, keys: Sequence[Key], removed: Removed | None = None
) -> list[Presence]:
    """Whether each record, or any row that hangs on it, is still there.

    Without ``removed`` (after a crash) only rows that refer to the key itself can be looked for: other links went with the record.
    """
    standing = remover.standing(connection, keys)
    plan = remover.plan
    names = (plan.question.location.key, *plan.root_columns)
    rows = {} if removed is None else removed.rows
    for branch in plan.branches:
        if branch.parent is not None:
            if removed is not None and remover.left(
                connection, branch, removed.values.get(branch.number, ())
            ):
                standing.update(keys)  # whose it is cannot be told any more: nobody's record counts as gone
            continue
        place = names.index(branch.dependent.parent_column)
        if place > 0 and removed is None:
            continue
        values = {key: rows[key][place] if key in rows else key for key in keys if place == 0 or key in rows}
        left = remover.left(connection, branch, remover.referring(branch, values.values()))
        if left:
            standing.update(
                key for key, value in values.items() if left.intersection(remover.referring(branch, [value]))
            )
    return [Presence.PRESENT if key in standing else Presence.ABSENT for key in keys]
