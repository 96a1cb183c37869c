"""The schedule file: read whole and exactly, or refused with every problem on its line."""

import pickle
import re
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.condition import Compare
from retention.errors import ScheduleInvalid
from retention.loader import load, read_problems
from retention.naming import Naming
from retention.problems import Problem, ScheduleProblems
from retention.schedule import (
    ApprovalKind,
    Authority,
    Camera,
    Cutoff,
    Dependent,
    Limits,
    Period,
    Relation,
    StoreKind,
    TableLocation,
    TreeLocation,
    TriggerKind,
)
from tests.retention.schedules import LINES, SOUND, line_of, with_line, without

DATA = Path(__file__).parent / "data"
DOCS = Path(__file__).parents[2] / "docs" / "schedule.md"


def test_a_sound_schedule_is_read_whole() -> None:
    schedule = load(SOUND, "policies.toml")
    assert schedule.library.zone == ZoneInfo("America/Denver")
    assert schedule.library.fiscal_year_start == (7, 1)
    assert [(store.name, store.kind) for store in schedule.stores] == [
        ("ils", StoreKind.DATABASE),
        ("cams", StoreKind.FOOTAGE),
    ]
    loans = schedule.record_type("loans")
    assert (loans.cutoff, loans.approval, loans.cooling_off) == (
        Cutoff.DAY,
        ApprovalKind.CUSTODIAN,
        Period(days=1),
    )
    assert loans.limits == Limits(records=100, percent=10, jump=3)
    assert (loans.effective_from, loans.effective_until) == (date(2026, 1, 1), date(2030, 12, 31))
    wide, claimed = loans.rules
    assert (wide.id, wide.when, wide.minimum, wide.maximum) == (
        "default",
        None,
        Period(days=30),
        Period(years=1),
    )
    assert claimed.when == Compare("status", "=", "claimed")
    assert claimed.authority == Authority(citation="Claims policy", series="C-1")
    location = loans.location("loans")
    assert isinstance(location, TableLocation)
    assert (location.table, location.key, location.trigger, location.subject) == (
        "action.loans",
        "id",
        "returned",
        "patron",
    )
    assert location.trigger_kind is TriggerKind.TIMESTAMP
    assert location.zone == ZoneInfo("UTC")
    assert location.relations == (
        Relation(
            name="bill", table="money.bills", column="loan", matches="id", where=Compare("owed", ">", 0)
        ),
    )
    assert location.dependents == (
        Dependent(table="action.notices", column="loan", parent="action.loans", parent_column="id"),
        Dependent(
            table="action.texts", column="notice", parent="action.notices", parent_column="id", soft=True
        ),
    )
    footage = schedule.record_type("footage").location("recordings")
    assert isinstance(footage, TreeLocation)
    assert (footage.max_length, footage.settle, footage.unit) == (60.0, 300.0, "file")
    assert footage.zone == ZoneInfo("America/Denver")
    assert footage.cameras == {"entrance": Camera(branch="main", drift=120.0)}


ARCHIVE = """
[store.bucket]
kind = "s3"
title = "Archive"
[record-type.archived]
title = "Archived footage"
description = "Copies of the year"
authority = "Policy 7"
owner = "Facilities"
personal-data = ["likeness"]
trigger = "recorded"
cutoff = "day"
minimum = "P1Y"
disposition = "purge"
approval = "standing"
limits = { percent = 10 }
effective-from = 2026-01-01
[[record-type.archived.location]]
name = "archive"
store = "bucket"
path = "archive"
template = "{camera}/{Y}-{m}-{d}.mp4"
trigger-kind = "name"
time-zone = "UTC"
subject = "unknown"
max-length = "PT1H"
"""


def test_a_camera_is_known_wherever_a_layout_names_cameras_but_for_its_branch() -> None:
    """A hold on an old name must not keep less in the archive than on the recorder's disk."""
    text = with_line(
        line_of("camera.entrance"),
        "camera.entrance = { branch = 'main', drift = 120, also-called = ['front'] }",
    )

    def archive(more: str = "") -> TreeLocation:
        location = load(text + ARCHIVE + more, "p").record_type("archived").location("archive")
        assert isinstance(location, TreeLocation)
        return location

    assert archive().cameras == {"entrance": Camera(drift=120.0, also_called=("front",))}
    assert Naming.of(archive()).camera("front") == "entrance"
    own = "[record-type.archived.location.camera.front]\nbranch = 'east'\n"
    assert archive(own).cameras == {
        "front": Camera(branch="east"),
        "entrance": Camera(drift=120.0),
    }, "what a location says itself of a name counts there"
    more = "[record-type.archived.location.camera.entrance]\nalso-called = ['lobby']\n"
    assert archive(more).cameras == {"entrance": Camera(also_called=("lobby", "front"))}


