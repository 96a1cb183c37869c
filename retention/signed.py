"""What it takes to show that a person signed a statement: the key, the signature and, for a passkey, what it really signed.

A statement is canonical JSON (RFC 8785). A key of the person's own signs it as it is. A passkey signs its SHA-256, as the
challenge of an assertion (Web Authentication Level 3, section 6.3.3). Checked by `retention.verify_signed`.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

from retention.document import OPTIONAL, encode, parse, read, write
from retention.errors import UsageError, VerificationFailed
from retention.signing import PublicKey, decode

MAX_TEXT = 16 * 1024
"""Most characters of a signature in the ledger."""
_HEX = re.compile("[0-9a-f]{128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What a passkey signed: authenticator data, and client data with the challenge. Both base64."""

    authenticator_data: str
    client_data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signature (base64) over a statement. ``assertion``: only for a passkey."""

    keyid: str
    signature: str
    assertion: Assertion | None = field(default=None, metadata=OPTIONAL)

    @property
    def text(self) -> str:
        """As it stands in the ledger: the signature alone for a person's own key, canonical JSON for a passkey."""
        return self.signature if self.assertion is None else encode(write(self)).decode("ascii")

    @classmethod
    def own(cls, key: PublicKey, signature: bytes) -> Signed:
        return cls(keyid=key.keyid, signature=base64.b64encode(signature).decode("ascii"))


def from_text(text: str, own: PublicKey) -> Signed:
    """Read `Signed.text` back. ``own``: the person's own key, which a bare signature is by. Raises `VerificationFailed`.

    Of older steps of a hold the signature is 64 bytes in hex; that is told by its length, which no signature in base64 has.
    """
    if len(text) > MAX_TEXT:
        raise VerificationFailed("a signature in the ledger is too long")
    if not text.startswith("{"):
        if _HEX.fullmatch(text):
            return Signed.own(own, bytes.fromhex(text))
        try:
            return Signed.own(own, decode(text, "a signature in the ledger"))
        except UsageError as error:
            raise VerificationFailed(error.message) from None
    try:
        data = text.encode("ascii")
    except UnicodeEncodeError:
        raise VerificationFailed("a signature in the ledger is not ASCII") from None
    signed = read(Signed, parse(data, "a signature in the ledger"), "signature")
    if signed.assertion is None:
        raise VerificationFailed("a signature in the ledger is neither by an own key nor by a passkey")
    return signed
