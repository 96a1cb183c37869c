"""What `check` refuses and what it only mentions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from retention.condition import Compare
from retention.errors import RetentionError
from retention.schedule import Dependent, Disposition, Relation, TriggerKind
from tests.storage.sql.conftest import Database
from tests.storage.sql.library import BILLS, PAYMENTS, SHADOW, WHOLE, at, build, criteria, left, lines, only


def found(
    database: Database,
    fatal: bool | None = None,
    disposition: Disposition = Disposition.PURGE,
    **changes: Any,
) -> str:
    """The messages and hints of the findings at that location, one after the other."""
    location = replace(WHOLE, **changes)
    findings = database.store.check(criteria(location, disposition))
    return "\n".join(f"{one.message} | {one.hint}" for one in findings if fatal is None or one.fatal is fatal)


def test_a_sound_location_has_no_findings(database: Database) -> None:
    build(database)
    assert found(database) == ""


def test_what_is_not_there_is_named_with_what_may_have_been_meant(database: Database) -> None:
    build(database)
    assert "there is no table laon | did you mean loan?" in found(database, True, table="laon")
    assert "has no column retrned | did you mean returned?" in found(database, True, trigger="retrned")
    assert "has no column patrom" in found(database, True, blocked=Compare("patrom", "=", 1))
    assert "there is no table billl" in found(database, True, dependents=(replace(BILLS, table="billl"),))
    relation = Relation(name="r", table="bill", column="lown", matches="id")
    assert "table bill has no column lown | did you mean loan?" in found(
        database, True, relations=(relation,)
    )


def test_a_key_names_one_row(database: Database) -> None:
    build(database)
    database.run(
        "CREATE TABLE line (loan INTEGER NOT NULL, number INTEGER NOT NULL, returned TIMESTAMP NULL, PRIMARY KEY (loan, number))"
    )
    assert "does not name one row" in found(database, True, key="patron", subject="none", dependents=())
    assert "does not name one row" in found(
        database, True, table="line", key="loan", subject="none", dependents=()
    )


def test_a_trigger_is_a_time_of_the_kind_it_is_said_to_be(database: Database) -> None:
    build(database)
    assert "is no timestamp" in found(database, True, trigger="patron")
    assert "is for files" in found(database, True, trigger_kind=TriggerKind.NAME)
    if database.backend != "sqlite":
        assert "is no date" in found(database, True, trigger_kind=TriggerKind.DATE)
    else:
        assert "is no date" in found(database, True, trigger="id", trigger_kind=TriggerKind.DATE)


@pytest.mark.mariadb
def test_a_trigger_that_the_database_sets_anew_is_refused(mariadb_database: Database) -> None:
    build(mariadb_database)
    mariadb_database.run(
        "ALTER TABLE loan ADD changed TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"
    )
    assert "set anew by the database" in found(mariadb_database, True, trigger="changed")


@pytest.mark.mariadb
def test_tables_that_cannot_take_back_or_that_keep_history_are_refused(mariadb_database: Database) -> None:
    build(mariadb_database)
    mariadb_database.run("ALTER TABLE shadow ENGINE=MyISAM")
    assert "is not an InnoDB table" in found(mariadb_database, True)
    mariadb_database.run("ALTER TABLE shadow ENGINE=InnoDB", "ALTER TABLE shadow ADD SYSTEM VERSIONING")
    assert "keeps its own history" in found(mariadb_database, True)


@pytest.mark.parametrize("action", ["NO ACTION", "CASCADE", "SET NULL"])
def test_a_foreign_key_that_the_schedule_does_not_know_is_fatal(database: Database, action: str) -> None:
    build(database)
    end = " ENGINE=InnoDB" if database.backend == "mariadb" else ""
    database.run(
        f"CREATE TABLE fee (id INTEGER PRIMARY KEY, bill INTEGER, FOREIGN KEY (bill) REFERENCES bill (id) ON DELETE {action}){end}"
    )
    told = found(database, True)
    assert "fee (bill) refers to bill ON DELETE" in told
    assert (
        found(
            database,
            True,
            dependents=(
                *WHOLE.dependents,
                Dependent(table="fee", column="bill", parent="bill", parent_column="id"),
            ),
        )
        == ""
    )


def test_a_foreign_key_of_a_table_that_blocks_while_it_has_rows_is_no_danger(database: Database) -> None:
    build(database)
    relation = Relation(name="bill", table="bill", column="loan", matches="id")
    assert found(database, True, dependents=(SHADOW,), relations=(relation,)) == ""
    narrower = replace(relation, where=Compare("id", ">", 3))
    assert "bill (loan) refers to loan" in found(database, True, dependents=(SHADOW,), relations=(narrower,))


def test_a_dependent_without_a_foreign_key_has_to_be_called_soft(database: Database) -> None:
    build(database)
    assert "has no foreign key" in found(
        database, True, dependents=(BILLS, PAYMENTS, replace(SHADOW, soft=False))
    )
    assert "hangs on nothing" in found(
        database, True, dependents=(*WHOLE.dependents, replace(SHADOW, parent="nothing"))
    )


def test_a_dependent_hangs_on_a_column_that_names_one_record(database: Database) -> None:
    """By the patron's number the notices of a held loan would go with another loan of the same patron."""
    build(database)
    by_patron = Dependent(table="shadow", column="loan_id", parent="loan", parent_column="patron", soft=True)
    assert "loan.patron is not unique" in found(database, True, dependents=(BILLS, PAYMENTS, by_patron))
    database.run("DELETE FROM payment", "DELETE FROM bill", "DELETE FROM loan WHERE id > 2")
    database.run("CREATE UNIQUE INDEX one_loan_each ON loan (patron)")
    assert found(database, True, dependents=(BILLS, PAYMENTS, by_patron)) == ""


