"""The retention schedule as typed, frozen values (what ``policies.toml`` says after it was checked).

This module holds no parser and no arithmetic: `retention.loader` makes these values and reports every problem,
`retention.dates` computes with them, `retention.decide` decides by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from zoneinfo import ZoneInfo

from retention.condition import Condition
from retention.records import Value


class Cutoff(StrEnum):
    """When the unit closes after its trigger; the retention period is added to that day."""

    DAY = "day"
    MONTH = "month"
    FISCAL_YEAR = "fiscal-year"
    EVENT = "event"
    """The trigger is itself the closing event (card expired, matter closed). No date yet means: still open, keep."""


class Disposition(StrEnum):
    PURGE = "purge"
    ANONYMIZE = "anonymize"
    CRYPTO_SHRED = "crypto-shred"
    """The key dies, and everything it sealed becomes unreadable wherever a copy of it lies."""


class ApprovalKind(StrEnum):
    STANDING = "standing"
    CUSTODIAN = "custodian"
    TWO_PERSON = "two-person"


class StoreKind(StrEnum):
    DATABASE = "database"
    FILES = "files"
    FOOTAGE = "footage"
    S3 = "s3"
    """A bucket of S3 or of a server that speaks its protocol."""


class TriggerKind(StrEnum):
    """How a database column or a file gives the trigger."""

    TIMESTAMP = "timestamp"
    DATE = "date"
    NAME = "name"
    """Date and time read from the file's path by the layout template."""
    MODIFIED = "modified"
    """Modification time of the file."""
    CHANGED = "changed"
    """The later of modification and inode change time: cannot be set back by a copy that keeps old times."""
    REGISTERED = "registered"
    """When the registry of exports says that the file was produced. Saving or copying the file changes nothing about it."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Period:
    """An ISO 8601 duration in calendar units. All parts are whole and not negative."""

    years: int = 0
    months: int = 0
    days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Law or policy, printed on the certificate."""

    citation: str
    series: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One retention rule of a record type. ``when`` narrows it; a rule without ``when`` applies to every record."""

    id: str
    authority: Authority
    minimum: Period
    maximum: Period | None
    when: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Brakes: a case above one of them stops for a person. ``percent`` is of all records at the locations (0–100).

    ``jump``: at most that many times the largest of the last three executed cases of this record type.
    """

    records: int | None = None
    percent: float | None = None
    jump: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Rows of another table that block ageing while they exist (open loan, unpaid bill).

    Blocks when a row of ``table`` has ``column`` equal to the record's ``matches`` column and ``where`` is not false.
    """

    name: str
    table: str
    column: str
    matches: str
    where: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """Rows of another table that go with the record: ``table.column`` refers to ``parent.parent_column``.

    ``parent`` is the location's own table or another dependent's. A *soft* reference has no foreign key in the database.
    """

    table: str
    column: str
    parent: str
    parent_column: str
    soft: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where records of one type live: common to tables and trees. ``name`` is unique within the record type.

    ``subject``: how the records are tied to a patron. A column name (tables only), ``"none"`` (they identify no patron) or
    ``"unknown"`` (they may be about anybody: every hold on a subject keeps them).
    ``zone``: how naive times at this place are read.
    """

    name: str
    store: str
    zone: ZoneInfo
    trigger_kind: TriggerKind
    subject: str
    consent: Condition | None = None
    """True: the person agreed that the record lives to its maximum. False: it goes after its minimum. Unknown: keep."""
    blocked: Condition | None = None
    """Keeps the record while it is true or unknown."""

    @property
    def stores(self) -> tuple[str, ...]:
        """Every name under which a hold on a store keeps what is here."""
        return (self.store,)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLocation(Location):
    """Rows of one table (``schema.table`` or ``table``), with the tables that depend on them."""

    table: str
    key: str
    trigger: str
    branch: str | None = None
    span_start: str | None = None
    span_end: str | None = None
    created: str | None = None
    """Column with the moment at which the row came into being, never edited later: what a snapshot hold goes by."""
    relations: tuple[Relation, ...] = ()
    dependents: tuple[Dependent, ...] = ()
    clear: tuple[str, ...] = ()
    """Anonymize: columns set to NULL."""
    replace: tuple[tuple[str, Value], ...] = ()
    """Anonymize: columns set to a fixed value."""
    sealed: tuple[str, ...] = ()
    """Crypto-shred: columns whose values are sealed, under one data key per patron (`subject`) and period."""
    vault: str | None = None
    """Store into which held rows are copied out, because staff go on editing them."""

    def in_vault(self, record_type: str) -> TreeLocation | None:
        """The location of the copies that holds on this one make; ``None`` without a vault. ``record_type``: its id.

        What would keep the living row for the sake of its duties (a condition, a relation, consent) says nothing about a copy.
        """
        if self.vault is None:
            return None
        return TreeLocation(
            name=f"{self.name}-vault",
            store=self.vault,
            zone=self.zone,
            trigger_kind=TriggerKind.MODIFIED,
            subject=self.subject,
            path=f"{self.store}/{record_type}/{self.name}",
            template="{any}/{any}.jsonl",
            vault_of=self.store,
            copies_rows=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What makes the rows inside the files of a location records of their own. Columns are named as `retention.columns` reads them.

    ``key``: columns that tell a row from the others. ``trigger``: column with the row's own date; ``None``: rows are as old as
    their file. ``date_format``: of text in that column, as ``strptime`` writes it (``""``: ISO 8601). ``encoding``: of CSV text.
    """

    key: tuple[str, ...]
    trigger: str | None = None
    date_format: str = ""
    encoding: str = "utf-8"
    clear: tuple[str, ...] = ()
    """Anonymize: columns that are emptied."""
    replace: tuple[tuple[str, Value], ...] = ()
    """Anonymize: columns that are set to a fixed value."""


WITHDRAWN = "withdrawn"
"""What conditions on rows may ask besides their columns: whether the person took back the consent that the export rests on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """Where another store records who consents: a table (or view) of a database, in which ``subject`` names people as the rows do.

    Who has a row that ``when`` (``None``: any row) is true of consents. Who has none does not, or no longer.
    """

    store: str
    table: str
    subject: str
    when: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRule:
    """What the files of a location are exports for: entered in the registry for each of them when it is first seen.

    ``ground``: the law or contract they rest on, or ``""``; ``consent``: the opt-in category that each person in them chose, or
    ``""``. One of the two is given. ``recorded``: where that consent is recorded, if a store can be asked.
    ``attestation``: the recipient has to confirm that its copy is destroyed.
    """

    purpose: str
    recipient: str
    ground: str = ""
    consent: str = ""
    recorded: ConsentRecord | None = None
    attestation: bool = False
    reused: bool = False
    """A producer writes the next export under the same name: another content is another export."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera of a location. ``drift``: seconds its clock may be off, either way: so much wider is what a hold on it keeps."""

    branch: str | None = None
    drift: float = 0.0
    also_called: tuple[str, ...] = ()
    """Names it had before, or has in other streams: a hold on any of them is one on all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLocation(Location):
    """Files below a folder of a file store (``path`` relative to the store's root, ``""`` for the root itself), or objects below
    a prefix of a bucket.

    ``template``: layout of the relative path below ``path`` (see `retention.layout`); every file must match it whole,
    others are reported as unrecognised and never destroyed. ``unit``: ``"file"`` or ``"folder"`` (an event folder goes
    whole). ``max_length``: longest possible footage unit in seconds. ``settle``: seconds a file must have been left
    alone before it may be considered at all. ``upload_within``: seconds after its end within which footage reaches its bucket.
    """

    path: str
    template: str
    unit: str = "file"
    max_length: float = 0.0
    settle: float = 0.0
    rows: Rows | None = None
    """The records are the rows inside the files, not the files. ``subject`` then names a column."""
    export: ExportRule | None = None
    upload_within: float = 0.0
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    """The register of cameras, by the name that the layout's ``{camera}`` has now."""
    recorder: str | None = None
    """``frigate``: what the recorder's own database protects is kept, and rows of segments that are gone are removed from it."""
    vault: str | None = None
    """Store into which held files are copied out, because whoever writes this tree may delete or truncate them."""
    vault_of: str | None = None
    """This location is the vault of a location in that store: nothing in it is still being written."""
    copies_rows: bool = False
    """The copies are of rows: each says itself whom and what it is about (`storage.files.row_copy`)."""

    @property
    def recorded(self) -> ConsentRecord | None:
        """Where another store records the consent that the rows here rest on."""
        return None if self.export is None else self.export.recorded

    @property
    def stores(self) -> tuple[str, ...]:
        """A hold on the store whose copies these are keeps the copies: they are what it has to keep."""
        return (self.store,) if self.vault_of is None else (self.store, self.vault_of)

    def in_vault(self, record_type: str) -> TreeLocation | None:
        """The location of the copies that holds on this one make; ``None`` without a vault. ``record_type``: its id."""
        if self.vault is None:
            return None
        path = f"{self.store}/{record_type}/{self.name}"
        return replace(
            self,
            name=f"{self.name}-vault",
            store=self.vault,
            path=path,
            recorder=None,
            vault=None,
            vault_of=self.store,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An inline example that ``retention check`` decides: a record's facts, a day, and what must come out."""

    line: int
    location: str
    on: date
    trigger: str | None
    facts: Mapping[str, Value]
    related: Mapping[str, bool]
    expect: str
    """``due`` or the value of a `retention.decide.KeepReason`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordType:
    """One record series with its rules and places."""

    id: str
    title: str
    description: str
    owner: str
    personal_data: tuple[str, ...]
    trigger_event: str
    """The trigger in words: "item returned"."""
    cutoff: Cutoff
    rules: tuple[Rule, ...]
    disposition: Disposition
    approval: ApprovalKind
    cooling_off: Period
    limits: Limits
    effective_from: date
    effective_until: date | None
    locations: tuple[TableLocation | TreeLocation, ...]
    examples: tuple[Example, ...] = ()
    digest: str = ""
    """SHA-256 (hex) over what the schedule says of it and of the library; "" for one that was not read from a schedule."""

    def location(self, name: str) -> TableLocation | TreeLocation:
        """The location of that name. Raises ``KeyError``."""
        for location in self.locations:
            if location.name == name:
                return location
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreDeclaration:
    """A named store. Its address comes from settings, never from the schedule.

    ``residual``: how long copies of what was destroyed here live on (backups, write-ahead log), by name of the copy.
    """

    name: str
    kind: StoreKind
    title: str
    residual: tuple[tuple[str, Period], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    organization: str
    custodian: str
    """Title of the custodian of record: "Library Director"."""
    zone: ZoneInfo
    fiscal_year_start: tuple[int, int]
    """Month and day on which the fiscal year begins: ``(7, 1)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """Data that the schedule leaves alone on purpose, with the reason (unscheduled is never ignored silently)."""

    store: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A whole retention schedule in force. ``digest``: SHA-256 (hex) over the canonical JSON of the parsed document."""

    version: str
    digest: str
    library: Library
    stores: tuple[StoreDeclaration, ...]
    record_types: tuple[RecordType, ...]
    exemptions: tuple[Exemption, ...] = ()

    def record_type(self, id: str) -> RecordType:
        """The record type of that id. Raises ``KeyError``."""
        for record_type in self.record_types:
            if record_type.id == id:
                return record_type
        raise KeyError(id)

    def store(self, name: str) -> StoreDeclaration:
        """The store of that name. Raises ``KeyError``."""
        for store in self.stores:
            if store.name == name:
                return store
        raise KeyError(name)
