"""How far each hold has looked at what is sealed at one location, and under which terms."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from retention.decide import Criteria
from retention.holds import Hold
from storage.keys import tables
from storage.keys.database import Entry

_looked = tables.looked


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One record type at one location. ``subject``: how its records are tied to a patron, as the schedule says."""

    record_type: str
    location: str
    store: str
    subject: str

    @classmethod
    def of(cls, criteria: Criteria) -> Ground:
        location = criteria.location
        return cls(
            record_type=criteria.record_type.id, location=location.name, store=location.store, subject=location.subject
        )  # fmt: skip


def terms(hold: Hold, ground: Ground) -> str:
    """Under which terms a hold looks at a location; when they change, it looks again from the beginning. Holds nothing personal:
    the subjects of a hold never change."""
    scope = hold.scope
    told = [
        hold.epoch,
        ground.subject,
        ground.store,
        scope.margin_before,
        scope.margin_after,
        scope.since,
        scope.until,
    ]
    told += [sorted(scope.cameras), sorted(scope.branches), len(scope.subjects)]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


def looked_at(entry: Entry, hold: Hold, ground: Ground) -> int:
    """Newest object (``seq``) that the hold has looked at under these terms; -1 = never."""
    row = entry.connection.execute(
        select(_looked).where(
            _looked.c.hold == hold.id,
            _looked.c.record_type == ground.record_type,
            _looked.c.location == ground.location,
        )
    ).first()
    return row.seq if row is not None and row.terms == terms(hold, ground) else -1


def write_down(entry: Entry, hold: Hold, ground: Ground, seq: int) -> None:
    here = {"hold": hold.id, "record_type": ground.record_type, "location": ground.location}
    entry.connection.execute(
        delete(_looked).where(*(_looked.c[name] == value for name, value in here.items()))
    )
    entry.connection.execute(insert(_looked).values(**here, terms=terms(hold, ground), seq=seq))
