"""Keep or due: whatever is missing, unclear, open or held keeps the record; what goes is past every minimum."""

# ruff: noqa: DTZ001  # naive times are read in the location's zone; a decision takes as many facts as it takes

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention import dates
from retention.decide import Criteria, Due, Keep, KeepReason, decide, matches
from retention.evaluate import evaluate
from retention.holds import CLOCKS_APART, Hold, HoldState, Scope
from retention.loader import load
from retention.records import Personal, Record, Span, Value
from retention.schedule import Cutoff, Period, RecordType, Rule
from tests.retention.schedules import SOUND

SCHEDULE = load(SOUND, "policies.toml")
LOANS = SCHEDULE.record_type("loans")
FOOTAGE = SCHEDULE.record_type("footage")
ANYBODY = Personal("17")


def criteria(on: date, record_type: RecordType = LOANS, **changes: object) -> Criteria:
    location = replace(record_type.locations[0], **changes)  # type: ignore[arg-type]  # names of its own fields
    return Criteria(record_type=record_type, location=location, library=SCHEDULE.library, on=on)


def loan(trigger: date | datetime | None, **changes: object) -> Record:
    sound = Record(
        record_type="loans",
        store="ils",
        location="loans",
        key=Personal("1"),
        trigger=trigger,
        subject=ANYBODY,
        fields={"opted_in": False, "barred": False, "status": "in"},
        related={"bill": False},
    )
    return replace(sound, **changes)  # type: ignore[arg-type]  # names of its own fields


def hold(state: HoldState = HoldState.ACTIVE, *, sealed: bool = False, **scope: object) -> Hold:
    return Hold(id="H-1", state=state, scope=Scope(**scope), sealed=sealed)  # type: ignore[arg-type]  # fields of a scope


LONG_AGO = datetime(2026, 1, 1, 12)
ON = date(2026, 6, 1)


def test_a_record_past_its_minimum_is_due_and_says_since_when() -> None:
    decision = decide(loan(LONG_AGO), criteria(ON), ())
    assert decision == Due(since=date(2026, 2, 1), rules=("default",), maximum=date(2027, 1, 1))
    assert decision.days_past_maximum(ON) == 0
    assert decision.days_past_maximum(date(2027, 1, 11)) == 10


def test_a_record_is_due_strictly_after_the_local_end_of_its_last_day() -> None:
    late = datetime(2026, 1, 2, 5, 30)  # UTC: still 1 January in Denver
    assert isinstance(decide(loan(late), criteria(date(2026, 1, 31)), ()), Keep)
    assert isinstance(decide(loan(late), criteria(date(2026, 2, 1)), ()), Due)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"undecidable": "symbolic link"}, KeepReason.UNDECIDABLE),
        ({"done": True}, KeepReason.DONE),
        ({"trigger": None}, KeepReason.NO_TRIGGER),
        ({"related": {"bill": True}}, KeepReason.BLOCKED),
        ({"related": {"bill": None}}, KeepReason.UNCLEAR),
        ({"related": {}}, KeepReason.UNCLEAR),
        ({"fields": {"opted_in": False, "barred": True, "status": "in"}}, KeepReason.BLOCKED),
        ({"fields": {"opted_in": False, "barred": None, "status": "in"}}, KeepReason.UNCLEAR),
        ({"fields": {"opted_in": None, "barred": False, "status": "in"}}, KeepReason.UNCLEAR),
        ({"fields": {"opted_in": False, "barred": False}}, KeepReason.UNCLEAR),
        ({"fields": {"opted_in": True, "barred": False, "status": "in"}}, KeepReason.CONSENT),
        ({"trigger": datetime(2026, 5, 20, 12)}, KeepReason.NOT_YET),
        ({"trigger": datetime(9999, 12, 31, 23)}, KeepReason.NOT_YET),
    ],
)
def test_what_is_missing_unclear_or_open_keeps_the_record(
    changes: dict[str, object], reason: KeepReason
) -> None:
    decision = decide(replace(loan(LONG_AGO), **changes), criteria(ON), ())  # type: ignore[arg-type]  # fields of a record
    assert isinstance(decision, Keep)
    assert decision.primary is reason


