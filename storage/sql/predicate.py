"""The decision, compiled: `retention.decide.decide` as one SQL expression per location.

Gives the same answer for every row, the primary reason included; a property test holds the two equal on generated rows. Values are
bound, names are quoted, nothing is pasted. Refuses to leave a NULL behind: whatever could be unknown is turned into "keep".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from retention import dates
from retention.condition import And, Compare, Condition, In, IsNull, Not, Or
from retention.decide import Criteria, KeepReason
from retention.holds import Hold, merged
from retention.schedule import Cutoff, Disposition, Rule, TableLocation
from storage.sql import moments
from storage.sql.comparing import UNKNOWN, Comparing, either, surely, surely_not, unsurely
from storage.sql.kinds import Column, Cut, Kind, Ref, Shape, Truth

DUE = "due"
YEARS = 100
"""So many years of what is due are told apart; what is older is not."""


def compiled(condition: Condition, values: Comparing, shape: Shape, clause: sa.FromClause) -> Truth:
    """A condition of the schedule on the columns of ``clause``; NULL where `retention.evaluate` says ``None``."""
    match condition:
        case Compare(column, comparator, value):
            return values.compare(shape.ref(clause, column), comparator, value)
        case In(column, among, negated):
            if not among:
                return UNKNOWN
            ref = shape.ref(clause, column)
            found = sa.or_(*(values.compare(ref, "=", value) for value in among))
            return sa.not_(found) if negated else found
        case IsNull(column, negated):
            missing = values.missing(shape.ref(clause, column))
            return sa.not_(missing) if negated else missing
        case Not(part):
            return sa.not_(compiled(part, values, shape, clause))
        case And(parts):
            return sa.and_(*(compiled(part, values, shape, clause) for part in parts)) if parts else UNKNOWN
        case Or(parts):
            return sa.or_(*(compiled(part, values, shape, clause) for part in parts)) if parts else UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Question:
    """The criteria of one location asked of one table. Made once per criteria; holds come in later.

    ``related``: the shapes of the tables of blocking relations, by relation.
    """

    criteria: Criteria
    location: TableLocation
    values: Comparing
    shape: Shape
    related: dict[str, Shape]
    key_kind: Kind

    @cached_property
    def table(self) -> sa.FromClause:
        return self.shape.clause()

    @cached_property
    def key(self) -> Ref:
        ref = self.shape.ref(self.table, self.location.key)
        return Ref(_with_kind(ref, self.key_kind), ref.at)

    @cached_property
    def trigger(self) -> Ref:
        return self.time(self.location.trigger)

    def time(self, name: str) -> Ref:
        """A column that is read as time, whatever SQLite's declared type says."""
        ref = self.shape.ref(self.table, name)
        if ref.kind not in {Kind.LOOSE, Kind.LOOSE_TIME}:
            return ref
        is_day = name == self.location.trigger and self.location.trigger_kind.value == "date"
        return Ref(_with_kind(ref, Kind.LOOSE_DAY if is_day else Kind.LOOSE_TIME), ref.at)

    def column(self, name: str) -> Ref:
        return self.shape.ref(self.table, name)

    @property
    def anonymizes(self) -> bool:
        return self.criteria.record_type.disposition is Disposition.ANONYMIZE

    # Parts

    def condition(self, condition: Condition) -> Truth:
        return compiled(condition, self.values, self.shape, self.table)

    def before(self, boundary: dates.Boundary) -> Truth:
        """Whether the trigger lies before the boundary. NULL when it is missing."""
        cut = Cut(day=boundary.day, wall=boundary.wall(self.location.zone), instant=boundary.instant)
        return self.values.cut(self.trigger, "<", cut)

    def year(self, first: int, last: int) -> sa.ColumnElement[Any]:
        """The year of the trigger in the library's zone, for one from ``first`` to ``last``; 0 for those long before the last."""
        zone, start = self.criteria.library.zone, max(first, last - YEARS + 1)
        earliest: sa.ColumnElement[Any] = sa.literal_column(str(start if start == first else 0), sa.Integer())
        known: list[tuple[Truth, sa.ColumnElement[Any]]] = []
        for year in range(last, start, -1):
            day = date(year, 1, 1)
            before = self.before(dates.Boundary(day=day, instant=dates.start_of_day(day, zone)))
            known.append((sa.not_(before), sa.literal_column(str(year), sa.Integer())))
        return sa.case(*known, else_=earliest) if known else earliest

    @cached_property
    def applies(self) -> dict[str, Truth | None]:
        """For each rule whether it applies; ``None`` for a rule without a condition: it always does."""
        rules = self.criteria.record_type.rules
        return {rule.id: None if rule.when is None else self.condition(rule.when) for rule in rules}

    @cached_property
    def done(self) -> Truth:
        """Already de-identified. Never NULL."""
        if not self.anonymizes:
            return sa.false()
        parts: list[Truth] = [self.column(name).at.is_(sa.null()) for name in self.location.clear]
        for name, value in self.location.replace:
            if value is None:
                parts.append(self.column(name).at.is_(sa.null()))
            else:
                parts.append(surely(self.values.compare(self.column(name), "=", value)))
        return sa.and_(*parts) if parts else sa.false()

    def relation(self, name: str) -> Truth:
        """Whether a blocking row exists: one that refers to this one, and whose condition is not known to be false."""
        relation = next(relation for relation in self.location.relations if relation.name == name)
        shape = self.related[name]
        other = shape.clause("related")
        theirs, ours = shape.ref(other, relation.column), self.column(relation.matches)
        where = [self.values.same(theirs, ours)]
        if relation.where is not None:
            where.append(sa.not_(surely_not(compiled(relation.where, self.values, shape, other))))
        found: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(other).where(*where)
        # Tied to the row at hand wherever the expression ends up, never to the table as a whole.
        return sa.exists(found.correlate(self.table))

    @cached_property
    def _unclear(self) -> Truth:
        asked = [self.location.blocked, self.location.consent]
        conditions = [self.condition(condition) for condition in asked if condition is not None]
        conditions += [truth for truth in self.applies.values() if truth is not None]
        return either(*(unsurely(truth) for truth in conditions))

    @cached_property
    def past_maximum(self) -> Truth:
        """Whether the trigger is past the maximum that governs. NULL or false without one."""
        explicit = [rule for rule in self.criteria.record_type.rules if rule.maximum is not None]

        def rank(rule: Rule) -> tuple[bool, float]:
            assert rule.maximum is not None
            return rule.when is None, dates.nominal_days(rule.maximum)

        otherwise: Truth = sa.false()
        for rule in sorted(explicit, key=rank)[::-1]:  # among equals the first governs
            boundary = self.criteria.maximum_boundary(rule)
            assert boundary is not None
            truth = self.applies[rule.id]
            past = self.before(boundary)
            otherwise = past if truth is None else sa.case((surely(truth), past), else_=otherwise)
        return otherwise

    @cached_property
    def _consents(self) -> Truth | None:
        return None if self.location.consent is None else self.condition(self.location.consent)

    # Holds

    def holding(self, holds: Iterable[Hold]) -> Iterator[tuple[Hold, Truth]]:
        """The holds that can touch this location at all, each with whether it covers the row. Never NULL."""
        for hold in merged(holds):
            if hold.scope.touches(self.criteria.record_type.id, self.location.store):
                covers = self._covers(hold)
                if covers is not None:
                    yield hold, covers

    def _covers(self, hold: Hold) -> Truth | None:
        """``None``: surely not, for any row."""
        scope, parts = hold.scope, []
        if scope.cameras:
            return None  # a row has no camera
        if scope.subjects:
            if self.location.subject == "none":
                return None
            if self.location.subject != "unknown":
                subjects = (subject.reveal() for subject in scope.subjects)
                parts.append(surely(self.values.text_among(self.column(self.location.subject), subjects)))
        zone, grain, span = self.location.zone, self.values.grain, scope.span
        # Whether it ended before the hold's time first: of most of what a library keeps that alone decides.
        if span.start is not None:
            cut = moments.ends_from(span.start.astimezone(UTC), zone, grain)
            parts.append(self._about(self.time(self.location.span_end or self.location.trigger), ">=", cut))
        if span.end is not None:
            cut = moments.starts_by(span.end.astimezone(UTC), zone, grain)
            parts.append(self._about(self.time(self.location.span_start or self.location.trigger), "<=", cut))
        if hold.existing_by is not None and self.location.created is not None:
            cut = moments.starts_by(hold.existing_by.astimezone(UTC), zone, grain)
            parts.append(self._about(self.time(self.location.created), "<=", cut))
        if scope.branches and self.location.branch is not None:
            branch = self.column(self.location.branch)
            parts.append(
                sa.or_(branch.at.is_(sa.null()), surely(self.values.text_among(branch, scope.branches)))
            )
        return sa.and_(sa.true(), *parts)

    def _about(self, ref: Ref, operator: str, cut: Cut) -> Truth:
        # A missing time may be any time.
        return sa.or_(self.values.missing(ref), surely(self.values.cut(ref, operator, cut)))

    # The two forms of the decision

    def reasons(self, holds: Iterable[Hold]) -> list[tuple[Truth, KeepReason]]:
        """What keeps a row, in decide's order of precedence: the first that is true is why it stays. None of them: it is due."""
        holding = list(self.holding(holds))
        open_ = self.criteria.record_type.cutoff is Cutoff.EVENT
        rules = self.criteria.record_type.rules
        blocked = [self.relation(relation.name) for relation in self.location.relations]
        if self.location.blocked is not None:
            blocked.append(surely(self.condition(self.location.blocked)))
        not_yet = [
            sa.and_(
                _applying(self.applies[rule.id]),
                sa.not_(surely(self.before(self.criteria.minimum_boundary(rule)))),
            )
            for rule in rules
        ]
        steps: list[tuple[Truth, KeepReason]] = [
            (sa.not_(self.values.is_key(self.key)), KeepReason.UNDECIDABLE),
            (either(*(truth for hold, truth in holding if not hold.sealed)), KeepReason.HELD),
            (self.done, KeepReason.DONE),
            (sa.false() if self.criteria.in_effect else sa.true(), KeepReason.NOT_IN_EFFECT),
            (self.values.missing(self.trigger), KeepReason.OPEN if open_ else KeepReason.NO_TRIGGER),
            (either(*blocked), KeepReason.BLOCKED),
            (self._unclear, KeepReason.UNCLEAR),
            (
                sa.not_(either(*(_applying(truth) for truth in self.applies.values()))),
                KeepReason.UNSCHEDULED,
            ),
            (either(*not_yet), KeepReason.NOT_YET),
        ]
        if self._consents is not None:
            kept = sa.and_(surely(self._consents), sa.not_(surely(self.past_maximum)))
            steps.append((kept, KeepReason.CONSENT))
        sealed = either(*(truth for hold, truth in holding if hold.sealed))
        steps.append((sealed, KeepReason.NOT_ELIGIBLE))
        return [(truth, reason) for truth, reason in steps if not isinstance(truth, sa.False_)]

    def reason(self, holds: Iterable[Hold]) -> sa.ColumnElement[Any]:
        """Why the row stays, as the value of its `KeepReason`; or `DUE`."""
        cases = [(truth, _word(reason)) for truth, reason in self.reasons(holds)]
        return sa.case(*cases, else_=_word(DUE)) if cases else _word(DUE)

    def due(self, holds: Iterable[Hold]) -> list[Truth]:
        """The same decision as conditions that all hold for a due row; the cheap and selective ones first."""
        if not self.criteria.in_effect or not self.criteria.record_type.rules:
            return [sa.false()]
        conditions: list[Truth] = []
        for rule in self.criteria.record_type.rules:
            past, truth = self.before(self.criteria.minimum_boundary(rule)), self.applies[rule.id]
            # A rule that may apply counts: unknown is not "does not apply".
            conditions.append(
                past if truth is None else sa.or_(surely_not(truth), sa.and_(surely(truth), past))
            )
        conditions.append(self.values.present(self.trigger))
        if all(truth is not None for truth in self.applies.values()):
            conditions.append(
                sa.or_(*(surely(truth) for truth in self.applies.values() if truth is not None))
            )
        if self.location.blocked is not None:
            conditions.append(surely_not(self.condition(self.location.blocked)))
        if self._consents is not None:
            conditions.append(
                sa.or_(surely_not(self._consents), sa.and_(surely(self._consents), surely(self.past_maximum)))
            )
        if self.anonymizes:
            conditions.append(sa.not_(self.done))
        conditions.append(self.values.is_key(self.key))
        conditions += [sa.not_(truth) for _, truth in self.holding(holds)]
        conditions += [sa.not_(self.relation(relation.name)) for relation in self.location.relations]
        return [condition for condition in conditions if not isinstance(condition, sa.True_)]


def _applying(truth: Truth | None) -> Truth:
    return sa.true() if truth is None else surely(truth)


def _word(reason: str) -> sa.ColumnElement[Any]:
    # From our own list of words, never a value: written out, so that the database can group by it.
    return sa.literal_column(f"'{reason}'", sa.Text())


def _with_kind(ref: Ref, kind: Kind) -> Column:
    return replace(ref.column, kind=kind)
