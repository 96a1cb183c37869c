"""Batches: what is chosen, what goes with it, and what happens when rows change, commits get lost or triggers interfere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from retention.condition import Compare
from retention.errors import Refused, RetentionError, StoreUnavailable, UsageError
from retention.outcomes import Fate, Presence
from retention.schedule import Dependent, Disposition, Relation, TriggerKind
from storage.sql import SqlStore
from storage.sql.removal import Remover
from tests.storage.sql.conftest import Database
from tests.storage.sql.library import (
    OLD,
    SHADOW,
    WHOLE,
    add,
    at,
    build,
    criteria,
    destroy,
    hold,
    left,
    lines,
    only,
)

ABSENT, PRESENT = Presence.ABSENT, Presence.PRESENT


# What goes


def test_a_loan_goes_with_everything_that_hangs_on_it_and_nothing_else(database: Database) -> None:
    build(database, old=range(1, 6), new=[6])
    staged, seen = destroy(database, criteria(WHOLE), range(1, 5))
    assert (staged.chosen, staged.absent) == ((0, 1, 2, 3), ())
    assert seen == [ABSENT] * 4
    assert left(database) == only(5, 6)
    assert database.one("SELECT count(*) FROM shadow WHERE loan_id = '999'") == 1


def test_rows_between_the_lines_stay(database: Database) -> None:
    build(database)
    staged, _ = destroy(database, criteria(WHOLE), [2, 5, 7])
    assert staged.chosen == (0, 1, 2)
    assert left(database) == only(1, 3, 4, 6, 8)


def test_held_rows_and_what_hangs_on_them_stay(database: Database) -> None:
    build(database)
    staged, seen = destroy(database, criteria(WHOLE), range(1, 9), [hold(1)])
    assert [index + 1 for index in staged.chosen] == [2, 3, 5, 6, 8]
    assert seen == [ABSENT] * 5
    assert left(database) == only(1, 4, 7)


def test_a_hold_on_thousands_of_subjects_works(database: Database) -> None:
    build(database)
    staged, _ = destroy(database, criteria(WHOLE), range(1, 9), [hold(*range(2, 9000))])
    assert [index + 1 for index in staged.chosen] == [1, 3, 4, 6, 7]


def test_a_row_that_changed_or_went_after_the_survey_is_told_apart(database: Database) -> None:
    build(database)
    database.run(
        "UPDATE loan SET returned = NULL WHERE id = 2",
        "DELETE FROM payment WHERE bill = 40",
        "DELETE FROM bill WHERE loan = 4",
    )
    database.run("DELETE FROM loan WHERE id = 4")
    staged, _ = destroy(database, criteria(WHOLE), range(1, 9))
    assert [index + 1 for index in staged.chosen] == [1, 3, 5, 6, 7, 8]
    assert [index + 1 for index in staged.absent] == [4]


def test_lines_in_any_order_are_all_found(database: Database) -> None:
    build(database)
    staged, _ = destroy(database, criteria(WHOLE), [7, 1, 8, 3])
    assert staged.chosen == (0, 1, 2, 3)
    assert left(database) == only(2, 4, 5, 6)


def test_a_dependent_of_a_soft_dependent_goes_too(database: Database) -> None:
    build(database, old=[1, 2])
    database.run(
        "CREATE TABLE note (id INTEGER, shadow_of VARCHAR(20))", "INSERT INTO note VALUES (1, '1'), (2, '2')"
    )
    note = Dependent(table="note", column="shadow_of", parent="shadow", parent_column="loan_id", soft=True)
    whole = at(dependents=(*WHOLE.dependents, note))
    _, seen = destroy(database, criteria(whole), [1])
    assert seen == [ABSENT]
    assert database.rows("SELECT id FROM note") == [(2,)]


def test_a_soft_reference_is_the_very_same_text(database: Database) -> None:
    """A collation that folds case or pads would destroy another patron's rows."""
    database.run(
        "CREATE TABLE patron (id VARCHAR(20) PRIMARY KEY, seen DATE)",
        "CREATE TABLE log (who VARCHAR(20))",
        "INSERT INTO patron VALUES ('ada', '2020-01-01')",
        "INSERT INTO log VALUES ('ada'), ('ADA'), ('ada '), ('åda')",
    )
    soft = Dependent(table="log", column="who", parent="patron", parent_column="id", soft=True)
    kind = at(
        table="patron",
        trigger="seen",
        trigger_kind=type(WHOLE.trigger_kind).DATE,
        subject="id",
        dependents=(soft,),
    )
    with database.store.batch(criteria(kind)) as batch:
        assert batch.stage([b'"ada"'], ()).chosen == (0,)
        batch.destroy()
        assert batch.read_back() == [ABSENT]
    assert sorted(row[0] for row in database.rows("SELECT who FROM log")) == ["ADA", "ada ", "åda"]