def test_no_date_yet_means_still_open_when_the_trigger_closes_the_unit() -> None:
    decision = decide(loan(None), criteria(ON, replace(LOANS, cutoff=Cutoff.EVENT)), ())
    assert isinstance(decision, Keep)
    assert decision.primary is KeepReason.OPEN


@pytest.mark.parametrize(
    ("on", "kept"),
    [
        (date(2025, 12, 31), True),
        (date(2026, 3, 1), False),
        (date(2030, 12, 31), False),
        (date(2031, 1, 1), True),
    ],
)
def test_a_rule_acts_from_its_first_to_its_last_effective_day(on: date, kept: bool) -> None:
    decision = decide(loan(datetime(2025, 1, 1)), criteria(on), ())
    assert (isinstance(decision, Keep) and decision.primary is KeepReason.NOT_IN_EFFECT) is kept


def test_the_latest_end_of_a_minimum_wins() -> None:
    claimed = loan(LONG_AGO, fields={"opted_in": False, "barred": False, "status": "claimed"})
    decision = decide(claimed, criteria(date(2026, 3, 2)), ())
    assert isinstance(decision, Keep)
    assert decision.until == date(2026, 3, 2)
    assert decide(claimed, criteria(date(2026, 3, 3)), ()) == Due(
        since=date(2026, 3, 3), rules=("default", "claimed"), maximum=date(2027, 1, 1)
    )


def test_the_end_of_a_minimum_is_a_date_and_not_a_length() -> None:
    month, days = (Rule(id=id, authority=LOANS.rules[0].authority, minimum=period, maximum=None) for id, period in
                   [("month", Period(months=1)), ("days", Period(days=30))])  # fmt: skip
    both = replace(LOANS, rules=(month, days))
    february = decide(loan(datetime(2026, 2, 1, 12)), criteria(date(2026, 3, 3), both), ())
    assert isinstance(february, Keep)
    assert february.until == date(2026, 3, 3)  # 30 days are longer than February
    july = decide(loan(datetime(2026, 7, 1, 12)), criteria(date(2026, 7, 31), both), ())
    assert isinstance(july, Keep)
    assert july.until == date(2026, 8, 1)  # and shorter than July


def test_a_record_that_no_rule_fits_is_unscheduled() -> None:
    narrow = replace(LOANS, rules=LOANS.rules[1:])
    decision = decide(loan(LONG_AGO), criteria(ON, narrow), ())
    assert isinstance(decision, Keep)
    assert decision.primary is KeepReason.UNSCHEDULED


def test_with_consent_a_record_lives_to_its_maximum_and_no_longer() -> None:
    agreed = loan(LONG_AGO, fields={"opted_in": True, "barred": False, "status": "in"})
    last = decide(agreed, criteria(date(2027, 1, 1)), ())
    assert isinstance(last, Keep)
    assert (last.primary, last.until) == (KeepReason.CONSENT, date(2027, 1, 1))
    assert decide(agreed, criteria(date(2027, 1, 2)), ()) == Due(
        since=date(2027, 1, 2), rules=("default",), maximum=date(2027, 1, 1)
    )


def test_a_hold_is_named_and_a_sealed_one_is_not() -> None:
    open_hold = decide(loan(LONG_AGO), criteria(ON), [hold(subjects=frozenset({ANYBODY}))])
    sealed = decide(loan(LONG_AGO), criteria(ON), [hold(sealed=True, subjects=frozenset({ANYBODY}))])
    assert isinstance(open_hold, Keep)
    assert isinstance(sealed, Keep)
    assert (open_hold.primary, open_hold.holds) == (KeepReason.HELD, ("H-1",))
    assert (sealed.primary, sealed.holds) == (KeepReason.NOT_ELIGIBLE, ())


