"""Decisions on a whole record type: a standing approval of its rule, and a disposition put off to a day. Pure.

A standing approval needs two people, ends by itself, and covers one rule exactly as it stands: any change of the record type in the
schedule leaves it without one. Facts in, a verdict out; who signed what was verified before (`storage.rulings`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import cast

from retention.document import JSON, write

TYPE = "https://retention.example/ruling/v1"


class RulingKind(StrEnum):
    EXTENDED = "extended"
    """No case of the record type before the day ``until``."""
    EXTENSION_CANCELLED = "extension-cancelled"
    PROPOSED = "standing-proposed"
    AGREED = "standing-agreed"
    REVOKED = "standing-revoked"
    """At once, by one person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulingStatement:
    """What is signed. ``rule``: digest of the record type as the schedule has it ("" where it does not matter)."""

    type: str
    record_type: str
    rule: str
    kind: RulingKind
    until: date | None
    person: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """One verified ruling. ``first``: whether the person's role then let them decide first, and not only second."""

    kind: RulingKind
    person: str
    rule: str
    until: date | None
    reason: str
    at: datetime
    first: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingApproval:
    """``agreed_by`` is ``None`` while the second person is missing."""

    rule: str
    proposed_by: str
    agreed_by: str | None
    until: date

    def covers(self, rule: str, on: date) -> bool:
        """Up to and on its last day."""
        return self.agreed_by is not None and bool(rule) and self.rule == rule and on <= self.until


def statement(
    *,
    record_type: str,
    rule: str,
    kind: RulingKind,
    until: date | None,
    person: str,
    reason: str,
    at: datetime,
) -> dict[str, JSON]:
    """The statement a person signs."""
    value = RulingStatement(
        type=TYPE,
        record_type=record_type,
        rule=rule,
        kind=kind,
        until=until,
        person=person,
        reason=reason,
        at=at,
    )
    return cast("dict[str, JSON]", write(value))


def extended_until(rulings: Iterable[Ruling], on: date) -> date | None:
    """The day to which the record type's disposition is put off; ``None`` when it is not (any more).

    What was signed last counts, wherever it stands in the list: its place can be changed, its moment cannot. Of what was signed in the
    same second, what stands last.
    """
    until: date | None = None
    last: datetime | None = None
    for ruling in rulings:
        if ruling.kind not in (RulingKind.EXTENDED, RulingKind.EXTENSION_CANCELLED) or not ruling.first:
            continue
        signed = ruling.at.replace(microsecond=0)
        if last is None or signed >= last:
            until, last = (ruling.until if ruling.kind is RulingKind.EXTENDED else None), signed
    return until if until is not None and on < until else None


def standing_approvals(rulings: Iterable[Ruling]) -> tuple[StandingApproval | None, StandingApproval | None]:
    """The one agreed upon last and the one that waits for a second person. Both end when somebody revokes.

    What was signed before that, or in that very second, counts no more wherever it stands in the list: its place can be changed, its
    moment cannot.
    """
    agreed: StandingApproval | None = None
    waiting: StandingApproval | None = None
    revoked: datetime | None = None
    for ruling in rulings:
        signed = ruling.at.replace(microsecond=0)
        if ruling.kind is RulingKind.REVOKED:
            agreed = waiting = None
            revoked = signed if revoked is None else max(revoked, signed)
        elif revoked is not None and signed <= revoked:
            continue
        elif ruling.kind is RulingKind.PROPOSED and ruling.first and ruling.until is not None:
            waiting = StandingApproval(
                rule=ruling.rule, proposed_by=ruling.person, agreed_by=None, until=ruling.until
            )
        elif ruling.kind is RulingKind.AGREED and waiting is not None and _agrees(ruling, waiting):
            agreed = StandingApproval(
                rule=waiting.rule,
                proposed_by=waiting.proposed_by,
                agreed_by=ruling.person,
                until=waiting.until,
            )
            waiting = None
    return agreed, waiting


def _agrees(ruling: Ruling, waiting: StandingApproval) -> bool:
    same = (ruling.rule, ruling.until) == (waiting.rule, waiting.until)
    return same and ruling.person != waiting.proposed_by
