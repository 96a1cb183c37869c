"""What the transparency log holds: DSSE envelopes of certificates, and of three smaller statements made here.

- *nothing destroyed*: a case ended without destroying anything. It is no certificate and claims no method; it says that the
  schedule was applied, so that a missing certificate can be told from a case that had none.
- *events*: the head of the ledger's chain of events on a day.
- *signing keys*: see `retention.key_history`.

Refuses personal data by having no place for it: ids, counts, digests and days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

from retention.certificate import PREDICATE_TYPE, STATEMENT_TYPE
from retention.document import JSON, encode, read, write
from retention.errors import VerificationFailed
from retention.tiles import MAX_ENTRY

_BASE = PREDICATE_TYPE.rpartition("/certificate-of-destruction/")[0]
NOTHING_DESTROYED = f"{_BASE}/nothing-destroyed/v1"
EVENTS = f"{_BASE}/events/v1"
LARGE = f"{_BASE}/large-envelope/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingDestroyed:
    """``on``: the day as of which everything was decided. Outcomes in the classes of a certificate, *destroyed* left out."""

    case: str
    record_type: str
    schedule_digest: str
    manifest_digest: str
    on: date
    closed: datetime
    items: int
    already_absent: int
    withheld: int
    not_destroyed: int
    unknown: int

    def statement(self) -> dict[str, JSON]:
        """Raises `VerificationFailed` when the outcomes do not add up to the items."""
        if self.already_absent + self.withheld + self.not_destroyed + self.unknown != self.items:
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
    """What the log holds of an envelope: itself; of one too long for a bundle (64 KiB), its digest in canonical JSON."""
    if len(envelope) <= MAX_ENTRY:
        return envelope
    return encode({"type": LARGE, "sha256": sha256(envelope).hexdigest(), "size": len(envelope)})
