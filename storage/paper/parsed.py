"""A certificate's envelope, read to be shown: its facts, and what a page needs besides. Checks no signature.

Refuses what is no coherent certificate of destruction, since a page says in words what its facts must bear out, and an id that could
not be the name of a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from re import fullmatch

from retention import certificate as form
from retention import media
from retention.document import JSON, read
from retention.envelope import Envelope
from retention.envelope import read as read_envelope
from retention.errors import VerificationFailed
from retention.facts import Facts
from retention.media import Attested

Shown = Facts | Attested
"""What is certified by read-backs, or what people attest of media that they destroyed by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """An envelope read for showing. That it reads says nothing about its signatures."""

    facts: Shown
    digest: str
    """SHA-256 (hex) of the signed statement."""
    keyids: tuple[str, ...]


def parse(envelope: bytes) -> Parsed:
    """The facts of a certificate in its envelope. Raises `VerificationFailed` for anything else."""
    signed, facts = _read(envelope)
    if isinstance(facts, Attested):
        media.require(facts)
    else:
        for check in (form.wording_problems, form.count_problems, form.approval_problems, form.date_problems):
            for problem in check(facts):
                raise VerificationFailed(problem)
    return Parsed(
        facts=facts,
        digest=sha256(signed.payload).hexdigest(),
        keyids=tuple(one.keyid for one in signed.signatures),
    )


def attachment(envelope: bytes) -> str:
    """The name under which an envelope is attached, whether its facts are coherent or not. Raises `VerificationFailed`."""
    return named(_read(envelope)[1])


def named(facts: Shown) -> str:
    """The name of the file of a certificate's envelope."""
    return f"{facts.identity.id}.dsse.json"


def _read(envelope: bytes) -> tuple[Envelope, Shown]:
    signed = read_envelope(envelope)
    statement = signed.statement()
    if statement.get("predicateType") == media.ATTESTED:
        facts: Shown = media.facts_of(statement, [])[0]
    else:
        facts = _facts(statement)
    if not fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", facts.identity.id):
        raise VerificationFailed("the id of the certificate cannot be the name of a file")
    return signed, facts


def _facts(statement: dict[str, JSON]) -> Facts:
    predicate = statement.get("predicate")
    if statement.get("predicateType") != form.PREDICATE_TYPE or not isinstance(predicate, dict):
        raise VerificationFailed("the statement is not a certificate of destruction of this version")
    given = {name: value for name, value in predicate.items() if name not in form.DERIVED}
    return read(Facts, given, "predicate", [])
