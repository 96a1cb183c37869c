"""Verify that a person signed a statement: with a key of their own, or with a passkey. Offline, from what was kept.

For a key of their own: the key id names the key, and the key verifies the signature over the canonical JSON of the statement.
For a passkey (Web Authentication Level 3, section 7.2, as far as it is about what was signed):

1. everything is base64 in its one spelling and of bounded size, and the key id names the key;
2. the client data is one JSON object with distinct names, in UTF-8;
3. it is of type ``webauthn.get``: a registration is no signature over anything;
4. its challenge is the SHA-256 of the canonical statement, and of nothing else;
5. it was not asked for from inside a page of another site;
6. its origin is one where browsers give passkeys, and the expected one where that is known;
7. the authenticator data has 37 bytes, and more only where it says that extensions follow;
8. it is for the host of the origin or a domain above it, and for the expected origin's host where that is known;
9. a person was present, and the authenticator verified who (by PIN, finger or face);
10. the key verifies the signature over authenticator data ‖ SHA-256(client data).

The counter of signatures is not looked at: synchronised passkeys do not count, and a statement is signed once.
Refuses with `VerificationFailed` whatever the bytes are; never quotes them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from retention.document import JSON, encode
from retention.errors import UsageError, VerificationFailed
from retention.origin import Origin
from retention.signed import Assertion, Signed
from retention.signing import PublicKey, decode

MAX_CLIENT_DATA = 2048
MAX_AUTHENTICATOR_DATA = 2048
MAX_SIGNATURE = 128
PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED, EXTENDED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
"""Flags of the authenticator data (section 6.1)."""
_HEAD = 37
"""Bytes of authenticator data without extensions: hash of the relying party's id (32), flags (1), counter (4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How a statement was signed. ``origin``: of the page that asked a passkey; ``None`` for a key of the person's own."""

    origin: Origin | None

    @property
    def by(self) -> str:
        return "own key" if self.origin is None else "passkey"


def verify_signed(
    signed: Signed, key: PublicKey, statement: Mapping[str, JSON], *, what: str = "a signature", origin: Origin | None = None
) -> Proof:  # fmt: skip
    """How ``key`` signed exactly this statement. Raises `VerificationFailed` when it did not.

    ``what``: names the signature in errors. ``origin``: where a passkey had to be asked, if that is known.
    """
    message = encode(dict(statement))
    if signed.keyid != key.keyid:
        raise VerificationFailed(f"{what} names another key")
    signature = _bytes(signed.signature, MAX_SIGNATURE, what)
    if signed.assertion is not None:
        challenge = sha256(message).digest()
        return Proof(
            origin=verify_assertion(signed.assertion, signature, key, challenge, what=what, origin=origin)
        )
    if not _made(key, signature, message):
        raise VerificationFailed(f"{what} is not valid")
    return Proof(origin=None)


def verify_assertion(
    assertion: Assertion, signature: bytes, key: PublicKey, challenge: bytes, *, what: str = "a signature",
    origin: Origin | None = None,
) -> Origin:  # fmt: skip
    """The origin at which the passkey ``key`` answered this challenge. Raises `VerificationFailed`. Steps as above."""
    # 1. Base64 and bounded
    client_data = _bytes(assertion.client_data, MAX_CLIENT_DATA, what)
    authenticator_data = _bytes(assertion.authenticator_data, MAX_AUTHENTICATOR_DATA, what)
    # 2. One JSON object
    client = _client(client_data, what)
    # 3. A signature, not a registration
    if client.get("type") != "webauthn.get":
        raise VerificationFailed(f"{what} is not one that a passkey makes")
    # 4. Over this challenge
    if client.get("challenge") != base64.urlsafe_b64encode(challenge).decode("ascii").rstrip("="):
        raise VerificationFailed(f"{what} by a passkey is over something else")
    # 5. Not in a frame of another site
    if client.get("crossOrigin", False) is not False or "topOrigin" in client:
        raise VerificationFailed(f"{what} by a passkey was asked for from inside another site")
    # 6. The origin
    asked = client.get("origin")
    try:
        found = Origin(asked if isinstance(asked, str) else "")
    except UsageError:
        raise VerificationFailed(f"{what} by a passkey has no origin where there are passkeys") from None
    if origin is not None and found != origin:
        raise VerificationFailed(f"{what} by a passkey was given to another site")
    # 7. Authenticator data: its form
    flags = authenticator_data[_HEAD - 5] if len(authenticator_data) >= _HEAD else 0
    whole = len(authenticator_data) > _HEAD if flags & EXTENDED else len(authenticator_data) == _HEAD
    if not whole or flags & ATTESTED or (flags & BACKED_UP and not flags & ELIGIBLE):
        raise VerificationFailed(f"{what} has authenticator data that no passkey makes when it signs")
    # 8. For this relying party
    parties = found.relying_parties() if origin is None else (origin.host,)
    if authenticator_data[:32] not in [sha256(party.encode("ascii")).digest() for party in parties]:
        raise VerificationFailed(f"{what} is by a passkey of another site")
    # 9. A person, verified
    if not flags & PRESENT or not flags & VERIFIED:
        raise VerificationFailed(f"{what} by a passkey does not show that the person was there and verified")
    # 10. The signature. Either form of ECDSA: authenticators make both, and nobody who signs can choose which one. What it stands
    # in, a certificate or a ledger that only grows, is what keeps anybody from exchanging one for the other.
    if not _made(key, signature, authenticator_data + sha256(client_data).digest(), either_form=True):
        raise VerificationFailed(f"{what} by a passkey is not valid")
    return found


@lru_cache(maxsize=1024)
def _made(key: PublicKey, signature: bytes, message: bytes, *, either_form: bool = False) -> bool:
    """Whether the key made it. The same bytes under the same key are the same answer: a page asks it of every open case each time."""
    return key.verifies(signature, message, either_form=either_form)


def _bytes(text: str, limit: int, what: str) -> bytes:
    if len(text) > 4 * (limit // 3 + 1):
        raise VerificationFailed(f"{what} is too long")
    try:
        return decode(text, what)
    except UsageError as error:
        raise VerificationFailed(error.message) from None


def _client(data: bytes, what: str) -> dict[str, object]:
    """Browsers write it, in their own spelling and with members that come later: not canonical, unknown names are let be."""
    try:
        value: object = json.loads(data.decode("utf-8"), object_pairs_hook=_distinct)
    except (ValueError, RecursionError):  # JSONDecodeError and UnicodeDecodeError are both ValueErrors
        raise VerificationFailed(f"{what} has client data that is not JSON with distinct names") from None
    if not isinstance(value, dict):
        raise VerificationFailed(f"{what} has client data that is no object")
    return value


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate name")
    return members
