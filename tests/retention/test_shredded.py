"""Certificates of destroyed keys: one key per sealed item, never more claimed than what it had sealed allows, and what follows when it fails."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from retention import envelope
from retention.certificate import derived, facts_of, predicate, sentences, statement
from retention.errors import VerificationFailed
from retention.facts import Method, State, Window
from retention.verify import Result, verify
from tests.retention.certificate_facts import (
    KEYS,
    LEAVES,
    LIBRARY,
    certificate,
    place,
    sealed,
)
from tests.retention.test_certificate import SCHEMA

KIDS = tuple(f"{number:032x}" for number in range(4))
ROOT = "local-3"


def erased(**changes: Any) -> dict[str, Any]:
    """Four keys of one location destroyed, which had sealed ninety objects."""
    said = {"objects": 90, "unsealed_before": 0, "method": Method.CRYPTOGRAPHIC_ERASE} | changes
    return {"what__locations": (place(**said),), "how__keys_destroyed": KIDS, "how__root": ROOT}


def test_a_certificate_of_destroyed_keys_counts_what_they_had_sealed() -> None:
    made = certificate(**erased())
    assert derived(made)["summary"]["objects"] == 90  # type: ignore[call-overload,index]  # JSON
    told = " ".join(map(str, sentences(made)))
    assert "4 key(s) destroyed, which had sealed 90 object(s); root key in force: local-3." in told
    assert "The method claimed over all locations is: cryptographic-erase." in told
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(statement(made))))
    assert verify(envelope.sign(statement(made), [LIBRARY]), keys=KEYS, leaves=LEAVES).ok


def test_what_had_been_unencrypted_is_said_with_its_number_and_claims_nothing() -> None:
    told = " ".join(map(str, sentences(certificate(**erased(unsealed_before=7, method=Method.NONE_CLAIMED)))))
    assert "7 of these objects had been stored unencrypted before they were sealed" in told
    assert "No sanitization of any storage medium is claimed." in told


UNSOUND: dict[str, dict[str, Any]] = {
    "a key too few": {**erased(), "how__keys_destroyed": KIDS[:3]},
    "a key too many": {**erased(), "how__keys_destroyed": (*KIDS, "f" * 32)},
    "a key twice": {**erased(), "how__keys_destroyed": (*KIDS[:3], KIDS[0])},
    "an id that is none": {**erased(), "how__keys_destroyed": (*KIDS[:3], "0")},
    "keys without a sealed place": {"how__keys_destroyed": KIDS, "how__root": ROOT},
    "keys without a root": {**erased(), "how__root": None},
    "a root without keys": {"how__root": ROOT},
    "more unencrypted than sealed": erased(unsealed_before=91, method=Method.NONE_CLAIMED),
    "an erase of what had been unencrypted": erased(unsealed_before=1),
    "a clear of what had been unencrypted": erased(unsealed_before=1, method=Method.CLEAR),
    "objects without the number of the unencrypted": erased(unsealed_before=None),
    "a negative number of objects": erased(objects=-1),
    "more withdrawn than destroyed": {**erased(), "authority__withdrawn": 5},
}


@pytest.mark.parametrize("name", UNSOUND)
def test_what_does_not_follow_from_destroyed_keys_is_neither_made_nor_verified(name: str) -> None:
    with pytest.raises(VerificationFailed):
        certificate(**UNSOUND[name])
    report = verify(sealed(**UNSOUND[name]), keys=KEYS, leaves=LEAVES)
    assert report.steps[3].result is Result.FAILED


WHOLE = {
    "destroyed": 8,
    "seen_absent": 8,
    "already_absent": 0,
    "withheld": 0,
    "not_destroyed": 0,
    "unknown": 0,
}


@pytest.mark.parametrize(("counts", "words"), [({}, "except at most 2"), (WHOLE, "except 2")])
def test_the_number_withdrawn_early_stands_in_the_statement(counts: dict[str, int], words: str) -> None:
    """Which items stayed is not known to the certificate: where some did, those withdrawn may be among them."""
    made = certificate(what__locations=(place(**counts),), authority__withdrawn=2)
    assert str(sentences(made)[0]).endswith(f"for every record destroyed, {words} withdrawn early by name.")


SUPERSEDED = {
    **erased(),
    "identity__id": "C-2026-0007-3",
    "identity__state": State.SUPERSEDED,
    "identity__supersedes": "C-2026-0007-2",
    "identity__reason": "the deletion of the root key was cancelled",
    "residual__windows": (Window(copy="the destroyed keys", store="key store", until=None),),
}


def test_a_superseded_certificate_says_which_one_no_longer_holds_and_why() -> None:
    made = certificate(**SUPERSEDED)
    told = str(sentences(made)[-1])
    assert "Certificate C-2026-0007-2 no longer holds: the deletion of the root key was cancelled." in told
    report = verify(envelope.sign(statement(made), [LIBRARY]), keys=KEYS, leaves=LEAVES)
    assert report.ok
    assert report.verdict.endswith("; it says that C-2026-0007-2 no longer holds")
    assert report.document()["withdraws"] == "C-2026-0007-2"


@pytest.mark.parametrize(
    "changes",
    [
        {"identity__reason": None},
        {"identity__reason": ""},
        {"identity__supersedes": None},
        {"identity__state": State.PROVISIONAL},
        {
            "identity__state": State.FINAL,
            "residual__windows": (Window(copy="x", store="y", until=date(2026, 11, 20)),),
        },
    ],
)
def test_a_reason_and_what_it_is_about_belong_to_a_superseded_certificate_alone(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(VerificationFailed):
        certificate(**{**SUPERSEDED, **changes})
    report = verify(sealed(**{**SUPERSEDED, **changes}), keys=KEYS, leaves=LEAVES)
    assert report.steps[6].result is Result.FAILED


def test_facts_of_a_signed_certificate_are_those_it_was_made_of() -> None:
    made = certificate(**SUPERSEDED)
    again = facts_of(envelope.read(envelope.sign(statement(made), [LIBRARY])).statement())
    assert (again.identity.reason, again.how.keys_destroyed) == (made.identity.reason, KIDS)
    assert predicate(again) == predicate(made)
