"""Sealed columns in a library's own application: real SQLAlchemy models on a real database, keys that really die."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from retention.decide import Criteria
from retention.errors import KeyDestroyed, ScheduleInvalid, SealedUnreadable, UsageError
from retention.records import Personal
from retention.schedule import Disposition, Period, TableLocation, TriggerKind
from storage.keys.keystore import KeyStore
from storage.keys.secret import SecretKey
from storage.keys.values import ObjectState
from storage.sealed.columns import (
    DESTROYED,
    About,
    Blind,
    BlindIndex,
    Cabinet,
    SealedBytes,
    SealedText,
    matching,
    sealed_bytes,
    sealed_text,
)
from storage.sealed.columns_token import Place, from_bytes, from_text, open_, seal, to_bytes, to_text
from tests.storage.files.shelf import NEW_YORK, NOW, criteria_for
from tests.storage.sql.conftest import Database

LOANS = TableLocation(
    name="loans", store="library", zone=NEW_YORK, trigger_kind=TriggerKind.DATE, subject="patron", table="loan", key="id",
    trigger="returned", sealed=("note",),
)  # fmt: skip
MARCH, MAY = date(2026, 3, 1), date(2026, 5, 1)


MONTH = Period(days=30)


def criteria(minimum: Period = MONTH) -> Criteria:
    whole = criteria_for(LOANS)  # type: ignore[arg-type]  # made for trees; a table location serves as well
    rule = replace(whole.record_type.rules[0], minimum=minimum)
    record_type = replace(
        whole.record_type, disposition=Disposition.CRYPTO_SHRED, rules=(rule,), locations=(LOANS,)
    )
    return replace(whole, record_type=record_type)


def about(patron: str, day: date = MARCH) -> About:
    return About(subject=Personal(patron), trigger=day)


current: list[Cabinet] = []


class Base(DeclarativeBase):
    pass


class Loan(Base):
    """As an application would write it."""

    __tablename__ = "loan"

    id: Mapped[int] = mapped_column(primary_key=True)
    patron: Mapped[str] = mapped_column(sa.String(40))
    returned: Mapped[date]
    note: Mapped[Any] = mapped_column(SealedText(lambda: current[-1], "note"), nullable=True)
    photo: Mapped[Any] = mapped_column(SealedBytes(lambda: current[-1], "photo"), nullable=True)
    card: Mapped[Any] = mapped_column(BlindIndex(), nullable=True)


@pytest.fixture
def cabinet(keys: KeyStore, database: Database) -> Any:
    made = Cabinet(keys, criteria(), now=lambda: NOW)
    Base.metadata.create_all(database.engine)
    with database.engine.begin() as connection:
        made.directory.create(connection)
    current.append(made)
    yield made
    current.pop()
    made.forget()


def lend(
    session: Session, cabinet: Cabinet, id: int, patron: str, note: str, *, day: date = MARCH, card: str = ""
) -> None:
    connection = session.connection()
    session.add(
        Loan(
            id=id,
            patron=patron,
            returned=day,
            note=sealed_text(cabinet, note, about(patron, day), "note", connection),
            photo=sealed_bytes(cabinet, note.encode()[::-1], about(patron, day), "photo", connection),
            card=cabinet.blind(card or patron, about(patron, day), "card", connection),
        )
    )
    session.flush()


def destroy_cohorts(keys: KeyStore, period: str | None = None) -> None:
    with keys.gate(at=NOW) as writing:
        ids = [one.id for one in keys.cohorts("files", "loans") if period in (None, one.period)]
        assert ids
        writing.destroy(ids, witness="a test")
        writing.commit()


def test_values_stand_sealed_in_the_table_and_come_back_opened(cabinet: Cabinet, database: Database) -> None:
    with Session(database.engine) as session:
        lend(session, cabinet, 1, "4711", "owes a grudge — às 7h")
        session.add(Loan(id=2, patron="4712", returned=MARCH, note=None, photo=None, card=None))
        session.commit()
    assert "grudge" not in str(database.rows("SELECT note, photo FROM loan"))
    with Session(database.engine) as session:
        loan = session.get_one(Loan, 1)
        assert loan.note == "owes a grudge — às 7h"
        assert loan.photo == "owes a grudge — às 7h".encode()[::-1]
        empty = session.get_one(Loan, 2)
        assert (empty.note, empty.photo, empty.card) == (None, None, None)


def test_one_key_serves_a_patron_and_a_period(cabinet: Cabinet, database: Database, keys: KeyStore) -> None:
    with Session(database.engine) as session:
        for id, (patron, day) in enumerate([("a", MARCH), ("a", MARCH), ("b", MARCH), ("a", MAY)], 1):
            lend(session, cabinet, id, patron, "note", day=day)
        session.commit()
    ids = [from_text(row[0]).id for row in database.rows("SELECT note FROM loan ORDER BY id")]  # type: ignore[union-attr]  # they are tokens
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert {one.period for one in keys.cohorts("files", "loans")} == {"2026-03-31", "2026-05-31"}
    with database.engine.connect() as connection:
        assert sorted(cabinet.objects_of(Personal("a"), connection)) == sorted({ids[0], ids[3]})


def test_a_destroyed_period_reads_as_destroyed_and_the_others_open(
    cabinet: Cabinet, database: Database, keys: KeyStore
) -> None:
    with Session(database.engine) as session:
        lend(session, cabinet, 1, "a", "old", day=MARCH, card="9")
        lend(session, cabinet, 2, "a", "new", day=MAY, card="9")
        session.commit()
    destroy_cohorts(keys, "2026-03-31")
    cabinet.forget()
    with Session(database.engine) as session:
        gone = session.get_one(Loan, 1)
        assert gone.note is DESTROYED
        assert gone.photo is DESTROYED
        assert not gone.note
        assert session.get_one(Loan, 2).note == "new"
        # The blind index died with the period: nobody can compute what the old row stands under.
        found = session.scalars(
            sa.select(Loan).where(matching(Loan.card, cabinet, "9", "card", session.connection()))
        )
        assert [loan.id for loan in found] == [2]


def test_a_late_value_of_a_destroyed_period_gets_a_living_key(
    cabinet: Cabinet, database: Database, keys: KeyStore
) -> None:
    with Session(database.engine) as session:
        lend(session, cabinet, 1, "a", "old")
        session.commit()
    destroy_cohorts(keys)  # the cabinet still has the keys in memory
    with Session(database.engine) as session:
        lend(session, cabinet, 2, "a", "late")
        session.commit()
    cabinet.forget()
    with Session(database.engine) as session:
        assert session.get_one(Loan, 1).note is DESTROYED
        assert session.get_one(Loan, 2).note == "late"


def test_a_key_in_memory_is_forgotten_after_its_time(
    cabinet: Cabinet, database: Database, keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session(database.engine) as session:
        lend(session, cabinet, 1, "a", "old")
        session.commit()
        token = from_text(database.one("SELECT note FROM loan"))
    assert token is not None
    destroy_cohorts(keys)
    assert cabinet.open(token, "note") == b"old"
    later = time.monotonic() + 3600
    monkeypatch.setattr("storage.sealed.columns_keys.time.monotonic", lambda: later)
    with pytest.raises(KeyDestroyed):
        cabinet.open(token, "note")


def test_a_blind_index_finds_equal_values_in_every_living_period(
    cabinet: Cabinet, database: Database
) -> None:
    with Session(database.engine) as session:
        lend(session, cabinet, 1, "a", "x", day=MARCH, card="29400")
        lend(session, cabinet, 2, "b", "y", day=MAY, card="29400")
        lend(session, cabinet, 3, "c", "z", day=MAY, card="29401")
        session.commit()
        found = session.scalars(
            sa.select(Loan.id).where(matching(Loan.card, cabinet, "29400", "card", session.connection()))
        )
        assert sorted(found) == [1, 2]
        tags = [row[0] for row in database.rows("SELECT card FROM loan ORDER BY id")]
    assert len(set(tags)) == 3
    assert all(len(tag) == 64 for tag in tags)


def test_a_value_that_stood_in_the_clear_has_an_object_of_its_own(
    cabinet: Cabinet, database: Database, keys: KeyStore
) -> None:
    since = datetime(2026, 3, 2, tzinfo=UTC)
    with database.engine.begin() as connection:
        born = cabinet.seal(b"x", about("a"), "note", connection)
        before = cabinet.seal(b"x", replace(about("a"), plaintext_since=since), "note", connection)
    assert born.id != before.id
    assert keys.object(born.id).plaintext_since is None
    assert keys.object(before.id).plaintext_since == since
    assert sum(one.unsealed_before for one in keys.cohorts("files", "loans")) == 1


def test_an_object_is_as_young_as_the_last_value_of_its_period_may_be(
    keys: KeyStore, database: Database
) -> None:
    yearly = Cabinet(keys, criteria(Period(years=3)), now=lambda: NOW)
    with database.engine.begin() as connection:
        yearly.directory.create(connection)
        token = yearly.seal(b"x", about("a", date(2026, 3, 2)), "note", connection)
        assert yearly.seal(b"y", about("a", date(2026, 3, 31)), "note", connection).id == token.id
    one = keys.object(token.id)
    assert (one.period, one.trigger) == ("2029-03", date(2026, 3, 31))


def test_plain_values_are_refused_and_unsealed_ones_can_still_be_read(
    cabinet: Cabinet, database: Database
) -> None:
    with Session(database.engine) as session:
        session.add(Loan(id=1, patron="a", returned=MARCH, note="plain", photo=None, card=None))
        with pytest.raises((UsageError, sa.exc.StatementError), match="a plain value was given"):
            session.flush()
        session.rollback()
        session.add(Loan(id=1, patron="a", returned=MARCH, note=None, photo=None, card="plain"))
        with pytest.raises((UsageError, sa.exc.StatementError), match="a plain value was given"):
            session.flush()
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO loan (id, patron, returned, note) VALUES (7, 'a', '2026-03-01', 'as before')"
        )
    with Session(database.engine) as session:
        assert session.get_one(Loan, 7).note == "as before"


@pytest.mark.postgresql
def test_two_writers_of_one_patron_agree_on_one_object(keys: KeyStore, postgresql_database: Database) -> None:
    """The slower one finds the faster one's row, and gives its own key up."""
    cabinet = Cabinet(keys, criteria(), now=lambda: NOW)
    with postgresql_database.engine.begin() as connection:
        cabinet.directory.create(connection)
    genuine, once = cabinet.directory.find, []

    def blind_once(connection: sa.Connection, tag: str) -> str | None:
        found = genuine(connection, tag)
        if tag in once or tag.startswith("index"):
            return found
        once.append(tag)
        return None

    with postgresql_database.engine.begin() as connection:
        first = cabinet.seal(b"x", about("a"), "note", connection)
        cabinet.directory.find = blind_once  # type: ignore[method-assign]  # as if the other had not committed yet
        second = cabinet.seal(b"y", about("a"), "note", connection)
    assert first.id == second.id
    states = sorted(one.state for one in keys.objects(record_type="files", location="loans"))
    assert states.count(ObjectState.DESTROYED) == 1
    assert cabinet.open(second, "note") == b"y"