def test_a_dependent_without_an_index_is_mentioned(database: Database) -> None:
    build(database)
    database.run("DROP INDEX shadow_loan" + (" ON shadow" if database.backend == "mariadb" else ""))
    assert "has no index" in found(database, False)


def test_a_view_is_refused(database: Database) -> None:
    build(database)
    database.run("CREATE VIEW recent AS SELECT * FROM loan")
    assert "is not an ordinary table" in found(database, True, table="recent", dependents=())


def test_what_cannot_be_anonymized_is_refused(database: Database) -> None:
    build(database)
    anonymize: dict[str, Any] = {"disposition": Disposition.ANONYMIZE, "dependents": ()}
    database.run(
        "CREATE TABLE member (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, returned TIMESTAMP NULL)"
    )
    assert "nothing is declared" in found(database, True, **anonymize)
    assert "NOT NULL and cannot be cleared" in found(
        database, True, table="member", subject="none", clear=("name",), **anonymize
    )
    assert "cannot be changed" in found(database, True, clear=("returned",), **anonymize)
    assert "cannot be changed" in found(database, True, replace=(("id", 0),), **anonymize)
    assert "cleared and replaced at once" in found(
        database, True, clear=("title",), replace=(("title", "x"),), **anonymize
    )
    if database.backend != "sqlite":
        assert "of another kind" in found(database, True, replace=(("patron", "nobody"),), **anonymize)


def test_a_condition_that_can_never_be_answered_is_mentioned(database: Database) -> None:
    build(database)
    assert "can never be answered" in found(database, False, blocked=Compare("returned", "=", "2024-01-01"))


@pytest.mark.postgresql
def test_a_table_that_others_inherit_from_is_refused_and_an_heir_is_not(
    postgresql_database: Database,
) -> None:
    """Evergreen's circulations inherit from its billable transactions: deleting there deletes here."""
    build(postgresql_database)
    postgresql_database.run("CREATE TABLE rental (PRIMARY KEY (id)) INHERITS (loan)")
    assert "other tables inherit from it" in found(postgresql_database, True)
    assert found(postgresql_database, True, table="rental", dependents=()) == ""
    assert "inherits from another table" in found(postgresql_database, False, table="rental", dependents=())


