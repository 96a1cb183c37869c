"""Facts of a certificate of destruction: one frozen value per field group, unchecked. `retention.certificate` checks them.

There is no field for a record, a subject or a hold: what has no place cannot leak. Field groups: identity, authority,
what, how, verification, people, statement, residual, evidence. Sources: NIST SP 800-88r1 appendix G, ISO 15489.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from retention import schedule
from retention.approval import Approval
from retention.document import OPTIONAL

TREE = "rfc6962-sha256-sorted"


class State(StrEnum):
    PROVISIONAL = "provisional"
    """Every outcome is read back; a window is still open or an outcome is unknown."""
    FINAL = "final"
    SUPERSEDED = "superseded"
    """What an earlier certificate of the case said no longer holds: see ``reason``."""


class Method(StrEnum):
    """What is claimed, strongest first (words of NIST SP 800-88)."""

    DESTROY = "destroy"
    PURGE = "purge"
    CRYPTOGRAPHIC_ERASE = "cryptographic-erase"
    CLEAR = "clear"
    DE_IDENTIFY = "de-identify"
    NONE_CLAIMED = "none-claimed"
    """Deleted from the system named; no medium was sanitised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    name: str
    title: str
    on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A program or service that acted."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    id: str
    case: str
    state: State
    issued: datetime
    organization: str
    custodian: str
    """Title of the custodian of record."""
    software: str
    version: str
    build: str | None = None
    supersedes: str | None = None
    """Id of the certificate that this one replaces (provisional → final, or → superseded)."""
    reason: str | None = None
    """Why the one before it no longer holds; only where the state is superseded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedRule:
    id: str
    citation: str
    series: str | None
    minimum: str
    """ISO 8601 duration."""
    maximum: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Under which rule. ``on``: the day as of which everything was decided (the case's cutoff day)."""

    schedule_version: str
    schedule_digest: str
    record_type: str
    title: str
    owner: str
    rules: tuple[AppliedRule, ...]
    trigger: str
    cutoff: str
    disposition: str
    approval: str
    """``standing``, ``custodian`` or ``two-person``."""
    zone: str
    on: date
    minimum_met_on: date
    """Day by which the minimum of every record destroyed was over."""
    maximum_on: date | None
    """Earliest maximum among the records destroyed."""
    past_maximum: int
    """Records destroyed after their maximum (a hold may have carried them there)."""
    withdrawn: int = 0
    """Items destroyed early, before the end of their minimum, because somebody entitled withdrew them by name."""

    @classmethod
    def of(
        cls,
        schedule_: schedule.Schedule,
        record_type: schedule.RecordType,
        *,
        on: date,
        minimum_met_on: date,
        maximum_on: date | None = None,
        past_maximum: int = 0,
        withdrawn: int = 0,
    ) -> Authority:
        """Filled from the schedule that the case ran under."""
        return cls(
            schedule_version=schedule_.version,
            schedule_digest=schedule_.digest,
            record_type=record_type.id,
            title=record_type.title,
            owner=record_type.owner,
            rules=tuple(
                AppliedRule(
                    id=rule.id,
                    citation=rule.authority.citation,
                    series=rule.authority.series,
                    minimum=duration(rule.minimum),
                    maximum=None if rule.maximum is None else duration(rule.maximum),
                )
                for rule in record_type.rules
            ),
            trigger=record_type.trigger_event,
            cutoff=record_type.cutoff.value,
            disposition=record_type.disposition.value,
            approval=record_type.approval.value,
            zone=schedule_.library.zone.key,
            on=on,
            minimum_met_on=minimum_met_on,
            maximum_on=maximum_on,
            past_maximum=past_maximum,
            withdrawn=withdrawn,
        )