def test_a_cabinet_is_refused_where_nothing_is_sealed(keys: KeyStore) -> None:
    whole = criteria()
    purged = replace(whole, record_type=replace(whole.record_type, disposition=Disposition.PURGE))
    with pytest.raises(ScheduleInvalid, match="no sealed columns"):
        Cabinet(keys, purged, now=lambda: NOW)


ID = "00112233aabbccdd"


@given(plain=st.binary(max_size=200), row=st.sampled_from(["", "7", "ü"]))
def test_any_value_comes_back_from_both_forms(plain: bytes, row: str) -> None:
    with SecretKey(bytes(range(32))) as key:
        place = Place("loan", "note", row)
        token = seal(plain, key, ID, place)
        assert from_text(to_text(token)) == token
        assert from_bytes(to_bytes(token)) == token
        assert open_(token, key, place) == plain


@pytest.mark.parametrize(
    "place",
    [
        Place("loan", "photo", "7"),
        Place("bill", "note", "7"),
        Place("loan", "note", "8"),
        Place("loann", "ote", "7"),
    ],
)
def test_a_value_moved_elsewhere_does_not_open(place: Place) -> None:
    with SecretKey(bytes(range(32))) as key:
        token = seal(b"owes", key, ID, Place("loan", "note", "7"))
        with pytest.raises(SealedUnreadable, match=ID):
            open_(token, key, place)
        with pytest.raises(SealedUnreadable):
            open_(token._replace(id="ffffffffffffffff"), key, Place("loan", "note", "7"))
        with pytest.raises(SealedUnreadable):
            open_(token._replace(bound=False), key, Place("loan", "note", "7"))


@given(text=st.text(max_size=80))
def test_text_that_is_no_sealed_value_is_not_taken_for_one(text: str) -> None:
    assert from_text(text) is None
    assert from_bytes(text.encode()) is None


def test_values_and_cabinets_are_told_by_nothing_printed(cabinet: Cabinet) -> None:
    assert "4711" not in repr(about("4711"))
    assert repr(DESTROYED) == "DESTROYED"
    assert Blind("ab") != Blind("cd")
