"""Holds in the ledger: read in one snapshot, kept only while nothing changed, whoever else writes."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from retention.errors import Refused, UsageError
from retention.holds import HoldState, Scope
from retention.records import Personal
from storage.ledger.holds import Holds
from storage.ledger.ledger import Ledger
from storage.ledger.sealing import Sealer
from tests.storage.desk import MATTER, NOW, SEALING_KEY, SUBJECT, act, person, written_hold

SCOPE = Scope(
    record_types=frozenset({"loans"}),
    stores=frozenset({"ils"}),
    subjects=frozenset({Personal(SUBJECT), Personal("O'Brien")}),
    cameras=frozenset({"stacks"}),
    branches=frozenset({"east"}),
    since=NOW,
    until=NOW + timedelta(days=1, microseconds=5),
    margin_before=timedelta(minutes=90),
    margin_after=timedelta(seconds=0.25),
)


def ids(ledger: Ledger) -> list[str]:
    return sorted(hold.id for hold in ledger.holds.in_force().holds)


def test_a_hold_is_read_as_it_was_written(ledger: Ledger) -> None:
    director = person(ledger, "director")
    written_hold(ledger, director, scope=SCOPE)
    file = ledger.holds.get("H1")
    assert (file.scope, file.matter, file.sealed) == (SCOPE, MATTER, True)
    assert (file.state, file.placed_by, file.epoch) == (HoldState.PLACING, "director", 1)
    assert file.done_by("place") == ("director",)
    with pytest.raises(UsageError, match="no hold"):
        ledger.holds.get("H2")


def test_every_change_to_any_hold_advances_the_epoch(ledger: Ledger) -> None:
    director = person(ledger, "director")
    assert ledger.holds.epoch() == ledger.holds.in_force().epoch == 0
    file = written_hold(ledger, director)
    assert ledger.holds.in_force().placing
    for number, state in enumerate((HoldState.PROVISIONAL, HoldState.ACTIVE), start=2):
        file = ledger.holds.move(file, to=state, actor="director", at=NOW)
        assert ledger.holds.epoch() == ledger.holds.in_force().epoch == number
    assert not ledger.holds.in_force().placing
    assert file.epoch == 1, "approvals are void by what a hold covers, not by its way through the office"


def test_a_hold_is_moved_from_what_was_seen_or_not_at_all(ledger: Ledger) -> None:
    director = person(ledger, "director")
    placed = written_hold(ledger, director)
    ledger.holds.move(placed, to=HoldState.PROVISIONAL, actor="x", at=NOW)
    with pytest.raises(Refused, match="changed meanwhile"):
        ledger.holds.move(placed, to=HoldState.PROVISIONAL, actor="x", at=NOW)
    assert ledger.holds.epoch() == 2


def test_the_same_state_reached_again_is_not_what_was_seen(ledger: Ledger) -> None:
    director = person(ledger, "director")
    seen = ledger.holds.move(written_hold(ledger, director), to=HoldState.PROVISIONAL, actor="x", at=NOW)
    asked = ledger.holds.move(
        seen, to=HoldState.RELEASE_REQUESTED, actor="x", at=NOW, action=act(director, "request-release")
    )
    cancelled = ledger.holds.move(
        asked, to=HoldState.PROVISIONAL, actor="x", at=NOW, action=act(director, "cancel-release")
    )
    ledger.holds.move(
        cancelled, to=HoldState.RELEASE_REQUESTED, actor="x", at=NOW, action=act(director, "request-release")
    )
    with pytest.raises(Refused, match="changed meanwhile"):
        ledger.holds.move(asked, to=HoldState.IN_GRACE, actor="x", at=NOW, grace_until=NOW)


def test_a_hold_written_by_another_process_is_seen_at_once(ledger: Ledger, ledger_url: str) -> None:
    other = Ledger(ledger_url, SEALING_KEY)
    director = person(ledger, "director")
    for number in range(5):
        assert len(ids(ledger)) == len(ids(other)) == number
        written_hold((ledger, other)[number % 2], director, f"H{number}")
    other.close()


@contextmanager
def between_the_reads(ledger: Ledger, action: Any) -> Iterator[None]:
    """Do it after the epoch was read and before the rows are."""
    done = threading.Event()

    def interrupt(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if "FROM hold" in statement and "hold_action" not in statement and not done.is_set():
            done.set()
            action()

    event.listen(ledger.connection.engine, "before_cursor_execute", interrupt)
    yield
    event.remove(ledger.connection.engine, "before_cursor_execute", interrupt)
    assert done.is_set()


def test_epoch_and_holds_are_of_one_moment(ledger: Ledger, ledger_url: str) -> None:
    """A hold placed between the two reads belongs to neither; the next reading has both."""
    other = Ledger(ledger_url, SEALING_KEY)
    director = person(ledger, "director")
    written_hold(ledger, director, "H1")
    with between_the_reads(ledger, lambda: written_hold(other, director, "H2")):
        view = ledger.holds.in_force()
    assert (view.epoch, [hold.id for hold in view.holds]) == (1, ["H1"])
    again = ledger.holds.in_force()
    assert (again.epoch, sorted(hold.id for hold in again.holds)) == (2, ["H1", "H2"])
    other.close()


def test_a_reader_that_was_overtaken_does_not_bring_old_holds_back(ledger: Ledger, ledger_url: str) -> None:
    other = Ledger(ledger_url, SEALING_KEY)
    director = person(ledger, "director")

    def overtake() -> None:
        written_hold(other, director, "H1")
        assert ids(ledger) == ["H1"]

    with between_the_reads(ledger, overtake):
        assert ledger.holds.in_force().holds == ()
    assert ids(ledger) == ["H1"]
    other.close()


def test_a_hold_written_is_seen_by_every_reading_that_begins_after_it(
    ledger: Ledger, ledger_url: str
) -> None:
    director = person(ledger, "director")
    other = Ledger(ledger_url, SEALING_KEY)
    written: list[str] = []
    stop = threading.Event()

    def read() -> int:
        readings = 0
        while not stop.is_set():
            known = set(written)
            assert known <= set(ids(ledger))
            readings += 1
        return readings

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for number in range(25):
                written_hold(other, director, f"H{number}")
                written.append(f"H{number}")
        finally:
            stop.set()
        assert all(reader.result() for reader in readers)
    other.close()


def test_a_ledger_restored_under_a_running_process_is_read_anew(tmp_path: Path) -> None:
    """The restored ledger counts the same epochs again; what was read before must not pass for what is in force now."""
    made = Ledger(f"sqlite:///{tmp_path / 'old.db'}", SEALING_KEY)
    made.connection.upgrade()
    director = person(made, "director")
    made.close()
    for name in ("before.db", "after.db"):
        shutil.copy(tmp_path / "old.db", tmp_path / name)
    before = Ledger(f"sqlite:///{tmp_path / 'before.db'}", SEALING_KEY)
    after = Ledger(f"sqlite:///{tmp_path / 'after.db'}", SEALING_KEY)
    written_hold(before, director, "H1")
    written_hold(after, director, "H2", at=NOW + timedelta(seconds=1))
    running = Holds(before.connection, Sealer(SEALING_KEY))
    assert [hold.id for hold in running.in_force().holds] == ["H1"]
    running._db = after.connection
    assert [hold.id for hold in running.in_force().holds] == ["H2"]
    before.close()
    after.close()


def test_what_did_not_change_is_not_opened_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    written_hold(ledger, person(ledger, "director"))
    view = ledger.holds.in_force()
    opened: list[object] = []
    monkeypatch.setattr(Sealer, "open", lambda *given: opened.append(given))
    assert ledger.holds.in_force() is view
    assert opened == []


def test_the_list_of_holds_has_each_as_it_is_alone(ledger: Ledger) -> None:
    director = person(ledger, "director")
    written_hold(ledger, director, "H0", state=HoldState.REQUESTED)
    for number in (1, 2):
        written_hold(ledger, director, f"H{number}", at=NOW + timedelta(minutes=number))
    moved = ledger.holds.get("H1")
    moved = ledger.holds.move(moved, to=HoldState.PROVISIONAL, actor="x", at=NOW, action=act(director, "narrow"),
                              revised=replace(moved, scope=SCOPE))  # fmt: skip
    ended = ledger.holds.move(ledger.holds.get("H0"), to=HoldState.DECLINED, actor="x", at=NOW)
    newest = ledger.holds.get("H2")
    assert ledger.holds.list() == [newest, moved]
    assert ledger.holds.list(released=True) == [*ledger.holds.every()] == [newest, moved, ended]


def test_a_view_says_when_what_it_keeps_of_some_records_last_changed(ledger: Ledger) -> None:
    director = person(ledger, "director")
    scope = Scope(record_types=frozenset({"loans"}))
    assert ledger.holds.in_force().changed("loans", frozenset({"ils"})) == 0
    written_hold(ledger, director, "H1", scope)
    assert ledger.holds.in_force().changed("loans", frozenset({"ils"})) == 0, "a sealed one would show"
    sealed = ledger.holds.get("H1")
    ledger.holds.add(replace(sealed, id="H2", sealed=False), act(director, "again"), at=NOW)
    view = ledger.holds.in_force()
    assert view.changed("loans", frozenset({"ils"})) == ledger.holds.epoch() == 2
    assert view.changed("footage", frozenset({"cameras"})) == 0
    ledger.holds.add(replace(sealed, id="H3", sealed=False), act(director, "third"), at=NOW)
    assert ledger.holds.in_force().changed("loans", frozenset({"ils"})) == 3
    assert view.changed("loans", frozenset({"ils"})) == 2, "a view is of its moment"


def test_a_hold_touches_only_what_its_scope_can_match(ledger: Ledger) -> None:
    written_hold(ledger, person(ledger, "director"), scope=SCOPE)
    view = ledger.holds.in_force()
    assert len(view.touching("loans", "ils")) == 1
    assert view.touching("loans", "kiosk") == view.touching("requests", "ils") == ()