def test_a_blocking_row_withholds(database: Database) -> None:
    build(database)
    open_bill = Relation(name="bill", table="bill", column="loan", matches="id", where=Compare("id", ">", 40))
    staged, _ = destroy(
        database, criteria(at(dependents=WHOLE.dependents, relations=(open_bill,))), range(1, 9)
    )
    assert [index + 1 for index in staged.chosen] == [1, 2, 3, 4]
    assert left(database) == only(5, 6, 7, 8)


def test_a_blocking_row_counts_however_its_column_writes_the_number(database: Database) -> None:
    kind = {"sqlite": "REAL", "postgresql": "numeric(10,2)", "mariadb": "decimal(10,2)"}[database.backend]
    build(database)
    database.run(f"CREATE TABLE fine (loan {kind})", "INSERT INTO fine VALUES (3), (5)")
    fines = Relation(name="fine", table="fine", column="loan", matches="id", where=None)
    destroy(database, criteria(at(dependents=WHOLE.dependents, relations=(fines,))), range(1, 9))
    assert left(database) == only(3, 5)


def test_a_blocking_row_counts_where_its_foreign_key_folds_case(database: Database) -> None:
    """Its key refers to the patron as the database compares texts: a cascade would take the fine with the patron."""
    key = {"sqlite": "TEXT COLLATE NOCASE", "postgresql": "citext", "mariadb": "VARCHAR(20)"}[
        database.backend
    ]
    if database.backend == "postgresql":
        database.run("CREATE EXTENSION citext")
    database.run(
        f"CREATE TABLE patron (id INTEGER PRIMARY KEY, card {key} NOT NULL UNIQUE, seen DATE)",
        f"CREATE TABLE fine (card {key}, FOREIGN KEY (card) REFERENCES patron (card) ON DELETE CASCADE)",
        "INSERT INTO patron VALUES (1, 'd7', '2020-01-01'), (2, 'd8', '2020-01-01')",
        "INSERT INTO fine VALUES ('D7')",
    )
    fines = Relation(name="fine", table="fine", column="card", matches="card", where=None)
    asked = criteria(
        at(table="patron", trigger="seen", trigger_kind=TriggerKind.DATE, subject="none", relations=(fines,))
    )
    staged, _ = destroy(database, asked, [1, 2])
    assert staged.chosen == (1,)
    assert database.rows("SELECT card FROM fine") == [("D7",)]


@pytest.mark.postgresql
def test_a_blocking_row_counts_when_it_writes_an_identifier_in_capitals(
    postgresql_database: Database,
) -> None:
    one = "a9d6c3f0-0000-4000-8000-0000000000ab"
    postgresql_database.run(
        "CREATE TABLE patron (id uuid PRIMARY KEY, seen date)",
        f"INSERT INTO patron VALUES ('{one}', '2020-01-01')",
        "CREATE TABLE fine (patron text)",
        f"INSERT INTO fine VALUES ('{one.upper()}')",
    )
    fines = Relation(name="fine", table="fine", column="patron", matches="id", where=None)
    asked = criteria(
        at(table="patron", trigger="seen", trigger_kind=TriggerKind.DATE, subject="none", relations=(fines,))
    )
    with postgresql_database.store.batch(asked) as batch:
        assert batch.stage([f'"{one}"'.encode()], ()).chosen == ()


