"""An invented case for the tests of certificates, and its envelope. No random keys: the same bytes on every run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any, cast
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from retention import approval, envelope, ruling, schedule, signing
from retention.approval import Approval, Decision
from retention.certificate import Certificate, statement
from retention.document import JSON, encode
from retention.facts import (
    Authority,
    Component,
    Evidence,
    Facts,
    How,
    Identity,
    LocationReport,
    Method,
    People,
    Person,
    Residual,
    Standing,
    State,
    Statement,
    Verification,
    What,
    Window,
)
from retention.leaves import leaves
from retention.outcomes import Outcome
from retention.ruling import RulingKind
from retention.signed import Signed
from retention.tree import root, shuffled

CASE = "C-2026-0007"
MANIFEST = sha256(b"manifest").hexdigest()
SCHEDULE = sha256(b"schedule").hexdigest()


def key(name: str) -> signing.SigningKey:
    """The same key for the same name. For tests only."""
    private = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())
    return signing.load_private(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), name=name
    )


LIBRARY = key("library")
DIRECTOR = key("director")
COUNSEL = key("counsel")


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 20, hour, minute, 30, 250_000, tzinfo=UTC)


def approved(signer: signing.SigningKey, person: str, **changes: Any) -> Approval:
    said: dict[str, Any] = {
        "case": CASE,
        "manifest": MANIFEST,
        "schedule": SCHEDULE,
        "record_type": "past-checkouts",
        "items": 8,
        "decision": Decision.APPROVE,
        "at": at(9),
        "hold_epoch": 7 if changes.get("decision", Decision.APPROVE) is Decision.APPROVE else None,
    }
    return approval.sign(
        signer, approval.statement(**(said | changes)), person=person, title="Library Director"
    )


def standing(
    first: signing.SigningKey = DIRECTOR, second: signing.SigningKey = COUNSEL, **changes: Any
) -> Standing:
    """A standing approval of the rule by two people; ``changes``: of what the second one signed."""
    said: dict[str, Any] = {"record_type": "past-checkouts", "rule": "ab" * 32, "until": date(2027, 6, 30)}
    one = ruling.statement(
        **said, kind=RulingKind.PROPOSED, person="mei", reason="reviewed with the board", at=at(7)
    )
    agreed: dict[str, Any] = {
        **said,
        "kind": RulingKind.AGREED,
        "person": "jo",
        "reason": "",
        "at": at(8),
    } | changes
    two = ruling.statement(**agreed)
    return Standing(
        id=ruling.digest_of(two)[:16], rule="ab" * 32, until=date(2027, 6, 30),
        proposed=_ruled(first, one, "Mei Lind"), agreed=_ruled(second, two, "Jo Reyes"),
    )  # fmt: skip


def _ruled(signer: signing.SigningKey, statement: dict[str, JSON], person: str) -> Approval:
    signed = Signed.own(signer.public, signer.sign(encode(statement)))
    return approval.given(signed, signer.public, statement, person=person, title="Library Director")


def place(**changes: Any) -> LocationReport:
    said: dict[str, Any] = {
        "location": "circulations",
        "store": "evergreen",
        "destroyed": 4,
        "already_absent": 1,
        "withheld": 1,
        "not_destroyed": 1,
        "unknown": 1,
        "seen_absent": 4,
        "method": Method.NONE_CLAIMED,
        "technique": "rows deleted in one transaction per batch",
        "verification": "every key looked for again in a new transaction",
        "not_claimed": ("bytes remain in pages until the next vacuum",),
    }
    return LocationReport(**(said | changes))


RECORD_TYPE = schedule.RecordType(
    id="past-checkouts",
    title="Past checkouts",
    description="Reading history",
    owner="Circulation",
    personal_data=("patron",),
    trigger_event="item returned",
    cutoff=schedule.Cutoff.DAY,
    rules=(
        schedule.Rule(
            id="default",
            authority=schedule.Authority(citation="Privacy policy III.2"),
            minimum=schedule.Period(),
            maximum=schedule.Period(years=1, months=6),
        ),
    ),
    disposition=schedule.Disposition.PURGE,
    approval=schedule.ApprovalKind.TWO_PERSON,
    cooling_off=schedule.Period(days=1),
    limits=schedule.Limits(),
    effective_from=date(2026, 1, 1),
    effective_until=None,
    locations=(),
)
THE_SCHEDULE = schedule.Schedule(
    version="2026-11",
    digest=SCHEDULE,
    library=schedule.Library(
        organization="Three Rivers Library District",
        custodian="Library Director",
        zone=ZoneInfo("America/Denver"),
        fiscal_year_start=(7, 1),
    ),
    stores=(),
    record_types=(RECORD_TYPE,),
)


REFERENCES = [f"evergreen/circulations/{number}" for number in range(8)]


def leaf_file(references: Sequence[str] = REFERENCES) -> bytes:
    outcomes = [Outcome.DESTROYED] * 4 + [o for o in Outcome if o is not Outcome.DESTROYED]
    return shuffled(leaves(b"k" * 32, 0, references, outcomes))


LEAVES = leaf_file()


def groups(**changes: Any) -> dict[str, Any]:
    """Field groups of a certificate; ``group__field=value`` changes one field."""
    said: dict[str, Any] = {
        "identity": Identity(
            id="C-2026-0007-p",
            case=CASE,
            state=State.PROVISIONAL,
            issued=at(12),
            organization="Three Rivers Library District",
            custodian="Library Director",
            software="retention",
            version="0.1.0",
        ),
        "authority": Authority.of(
            THE_SCHEDULE,
            RECORD_TYPE,
            on=date(2026, 11, 19),
            minimum_met_on=date(2026, 11, 18),
            past_maximum=1,
        ),
        "what": What(
            manifest_digest=MANIFEST,
            items=8,
            earliest=date(2026, 1, 2),
            latest=date(2026, 11, 18),
            locations=(place(),),
        ),
        "how": How(started=at(10), ended=at(11)),
        "verification": Verification(method="read back after commit"),
        "people": People(
            preparer=Person(name="Ada Park", title="Records Officer", on=date(2026, 11, 18)),
            destroyer=Component(name="retention.destroy", version="0.1.0"),
            verifier=Component(name="retention.read-back", version="0.1.0"),
            approvals=(approved(DIRECTOR, "Mei Lind"), approved(COUNSEL, "Jo Reyes")),
        ),
        "statement": Statement(holds_checked_at=at(10, 59), hold_epoch=41),
        "residual": Residual(
            windows=(
                Window(copy="write-ahead log", store="evergreen", until=date(2026, 11, 27)),
                Window(copy="backups", store="evergreen", until=date(2027, 2, 18)),
            )
        ),
        "evidence": Evidence(leaves=8, root=root([LEAVES]).hash.hex(), signed_by=(LIBRARY.keyid,)),
    }
    for path, value in changes.items():
        group, _, field = path.partition("__")
        said[group] = dataclasses.replace(said[group], **{field: value}) if field else value
    return said


def certificate(**changes: Any) -> Certificate:
    return Certificate(**groups(**changes))


def facts(**changes: Any) -> Facts:
    """The same without its refusals, as a dishonest or mistaken library would sign it."""
    return Facts(**groups(**changes))


def sealed(**changes: Any) -> bytes:
    return envelope.sign(statement(cast(Certificate, facts(**changes))), [LIBRARY])


KEYS = signing.key_ring(LIBRARY.public)
