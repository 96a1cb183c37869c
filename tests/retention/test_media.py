"""Certificates of media destroyed by hand: what two people attest, and nothing that they do not. Insiders with the library's key included."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, cast

import pytest

from retention import envelope, media
from retention.certificate import text_problems
from retention.document import JSON, write
from retention.errors import VerificationFailed
from retention.facts import Method, State, Statement
from retention.media import Attested, Step
from retention.signing import key_ring
from retention.steps import Result
from retention.verify import verify
from tests.retention.certificate_facts import LIBRARY
from tests.retention.media_facts import ADA, BELA, CLEO, DISK, DORA, at, facts, lot, sealed, signed, steps

KEYS = key_ring(LIBRARY.public)
PEOPLE = key_ring(ADA.public, BELA.public, CLEO.public)


def by_hand(whole: Attested, **changes: JSON) -> bytes:
    """An envelope that an insider signs with the library's own key, without the program."""
    predicate = {
        **cast("dict[str, JSON]", write(whole)), **media.derived(whole), "sentences": media.sentences(whole), **changes,
    }  # fmt: skip
    said: dict[str, JSON] = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": whole.lot.id, "digest": {"sha256": whole.lot.digest}}],
        "predicateType": media.ATTESTED,
        "predicate": predicate,
    }
    return envelope.sign(said, (LIBRARY,))


def results(data: bytes, people: Mapping[str, Any] | None = None) -> dict[int, Result]:
    report = verify(data, keys=KEYS, leaves=None, people=people)
    assert report.ok is (Result.FAILED not in {step.result for step in report.steps})
    return {step.number: step.result for step in report.steps}


def test_a_sound_certificate_verifies_from_its_file_alone() -> None:
    data = sealed()
    assert data == by_hand(facts())
    passed = dict.fromkeys(range(1, 8), Result.PASSED)
    assert results(data) == passed | dict.fromkeys(range(8, 11), Result.NOT_CHECKED)
    assert results(data, PEOPLE)[5] is Result.PASSED


def test_it_says_who_attests_and_that_nothing_was_seen() -> None:
    said = cast("list[str]", media.sentences(facts()))
    assert "attested by Ada Abel, Custodian, and witnessed by Cleo Cole, Custodian" in said[0]
    assert said[1] == media.NOTHING_SEEN
    told = " ".join(said)
    assert "read back nothing" in told or "read nothing back" in told
    assert not list(text_problems(list[JSON](said)))


