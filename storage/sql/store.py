"""`SqlStore`: the store contract on SQLite, PostgreSQL and MariaDB.

Makes no connection before it is needed and writes no value into an error. It refuses to work at a location with a fatal
finding, whoever asks.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from retention.coverage import Place
from retention.decide import Criteria, KeepReason
from retention.errors import Refused, SettingsError
from retention.holds import Hold
from retention.outcomes import Fate, Presence
from retention.records import Record
from retention.schedule import ConsentRecord
from storage.consents import Stretch
from storage.contract import Claim, Finding, Lines, Pace, Survey
from storage.sql.batch import SqlBatch, look
from storage.sql.claims import claim
from storage.sql.consenting import consenting
from storage.sql.copying import copies
from storage.sql.engine import Engine
from storage.sql.failures import CAUGHT, StoreRefused, telling
from storage.sql.findings import Inspection
from storage.sql.inventory import inventory
from storage.sql.keys import from_person, read_lines, text_of
from storage.sql.mariadb import Mariadb
from storage.sql.plan import Plan
from storage.sql.postgresql import Postgresql
from storage.sql.reading import read
from storage.sql.removal import Remover
from storage.sql.sqlite import Sqlite
from storage.sql.survey import cannot_decide, survey

ENGINES: dict[str, type[Engine]] = {
    "postgresql": Postgresql,
    "mariadb": Mariadb,
    "mysql": Mariadb,
    "sqlite": Sqlite,
}
_REMEMBERED = 64
"""Resolved locations and compiled statements kept per store."""


class SqlStore:
    """One database. ``url``: SQLAlchemy address; ``state``: prefix of the store's own tables in it (SQLite, MariaDB)."""

    sealed: None = None

    def __init__(self, name: str, url: str, *, state: str = "retention_") -> None:
        try:
            address = sa.make_url(url)
        except (sa.exc.ArgumentError, ValueError):
            raise SettingsError(
                f"store {name}: the address is no database address", "postgresql://, mariadb:// or sqlite:///"
            ) from None
        made = ENGINES.get(address.get_backend_name())
        if made is None:
            raise SettingsError(
                f"store {name}: this kind of database is not supported",
                "postgresql://, mariadb:// or sqlite:///",
            )
        self._name = name
        self._engine = made(address, state)
        self._lock = threading.Lock()
        self._plans: OrderedDict[int, tuple[Criteria, Plan, Finding | None]] = OrderedDict()
        self._removers: OrderedDict[int, tuple[Plan, tuple[Hold, ...], Remover]] = OrderedDict()

    def __repr__(self) -> str:
        return f"SqlStore({self._name!r})"

    @property
    def name(self) -> str:
        return self._name

    @property
    def pace(self) -> Pace:
        return self._engine.pace

    def check(self, criteria: Criteria) -> list[Finding]:
        """Look at the tables as they are now."""
        with telling(self._name, "looking at its tables"), self._engine.looking() as connection:
            return Inspection(self._engine, connection, criteria).findings

    def inventory(self) -> Iterator[Place]:
        with telling(self._name, "listing its tables"), self._engine.looking() as connection:
            found = list(inventory(connection, self._engine.prefix))
        yield from found

    def survey(
        self,
        criteria: Criteria,
        holds: Sequence[Hold],
        write: Callable[[bytes], object],
        progress: Callable[[int], None],
    ) -> Survey:
        plan = self._plan(criteria)
        with telling(self._name, "surveying"):
            return survey(plan, holds, write, progress)

    def read(self, criteria: Criteria, key: str) -> Record | None:
        plan = self._plan(criteria)
        wanted = from_person(key, plan.question.key_kind, self._engine.values.whole_numbers)
        if wanted is None:
            return None
        with telling(self._name, "reading a record"), self._engine.looking() as connection:
            return read(plan, connection, wanted)

    def cannot_decide(
        self, criteria: Criteria, holds: Sequence[Hold], limit: int
    ) -> Iterator[tuple[str, KeepReason, str]]:
        plan = self._plan(criteria)
        with telling(self._name, "listing records"), self._engine.looking() as connection:
            found = list(cannot_decide(plan, connection, holds, max(0, limit)))
        yield from found

    def reference(self, line: bytes) -> str:
        return text_of(line)

    @contextmanager
    def batch(self, criteria: Criteria) -> Iterator[SqlBatch]:
        """Open a transaction, its first act the fence. Raises `Refused` at a location with a fatal finding."""
        plan = self._plan(criteria, sound=True)
        with telling(self._name, "opening a batch"):
            self._engine.prepare()
            connection, opened = self._engine.begin_batch()
        try:
            yield SqlBatch(
                self._name, plan, connection, opened, lambda holds: self._remover(plan, tuple(holds))
            )
        finally:
            try:
                connection.close()
            except CAUGHT:
                connection.invalidate()

    def barrier(self, timeout: float) -> None:
        with telling(self._name, "waiting for open batches"):
            self._engine.pass_barrier(timeout)

    def preserve(self, criteria: Criteria, holds: Sequence[Hold]) -> int:
        return 0

    def copies(self, criteria: Criteria, holds: Sequence[Hold]) -> Iterator[Sequence[bytes]]:
        """See `storage.sql.copying`."""
        plan = self._plan(criteria)
        with telling(self._name, "copying what holds keep"):
            yield from copies(plan, holds)

    def fate(self, witness: str) -> Fate:
        with telling(self._name, "asking for a transaction"):
            return self._engine.fate(witness)

    def presence(self, criteria: Criteria, lines: Lines) -> list[Presence]:
        plan = self._plan(criteria)
        keys = read_lines(lines, plan.question.key_kind)
        seen: list[Presence] = []
        with telling(self._name, "reading back"), self._engine.looking() as connection:
            remover = self._remover(plan, ())
            for start in range(0, len(keys), 5_000):
                seen += look(remover, connection, keys[start : start + 5_000])
        return seen

    def claim(self, criteria: Criteria) -> Claim:
        return claim(self._engine.url.get_backend_name(), criteria)

    def close(self) -> None:
        self._engine.close()

    def resolved(self, criteria: Criteria) -> Plan:
        """The location against its database, for what works on its rows and destroys none. Raises `Refused` at a fatal finding."""
        return self._plan(criteria, sound=True)

    def consenting(self, recorded: ConsentRecord) -> Generator[Stretch]:
        """Who may consent, in stretches, as of one moment. Writes nothing. Raises `StoreUnavailable`."""
        with telling(self._name, "asking who consents"), self._engine.snapshot() as connection:
            yield from consenting(self._name, self._engine, connection, recorded)

    # What is remembered

    def _plan(self, criteria: Criteria, *, sound: bool = False) -> Plan:
        """The location resolved; remembered, since a case asks the same thousands of times."""
        with self._lock:
            known = self._plans.get(id(criteria))
        if known is None or known[0] is not criteria:
            with telling(self._name, "looking at its tables"), self._engine.looking() as connection:
                inspection = Inspection(self._engine, connection, criteria)
            if inspection.plan is None:
                found = inspection.fatal
                message = "it cannot be resolved" if found is None else found.message
                raise StoreRefused(
                    f"store {self._name}, location {criteria.location.name}: {message}",
                    "run `retention check`",
                )
            known = (criteria, inspection.plan, inspection.fatal)
            with self._lock:
                self._plans[id(criteria)] = known
                while len(self._plans) > _REMEMBERED:
                    self._plans.popitem(last=False)
        _, plan, fatal = known
        if sound and fatal is not None:
            raise Refused(
                f"store {self._name}, location {criteria.location.name}: {fatal.message}", fatal.hint
            )
        return plan

    def _remover(self, plan: Plan, holds: tuple[Hold, ...]) -> Remover:
        """The statements for these holds. They change rarely; between two changes every batch runs the same statements."""
        with self._lock:
            known = self._removers.get(id(plan))
        if known is not None and known[0] is plan and _same(known[1], holds):
            return known[2]
        remover = Remover(plan, holds)
        with self._lock:
            self._removers[id(plan)] = (plan, holds, remover)
            while len(self._removers) > _REMEMBERED:
                self._removers.popitem(last=False)
        return remover


def _same(one: tuple[Hold, ...], other: tuple[Hold, ...]) -> bool:
    return len(one) == len(other) and all(
        left is right or left == right for left, right in zip(one, other, strict=True)
    )