@pytest.mark.postgresql
def test_row_security_that_hides_rows_is_refused(postgresql_database: Database) -> None:
    build(postgresql_database)
    postgresql_database.run(
        "ALTER TABLE loan ENABLE ROW LEVEL SECURITY",
        "CREATE ROLE clerk_of_tests LOGIN",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk_of_tests",
    )
    try:
        clerk = type(postgresql_database.store)("library", _as(postgresql_database.url, "clerk_of_tests"))
        assert any("row security" in one.message and one.fatal for one in clerk.check(criteria(WHOLE)))
        clerk.close()
    finally:
        postgresql_database.run("DROP OWNED BY clerk_of_tests", "DROP ROLE clerk_of_tests")


def _as(url: str, user: str) -> str:
    return sa.make_url(url).set(username=user).render_as_string(hide_password=False)


@pytest.mark.postgresql
def test_schemas_rules_and_partitions_are_understood(postgresql_database: Database) -> None:
    build(postgresql_database)
    postgresql_database.run(
        "CREATE SCHEMA action",
        "CREATE TABLE action.circ (id bigint, returned timestamptz, patron text, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
        "CREATE TABLE action.circ_one PARTITION OF action.circ FOR VALUES FROM (0) TO (100)",
        "CREATE RULE keep_it AS ON DELETE TO loan DO INSTEAD NOTHING",
        "INSERT INTO action.circ VALUES (1, '2024-01-01', 'a'), (2, '2024-01-01', 'b')",
    )
    assert "keep_it" in found(postgresql_database, False)
    circ = at(table="action.circ")
    assert database_check(postgresql_database, circ) == []
    with postgresql_database.store.batch(criteria(circ)) as batch:
        assert batch.stage(lines(1, 2), ()).chosen == (0, 1)
        batch.destroy()
    assert postgresql_database.one("SELECT count(*) FROM action.circ") == 0


def database_check(database: Database, location: Any) -> list[str]:
    return [one.message for one in database.store.check(criteria(location))]


# Names are names

NASTY = [
    "loan; DROP TABLE loan",
    'x" OR 1=1 --',
    "x` OR 1=1 #",
    "x' OR '1'='1",
    "loan\x00",
    "",
    "pg_sleep(9)",
    "loan WHERE 1=1",
    "*",
    "%s",
    ":x",
]


def test_no_name_in_the_schedule_can_be_read_as_sql(database: Database) -> None:
    build(database)
    before = left(database)
    for name in NASTY:
        for changes in naming(name):
            asked = criteria(replace(WHOLE, **changes))
            try:
                findings = database.store.check(asked)
            except RetentionError:
                continue
            assert any(one.fatal for one in findings), (name, changes)
        assert left(database) == before == only(*range(1, 9)), name


def naming(name: str) -> list[dict[str, Any]]:
    """Everywhere in a location that a name can stand."""
    return [
        {"table": name}, {"key": name}, {"trigger": name}, {"subject": name}, {"branch": name}, {"span_start": name},
        {"blocked": Compare(name, "=", 1)}, {"relations": (Relation(name=name, table=name, column=name, matches=name),)},
        {"dependents": (Dependent(table=name, column=name, parent="loan", parent_column=name, soft=True),)},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["odd name", 'quo"te', "per%cent", "select", "Üml`aut", "semi;colon", ":colon", "a'b"]
)
def test_odd_names_that_do_exist_simply_work(database: Database, name: str) -> None:
    quoted = database.engine.dialect.identifier_preparer.quote_identifier(name)
    quoted = quoted.replace("%%", "%")
    with database.engine.begin() as connection:
        raw = connection.connection.cursor()
        raw.execute(
            f"CREATE TABLE {quoted} ({quoted} INTEGER PRIMARY KEY, seen TIMESTAMP NULL, who VARCHAR(9))"
        )
        raw.execute(
            f"INSERT INTO {quoted} VALUES (1, '2024-01-01 00:00:00', 'a'), (2, '2024-01-01 00:00:00', 'b')"
        )
    odd = at(table=name, key=name, trigger="seen", subject="who")
    assert [one.message for one in database.store.check(criteria(odd)) if one.fatal] == []
    with database.store.batch(criteria(odd)) as batch:
        assert batch.stage(lines(1), ()).chosen == (0,)
        batch.destroy()
        assert len(batch.read_back()) == 1
    record = database.store.read(criteria(odd), "2")
    assert record is not None
    assert database.store.read(criteria(odd), "1") is None
