"""From a row as it stands in its file to the record that is decided on. Everything odd about it is a reason to keep it.

A row's own date counts where the schedule names its column; otherwise it is as old as its file. Conditions see the columns of the
file and one more, ``withdrawn``: whether the person took back the consent that the export rests on. Noted here it is true; where another
store records the consent, that one is asked, once for these facts, and unknown is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cached_property, lru_cache

from retention.condition import And, Compare, Condition, In, IsNull, Not, Or
from retention.decide import Criteria, Decision, decide
from retention.errors import ScheduleInvalid
from retention.evaluate import columns
from retention.holds import Hold
from retention.records import Personal, Record, Span, Value
from retention.schedule import WITHDRAWN, Disposition, Rows, TriggerKind
from storage.consents import Consents, alike
from storage.files.facts import Facts, Register, Sighting
from storage.rows.form import Change, Row
from storage.rows.lines import reference

ROUNDED = "its key or subject was rounded by a spreadsheet (1.23E+13)"
NO_KEY = "its key is empty"
_ROUNDED = re.compile(r"[+-]?\d(?:[.,]\d+)?[eE]\+?\d{1,3}")
_REMEMBERED = 50_000


class RowFacts:
    """Makes records of rows for one location at one moment, and decides on them under these holds."""

    def __init__(self, criteria: Criteria, now: datetime, register: Register, holds: Iterable[Hold]) -> None:
        self.files = Facts(criteria, now, register=register)
        self.location = self.files.location
        self._criteria = criteria
        self._register = register
        self._holds = tuple(map(_loosened, self.files.holds(holds)))
        rows = self.location.rows
        if rows is None:
            raise ScheduleInvalid("the location has no rows", "say what makes a row: [….location.rows]")
        self.rows: Rows = rows
        self._types = _types(criteria)
        self._asked = sorted(set(self._types) - {WITHDRAWN})
        self._needs_withdrawn = WITHDRAWN in self._types
        self._subject = self.location.subject if self.location.subject not in ("none", "unknown") else None
        self._held = frozenset(subject.reveal() for hold in self._holds for subject in hold.scope.subjects)
        self._known: dict[tuple[object, ...], tuple[Decision, date | datetime | None]] = {}
        self._keys = len(rows.key)
        self._rest = self._keys + (self._subject is not None)
        self._date = lru_cache(4096)(self._read_date)
        self.change = self._change() if criteria.record_type.disposition is Disposition.ANONYMIZE else None

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that are read, in the order of `Row.values`; the key's first."""
        subject = (self._subject,) if self._subject else ()
        trigger = (self.rows.trigger,) if self.rows.trigger else ()
        changed = tuple(self.change.values) if self.change else ()
        return (*self.rows.key, *subject, *trigger, *self._asked, *changed)

    def key(self, row: Row) -> str:
        if self._keys == 1:
            return row.values[0] or ""
        return "|".join(value or "" for value in row.values[: self._keys])

    def record(self, seen: Sighting, row: Row) -> Record:
        """The record of a row. ``seen``: its file."""
        values = iter(row.values[self._keys :])
        subject = next(values) if self._subject else None
        trigger = self._date(next(values)) if self.rows.trigger else seen.trigger
        fields = {name: _typed(next(values), self._types[name]) for name in self._asked}
        if self._needs_withdrawn:
            fields[WITHDRAWN] = self._withdrew(subject)
        done = self.is_done(row)
        span = Span(start=None, end=None)
        if isinstance(trigger, datetime) and self.rows.trigger:
            readings = self.files.readings
            span = Span(start=readings.earliest(trigger), end=readings.latest(trigger))
        return Record(
            record_type=self._criteria.record_type.id,
            store=self.location.store,
            location=self.location.name,
            key=Personal(reference(seen.path, self.key(row))),
            trigger=trigger,
            span=span,
            subject=None if subject is None else Personal(subject),
            fields=fields,
            undecidable=seen.undecidable or self._odd(row, subject) or None,
            done=done,
        )

    def is_done(self, row: Row) -> bool:
        """Whether the row is anonymized already. Never true where rows are purged."""
        if self.change is None:
            return False
        new = tuple(self.change.values.values())
        return not row.odd and row.values[-len(new) :] == new

    def decide(self, seen: Sighting, row: Row) -> tuple[Decision, date | datetime | None]:
        """What becomes of the row, and its trigger. Rows that differ in nothing a decision rests on are decided on once."""
        values = row.values
        subject = values[self._keys] if self._subject else None
        withdrawn = self._withdrew(subject) if self._needs_withdrawn else None
        about = (
            subject
            if subject is not None and self._held and alike(subject) in self._held
            else subject is None
        )
        asked = (seen.path, values[self._rest :], about, withdrawn, self._odd(row, subject))
        known = self._known.get(asked)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            record = self.record(seen, row)
            if record.subject is not None:
                record = replace(record, subject=Personal(alike(record.subject.reveal())))
            known = self._known[asked] = decide(record, self._criteria, self._holds), record.trigger
        return known

    def is_withdrawn(self, row: Row) -> bool:
        """Whether another store, asked for the consent of the row's person, has none. Who withdrew here was not asked for."""
        subject = row.values[self._keys] if self._subject is not None else None
        if subject is None or self._consents is None or self._register.withdrew(subject):
            return False
        return self._withdrew(subject) is True

    def require_plausible(self) -> None:
        """After a whole look: whether the store that records consent knew anybody in these rows. Raises `StoreUnavailable`."""
        if self._consents is not None:
            self._consents.require_met(self.location.name)

    @cached_property
    def _consents(self) -> Consents | None:
        recorded = self.location.recorded
        return self._register.consents(recorded) if recorded is not None and self._needs_withdrawn else None

    def _withdrew(self, subject: str | None) -> bool | None:
        if subject is None or not subject.strip():
            return None  # it names nobody who could be asked
        if self._register.withdrew(subject):
            return True
        given = True if self._consents is None else self._consents.given(subject)
        return None if given is None else not given

    def _odd(self, row: Row, subject: str | None) -> str:
        if row.odd:
            return row.odd
        key = row.values[: self._keys]
        if not any(key):
            return NO_KEY
        for value in (*key, subject):
            if value is not None and ("E" in value or "e" in value) and _ROUNDED.fullmatch(value):
                return ROUNDED
        return ""

    def _read_date(self, text: str | None) -> date | datetime | None:
        """The row's own date; ``None`` for anything that is not certainly one."""
        if text is None:
            return None
        try:
            moment = (
                datetime.strptime(text, self.rows.date_format)  # noqa: DTZ007  # read in the location's zone
                if self.rows.date_format
                else datetime.fromisoformat(text)
            )
        except ValueError:
            return None
        return moment.date() if self.location.trigger_kind is TriggerKind.DATE else moment

    def _change(self) -> Change:
        new: dict[str, str | None] = dict.fromkeys(self.rows.clear)
        for name, value in self.rows.replace:
            new[name] = None if value is None else str(value)
        return Change(new)


