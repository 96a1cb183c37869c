"""What the transparency log holds: DSSE envelopes of certificates, and of four smaller statements made here.

- *case started*: a case was cleared, and nothing of it is destroyed yet. Written before the first batch, so that a case that
  destroyed and was never certified shows as one that began and did not end (`retention.case_lives`).
- *nothing destroyed*: a case ended without destroying anything. It is no certificate and claims no method; it says that the
  schedule was applied, so that a missing certificate can be told from a case that had none.
- *events*: the head of the ledger's chain of events on a day.
- *signing keys*: see `retention.key_history`.

Refuses personal data by having no place for it: ids, counts, digests and days. *Case started* has no counts either: with those of
the end beside them they would tell what came to be withheld in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256

from retention.certificate import PREDICATE_TYPE, STATEMENT_TYPE
from retention.document import JSON, encode, read, write
from retention.envelope import read as read_envelope
from retention.errors import VerificationFailed
from retention.tiles import MAX_ENTRY

_BASE = PREDICATE_TYPE.rpartition("/certificate-of-destruction/")[0]
CASE_STARTED = f"{_BASE}/case-started/v1"
NOTHING_DESTROYED = f"{_BASE}/nothing-destroyed/v1"
EVENTS = f"{_BASE}/events/v1"
LARGE = f"{_BASE}/large-envelope/v1"


class Ended(StrEnum):
    """How a case ended without destroying anything."""

    CLOSED = "closed"
    """Every item has an outcome."""
    FAILED = "failed"
    """The canary was still there; nothing more was touched."""
    RETURNED = "returned"
    """A person sent it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseStarted:
    """``on``: the day as of which everything was decided; ``started``: when approvals and brakes were passed."""

    case: str
    record_type: str
    schedule_digest: str
    manifest_digest: str
    on: date
    started: datetime

    def statement(self) -> dict[str, JSON]:
        return _statement(CASE_STARTED, self.case, self.manifest_digest, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingDestroyed:
    """``on``: the day as of which everything was decided. Outcomes in the classes of a certificate, *destroyed* left out;
    ``not_reached``: items of a case that ended before any batch came to them."""

    case: str
    record_type: str
    schedule_digest: str
    manifest_digest: str
    on: date
    ended: Ended
    closed: datetime
    items: int
    already_absent: int
    withheld: int
    not_destroyed: int
    unknown: int
    not_reached: int

    def statement(self) -> dict[str, JSON]:
        """Raises `VerificationFailed` when the outcomes do not add up to the items."""
        told = self.already_absent + self.withheld + self.not_destroyed + self.unknown + self.not_reached
        if told != self.items or (self.ended is Ended.CLOSED and self.not_reached):
            raise VerificationFailed("the outcomes of a case that destroyed nothing do not add up")
        return _statement(NOTHING_DESTROYED, self.case, self.manifest_digest, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """``head``: hash (hex) of event number ``seq``, the last one then."""

    seq: int
    head: str
    at: datetime

    def statement(self) -> dict[str, JSON]:
        return _statement(EVENTS, f"events-{self.seq}", self.head, self)

    @classmethod
    def read(cls, statement: Mapping[str, JSON]) -> Events:
        """Raises `VerificationFailed`."""
        if statement.get("predicateType") != EVENTS:
            raise VerificationFailed("the statement is not about events")
        return read(cls, statement.get("predicate"), "predicate")


def _statement(kind: str, name: str, digest: str, predicate: object) -> dict[str, JSON]:
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}}],
        "predicateType": kind,
        "predicate": write(predicate),
    }


def entry_of(envelope: bytes) -> bytes:
    """What the log holds of an envelope: itself; of one too long for a bundle (64 KiB), its digest in canonical JSON, with the
    kind and the subject of its statement. Raises `VerificationFailed` for a long one that is no envelope."""
    if len(envelope) <= MAX_ENTRY:
        return envelope
    statement = read_envelope(envelope).statement()
    return encode(
        {
            "type": LARGE, "sha256": sha256(envelope).hexdigest(), "size": len(envelope),
            "predicateType": statement.get("predicateType"), "subject": statement.get("subject"),
        }
    )  # fmt: skip
