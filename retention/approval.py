"""Approval: one person's signed decision on one case. Binds the manifest and the schedule the person saw.

The signature is over the canonical JSON of the approval statement, which starts with ``{`` and names its own type: it can be
mistaken neither for an envelope's signed bytes (``DSSEv1 …``) nor for another kind of statement. A passkey signs the digest of
these bytes instead, in an assertion (`retention.verify_signed`). An approval of one manifest never covers another.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import cast

from retention.document import JSON, OPTIONAL, encode, read, write
from retention.errors import UsageError, VerificationFailed
from retention.signed import Assertion, Signed
from retention.signing import PublicKey, SigningKey, decode
from retention.verify_signed import verify_signed

TYPE = "https://retention.example/approval/v2"
WITHOUT_EPOCH = "https://retention.example/approval/v1"
"""As earlier versions signed it: without the hold epoch. It stands where it was signed; nothing is signed like that any more."""


class Decision(StrEnum):
    APPROVE = "approve"
    RETURN = "return"
    """Sent back: nothing is destroyed under it."""
    WITHDRAW = "withdraw"
    """Takes back the person's own earlier approval of the case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalStatement:
    """What is signed. ``lifts``: names of the brakes this person releases for this case (``records``, ``percent``, ``jump``).

    ``hold_epoch``: of an approval, what stands for the hold epoch that the person looked at (a keyed number, see docs/ledger.md), so
    that nobody can date an approval after the hold that voided it. Of other decisions and of the first version: none.
    """

    type: str
    case: str
    manifest: str
    """SHA-256 (hex) of the manifest."""
    schedule: str
    """Digest of the schedule."""
    record_type: str
    items: int
    decision: Decision
    at: datetime
    lifts: tuple[str, ...]
    hold_epoch: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A signed approval statement, as it stands in a certificate."""

    person: str
    title: str
    keyid: str
    public_key: str
    """The person's public key (base64 of its raw bytes), so that the signature can be checked without the library."""
    statement: dict[str, JSON]
    signature: str
    """Base64: 64 bytes (Ed25519), or DER (P-256)."""
    assertion: Assertion | None = field(default=None, metadata=OPTIONAL)
    """What a passkey signed; absent for a key of the person's own."""

    @property
    def key(self) -> PublicKey:
        """The key that the approval names. Raises `VerificationFailed` when id and key disagree."""
        kind, _, _ = self.keyid.partition(":")
        try:
            key = PublicKey(decode(self.public_key, "the key of an approval"), "", kind)
        except UsageError as error:
            raise VerificationFailed(error.message) from None
        if key.keyid != self.keyid:
            raise VerificationFailed("an approval's key id is not the id of its key")
        return key

    @property
    def signed(self) -> Signed:
        return Signed(keyid=self.keyid, signature=self.signature, assertion=self.assertion)

    @property
    def by(self) -> str:
        """What it is signed with, as people call it."""
        return "own key" if self.assertion is None else "passkey"


def statement(
    *,
    case: str,
    manifest: str,
    schedule: str,
    record_type: str,
    items: int,
    decision: Decision,
    at: datetime,
    lifts: Sequence[str] = (),
    hold_epoch: int | None = None,
) -> dict[str, JSON]:
    """The statement a person signs. ``at``: aware; written in UTC to the second. ``hold_epoch``: of an approval, and of nothing else."""
    value = ApprovalStatement(
        type=TYPE,
        case=case,
        manifest=manifest,
        schedule=schedule,
        record_type=record_type,
        items=items,
        decision=decision,
        at=at,
        lifts=tuple(lifts),
        hold_epoch=hold_epoch,
    )
    return cast("dict[str, JSON]", write(value))


def sign(key: SigningKey, statement: Mapping[str, JSON], *, person: str, title: str) -> Approval:
    """Sign a statement as this person, with a key of their own."""
    value = dict(statement)
    read(ApprovalStatement, value, "approval")
    return given(
        Signed.own(key.public, key.sign(encode(value))), key.public, value, person=person, title=title
    )


def given(
    signed: Signed, key: PublicKey, statement: Mapping[str, JSON], *, person: str, title: str
) -> Approval:
    """A statement that this person signed, unchecked."""
    return Approval(
        person=person, title=title, keyid=signed.keyid, public_key=key.text, statement=dict(statement),
        signature=signed.signature, assertion=signed.assertion,
    )  # fmt: skip


def verify(approval: Approval, people: Mapping[str, PublicKey] | None = None) -> ApprovalStatement:
    """The approval's statement, if its signature is by the key it names. Raises `VerificationFailed`.

    ``people``: keys known to belong to persons who may approve; given, the approval's key must be among them. Without it
    the key is the one written in the approval, which whoever signed the certificate vouches for.
    """
    require_signed(approval, people)
    value = read(ApprovalStatement, approval.statement, "approval")
    if value.type not in (TYPE, WITHOUT_EPOCH):
        raise VerificationFailed("an approval is of a type this version does not know")
    if (value.hold_epoch is not None) != (value.type == TYPE and value.decision is Decision.APPROVE):
        raise VerificationFailed("a hold epoch belongs to an approval of this version, and to nothing else")
    return value


def require_signed(approval: Approval, people: Mapping[str, PublicKey] | None = None) -> None:
    """Whatever the statement is, the key that the approval names signed it. Raises `VerificationFailed`. ``people``: as for `verify`."""
    key = approval.key
    if people is not None and people.get(key.keyid) != key:
        raise VerificationFailed("an approval was signed with a key that was not given as a person's key")
    verify_signed(approval.signed, key, approval.statement, what="the signature of an approval")


def problems(
    approvals: Sequence[Approval],
    *,
    kind: str,
    case: str,
    manifest: str,
    schedule: str,
    record_type: str,
    items: int,
    people: Mapping[str, PublicKey] | None = None,
) -> Iterator[str]:
    """Everything that keeps these approvals from covering this case; nothing when they do.

    ``kind``: ``standing`` needs none (the schedule is the approval), ``custodian`` one, ``two-person`` two different
    persons with two different keys. Approvals that are there are checked whatever the kind.
    """
    expected = (case, manifest, schedule, record_type, items)
    for approval in approvals:
        try:
            value = verify(approval, people)
        except VerificationFailed as error:
            yield error.message
            continue
        if (value.case, value.manifest, value.schedule, value.record_type, value.items) != expected:
            yield "an approval is for another case, manifest, schedule, record type or number of items"
        if value.decision is not Decision.APPROVE:
            yield "an approval does not approve"
    needed = {"standing": 0, "custodian": 1, "two-person": 2}.get(kind)
    if needed is None:
        yield "the kind of approval is not known"
        return
    names = {as_compared(approval.person) for approval in approvals}
    keys = {approval.keyid for approval in approvals}
    if min(len(names), len(keys)) < max(needed, len(approvals)):
        yield (
            "the same person approved twice"
            if len(approvals) >= needed
            else f"{needed} approval(s) are needed"
        )


def as_compared(person: str) -> str:
    """A name as people compare names: case, spacing and compatible letters make no difference."""
    return " ".join(unicodedata.normalize("NFKC", person).casefold().split())
