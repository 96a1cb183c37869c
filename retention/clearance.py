"""Whether a case may be carried out: the right people, four eyes, cooling-off over, nothing voided since. Pure.

Facts in, a verdict out; who signed what was verified before (`retention.approval`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from dateutil.relativedelta import relativedelta

from retention.schedule import ApprovalKind, Period

UNRULED = "no standing approval of its rule is in force: two people have to give one"
PEOPLE_NEEDED = {ApprovalKind.STANDING: 0, ApprovalKind.CUSTODIAN: 1, ApprovalKind.TWO_PERSON: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a site asks for beyond its schedule. ``standing``: rules with ``approval = "standing"`` need a standing approval by two
    people; ``ethics``: who approves has acknowledged the code of ethics this year."""

    standing: bool = False
    ethics: bool = False


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
    first: bool = True
    """Whether it may stand alone or be the first of two; a second custodian's may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """``ready``, or why not: ``missing`` approvals, ``void`` ones, brakes still on, or cooling-off until ``not_before``."""

    ready: bool
    missing: int = 0
    void: tuple[str, ...] = ()
    braked: bool = False
    not_before: datetime | None = None
    unruled: bool = False
    """It rests on a standing approval of the rule, and none is in force."""
    extended: date | None = None
    """Its disposition was put off to that day."""
    counted: tuple[int, ...] = ()
    """Ids of the approvals that count, one per person."""

    @property
    def reason(self) -> str:
        """One line for a person; "" when ready."""
        if self.ready:
            return ""
        if self.extended is not None:
            return f"its disposition was put off to {self.extended}"
        if self.unruled:
            return UNRULED
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

    @property
    def cooling_until(self) -> datetime | None:
        """The moment that it waits for, when it waits for nothing else."""
        other = self.ready or self.extended is not None or self.unruled or self.braked or self.missing > 0
        return None if other else self.not_before


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
    opened_by: str = "",
    unruled: bool = False,
    extended: date | None = None,
) -> Clearance:
    """Decide. ``brakes``: names of the limits the case exceeds. ``holds_changed``: highest epoch at which a hold that touches the
    case or an exception from it came; approvals given before it are void. ``opened_by``: who opened the case does not approve it.
    ``unruled``: a standing approval of the rule is needed and missing. ``extended``: the day to which it was put off."""
    approvals = tuple(approval for approval in approvals if approval.person != opened_by)
    if extended is not None:
        return Clearance(ready=False, extended=extended)
    if unruled and kind is ApprovalKind.STANDING:
        return Clearance(ready=False, unruled=True)
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
        needed = max(needed, 1)
        if missing := _missing(needed, lifting.values()):
            return Clearance(ready=False, braked=True, missing=missing, void=void)
        valid = lifting
    if missing := _missing(needed, valid.values()):
        return Clearance(ready=False, missing=missing, void=void)
    counted_from = _complete_since(needed, valid.values()) if needed else opened_at
    not_before = counted_from + relativedelta(
        years=cooling_off.years, months=cooling_off.months, days=cooling_off.days
    )
    if now < not_before:
        return Clearance(ready=False, not_before=not_before, void=void)
    return Clearance(ready=True, void=void, counted=tuple(sorted(approval.id for approval in valid.values())))


def _missing(needed: int, valid: Collection[Approved]) -> int:
    """How many people are missing, one of them at least a custodian who may be the first."""
    without_first = needed > 0 and not any(approval.first for approval in valid)
    return max(needed - len(valid), int(without_first))


def _complete_since(needed: int, valid: Collection[Approved]) -> datetime:
    """When the last person came without whom it would not have been enough."""
    by_time = sorted(approval.at for approval in valid)
    return max(by_time[needed - 1], min(approval.at for approval in valid if approval.first))