def test_the_digest_is_of_the_content_and_not_of_its_layout() -> None:
    digest = load(SOUND, "a").digest
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert load("# a comment\n" + SOUND.replace(' = "', '   =    "'), "b").digest == digest
    assert load(SOUND.replace('"2026-01-01"', "2026-01-01"), "c").digest == digest
    assert load(SOUND.replace("P30D", "P31D"), "d").digest != digest


REQUIRED = [
    "version", "organization", "custodian", "time-zone = \"America", "fiscal-year-start", "title = \"ILS", "description = \"Who",
    "authority = \"Loan", "owner = \"Circ", "personal-data = [\"patron", "trigger = \"returned", "cutoff = \"day",
    "minimum = \"P30D", "disposition = \"purge\"\napproval = \"custodian", "approval = \"custodian", "cooling-off", "limits = { records",
    "effective-from = 2026", "id = \"claimed", "when", "authority = { citation = \"Claims", "minimum = \"P60D",
    "name = \"loans", "table = \"action.loans", "key", "trigger-column", "trigger-kind = \"timestamp", "time-zone = \"UTC",
    "subject = \"patron", "name = \"bill", "table = \"money", "column = \"loan\"\nmatches", "matches", "parent-column", "path", "template",
    "trigger-kind = \"name", "time-zone = \"library", "max-length", "subject = \"unknown", "what", "reason",
]  # fmt: skip


@pytest.mark.parametrize("start", [start.split("\n")[0] for start in REQUIRED if "\n" not in start])
def test_what_is_required_is_missed_by_name(start: str) -> None:
    key = start.split(" ", maxsplit=1)[0]
    problems = read_problems(without(line_of(start)), "policies.toml")
    assert [problem.code for problem in problems][:1] == ["P004"]
    assert f"{key} is missing" in problems[0].message
    assert len(problems) == 1, list(map(str, problems))


