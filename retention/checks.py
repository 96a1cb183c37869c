"""What must hold between the parts of a record type, and between record types.

Each function reports one kind of contradiction. Nothing is solved here by precedence: a minimum above a maximum is an error of
the schedule, named with both authorities, because only a hold may carry a record past its maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from retention import dates, fields, shredding
from retention.condition import And, Compare, Condition, In, IsNull
from retention.decide import governing_maximum
from retention.evaluate import columns, evaluate
from retention.positions import Path
from retention.problems import quote
from retention.reading import Report
from retention.records import Value
from retention.schedule import (
    WITHDRAWN,
    Cutoff,
    Disposition,
    Period,
    RecordType,
    Rows,
    Rule,
    TableLocation,
    TreeLocation,
)


def check_record_type(record_type: RecordType, path: Path, report: Report) -> None:
    """Every contradiction inside one record type."""
    _rules(record_type, path, report)
    if record_type.disposition is Disposition.CRYPTO_SHRED:
        shredding.check(record_type, path, report)
    ids = [(rule.id, (*_rule_path(path, index), "id")) for index, rule in enumerate(record_type.rules)]
    unique(report, ids, "rule")
    places = [
        (place.name, (*path, "location", index, "name")) for index, place in enumerate(record_type.locations)
    ]
    places += [
        (f"{place.name}-vault", (*path, "location", index, "vault"))
        for index, place in enumerate(record_type.locations)
        if place.vault
    ]
    unique(report, places, "location")
    if not record_type.locations:
        report.add(path, "P010", "has no location", "say where its records live: [[record-type.ID.location]]")
    until = record_type.effective_until
    if until is not None and until < record_type.effective_from:
        report.add(
            (*path, "effective-until"),
            "P017",
            f"ends before it begins ({record_type.effective_from})",
            "turn them round",
        )
    for index, location in enumerate(record_type.locations):
        here = (*path, "location", index)
        if location.consent is not None and record_type.rules and record_type.rules[0].maximum is None:
            hint = "give the record type a maximum: with consent a record lives until then, and without one for ever"
            report.add((*here, "consent"), "P026", "consent without a maximum", hint)
        if isinstance(location, TreeLocation):
            _tree(location, record_type, here, report)
        else:
            _table(location, record_type, here, report)


def unique(report: Report, names: Iterable[tuple[str, Path]], what: str) -> None:
    """Report every name that was given before."""
    seen: dict[str, int] = {}
    for name, path in names:
        if name and name in seen:
            report.add(
                path,
                "P008",
                f"the {what} {quote(name)} is already on line {seen[name]}",
                "give it another name",
            )
        seen.setdefault(name, report.line(path))


def _rule_path(path: Path, index: int) -> Path:
    """The first rule is the record type's own; the narrower ones follow."""
    return path if index == 0 else (*path, "rule", index - 1)


def _rules(record_type: RecordType, path: Path, report: Report) -> None:
    wide, *narrow = record_type.rules
    for index, rule in enumerate(record_type.rules):
        if rule.maximum is not None and _above(rule.minimum, rule.maximum):
            _exceeds(rule, rule, (*_rule_path(path, index), "minimum"), report)
    for index, rule in enumerate(narrow, start=1):
        here = (*_rule_path(path, index), "minimum")
        _together([wide, rule], here, report)
        broken = rule.minimum is fields.BROKEN_PERIOD or wide.minimum is fields.BROKEN_PERIOD
        if rule.maximum is None and not broken and not dates.may_exceed(rule.minimum, wide.minimum):
            message = f"the rule {quote(rule.id)} changes nothing: its minimum is not above that of {quote(wide.id)}"
            report.add(
                here,
                "P019",
                message,
                "the latest end of a minimum wins; lower the wide minimum or remove the rule",
            )
    for (_, one), (index, other) in combinations(enumerate(narrow, start=1), 2):
        if not exclusive(one.when, other.when):
            _together([one, other], (*_rule_path(path, index), "minimum"), report)