@pytest.mark.parametrize("state", HoldState)
def test_a_hold_keeps_a_record_from_being_placed_until_it_is_released(state: HoldState) -> None:
    decision = decide(loan(LONG_AGO), criteria(ON), [hold(state, subjects=frozenset({ANYBODY}))])
    assert isinstance(decision, Due) is (not state.keeps)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = Span(start=NOON, end=NOON + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("scope", "record", "match"),
    [
        ({"record_types": frozenset({"loans"})}, {}, True),
        ({"record_types": frozenset({"bills"})}, {}, False),
        ({"stores": frozenset({"ils"})}, {}, True),
        ({"stores": frozenset({"cams"})}, {}, False),
        ({"subjects": frozenset({Personal("17")})}, {}, True),
        ({"subjects": frozenset({Personal("18")})}, {}, False),
        ({"subjects": frozenset({Personal("17")})}, {"subject": None}, False),
        ({"cameras": frozenset({"lobby"})}, {"camera": "lobby"}, True),
        ({"cameras": frozenset({"lobby"})}, {"camera": "parking"}, False),
        ({"branches": frozenset({"main"})}, {"branch": "main"}, True),
        ({"branches": frozenset({"main"})}, {"branch": "east"}, False),
        ({"branches": frozenset({"main"})}, {"branch": None}, True),
        ({"since": NOON, "until": NOON}, {"span": MINUTE}, True),
        ({"since": NOON + timedelta(minutes=1)}, {"span": MINUTE}, True),
        ({"since": NOON + timedelta(minutes=1, microseconds=1)}, {"span": MINUTE}, False),
        (
            {"since": NOON + timedelta(minutes=6), "margin_before": timedelta(minutes=5)},
            {"span": MINUTE},
            True,
        ),
        ({"until": NOON}, {"span": MINUTE}, True),
        ({"until": NOON - timedelta(microseconds=1)}, {"span": MINUTE}, False),
        (
            {"until": NOON - timedelta(minutes=5), "margin_after": timedelta(minutes=5)},
            {"span": MINUTE},
            True,
        ),
        ({"since": NOON, "until": NOON}, {"span": Span(start=None, end=None)}, True),
        ({"stores": frozenset({"ils"}), "subjects": frozenset({Personal("18")})}, {}, False),
    ],
)
def test_a_hold_matches_what_it_asks_for_and_whatever_cannot_answer(
    scope: dict[str, Any], record: dict[str, Any], match: bool
) -> None:
    candidate = replace(loan(LONG_AGO), **record)
    assert matches(hold(**scope), candidate, LOANS.locations[0]) is match


@pytest.mark.parametrize(("subject", "match"), [("unknown", True), ("none", False), ("patron", False)])
def test_a_place_that_cannot_tell_whom_it_is_about_is_kept_by_a_hold_on_anybody(
    subject: str, match: bool
) -> None:
    location = replace(LOANS.locations[0], subject=subject)
    assert matches(hold(subjects=frozenset({Personal("99")})), loan(LONG_AGO), location) is match


# Properties over generated records, rules and holds.