def _loosened(hold: Hold) -> Hold:
    """A hold that keeps its people's rows, too, where zeros in front or the case were lost: spreadsheets and people do that."""
    subjects = frozenset(Personal(alike(subject.reveal())) for subject in hold.scope.subjects)
    return replace(hold, scope=replace(hold.scope, subjects=subjects))


def _types(criteria: Criteria) -> dict[str, type]:
    """The columns that conditions ask for, each with the type of what it is compared with."""
    location = criteria.location
    conditions = (location.consent, location.blocked, *(rule.when for rule in criteria.record_type.rules))
    found: dict[str, set[type]] = {}
    for condition in conditions:
        if condition is not None:
            for name in columns(condition):
                found.setdefault(name, set())
            _collect(condition, found)
    return {name: next(iter(types)) if len(types) == 1 else str for name, types in found.items()}


def _collect(condition: Condition, found: dict[str, set[type]]) -> None:
    match condition:
        case Compare(column, _, value):
            found[column].add(_kind(value))
        case In(column, values):
            found[column].update(map(_kind, values))
        case Not(part):
            _collect(part, found)
        case And(parts) | Or(parts):
            for part in parts:
                _collect(part, found)
        case IsNull():
            pass


def _kind(value: Value) -> type:
    if isinstance(value, bool):
        return bool
    if isinstance(value, int | float | Decimal):
        return Decimal
    return date if isinstance(value, date) else str


_TRUTHS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}


def _typed(text: str | None, kind: type) -> Value:
    """A cell's text as what it is compared with; ``None``, which is unknown, where it is no such thing."""
    if text is None or kind is str:
        return text
    if kind is bool:
        return _TRUTHS.get(text.casefold())
    try:
        return Decimal(text) if kind is Decimal else date.fromisoformat(text[:10])
    except (InvalidOperation, ValueError):
        return None
