"""A small real site: a database, a folder of exports, a ledger, people. Runs the product in processes of its own.

Every personal column and every file name carries a canary, so that a scan can tell whether one got out.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import (
    Column,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    insert,
    text,
)
from sqlalchemy.pool import NullPool

from flows.settings import Settings, StoreSettings
from flows.wiring import Site
from retention.permissions import Role
from retention.signing import generate
from storage.ledger.people import Person
from storage.signatures import Signatory

ON = "2026-03-31"
FINISHED = datetime(2026, 1, 1, 12, 0)  # noqa: DTZ001  # naive, as the column is
NOT_DUE = datetime(2026, 3, 20, 12, 0)  # noqa: DTZ001  # naive, as the column is
CANARY = "zqcanary"

POLICIES = """
version = "test"

[library]
organization = "Prairie Creek Library District"
custodian = "Library Director"
time-zone = "America/Chicago"
fiscal-year-start = "07-01"

[store.ils]
kind = "database"
title = "Library system"

[store.exports]
kind = "files"
title = "Exports"

[record-type.loans]
title = "Finished loans"
description = "Who borrowed what"
authority = "Policy 5-9, III.b"
owner = "Circulation"
personal-data = ["patron", "note"]
trigger = "loan finished"
cutoff = "event"
minimum = "P30D"
maximum = "P90D"
disposition = "purge"
approval = "standing"
limits = { percent = 100 }
effective-from = 2026-01-01

[[record-type.loans.location]]
name = "loans"
store = "ils"
table = "loan"
key = "id"
trigger-column = "finished_at"
trigger-kind = "timestamp"
time-zone = "library"
subject = "patron"

[[record-type.loans.location.dependent]]
table = "bill"
column = "loan_id"

[record-type.exports]
title = "Exports"
description = "Files for vendors"
authority = "Policy 5-9, V"
owner = "Circulation"
personal-data = ["patron"]
trigger = "export written"
cutoff = "day"
minimum = "P30D"
maximum = "P90D"
disposition = "purge"
approval = "standing"
limits = { percent = 100 }
effective-from = 2026-01-01

[[record-type.exports.location]]
name = "files"
store = "exports"
path = "drop"
template = "{any}-{Y}-{m}-{d}.csv"
trigger-kind = "name"
time-zone = "library"
subject = "none"
"""

metadata = MetaData()
LOAN = Table(
    "loan",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("patron", String(40)),
    Column("note", String(80)),
    Column("finished_at", DateTime),
)
BILL = Table(
    "bill",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("loan_id", Integer, ForeignKey("loan.id"), index=True),
    Column("note", String(80)),
)


@dataclass(frozen=True, kw_only=True)
class TestSite:
    """``patrons`` have the same number of loans each; every tenth loan is not due yet, every fifth has a bill."""

    __test__ = False

    folder: Path
    url: str
    engine: Engine
    loans: int
    files: int
    patrons: int
    batch: int

    @property
    def settings(self) -> Settings:
        return Settings(
            _env_file=None,
            policies=self.folder / "policies.toml",
            state_dir=self.folder / "state",
            keyring=self.folder / "keys",
            stores={
                "ils": StoreSettings(url=SecretStr(self.url)),
                "exports": StoreSettings(root=self.folder / "files"),
            },
        )

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RETENTION_")}
        return {
            **kept,
            "RETENTION_POLICIES": str(self.folder / "policies.toml"),
            "RETENTION_STATE_DIR": str(self.folder / "state"),
            "RETENTION_KEYRING": str(self.folder / "keys"),
            "RETENTION_STORES__ILS__URL": self.url,
            "RETENTION_STORES__ILS__BATCH": str(self.batch),
            "RETENTION_STORES__EXPORTS__ROOT": str(self.folder / "files"),
            "RETENTION_STORES__EXPORTS__BATCH": str(self.batch),
        }

    def site(self) -> Site:
        return Site(self.settings)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the command in a process of its own; what it prints goes to ``output`` below the folder."""
        with (self.folder / "output").open("ab") as output:
            return subprocess.Popen(  # our own command with our own arguments
                [sys.executable, "-m", "console.cli.main", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def run(self, *arguments: str, timeout: float = 180) -> int:
        return self.start(*arguments).wait(timeout)

    def kill_after(self, intents: int, patience: float = 60) -> bool:
        """Start a run and kill it with -9 once it has written that many more intents. False when it ended before."""
        before = self.count("intent")
        process = self.start("run", "--on", ON, "--execute")
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and process.poll() is None:
            if self.count("intent") >= before + intents:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.002)
        process.wait(patience)
        return False

    def count(self, table: str) -> int:
        """Rows of a ledger table, read without the product."""
        ledger = sqlite3.connect(f"file:{self.folder / 'state' / 'ledger.db'}?mode=ro", uri=True, timeout=30)
        try:
            return int(ledger.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])  # a constant
        finally:
            ledger.close()

    def loans_left(self, *, patron: str | None = None, due: bool | None = None) -> set[int]:
        """Ids of the loans that are there, seen without the product."""
        query = "SELECT id FROM loan WHERE 1 = 1"
        values: dict[str, object] = {}
        if patron is not None:
            query, values["patron"] = query + " AND patron = :patron", patron
        if due is not None:
            query += " AND id % 10 <> 0" if due else " AND id % 10 = 0"
        with self.engine.connect() as connection:
            return set(connection.execute(text(query), values).scalars())

    def orphan_bills(self) -> int:
        """Bills whose loan is gone, and loans of due ids that lost their bill."""
        with self.engine.connect() as connection:
            found = connection.execute(
                text("SELECT count(*) FROM bill WHERE loan_id NOT IN (SELECT id FROM loan)")
            ).scalar_one()
        return int(found)

    def files_left(self, *, due: bool) -> set[str]:
        stem = FINISHED if due else NOT_DUE
        return {
            path.name
            for path in (self.folder / "files" / "drop").iterdir()
            if f"{stem:%Y-%m-%d}" in path.name
        }

    def signatory(self, name: str) -> Signatory:
        site = self.site()
        try:
            return site.signatory(name)
        finally:
            site.close()