triggers = st.none() | st.dates(date(2020, 1, 1), date(2027, 1, 1)) | st.datetimes(
    datetime(2020, 1, 1), datetime(2027, 1, 1)
) | st.datetimes(datetime(2020, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # fmt: skip
truths = st.sampled_from([True, False, None])
records = st.builds(
    loan,
    triggers,
    fields=st.fixed_dictionaries(
        {"opted_in": truths, "barred": truths, "status": st.sampled_from(["in", "claimed", None])}
    ),
    related=st.fixed_dictionaries({"bill": truths}),
    subject=st.none() | st.sampled_from([Personal("17"), Personal("18")]),
    branch=st.sampled_from([None, "main", "east"]),
    done=st.sampled_from([False, False, False, True]),
    undecidable=st.sampled_from([None, None, None, "impossible name"]),
    span=st.builds(
        lambda start, length: Span(start=start, end=start and start + length),
        st.none() | st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
        st.timedeltas(timedelta(0), timedelta(days=60)),
    ),
)
kinds = st.builds(
    lambda cutoff, minimum, claimed, maximum: replace(
        LOANS,
        cutoff=cutoff,
        rules=(
            replace(LOANS.rules[0], minimum=minimum, maximum=maximum),
            replace(LOANS.rules[1], minimum=claimed),
        ),
    ),
    st.sampled_from(Cutoff),
    st.builds(Period, months=st.integers(0, 6), days=st.integers(0, 40)),
    st.builds(Period, months=st.integers(0, 12)),
    st.none() | st.builds(Period, years=st.integers(1, 3)),
)
questions = st.builds(
    lambda on, kind, zone: criteria(on, kind, zone=ZoneInfo(zone)),
    st.dates(date(2025, 6, 1), date(2031, 6, 1)),
    kinds,
    st.sampled_from(["UTC", "America/Denver", "Europe/Berlin"]),
)
moments = st.none() | st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
holds = st.builds(
    lambda state, sealed, subjects, branches, since, until: hold(
        state, sealed=sealed, subjects=subjects, branches=branches, since=since, until=until
    ),
    st.sampled_from(HoldState),
    st.booleans(),
    st.frozensets(st.sampled_from([Personal("17"), Personal("18")])),
    st.frozensets(st.sampled_from(["main", "east"])),
    moments,
    moments,
)


@given(records, questions, st.lists(holds, max_size=3))
def test_what_is_due_is_past_every_minimum_held_by_nothing_and_clear_in_every_respect(
    record: Record, question: Criteria, in_force: list[Hold]
) -> None:
    decision = decide(record, question, in_force)
    if isinstance(decision, Keep):
        assert decision.reasons
        return
    assert record.trigger is not None
    assert not any(held.state.keeps and matches(held, record, question.location) for held in in_force)
    assert question.record_type.effective_from <= question.on
    assert record.fields["barred"] is False
    assert record.related["bill"] is False
    assert record.undecidable is None
    assert not record.done
    day = dates.local_day(record.trigger, question.location.zone, question.library.zone)
    applying = [
        rule
        for rule in question.record_type.rules
        if rule.when is None or evaluate(rule.when, record.fields) is not False
    ]
    assert tuple(rule.id for rule in applying) == decision.rules
    for rule in applying:
        assert dates.due_day(day, rule.minimum, question.record_type.cutoff, question.library) < question.on
    assert decision.since <= question.on
    if record.fields["opted_in"]:
        assert decision.maximum is not None
        assert decision.maximum < question.on
    else:
        assert record.fields["opted_in"] is False


@given(records, questions, st.lists(holds, max_size=2), holds)
def test_another_hold_never_makes_anything_due(
    record: Record, question: Criteria, in_force: list[Hold], another: Hold
) -> None:
    before, after = decide(record, question, in_force), decide(record, question, [*in_force, another])
    if isinstance(before, Keep):
        assert isinstance(after, Keep)
    elif another.state.keeps and matches(another, record, question.location):
        assert isinstance(after, Keep)
        assert after.primary is (KeepReason.NOT_ELIGIBLE if another.sealed else KeepReason.HELD)
    else:
        assert after == before


@given(records, questions)
def test_a_missing_trigger_is_never_due(record: Record, question: Criteria) -> None:
    assert isinstance(decide(replace(record, trigger=None), question, ()), Keep)


@given(records, questions, st.sampled_from(["opted_in", "barred", "status"]))
def test_forgetting_a_fact_never_makes_anything_due(record: Record, question: Criteria, name: str) -> None:
    forgotten: dict[str, Value] = {**record.fields, name: None}
    if isinstance(decide(record, question, ()), Keep):
        assert isinstance(decide(replace(record, fields=forgotten), question, ()), Keep)


@given(records, questions, st.integers(0, 400))
def test_what_is_due_stays_due_while_the_rule_is_in_effect(
    record: Record, question: Criteria, days: int
) -> None:
    later = replace(question, on=question.on + timedelta(days=days))
    if isinstance(decide(record, question, ()), Due) and later.in_effect:
        assert isinstance(decide(record, later, ()), Due)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)), st.dates(date(2026, 1, 1), date(2027, 6, 1))
)
def test_footage_is_kept_to_the_end_of_its_month_and_its_minimum(start: datetime, on: date) -> None:
    segment = Record(
        record_type="footage", store="cams", location="recordings", key=Personal("x"), trigger=start
    )
    question = Criteria(record_type=FOOTAGE, location=FOOTAGE.locations[0], library=SCHEDULE.library, on=on)
    closed = dates.cutoff_day(
        dates.local_day(start, question.location.zone, SCHEDULE.library.zone), Cutoff.MONTH, SCHEDULE.library
    )
    assert isinstance(decide(segment, question, ()), Due) is (closed + timedelta(days=14) < on)