def _together(rules: Sequence[Rule], path: Path, report: Report) -> None:
    """Two rules that may apply to one record: the larger minimum against the maximum that would govern."""
    governing = governing_maximum(rules)
    if governing is None or governing.maximum is None:
        return
    for rule in rules:
        if rule is not governing and _above(rule.minimum, governing.maximum):
            _exceeds(rule, governing, path, report)


def _above(minimum: Period, maximum: Period) -> bool:
    return minimum is not fields.BROKEN_PERIOD and dates.may_exceed(minimum, maximum)


def _exceeds(lower: Rule, upper: Rule, path: Path, report: Report) -> None:
    assert upper.maximum is not None
    message = (
        f"minimum {dates.format_period(lower.minimum)} ({lower.authority.citation}) is above "
        f"maximum {dates.format_period(upper.maximum)} ({upper.authority.citation})"
    )
    if lower is upper:
        report.add(path, "P012", message, "one of the two authorities is misread; neither wins by itself")
        return
    message = f"rules {quote(lower.id)} and {quote(upper.id)} may apply together: {message}"
    hint = "make their conditions exclusive (column = 'a' here, column = 'b' there) or change one period"
    report.add(path, "P013", message, hint)


def exclusive(one: Condition | None, other: Condition | None) -> bool:
    """Whether two conditions can be seen never to be true together: one column asked for different values. Not a prover."""
    if one is None or other is None:
        return False
    return any(
        _rules_out(left, right) or _rules_out(right, left)
        for left in _conjuncts(one)
        for right in _conjuncts(other)
    )


def _conjuncts(condition: Condition) -> tuple[Condition, ...]:
    return condition.parts if isinstance(condition, And) else (condition,)


def _rules_out(one: Condition, other: Condition) -> bool:
    """Whether every value that makes ``one`` true leaves ``other``, on the same column, not true."""
    values: tuple[Value, ...]
    match one:
        case Compare(column, "=", value):
            values = (value,)
        case In(column, values, False):
            pass
        case IsNull(column, False):
            values = (None,)
        case _:
            return False
    return columns(other) == {column} and all(
        evaluate(other, {column: value}) is not True for value in values
    )


def _tree(location: TreeLocation, record_type: RecordType, path: Path, report: Report) -> None:
    if location.recorded is not None:
        _recorded_consent(location, record_type, (*path, "export", "consent"), report)
    if location.rows is not None:
        _rows_inside(location, location.rows, record_type, (*path, "rows"), report)
        return
    if record_type.disposition is Disposition.ANONYMIZE:
        report.add(path, "P028", "files cannot be anonymized", 'use disposition = "purge" for file stores')
    if record_type.cutoff is Cutoff.EVENT:
        message = "a file's name or time is no closing event"
        report.add(path, "P027", message, 'use cutoff = "day", "month" or "fiscal-year" for file stores')
    if any(rule.when is not None for rule in record_type.rules):
        message = "its record type has rules with conditions, and files have no columns to ask"
        report.add(path, "P022", message, "give these files a record type of their own")
    for key, condition in (("consent", location.consent), ("blocked", location.blocked)):
        if condition is not None:
            report.add(
                (*path, key),
                "P022",
                "files have no columns to ask",
                "declare it on a table, or narrow by location",
            )


def _recorded_consent(location: TreeLocation, record_type: RecordType, path: Path, report: Report) -> None:
    """A consent that is asked person by person needs rows with a person in them, and a condition that asks for it."""
    if location.rows is None:
        message = "consent that a store records is asked for each row, and these files go whole"
        report.add(
            path, "P039", message, "say what makes a row: [….location.rows], or name the category only"
        )
        return
    asking = [location.consent, location.blocked, *(rule.when for rule in record_type.rules)]
    if not any(WITHDRAWN in columns(condition) for condition in asking if condition is not None):
        message = "no condition asks whether consent was withdrawn: nobody would ever be looked up"
        report.add(path, "P039", message, f'give the location consent = "{WITHDRAWN} = false"')


