"""An act is rehearsed, then done with the signature that was given over it, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retention.document import JSON
from retention.errors import Refused
from retention.origin import Origin
from retention.permissions import Act
from storage.ledger.ledger import Ledger
from storage.rehearsal import Presigned, Rehearsal, SignatureNeeded, pasted
from storage.signatures import authorise
from tests.retention.authenticator import ORIGIN, Authenticator, authenticator
from tests.storage.desk import NOW, person

STATEMENT: dict[str, JSON] = {"type": "https://retention.example/hold-action/v1", "hold": "H1"}


def test_a_rehearsal_says_what_is_to_be_signed_and_signs_nothing(sqlite_ledger: Ledger) -> None:
    director = person(sqlite_ledger, "director")
    rehearsal = Rehearsal(person=director.person, public=director.public, at=NOW)
    assert authorise(sqlite_ledger, rehearsal, Act.PLACE_HOLD) == director.person
    with pytest.raises(SignatureNeeded) as needed:
        rehearsal.sign(STATEMENT)
    assert needed.value.statement == STATEMENT


def test_what_was_signed_is_what_is_done(sqlite_ledger: Ledger) -> None:
    director, deputy = person(sqlite_ledger, "director"), person(sqlite_ledger, "deputy")
    given = Presigned(
        person=director.person, public=director.public, at=NOW, statement=STATEMENT, signed=director.sign(STATEMENT)
    )  # fmt: skip
    assert given.sign({"hold": "H1", "type": STATEMENT["type"]}) == director.sign(STATEMENT)
    for changed in ({**STATEMENT, "hold": "H2"}, {**STATEMENT, "more": 1}, {}):
        with pytest.raises(Refused, match="not what would be done now"):
            given.sign(changed)
    made_up = Authenticator(key=director.key).sign(STATEMENT)
    for forged in (
        deputy.sign(STATEMENT),
        replace(deputy.sign(STATEMENT), keyid=director.key.keyid),
        made_up,
    ):
        with pytest.raises(Refused, match="your signature"):
            replace(given, signed=forged).sign(STATEMENT)


def test_a_passkey_has_to_have_been_asked_by_the_console(sqlite_ledger: Ledger) -> None:
    director, phone = person(sqlite_ledger, "director"), authenticator()
    given = Presigned(
        person=director.person, public=phone.public, at=NOW, statement=STATEMENT, signed=phone.sign(STATEMENT), origin=Origin(ORIGIN)
    )  # fmt: skip
    assert given.sign(STATEMENT).assertion is not None
    elsewhere = phone.sign(STATEMENT, origin="https://evil.example")
    with pytest.raises(Refused, match="another site"):
        replace(given, signed=elsewhere).sign(STATEMENT)


def test_a_pasted_signature_is_taken_with_the_spaces_around_it(sqlite_ledger: Ledger) -> None:
    director = person(sqlite_ledger, "director")
    signed = director.sign(STATEMENT)
    line = signed.text
    for text in (line, f"  {line}\n", f"{line[:40]}\r\n{line[40:]}"):
        assert pasted(director.person, text) == signed
    for text in ("é", "ÿÿ", line[:-1], "{}", "A" * 2000, f'"{line}"'):
        with pytest.raises(Refused, match="not what retention sign wrote"):
            pasted(director.person, text)
