"""Passkeys are registered, sign in and sign for their person alone, and no longer once they are retired."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.document import JSON, write
from retention.errors import LedgerUnavailable, Refused, UsageError, VerificationFailed
from retention.origin import Origin
from retention.permissions import Act, Role
from retention.signed import Signed
from retention.signing import ED25519, P256, generate
from storage import passkeys, personal_keys
from storage.ledger import passkeys as written
from storage.ledger.ledger import Ledger
from storage.ledger.passkeys import Passkey
from storage.ledger.people import Person
from storage.personal_keys import PASSKEY, keys_of
from storage.rehearsal import Presigned
from storage.signatures import Signatory, authorise, key_of
from tests.retention.authenticator import ORIGIN, Authenticator, authenticator, b64url
from tests.storage.browser import Touching, answered, made
from tests.storage.desk import NOW, given_passkey, person

HERE = Origin(ORIGIN)
CHALLENGE = b"c" * 32
STATEMENT: dict[str, JSON] = {"type": "https://retention.example/hold-action/v1", "hold": "H1"}
HOUR = timedelta(hours=1)


def registered(
    ledger: Ledger, by: Signatory, passkey: Authenticator, label: str = "phone", at: datetime = NOW
) -> Passkey:
    asked = passkeys.registration(by.person, ledger.people.passkeys(by.person.name), HERE, CHALLENGE)
    new = passkeys.registered(
        made(asked, passkey), person=by.person, origin=HERE, challenge=CHALLENGE, label=label, at=at
    )
    return given_passkey(ledger, by, new.public, credential=new.credential, label=new.label, at=at)


@pytest.mark.parametrize("kind", [P256, ED25519])
def test_a_registered_passkey_signs_for_its_person(ledger: Ledger, kind: str) -> None:
    director, phone = person(ledger, "director"), authenticator(kind)
    new = registered(ledger, director, phone)
    assert list(ledger.people.passkeys("director")) == [new] == [ledger.people.passkey(new.credential)]
    assert keys_of(ledger, director.person) == (director.public, phone.public)
    asked = passkeys.asking_to_sign([new], HERE, STATEMENT)
    assert [one["id"] for one in json.loads(asked)["allowCredentials"]] == [new.credential]
    key, signed = passkeys.signed_by(ledger, director.person, passkeys.read_answer(answered(asked, phone)))
    by = Presigned(
        person=director.person, public=key, at=NOW, statement=STATEMENT, signed=signed, origin=HERE
    )
    assert authorise(ledger, by, Act.PLACE_HOLD) == director.person
    assert by.sign(STATEMENT) == signed
    assert key_of(ledger, director.person, signed, NOW) == phone.public


def test_the_options_ask_for_a_verified_user_and_no_attestation_and_leave_out_what_is_known(
    ledger: Ledger,
) -> None:
    director = person(ledger, "director")
    known = registered(ledger, director, authenticator())
    asked = json.loads(passkeys.registration(director.person, [known], HERE, CHALLENGE))
    assert asked["rp"]["id"] == "retention.library.example"
    assert asked["attestation"] == "none"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert asked["authenticatorSelection"]["residentKey"] == "preferred"
    assert [one["alg"] for one in asked["pubKeyCredParams"]] == [-7, -8]
    assert [one["id"] for one in asked["excludeCredentials"]] == [known.credential]
    assert asked["challenge"] == b64url(CHALLENGE)


RSA = cbor2.dumps({1: 3, 3: -257, -1: b"n" * 256, -2: b"\x01\x00\x01"})
P384 = cbor2.dumps({1: 2, 3: -35, -1: 2, -2: b"x" * 48, -3: b"y" * 48})
OFF_THE_CURVE = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: b"x" * 32, -3: b"y" * 32})
ODD: dict[str, dict[str, Any]] = {
    "another site": {"origin": "https://evil.example"},
    "not verified": {"flags": 0x01},
    "nobody there": {"flags": 0x04},
    "an RSA key": {"key": RSA},
    "another curve": {"key": P384},
    "no point": {"key": OFF_THE_CURVE},
    "no key": {"key": b""},
    "no map": {"key": b"\x01"},
    "half a key": {"key": cbor2.dumps({1: 2})},
    "another challenge": {"challenge": "AAAA"},
    "a signature": {"type": "webauthn.get"},
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_passkey_for_here_is_refused(sqlite_ledger: Ledger, name: str) -> None:
    director = person(sqlite_ledger, "director")
    asked = passkeys.registration(director.person, [], HERE, CHALLENGE)
    with pytest.raises(Refused, match="not a passkey that can be registered here"):
        passkeys.registered(
            made(asked, authenticator(), **ODD[name]), person=director.person, origin=HERE, challenge=CHALLENGE, label="x", at=NOW,
        )  # fmt: skip


HOSTILE = ["", "null", "[]", "{}", "7", "[" * 9000, '{"id":1}', "x" * 20_000, '{"id":"AA","rawId":"AA","type":"public-key","response":{}}',
           '{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}']  # fmt: skip


@pytest.mark.parametrize("answer", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_answers_are_one_refusal(sqlite_ledger: Ledger, answer: str) -> None:
    director = person(sqlite_ledger, "director")
    with pytest.raises(Refused):
        passkeys.registered(
            answer, person=director.person, origin=HERE, challenge=CHALLENGE, label="x", at=NOW
        )
    with pytest.raises(Refused):
        passkeys.read_answer(answer)


SOMEBODY = Person(
    name="director", full_name="Mei Lind", title="Library Director", role=Role.CUSTODIAN, public_key="", added_at=NOW
)  # fmt: skip
ANSWER = made(passkeys.registration(SOMEBODY, [], HERE, CHALLENGE), authenticator())


@given(place=st.integers(0, len(ANSWER) - 1), byte=st.integers(0, 127))
def test_an_answer_with_one_byte_changed_is_a_refusal_or_still_a_passkey(place: int, byte: int) -> None:
    whole = bytearray(ANSWER.encode())
    whole[place] = byte
    try:
        new = passkeys.registered(
            whole.decode(), person=SOMEBODY, origin=HERE, challenge=CHALLENGE, label="x", at=NOW
        )
    except Refused:
        return
    assert new.public.raw


@pytest.mark.parametrize("label", ["", "  ", "x" * 65, "two\nlines"])
def test_a_passkey_has_a_name_on_one_line(label: str) -> None:
    with pytest.raises(UsageError, match="needs a name"):
        passkeys.registered(ANSWER, person=SOMEBODY, origin=HERE, challenge=CHALLENGE, label=label, at=NOW)


def test_a_passkey_signs_in_its_person_at_the_console_alone(ledger: Ledger) -> None:
    director, phone = person(ledger, "director"), authenticator()
    new = registered(ledger, director, phone)
    asked = passkeys.asking([], HERE, CHALLENGE)
    assert json.loads(asked)["userVerification"] == "required"

    def signed_in(answer: str, challenge: bytes = CHALLENGE) -> str | None:
        return passkeys.who(ledger, passkeys.read_answer(answer), HERE, challenge)

    assert signed_in(answered(asked, phone)) == "director"
    assert signed_in(answered(asked, phone), b"d" * 32) is None
    assert signed_in(answered(asked, phone, origin="https://evil.example")) is None
    assert signed_in(answered(asked, phone, flags=0x01)) is None
    assert signed_in(answered(asked, authenticator())) is None
    ledger.people.retire_passkey(new.credential, actor="director", at=NOW + HOUR)
    assert signed_in(answered(asked, phone)) is None


def test_somebody_elses_passkey_does_not_sign(ledger: Ledger) -> None:
    director, deputy, phone = person(ledger, "director"), person(ledger, "deputy"), authenticator()
    new = registered(ledger, director, phone)
    answer = passkeys.read_answer(answered(passkeys.asking_to_sign([new], HERE, STATEMENT), phone))
    with pytest.raises(Refused, match="not a passkey of deputy"):
        passkeys.signed_by(ledger, deputy.person, answer)
    key, signed = passkeys.signed_by(ledger, director.person, answer)
    stolen = Presigned(person=deputy.person, public=key, at=NOW, statement=STATEMENT, signed=signed)
    with pytest.raises(Refused, match="not a signing key of deputy"):
        authorise(ledger, stolen, Act.PLACE_HOLD)


def test_no_key_belongs_to_two_people_or_twice_to_one(ledger: Ledger) -> None:
    """Four eyes need two people. Whichever way round: own key, passkey, authenticator's entry; retired ones too."""
    director, deputy, phone = person(ledger, "director"), person(ledger, "deputy"), authenticator()
    new = registered(ledger, director, phone)
    ledger.people.retire_passkey(new.credential, actor="director", at=NOW + HOUR)
    for other in (
        replace(new, person="deputy", credential="AAAA"),
        replace(new, person="deputy", public=authenticator().public),
        replace(new, credential="AAAA"),
    ):
        with pytest.raises(UsageError, match="is director's already"):
            ledger.people.add_passkey(other, actor="test", signed={})
    for own in (director, deputy):
        with pytest.raises(UsageError, match="own key"):
            ledger.people.add_passkey(
                replace(new, person="deputy", credential="BBBB", public=own.public), actor="test", signed={}
            )
    stick = authenticator(ED25519)
    registered(ledger, director, stick, "stick", NOW + HOUR)
    third = Person(
        name="third", full_name="Third", title="", role=Role.CUSTODIAN, public_key=stick.public.text, added_at=NOW
    )  # fmt: skip
    with pytest.raises(UsageError, match="is a passkey of director"):
        ledger.people.add(third, actor="test")
    with pytest.raises(UsageError, match="no person"):
        ledger.people.add_passkey(replace(new, person="nobody"), actor="test", signed={})
    assert [one.person for one in ledger.people.passkeys()] == ["director", "director"]


