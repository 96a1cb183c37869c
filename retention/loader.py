"""Making a `Schedule` from the text of ``policies.toml``, or saying everything that is wrong with it.

Refuses to give out half a schedule: one problem anywhere, and there is none. Pure: takes the text, reads no file. Required
means required; the only defaults are those named in ``docs/schedule.md``, and none of them makes anything due sooner.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import tomllib
from datetime import date, time
from typing import Any, cast
from zoneinfo import ZoneInfo

import rfc8785

from retention import checks, examples, fields
from retention.cameras import share_cameras
from retention.places import BROKEN, read_location
from retention.positions import Path, positions
from retention.problems import Problem, ScheduleProblems, did_you_mean, one_line, quote
from retention.reading import Report, Table
from retention.schedule import (
    ApprovalKind,
    Authority,
    Cutoff,
    Disposition,
    Example,
    Exemption,
    Library,
    Limits,
    Period,
    RecordType,
    Rule,
    Schedule,
    StoreDeclaration,
    StoreKind,
    TableLocation,
    TreeLocation,
)

DEFAULT_RULE = "default"
"""Id of a record type's own rule, the wide one: its ``authority``, ``minimum`` and ``maximum``."""

_NO_TIME, _FOR_EVER = Period(), Period(years=9999)
_NOBODY = Authority(citation="?")

_RECORDS = fields.number(lambda count: count >= 1, "at least 1", whole=True)
_PERCENT = fields.number(lambda share: 0 < share <= 100, "above 0, at most 100")
_JUMP = fields.number(
    lambda factor: factor >= 1, "at least 1: that many times the largest of the last three cases"
)


def load(text: str, filename: str) -> Schedule:
    """The schedule of this text. Raises `ScheduleProblems` (a `ScheduleInvalid`) that carries every problem found."""
    schedule, problems = _read(text, filename)
    if schedule is None or problems:
        raise ScheduleProblems(tuple(problems))
    return schedule


def read_problems(text: str, filename: str) -> list[Problem]:
    """Every problem of this text in the order of its lines; an empty list means that `load` succeeds."""
    return _read(text, filename)[1]


def _read(text: str, filename: str) -> tuple[Schedule | None, list[Problem]]:
    try:
        document = tomllib.loads(text)
        lines = positions(text)
    except tomllib.TOMLDecodeError as error:
        return None, [_syntax(str(error), text, filename)]
    except RecursionError:
        return None, [_syntax("nested too deeply", text, filename)]
    report = Report(filename, lines)
    root = Table(document, (), report)
    library = _library(root.table("library"), root)
    stores = [_store(name, table) for name, table in root.named_tables("store").items()]
    kinds = {store.name: store.kind for store in stores}
    types = [
        (_record_type(name, table, kinds, library), table.path)
        for name, table in root.named_tables("record-type").items()
    ]
    if not types:
        root.problem(
            "P010", "nothing is scheduled: there is no record type", "begin with [record-type.past-checkouts]"
        )
    checks.check_between(types, report)
    exemptions = tuple(_exemption(table, kinds) for table in root.tables("exempt"))
    version = root.required("version", fields.text, "")
    root.close()
    digest = _digest(document, report)
    if not report.problems:
        types = [
            (dataclasses.replace(one, digest=_rule_digest(document, one.id, report)), path)
            for one, path in types
        ]
        shared = share_cameras([one for one, _ in types])
        types = list(zip(shared, (path for _, path in types), strict=True))
    schedule = Schedule(
        version=version,
        digest=digest,
        library=library,
        stores=tuple(stores),
        record_types=tuple(record_type for record_type, _ in types),
        exemptions=exemptions,
    )
    return schedule, sorted(report.problems, key=lambda problem: (problem.line, problem.code))


def _syntax(error: str, text: str, filename: str) -> Problem:
    found = re.search(r"\(at line (\d+), column (\d+)\)|\(at end of document\)", error)
    line = int(found[1]) if found and found[1] else max(1, text.count("\n") + (not text.endswith("\n")))
    reason = error[: found.start()].strip() if found else error
    place = f" at column {found[2]}" if found and found[2] else ""
    return Problem(
        file=filename, line=line, code="P001", message=f"not TOML: {one_line(reason)}{place}",
        hint="mend this first; nothing else was looked at",
    )  # fmt: skip