def duration(period: schedule.Period) -> str:
    """ISO 8601 text of a period: ``P3Y6M``; ``P0D`` for none."""
    parts = ((period.years, "Y"), (period.months, "M"), (period.days, "D"))
    return "P" + ("".join(f"{count}{unit}" for count, unit in parts if count) or "0D")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationReport:
    """What became of the items at one location, and what its store can honestly claim (`storage.contract.Claim`)."""

    location: str
    store: str
    copy_class: str = "primary"
    destroyed: int
    already_absent: int
    withheld: int
    not_destroyed: int
    unknown: int
    seen_absent: int
    """Items that a read-back after the destruction looked for and no longer found."""
    size: int | None = None
    """Bytes of the items destroyed; null when not known for exactly those."""
    seconds: int | None = None
    """Footage destroyed."""
    objects: int | None = None
    """Sealed objects made unreadable by destroying the keys of the items; null where nothing was sealed."""
    unsealed_before: int | None = None
    """How many of these had been stored unencrypted at some time before they were sealed."""
    method: Method
    technique: str
    verification: str
    not_claimed: tuple[str, ...] = ()

    @property
    def items(self) -> int:
        return self.destroyed + self.already_absent + self.withheld + self.not_destroyed + self.unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """A physical medium destroyed by hand."""

    make: str
    model: str
    serial: str
    property_number: str | None
    media_type: str
    source: str
    categorization: str


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    manifest_digest: str
    """SHA-256 (hex) of the manifest: the list of items that was planned and approved."""
    items: int
    earliest: date | None
    latest: date | None
    """Inclusive dates: first and last trigger day."""
    locations: tuple[LocationReport, ...]
    media: tuple[Medium, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """``started``: when the first batch took its gate; ``ended``: when the last outcome was written."""

    started: datetime
    ended: datetime
    keys_destroyed: tuple[str, ...] = ()
    """Ids of the keys destroyed, one per sealed item. An id commits to its key and does not give it away."""
    root: str | None = None
    """Version of the root key that was in force when they died, under which they had been wrapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How it was checked. ``sample``: ``all``, or how it was drawn, with the ``seed``. Acceptance by a person is separate."""

    method: str
    sample: str = "all"
    seed: str | None = None
    accepted_by: Person | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The standing approval of the rule that was in force when the destruction began. ``rule``: digest of the record type in the schedule.

    ``proposed``, ``agreed``: what the two people signed (`retention.ruling.RulingStatement`). ``id``: the first 16 digits of the
    SHA-256 of what the second one signed.
    """

    id: str
    rule: str
    until: date
    proposed: Approval
    agreed: Approval


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    preparer: Person
    destroyer: Component
    verifier: Component
    approvals: tuple[Approval, ...] = ()
    witness: Person | None = None
    standing: Standing | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """``holds_checked_at``: the last check before destruction, between ``started`` and ``ended``; with its hold epoch."""

    holds_checked_at: datetime
    hold_epoch: int
    retention_met: bool = True
    no_pending_matter: bool = True
    """No pending or reasonably anticipated litigation, investigation, audit or public-records request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A copy that outlives the destruction. ``until``: the day from which it is gone; null when nobody can give one."""

    copy: str
    store: str
    until: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    windows: tuple[Window, ...] = ()
    replicas: tuple[str, ...] = ()
    third_parties: tuple[str, ...] = ()
    statistics_kept: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """``root``: Merkle root (hex) over ``leaves`` leaf hashes. A certificate cannot know its own place in the log or the time stamp
    over it: ``log_index`` and ``time_stamp`` are null, and stand in the proof beside it."""

    leaves: int
    root: str
    tree: str = TREE
    signed_by: tuple[str, ...] = ()
    """Ids of the keys that sign it: a signature taken away or put under another name is noticed."""
    log_index: int | None = None
    checkpoint: str | None = None
    """The log's checkpoint before it: base64 of the signed note; null for the first entry of a log."""
    time_stamp: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a certificate rests on, unchecked: one member per field group."""

    identity: Identity
    authority: Authority
    what: What
    how: How
    verification: Verification
    people: People
    statement: Statement
    residual: Residual
    evidence: Evidence