def test_the_database_too_refuses_a_passkey_for_two_people(ledger: Ledger) -> None:
    director = person(ledger, "director")
    person(ledger, "deputy")
    new = registered(ledger, director, authenticator())
    for other in (replace(new, person="deputy", credential="AAAA"), replace(new, person="deputy")):
        with pytest.raises(LedgerUnavailable), ledger.connection.write(NOW) as entry:
            written.add(entry, other, actor="test", signed={})
    assert [one.person for one in ledger.people.passkeys()] == ["director"]


def test_a_retired_passkey_signs_nothing_more_and_what_it_signed_stays_signed(ledger: Ledger) -> None:
    director, phone = person(ledger, "director"), authenticator()
    new = registered(ledger, director, phone)
    signed = phone.sign(STATEMENT)
    by = Presigned(person=director.person, public=phone.public, at=NOW, statement=STATEMENT, signed=signed)
    authorise(ledger, by, Act.PLACE_HOLD)
    retired = ledger.people.retire_passkey(new.credential, actor="admin", at=NOW + HOUR)
    assert list(ledger.people.passkeys("director")) == [retired]
    assert keys_of(ledger, director.person) == (director.public,)
    with pytest.raises(Refused, match="not a signing key"):
        authorise(ledger, by, Act.PLACE_HOLD)
    with pytest.raises(UsageError, match="was retired"):
        ledger.people.retire_passkey(new.credential, actor="admin", at=NOW + 2 * HOUR)
    assert key_of(ledger, director.person, signed, NOW + HOUR / 2) == phone.public
    for at in (NOW - HOUR, NOW + HOUR):
        with pytest.raises(VerificationFailed, match="no key that director had then"):
            key_of(ledger, director.person, signed, at)


