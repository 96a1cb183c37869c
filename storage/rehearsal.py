"""Signing in two steps, for pages: first rehearse an act to learn the statement, then do it with the signature that was given.

The same operation runs twice. The first time with a `Rehearsal`: it asks everything that could refuse it, then needs a
signature, writes nothing, and `SignatureNeeded` carries the statement out to the page. The second time with a `Presigned`: it
refuses when the operation would now state anything but what was signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from retention.document import JSON, encode
from retention.errors import Refused, UsageError, VerificationFailed
from retention.origin import Origin
from retention.signed import Signed
from retention.signing import PublicKey, decode
from retention.verify_signed import verify_signed
from storage.ledger.people import Person

MAX_PASTED = 1024


class SignatureNeeded(Exception):
    """The operation would go through; it waits for a signature over ``statement``.

    Not a `RetentionError`: it refuses nothing, and whoever rehearses catches it by name. Anywhere else it is a mistake of ours.
    """

    def __init__(self, statement: Mapping[str, JSON]) -> None:
        super().__init__(statement)
        self.statement = dict(statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A person who looks at what they are about to sign. ``public``: a key of theirs, `authorise` asks for one."""

    person: Person
    public: PublicKey
    at: datetime

    def sign(self, statement: Mapping[str, JSON]) -> Signed:
        """Raises `SignatureNeeded`, always."""
        raise SignatureNeeded(statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presigned:
    """A person who has signed ``statement``. ``origin``: the console's, where a passkey had to be asked."""

    person: Person
    public: PublicKey
    at: datetime
    statement: Mapping[str, JSON]
    signed: Signed
    origin: Origin | None = None

    def sign(self, statement: Mapping[str, JSON]) -> Signed:
        """The signature that was given. Raises `Refused` when it is not over this statement or not by this key."""
        if encode(dict(statement)) != encode(dict(self.statement)):
            raise Refused(
                "what you signed is not what would be done now",
                "look again: something changed since you looked",
            )
        if (self.signed.assertion is None) is not (self.public == self.person.public):
            raise Refused(
                "your signature is not one that this key makes",
                "an own key signs the statement, a passkey its digest",
            )
        try:
            verify_signed(self.signed, self.public, statement, what="your signature", origin=self.origin)
        except VerificationFailed as error:
            raise Refused(error.message, "sign again, with a key or passkey of your own") from None
        return self.signed


def pasted(person: Person, text: str) -> Signed:
    """What ``retention sign`` wrote, as it was pasted into a page: base64, perhaps with spaces and line ends around and within.

    Raises `Refused` for anything else. Whether it is a signature of that person's, `Presigned` finds out.
    """
    line = "".join(text.split()) if len(text) <= MAX_PASTED else ""
    try:
        signature = decode(line, "this")
    except UsageError:
        signature = b""
    if not signature:
        raise Refused(
            "this is not what retention sign wrote", "copy the whole line it wrote, and nothing else"
        )
    return Signed.own(person.public, signature)