def test_anonymizing_clears_and_leaves_the_rest_alone(database: Database) -> None:
    build(database, old=[1, 2, 3, 4, 5], new=[6])
    what = at(clear=("patron",), replace=(("title", "removed"),), dependents=(SHADOW,))
    asked = criteria(what, Disposition.ANONYMIZE)
    staged, seen = destroy(database, asked, [1, 2, 3], [hold(2)])
    assert staged.chosen == (0, 2)
    assert seen == [ABSENT, ABSENT]
    rows = database.rows("SELECT id, patron, title FROM loan ORDER BY id")
    assert rows[:4] == [(1, None, "removed"), (2, 2, "title 2"), (3, None, "removed"), (4, 1, "title 4")]
    assert left(database)["shadows"] == [2, 4, 5, 6]
    assert left(database)["bills"] == [1, 2, 3, 4, 5, 6]
    assert destroy(database, asked, [1, 2, 3], [hold(2)])[0].chosen == ()
    assert database.store.presence(asked, lines(1, 2, 77)) == [ABSENT, PRESENT, ABSENT]


def test_what_hangs_on_a_cleared_column_goes_by_its_old_value(database: Database) -> None:
    build(database, old=[1, 2])
    database.run(
        "CREATE UNIQUE INDEX one_each ON loan (patron)",
        "CREATE TABLE visit (who VARCHAR(9))",
        "INSERT INTO visit VALUES ('1'), ('2')",
    )
    visits = Dependent(table="visit", column="who", parent="loan", parent_column="patron", soft=True)
    asked = criteria(at(clear=("patron",), dependents=(visits,)), Disposition.ANONYMIZE)
    _, seen = destroy(database, asked, [1])
    assert seen == [ABSENT]
    assert database.rows("SELECT who FROM visit") == [("2",)]


@pytest.mark.mariadb
def test_anonymizing_does_not_set_back_the_clock(mariadb_database: Database) -> None:
    """`old_issues.timestamp` of Koha is set anew by any UPDATE."""
    build(mariadb_database, old=[1])
    mariadb_database.run(
        "ALTER TABLE loan ADD stamp TIMESTAMP NOT NULL DEFAULT '2021-01-01' ON UPDATE CURRENT_TIMESTAMP"
    )
    before = mariadb_database.one("SELECT stamp FROM loan")
    destroy(mariadb_database, criteria(at(clear=("patron",)), Disposition.ANONYMIZE), [1])
    assert mariadb_database.rows("SELECT patron, stamp FROM loan") == [(None, before)]


# Rows that change in the middle


def between(monkeypatch: pytest.MonkeyPatch, method: str, act: Callable[[], None]) -> None:
    """Have something happen just before a step of the store."""
    original = getattr(Remover, method)

    def interrupted(self: Remover, *arguments: object, **named: object) -> object:
        monkeypatch.setattr(Remover, method, original)
        act()
        return original(self, *arguments, **named)

    monkeypatch.setattr(Remover, method, interrupted)