def _digest(document: dict[str, object], report: Report) -> str:
    """SHA-256 (hex) over the RFC 8785 canonical JSON of the document, dates as ISO 8601 text."""
    try:
        return hashlib.sha256(rfc8785.dumps(_plain(document, (), report))).hexdigest()
    except rfc8785.CanonicalizationError:
        report.add(
            (), "P005", "a text or number in the file cannot be written as JSON", "look for broken characters"
        )
        return ""


def _rule_digest(document: dict[str, Any], id: str, report: Report) -> str:
    """What a standing approval is bound to: the record type, and the library's time zone and fiscal year, which move its days."""
    return _digest({"library": document["library"], id: document["record-type"][id]}, report)


def _plain(value: Any, path: Path, report: Report) -> Any:
    match value:
        case dict():
            return {str(key): _plain(item, (*path, key), report) for key, item in value.items()}
        case list():
            return [_plain(item, (*path, index), report) for index, item in enumerate(value)]
        case date() | time():
            return value.isoformat()
        case bool() | str():
            return value
        case int() | float() if not -(2**53) < value < 2**53:  # also refuses infinity and "not a number"
            if all(problem.line != report.line(path) for problem in report.problems):
                report.add(path, "P018", f"{quote(value)} is out of range", "numbers stay below 2^53")
            return 0
    return value


def _library(table: Table | None, root: Table) -> Library:
    if table is None:
        if "library" not in root:
            root.problem(
                "P004",
                "[library] is missing",
                "it names the organization, its custodian, time zone and fiscal year",
            )
        return Library(organization="", custodian="", zone=ZoneInfo("UTC"), fiscal_year_start=(1, 1))
    library = Library(
        organization=table.required("organization", fields.text, ""),
        custodian=table.required("custodian", fields.text, ""),
        zone=table.required("time-zone", fields.zone, ZoneInfo("UTC")),
        fiscal_year_start=table.required("fiscal-year-start", fields.month_and_day, (1, 1)),
    )
    table.close()
    return library


def _store(name: str, table: Table) -> StoreDeclaration:
    _own_id(name, table)
    store = StoreDeclaration(
        name=name,
        kind=table.required("kind", fields.choice(StoreKind), StoreKind.DATABASE),
        title=table.required("title", fields.text, ""),
        residual=table.optional("residual", fields.periods, ()) or (),
    )
    table.close({"url": "addresses come from settings", "password": "secrets come from settings"})
    return store


def _own_id(name: str, table: Table) -> None:
    try:
        fields.identifier(name)
    except fields.Wrong as wrong:
        table.problem(wrong.code, wrong.message, wrong.hint)


def _record_type(name: str, table: Table, stores: dict[str, StoreKind], library: Library) -> RecordType:
    _own_id(name, table)
    before = len(table.report.problems)
    approval = table.required("approval", fields.choice(ApprovalKind), ApprovalKind.TWO_PERSON)
    cooling = table.optional if approval is ApprovalKind.STANDING else table.required
    record_type = RecordType(
        id=name,
        title=table.required("title", fields.text, ""),
        description=table.required("description", fields.text, ""),
        owner=table.required("owner", fields.text, ""),
        personal_data=table.required("personal-data", fields.texts, ()),
        trigger_event=table.required("trigger", fields.text, ""),
        cutoff=table.required("cutoff", fields.choice(Cutoff), Cutoff.DAY),
        rules=_rules(table),
        disposition=table.required("disposition", fields.choice(Disposition), Disposition.PURGE),
        approval=approval,
        cooling_off=cooling("cooling-off", fields.period, _NO_TIME) or _NO_TIME,
        limits=_limits(table),
        effective_from=table.required("effective-from", fields.day, date.min),
        effective_until=table.optional("effective-until", fields.day, date.max),
        locations=tuple(
            cast("TableLocation | TreeLocation", read_location(item, stores, library))
            for item in table.tables("location")
        ),
        examples=(),
    )
    inline = [(_example(item, record_type), item) for item in table.tables("example")]
    table.close()
    checks.check_record_type(record_type, table.path, table.report)
    if len(table.report.problems) > before:
        return record_type  # what has problems is not decided by
    return _with_vaults(_with_examples(record_type, inline, library))


def _with_vaults(record_type: RecordType) -> RecordType:
    """Its locations, and behind them those of the copies that holds make: the same rule ends them."""
    made = (location.in_vault(record_type.id) for location in record_type.locations)
    vaults = [vault for vault in made if vault is not None]
    return dataclasses.replace(record_type, locations=(*record_type.locations, *vaults))


