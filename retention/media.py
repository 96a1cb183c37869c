"""Physical media destroyed by hand: paper, disks, thumb drives, laptops. A certificate of what two people attest, not of what was seen.

Four signed steps, in this order: one custodian *plans* a lot, another *approves* it, one *attests* that it was destroyed and how, another
*witnesses* the same. The program destroys nothing here and reads nothing back, and the certificate says so. Refuses an attestation
without its witness, a witness who approved or destroyed, two accounts that differ, and a method that the kind of medium does not allow.

Fields of media: NIST SP 800-88r1, appendix G; methods per kind: its appendix A.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import cast

from retention.approval import Approval, as_compared
from retention.certificate import DERIVED, PREDICATE_TYPE, STATEMENT_TYPE, text_problems
from retention.document import JSON, encode, read, write
from retention.errors import VerificationFailed
from retention.facts import Authority, Identity, Medium, Method, State, Statement
from retention.signing import PublicKey
from retention.verify_signed import verify_signed

ATTESTED = f"{PREDICATE_TYPE.rpartition('/certificate-of-destruction/')[0]}/attested-destruction/v1"
STEP_TYPE = "https://retention.example/media-step/v1"
MOST = 1000
"""Media of one lot."""
LONGEST = 120
"""Characters of one field of a medium."""
LONGEST_ACCOUNT = 400
"""Characters that say how it was done: they stand on the first page."""
NOTHING_SEEN = "This program destroyed none of them, saw nothing of it and read nothing back; it records what the two persons named signed."


class MediaType(StrEnum):
    PAPER = "paper"
    HARD_DISK = "hard-disk"
    SOLID_STATE = "solid-state-disk"
    THUMB_DRIVE = "thumb-drive"
    MEMORY_CARD = "memory-card"
    OPTICAL = "optical-disc"
    FLOPPY = "floppy"
    TAPE = "tape"
    LAPTOP = "laptop"
    PHONE = "phone"
    OTHER = "other"


class Step(StrEnum):
    """What a person signs about a lot."""

    PLAN = "plan"
    APPROVE = "approve"
    ATTEST = "attest"
    WITNESS = "witness"


APART: dict[Step, tuple[Step, ...]] = {Step.APPROVE: (Step.PLAN,), Step.WITNESS: (Step.APPROVE, Step.ATTEST)}
"""Whose signer may not have signed the earlier steps named: a witness to their own decision, or their own deed, is none."""
METHODS = (Method.CLEAR, Method.PURGE, Method.DESTROY)
"""What a person may attest."""
_ONLY_DESTROYED = frozenset({MediaType.PAPER, MediaType.OPTICAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """What is to be destroyed together. ``authorities``: the rule of each kind of record on it, of one schedule. ``earliest``,
    ``latest``: first and last trigger day of the records."""

    id: str
    authorities: tuple[Authority, ...]
    earliest: date
    latest: date
    planned: datetime
    media: tuple[Medium, ...]

    @property
    def record_types(self) -> tuple[str, ...]:
        return tuple(authority.record_type for authority in self.authorities)

    @property
    def schedule(self) -> str:
        """Digest of the schedule."""
        return next((authority.schedule_digest for authority in self.authorities), "")

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of its canonical form: what every step is about."""
        return hashlib.sha256(encode(write(self))).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStatement:
    """What is signed. ``method``, ``technique`` and ``destroyed_at``: of an attestation and of its witness, else ``None``."""

    type: str
    lot: str
    digest: str
    schedule: str
    step: Step
    at: datetime
    hold_epoch: int
    """Hold epoch at which no hold touched the lot."""
    method: Method | None
    technique: str | None
    destroyed_at: datetime | None


