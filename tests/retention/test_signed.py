"""A statement is signed by an own key or by a passkey, and by nothing that only looks like one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.document import JSON, encode
from retention.errors import UsageError, VerificationFailed
from retention.origin import Origin
from retention.signed import MAX_TEXT, Assertion, Signed, from_text
from retention.signing import ED25519, P256, generate, other_form
from retention.verify_signed import verify_signed
from tests.retention.authenticator import ORIGIN, authenticator, b64
from tests.retention.certificate_facts import COUNSEL, DIRECTOR

STATEMENT: dict[str, JSON] = {"type": "https://retention.example/approval/v1", "items": 8}
PHONE = authenticator(P256)
STICK = authenticator(ED25519)
GIVEN = PHONE.sign(STATEMENT)
OWN = Signed.own(DIRECTOR.public, DIRECTOR.sign(encode(STATEMENT)))


def flipped(data: bytes, bit: int) -> bytes:
    place = bit // 8 % len(data)
    return data[:place] + bytes([data[place] ^ 1 << bit % 8]) + data[place + 1 :]


@pytest.mark.parametrize("kind", [ED25519, P256])
def test_a_key_of_ones_own_signs_the_statement_itself(kind: str) -> None:
    key = generate("x", kind)
    signed = Signed.own(key.public, key.sign(encode(STATEMENT)))
    assert verify_signed(signed, key.public, STATEMENT).by == "own key"
    with pytest.raises(VerificationFailed, match="not valid"):
        verify_signed(signed, key.public, {**STATEMENT, "items": 9})
    with pytest.raises(VerificationFailed, match="another key"):
        verify_signed(signed, COUNSEL.public, STATEMENT)


@pytest.mark.parametrize("passkey", [PHONE, STICK], ids=["p256", "ed25519"])
@pytest.mark.parametrize("origin", [ORIGIN, f"{ORIGIN}:8443", "http://localhost:8000", "http://localhost"])
def test_a_passkey_signs_the_digest_of_the_statement(passkey: Any, origin: str) -> None:
    proof = verify_signed(passkey.sign(STATEMENT, origin=origin), passkey.public, STATEMENT)
    assert (proof.by, proof.origin) == ("passkey", Origin(origin))
    assert proof == verify_signed(
        passkey.sign(STATEMENT, origin=origin), passkey.public, STATEMENT, origin=Origin(origin)
    )
    with pytest.raises(VerificationFailed, match="over something else"):
        verify_signed(passkey.sign(STATEMENT, origin=origin), passkey.public, {**STATEMENT, "items": 9})


def test_either_form_of_a_passkeys_signature_is_taken_and_only_the_lesser_of_an_own_key() -> None:
    for high in (False, True):
        assert verify_signed(PHONE.sign(STATEMENT, high=high), PHONE.public, STATEMENT).by == "passkey"
    own = other_form(PHONE.key.sign(encode(STATEMENT)))
    assert PHONE.public.verifies(own, encode(STATEMENT), either_form=True)
    with pytest.raises(VerificationFailed, match="not valid"):
        verify_signed(Signed.own(PHONE.public, own), PHONE.public, STATEMENT)
    padded = b64(base64.b64decode(GIVEN.signature) + b"\x00")
    with pytest.raises(VerificationFailed, match="not valid"):
        verify_signed(replace(GIVEN, signature=padded), PHONE.public, STATEMENT)


def test_a_domain_above_the_console_may_be_what_the_passkey_is_bound_to() -> None:
    for party in ("library.example", "retention.library.example"):
        assert verify_signed(PHONE.sign(STATEMENT, party=party), PHONE.public, STATEMENT).by == "passkey"
    with pytest.raises(VerificationFailed, match="of another site"):
        verify_signed(
            PHONE.sign(STATEMENT, party="library.example"), PHONE.public, STATEMENT, origin=Origin(ORIGIN)
        )


def test_extensions_and_later_members_are_let_be() -> None:
    for signed in (
        PHONE.sign(STATEMENT, flags=0x85, extensions=b"\xa0"),
        PHONE.sign(STATEMENT, flags=0x1D, counter=7),
        PHONE.sign(STATEMENT, client={"other_keys_can_be_added_here": "later"}),
        PHONE.sign(STATEMENT, written=lambda said: json.dumps(said, indent=3).encode()),
    ):
        assert verify_signed(signed, PHONE.public, STATEMENT, origin=Origin(ORIGIN)).by == "passkey"


def without(name: str) -> Callable[[dict[str, Any]], bytes]:
    return lambda said: json.dumps({key: value for key, value in said.items() if key != name}).encode()


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "a registration": ("not one that a passkey makes", {"client": {"type": "webauthn.create"}}),
    "a payment": ("not one that a passkey makes", {"client": {"type": "payment.get"}}),
    "no type": ("not one that a passkey makes", {"written": without("type")}),
    "another challenge": ("over something else", {"client": {"challenge": "AAAA"}}),
    "a padded challenge": ("over something else", {"written": lambda said: json.dumps(said | {"challenge": said["challenge"] + "="}).encode()}),
    "no challenge": ("over something else", {"written": without("challenge")}),
    "in a frame": ("inside another site", {"client": {"crossOrigin": True}}),
    "perhaps in a frame": ("inside another site", {"client": {"crossOrigin": "false"}}),
    "below another page": ("inside another site", {"client": {"topOrigin": "https://evil.example"}}),
    "no origin": ("no origin", {"written": without("origin")}),
    "an origin that is no text": ("no origin", {"client": {"origin": [ORIGIN]}}),
    "a page without encryption": ("no origin", {"origin": "http://retention.library.example"}),
    "an app": ("no origin", {"client": {"origin": "android:apk-key-hash:AAAA"}}),
    "another origin": ("given to another site", {"origin": "https://evil.example"}),
    "another port": ("given to another site", {"origin": f"{ORIGIN}:8443"}),
    "another relying party": ("of another site", {"party": "evil.example"}),
    "the topmost domain": ("of another site", {"party": "example"}),
    "a neighbour": ("of another site", {"party": "xlibrary.example"}),
    "nobody present": ("was there and verified", {"flags": 0x04}),
    "nobody verified": ("was there and verified", {"flags": 0x01}),
    "backed up what cannot be": ("no passkey makes", {"flags": 0x15}),
    "attested": ("no passkey makes", {"flags": 0x45}),
    "extensions unannounced": ("no passkey makes", {"extensions": b"\xa0"}),
    "extensions announced": ("no passkey makes", {"flags": 0x85}),
    "a name twice": ("not JSON with distinct names", {"written": lambda said: json.dumps(said)[:-1].encode() + b',"type":"webauthn.get"}'}),
    "a list": ("no object", {"written": lambda said: json.dumps([said]).encode()}),
    "another encoding": ("not JSON", {"written": lambda said: json.dumps(said).encode("utf-16")}),
    "a mark before it": ("not JSON", {"written": lambda said: b"\xef\xbb\xbf" + json.dumps(said).encode()}),
    "too long": ("too long", {"client": {"later": "x" * 5000}}),
    "nested": ("not JSON", {"written": lambda said: b"[" * 1500}),
    "empty": ("not JSON", {"written": lambda said: b""}),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_passkeys_answer_that_is_wrong_in_one_thing_is_no_signature(name: str) -> None:
    """Each is well signed by the passkey: nothing but the thing that is named is wrong."""
    why, changes = WRONG[name]
    with pytest.raises(VerificationFailed, match=why):
        verify_signed(PHONE.sign(STATEMENT, **changes), PHONE.public, STATEMENT, origin=Origin(ORIGIN))


def test_authenticator_data_that_is_cut_is_no_signature() -> None:
    assert GIVEN.assertion is not None
    whole = base64.b64decode(GIVEN.assertion.authenticator_data)
    for length in range(len(whole)):
        cut = replace(GIVEN.assertion, authenticator_data=b64(whole[:length]))
        with pytest.raises(VerificationFailed, match="no passkey makes"):
            verify_signed(replace(GIVEN, assertion=cut), PHONE.public, STATEMENT)


def test_another_passkeys_answer_is_no_signature() -> None:
    other = authenticator()
    with pytest.raises(VerificationFailed, match="another key"):
        verify_signed(GIVEN, other.public, STATEMENT)
    with pytest.raises(VerificationFailed, match="not valid"):
        verify_signed(replace(GIVEN, keyid=other.public.keyid), other.public, STATEMENT)


def test_an_assertion_is_no_bare_signature_and_a_bare_signature_no_assertion() -> None:
    with pytest.raises(VerificationFailed, match="not valid"):
        verify_signed(replace(GIVEN, assertion=None), PHONE.public, STATEMENT)
    with pytest.raises(VerificationFailed, match="not valid"):
        verify_signed(
            replace(GIVEN, keyid=DIRECTOR.keyid, signature=OWN.signature), DIRECTOR.public, STATEMENT
        )


@pytest.mark.parametrize("part", ["signature", "authenticator_data", "client_data"])
@pytest.mark.parametrize("passkey", [PHONE, STICK], ids=["p256", "ed25519"])
@given(bit=st.integers(0, 2**16))
def test_a_changed_bit_of_an_assertion_is_rejected(passkey: Any, part: str, bit: int) -> None:
    signed = passkey.sign(STATEMENT)
    assert signed.assertion is not None
    if part == "signature":
        changed = replace(signed, signature=b64(flipped(base64.b64decode(signed.signature), bit)))
    else:
        data = b64(flipped(base64.b64decode(getattr(signed.assertion, part)), bit))
        changed = replace(signed, assertion=replace(signed.assertion, **{part: data}))
    with pytest.raises(VerificationFailed):
        verify_signed(changed, passkey.public, STATEMENT)


@given(bit=st.integers(0, 2**16), own=st.booleans())
def test_a_changed_bit_of_a_signature_in_the_ledger_is_rejected(bit: int, own: bool) -> None:
    text = OWN.text if own else GIVEN.text
    changed = flipped(text.encode("ascii"), bit).decode("latin-1")
    with pytest.raises(VerificationFailed):
        verify_signed(
            from_text(changed, DIRECTOR.public), DIRECTOR.public if own else PHONE.public, STATEMENT
        )


@given(data=st.binary(max_size=80), client=st.binary(max_size=80), signature=st.binary(max_size=80))
def test_hostile_bytes_are_one_failure(data: bytes, client: bytes, signature: bytes) -> None:
    assertion = Assertion(authenticator_data=b64(data), client_data=b64(client))
    for signed in (
        Signed(keyid=PHONE.public.keyid, signature=b64(signature), assertion=assertion),
        Signed(keyid=PHONE.public.keyid, signature=signature.decode("latin-1")),
    ):
        with pytest.raises(VerificationFailed):
            verify_signed(signed, PHONE.public, STATEMENT)


def test_a_signature_is_read_from_the_ledger_as_it_was_written() -> None:
    for signed in (OWN, GIVEN, STICK.sign(STATEMENT)):
        assert from_text(signed.text, DIRECTOR.public) == signed
    assert OWN.text == OWN.signature
    assert json.loads(GIVEN.text).keys() == {"assertion", "keyid", "signature"}


def test_an_older_signature_in_hex_is_the_same_signature() -> None:
    assert from_text(base64.b64decode(OWN.text).hex(), DIRECTOR.public) == OWN


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "é", "{", "{}", "{" * 5000, " " + OWN.text, OWN.text + "=", "A" * (MAX_TEXT + 1), "{é}",
        GIVEN.text + " ", GIVEN.text.replace(":", ": "), GIVEN.text[:-1] + ',"x":1}',
        encode({"keyid": OWN.keyid, "signature": OWN.signature}).decode(),
        encode({"assertion": None, "keyid": OWN.keyid, "signature": OWN.signature}).decode(),
        encode({"assertion": {}, "keyid": OWN.keyid, "signature": OWN.signature}).decode(),
        encode({"assertion": 7, "keyid": 8, "signature": 9}).decode(),
    ],
    ids=range(17),
)  # fmt: skip
def test_a_signature_in_the_ledger_has_one_spelling(text: str) -> None:
    with pytest.raises(VerificationFailed):
        verify_signed(from_text(text, DIRECTOR.public), DIRECTOR.public, STATEMENT)


@pytest.mark.parametrize(
    "text",
    [
        "", "https://", "https://X.example", "https://a.example/", "https://a.example:0", "https://a..example", "https://-a.example",
        "http://a.example", "https://127.0.0.1", "https://[::1]", "https://user@a.example", "http://localhost.evil.example",
        "https://a.example\n", "https://" + "a." * 200 + "example", "HTTPS://a.example", "https://ä.example",
    ],
)  # fmt: skip
def test_what_is_no_origin_of_a_console_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not the origin"):
        Origin(text)
