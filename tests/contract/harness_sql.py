"""The SQL store in the contract suite: SQLite, PostgreSQL and MariaDB, purged and anonymized, with whole and with text keys.

The target has what a library system has: loans with a bill each (foreign key), a reading history that names the loan without a
foreign key, and fines whose open rows block.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from retention.condition import Compare
from retention.decide import Criteria
from retention.schedule import Dependent, Disposition, Relation, TableLocation, TriggerKind
from storage.contract import Store
from storage.sql import SqlStore
from tests.contract.harness import ZONE, HarnessFactory, Seed, StoreHarness, Supports, criteria_for

TIMES: dict[str, sa.types.TypeEngine[Any]] = {
    "sqlite": sa.Text(),
    "postgresql": sa.DateTime(timezone=True),
    "mariadb": sa.TIMESTAMP(),
}


class SqlHarness:
    """One fresh database."""

    def __init__(self, url: str, seeds: Sequence[Seed], disposition: Disposition, *, text_keys: bool) -> None:
        self._url = url
        self._disposition = disposition
        self._text_keys = text_keys
        self._seeds: dict[int, Seed] = {}
        self._stores: list[SqlStore] = []
        self.backend = sa.make_url(url).get_backend_name()
        options: dict[str, Any] = {"connect_args": {"timeout": 30}} if self.backend == "sqlite" else {}
        self._engine = sa.create_engine(url, **options)
        self._tables(sa.MetaData())
        with self._engine.begin() as connection:
            for seed in seeds:
                self._add(connection, seed)
        self._store = self.reopen()

    def _tables(self, made: sa.MetaData) -> None:
        key: sa.types.TypeEngine[Any] = sa.String(40) if self._text_keys else sa.BigInteger()
        if self.backend == "sqlite" and not self._text_keys:
            key = sa.Integer()
        when: sa.Column[Any] = sa.Column("checkin_time", TIMES[self.backend], nullable=True)
        self.loan = sa.Table(
            "loan", made,
            sa.Column("id", key, primary_key=True, autoincrement=False),
            sa.Column("patron", sa.String(40)), sa.Column("title", sa.String(80)), sa.Column("branch", sa.String(20)), when,
            sa.Index("loan_patron", "patron"),
        )  # fmt: skip
        self.bill = sa.Table(
            "bill", made,
            sa.Column("id", sa.Integer(), primary_key=True),
            sa.Column("loan", key, sa.ForeignKey("loan.id"), nullable=False, index=True), sa.Column("note", sa.String(80)),
        )  # fmt: skip
        self.history = sa.Table(
            "history", made,
            sa.Column("id", sa.Integer(), primary_key=True), sa.Column("loan_id", sa.String(40), index=True),
        )  # fmt: skip
        self.fine = sa.Table(
            "fine", made,
            sa.Column("id", sa.Integer(), primary_key=True), sa.Column("loan_key", sa.String(40), index=True),
            sa.Column("open", sa.Integer()),
        )  # fmt: skip
        made.create_all(self._engine)

    @property
    def location(self) -> TableLocation:
        purges = self._disposition is Disposition.PURGE
        return TableLocation(
            name="loans", store="library", zone=ZONE, trigger_kind=TriggerKind.TIMESTAMP, subject="patron", table="loan", key="id",
            trigger="checkin_time", branch="branch",
            relations=(Relation(name="open fine", table="fine", column="loan_key", matches="id", where=Compare("open", "=", 1)),),
            dependents=(
                Dependent(table="bill", column="loan", parent="loan", parent_column="id"),
                Dependent(table="history", column="loan_id", parent="loan", parent_column="id", soft=True),
            ) if purges else (),
            clear=() if purges else ("patron",),
            replace=() if purges else (("title", "removed"),),
        )  # fmt: skip

    @property
    def store(self) -> Store:
        return self._store

    def reopen(self) -> SqlStore:
        store = SqlStore("library", self._url)
        self._stores.append(store)
        return store

    def criteria(self, on: date) -> Criteria:
        return criteria_for(self.location, on, self._disposition)

    def key(self, number: int) -> str:
        return f"loan {number}" if self._text_keys else str(number)

    def _key(self, number: int) -> Any:
        return self.key(number) if self._text_keys else number

    def number(self, line: bytes) -> int:
        return int(str(json.loads(line)).removeprefix("loan "))

    def exists(self, number: int) -> bool:
        with self._engine.connect() as connection:
            row = connection.execute(
                sa.select(self.loan.c.title).where(self.loan.c.id == self._key(number))
            ).first()
        return row is not None and (self._disposition is Disposition.PURGE or row[0] != "removed")

    def change(self, number: int) -> None:
        seed = self._seeds[number]
        later = None if seed.trigger is None else self._when(seed.trigger + timedelta(days=3650))
        changed = (
            sa.update(self.loan)
            .where(self.loan.c.id == self._key(number))
            .values(checkin_time=later, title="another")
        )
        with self._engine.begin() as connection:
            connection.execute(changed)

    def remove(self, number: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.delete(self.bill).where(self.bill.c.loan == self._key(number)))
            connection.execute(sa.delete(self.history).where(self.history.c.loan_id == self.key(number)))
            connection.execute(sa.delete(self.loan).where(self.loan.c.id == self._key(number)))

    def restore(self, number: int) -> None:
        self.remove(number)
        self.add(self._seeds[number])

    def add(self, seed: Seed) -> None:
        with self._engine.begin() as connection:
            self._add(connection, seed)

    def _add(self, connection: sa.Connection, seed: Seed) -> None:
        self._seeds[seed.number] = seed
        key, text = self._key(seed.number), self.key(seed.number)
        loan = {
            "id": key,
            "patron": seed.subject,
            "title": f"zqcanary-title-{seed.number}",
            "branch": seed.branch,
        }
        loan["checkin_time"] = None if seed.trigger is None else self._when(seed.trigger)
        connection.execute(sa.insert(self.loan).values(loan))
        connection.execute(sa.insert(self.bill).values(loan=key, note=f"zqcanary-note-{seed.number}"))
        connection.execute(sa.insert(self.history).values(loan_id=text))
        connection.execute(sa.insert(self.fine).values(loan_key=text, open=int(seed.blocked)))

    def _when(self, moment: datetime) -> Any:
        utc = moment.astimezone(UTC)
        if self.backend == "sqlite":
            return utc.isoformat()
        return utc if self.backend == "postgresql" else utc.replace(tzinfo=None)

    def ruin(self) -> None:
        with self._engine.begin() as connection:
            for table in (self.bill, self.loan):
                table.drop(connection)

    def close(self) -> None:
        for store in self._stores:
            store.close()
        self._engine.dispose()


def _factory(backend: str, disposition: Disposition, *, text_keys: bool = False) -> HarnessFactory:
    def build(request: pytest.FixtureRequest, folder: Path, seeds: Sequence[Seed]) -> StoreHarness:
        if backend == "sqlite":
            file = folder / "library.db"
            sqlite3.connect(file).close()
            url = f"sqlite:///{file}"
        else:
            server = request.getfixturevalue(f"{backend}_server")
            name = f"contract_{uuid.uuid4().hex[:12]}"
            url = server.create_database(name)
            request.addfinalizer(lambda: server.drop_database(name))
        return SqlHarness(url, seeds, disposition, text_keys=text_keys)

    marks = () if backend == "sqlite" else (getattr(pytest.mark, backend),)
    return HarnessFactory(
        label=f"{backend}-{disposition}{'-text-keys' if text_keys else ''}",
        supports=Supports(
            subjects=True,
            branches=True,
            spans=True,
            blocking=True,
            undated=True,
            transactions=True,
            purges=disposition is Disposition.PURGE,
        ),
        build=build,
        marks=marks,
    )


HARNESSES = tuple(
    _factory(backend, disposition, text_keys=text_keys)
    for backend in ("sqlite", "postgresql", "mariadb")
    for disposition, text_keys in (
        (Disposition.PURGE, False),
        (Disposition.PURGE, True),
        (Disposition.ANONYMIZE, False),
    )
)
