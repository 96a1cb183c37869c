"""The answer to a subpoena for what is no longer there: a signed statement for counsel that records of a kind were destroyed in the
ordinary course, under which rules, when, and whether before the request was served.

Refuses to say anything about a person: it holds no name, and neither confirms nor denies that a record of anybody existed.
What is held under a sealed hold is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import cast

from retention.certificate import PREDICATE_TYPE, STATEMENT_TYPE
from retention.document import JSON, write
from retention.errors import UsageError
from retention.facts import AppliedRule

ORDINARY_COURSE = f"{PREDICATE_TYPE.rpartition('/certificate-of-destruction/')[0]}/ordinary-course/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A kind of record and the rules in force for it."""

    record_type: str
    title: str
    rules: tuple[AppliedRule, ...]
    disposition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destruction:
    """One certificate that covers records of the period. ``earliest``, ``latest``: its inclusive dates."""

    certificate: str
    sha256: str
    record_type: str
    on: date
    earliest: date | None
    latest: date | None
    started: datetime
    ended: datetime
    destroyed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """One certificate of media destroyed by hand, with records of these kinds and of the period on them, as people attest. How many
    records, nobody can say."""

    certificate: str
    sha256: str
    record_types: tuple[str, ...]
    earliest: date
    latest: date
    destroyed_at: datetime
    media: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A hold in force that keeps records of these kinds, by its opaque id."""

    hold: str
    placed: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdinaryCourse:
    """``first``, ``last``: the period asked about; ``served``: the day the request was served, in the library's time zone."""

    organization: str
    custodian: str
    issued: datetime
    zone: str
    schedule_digest: str
    first: date
    last: date
    served: date
    series: tuple[Series, ...]
    before_service: tuple[Destruction, ...]
    after_service: tuple[Destruction, ...]
    by_hand_before_service: tuple[ByHand, ...]
    by_hand_after_service: tuple[ByHand, ...]
    held: tuple[Held, ...]

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise UsageError("the period ends before it begins", "give --from and --to in this order")
        if not self.series:
            raise UsageError(
                "no record type of the schedule is about a person", "name one with --record-type"
            )

    def sentences(self) -> list[JSON]:
        """The statement in words."""
        said = [
            f"The retention schedule of {self.organization} provides for the destruction of these kinds of records in the ordinary course.",
            f"Of records whose date lies from {self.first.isoformat()} to {self.last.isoformat()}, "
            f"{sum(one.destroyed for one in self.before_service):,} were destroyed before {self.served.isoformat()}, the day of service, "
            f"under {len(self.before_service)} certificates.",
        ]
        if self.after_service:
            said.append(
                f"{sum(one.destroyed for one in self.after_service):,} were destroyed on or after that day, under {len(self.after_service)} certificates."
            )
        else:
            said.append("None of them was destroyed on or after that day.")
        for by_hand, when in (
            (self.by_hand_before_service, "before that day"),
            (self.by_hand_after_service, "on or after that day"),
        ):
            if by_hand:
                said.append(
                    f"By hand, {sum(one.media for one in by_hand):,} media with records of these kinds and dates were destroyed {when}, as attested in "
                    f"{len(by_hand)} certificates; how many records were on them is not known."
                )
        said.append(f"Holds in force that keep records of these kinds: {len(self.held)}.")
        said.append("This statement says nothing about whether a record of any particular person existed.")
        return list[JSON](said)

    def statement(self) -> dict[str, JSON]:
        """The in-toto statement: its subjects are the certificates, by the digest of their envelopes."""
        covered: tuple[Destruction | ByHand, ...] = (
            *self.before_service, *self.after_service, *self.by_hand_before_service, *self.by_hand_after_service
        )  # fmt: skip
        return {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": one.certificate, "digest": {"sha256": one.sha256}} for one in covered],
            "predicateType": ORDINARY_COURSE,
            "predicate": {**cast("dict[str, JSON]", write(self)), "sentences": self.sentences()},
        }
