"""Copies of rows in the vault: whole or not there at any step at which the power may go, and never written twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from retention.errors import StoreUnavailable
from retention.holds import Hold, HoldState, Scope
from storage.files import row_vault, vault
from tests.simulator.power import Power, PowerCut

NOW = datetime(2026, 3, 1, 14, tzinfo=UTC)
BELOW = "ils/loans/loans"
COPIES: list[list[bytes]] = [[b"one\n", b"two\n"], [b"three\n"]]


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    root = tmp_path / "evidence"
    assert vault.make(root, BELOW)
    return root


def keep(evidence: Path, copies: Sequence[Sequence[bytes]] = COPIES) -> int:
    return row_vault.keep(lambda holds: copies, (), vault=evidence, below=BELOW, now=NOW)


def contents(evidence: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in (evidence / BELOW).rglob("*.jsonl"))


def test_copies_are_written_once_and_a_new_one_beside_them(evidence: Path) -> None:
    assert (keep(evidence), keep(evidence)) == (3, 0)
    assert keep(evidence, [[b"one\n", b"one, edited\n"]]) == 1
    assert contents(evidence) == [b"one\n", b"one, edited\n", b"three\n", b"two\n"]
    assert row_vault.examine(evidence) == row_vault.Condition(copies=4)


def test_names_tell_nothing_that_could_be_guessed_from_outside(evidence: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    vault.make(other, BELOW)
    keep(evidence)
    keep(other)
    one, another = ({path.name for path in (root / BELOW).rglob("*.jsonl")} for root in (evidence, other))
    assert one.isdisjoint(another)


STEPS = (
    (os, "fsync"),
    (os, "write"),
    (os, "utime"),
    (Path, "rename"),
    (Path, "chmod"),
    (Path, "mkdir"),
    (Path, "unlink"),
)


def test_the_power_may_go_at_any_step(evidence: Path, tmp_path: Path) -> None:
    steps = cut_off_at(evidence, 10_000)
    assert steps > 20
    for step in range(1, steps + 1):
        root = tmp_path / f"cut-{step}"
        vault.make(root, BELOW)
        cut_off_at(root, step)
        assert set(contents(root)) <= {b"one\n", b"two\n", b"three\n"}
        keep(root)
        assert contents(root) == [b"one\n", b"three\n", b"two\n"]
        assert row_vault.examine(root).sound
        assert row_vault.examine(root).copies == 3
        assert list((root / vault.UNFINISHED).iterdir()) == []


def cut_off_at(root: Path, step: int) -> int:
    """Keep until the power goes. How many steps there were until then."""
    power = Power()
    power.cut_at(step)
    with pytest.MonkeyPatch.context() as patch, suppress(PowerCut):
        for owner, name in STEPS:
            patch.setattr(owner, name, _stepping(getattr(owner, name), name, power))
        keep(root)
    return len(power.trace)


def _stepping(real: Callable[..., Any], name: str, power: Power) -> Callable[..., Any]:
    def step(*arguments: Any, **options: Any) -> Any:
        power.step(name)
        return real(*arguments, **options)

    return step


def test_a_disk_that_is_not_the_vault_is_not_written_to(evidence: Path) -> None:
    (evidence / vault.MARK).unlink()
    with pytest.raises(StoreUnavailable, match="the vault is not there"):
        keep(evidence)
    with pytest.raises(StoreUnavailable, match="the vault is not there"):
        keep(evidence, [])
    assert contents(evidence) == []


def test_what_goes_is_said_before_and_is_not_missed(evidence: Path) -> None:
    keep(evidence)
    gone, lost, _ = sorted((evidence / BELOW).rglob("*.jsonl"))
    vault.note_going(evidence, [str(gone.relative_to(evidence))])
    gone.unlink()
    assert row_vault.examine(evidence).sound
    lost.unlink()
    assert row_vault.examine(evidence) == row_vault.Condition(copies=2, missing=1)
    keep(evidence)
    assert row_vault.examine(evidence) == row_vault.Condition(copies=3)


def test_a_snapshot_is_copied_whole_once_and_again_when_it_was_widened(evidence: Path) -> None:
    continuing = Hold(id="c", state=HoldState.ACTIVE, scope=Scope(stores=frozenset({"ils"})))
    snapshot = replace(continuing, id="s", continuing=False, taken_at=NOW, epoch=3)
    asked: list[list[str]] = []

    def copies(holds: Sequence[Hold]) -> list[list[bytes]]:
        asked.append([hold.id for hold in holds])
        return COPIES

    def broken(holds: Sequence[Hold]) -> Iterator[list[bytes]]:
        asked.append([hold.id for hold in holds])
        yield COPIES[0]
        raise StoreUnavailable("the database went away")

    with pytest.raises(StoreUnavailable):
        row_vault.keep(broken, (continuing, snapshot), vault=evidence, below=BELOW, now=NOW)
    for held in (snapshot, snapshot, replace(snapshot, epoch=9), replace(snapshot, taken_at=None)):
        row_vault.keep(copies, (continuing, held), vault=evidence, below=BELOW, now=NOW)
    assert asked == [["c", "s"], ["c", "s"], ["c"], ["c", "s"], ["c", "s"]]
