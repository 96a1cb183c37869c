"""Generators of schedules, criteria, records and holds, for every property test that needs a library.

Strategies without arguments of a test's own are made once: checking them anew at every draw costs most of the time.
They lean towards what goes wrong: triggers within a day of a boundary, clocks being set, month ends, 29 February, missing
values, holds whose time range ends exactly where a record's begins. Pure data: what is done with it is the test's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite

from retention.condition import And, Compare, Condition, In, IsNull, Not, Or
from retention.decide import Criteria
from retention.holds import Hold, HoldState, Scope
from retention.records import Personal, Record, Span, Value
from retention.schedule import (
    ApprovalKind,
    Authority,
    Cutoff,
    Disposition,
    Library,
    Limits,
    Period,
    RecordType,
    Relation,
    Rule,
    TableLocation,
    TriggerKind,
)

ZONES = tuple(
    map(ZoneInfo, ("America/Chicago", "UTC", "Pacific/Auckland", "America/St_Johns", "Africa/Casablanca"))
)
SUBJECTS = ("p-100", "p-200", "p-300", "O'Brien", "")
CAMERAS = ("front-door", "stacks")
BRANCHES = ("main", "east", "mobile")
RECORD_TYPE = "circulation"
STORE = "simulator"

EDGES = (
    date(2024, 2, 29),
    date(2025, 2, 28),
    date(2023, 12, 31),
    date(2024, 1, 1),
    date(2024, 3, 10),  # clocks go forward in Chicago
    date(2024, 11, 3),  # and back
    date(2024, 4, 7),  # and back in Auckland
    date(2024, 6, 30),  # end of a fiscal year
    date(2024, 7, 1),
)

VALUES: dict[str, tuple[Value, ...]] = {
    "status": ("open", "closed", "lost", "", None),
    "owed": (0, 1, -5, 1000, None),
    "amount": (Decimal("0.00"), Decimal("0.10"), Decimal("25.00"), None),
    "agreed": (True, False, None),
    "seen_on": (date(2024, 2, 29), date(2020, 1, 1), None),
}
"""The columns that conditions mention, each with values of its one kind and its absence."""


def seldom(draw: DrawFn) -> bool:
    """True about once in twenty times. Not at an end of the range: Hypothesis tries the ends more often."""
    return draw(st.integers(0, 19)) == 7


@cache
def days() -> SearchStrategy[date]:
    """Days between 2019 and 2026, edges of the calendar more often."""
    return st.one_of(st.sampled_from(EDGES), st.dates(date(2019, 1, 1), date(2026, 12, 31)))


@cache
def periods() -> SearchStrategy[Period]:
    return st.builds(Period, years=st.integers(0, 3), months=st.integers(0, 13), days=st.integers(0, 45))


@cache
def _literals(column: str) -> SearchStrategy[Value]:
    return st.sampled_from([value for value in VALUES[column] if value is not None])


@cache
@composite
def _comparisons(draw: DrawFn) -> Condition:
    column = draw(st.sampled_from(sorted(VALUES)))
    equality_only = column in {"status", "agreed"}  # text and truth have no portable order
    operators = ("=", "<>") if equality_only else ("=", "<>", "<", "<=", ">", ">=")
    return Compare(column, draw(st.sampled_from(operators)), draw(_literals(column)))


@cache
@composite
def _memberships(draw: DrawFn) -> Condition:
    column = draw(st.sampled_from(sorted(VALUES)))
    return In(column, tuple(draw(st.lists(_literals(column), min_size=1, max_size=3))), draw(st.booleans()))


@cache
def conditions() -> SearchStrategy[Condition]:
    """Conditions over `VALUES`, up to a few levels deep."""
    leaves = st.one_of(
        _comparisons(), _memberships(), st.builds(IsNull, st.sampled_from(sorted(VALUES)), st.booleans())
    )

    def deeper(part: SearchStrategy[Condition]) -> SearchStrategy[Condition]:
        several = st.lists(part, min_size=2, max_size=3).map(tuple)
        return st.one_of(st.builds(Not, part), st.builds(And, several), st.builds(Or, several))

    return st.recursive(leaves, deeper, max_leaves=5)


@cache
@composite
def rules(draw: DrawFn, number: int = 1) -> Rule:
    minimum = draw(periods())
    maximum = draw(st.none() | periods())
    if maximum is not None:  # a maximum is never shorter than its minimum: the loader refuses it
        maximum = Period(
            years=minimum.years + maximum.years,
            months=minimum.months + maximum.months,
            days=minimum.days + maximum.days,
        )
    return Rule(
        id=f"rule-{number}",
        authority=Authority(citation=f"Policy {number}"),
        minimum=minimum,
        maximum=maximum,
        when=None if number == 1 else draw(conditions()),
    )


@cache
@composite
def locations(draw: DrawFn) -> TableLocation:
    return TableLocation(
        name="table",
        store=STORE,
        zone=draw(st.sampled_from(ZONES)),
        trigger_kind=draw(st.sampled_from((TriggerKind.TIMESTAMP, TriggerKind.DATE))),
        subject=draw(st.sampled_from(("patron", "patron", "none", "unknown"))),
        consent=draw(st.none() | st.just(Compare("agreed", "=", True))),
        blocked=draw(st.one_of(st.none(), st.none(), conditions())),
        table="circulation",
        key="id",
        trigger="finished_at",
        branch="branch",
        span_start="started_at",
        span_end="finished_at",
        relations=draw(
            st.sampled_from(
                ((), (Relation(name="open-bill", table="bill", column="circulation", matches="id"),))
            )
        ),
    )


@cache
def libraries() -> SearchStrategy[Library]:
    return st.builds(
        Library,
        organization=st.just("Prairie Creek Library District"),
        custodian=st.just("Library Director"),
        zone=st.sampled_from(ZONES),
        fiscal_year_start=st.sampled_from(((7, 1), (1, 1), (10, 1))),
    )


@composite
def criteria(draw: DrawFn) -> Criteria:
    """A record type with one to three rules, at one place, on one day."""
    location = draw(locations())
    wide = draw(st.sampled_from((True, True, False)))
    count = draw(st.integers(1, 3))
    made = tuple(draw(rules(number=number if wide else number + 1)) for number in range(1, count + 1))
    on = draw(days())
    starts = on + timedelta(days=draw(st.integers(-3, 3))) if seldom(draw) else date(2000, 1, 1)
    ends = on + timedelta(days=draw(st.integers(-3, 3))) if seldom(draw) else None
    record_type = RecordType(
        id=RECORD_TYPE,
        title="Circulation history",
        description="Who borrowed what",
        owner="Circulation",
        personal_data=("patron",),
        trigger_event="item returned",
        cutoff=draw(st.sampled_from(Cutoff)),
        rules=made,
        disposition=draw(st.sampled_from(Disposition)),
        approval=ApprovalKind.STANDING,
        cooling_off=Period(),
        limits=Limits(),
        effective_from=starts,
        effective_until=None if ends is None else max(starts, ends),
        locations=(location,),
    )
    return Criteria(record_type=record_type, location=location, library=draw(libraries()), on=on)


@composite
def triggers(draw: DrawFn, asked: Criteria) -> date | datetime | None:
    """A trigger of the location's kind; half of them within two days of a rule's boundary."""
    if seldom(draw):
        return None
    boundaries = [asked.minimum_boundary(rule) for rule in asked.record_type.rules]
    boundaries += [
        boundary for rule in asked.record_type.rules if (boundary := asked.maximum_boundary(rule)) is not None
    ]
    near = draw(st.booleans())
    boundary = draw(st.sampled_from(boundaries))
    if asked.location.trigger_kind is TriggerKind.DATE:
        return boundary.day + timedelta(days=draw(st.integers(-2, 2))) if near else draw(days())
    if near:
        shift = draw(st.sampled_from((0, -1, 1, -3600, 3600, -86400, 86400)) | st.integers(-172800, 172800))
        moment = boundary.instant + timedelta(seconds=shift)
        naive = moment.astimezone(asked.location.zone).replace(tzinfo=None)
    else:
        naive = datetime.combine(draw(days()), draw(st.times()).replace(microsecond=0))
        moment = naive.replace(tzinfo=asked.location.zone)
    return naive if draw(st.booleans()) else moment.astimezone(ZoneInfo("UTC"))


@composite
def records(draw: DrawFn, asked: Criteria, key: str = "1") -> Record:
    """A record at the place that is asked about."""
    location = asked.location
    names = draw(st.sampled_from((*SUBJECTS, None))) if location.subject not in {"none", "unknown"} else None
    relations = location.relations if isinstance(location, TableLocation) else ()
    end = draw(st.none() | moments())
    length = timedelta(minutes=draw(st.integers(0, 60 * 24 * 40)))
    return Record(
        record_type=asked.record_type.id,
        store=location.store,
        location=location.name,
        key=Personal(key),
        trigger=draw(triggers(asked)),
        span=Span(start=None if end is None or draw(st.integers(0, 3)) == 0 else end - length, end=end),
        subject=None if names is None else Personal(names),
        created=draw(st.none() | moments()),
        camera=draw(st.sampled_from((*CAMERAS, None))),
        branch=draw(st.sampled_from((*BRANCHES, None))),
        fields={column: None if seldom(draw) else draw(_literals(column)) for column in VALUES},
        related={
            relation.name: None if seldom(draw) else draw(st.integers(0, 4)) == 3 for relation in relations
        },
        undecidable="impossible name" if seldom(draw) else None,
        done=seldom(draw),
    )


@cache
def moments() -> SearchStrategy[datetime]:
    """Aware, in UTC, on whole minutes, so that ends meet."""
    return st.builds(
        lambda day, minutes: (
            datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("UTC")) + timedelta(minutes=minutes)
        ),
        days(),
        st.integers(0, 24 * 60),
    )


@cache
@composite
def scopes(draw: DrawFn) -> Scope:
    """Never empty, as the ledger would have it."""
    subjects = draw(st.just(()) | st.lists(st.sampled_from(SUBJECTS), max_size=3).map(tuple))
    ends = sorted(draw(st.lists(moments(), min_size=2, max_size=2)))
    scope = Scope(
        record_types=draw(_some((RECORD_TYPE, "another"))),
        stores=draw(_some((STORE, "another"))),
        subjects=frozenset(Personal(subject) for subject in subjects),
        cameras=draw(_some(CAMERAS)),
        branches=draw(_some(BRANCHES)),
        since=draw(st.sampled_from((None, ends[0]))),
        until=draw(st.sampled_from((None, ends[1]))),
        margin_before=timedelta(minutes=draw(st.integers(0, 2000))),
        margin_after=timedelta(minutes=draw(st.integers(0, 2000))),
    )
    return replace(scope, record_types=frozenset({RECORD_TYPE})) if scope.is_empty else scope


@cache
def _some(names: Sequence[str]) -> SearchStrategy[frozenset[str]]:
    """Mostly not restricted."""
    return st.one_of(
        st.just(frozenset[str]()),
        st.just(frozenset[str]()),
        st.frozensets(st.sampled_from(names), min_size=1),
    )


@cache
def holds(number: int = 1) -> SearchStrategy[Hold]:
    return st.builds(
        Hold,
        id=st.just(f"hold-{number}"),
        state=st.sampled_from(HoldState),
        scope=scopes(),
        sealed=st.booleans(),
        continuing=st.booleans(),
        taken_at=st.none() | moments(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A question, the records it is asked about, and the holds in force."""

    asked: Criteria
    records: tuple[Record, ...]
    holds: tuple[Hold, ...]


@composite
def shelves(draw: DrawFn, most: int = 5) -> Shelf:
    asked = draw(criteria())
    count = draw(st.integers(0, most))
    return Shelf(
        asked=asked,
        records=tuple(draw(records(asked, key=str(number))) for number in range(1, count + 1)),
        holds=tuple(draw(holds(number)) for number in range(draw(st.sampled_from((0, 0, 0, 1, 2, 3))))),
    )
