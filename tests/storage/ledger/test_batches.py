"""Intents and outcomes: an outcome follows from what was staged, once; and nothing is destroyed that was not chosen."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from retention.errors import Refused, UsageError, VerificationFailed
from storage.ledger.batches import Range
from storage.ledger.ledger import Ledger
from tests.storage.desk import LEAF, NOW, begun, concluded, intended


def test_an_intent_is_open_until_it_has_its_outcome(ledger: Ledger) -> None:
    case, lease = begun(ledger, items=6)
    first = intended(ledger, case, lease, staged="CWA")
    second = intended(ledger, case, lease, where=Range(part=0, offset=9, first=3, items=3))
    assert [found.id for found in ledger.batches.open_intents()] == [first, second]
    concluded(ledger, case, lease, first, codes="DWA")
    (left,) = ledger.batches.open_intents(case.id)
    assert (left.id, left.staged, left.witness, left.range.offset) == (second, "CCC", "7", 9)
    (done,) = ledger.batches.settled(case.id, with_leaves=True)
    assert (done.codes, done.leaves, done.range.items) == ("DWA", LEAF * 3, 3)
    assert ledger.batches.open_intents("C1") == []


def test_concluded_batches_come_oldest_first_and_whole_however_many_are_read_at_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.ledger.batches.READ_AT_ONCE", 2)
    case, lease = begun(ledger, items=15)
    places = [Range(part=0, offset=3 * number, first=3 * number, items=3) for number in (4, 0, 3, 1, 2)]
    intents = [intended(ledger, case, lease, where=where) for where in places]
    for intent in reversed(intents):
        concluded(ledger, case, lease, intent, codes="DDD")
    assert [batch.range for batch in ledger.batches.settled(case.id)] == places
    assert [batch.leaves for batch in ledger.batches.settled(case.id, with_leaves=True)] == [LEAF * 3] * 5


def test_the_leaves_of_a_case_are_never_sorted_by_the_database(sqlite_ledger: Ledger) -> None:
    """SQLite sorts whole rows in memory: that would be all leaves of ten million records at once."""
    case, lease = begun(sqlite_ledger)
    concluded(sqlite_ledger, case, lease, intended(sqlite_ledger, case, lease), codes="DDD")
    asked: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", listen)
    try:
        assert len(list(sqlite_ledger.batches.settled(case.id, with_leaves=True))) == 1
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", listen)
    with_leaves = [(statement, parameters) for statement, parameters in asked if "leaves" in statement]
    assert with_leaves
    assert sqlite_ledger.connection.path is not None
    with sqlite3.connect(sqlite_ledger.connection.path) as connection:
        for statement, parameters in with_leaves:
            steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert not any("TEMP B-TREE" in step for step in steps), steps


def test_an_outcome_is_written_once(ledger: Ledger) -> None:
    case, lease = begun(ledger)
    intent = intended(ledger, case, lease)
    concluded(ledger, case, lease, intent, codes="DN-")
    with pytest.raises(Refused, match="has its outcome already"):
        concluded(ledger, case, lease, intent, codes="DDD")
    assert [found.codes for found in ledger.batches.settled(case.id)] == ["DN-"]


@pytest.mark.parametrize(
    ("staged", "codes"),
    [
        ("CWA", "DDA"),  # destroyed although withheld
        ("CWA", "DWD"),  # destroyed although it was already absent
        ("CW.", "DWD"),  # destroyed although of another batch
        ("CCC", "DD"),
        ("CCC", "DDDD"),
        ("CCC", "DDA"),  # absent is what was seen before, never after
        ("CCC", "DDW"),
        ("CCC", "DD."),
        ("CCC", "DDC"),
        ("CCC", "DDx"),
        ("CWA", "DW-"),
        ("CCC", ""),
    ],
)
def test_an_outcome_that_does_not_follow_from_what_was_staged_is_refused(
    sqlite_ledger: Ledger, staged: str, codes: str
) -> None:
    case, lease = begun(sqlite_ledger)
    intent = intended(sqlite_ledger, case, lease, staged=staged)
    with pytest.raises(VerificationFailed, match="do not follow"):
        concluded(sqlite_ledger, case, lease, intent, codes=codes)
    assert len(sqlite_ledger.batches.open_intents()) == 1


@pytest.mark.parametrize("leaves", [b"", LEAF, LEAF * 3, LEAF * 2 + b"l"])
def test_one_leaf_per_final_outcome(sqlite_ledger: Ledger, leaves: bytes) -> None:
    case, lease = begun(sqlite_ledger)
    intent = intended(sqlite_ledger, case, lease)
    with pytest.raises(VerificationFailed, match="do not follow"):
        sqlite_ledger.batches.conclude(
            case, intent, codes="DU-", leaves=leaves, settled=True, lease=lease, actor="test", at=NOW
        )


def test_an_outcome_belongs_to_a_batch_of_its_case(ledger: Ledger) -> None:
    case, lease = begun(ledger)
    with pytest.raises(VerificationFailed, match="has no batch"):
        concluded(ledger, case, lease, 77)
    intent = intended(ledger, case, lease)
    ledger.cases.release(lease, at=NOW)
    other, lease = begun(ledger)
    with pytest.raises(VerificationFailed, match="has no batch"):
        concluded(ledger, other, lease, intent)


def test_an_unknown_case_has_no_batches(ledger: Ledger) -> None:
    case, lease = begun(ledger)
    with pytest.raises(UsageError, match="no case"):
        intended(ledger, replace(case, id="C1"), lease)