def patron(number: int) -> str:
    return f"{CANARY}-patron-{number:05d}"


def build(
    folder: Path, url: str, *, loans: int, files: int, patrons: int = 100, batch: int = 500
) -> TestSite:
    """Make the site with its ledger and two custodians."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policies.toml").write_text(POLICIES, encoding="utf-8")
    engine = create_engine(url, poolclass=NullPool)
    metadata.create_all(engine)
    with engine.begin() as connection:
        for block in _blocks(range(1, loans + 1)):
            connection.execute(insert(LOAN), [_loan(number, patrons) for number in block])
            bills = [
                {"loan_id": number, "note": f"{CANARY}-bill-{number}"} for number in block if number % 5 == 1
            ]
            connection.execute(insert(BILL), bills)
    made = TestSite(
        folder=folder, url=url, engine=engine, loans=loans, files=files, patrons=patrons, batch=batch
    )
    _fill(folder / "files" / "drop", files)
    site = made.site()
    site.set_up()
    (folder / "keys").mkdir()
    for name in ("director", "deputy"):
        key = generate(name)
        (folder / "keys" / f"{name}.pem").write_bytes(key.dump())
        site.ledger.people.add(
            Person(
                name=name,
                full_name=name.title(),
                title="Library Director",
                role=Role.CUSTODIAN,
                public_key=key.public.text,
                added_at=datetime.now(UTC),
            ),
            actor="test",
        )
    site.close()
    return made


def _fill(drop: Path, files: int) -> None:
    drop.mkdir(parents=True)
    for number in range(files):
        at = NOT_DUE if number % 10 == 0 else FINISHED
        path = drop / f"{CANARY}-file-{number:05d}-{at:%Y-%m-%d}.csv"
        path.write_text(f"{CANARY}-content-{number}\n", encoding="utf-8")
        os.utime(path, (at.replace(tzinfo=UTC).timestamp(),) * 2)


def _loan(number: int, patrons: int) -> dict[str, object]:
    at = NOT_DUE if number % 10 == 0 else FINISHED + timedelta(seconds=number)
    return {
        "id": number,
        "patron": patron(number % patrons),
        "note": f"{CANARY}-note-{number}",
        "finished_at": at,
    }


def _blocks(numbers: range, size: int = 5000) -> Iterable[range]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