# The line that is replaced, its new text, and the code and the words that must come out, on exactly that line.
WRONG = [
    ("custodian", "custodain = 'Director'", "P003", "unknown key 'custodain'", "did you mean 'custodian'?"),
    ("kind = \"database", "kind = 'databse'", "P006", "'databse' is not known", "did you mean 'database'?"),
    ("organization", "organization = 3", "P005", "must be text, not a number", "quotes"),
    ("organization", "organization = '  '", "P007", "is empty", "say it"),
    ("time-zone = \"America", "time-zone = 'Mars/Olympus'", "P014", "'Mars/Olympus' is not a known time zone", "IANA"),
    ("time-zone = \"America", "time-zone = 'America/Denvr'", "P014", "not a known time zone", "did you mean 'America/Denver'?"),
    ("time-zone = \"America", "time-zone = '../../etc/passwd'", "P014", "not a known time zone", "IANA"),
    ("time-zone = \"America", "time-zone = 'localtime'", "P014", "not a known time zone", "IANA"),
    ("fiscal-year-start", "fiscal-year-start = '02-29'", "P016", "not a day of every year", "07-01"),
    ("fiscal-year-start", "fiscal-year-start = 7", "P005", "must be text", ""),
    ("personal-data = [\"patron", "personal-data = []", "P007", "empty list", "at least one"),
    ("personal-data = [\"patron", "personal-data = ['a', 3]", "P005", "must be text", ""),
    ("minimum = \"P30D", "minimum = '30 days'", "P015", "'30 days' is not an ISO 8601 period", "P3Y"),
    ("minimum = \"P30D", "minimum = 'PT24H'", "P015", "no hours", "P3Y"),
    ("minimum = \"P30D", "minimum = 30", "P015", "must be an ISO 8601 period, not a number", "P90D"),
    ("minimum = \"P30D", "minimum = 'P2Y'", "P012", "minimum P2Y (Loan law) is above maximum P1Y (Loan law)", "authorities"),
    ("minimum = \"P60D", "minimum = 'P2Y'", "P013", "minimum P2Y (Claims policy) is above maximum P1Y (Loan law)", "exclusive"),
    ("minimum = \"P60D", "minimum = 'P30D'", "P019", "the rule 'claimed' changes nothing", "latest end"),
    ("cutoff = \"day", "cutoff = 'year'", "P006", "'year' is not known", "one of: day, event, fiscal-year, month"),
    ("approval = \"custodian", "approval = 'two-persons'", "P006", "not known", "did you mean 'two-person'?"),
    ("cooling-off", "cooling-off = '1 day'", "P015", "not an ISO 8601 period", "P3Y"),
    ("limits = { records", "limits = { jump = 2 }", "P007", "names neither records nor percent", "brake"),
    ("limits = { records", "limits = { records = 0 }", "P018", "0 is out of range", "at least 1"),
    ("limits = { records", "limits = { records = 1.5 }", "P005", "must be a whole number", "at least 1"),
    ("limits = { records", "limits = { percent = 101 }", "P018", "101 is out of range", "at most 100"),
    ("limits = { records", "limits = { percent = nan }", "P018", "nan is out of range", ""),
    ("limits = { records", "limits = { percent = true }", "P005", "not true or false", ""),
    ("limits = { records", "limits = 5", "P005", "must be a table", ""),
    ("effective-until", "effective-until = 2025-12-31", "P017", "ends before it begins", "turn them round"),
    ("effective-until", "effective-until = 2026-02-01T00:00:00", "P005", "must be text, not a date or time", ""),
    ("authority = { citation = \"Claims", "authority = { series = 'x' }", "P005", "must be a citation", "series"),
    ("id = \"claimed", "id = 'default'", "P008", "the rule 'default' is already on line 13", "another name"),
    ("when", "when = 'x = NULL'", "P024", "compares with NULL", "is null"),
    ("when", "when = \"status = lower('A')\"", "P024", "a function is not allowed", "columns with values"),
    ("when", "when = \"id in (select 1)\"", "P024", "a subquery is not allowed", "blocked-by"),
    ("table = \"action.loans", "table = 'loans; drop table x'", "P020", "not a plain table name", "schema.table"),
    ("table = \"action.loans", "table = 'a.b.c'", "P020", "not a plain table name", "schema.table"),
    ("table = \"action.loans", "table = 'loans\"'", "P020", "not a plain table name", "schema.table"),
    ("key", "key = 'id or 1=1'", "P020", "not a plain column name", "no quotes"),
    ("key", "key = \"id\\n--\"", "P020", "not a plain column name", "no quotes"),
    ("trigger-column", "trigger-column = 'patron'", "P022", "the trigger is the key or the subject", "date"),
    ("trigger-kind = \"timestamp", "trigger-kind = 'modified'", "P022", "modified gives no trigger for a table", "timestamp, date"),
    ("trigger-kind = \"timestamp", "trigger-kind = 'date-time'", "P006", "not known", "did you mean 'date'?"),
    ("subject = \"patron", "subject = 'the patron'", "P020", "not a plain column name", ""),
    ("branch", "path = 'x'", "P022", "does not belong here", "remove it"),
    ("branch", "clear = ['patron']", "P028", "clear is for anonymizing", "remove it"),
    ("blocked = ", "blocked = 'sleep(1)'", "P024", "a function is not allowed", ""),
    ("soft", "soft = 'yes'", "P005", "must be true or false, not text", ""),
    ("expect", "expect = 'not-yet'", "P040", "expects 'not-yet' but comes out 'due'", "not what was meant"),
    ("expect", "expect = 'gone'", "P006", "'gone' is not known", ""),
    ("fields", "fields = { opted = false }", "P041", "no condition asks for 'opted'", "did you mean 'opted_in'?"),
    ("fields", "related = { bil = false }", "P041", "the location has no blocked-by 'bil'", "did you mean 'bill'?"),
    ("trigger = \"2026", "trigger = '2026-01-01'", "P041", "a trigger of kind timestamp is a time", ""),
    ("trigger = \"2026", "trigger = 'yesterday'", "P016", "neither a day nor a time", ""),
    ("path", "path = '../etc'", "P034", "leaves its store", "relative"),
    ("path", "path = '/etc'", "P034", "leaves its store", "relative"),
    ("template", "template = '{camera}/../{Y}.mp4'", "P034", "leaves its folder", ""),
    ("template", "template = '{Y}-{m}-{d}/{H}.mp4'", "P032", "{camera} is missing", "hold on a camera"),
    ("max-length", "max-length = 0", "P032", "must be more than 0", "PT60S"),
    ("max-length", "max-length = 'P1M'", "P015", "no fixed length", "PT60S"),
    ("settle", "settle = -1", "P015", "not negative", ""),
    ("subject = \"unknown", "subject = 'patron'", "P006", "'patron' is not known", "one of: none, unknown"),
    ("camera.entrance", "table = 'x'", "P022", "does not belong here", ""),
    ("camera.entrance", "consent = 'agreed'", "P022", "files have no columns", ""),
    ("camera.entrance", "camera.entrance = { branch = 1 }", "P005", "must be text", ""),
    ("camera.entrance", "camera.entrance = { drift = 'P1M' }", "P015", "no fixed length", ""),
    ("camera.entrance", "camera = { a = { also-called = ['b'] }, b = {} }", "P036", "'b' is the name of two cameras", ""),
    ("camera.entrance", "vault = 'ils'", "P038", "'ils' cannot be the vault of a location in 'cams'", "footage"),
    ("camera.entrance", "vault = 'cams'", "P038", "'cams' cannot be the vault of a location in 'cams'", "footage"),
    ("what", "what = 3", "P005", "must be text", ""),
    ("version", "version = 99999999999999999999", "P005", "must be text", ""),
]  # fmt: skip