def test_a_row_that_changes_between_choosing_and_taking_keeps_its_dependents(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.backend == "sqlite":
        pytest.skip("one writer at a time")
    build(database)
    asked = criteria(WHOLE)
    with database.store.batch(asked) as batch:
        between(
            monkeypatch, "take_range", lambda: database.run("UPDATE loan SET returned = NULL WHERE id = 3")
        )
        staged = batch.stage(lines(*range(1, 9)), ())
        batch.destroy()
    assert [index + 1 for index in staged.chosen] == [1, 2, 4, 5, 6, 7, 8]
    assert left(database) == only(3)


def test_a_row_that_becomes_due_in_the_middle_stays(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.backend == "sqlite":
        pytest.skip("one writer at a time")
    build(database, old=[1, 2, 4, 5])

    def sneak() -> None:
        add(database, {3: OLD})

    with database.store.batch(criteria(WHOLE)) as batch:
        between(monkeypatch, "_take_rows" if database.backend == "mariadb" else "take_range", sneak)
        staged = batch.stage(lines(1, 2, 4, 5), ())
        batch.destroy()
    assert staged.chosen == (0, 1, 2, 3)
    assert left(database) == only(3)


def test_a_bill_added_to_a_chosen_loan_waits_or_is_refused(database: Database) -> None:
    if database.backend == "sqlite":
        pytest.skip("one writer at a time")
    build(database)
    told: list[BaseException] = []

    def bill() -> None:
        try:
            database.run("INSERT INTO bill (id, loan) VALUES (7777, 3)")
        except sa.exc.SQLAlchemyError as error:
            told.append(error)

    with database.store.batch(criteria(WHOLE)) as batch:
        batch.stage(lines(1, 2, 3), ())
        late = threading.Thread(target=bill)
        late.start()
        time.sleep(0.3)
        batch.destroy()
        assert batch.read_back() == [ABSENT] * 3
    late.join(20)
    assert len(told) == 1  # the loan it refers to was gone by then


def test_a_row_that_somebody_else_has_locked_makes_the_batch_end_with_nothing_done(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sql.sqlite.LOCK_SECONDS", 0.3)
    build(database)
    with database.engine.connect() as other:
        if database.backend == "sqlite":
            other.exec_driver_sql("BEGIN IMMEDIATE")
        other.exec_driver_sql("UPDATE loan SET title = 'mine' WHERE id = 3")
        with pytest.raises(StoreUnavailable) as caught, database.store.batch(criteria(WHOLE)) as batch:
            batch.stage(lines(*range(1, 9)), ())
        assert caught.value.retryable
        other.rollback()
    assert left(database) == only(*range(1, 9))
    assert len(destroy(database, criteria(WHOLE), range(1, 9))[0].chosen) == 8


# Commits that get lost


def backend_of(connection: sa.Connection, database: Database) -> str:
    asked = "SELECT pg_backend_pid()" if database.backend == "postgresql" else "SELECT CONNECTION_ID()"
    return str(connection.exec_driver_sql(asked).scalar())


def end_session(database: Database, number: str) -> None:
    if database.backend == "postgresql":
        database.run(f"SELECT pg_terminate_backend({number})")
    else:
        database.run(f"KILL CONNECTION {number}")
    time.sleep(0.2)


def test_a_session_that_ends_before_the_commit_destroyed_nothing_and_its_fate_says_so(
    database: Database,
) -> None:
    if database.backend == "sqlite":
        pytest.skip("no server ends a session here")
    build(database)
    asked = criteria(WHOLE)
    with database.store.batch(asked) as batch:
        staged = batch.stage(lines(1, 2, 3), ())
        end_session(database, backend_of(batch._connection, database))
        with pytest.raises(StoreUnavailable):
            batch.destroy()
        assert batch.read_back() == [Presence.UNREADABLE] * 3
    database.store.barrier(10)
    assert database.store.fate(staged.witness) is Fate.ROLLED_BACK
    assert database.store.presence(asked, lines(1, 2, 3)) == [PRESENT] * 3
    assert left(database) == only(*range(1, 9))


def test_a_session_that_ends_after_the_commit_destroyed_and_its_fate_says_so(database: Database) -> None:
    build(database)
    asked = criteria(WHOLE)
    with database.store.batch(asked) as batch:
        staged = batch.stage(lines(1, 2, 3), ())
        batch.destroy()
        if database.backend != "sqlite":
            with database.engine.connect():
                pass
            end_session(database, backend_of(batch._connection, database))
            assert batch.read_back() == [Presence.UNREADABLE] * 3
    after = SqlStore("library", database.url)
    after.barrier(10)
    assert after.fate(staged.witness) is Fate.COMMITTED
    assert after.presence(asked, lines(1, 2, 3, 4)) == [ABSENT, ABSENT, ABSENT, PRESENT]
    after.close()


@pytest.mark.parametrize(
    "witness", ["", "nonsense", "12", "0.zz", "1.", "99999999999999", "-1", "1; DROP TABLE loan", "9" * 40]
)
def test_a_witness_that_no_batch_left_has_no_known_fate(database: Database, witness: str) -> None:
    build(database, old=[1])
    destroy(database, criteria(WHOLE), [1])
    assert database.store.fate(witness) in {Fate.UNKNOWN, Fate.ROLLED_BACK, Fate.COMMITTED}
    if not witness.isdecimal():
        assert database.store.fate(witness) is not Fate.COMMITTED


def test_a_batch_is_staged_once_and_destroys_once(database: Database) -> None:
    build(database)
    with database.store.batch(criteria(WHOLE)) as batch:
        with pytest.raises(UsageError):
            batch.destroy()
        batch.stage(lines(1), ())
        with pytest.raises(UsageError):
            batch.stage(lines(2), ())
        batch.destroy()
        with pytest.raises(UsageError):
            batch.destroy()
    assert left(database)["loans"] == [2, 3, 4, 5, 6, 7, 8]


# Databases that only pretend


def soften(database: Database) -> None:
    """A trigger that turns DELETE into something else, as Evergreen's messages have."""
    if database.backend == "postgresql":
        database.run(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN UPDATE loan SET title = 'deleted' WHERE id = OLD.id; RETURN NULL; END $$",
            "CREATE TRIGGER soft_delete BEFORE DELETE ON loan FOR EACH ROW EXECUTE FUNCTION keep()",
        )
    elif database.backend == "sqlite":
        database.run("CREATE TRIGGER soft_delete BEFORE DELETE ON loan BEGIN SELECT RAISE(IGNORE); END")
    else:
        database.run(
            "CREATE TRIGGER soft_delete AFTER DELETE ON loan FOR EACH ROW INSERT INTO shadow (loan_id) VALUES (OLD.id)"
        )


def test_a_trigger_that_keeps_the_row_or_a_copy_is_seen_by_the_read_back(database: Database) -> None:
    build(database)
    soften(database)
    asked = criteria(at(dependents=(*WHOLE.dependents[:2],)) if database.backend != "mariadb" else WHOLE)
    assert [
        finding
        for finding in database.store.check(asked)
        if "soft_delete" in finding.message and not finding.fatal
    ]
    staged, seen = destroy(database, asked, [1, 2])
    assert staged.chosen == (0, 1)
    if database.backend == "mariadb":
        # The trigger's copies are declared as soft dependents, and those go last: nothing is left.
        assert seen == [ABSENT, ABSENT]
        assert left(database)["shadows"] == [3, 4, 5, 6, 7, 8]
    else:
        assert seen == [PRESENT, PRESENT]
        assert database.store.presence(asked, lines(1, 2)) == [PRESENT, PRESENT]


def test_a_dependent_that_is_left_makes_the_record_present(database: Database) -> None:
    build(database)
    asked = criteria(WHOLE)
    with database.store.batch(asked) as batch:
        batch.stage(lines(1, 2, 3), ())
        batch.destroy()
        database.run("INSERT INTO shadow (loan_id) VALUES ('2')")
        assert batch.read_back() == [ABSENT, PRESENT, ABSENT]
    assert database.store.presence(asked, lines(1, 2, 3)) == [ABSENT, PRESENT, ABSENT]


def test_nothing_is_opened_at_a_location_with_a_fatal_finding(database: Database) -> None:
    build(database)
    with pytest.raises(Refused), database.store.batch(criteria(at(dependents=(SHADOW,)))):
        pass
    assert left(database) == only(*range(1, 9))


def test_a_database_that_is_not_there_is_unavailable_and_is_not_made(tmp_path: object) -> None:
    store = SqlStore("library", f"sqlite:///{tmp_path}/missing.db")
    for call in (
        lambda: store.check(criteria()),
        lambda: store.barrier(1),
        lambda: store.read(criteria(), "1"),
    ):
        with pytest.raises(StoreUnavailable):
            call()
    gone = SqlStore("library", "postgresql://nobody:secret-word@127.0.0.1:1/none")
    with pytest.raises(RetentionError) as caught:
        gone.check(criteria())
    assert "secret-word" not in str(caught.value) + caught.value.hint + repr(gone)


def test_what_is_new_is_not_due(database: Database) -> None:
    build(database, old=[], new=[1, 2])
    assert destroy(database, criteria(WHOLE), [1, 2])[0].chosen == ()