def test_what_was_looked_at_before_a_passkey_was_there_is_not_signed_with_it(sqlite_ledger: Ledger) -> None:
    """Else the ledger would say that it signed before it existed."""
    director, phone = person(sqlite_ledger, "director"), authenticator()
    registered(sqlite_ledger, director, phone)
    early = Presigned(
        person=director.person, public=phone.public, at=NOW - HOUR, statement=STATEMENT, signed=phone.sign(STATEMENT)
    )  # fmt: skip
    with pytest.raises(Refused, match="not a signing key"):
        authorise(sqlite_ledger, early, Act.PLACE_HOLD)


def test_an_own_key_makes_no_assertions_and_a_passkey_no_bare_signatures(sqlite_ledger: Ledger) -> None:
    """Who has their own key in hand could make up an authenticator that verified them."""
    director, phone = person(sqlite_ledger, "director"), authenticator()
    registered(sqlite_ledger, director, phone)
    made_up = Authenticator(key=director.key).sign(STATEMENT)
    bare = replace(phone.sign(STATEMENT), assertion=None)
    stranger = Signed.own(generate("x").public, b"")
    for signed in (made_up, bare, stranger):
        with pytest.raises(VerificationFailed, match="no key that director had then"):
            key_of(sqlite_ledger, director.person, signed, NOW)


