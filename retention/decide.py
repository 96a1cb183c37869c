"""Decide: is this record due on that day? One function answers `explain`, the dry run, the public schedule and the destroyer.

Pure. Nothing is vacuously true: whatever is missing, unclear or contradictory keeps the record and says why.
`storage.sql.predicate` compiles the same decision to SQL; a property test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from operator import itemgetter
from typing import Protocol

from retention import dates
from retention.evaluate import evaluate
from retention.holds import Hold
from retention.records import Record
from retention.schedule import Cutoff, Library, Period, RecordType, Rule, TableLocation, TreeLocation


class KeepReason(StrEnum):
    """Why a record stays, in order of precedence: the first that applies is the *primary* reason.

    Members of `CANNOT_DECIDE` are listed to a person instead of being passed over in silence.
    """

    UNDECIDABLE = "undecidable"
    """The store could not make sense of it: impossible name, symbolic link, several hard links."""
    HELD = "held"
    DONE = "done"
    """Already de-identified."""
    NOT_IN_EFFECT = "not-in-effect"
    """The rule is not in effect on that day."""
    OPEN = "open"
    """The closing event has not happened yet."""
    NO_TRIGGER = "no-trigger"
    """The trigger date is missing."""
    BLOCKED = "blocked"
    """An open obligation: open loan, unpaid bill, unresolved incident."""
    UNCLEAR = "unclear"
    """A condition came out unknown (a column it needs is empty)."""
    UNSCHEDULED = "unscheduled"
    """No rule of the record type applies to it."""
    NOT_YET = "not-yet"
    """The minimum is not over."""
    CONSENT = "consent"
    """The person agreed to keep it until its maximum."""
    NOT_ELIGIBLE = "not-eligible"
    """Generic: says nothing about why. Only where nothing else keeps it, so that no reason that people expect is missing."""


CANNOT_DECIDE = frozenset(
    {KeepReason.UNDECIDABLE, KeepReason.NO_TRIGGER, KeepReason.UNCLEAR, KeepReason.UNSCHEDULED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """The record stays. ``reasons`` in order of precedence, never empty; ``until``: last day it must be kept, if known.

    ``holds``: ids of the (not sealed) holds that keep it. ``detail``: names from the schedule (relation, rule), no data.
    """

    reasons: tuple[KeepReason, ...]
    until: date | None = None
    holds: tuple[str, ...] = ()
    detail: tuple[str, ...] = ()

    @property
    def primary(self) -> KeepReason:
        return self.reasons[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The record is to be destroyed. ``since``: first day it was eligible; ``maximum``: last day it may live, if any."""

    since: date
    rules: tuple[str, ...]
    maximum: date | None = None

    def days_past_maximum(self, on: date) -> int:
        """Days by which its destruction is late on that day; 0 when in time."""
        return 0 if self.maximum is None else max(0, (on - self.maximum).days)


Decision = Keep | Due


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """The question that is asked of every record of a location: which rules, on which day.

    A case freezes it; whatever is asked again later under the same criteria can only shrink.
    """

    record_type: RecordType
    location: TableLocation | TreeLocation
    library: Library
    on: date

    @cached_property
    def in_effect(self) -> bool:
        starts, ends = self.record_type.effective_from, self.record_type.effective_until
        return starts <= self.on and (ends is None or self.on <= ends)

    def minimum_boundary(self, rule: Rule) -> dates.Boundary:
        """Records triggered before this boundary are past the rule's minimum."""
        return self._boundary(rule.minimum)

    def maximum_boundary(self, rule: Rule) -> dates.Boundary | None:
        """Records triggered before this boundary are past the rule's maximum; ``None`` without a maximum."""
        if rule.maximum is None:
            return None
        return self._boundary(rule.maximum)

    def last_day(self, day: date, period: Period) -> date:
        """The last day that a record triggered on ``day`` must be kept under the period."""
        known = self._last_days.get((day, period))
        if known is None:
            known = dates.due_day(day, period, self.record_type.cutoff, self.library)
            self._last_days[day, period] = known
        return known

    def _boundary(self, period: Period) -> dates.Boundary:
        known = self._boundaries.get(period)
        if known is None:
            known = dates.boundary(period, self.record_type.cutoff, self.on, self.library)
            self._boundaries[period] = known
        return known

    # Asked once per record; without these a third of a decision's time goes into looking the same answers up.
    @cached_property
    def _boundaries(self) -> dict[Period, dates.Boundary]:
        return {}

    @cached_property
    def _last_days(self) -> dict[tuple[date, Period], date]:
        return {}


def holds_on(
    record: Record, location: TableLocation | TreeLocation, holds: Iterable[Hold]
) -> tuple[Hold, ...]:
    """The holds that keep this record. Unknown counts as a match; see `matches`."""
    return tuple(hold for hold in holds if hold.state.keeps and matches(hold, record, location))


class Tied(Protocol):
    """What a hold must know of a location: how its records are tied to a patron (`retention.schedule.Location`)."""

    @property
    def subject(self) -> str: ...


def matches(hold: Hold, record: Record, location: Tied) -> bool:
    """Whether the hold's scope covers the record.

    A record that names nobody (`subject` empty at a location that ties records to patrons) is known not to be about the
    subject. A location that cannot tell whom its records are about is kept by every hold on a subject; the same for branches.
    """
    scope = hold.scope
    if not scope.touches(record.record_type, record.store):
        return False
    if record.kept_by is not None:
        return hold.id in record.kept_by
    if hold.existing_by is not None and record.created is not None and record.created > hold.existing_by:
        return False
    if scope.subjects and not _about(record, location, hold):
        return False
    if scope.cameras and record.camera not in scope.cameras:
        return False
    if scope.branches and record.branch is not None and record.branch not in scope.branches:
        return False
    return record.span.overlaps(scope.span)


