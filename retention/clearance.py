"""Whether a case may be carried out: the right people, four eyes, cooling-off over, nothing voided since. Pure.

Facts in, a verdict out; who signed what was verified before (`retention.approval`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dateutil.relativedelta import relativedelta

from retention.schedule import ApprovalKind, Period

PEOPLE_NEEDED = {ApprovalKind.STANDING: 0, ApprovalKind.CUSTODIAN: 1, ApprovalKind.TWO_PERSON: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """One verified approval by a custodian, with the ledger's ``id`` of it. ``epoch``: hold epoch when it was given; ``lifts``: names of the brakes it lifts."""

    id: int
    person: str
    manifest_digest: str
    schedule_digest: str
    epoch: int
    lifts: frozenset[str]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """``ready``, or why not: ``missing`` approvals, ``void`` ones, brakes still on, or cooling-off until ``not_before``."""

    ready: bool
    missing: int = 0
    void: tuple[str, ...] = ()
    braked: bool = False
    not_before: datetime | None = None
    counted: tuple[int, ...] = ()
    """Ids of the approvals that count, one per person."""

    @property
    def reason(self) -> str:
        """One line for a person; "" when ready."""
        if self.ready:
            return ""
        if self.braked:
            return "a brake stopped it: a custodian has to look and lift it"
        if self.missing:
            people = (
                "1 approval" if self.missing == 1 else f"{self.missing} approvals by different custodians"
            )
            voided = (
                f" ({len(self.void)} given earlier no longer count: a hold or the manifest changed)"
                if self.void
                else ""
            )
            return f"it waits for {people}{voided}"
        return f"it is cooling off until {self.not_before:%Y-%m-%d %H:%M %Z}"


def clear(
    *,
    kind: ApprovalKind,
    cooling_off: Period,
    opened_at: datetime,
    manifest_digest: str,
    schedule_digest: str,
    brakes: Iterable[str],
    approvals: Iterable[Approved],
    holds_changed: int,
    now: datetime,
) -> Clearance:
    """Decide. ``brakes``: names of the limits the case exceeds. ``holds_changed``: highest epoch of a hold that touches the case; approvals given before it are void."""
    approvals = tuple(approvals)
    on = frozenset(brakes)
    valid: dict[str, Approved] = {}
    for approval in approvals:
        bound = approval.manifest_digest == manifest_digest and approval.schedule_digest == schedule_digest
        if bound and approval.epoch >= holds_changed:
            earlier = valid.get(approval.person)
            if earlier is None or (on.issubset(approval.lifts) and not on.issubset(earlier.lifts)):
                valid[approval.person] = approval
    void = tuple(sorted({approval.person for approval in approvals} - valid.keys()))
    needed = PEOPLE_NEEDED[kind]
    if on:
        lifting = {person: approval for person, approval in valid.items() if on.issubset(approval.lifts)}
        if len(lifting) < max(needed, 1):
            return Clearance(ready=False, braked=True, missing=max(needed, 1) - len(lifting), void=void)
        valid = lifting
        needed = max(needed, 1)
    if len(valid) < needed:
        return Clearance(ready=False, missing=needed - len(valid), void=void)
    counted_from = sorted(approval.at for approval in valid.values())[needed - 1] if needed else opened_at
    not_before = counted_from + relativedelta(
        years=cooling_off.years, months=cooling_off.months, days=cooling_off.days
    )
    if now < not_before:
        return Clearance(ready=False, not_before=not_before, void=void)
    return Clearance(ready=True, void=void, counted=tuple(sorted(approval.id for approval in valid.values())))
