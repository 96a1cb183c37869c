"""A small library in tables, the same on every engine, and the criteria that the tests ask of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from retention.decide import Criteria
from retention.holds import Hold, HoldState, Scope
from retention.outcomes import Presence
from retention.records import Personal
from retention.schedule import (
    ApprovalKind,
    Authority,
    Cutoff,
    Dependent,
    Disposition,
    Library,
    Limits,
    Period,
    RecordType,
    Rule,
    TableLocation,
    TriggerKind,
)
from storage.contract import Staged
from tests.storage.sql.conftest import Database

ZONE = ZoneInfo("America/Chicago")
ON = date(2025, 6, 2)
OLD, NEW = datetime(2024, 1, 15, 12, tzinfo=UTC), datetime(2025, 5, 30, 12, tzinfo=UTC)

LOCATION = TableLocation(
    name="loans", store="library", zone=ZONE, trigger_kind=TriggerKind.TIMESTAMP, subject="patron", table="loan", key="id",
    trigger="returned",
)  # fmt: skip
BILLS = Dependent(table="bill", column="loan", parent="loan", parent_column="id")
PAYMENTS = Dependent(table="payment", column="bill", parent="bill", parent_column="id")
SHADOW = Dependent(table="shadow", column="loan_id", parent="loan", parent_column="id", soft=True)


def criteria(
    location: TableLocation = LOCATION, disposition: Disposition = Disposition.PURGE, **changes: Any
) -> Criteria:
    """Due from the 31st day after the loan's return."""
    rule = Rule(
        id="finished",
        authority=Authority(citation="Policy"),
        minimum=Period(days=30),
        maximum=Period(days=60),
    )
    record_type = RecordType(
        id="loans", title="Loans", description="", owner="", personal_data=(), trigger_event="returned", cutoff=Cutoff.DAY,
        rules=(rule,), disposition=disposition, approval=ApprovalKind.STANDING, cooling_off=Period(), limits=Limits(),
        effective_from=date(2020, 1, 1), effective_until=None, locations=(location,),
    )  # fmt: skip
    library = Library(organization="", custodian="", zone=ZONE, fiscal_year_start=(7, 1))
    return Criteria(record_type=replace(record_type, **changes), location=location, library=library, on=ON)


def at(**changes: Any) -> TableLocation:
    return replace(LOCATION, **changes)


TYPES = {
    "sqlite": {"when": "TIMESTAMP", "auto": "INTEGER PRIMARY KEY", "end": ""},
    "postgresql": {"when": "timestamptz", "auto": "serial PRIMARY KEY", "end": ""},
    "mariadb": {
        "when": "timestamp NULL",
        "auto": "INTEGER AUTO_INCREMENT PRIMARY KEY",
        "end": " ENGINE=InnoDB",
    },
}


def build(database: Database, old: Iterable[int] = range(1, 9), new: Iterable[int] = ()) -> None:
    """Loans (each with a bill, each bill with a payment, each loan with a shadow row) and an unrelated bystander per table."""
    when, auto, end = (TYPES[database.backend][name] for name in ("when", "auto", "end"))
    database.run(
        f"CREATE TABLE loan (id INTEGER PRIMARY KEY, patron INTEGER, title VARCHAR(40), returned {when}){end}",
        f"CREATE TABLE bill (id INTEGER PRIMARY KEY, loan INTEGER, FOREIGN KEY (loan) REFERENCES loan (id)){end}",
        f"CREATE TABLE payment (id {auto}, bill INTEGER, FOREIGN KEY (bill) REFERENCES bill (id)){end}",
        f"CREATE TABLE shadow (id {auto}, loan_id VARCHAR(20)){end}",
        "CREATE INDEX bill_loan ON bill (loan)",
        "CREATE INDEX payment_bill ON payment (bill)",
        "CREATE INDEX shadow_loan ON shadow (loan_id)",
    )
    add(database, {**dict.fromkeys(old, OLD), **dict.fromkeys(new, NEW)})
    database.run("INSERT INTO shadow (loan_id) VALUES ('999')")


def add(database: Database, loans: dict[int, datetime]) -> None:
    for number, moment in loans.items():
        text = moment.strftime("%Y-%m-%d %H:%M:%S") + ("+00:00" if database.backend != "mariadb" else "")
        database.run(
            f"INSERT INTO loan (id, patron, title, returned) VALUES ({number}, {number % 3}, 'title {number}', '{text}')",
            f"INSERT INTO bill (id, loan) VALUES ({number * 10}, {number})",
            f"INSERT INTO payment (bill) VALUES ({number * 10})",
            f"INSERT INTO shadow (loan_id) VALUES ('{number}')",
        )


WHOLE = at(dependents=(BILLS, PAYMENTS, SHADOW))
"""The location with all that hangs on a loan."""


def lines(*numbers: int) -> list[bytes]:
    return [str(number).encode() for number in numbers]


def destroy(
    database: Database, asked: Criteria, numbers: Iterable[int], holds: Iterable[Hold] = ()
) -> tuple[Staged, list[Presence]]:
    """One whole batch."""
    with database.store.batch(asked) as batch:
        staged = batch.stage(lines(*numbers), holds)
        batch.destroy()
        return staged, batch.read_back()


def hold(*patrons: int) -> Hold:
    return Hold(
        id="h",
        state=HoldState.ACTIVE,
        scope=Scope(subjects=frozenset(Personal(str(patron)) for patron in patrons)),
    )


def left(database: Database) -> dict[str, list[int]]:
    """Which loans, and whose bills, payments and shadows, are still there."""
    loans = [row[0] for row in database.rows("SELECT id FROM loan ORDER BY id")]
    bills = [row[0] for row in database.rows("SELECT loan FROM bill ORDER BY loan")]
    payments = [row[0] // 10 for row in database.rows("SELECT bill FROM payment ORDER BY bill")]
    shadows = sorted(int(row[0]) for row in database.rows("SELECT loan_id FROM shadow") if row[0] != "999")
    return {"loans": loans, "bills": bills, "payments": payments, "shadows": shadows}


def only(*numbers: int) -> dict[str, list[int]]:
    return {name: sorted(numbers) for name in ("loans", "bills", "payments", "shadows")}
