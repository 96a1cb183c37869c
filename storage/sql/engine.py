"""What differs between databases when a transaction is opened, fenced, witnessed and asked about afterwards.

The hold gate lives in the target: each batch takes the fence shared as the first act of its own transaction, and placing a hold
takes it exclusively (`Engine.pass_barrier`). A transaction that is still on its way to COMMIT holds its fence, whatever
became of the process that sent it. See docs/decisions/0003-fences-in-the-target.md.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

import sqlalchemy as sa

from retention.errors import SettingsError
from retention.outcomes import Fate
from storage.contract import Pace
from storage.sql.comparing import Comparing
from storage.sql.kinds import ForeignKey, Ref, Shape

LOCK_SECONDS = 5
"""How long a batch waits for the fence or for a row that somebody else has locked. Then it ends with nothing done."""
IDLE_SECONDS = 120
"""How long a server lets a batch's transaction stand idle (a worker that hangs) before it ends it and opens the gate."""
KEPT_MARKERS = 100_000
"""Markers of so many last batches are kept in the target; older fates are "unknown"."""

_PREFIX = re.compile(r"[a-z][a-z0-9_]{0,30}")


class Engine:
    """One database, its connections made when first needed."""

    values: ClassVar[Comparing]
    returns_rows: ClassVar[bool] = True
    """Whether UPDATE and DELETE return the keys they touched, and at no great cost."""
    locks_aggregates: ClassVar[bool] = False
    """Whether a SELECT that joins keys into one text can lock their rows."""
    locks_rows: ClassVar[bool] = True
    """Whether SELECT can lock rows (false where a transaction has the whole database)."""
    names_locked_tables: ClassVar[bool] = False
    """Whether it can be said which table's rows SELECT locks."""
    chains: ClassVar[bool] = False
    """Whether one statement can delete in several tables (data-modifying WITH), and looks at relations without locking them."""
    pace: ClassVar[Pace] = Pace()

    def __init__(self, url: sa.URL, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise SettingsError("the prefix of the store's own tables is not a plain lower-case name")
        self.url = url
        self.prefix = prefix
        self._made: sa.Engine | None = None
        self._making = threading.Lock()
        self._prepared = False

    @property
    def pool(self) -> sa.Engine:
        """The connections. No parameter and no row gets into an error of theirs."""
        with self._making:
            if self._made is None:
                made = self.make()
                sa.event.listen(made, "connect", self.connected)
                self._made = made
            return self._made

    def make(self) -> sa.Engine:
        raise NotImplementedError

    def connected(self, connection: Any, record: object) -> None:
        """Set up a new driver connection: time zone, durability, bounded waits."""
        raise NotImplementedError

    def close(self) -> None:
        with self._making:
            made, self._made = self._made, None
        if made is not None:
            made.dispose()

    def prepare(self) -> None:
        """Make the helper tables, where the engine needs some. Commits on its own; called before a transaction begins."""

    @contextmanager
    def looking(self) -> Iterator[sa.Connection]:
        """A short read: its own transaction, rolled back at the end."""
        with self.pool.connect() as connection:
            yield connection
            connection.rollback()

    def snapshot(self) -> AbstractContextManager[sa.Connection]:
        """A long read that sees one moment, and cannot write."""
        raise NotImplementedError

    def walk_by_key(self, connection: sa.Connection) -> None:
        """From here on the long read lists keys in order."""

    def see_whole(self, connection: sa.Connection) -> None:
        """From here on a read that rows would be hidden from fails, where the database has a word for that."""

    def copied(self, ref: Ref) -> sa.ColumnElement[Any]:
        """A column as it is selected to be copied whole: nothing of a value is lost on the way."""
        return ref.at

    def begin_batch(self) -> tuple[sa.Connection, str]:
        """Open a batch's transaction and take the fence shared. Gives the open connection and a first part of the witness."""
        raise NotImplementedError

    def witness(self, connection: sa.Connection, opened: str) -> str:
        """Leave the mark in the batch's transaction by which `fate` knows it."""
        raise NotImplementedError

    def settle_constraints(self, connection: sa.Connection) -> None:
        """Let deferred constraints speak now, while a rollback is still certain."""

    def pass_barrier(self, timeout: float) -> None:
        """Take the fence exclusively and let it go."""
        raise NotImplementedError

    def fate(self, witness: str) -> Fate:
        raise NotImplementedError

    # Looking at tables

    def shape(self, connection: sa.Connection, table: str) -> Shape | None:
        """The table as it is; ``None`` when there is none (or none that this account can see)."""
        raise NotImplementedError

    def tables(self, connection: sa.Connection) -> list[str]:
        """Names of tables that could have been meant."""
        raise NotImplementedError

    def foreign_keys(self, connection: sa.Connection, shape: Shape) -> list[ForeignKey]:
        """Foreign keys onto the table, from wherever."""
        raise NotImplementedError

    def triggers(self, connection: sa.Connection, shape: Shape, event: str) -> list[str]:
        """Names of triggers and rules of the table that run on ``DELETE`` or ``UPDATE``."""
        raise NotImplementedError


class MarkedEngine(Engine):
    """An engine whose transactions leave no trace of themselves: a marker row is written in each."""

    @property
    def markers(self) -> sa.TableClause:
        return sa.table(f"{self.prefix}marker", sa.column("number"), sa.column("token"))

    def witness(self, connection: sa.Connection, opened: str) -> str:
        token = secrets.token_hex(16)
        table = self.markers
        number = int(connection.execute(sa.insert(table).values(token=token)).lastrowid)
        if number % 1000 == 0:
            connection.execute(sa.delete(table).where(table.c.number <= number - KEPT_MARKERS))
        return f"{number}.{token}"

    def fate(self, witness: str) -> Fate:
        """Committed if and only if its marker is there, unless it is older than the markers we keep."""
        number, _, token = witness.partition(".")
        if not number.isdecimal() or not token:
            return Fate.UNKNOWN
        with self.looking() as connection:
            table = self.markers
            if not sa.inspect(connection).has_table(table.name):
                return Fate.UNKNOWN
            found = connection.execute(
                sa.select(table.c.number).where(table.c.number == int(number), table.c.token == token)
            ).first()
            if found is not None:
                return Fate.COMMITTED
            latest = connection.execute(sa.select(sa.func.max(table.c.number))).scalar() or 0
        return Fate.ROLLED_BACK if int(number) > int(latest) - KEPT_MARKERS else Fate.UNKNOWN