def _rows_inside(
    location: TreeLocation, rows: Rows, record_type: RecordType, path: Path, report: Report
) -> None:
    for key, given in (("recorder", location.recorder), ("vault", location.vault)):
        if given:
            report.add((*path[:-1], key), "P022", "it is for files that go whole", "remove it")
    if rows.trigger and rows.trigger in {*rows.key, location.subject}:
        message = "the trigger is part of the key or the subject"
        report.add((*path, "trigger-column"), "P022", message, "name the column with its date")
    if record_type.cutoff is Cutoff.EVENT and not rows.trigger:
        message = "a file's name or time is no closing event"
        report.add(path, "P027", message, "name the column with the event: trigger-column")
    deciding: dict[str, str] = dict.fromkeys(rows.key, "the key")
    if rows.trigger:
        deciding[rows.trigger] = "the trigger"
    _changed(rows, deciding, location, record_type, path=path, report=report)


def _table(location: TableLocation, record_type: RecordType, path: Path, report: Report) -> None:
    relations = [
        (relation.name, (*path, "blocked-by", index, "name"))
        for index, relation in enumerate(location.relations)
    ]
    unique(report, relations, "relation")
    if location.trigger and location.trigger in {location.key, location.subject}:
        report.add(
            (*path, "trigger-column"),
            "P022",
            "the trigger is the key or the subject",
            "name the column with its date",
        )
    if (location.span_start is None) != (location.span_end is None):
        report.add(
            path,
            "P004",
            "span-start and span-end belong together",
            "give both, or neither: then any time range holds it",
        )
    if location.vault and record_type.disposition is not Disposition.PURGE:
        message = f"rows are copied into a vault where they are purged; {record_type.disposition} leaves the row, and would leave its copy"
        report.add((*path, "vault"), "P038", message, 'remove it, or use disposition = "purge"')
    _changes(location, record_type, path, report)
    _dependents(location, path, report)


def _changes(location: TableLocation, record_type: RecordType, path: Path, report: Report) -> None:
    """What anonymizing may change: never the key, the trigger, or a column that decides about the record."""
    if location.sealed and record_type.disposition is not Disposition.CRYPTO_SHRED:
        message = f"sealed columns die with their key, and {record_type.disposition} destroys none"
        report.add((*path, "sealed"), "P035", message, 'use disposition = "crypto-shred", or remove it')
    deciding: dict[str, str] = {location.key: "the key", location.trigger: "the trigger"}
    if location.created:
        deciding[location.created] = "when the row came into being"
    _changed(location, deciding, location, record_type, path=path, report=report)


def _changed(
    changes: TableLocation | Rows, deciding: dict[str, str], location: TableLocation | TreeLocation, record_type: RecordType,
    *, path: Path, report: Report,
) -> None:  # fmt: skip
    replaced = [name for name, _ in changes.replace]
    changed = [*changes.clear, *replaced]
    if record_type.disposition is not Disposition.ANONYMIZE:
        for key in [key for key, given in (("clear", changes.clear), ("replace", changes.replace)) if given]:
            message = f"{key} is for anonymizing; {record_type.disposition} changes no column"
            report.add((*path, key), "P028", message, "remove it")
        return
    if not changed:
        report.add(
            path,
            "P028",
            "anonymize without clear or replace does nothing",
            "name the columns that identify a person",
        )
    for condition, word in ((location.consent, "the consent"), (location.blocked, "a blocking condition")):
        deciding |= dict.fromkeys(columns(condition), f"part of {word}") if condition else {}
    for rule in record_type.rules:
        deciding |= dict.fromkeys(columns(rule.when), "part of a rule's condition") if rule.when else {}
    for name in dict.fromkeys(changed):
        key = "clear" if name in changes.clear else "replace"
        if name in deciding:
            message = f"anonymizing would change {quote(name)}, {deciding[name]}"
            report.add((*path, key), "P029", message, "leave it: later decisions and evidence rest on it")
        if changed.count(name) > 1:
            report.add(
                (*path, key),
                "P029",
                f"{quote(name)} is changed twice",
                "name it once, in clear or in replace",
            )