SAME = lot()
WRONG: dict[str, tuple[Callable[[], Attested], int]] = {
    "no witness": (lambda: facts(signed=steps(SAME)[:3]), 5),
    "one person attests and witnesses": (lambda: facts(signed=steps(SAME, witness=ADA)), 5),
    "one person approves and witnesses": (lambda: facts(signed=steps(SAME, witness=BELA)), 5),
    "one person plans and approves": (lambda: facts(signed=steps(SAME, approve=ADA)), 5),
    "one person under two names": (
        lambda: facts(signed=(*steps(SAME)[:3], dataclasses.replace(steps(SAME, witness=DORA)[3], person="ada  ABEL"))), 5,
    ),
    "one key under two names": (
        lambda: facts(signed=(*steps(SAME)[:3], dataclasses.replace(steps(SAME, witness=ADA)[3], person="Zoe Zahn"))), 5,
    ),
    "one name in letters that look alike": (
        lambda: facts(signed=(*steps(SAME)[:3], dataclasses.replace(steps(SAME, witness=DORA)[3], person="\uff21da Abel"))), 5,
    ),
    "a key that did not sign": (
        lambda: facts(signed=(*steps(SAME)[:3], dataclasses.replace(steps(SAME)[3], keyid=DORA.public.keyid, public_key=DORA.public.text))), 5,
    ),
    "a key under the id of another": (
        lambda: facts(signed=(*steps(SAME)[:3], dataclasses.replace(steps(SAME)[3], public_key=DORA.public.text))), 5,
    ),
    "a changed serial number": (
        lambda: facts(lot(media=(dataclasses.replace(DISK, serial="ZA2"),)), signed=steps(SAME)), 5,
    ),
    "a changed serial number under the digest that was signed": (
        lambda: facts(
            lot(media=(dataclasses.replace(DISK, serial="ZA2"),)), signed=steps(SAME), evidence=dataclasses.replace(facts().evidence, digest=SAME.digest)
        ),
        5,
    ),
    "steps in another order": (lambda: facts(signed=(*steps(SAME)[:2], *steps(SAME)[:1:-1])), 5),
    "steps about another lot": (lambda: facts(signed=steps(lot(id="M20261120-00000002"))), 5),
    "a medium added after it was signed": (
        lambda: facts(lot(media=(DISK, dataclasses.replace(DISK, serial="ZA2", property_number=None))), signed=steps(SAME)), 5,
    ),
    "a witness to another method": (
        lambda: facts(signed=(*steps(SAME)[:3], signed(SAME, Step.WITNESS, CLEO, at(12), method=Method.PURGE))), 5,
    ),
    "a witness to another time": (
        lambda: facts(signed=(*steps(SAME)[:3], signed(SAME, Step.WITNESS, CLEO, at(12), destroyed_at=at(9)))), 5,
    ),
    "a stronger method than attested": (
        lambda: facts(
            method=Method.DESTROY,
            signed=tuple(
                signed(SAME, Step(str(one.statement["step"])), who, hour, method=Method.CLEAR)
                if one.statement["method"]
                else one
                for one, who, hour in zip(steps(SAME), (ADA, BELA, ADA, CLEO), map(at, (8, 9, 11, 12)), strict=True)
            ),
        ),
        5,
    ),
    "a forged signature": (
        lambda: facts(signed=(*steps(SAME)[:3], dataclasses.replace(steps(SAME)[3], signature=steps(SAME)[1].signature))), 5,
    ),
    "holds checked at another time": (lambda: facts(statement=Statement(holds_checked_at=at(12), hold_epoch=4)), 5),
    "destroyed before it was approved": (
        lambda: facts(
            destroyed_at=at(8),
            signed=(
                *steps(SAME)[:2],
                signed(SAME, Step.ATTEST, ADA, at(11), destroyed_at=at(8)),
                signed(SAME, Step.WITNESS, CLEO, at(12), destroyed_at=at(8)),
            ),
        ),
        7,
    ),
    "a minimum that was not over": (
        lambda: facts(lot(authorities=(dataclasses.replace(SAME.authorities[0], minimum_met_on=date(2026, 12, 1)),))), 7,
    ),
    "no rule": (lambda: facts(lot(authorities=(dataclasses.replace(SAME.authorities[0], rules=()),))), 7),
    "provisional": (lambda: facts(identity=dataclasses.replace(facts().identity, state=State.PROVISIONAL)), 7),
    "under another number than its lot's": (lambda: facts(identity=dataclasses.replace(facts().identity, id="M20261120-00000002")), 7),
    "in place of another": (lambda: facts(identity=dataclasses.replace(facts().identity, supersedes="C-2026-0007-p")), 7),
    "a matter pending": (
        lambda: facts(statement=Statement(holds_checked_at=at(12), hold_epoch=3, no_pending_matter=False)), 7,
    ),
    "nothing destroyed": (lambda: facts(lot(media=())), 4),
    "cleared paper": (lambda: facts(lot(media=(dataclasses.replace(DISK, media_type="paper"),)), method=Method.CLEAR), 4),
    "a method that no person carries out": (lambda: facts(method=Method.CRYPTOGRAPHIC_ERASE), 4),
    "a disk that cannot be told from others": (
        lambda: facts(lot(media=(dataclasses.replace(DISK, serial="", property_number=None),))), 4,
    ),
    "nothing said of how": (lambda: facts(technique=" "), 4),
    "no kind of record": (lambda: facts(lot(authorities=())), 4),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_must_not_be_certified_is_neither_made_nor_verified(name: str) -> None:
    make, number = WRONG[name]
    whole = make()
    with pytest.raises((VerificationFailed, IndexError)):
        media.statement(whole)
    if len(whole.signed) == len(Step) and whole.lot.authorities:
        assert results(by_hand(whole))[number] is Result.FAILED


@pytest.mark.parametrize(
    ("group", "value"),
    [
        ("summary", {"media": 2, "method": "destroy", "result": "attested", "seen": 0}),
        ("summary", {"media": 1, "method": "destroy", "result": "passed", "seen": 1}),
        ("exceptions", {}),
        ("sentences", ["Destroyed and seen to be destroyed."]),
    ],
)
def test_more_cannot_be_said_than_follows_from_the_facts(group: str, value: JSON) -> None:
    assert results(by_hand(facts(), **{group: value}))[4] is Result.FAILED


def test_a_person_whose_key_was_not_given_does_not_count() -> None:
    for missing in (ADA, BELA, CLEO):
        given_ = key_ring(*(one.public for one in (ADA, BELA, CLEO, DORA) if one is not missing))
        assert results(sealed(), given_)[5] is Result.FAILED


def test_a_certificate_without_its_witness_fails_and_breaks_nothing() -> None:
    whole = facts()
    predicate = cast("dict[str, Any]", media.statement(whole)["predicate"])
    data = by_hand(whole, signed=predicate["signed"][:3])
    assert results(data)[4] is results(data)[5] is Result.FAILED


def test_the_subject_is_the_lot() -> None:
    said = media.statement(facts())
    said["subject"] = [{"name": "M20261120-00000002", "digest": {"sha256": "0" * 64}}]
    assert results(envelope.sign(said, (LIBRARY,)))[3] is Result.FAILED
