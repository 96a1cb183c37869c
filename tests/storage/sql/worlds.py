"""Random libraries for the predicate's property test: rows, rules, conditions, holds, biased towards where mistakes live.

Days lie around changes of the clocks and month ends, times around midnight and the doubled hour; texts differ in case, accents and
trailing spaces only; numbers are small, huge, or no numbers at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from retention.condition import And, Compare, Condition, In, IsNull, Not, Or
from retention.decide import Criteria
from retention.holds import Hold, HoldState, Scope
from retention.records import Personal, Value
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

ZONES = [
    ZoneInfo(name)
    for name in ("UTC", "America/New_York", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe")
]
DAYS = [
    date(2011, 12, 29), date(2011, 12, 31), date(2018, 11, 3), date(2018, 11, 4), date(2018, 2, 17), date(2018, 2, 18),
    date(2024, 2, 29), date(2024, 3, 9), date(2024, 3, 10), date(2024, 3, 11), date(2024, 11, 2), date(2024, 11, 3),
    date(2024, 11, 4), date(2024, 12, 31), date(2025, 1, 1), date(2025, 4, 6),
]  # fmt: skip
TIMES = [
    time(0), time(0, 0, 0, 1), time(0, 30), time(1, 15), time(1, 59, 59, 999999), time(2), time(2, 30), time(3), time(12),
    time(23, 30), time(23, 59, 59, 999000), time(23, 59, 59, 999999),
]  # fmt: skip
TEXTS = ["A", "a", "á", "A ", " A", "", "b'--", 'q"', "%", "7", "07", "Ä", "ss", "ß", "0.5", "2024-03-10"]

days = st.sampled_from(DAYS) | st.dates(date(2023, 1, 1), date(2025, 6, 1))
walls = st.builds(datetime.combine, days, st.sampled_from(TIMES))
instants = st.builds(
    lambda wall, hours: (wall + timedelta(hours=hours)).replace(tzinfo=UTC), walls, st.integers(-14, 14)
)
texts = st.sampled_from(TEXTS)
wholes = st.sampled_from([0, 1, 2, -1, 7, 2**31 - 1, 2**53 + 1]) | st.integers(-3, 3)
decimals = st.sampled_from([Decimal(text) for text in ("0", "1", "0.5", "1.00", "2.5", "-1", "7")])
floats = st.sampled_from([0.0, 0.5, 1.0, 2.5, -1.0, 7.0, 1e300, float(2**53)])

COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "whole": wholes, "amount": decimals, "ratio": floats, "note": texts, "patron": texts, "patron_number": wholes,
    "branch": texts, "day": days, "wall": walls, "instant": instants, "flag": st.booleans(),
}  # fmt: skip
"""Columns of every engine's table (SQLite's hold anything). ``opaque`` comes on top."""

literals = st.one_of(
    wholes, decimals, floats, texts, st.booleans(), days, walls, instants, st.just(2**70), st.just(Decimal("Infinity")),
    st.none(),
)  # fmt: skip
like_column: Mapping[str, st.SearchStrategy[Any]] = {**COLUMNS, "opaque": literals}


@st.composite
def comparisons(draw: st.DrawFn) -> Condition:
    column = draw(st.sampled_from([*COLUMNS, "opaque"]))
    values = like_column[column] if draw(st.integers(0, 3)) else literals
    match draw(st.integers(0, 4)):
        case 0:
            return IsNull(column, draw(st.booleans()))
        case 1:
            return In(column, tuple(draw(st.lists(values, max_size=3))), draw(st.booleans()))
        case _:
            return Compare(column, draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="])), draw(values))


def _combined(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.one_of(st.builds(Not, parts), st.builds(And, several), st.builds(Or, several))


conditions: st.SearchStrategy[Condition] = st.recursive(comparisons(), _combined, max_leaves=4)
periods = st.builds(Period, years=st.integers(0, 1), months=st.integers(0, 2), days=st.integers(0, 40))


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    made = []
    for number in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        made.append(
            Rule(
                id=f"rule-{number}",
                authority=Authority(citation="Policy"),
                minimum=draw(periods),
                maximum=draw(st.none() | periods),
                when=draw(st.none() | conditions),
            )
        )
    return tuple(made)


@st.composite
def relations(draw: st.DrawFn) -> Relation:
    where = draw(
        st.sampled_from(
            [
                None,
                Compare("state", "=", "open"),
                Not(Compare("state", "=", "done")),
                Compare("number", ">", 1),
            ]
        )
    )
    column, matches = draw(
        st.sampled_from([("ref", "id"), ("ref_text", "note"), ("ref_text", "id"), ("ref", "patron_number")])
    )
    return Relation(
        name=draw(st.sampled_from(["loan", "bill"])),
        table="related",
        column=column,
        matches=matches,
        where=where,
    )


@st.composite
def criteria(draw: st.DrawFn) -> Criteria:
    trigger, kind = draw(
        st.sampled_from(
            [("day", TriggerKind.DATE), ("wall", TriggerKind.TIMESTAMP), ("instant", TriggerKind.TIMESTAMP)]
        )
    )
    spans = st.sampled_from([None, None, "day", "wall", "instant"])
    anonymizes = draw(st.booleans())
    location = TableLocation(
        name="loans",
        store="library",
        zone=draw(st.sampled_from(ZONES)),
        trigger_kind=kind,
        subject=draw(st.sampled_from(["patron", "patron_number", "patron", "none", "unknown"])),
        consent=draw(st.none() | conditions),
        blocked=draw(st.none() | conditions),
        table="loan",
        key="id",
        trigger=trigger,
        branch=draw(st.sampled_from([None, "branch"])),
        span_start=draw(spans),
        span_end=draw(spans),
        created=draw(spans),
        relations=tuple({made.name: made for made in draw(st.lists(relations(), max_size=2))}.values()),
        clear=draw(st.sampled_from([("patron",), ("patron_number", "patron"), ()])) if anonymizes else (),
        replace=draw(
            st.sampled_from([(("note", "A"),), (("whole", 1), ("note", "a")), (("amount", Decimal("1")),)])
        )
        if anonymizes
        else (),
    )
    on = draw(days)
    record_type = RecordType(
        id="loans",
        title="Loans",
        description="",
        owner="",
        personal_data=(),
        trigger_event="returned",
        cutoff=draw(st.sampled_from(Cutoff)),
        rules=draw(rules()),
        disposition=Disposition.ANONYMIZE if anonymizes else Disposition.PURGE,
        approval=ApprovalKind.STANDING,
        cooling_off=Period(),
        limits=Limits(),
        effective_from=draw(st.sampled_from([date(2000, 1, 1), date(2000, 1, 1), on, date(2024, 3, 10)])),
        effective_until=draw(st.sampled_from([None, None, on, date(2024, 3, 10)])),
        locations=(location,),
    )
    library = Library(
        organization="", custodian="", zone=draw(st.sampled_from(ZONES)), fiscal_year_start=(7, 1)
    )
    return Criteria(record_type=record_type, location=location, library=library, on=on)


@st.composite
def holds(draw: st.DrawFn) -> tuple[Hold, ...]:
    made = []
    for number in range(draw(st.integers(0, 3))):
        scope = Scope(
            record_types=draw(
                st.sampled_from([frozenset(), frozenset(), frozenset({"loans"}), frozenset({"others"})])
            ),
            stores=draw(st.sampled_from([frozenset(), frozenset({"library", "archive"})])),
            subjects=frozenset(
                Personal(text)
                for text in draw(st.sampled_from([(), ("A",), ("a ", "7"), ("0", "-1", "07"), tuple(TEXTS)]))
            ),
            cameras=draw(st.sampled_from([frozenset(), frozenset(), frozenset({"door"})])),
            branches=draw(st.sampled_from([frozenset(), frozenset({"A", "ß"})])),
            since=draw(st.none() | instants),
            until=draw(st.none() | instants),
            margin_before=draw(
                st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(hours=5)])
            ),
            margin_after=draw(st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(hours=5)])),
        )
        state = draw(
            st.sampled_from([HoldState.ACTIVE, HoldState.ACTIVE, HoldState.PLACING, HoldState.RELEASED])
        )
        made.append(
            Hold(
                id=f"hold-{number}", state=state, scope=scope, sealed=draw(st.booleans()), continuing=draw(st.booleans()),
                taken_at=draw(st.none() | instants),
            )
        )  # fmt: skip
    return tuple(made)


def _written_time(moment: datetime, form: int) -> str:
    """One of the ways in which programs write times into SQLite."""
    match form:
        case 0:
            return moment.isoformat(" ")
        case 1:
            return moment.isoformat("T", "minutes")
        case 2:
            return moment.isoformat("T", "milliseconds") + "Z"
        case 3:
            return moment.isoformat(" ", "seconds") + "+05:30"
        case 4:
            return moment.isoformat("T") + "-08:00"
        case 5:
            return moment.date().isoformat()
        case _:
            return moment.isoformat(" ", "seconds") + " +00:00"


ODD_TIMES = [
    "now", "12:00", "2024-02-31", "2024-02-30 10:00:00", "2460000.5", 2460000.5, 1700000000, 0, "", "2024-03-10 ", " 2024-03-10",
    "2024-03-10Z", "20240310", "2024-03-10 25:00", b"2024-03-10", "0000-01-01", "9999-12-31 23:59:59", "2024-03-10 24:00:00",
    "2024-03-10 12:00:00z ", "2024-3-1", 1e999,
]  # fmt: skip
loose_times = st.one_of(
    st.builds(_written_time, walls, st.integers(0, 6)),
    st.builds(_written_time, walls, st.integers(0, 6)),
    st.sampled_from(ODD_TIMES),
)
loose = st.one_of(wholes, floats, texts, st.just(b"A"), st.just(1e999), loose_times)


def _sqlite(value: Value) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value


TYPED = {column: st.none() | values | values for column, values in COLUMNS.items()} | {
    "opaque": st.none() | st.just("[1]")
}
LOOSE = {
    column: st.none() | (loose_times if column in {"day", "wall", "instant"} else values.map(_sqlite) | loose)
    for column, values in COLUMNS.items()
} | {"opaque": st.none() | st.just(b"\x00\xff")}
RELATED = st.lists(
    st.fixed_dictionaries(
        {
            "ref": st.none() | st.integers(0, 7),
            "ref_text": st.none() | texts | st.sampled_from(["1", "2", "3"]),
            "state": st.sampled_from([None, "open", "Open", "done", "done "]),
            "number": st.none() | st.integers(0, 3),
        }
    ),
    max_size=4,
)
TYPED_ROWS = st.lists(st.fixed_dictionaries(TYPED), min_size=1, max_size=6)
LOOSE_ROWS = st.lists(st.fixed_dictionaries(LOOSE), min_size=1, max_size=6)


@dataclass(frozen=True, kw_only=True)
class World:
    """Rows to write, what is asked of them. Each row's columns; ``None`` is NULL."""

    rows: tuple[dict[str, Any], ...]
    related: tuple[dict[str, Any], ...]
    criteria: Criteria
    holds: tuple[Hold, ...]


@st.composite
def worlds(draw: st.DrawFn, *, typed: bool) -> World:
    """``typed``: columns hold values of their own type only (PostgreSQL, MariaDB)."""
    rows = draw(TYPED_ROWS if typed else LOOSE_ROWS)
    numbered = tuple({"id": number, **row} for number, row in enumerate(rows, 1))
    return World(rows=numbered, related=tuple(draw(RELATED)), criteria=draw(criteria()), holds=draw(holds()))