def _dependents(location: TableLocation, path: Path, report: Report) -> None:
    """The dependents form a tree from the location's table: each parent known, nothing below itself, no table twice."""
    tables = {dependent.table for dependent in location.dependents}
    parents = {dependent.table: dependent.parent for dependent in location.dependents}
    for index, dependent in enumerate(location.dependents):
        here = (*path, "dependent", index)
        if not dependent.table:
            continue
        if dependent.table == location.table:
            report.add(
                here,
                "P030",
                f"{quote(dependent.table)} is the location's own table",
                "rows cannot hang on themselves",
            )
        elif dependent.parent != location.table and dependent.parent not in tables:
            hint = "parent is the location's table or the table of another dependent"
            report.add((*here, "parent"), "P030", f"unknown parent {quote(dependent.parent)}", hint)
        elif _circular(dependent.table, parents, location.table):
            report.add(
                here,
                "P030",
                f"{quote(dependent.table)} hangs below itself",
                "dependents form a tree from the location's table",
            )
    names = [
        (item.table, (*path, "dependent", index, "table")) for index, item in enumerate(location.dependents)
    ]
    unique(report, names, "dependent")


def _circular(table: str, parents: dict[str, str], root: str) -> bool:
    seen: set[str] = set()
    while table != root and table in parents:
        if table in seen:
            return True
        seen.add(table)
        table = parents[table]
    return False


def check_between(record_types: Sequence[tuple[RecordType, Path]], report: Report) -> None:
    """No place under two record types: their rules do not see each other, so one could destroy what the other keeps."""
    owners: dict[tuple[str, ...], str] = {}
    for place, owner, path in _places(record_types, lambda location: [_own(location)]):
        if place in owners:
            message = (
                f"{quote(place[1] or '.')} in store {quote(place[0])} already belongs to {owners[place]}"
            )
            hint = "one place, one record type: use narrower rules with when"
            report.add(path, "P023", message, hint)
        owners.setdefault(place, owner)
    for place, owner, path in _places(record_types, _hanging):
        if owners.get(place, owner) != owner:
            message = f"rows of {quote(place[1])} would go as dependents here, but {owners[place]} has rules for them"
            report.add(path, "P023", message, "block on it with blocked-by instead: its rows must go first")

    _check_rows_apart(record_types, report)


def _check_rows_apart(record_types: Sequence[tuple[RecordType, Path]], report: Report) -> None:
    """Rows under one record type, and files in the same folder under another: a hold on the files would not keep their rows."""
    trees = [
        (location, record_type, (*path, "location", index))
        for record_type, path in record_types
        for index, location in enumerate(record_type.locations)
        if isinstance(location, TreeLocation)
    ]
    for rows, owner, path in trees:
        if rows.rows is None:
            continue
        for other, another, _ in trees:
            if another.id != owner.id and other.store == rows.store and _nested(rows.path, other.path):
                message = f"record type {quote(another.id)} has files in the same folder: a hold on them would not keep their rows"
                report.add(path, "P023", message, "give the two folders of their own, or one record type")


def _nested(one: str, other: str) -> bool:
    """Whether one folder is the other, or lies in it."""
    first, second = f"{one}/".removeprefix("/"), f"{other}/".removeprefix("/")
    return first.startswith(second) or second.startswith(first)


def _own(location: TableLocation | TreeLocation) -> tuple[str, ...]:
    if isinstance(location, TableLocation):
        return (location.store, location.table)
    return (location.store, location.path, location.template)


def _hanging(location: TableLocation | TreeLocation) -> list[tuple[str, ...]]:
    dependents = location.dependents if isinstance(location, TableLocation) else ()
    return [(location.store, dependent.table) for dependent in dependents]


def _places(
    record_types: Sequence[tuple[RecordType, Path]],
    of: Callable[[TableLocation | TreeLocation], list[tuple[str, ...]]],
) -> Iterable[tuple[tuple[str, ...], str, Path]]:
    for record_type, path in record_types:
        for index, location in enumerate(record_type.locations):
            for place in of(location):
                if all(place[:1]) and (len(place) > 2 or place[1]):
                    yield place, f"record type {quote(record_type.id)}", (*path, "location", index)
