"""Legal holds: what they are, and whether one matches a record. A hold beats everything.

Matching refuses to guess: what a hold asks for and a record cannot answer ("unknown") counts as a match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from retention.records import Personal, Span

T = TypeVar("T")

CLOCKS_APART = timedelta(hours=1)
"""What came into being so soon after a snapshot may have been there before: the library's database and cameras have clocks of their
own, and one that was set to the wrong zone or left at summer time is an hour off."""


class HoldState(StrEnum):
    REQUESTED = "requested"
    """Recorded, not placed: it keeps nothing yet."""
    DECLINED = "declined"
    """Recorded and not placed, for good."""
    PLACING = "placing"
    """Written down, not yet effective everywhere: the barrier has not been passed in every store in scope."""
    PROVISIONAL = "provisional"
    ACTIVE = "active"
    RELEASE_REQUESTED = "release-requested"
    IN_GRACE = "in-grace"
    RELEASED = "released"

    @property
    def keeps(self) -> bool:
        """From being placed until it is released."""
        return self not in (HoldState.REQUESTED, HoldState.DECLINED, HoldState.RELEASED)


class MatterKind(StrEnum):
    SUBPOENA = "subpoena"
    WARRANT = "warrant"
    COURT_ORDER = "court-order"
    LITIGATION = "litigation"
    PUBLIC_RECORDS_REQUEST = "public-records-request"
    AUDIT = "audit"
    PRESERVATION_LETTER = "preservation-letter"
    VERBAL_REQUEST = "verbal-request"
    """An officer's, without anything in writing: recorded, and declined or placed by a custodian's decision."""


class CounselVerification(StrEnum):
    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """The legal case or request behind a hold."""

    number: str
    kind: MatterKind
    issuing_authority: str
    jurisdiction: str | None = None
    court: str | None = None
    case_number: str | None = None
    document_digest: str | None = None
    """SHA-256 (hex) of the document served."""
    issued_on: date | None = None
    received_at: datetime | None = None
    served_by: str | None = None
    officer: str | None = None
    officer_agency: str | None = None
    officer_badge: str | None = None
    counsel: CounselVerification = CounselVerification.UNVERIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a hold keeps. Fields given are all required to match; within a field, any one value. Empty = not restricted.

    ``since``/``until``: UTC, both ends included, before margins; ``None`` is unbounded.
    """

    record_types: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    subjects: frozenset[Personal[str]] = frozenset()
    cameras: frozenset[str] = frozenset()
    branches: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    margin_before: timedelta = timedelta(0)
    margin_after: timedelta = timedelta(0)

    @property
    def is_empty(self) -> bool:
        """True when nothing restricts it: such a hold is refused, since it was not thought about."""
        fields = (
            self.record_types,
            self.stores,
            self.subjects,
            self.cameras,
            self.branches,
            self.since,
            self.until,
        )
        return not any(fields)

    @property
    def span(self) -> Span:
        """The time range with its margins."""
        return Span(
            start=None if self.since is None else self.since - self.margin_before,
            end=None if self.until is None else self.until + self.margin_after,
        )

    def covers(self, other: Scope) -> bool:
        """Whether this one keeps everything that the other one keeps, by what they say."""
        fields = (
            (self.record_types, other.record_types),
            (self.stores, other.stores),
            (self.subjects, other.subjects),
            (self.cameras, other.cameras),
            (self.branches, other.branches),
        )
        if not all(not own or (bool(others) and own >= others) for own, others in fields):
            return False
        own_span, others_span = self.span, other.span
        starts = own_span.start is None or (
            others_span.start is not None and own_span.start <= others_span.start
        )
        ends = own_span.end is None or (others_span.end is not None and own_span.end >= others_span.end)
        return starts and ends

    def touches(self, record_type: str, *stores: str) -> bool:
        """Whether any record of that type can match at all. ``stores``: the names of its store (`Location.stores`)."""
        return (not self.record_types or record_type in self.record_types) and (
            not self.stores or not self.stores.isdisjoint(stores)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold as the destroyer and `decide` see it."""

    id: str
    state: HoldState
    scope: Scope
    sealed: bool = False
    continuing: bool = True
    epoch: int = 0
    """Hold epoch at which it was placed or last widened: approvals given before it are void for what it touches."""
    taken_at: datetime | None = None
    """Of a snapshot: when it was effective everywhere, as it was last widened. ``None``: not yet, or not known. Aware."""

    @property
    def existing_by(self) -> datetime | None:
        """It does not keep what provably came into being after this moment; ``None``: it keeps that, too."""
        return None if self.continuing or self.taken_at is None else self.taken_at + CLOCKS_APART


def merged(holds: Iterable[Hold]) -> tuple[Hold, ...]:
    """Fewer holds that keep exactly the same records, for a store that asks about all of them in one statement.

    Holds that keep and differ in their subjects alone, or in their branches alone, become one with all of these. Sealed ones stay
    apart from the others, and so does each snapshot from those taken at another moment. The result says nothing about which hold keeps a record: ids and epochs are those of one of the merged.
    """
    kept = [hold for hold in holds if hold.state.keeps]
    fewer = _together(kept, lambda scope: scope.subjects, lambda scope, all_: replace(scope, subjects=all_))
    return tuple(
        _together(fewer, lambda scope: scope.branches, lambda scope, all_: replace(scope, branches=all_))
    )


def _together(
    holds: Iterable[Hold],
    named: Callable[[Scope], frozenset[T]],
    naming: Callable[[Scope, frozenset[T]], Scope],
) -> list[Hold]:
    """One hold for those that are alike but for one field. Naming nobody there means everybody: such a one stays by itself."""
    groups: dict[tuple[bool, datetime | None, bool, Scope], Hold] = {}
    for hold in holds:
        some = named(hold.scope)
        alike = (hold.sealed, hold.existing_by, bool(some), naming(hold.scope, frozenset()))
        known = groups.get(alike)
        groups[alike] = (
            hold if known is None else replace(known, scope=naming(known.scope, named(known.scope) | some))
        )
    return list(groups.values())
