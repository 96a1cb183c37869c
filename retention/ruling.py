"""Decisions on a whole record type: a standing approval of its rule, and a disposition put off to a day. Pure.

A standing approval needs two people, ends by itself, and covers one rule exactly as it stands: any change of the record type in the
schedule leaves it without one. Facts in, a verdict out; who signed what was verified before (`storage.rulings`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import cast

from retention.approval import as_compared, require_signed
from retention.document import JSON, encode, read, write
from retention.errors import VerificationFailed
from retention.facts import Standing
from retention.signing import PublicKey

TYPE = "https://retention.example/ruling/v1"
ID = 16
"""Digits of the digest by which a standing approval is called."""


class RulingKind(StrEnum):
    EXTENDED = "extended"
    """No case of the record type before the day ``until``."""
    EXTENSION_CANCELLED = "extension-cancelled"
    PROPOSED = "standing-proposed"
    AGREED = "standing-agreed"
    REVOKED = "standing-revoked"
    """At once, by one person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulingStatement:
    """What is signed. ``rule``: digest of the record type as the schedule has it ("" where it does not matter)."""

    type: str
    record_type: str
    rule: str
    kind: RulingKind
    until: date | None
    person: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """One verified ruling. ``first``: whether the person's role then let them decide first, and not only second."""

    kind: RulingKind
    person: str
    rule: str
    until: date | None
    reason: str
    at: datetime
    first: bool = True
    digest: str = ""
    """Of its statement: see `digest_of`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingApproval:
    """``agreed_by`` is ``None`` while the second person is missing. ``proposal``, ``agreement``: digests of the two statements."""

    rule: str
    proposed_by: str
    agreed_by: str | None
    until: date
    proposal: str = ""
    agreement: str = ""

    @property
    def id(self) -> str:
        """As a certificate names it; "" while the second person is missing."""
        return self.agreement[:ID]

    def covers(self, rule: str, on: date) -> bool:
        """Up to and on its last day."""
        return self.agreed_by is not None and bool(rule) and self.rule == rule and on <= self.until


def statement(
    *,
    record_type: str,
    rule: str,
    kind: RulingKind,
    until: date | None,
    person: str,
    reason: str,
    at: datetime,
) -> dict[str, JSON]:
    """The statement a person signs."""
    value = RulingStatement(
        type=TYPE,
        record_type=record_type,
        rule=rule,
        kind=kind,
        until=until,
        person=person,
        reason=reason,
        at=at,
    )
    return cast("dict[str, JSON]", write(value))


def digest_of(statement: Mapping[str, JSON]) -> str:
    """SHA-256 (hex) of the canonical statement."""
    return sha256(encode(dict(statement))).hexdigest()


def extended_until(rulings: Iterable[Ruling], on: date) -> date | None:
    """The day to which the record type's disposition is put off; ``None`` when it is not (any more).

    What was signed last counts, wherever it stands in the list: its place can be changed, its moment cannot. Of what was signed in the
    same second, what stands last.
    """
    until: date | None = None
    last: datetime | None = None
    for ruling in rulings:
        if ruling.kind not in (RulingKind.EXTENDED, RulingKind.EXTENSION_CANCELLED) or not ruling.first:
            continue
        signed = ruling.at.replace(microsecond=0)
        if last is None or signed >= last:
            until, last = (ruling.until if ruling.kind is RulingKind.EXTENDED else None), signed
    return until if until is not None and on < until else None


def standing_approvals(rulings: Iterable[Ruling]) -> tuple[StandingApproval | None, StandingApproval | None]:
    """The one agreed upon last and the one that waits for a second person. Both end when somebody revokes.

    What was signed before that, or in that very second, counts no more wherever it stands in the list: its place can be changed, its
    moment cannot.
    """
    agreed: StandingApproval | None = None
    waiting: StandingApproval | None = None
    revoked: datetime | None = None
    for ruling in rulings:
        signed = ruling.at.replace(microsecond=0)
        if ruling.kind is RulingKind.REVOKED:
            agreed = waiting = None
            revoked = signed if revoked is None else max(revoked, signed)
        elif revoked is not None and signed <= revoked:
            continue
        elif ruling.kind is RulingKind.PROPOSED and ruling.first and ruling.until is not None:
            waiting = StandingApproval(
                rule=ruling.rule,
                proposed_by=ruling.person,
                agreed_by=None,
                until=ruling.until,
                proposal=ruling.digest,
            )
        elif ruling.kind is RulingKind.AGREED and waiting is not None and _agrees(ruling, waiting):
            agreed = StandingApproval(
                rule=waiting.rule,
                proposed_by=waiting.proposed_by,
                agreed_by=ruling.person,
                until=waiting.until,
                proposal=waiting.proposal,
                agreement=ruling.digest,
            )
            waiting = None
    return agreed, waiting


def _agrees(ruling: Ruling, waiting: StandingApproval) -> bool:
    same = (ruling.rule, ruling.until) == (waiting.rule, waiting.until)
    return same and ruling.person != waiting.proposed_by


def standing_problems(
    standing: Standing, *, kind: str, record_type: str, started: datetime, people: Mapping[str, PublicKey] | None = None
) -> Iterator[str]:  # fmt: skip
    """Everything that keeps this standing approval from covering a case of the record type that began then; nothing when it does.

    ``kind``: how cases of the record type are approved. ``people``: as for `retention.approval.verify`.
    """
    if kind != "standing":
        yield "a standing approval stands where cases are approved one by one"
    said: list[RulingStatement] = []
    for one in (standing.proposed, standing.agreed):
        try:
            require_signed(one, people)
            said.append(read(RulingStatement, one.statement, "ruling"))
        except VerificationFailed as error:
            yield error.message
            return
    proposed, agreed = said
    if (proposed.type, agreed.type, proposed.kind, agreed.kind) != (
        TYPE,
        TYPE,
        RulingKind.PROPOSED,
        RulingKind.AGREED,
    ):
        yield "a standing approval is not one that was proposed and agreed to"
    if any(
        (one.record_type, one.rule, one.until) != (record_type, standing.rule, standing.until) for one in said
    ):
        yield "a standing approval is for another record type, rule or time"
    if digest_of(standing.agreed.statement)[:ID] != standing.id:
        yield "a standing approval is called by another id than its own"
    same = as_compared(standing.proposed.person) == as_compared(standing.agreed.person)
    if same or proposed.person == agreed.person or standing.proposed.keyid == standing.agreed.keyid:
        yield "one person proposed a standing approval and agreed to it"
    # A day of slack, where the library's day meets a time in UTC.
    if not proposed.at <= agreed.at <= started or started.date() > standing.until + timedelta(days=1):
        yield "a standing approval was not in force when the destruction started"