def said(
    lot: Lot, step: Step, *, at: datetime, hold_epoch: int, method: Method | None = None, technique: str | None = None,
    destroyed_at: datetime | None = None,
) -> dict[str, JSON]:  # fmt: skip
    """The statement that a person signs."""
    value = StepStatement(
        type=STEP_TYPE, lot=lot.id, digest=lot.digest, schedule=lot.schedule, step=step, at=at, hold_epoch=hold_epoch, method=method,
        technique=technique, destroyed_at=destroyed_at,
    )  # fmt: skip
    return cast("dict[str, JSON]", write(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """``checkpoint``: of the log before this certificate, as in `retention.facts.Evidence`."""

    digest: str
    signed_by: tuple[str, ...]
    checkpoint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """The facts, unchecked. ``signed``: the four steps, in their order."""

    identity: Identity
    lot: Lot
    method: Method
    technique: str
    destroyed_at: datetime
    signed: tuple[Approval, ...]
    statement: Statement
    evidence: Trail


def require(facts: Attested) -> Attested:
    """The facts, found to be coherent. Raises `VerificationFailed`: nothing may be certified then."""
    for check in (
        media_problems(facts.lot, facts.method, facts.technique),
        step_problems(facts),
        date_problems(facts),
        text_problems(write(facts)),
    ):
        for problem in check:
            raise VerificationFailed(f"this certificate must not be made: {problem}")
    return facts


def media_problems(lot: Lot, method: Method | None = None, technique: str | None = None) -> Iterator[str]:
    """Whether every medium can be told from others, and may be treated so; and whether it is said how, once it was."""
    if not 1 <= len(lot.media) <= MOST:
        yield f"a lot has from 1 to {MOST} media"
    if not lot.record_types or len(set(lot.record_types)) != len(lot.record_types):
        yield "a lot names each kind of record that is on it, once"
    if method is not None and method not in METHODS:
        yield "a method is attested that no person can carry out"
    if technique is not None and not 1 <= len(technique.strip()) <= LONGEST_ACCOUNT:
        yield f"how it was done is not said in 1 to {LONGEST_ACCOUNT} characters"
    known = {kind.value for kind in MediaType}
    for medium in lot.media:
        texts = (
            medium.make,
            medium.model,
            medium.serial,
            medium.property_number or "",
            medium.source,
            medium.categorization,
        )
        if medium.media_type not in known:
            yield f"a media type is none of {', '.join(sorted(known))}"
        elif medium.media_type in _ONLY_DESTROYED and method not in (None, Method.DESTROY):
            yield f"{medium.media_type} cannot be cleared or purged, only destroyed"
        if any(len(text) > LONGEST or text != text.strip() for text in texts):
            yield f"a field of a medium has more than {LONGEST} characters, or spaces around it"
        if not medium.source or not medium.categorization:
            yield "a medium does not say where it comes from and how its content is categorized"
        if medium.media_type != MediaType.PAPER and not (medium.serial or medium.property_number):
            yield "a medium has neither a serial nor a property number"
    named = [
        (medium.serial, medium.property_number)
        for medium in lot.media
        if medium.serial or medium.property_number
    ]
    if len(set(named)) != len(named):
        yield "a medium is there twice"


def step_problems(facts: Attested, people: Mapping[str, PublicKey] | None = None) -> Iterator[str]:
    """The four steps are about this lot, signed, in their order, by persons who are not the same where they must not be.

    ``people``: keys known to be those of persons who may; without it the keys written in the certificate are taken.
    """
    if facts.evidence.digest != facts.lot.digest:
        yield "the digest is not that of the lot"
    read_: list[StepStatement] = []
    for given in facts.signed:
        try:
            key = given.key
            if people is not None and people.get(key.keyid) != key:
                raise VerificationFailed("a step was signed with a key that was not given as a person's key")
            verify_signed(given.signed, key, given.statement, what="the signature of a step")
            read_.append(read(StepStatement, given.statement, "step"))
        except VerificationFailed as error:
            yield error.message
            return
    if tuple(one.step for one in read_) != tuple(Step):
        yield "there are not exactly the four steps, in their order"
        return
    wanted = STEP_TYPE, facts.lot.id, facts.lot.digest
    if any((one.type, one.lot, one.digest) != wanted for one in read_):
        yield "a step is about another lot"
    if {one.schedule for one in read_} != {one.schedule_digest for one in facts.lot.authorities}:
        yield "a step was signed under another schedule"
    by = dict(zip(Step, facts.signed, strict=True))
    for later, others in APART.items():
        for earlier in others:
            if _same(by[earlier], by[later]):
                yield f"one person signed both {earlier.value} and {later.value}"
    told = facts.method, facts.technique, facts.destroyed_at
    for one in read_[2:]:
        if (one.method, one.technique, one.destroyed_at) != told:
            yield "the attestation and its witness do not say what the certificate says"
    if any(one.method or one.technique or one.destroyed_at for one in read_[:2]):
        yield "a plan says how something was destroyed that was there yet"
    if facts.statement.hold_epoch != read_[3].hold_epoch or facts.statement.holds_checked_at != read_[3].at:
        yield "holds were last checked at another time than the witness signed"


def date_problems(facts: Attested) -> Iterator[str]:
    """Times in an order in which it can have happened, and minimums that were over before anybody approved."""
    try:
        times = [read(StepStatement, given.statement, "step").at for given in facts.signed]
    except VerificationFailed as error:
        yield error.message
        return
    if len(times) != len(Step):
        yield "there are not four steps"
        return
    plan, approve, attest, witness = times
    order = [facts.lot.planned, plan, approve, facts.destroyed_at, attest, witness, facts.identity.issued]
    if any(later < earlier for earlier, later in pairwise(order)):
        yield "planning, approval, destruction, attestation, witness and issue are not in this order"
    if facts.lot.earliest > facts.lot.latest:
        yield "the inclusive dates are not in order"
    for authority in facts.lot.authorities:
        if (
            not facts.lot.latest <= authority.minimum_met_on <= authority.on
            or authority.on - approve.date() > timedelta(days=1)
        ):
            yield "a minimum was not over on the day of the approval"
        if not authority.rules:
            yield "a kind of record has no rule"
    if not (facts.statement.retention_met and facts.statement.no_pending_matter):
        yield "the statement that retention was met, and that no matter is pending, is missing"
    identity = facts.identity
    if identity.state is not State.FINAL or {identity.id, identity.case} != {facts.lot.id}:
        yield "it is not the final certificate of its lot"
    if identity.supersedes is not None or identity.reason is not None:
        yield "it replaces another one, which nothing attested can"


def derived(facts: Attested) -> dict[str, JSON]:
    """What follows from the facts."""
    return {
        "summary": {
            "media": len(facts.lot.media),
            "method": facts.method.value,
            "result": "attested",
            "seen": 0,
        },
        "exceptions": {"seenByTheProgram": False},
    }


def sentences(facts: Attested) -> list[JSON]:
    """The statement in words."""
    attest, witness = facts.signed[2:4]
    count, when = len(facts.lot.media), cast("str", write(facts.destroyed_at))
    return [
        f"{count} {'medium was' if count == 1 else 'media were'} destroyed by hand at {when}, as attested by {attest.person}, "
        f"{attest.title}, and witnessed by {witness.person}, {witness.title}.",
        NOTHING_SEEN,
        f"The method that both attest is: {facts.method.value} ({facts.technique}).",
        f"As of {facts.lot.authorities[0].on.isoformat()} the retention required by the schedule was met for every record of the kinds and dates named.",
        f"To the knowledge of {facts.identity.organization}, no record on them was subject to pending or reasonably anticipated litigation, "
        "investigation, audit or public-records request.",
        f"Holds checked at {cast('str', write(facts.statement.holds_checked_at))}, hold epoch {facts.statement.hold_epoch}.",
        "Copies of these records elsewhere are not covered.",
    ]


def statement(facts: Attested) -> dict[str, JSON]:
    """The in-toto Statement v1 to put into an envelope. Raises `VerificationFailed`."""
    whole = require(facts)
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": whole.lot.id, "digest": {"sha256": whole.lot.digest}}],
        "predicateType": ATTESTED,
        "predicate": {
            **cast("dict[str, JSON]", write(whole)),
            **derived(whole),
            "sentences": sentences(whole),
        },
    }


def facts_of(said: Mapping[str, JSON], unknown: list[str]) -> tuple[Attested, dict[str, JSON]]:
    """The facts that a statement rests on, unchecked, and what it derives from them. Raises `VerificationFailed`."""
    predicate = said.get("predicate")
    if said.get("_type") != STATEMENT_TYPE:
        raise VerificationFailed("the statement is not a certificate of this version")
    if set(said) != {"_type", "subject", "predicateType", "predicate"} or not isinstance(predicate, dict):
        raise VerificationFailed("the statement does not have the four members of an in-toto statement")
    rest = {name: value for name, value in predicate.items() if name not in DERIVED}
    facts = read(Attested, rest, "predicate", unknown)
    if said["subject"] != [{"name": facts.lot.id, "digest": {"sha256": facts.lot.digest}}]:
        raise VerificationFailed("the subject is not the lot with its digest")
    for problem in text_problems(write(facts)):
        raise VerificationFailed(problem)
    return facts, {name: predicate.get(name) for name in DERIVED}


def claim_problems(facts: Attested, claimed: Mapping[str, JSON]) -> Iterator[str]:
    """Nothing is claimed beyond what the two attest."""
    yield from media_problems(facts.lot, facts.method, facts.technique)
    if len(facts.signed) != len(Step):
        yield "there are not exactly the four steps"
        return
    follows = {**derived(facts), "sentences": sentences(facts)}
    for name, value in follows.items():
        if claimed.get(name) != value:
            yield f"what {name} says does not follow from the facts"


def _same(one: Approval, other: Approval) -> bool:
    return (
        one.keyid == other.keyid
        or one.public_key == other.public_key
        or as_compared(one.person) == as_compared(other.person)
    )
