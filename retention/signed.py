"""What it takes to show that a person signed a statement: the key, the signature and, for a passkey, what it really signed.

A statement is canonical JSON (RFC 8785). A key of the person's own signs it as it is. A passkey signs its SHA-256, as the
challenge of an assertion (Web Authentication Level 3, section 6.3.3).
"""

from __future__ import annotations

from dataclasses import dataclass


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
    assertion: Assertion | None = None
