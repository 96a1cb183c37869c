"""Whether what keeps nothing any more, or less than it did, was signed away: looked at by whoever destroys, and by the check of the ledger.

The pages' own role writes steps and versions of holds, and the database counts people without reading what they signed. So a hold
counts as released only when two different people signed for it whose roles let them, or when nobody ever confirmed it; and what a
hold keeps has to be what the last of its steps was signed over. Names no hold in any error: it may be a sealed one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from retention.errors import VerificationFailed
from retention.holds import HoldState
from retention.permissions import Act, may
from retention.signed import from_text
from retention.verify_signed import verify_signed
from storage.hold_steps import STATEMENT_TYPE
from storage.ledger.holds import HoldAction, HoldFile, HoldView
from storage.ledger.ledger import Ledger
from storage.signatures import key_of

_SETTING = frozenset({"place", "widen"})
"""Steps after which a snapshot is taken (anew)."""


class HoldProof:
    """Remembers what it has found to be in order. One for each process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._view: HoldView | None = None
        self._proven: set[tuple[object, ...]] = set()

    def require(self, view: HoldView, now: datetime) -> None:
        """``view``: the holds in force, as they were read just now. Raises `VerificationFailed`."""
        if view is not self._view:
            self.require_all(now)
            self._view = view

    def require_all(self, now: datetime) -> None:
        for file in self._ledger.holds.every():
            seen = (file.id, file.state, file.revision, len(file.actions), self._ledger.holds.mark(file))
            if seen in self._proven:
                continue
            if any(_problems(self._ledger, file, now)):
                raise VerificationFailed(
                    "a hold does not rest on what people signed: nothing is destroyed",
                    "compare the ledger with its backup; see also: retention db check",
                )
            self._proven.add(seen)


def _problems(ledger: Ledger, file: HoldFile, now: datetime) -> Iterator[str]:
    if file.state is HoldState.RELEASED:
        yield from _release_problems(ledger, file, now)
    elif file.state.keeps:
        yield from _scope_problems(ledger, file)


def _release_problems(ledger: Ledger, file: HoldFile, now: datetime) -> Iterator[str]:
    last = {step.action: (at, step) for at, step in enumerate(file.actions)}
    asked, approved, cancelled = (
        last.get(action) for action in ("request-release", "approve-release", "cancel-release")
    )
    if (
        asked is None
        or approved is None
        or approved[0] < max(asked[0], -1 if cancelled is None else cancelled[0])
    ):
        lapsed = file.provisional_until is not None and file.provisional_until <= now
        if file.sealed or file.done_by("confirm") or not lapsed:
            yield "it was released, and two people did not sign for that"
        return
    if asked[1].person == approved[1].person:
        yield "one person released it"
    for (at, step), act in ((asked, Act.PLACE_HOLD), (approved, Act.CONFIRM_HOLD)):
        yield from _step_problems(ledger, file, at, step)
        if not may(ledger.people.role_at(step.person, step.at), act):
            yield "somebody released it whose role did not let them"


def _scope_problems(ledger: Ledger, file: HoldFile) -> Iterator[str]:
    bound = ["body" in step.statement for step in file.actions]
    if not any(bound):
        return  # by a version that bound nothing
    if not all(bound[bound.index(True) :]):
        yield "a step of it says nothing of what it is about"
        return
    step = file.actions[-1]
    yield from _step_problems(ledger, file, len(file.actions) - 1, step)
    # When a snapshot was taken nobody signs: it is when every store had confirmed it, after it was placed or widened.
    if step.statement["body"] not in (
        ledger.holds.mark(file),
        ledger.holds.mark(replace(file, taken_at=None)),
    ):
        yield "it keeps something else than was signed"
    placed = max((one.at for one in file.actions if one.action in _SETTING), default=None)
    if file.taken_at is not None and (placed is None or file.taken_at < placed):
        yield "it was taken before it was placed"


def _step_problems(ledger: Ledger, file: HoldFile, at: int, step: HoldAction) -> Iterator[str]:
    person, said = ledger.people.get(step.person), dict(step.statement)
    signed = from_text(step.signature, person.public)
    verify_signed(
        signed, key_of(ledger, person, signed, step.at), said, what="the signature of a step of a hold"
    )
    told = said.get("type"), said.get("hold"), said.get("action"), said.get("person"), said.get("after", at)
    if told != (STATEMENT_TYPE, file.id, step.action, step.person, at):
        yield "a step of it is not what was signed"
