"""How far each hold has looked at what is sealed at one location, and under which terms."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from retention.decide import Criteria
from retention.holds import Hold
from retention.naming import Naming
from storage.keys import tables
from storage.keys.database import Entry

_looked = tables.looked


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One record type at one location. ``subject``: how its records are tied to a patron, as the schedule says. ``naming``: what
    its cameras are called there."""

    record_type: str
    location: str
    subject: str
    naming: Naming

    @classmethod
    def of(cls, criteria: Criteria) -> Ground:
        location = criteria.location
        return cls(
            record_type=criteria.record_type.id, location=location.name, subject=location.subject, naming=Naming.of(location)
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Ground:
        naming = told["naming"]
        cameras = tuple((other, present) for other, present in naming["cameras"])
        return cls(**{**told, "naming": Naming(**{**naming, "cameras": cameras})})


def terms(hold: Hold, ground: Ground) -> str:
    """Under which terms a hold looks at a location; when they change, it looks again from the beginning. Holds nothing personal:
    the subjects of a hold never change."""
    scope = hold.scope
    told = [
        hold.epoch,
        ground.subject,
        ground.naming,
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


def forget(entry: Entry, hold: str, ground: Ground) -> None:
    """Nothing that this hold looked at here counts any more: it has to look again before anything may go."""
    entry.connection.execute(
        delete(_looked).where(
            _looked.c.hold == hold,
            _looked.c.record_type == ground.record_type,
            _looked.c.location == ground.location,
        )
    )


def write_down(entry: Entry, hold: Hold, ground: Ground, seq: int) -> None:
    forget(entry, hold.id, ground)
    entry.connection.execute(
        insert(_looked).values(
            hold=hold.id, record_type=ground.record_type, location=ground.location, terms=terms(hold, ground), seq=seq
        )
    )  # fmt: skip