def _rules(table: Table) -> tuple[Rule, ...]:
    wide = Rule(
        id=DEFAULT_RULE,
        authority=table.required("authority", fields.authority, _NOBODY),
        minimum=table.required("minimum", fields.period, fields.BROKEN_PERIOD),
        maximum=table.optional("maximum", fields.period, _FOR_EVER),
    )
    return (wide, *map(_rule, table.tables("rule")))


def _rule(table: Table) -> Rule:
    rule = Rule(
        id=table.required("id", fields.identifier, ""),
        when=table.required("when", fields.condition, BROKEN),
        authority=table.required("authority", fields.authority, _NOBODY),
        minimum=table.required("minimum", fields.period, fields.BROKEN_PERIOD),
        maximum=table.optional("maximum", fields.period, _FOR_EVER),
    )
    table.close()
    return rule


def _limits(parent: Table) -> Limits:
    table = parent.table("limits")
    if table is None:
        if "limits" not in parent:
            hint = "limits = { records = 50000, percent = 10, jump = 3 }: a case above one of them stops for a person"
            parent.problem("P004", "limits is missing", hint)
        return Limits()
    records = table.optional("records", _RECORDS, 1.0)
    limits = Limits(
        records=None if records is None else int(records),
        percent=table.optional("percent", _PERCENT, 1.0),
        jump=table.optional("jump", _JUMP, 1.0),
    )
    table.close()
    if limits.records is None and limits.percent is None:
        table.problem(
            "P007",
            "names neither records nor percent",
            "a brake needs a number: records = 50000 or percent = 10",
        )
    return limits


def _example(table: Table, record_type: RecordType) -> Example:
    names = [location.name for location in record_type.locations]
    if len(names) == 1:
        location = table.optional("location", fields.one_of(*names), "") or names[0]
    else:
        location = table.required("location", fields.one_of(*names), "")
    example = Example(
        line=table.report.line(table.path),
        location=location,
        on=table.required("on", fields.day, date.min),
        trigger=table.optional("trigger", fields.moment, "2000-01-01"),
        facts=table.optional("fields", fields.by_column, {}) or {},
        related=table.optional("related", fields.truths, {}) or {},
        expect=table.required("expect", fields.one_of(*examples.EXPECTATIONS), "due"),
    )
    table.close()
    return example


def _with_examples(
    record_type: RecordType, inline: list[tuple[Example, Table]], library: Library
) -> RecordType:
    """Take the examples in and run those that make sense."""
    sound = [example for example, table in inline if _is_sound(example, table, record_type)]
    tables = {id(example): table for example, table in inline}
    decided = dataclasses.replace(record_type, examples=tuple(sound))
    for failure in examples.failures(decided, library):
        until = "" if failure.until is None else f" (kept until the end of {failure.until})"
        message = (
            f"the example expects {quote(failure.example.expect)} but comes out {quote(failure.got)}{until}"
        )
        hint = "either the rule or the example is not what was meant"
        tables[id(failure.example)].problem("P040", message, hint, "expect")
    return decided


def _is_sound(example: Example, table: Table, record_type: RecordType) -> bool:
    location = record_type.location(example.location)
    before = len(table.report.problems)
    try:
        examples.read_trigger(example, location)
    except ValueError as error:
        table.problem("P041", str(error), "write it as the column or the file gives it", "trigger")
    known = examples.asked(record_type, location)
    for name in set(example.facts) - known:
        hint = did_you_mean(name, known) or "leave it out"
        table.problem("P041", f"no condition asks for {quote(name)}", hint, "fields")
    relations = (
        {relation.name for relation in location.relations} if isinstance(location, TableLocation) else set()
    )
    for name in set(example.related) - relations:
        hint = did_you_mean(name, relations) or "leave it out"
        table.problem("P041", f"the location has no blocked-by {quote(name)}", hint, "related")
    return len(table.report.problems) == before


def _exemption(table: Table, stores: dict[str, StoreKind]) -> Exemption:
    store = table.required("store", fields.text, "")
    if store and store not in stores:
        table.problem("P021", f"unknown store {quote(store)}", did_you_mean(store, stores), "store")
    exemption = Exemption(
        store=store,
        what=table.required("what", fields.text, ""),
        reason=table.required("reason", fields.text, ""),
    )
    table.close()
    return exemption
