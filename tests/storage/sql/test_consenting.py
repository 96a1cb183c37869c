"""Who consents, asked of each engine: everybody the condition is not known to be false of, and no table that cannot be seen whole."""

from __future__ import annotations

import secrets

import pytest
import sqlalchemy as sa

from retention.condition import And, Compare
from retention.errors import StoreUnavailable
from retention.schedule import ConsentRecord
from storage.consents import Recorded
from storage.sql.failures import StoreRefused
from storage.sql.store import SqlStore
from tests.storage.sql.conftest import Database

OPTED_IN = And((Compare("stat_cat", "=", 3), Compare("entry", "=", "yes")))
RECORD = ConsentRecord(store="ils", table="stat_cat_map", subject="target_usr", when=OPTED_IN)
TABLE = "CREATE TABLE stat_cat_map (id INTEGER PRIMARY KEY, stat_cat INTEGER, entry VARCHAR(20), target_usr INTEGER)"


def filled(database: Database, *rows: str) -> None:
    database.run(TABLE, *(f"INSERT INTO stat_cat_map VALUES ({row})" for row in rows))


def asked(database: Database, record: ConsentRecord = RECORD) -> Recorded:
    return Recorded(record, database.store.consenting(record))


def test_who_has_such_a_row_consents_and_who_has_none_does_not(database: Database) -> None:
    filled(
        database, "1, 3, 'yes', 11", "2, 3, 'no', 12", "3, 4, 'yes', 13", "4, 3, NULL, 14", "5, 3, 'yes', 11"
    )
    database.run("CREATE VIEW opted_in AS SELECT target_usr FROM stat_cat_map WHERE entry = 'yes'")
    consents = asked(database)
    answers = {number: consents.given(number) for number in ("11", "0011", "12", "13", "14", "15")}
    assert answers == {"11": True, "0011": True, "12": False, "13": False, "14": None, "15": False}
    by_view = asked(database, ConsentRecord(store="ils", table="opted_in", subject="target_usr"))
    assert (by_view.given("13"), by_view.given("12")) == (True, False)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ((), "nobody consents there"),
        (("1, 3, 'no', 11",), "nobody consents there"),
        (("1, 3, NULL, 11",), "nobody consents there"),
        (("1, 3, 'yes', 11", "2, 3, 'yes', NULL"), "names nobody"),
    ],
)
def test_a_record_that_may_be_wrong_is_no_withdrawal_of_everybody(
    sqlite_database: Database, rows: tuple[str, ...], told: str
) -> None:
    filled(sqlite_database, *rows)
    with pytest.raises(StoreUnavailable, match=told):
        asked(sqlite_database)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("record", "told"),
    [
        (ConsentRecord(store="ils", table="nowhere", subject="target_usr"), "there is no such table"),
        (ConsentRecord(store="ils", table="stat_cat_map", subject="usr"), "has no column usr"),
        (
            ConsentRecord(
                store="ils", table="stat_cat_map", subject="target_usr", when=Compare("value", "=", "yes")
            ),
            "has no column value",
        ),
        (
            ConsentRecord(
                store="ils", table="stat_cat_map", subject="target_usr", when=Compare("stat_cat", "=", "3")
            ),
            "can never be answered",
        ),
    ],
)
def test_a_table_or_column_that_is_not_there_is_refused(
    postgresql_database: Database, record: ConsentRecord, told: str
) -> None:
    filled(postgresql_database, "1, 3, 'yes', 11")
    with pytest.raises(StoreRefused, match=told):
        asked(postgresql_database, record)


@pytest.mark.postgresql
def test_rows_that_are_hidden_from_the_account_are_no_withdrawals(postgresql_database: Database) -> None:
    """A role without BYPASSRLS, in the same database."""
    filled(postgresql_database, "1, 3, 'yes', 11")
    role = f"reader_{secrets.token_hex(4)}"
    postgresql_database.run(
        "ALTER TABLE stat_cat_map ENABLE ROW LEVEL SECURITY",
        f"CREATE ROLE {role} LOGIN",
        "CREATE VIEW opted_in WITH (security_invoker) AS SELECT target_usr FROM stat_cat_map",
        f"GRANT SELECT ON stat_cat_map, opted_in TO {role}",
    )
    reader = SqlStore("ils", sa.make_url(postgresql_database.url).set(username=role).render_as_string(False))
    try:
        with pytest.raises(StoreRefused, match="row security hides rows"):
            Recorded(RECORD, reader.consenting(RECORD))
        view = ConsentRecord(store="ils", table="opted_in", subject="target_usr")
        with pytest.raises(StoreRefused, match="lacks a right"):
            Recorded(view, reader.consenting(view))
    finally:
        reader.close()
        postgresql_database.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")