# What a store knows of a record that is sealed


def test_a_hold_keeps_a_sealed_record_when_its_store_says_so_and_only_then() -> None:
    named = hold(subjects=frozenset({ANYBODY}))
    told = decide(loan(LONG_AGO, subject=None, kept_by=frozenset({"H-1"})), criteria(ON), [named])
    assert isinstance(told, Keep)
    assert (told.reasons, told.holds) == ((KeepReason.HELD,), ("H-1",))
    for others in (frozenset(), frozenset({"H-2"})):
        assert isinstance(decide(loan(LONG_AGO, kept_by=others), criteria(ON), [named]), Due)


def test_a_released_hold_keeps_no_sealed_record_whatever_its_store_says() -> None:
    released = hold(HoldState.RELEASED)
    assert isinstance(decide(loan(LONG_AGO, kept_by=frozenset({"H-1"})), criteria(ON), [released]), Due)


def test_a_withdrawn_record_does_not_wait_for_its_minimum() -> None:
    young = datetime(2026, 5, 25, 12)
    assert isinstance(decide(loan(young), criteria(ON), ()), Keep)
    assert decide(loan(young, withdrawn=True), criteria(ON), ()) == Due(
        since=ON, rules=("default",), maximum=date(2027, 5, 25)
    )
    assert decide(loan(LONG_AGO, withdrawn=True), criteria(ON), ()) == decide(
        loan(LONG_AGO), criteria(ON), ()
    )


@pytest.mark.parametrize(
    "keeping",
    [
        {"kept_by": frozenset({"H-1"})},
        {"undecidable": "a link"},
        {"related": {"bill": True}},
        {"related": {"bill": None}},
        {"trigger": None},
        {"fields": {"opted_in": False, "barred": True, "status": "in"}},
    ],
)
def test_a_withdrawn_record_stays_for_every_other_reason(keeping: dict[str, Any]) -> None:
    record = replace(loan(datetime(2026, 5, 25, 12), withdrawn=True), **keeping)
    assert isinstance(decide(record, criteria(ON), [hold(subjects=frozenset({Personal("x")}))]), Keep)


@pytest.mark.parametrize(
    ("snapshot", "created", "kept"),
    [
        ({"continuing": False, "taken_at": NOON}, NOON + CLOCKS_APART, True),
        ({"continuing": False, "taken_at": NOON}, NOON + CLOCKS_APART + timedelta(microseconds=1), False),
        ({"continuing": False, "taken_at": NOON}, NOON - timedelta(days=900), True),
        ({"continuing": False, "taken_at": NOON}, None, True),
        ({"continuing": False, "taken_at": None}, NOON + timedelta(days=9), True),
        ({"continuing": True, "taken_at": NOON}, NOON + timedelta(days=9), True),
    ],
)
def test_a_snapshot_keeps_whatever_did_not_surely_come_into_being_after_it(
    snapshot: dict[str, Any], created: datetime | None, kept: bool
) -> None:
    taken = replace(hold(record_types=frozenset({"loans"})), **snapshot)
    decision = decide(loan(LONG_AGO, created=created), criteria(ON), [taken])
    assert isinstance(decision, Keep) is kept
