"""Sealed records through power cuts at every step of the night: nothing that must live is lost, nothing is final early, nothing certified opens."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

import storage.destroy
import storage.enforcing
from tests.reliability.sealed_world import SealedWorld
from tests.reliability.world import PATIENCE

CAMERAS = ("door", "stacks")
CHANGING = {
    "keys.reconcile", "ledger.cases.open", "ledger.cases.begin_destroying", "ledger.batches.intend", "writing.destroy",
    "writing.commit", "ledger.batches.conclude", "ledger.certificates.issue", "ledger.note", "keys.rotate",
}  # fmt: skip
"""Steps of a night after which something is not as before. Between them lie looks; the machine below cuts there, too."""


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.destroy, "BARRIER_SECONDS", PATIENCE)
    monkeypatch.setattr(storage.destroy, "PLACING_PATIENCE", 0.0)
    monkeypatch.setattr(storage.destroy, "STAGE_TRIES", 1)
    monkeypatch.setattr(storage.enforcing, "BARRIER_SECONDS", PATIENCE)


@cache
def empty() -> SealedWorld:
    """A vault with its tables, its root and two people, made once."""
    return SealedWorld(Path(tempfile.mkdtemp(prefix="retention-vault-")))


def library(folder: Path) -> SealedWorld:
    """Two cohorts that are due, one of them with a held clip in it, a young one, and a withdrawn clip."""
    world = empty().copied(folder)
    for days, camera in ((40, "door"), (40, "stacks"), (50, "door"), (3, "door"), (3, "door")):
        world.seal(days, camera)
    world.place("stacks")
    world.withdraw(list(world.book)[-1])
    return world


@pytest.mark.slow
def test_the_power_may_fail_before_and_after_every_step_of_the_night_that_changes_something(
    tmp_path: Path,
) -> None:
    begin = library(tmp_path / "begin")
    whole = begin.copied(tmp_path / "whole")
    assert whole.do(whole.night)
    changing = [number for number, name in enumerate(whole.last, 1) if name in CHANGING]
    assert {whole.last[number - 1] for number in changing} == CHANGING
    whole.vault.close()
    for step in sorted({*changing, *(number + 1 for number in changing)}):
        folder = tmp_path / str(step)
        world = begin.copied(folder)
        assert not world.do(world.night, step) or step > len(whole.last)
        world.check()
        world.finish()
        assert len(world.gone) == 3
        world.vault.close()
        shutil.rmtree(folder)


class SealedChokePoint(RuleBasedStateMachine):
    """Everything that can happen around sealed records."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="retention-machine-"))
        self.world = empty().copied(self._folder / "vault")

    @initialize(
        clips=st.lists(
            st.tuples(st.sampled_from((3, 29, 31, 40)), st.sampled_from(CAMERAS)), min_size=2, max_size=6
        )
    )
    def a_library_with_clips(self, clips: list[tuple[int, str]]) -> None:
        for days, camera in clips:
            self.world.seal(days, camera)

    @rule(days=st.sampled_from((3, 29, 31, 40)), camera=st.sampled_from(CAMERAS))
    def a_clip_is_sealed(self, days: int, camera: str) -> None:
        self.world.seal(days, camera)

    @rule(days=st.sampled_from((1, 2, 30)))
    def time_passes(self, days: int) -> None:
        self.world.pass_days(days)

    @rule(camera=st.sampled_from(CAMERAS), cut=st.one_of(st.none(), st.integers(1, 12)))
    def a_hold_is_placed(self, camera: str, cut: int | None) -> None:
        self.world.do(lambda: self.world.place(camera), cut)

    @rule()
    def every_hold_is_released(self) -> None:
        self.world.release_all()

    @rule(pick=st.integers(0, 100))
    def a_clip_is_withdrawn(self, pick: int) -> None:
        self.world.withdraw(list(self.world.book)[pick % len(self.world.book)])

    @rule(cut=st.one_of(st.none(), st.integers(1, 60)))
    def the_night_comes(self, cut: int | None) -> None:
        self.world.do(self.world.night, cut)

    @invariant()
    def nothing_held_or_undue_is_destroyed_and_nothing_is_claimed_that_did_not_happen(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self.world.finish()
        finally:
            self.world.vault.close()
            shutil.rmtree(self._folder, ignore_errors=True)


@pytest.mark.slow
def test_whatever_happens_around_sealed_records_what_must_live_opens_and_what_is_certified_does_not() -> None:
    run_state_machine_as_test(
        SealedChokePoint,
        settings=settings(
            max_examples=10,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