def by_hand(
    ledger: Ledger,
    phone: Authenticator,
    signed: dict[str, JSON],
    at: datetime = NOW,
    credential: str = "AAAA",
) -> Passkey:
    """A passkey of the director's, as somebody writes it who may write into the tables."""
    forged = Passkey(
        credential=credential, person="director", public=phone.public, label="phone", added_at=at
    )
    ledger.people.add_passkey(forged, actor="director", signed=signed)
    return forged


def said_of(phone: Authenticator, at: datetime, credential: str = "AAAA") -> dict[str, JSON]:
    return {
        "type": PASSKEY, "person": "director", "credential": credential, "public": phone.public.line.removesuffix(" passkey"),
        "label": "phone", "at": write(at),
    }  # fmt: skip


@pytest.mark.parametrize("by", ["nobody", "itself", "a deputy", "nothing that is JSON"])
def test_a_passkey_that_its_owner_did_not_sign_for_signs_nothing_and_signs_nobody_in(
    sqlite_ledger: Ledger, by: str
) -> None:
    ledger, phone = sqlite_ledger, authenticator()
    director, deputy = person(ledger, "director"), person(ledger, "deputy")
    said = said_of(phone, NOW)
    signers = {"itself": phone.sign, "a deputy": deputy.sign}
    signed: dict[str, JSON] = (
        {"statement": said, "signature": signers[by](said).text} if by in signers else {}
    )
    if by == "nothing that is JSON":
        signed = {"statement": [], "signature": "["}
    forged = by_hand(ledger, phone, signed)
    assert keys_of(ledger, director.person) == (director.public,)
    with pytest.raises(Refused, match="not a signing key"):
        authorise(ledger, Touching(person=director.person, passkey=phone), Act.PLACE_HOLD)
    with pytest.raises(VerificationFailed, match="by no key that"):
        key_of(ledger, director.person, phone.sign(STATEMENT), NOW)
    asked = passkeys.asking([forged], HERE, CHALLENGE)
    answer = passkeys.read_answer(answered(asked, phone))
    assert passkeys.who(ledger, answer, HERE, CHALLENGE) is None
    with pytest.raises(Refused, match="not a passkey of director"):
        passkeys.signed_by(ledger, director.person, answer)


def test_a_passkey_of_a_passkey_counts_and_none_that_a_retired_one_dates_back(sqlite_ledger: Ledger) -> None:
    ledger, phone, tablet, forged = sqlite_ledger, authenticator(), authenticator(), authenticator()
    director = person(ledger, "director")
    registered(ledger, director, phone)
    given_passkey(ledger, Touching(person=director.person, passkey=phone), tablet.public, at=NOW + HOUR)
    assert keys_of(ledger, director.person) == (director.public, phone.public, tablet.public)
    retired = next(one for one in ledger.people.passkeys("director") if one.public == phone.public)
    ledger.people.retire_passkey(retired.credential, actor="admin", at=NOW + 2 * HOUR)
    said = said_of(forged, NOW + HOUR, "BBBB")
    by_hand(ledger, forged, {"statement": said, "signature": phone.sign(said).text}, NOW + HOUR, "BBBB")
    assert keys_of(ledger, director.person) == (director.public, tablet.public)


def test_what_was_verified_of_a_passkey_is_not_verified_again(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    director = person(sqlite_ledger, "director")
    registered(sqlite_ledger, director, authenticator())
    known = keys_of(sqlite_ledger, director.person)
    monkeypatch.setattr(personal_keys, "verify_signed", lambda *_: pytest.fail("verified again"))
    assert keys_of(sqlite_ledger, director.person) == known