@pytest.mark.parametrize(("start", "text", "code", "message", "hint"), [case for case in WRONG if case[1]])
def test_a_wrong_value_is_named_on_its_own_line(
    start: str, text: str, code: str, message: str, hint: str
) -> None:
    line = line_of(start)
    problems = read_problems(with_line(line, text), "policies.toml")
    (found,) = [problem for problem in problems if problem.code == code]
    assert found.line == line
    assert message in found.message
    assert hint in found.hint
    assert len(str(found).splitlines()) <= 2


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("version = ", 1, "Invalid value"),
        ("a = 1\nb = 2\nb = 3\n", 3, "Cannot overwrite a value"),
        ("a = 1\n[b\n", 2, "Expected ']'"),
        ("a = [1,", 1, "Invalid value"),
        ("a = " + "[" * 5000, 1, "nested too deeply"),
        ("\ufeffversion = 1", 1, "Invalid statement"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    (problem,) = read_problems(text, "policies.toml")
    assert (problem.code, problem.line) == ("P001", line)
    assert message in problem.message


@pytest.mark.parametrize("text", ["", "# nothing\n", 'version = "1"\n'])
def test_an_empty_schedule_is_no_schedule(text: str) -> None:
    assert "P010" in {problem.code for problem in read_problems(text, "policies.toml")}


def test_a_record_type_without_a_place_is_no_record_type() -> None:
    start, end = line_of("[[record-type.footage.location"), line_of("[[exempt")
    problems = read_problems("\n".join(LINES[: start - 1] + LINES[end - 1 :]), "policies.toml")
    assert [(problem.code, problem.line) for problem in problems] == [
        ("P010", line_of("[record-type.footage]"))
    ]


@pytest.mark.parametrize(
    ("one", "other", "allowed"),
    [
        ("kind = 'a'", "kind = 'b'", True),
        ("kind in ('a', 'b')", "kind = 'c'", True),
        ("kind = 'a'", "kind <> 'a'", True),
        ("kind = 'a'", "not (kind = 'a')", True),
        ("kind is null", "kind = 'a'", True),
        ("amount = 3", "amount > 5", True),
        ("kind = 'a' and amount > 1", "amount > 1 and kind = 'b'", True),
        ("kind = 'a'", "kind = 'a'", False),
        ("kind in ('a', 'b')", "kind = 'b'", False),
        ("kind = 'a'", "amount = 1", False),
        ("kind = 'a' or amount = 1", "kind = 'b'", False),
        ("amount < 5", "amount > 5", False),  # true, but more than the check can see
    ],
)
def test_rules_that_contradict_each_other_must_be_seen_to_exclude_each_other(
    one: str, other: str, allowed: bool
) -> None:
    rules = "\n".join(
        f'[[record-type.loans.rule]]\nid = "{id}"\nwhen = "{when}"\nauthority = "{id} law"\nminimum = "{low}"\nmaximum = "{high}"'
        for id, when, low, high in [("long", one, "P9M", "P1Y"), ("short", other, "P40D", "P3M")]
    )
    line = line_of("[[record-type.loans.location]]")
    problems = [
        problem
        for problem in read_problems(with_line(line, f"{rules}\n{LINES[line - 1]}"), "p")
        if problem.code == "P013"
    ]
    assert (problems == []) is allowed
    if not allowed:
        assert "minimum P9M (long law) is above maximum P3M (short law)" in problems[0].message


def test_one_table_has_one_record_type() -> None:
    text = SOUND + "\n".join(
        LINES[line_of("[record-type.loans]") - 1 : line_of("[record-type.footage]") - 1]
    ).replace("record-type.loans", "record-type.more")
    assert [problem.code for problem in read_problems(text, "p")] == ["P023"]


def test_no_rows_go_as_dependents_that_have_rules_of_their_own() -> None:
    more = "\n".join(LINES[line_of("[record-type.loans]") - 1 : line_of("[record-type.footage]") - 1])
    more = more.replace("record-type.loans", "record-type.more").replace("action.loans", "action.texts")
    more = (
        more[: more.index("[[record-type.more.location.dependent")]
        + more[more.index("[[record-type.more.example") :]
    )
    (problem,) = read_problems(SOUND + more, "p")
    assert (problem.code, problem.line) == ("P023", line_of("[[record-type.loans.location]]"))
    assert "would go as dependents here" in problem.message


def test_consent_needs_a_maximum() -> None:
    (problem,) = read_problems(without(line_of('maximum = "P1Y"')), "p")
    assert (problem.code, problem.line) == ("P026", line_of("consent") - 1)


def test_files_have_no_rules_with_conditions() -> None:
    rule = "[[record-type.footage.rule]]\nid = 'x'\nwhen = 'x'\nauthority = 'y'\nminimum = 'P60D'\n"
    (problem,) = read_problems(SOUND + rule, "p")
    assert (problem.code, problem.line) == ("P022", line_of("[[record-type.footage.location]]"))


def test_problems_travel_between_processes() -> None:
    with pytest.raises(ScheduleInvalid) as raised:
        load("", "policies.toml")
    assert isinstance(raised.value, ScheduleProblems)
    copy = pickle.loads(pickle.dumps(raised.value))  # noqa: S301  # our own bytes
    assert copy.problems == raised.value.problems
    assert str(copy) == str(raised.value)
    assert copy.exit_code == 4


def test_a_problem_is_one_line_with_file_line_and_code() -> None:
    problem = Problem(file="policies.toml", line=12, code="P014", message="no such zone", hint="write UTC")
    assert str(problem) == "policies.toml:12: error[P014] no such zone\n  hint: write UTC"


def test_names_of_the_file_cannot_write_their_own_lines() -> None:
    text = SOUND + '"a\\npolicies.toml:1: error[P999] forged" = 1\n"\\u001b[31m" = 2\n'
    for problem in read_problems(text, "policies.toml"):
        assert len(str(problem).splitlines()) <= 2
        assert "\x1b" not in str(problem)


def test_every_problem_of_a_broken_schedule_is_told_at_once() -> None:
    problems = read_problems((DATA / "broken.toml").read_text(encoding="utf-8"), "broken.toml")
    assert "\n".join(map(str, problems)) + "\n" == (DATA / "broken.txt").read_text(encoding="utf-8")


def test_every_code_is_documented() -> None:
    sources = Path(__file__).parents[2] / "retention"
    files = ("loader", "checks", "places", "fields", "reading", "examples", "shredding")
    used = {
        code
        for name in files
        for code in re.findall(r'"(P\d{3})"', (sources / f"{name}.py").read_text(encoding="utf-8"))
    }
    assert used
    assert used == set(re.findall(r"^\| (P\d{3}) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE))


@given(st.integers(0, len(LINES) - 1), st.text(max_size=30))
def test_no_text_on_any_line_breaks_the_reader(index: int, text: str) -> None:
    key = LINES[index].split("=")[0]
    for replacement in (text, f"{key}= {text}", f"{key}= {text!r}"):
        lines = [*LINES[:index], replacement, *LINES[index + 1 :]]
        for problem in read_problems("\n".join(lines), "policies.toml"):
            assert 1 <= problem.line <= len("\n".join(lines).split("\n")) + 1
            assert len(str(problem).splitlines()) <= 2


@pytest.mark.parametrize(
    ("disposition", "problem"), [("purge", False), ("anonymize", True), ("crypto-shred", True)]
)
def test_rows_have_a_vault_only_where_they_are_purged(disposition: str, problem: bool) -> None:
    """Copies of rows that are not purged would go by no rule: the record type's disposition is theirs."""
    text = SOUND.replace('disposition = "purge"', f'disposition = "{disposition}"', 1)
    text = text.replace('table = "action.loans"', 'table = "action.loans"\nvault = "cams"', 1)
    assert ("P038" in {one.code for one in read_problems(text, "policies.toml")}) is problem


def test_the_copies_of_rows_are_a_location_of_the_record_type() -> None:
    text = SOUND.replace('table = "action.loans"', 'table = "action.loans"\nvault = "cams"', 1)
    loans = load(text, "policies.toml").record_type("loans")
    copies = loans.location(f"{loans.locations[0].name}-vault")
    assert copies.stores == ("cams", "ils")
    assert copies.subject == loans.locations[0].subject