def _about(record: Record, location: Tied, hold: Hold) -> bool:
    if location.subject == "none":
        return False
    if location.subject == "unknown":
        return True
    return record.subject is not None and record.subject in hold.scope.subjects


def decide(record: Record, criteria: Criteria, holds: Iterable[Hold]) -> Decision:
    """Keep or due, with every reason that applies, in order of precedence; a sealed hold only where there is no other.

    Several rules on one record: the latest end of a minimum wins, as a date. Past its minimum a record goes, unless the
    person consented: then it goes after the maximum that applies (explicit over none, narrow over wide, then shortest).
    """
    if record.undecidable is not None:
        return Keep(reasons=(KeepReason.UNDECIDABLE,), detail=(record.undecidable,))
    reasons: list[KeepReason] = []
    detail: list[str] = []
    holding = holds_on(record, criteria.location, holds)
    if any(not hold.sealed for hold in holding):
        reasons.append(KeepReason.HELD)
    if record.done:
        reasons.append(KeepReason.DONE)
    if not criteria.in_effect:
        reasons.append(KeepReason.NOT_IN_EFFECT)
    if record.trigger is None:
        reasons.append(
            KeepReason.OPEN if criteria.record_type.cutoff is Cutoff.EVENT else KeepReason.NO_TRIGGER
        )
    blocked, unclear = _obligations(record, criteria, detail)
    if blocked:
        reasons.append(KeepReason.BLOCKED)
    applying, unclear_rules = _applying(record, criteria)
    consent = (
        None if criteria.location.consent is None else evaluate(criteria.location.consent, record.fields)
    )
    unclear_consent = criteria.location.consent is not None and consent is None
    if unclear or unclear_rules or unclear_consent:
        reasons.append(KeepReason.UNCLEAR)
    if not applying and not unclear_rules:
        reasons.append(KeepReason.UNSCHEDULED)
    until = since = maximum = None
    if record.trigger is not None and applying:
        day = dates.local_day(record.trigger, criteria.location.zone, criteria.library.zone)
        minimum_end = max(criteria.last_day(day, rule.minimum) for rule in applying)
        maximum = _maximum(day, applying, criteria)
        young = any(
            not criteria.minimum_boundary(rule).is_after(record.trigger, criteria.location.zone)
            for rule in applying
        )
        if young and not record.withdrawn:
            reasons.append(KeepReason.NOT_YET)
        until, since = minimum_end, dates.day_after(minimum_end)
        if young and record.withdrawn:
            since = criteria.on
        if consent:
            rule = governing_maximum(applying)
            boundary = None if rule is None else criteria.maximum_boundary(rule)
            if boundary is None or not boundary.is_after(record.trigger, criteria.location.zone):
                reasons.append(KeepReason.CONSENT)
            until = maximum
            if maximum is not None:
                since = dates.day_after(max(minimum_end, maximum))
    if not reasons and holding:  # none that is not sealed
        reasons.append(KeepReason.NOT_ELIGIBLE)
    if reasons:
        return Keep(
            reasons=tuple(reasons),
            until=until,
            holds=tuple(hold.id for hold in holding if not hold.sealed),
            detail=tuple(detail),
        )
    assert since is not None  # no reason to keep means a trigger and a rule were found
    return Due(since=since, rules=tuple(rule.id for rule in applying), maximum=maximum)


def governing_maximum(rules: Iterable[Rule]) -> Rule | None:
    """The rule whose maximum applies: explicit over none, narrow over wide, then the shortest period."""
    explicit = [(dates.nominal_days(rule.maximum), rule) for rule in rules if rule.maximum is not None]
    narrow = [(days, rule) for days, rule in explicit if rule.when is not None]
    candidates = narrow or explicit
    return min(candidates, key=itemgetter(0))[1] if candidates else None


def _obligations(record: Record, criteria: Criteria, detail: list[str]) -> tuple[bool, bool]:
    blocked = unclear = False
    if criteria.location.blocked is not None:
        answer = evaluate(criteria.location.blocked, record.fields)
        blocked, unclear = answer is True, answer is None
    if isinstance(criteria.location, TableLocation):
        for relation in criteria.location.relations:
            exists = record.related.get(relation.name)
            if exists is None:
                unclear = True
            elif exists:
                blocked = True
                detail.append(relation.name)
    return blocked, unclear


def _applying(record: Record, criteria: Criteria) -> tuple[list[Rule], bool]:
    """The rules that apply, and whether of one nobody can tell.

    Of a copied row nobody ever will be able to: what was empty when it was copied stays so. There such a rule counts, and the latest
    end of a minimum wins as it always does.
    """
    is_copy = isinstance(criteria.location, TreeLocation) and criteria.location.copies_rows
    applying: list[Rule] = []
    unclear = False
    for rule in criteria.record_type.rules:
        answer = True if rule.when is None else evaluate(rule.when, record.fields)
        if answer or (answer is None and is_copy):
            applying.append(rule)
        elif answer is None:
            unclear = True
    return applying, unclear


def _maximum(day: date, rules: list[Rule], criteria: Criteria) -> date | None:
    rule = governing_maximum(rules)
    return None if rule is None or rule.maximum is None else criteria.last_day(day, rule.maximum)
