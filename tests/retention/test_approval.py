from __future__ import annotations

import base64
import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from retention import approval, signing
from retention.approval import Decision
from retention.document import encode
from retention.errors import UsageError, VerificationFailed
from tests.retention.certificate_facts import CASE, COUNSEL, DIRECTOR, MANIFEST, SCHEDULE, approved, at, key

BINDING: dict[str, Any] = {
    "case": CASE,
    "manifest": MANIFEST,
    "schedule": SCHEDULE,
    "record_type": "past-checkouts",
    "items": 8,
}


def problems(*approvals: approval.Approval, kind: str = "two-person", **changes: Any) -> list[str]:
    return list(approval.problems(approvals, kind=kind, **(BINDING | changes)))


def test_an_approval_verifies_and_says_what_was_signed() -> None:
    value = approval.verify(approved(DIRECTOR, "Mei Lind", lifts=("percent",)))
    assert (value.case, value.items, value.decision, value.lifts) == (CASE, 8, Decision.APPROVE, ("percent",))
    assert value.at == at(9).replace(microsecond=0)


def test_two_people_with_two_keys_cover_a_two_person_case() -> None:
    assert problems(approved(DIRECTOR, "Mei Lind"), approved(COUNSEL, "Jo Reyes")) == []


def test_one_person_twice_is_not_two_people() -> None:
    first = approved(DIRECTOR, "Mei Lind")
    assert problems(first) != []
    assert problems(first, first) == ["the same person approved twice"]
    assert problems(first, approved(COUNSEL, " mei  LIND ")) == ["the same person approved twice"]
    assert problems(first, approved(DIRECTOR, "Jo Reyes")) == ["the same person approved twice"]


def test_a_standing_approval_needs_nobody_and_a_custodian_one() -> None:
    assert problems(kind="standing") == []
    assert problems(kind="custodian") != []
    assert problems(approved(DIRECTOR, "Mei Lind"), kind="custodian") == []
    assert problems(approved(DIRECTOR, "Mei Lind"), kind="whoever") == ["the kind of approval is not known"]


@pytest.mark.parametrize(
    "change",
    [{"case": "C-1"}, {"manifest": "00"}, {"schedule": "00"}, {"record_type": "footage"}, {"items": 9}],
    ids=lambda change: str(*change),
)
def test_an_approval_of_something_else_does_not_cover_the_case(change: dict[str, Any]) -> None:
    assert problems(approved(DIRECTOR, "Mei Lind"), kind="custodian", **change) != []


def test_a_returned_case_is_not_approved() -> None:
    returned = approved(DIRECTOR, "Mei Lind", decision=Decision.RETURN)
    assert problems(returned, kind="custodian") == ["an approval does not approve"]


def test_every_changed_part_of_an_approval_is_noticed() -> None:
    good = approved(DIRECTOR, "Mei Lind")
    other = approved(COUNSEL, "Jo Reyes")
    for changed in (
        dataclasses.replace(good, statement={**good.statement, "items": 9}),
        dataclasses.replace(good, signature=other.signature),
        dataclasses.replace(good, signature=good.signature + "="),
        dataclasses.replace(good, signature=""),
        dataclasses.replace(good, keyid=other.keyid),
        dataclasses.replace(good, public_key=other.public_key),
        dataclasses.replace(good, public_key="AAAA"),
        dataclasses.replace(good, keyid=other.keyid, public_key=other.public_key),
        dataclasses.replace(good, statement={}),
    ):
        with pytest.raises(VerificationFailed):
            approval.verify(changed)


def test_a_well_signed_statement_of_another_kind_is_no_approval() -> None:
    good = approved(DIRECTOR, "Mei Lind")
    for foreign in ({**good.statement, "type": "https://example/other"}, {**good.statement, "more": 1}):
        signature = base64.b64encode(DIRECTOR.sign(encode(foreign))).decode()
        with pytest.raises(VerificationFailed):
            approval.verify(dataclasses.replace(good, statement=foreign, signature=signature))
    with pytest.raises(VerificationFailed, match="does not belong"):
        approval.sign(DIRECTOR, {**good.statement, "more": 1}, person="Mei Lind", title="Director")


def test_an_approval_of_the_first_version_still_verifies_and_has_no_epoch() -> None:
    good = approved(DIRECTOR, "Mei Lind")
    without = {name: value for name, value in good.statement.items() if name != "holdEpoch"}
    first = {**without, "type": approval.WITHOUT_EPOCH}
    value = approval.verify(approval.sign(DIRECTOR, first, person="Mei Lind", title="Director"))
    assert (value.case, value.hold_epoch) == (CASE, None)
    for odd in (
        without,
        {**good.statement, "type": approval.WITHOUT_EPOCH},
        {**good.statement, "decision": "return"},
    ):
        with pytest.raises(VerificationFailed, match="a hold epoch belongs"):
            approval.verify(approval.sign(DIRECTOR, odd, person="Mei Lind", title="Director"))


def test_given_persons_keys_an_approval_must_be_by_one_of_them() -> None:
    good = approved(DIRECTOR, "Mei Lind")
    assert approval.verify(good, signing.key_ring(DIRECTOR.public)).case == CASE
    with pytest.raises(VerificationFailed, match="not given as a person's key"):
        approval.verify(good, signing.key_ring(COUNSEL.public))


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(VerificationFailed, match="time zone"):
        approved(DIRECTOR, "Mei Lind", at=datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))


def test_keys_survive_their_text_forms() -> None:
    public = DIRECTOR.public
    assert signing.load_public(public.line.encode()) == public
    assert signing.load_public(public.line.encode()).name == "director"
    assert signing.load_public(public.pem) == public
    assert signing.load_private(DIRECTOR.dump()).keyid == DIRECTOR.keyid
    assert signing.load_private(DIRECTOR.dump(b"secret"), b"secret").keyid == DIRECTOR.keyid
    two = f"# keys\n\n{public.line}\n{COUNSEL.public.line}\n".encode()
    assert signing.load_public_keys(two) == (public, COUNSEL.public)
    assert signing.generate("n").keyid != signing.generate("n").keyid
    assert key("a").keyid == key("a").keyid


def test_a_private_key_does_not_show_itself() -> None:
    assert DIRECTOR.dump().decode().splitlines()[1] not in repr(DIRECTOR)
    assert "_key" not in repr(DIRECTOR)


P256 = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"nonsense",
        b"retention-ed25519",
        b"retention-ed25519 AAAA name",
        b"retention-ed25519 !!!! name",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"x" * 70_000,
    ],
)
def test_what_is_not_one_public_key_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(UsageError) as refused:
        signing.load_public(data)
    assert "\n" not in str(refused.value)


def test_a_public_key_of_either_kind_is_read_from_pem() -> None:
    assert signing.load_public(P256).kind == "p256"
    assert signing.load_public(DIRECTOR.public.pem).kind == "ed25519"


def test_what_is_not_a_private_key_is_refused() -> None:
    for data in (b"", b"nonsense", P256, DIRECTOR.dump(b"secret"), DIRECTOR.public.pem):
        with pytest.raises(UsageError):
            signing.load_private(data)
    with pytest.raises(UsageError):
        signing.load_private(DIRECTOR.dump(b"secret"), b"wrong")
