"""Passkeys at the door: what a browser is asked, and what it answers. Options go out as JSON, answers come in as JSON.

Registration is verified by the library `webauthn`; what a passkey signs later, by `retention.verify_signed`, which auditors
have too. Asks for no attestation: which make of authenticator it is, is nobody's business here. Refuses an authenticator that does
not verify its user, keys of other kinds than ES256 and EdDSA, and answers given to another site than the console.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_registration_response,
)
from webauthn.helpers import (
    bytes_to_base64url,
    decode_credential_public_key,
    parse_authentication_credential_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.decode_credential_public_key import DecodedEC2PublicKey, DecodedOKPPublicKey
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from retention.document import JSON, encode
from retention.errors import Refused, UsageError, VerificationFailed
from retention.origin import Origin
from retention.signed import Assertion, Signed
from retention.signing import P256, PublicKey
from retention.verify_signed import verify_assertion
from storage.ledger.ledger import Ledger
from storage.ledger.passkeys import Passkey
from storage.ledger.people import Person
from storage.personal_keys import counting

MAX_ANSWER = 16 * 1024
"""Most characters of a browser's answer."""
ALGORITHMS = [COSEAlgorithmIdentifier.ECDSA_SHA_256, COSEAlgorithmIdentifier.EDDSA]
LIBRARY = "Records retention"
_MALFORMED = (
    WebAuthnException, UsageError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError,
)  # fmt: skip
"""What `webauthn` raises for answers that are none: its own errors, and those of whatever did not fit when it took them apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a passkey answered to a challenge, not verified yet."""

    credential: str
    assertion: Assertion
    signature: bytes


def registration(person: Person, known: Iterable[Passkey], origin: Origin, challenge: bytes) -> str:
    """Options to make a new passkey for a person with (``PublicKeyCredentialCreationOptions``). ``known``: what they have."""
    return options_to_json(
        generate_registration_options(
            rp_id=origin.host,
            rp_name=LIBRARY,
            user_id=hashlib.sha256(b"retention person\0" + person.name.encode()).digest(),
            user_name=person.name,
            user_display_name=person.full_name,
            challenge=challenge,
            attestation=AttestationConveyancePreference.NONE,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_descriptors(known),
            supported_pub_key_algs=ALGORITHMS,
        )
    )


def registered(
    answer: str, *, person: Person, origin: Origin, challenge: bytes, label: str, at: datetime
) -> Passkey:
    """The passkey that a browser made, for `People.add_passkey`. Raises `Refused` for any other answer, `UsageError` for a label."""
    if not label.strip() or len(label.strip()) > 64 or not label.isprintable():
        raise UsageError("a passkey needs a name of up to 64 characters", "such as: office computer")
    try:
        verified = verify_registration_response(
            credential=_bounded(answer), expected_challenge=challenge, expected_rp_id=origin.host, expected_origin=origin.text,
            require_user_verification=True, supported_pub_key_algs=ALGORITHMS,
        )  # fmt: skip
        public = _public(verified.credential_public_key)
    except _MALFORMED:
        raise Refused(
            "this is not a passkey that can be registered here", "try again; or use another one"
        ) from None
    return Passkey(
        credential=bytes_to_base64url(verified.credential_id), person=person.name, public=public, label=label.strip(),
        added_at=at,
    )  # fmt: skip


def asking(passkeys: Iterable[Passkey], origin: Origin, challenge: bytes) -> str:
    """Options to ask a passkey with (``PublicKeyCredentialRequestOptions``). Without passkeys: any that the browser knows."""
    return options_to_json(
        generate_authentication_options(
            rp_id=origin.host,
            challenge=challenge,
            allow_credentials=_descriptors(passkeys),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def asking_to_sign(passkeys: Iterable[Passkey], origin: Origin, statement: Mapping[str, JSON]) -> str:
    """Options to have a statement signed: its digest is the challenge."""
    return asking(passkeys, origin, hashlib.sha256(encode(dict(statement))).digest())


def read_answer(answer: str) -> Answer:
    """A browser's answer to `asking`. Raises `Refused` for what is none."""
    try:
        read = parse_authentication_credential_json(_bounded(answer))
        return Answer(
            credential=bytes_to_base64url(base64url_to_bytes(read.id)),
            assertion=Assertion(
                authenticator_data=_text(read.response.authenticator_data), client_data=_text(read.response.client_data_json)
            ),
            signature=read.response.signature,
        )  # fmt: skip
    except _MALFORMED:
        raise Refused("this is not the answer of a passkey", "try again") from None


def signed_by(ledger: Ledger, person: Person, answer: Answer) -> tuple[PublicKey, Signed]:
    """The key and the signature of a person's answer, for `storage.rehearsal.Presigned`, which verifies it.

    Raises `Refused` for a passkey that is not theirs, or was retired.
    """
    passkey = _known(ledger, answer)
    if passkey is None or passkey.person != person.name:
        raise Refused(f"this is not a passkey of {person.name}", "sign with one of your own")
    return passkey.public, Signed(
        keyid=passkey.public.keyid, signature=_text(answer.signature), assertion=answer.assertion
    )


def who(ledger: Ledger, answer: Answer, origin: Origin, challenge: bytes) -> str | None:
    """The name of the person whose passkey answered this challenge at the console; ``None`` when nobody's did."""
    passkey = _known(ledger, answer)
    if passkey is None:
        return None
    try:
        verify_assertion(answer.assertion, answer.signature, passkey.public, challenge, origin=origin)
    except VerificationFailed:
        return None
    return passkey.person


def _known(ledger: Ledger, answer: Answer) -> Passkey | None:
    passkey = ledger.people.passkey(answer.credential)
    if passkey is None or not passkey.signs(None):
        return None
    return passkey if passkey in counting(ledger, ledger.people.get(passkey.person)) else None


def _public(cose: bytes) -> PublicKey:
    key = decode_credential_public_key(cose)
    if isinstance(key, DecodedEC2PublicKey) and key.alg == COSEAlgorithmIdentifier.ECDSA_SHA_256:
        return PublicKey(b"\x04" + key.x + key.y, "", P256)
    if isinstance(key, DecodedOKPPublicKey) and key.alg == COSEAlgorithmIdentifier.EDDSA:
        return PublicKey(key.x)
    raise ValueError("no key of a kind that signs here")


def _bounded(answer: str) -> str:
    if len(answer) > MAX_ANSWER:
        raise ValueError("too long")
    json.loads(answer)
    return answer


def _descriptors(passkeys: Iterable[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.credential))
        for one in passkeys
        if one.signs(None)
    ]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
