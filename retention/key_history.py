"""The published history of the library's signing keys: each set of keys introduced by a statement that the one before signed.

Whoever trusts one key of the history can trust all of it: forwards by signatures, backwards because each statement names the
digest of the one before. Refuses a history with a gap, a statement that no key of the set before signed, or times that go
back. A retired key proves nothing about what was issued afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import pairwise

from retention import envelope as envelopes
from retention.certificate import PREDICATE_TYPE, STATEMENT_TYPE
from retention.document import JSON, read, write
from retention.errors import UsageError, VerificationFailed
from retention.signing import PublicKey, Signer, key_ring, load_public

SIGNING_KEYS = f"{PREDICATE_TYPE.rpartition('/certificate-of-destruction/')[0]}/signing-keys/v1"
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Announced:
    """``keys``: lines of public keys. ``previous``: SHA-256 (hex) of the envelope before; null in the first."""

    number: int
    since: datetime
    keys: tuple[str, ...]
    previous: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """A set of keys and how long it signed: from ``since``, up to and without ``until``."""

    number: int
    since: datetime
    until: datetime | None
    keys: tuple[PublicKey, ...]


def announce(
    new: Sequence[PublicKey], history: Sequence[bytes], signers: Sequence[Signer], *, at: datetime
) -> bytes:
    """The envelope that introduces a set of keys. ``signers``: the new keys, and at least one of the set before.

    Raises `VerificationFailed` when the history would not verify with it.
    """
    lines = tuple(key.line for key in new)
    announced = _Announced(
        number=len(history),
        since=at,
        keys=lines,
        previous=sha256(history[-1]).hexdigest() if history else None,
    )
    statement: dict[str, JSON] = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {
                "name": f"signing-keys-{len(history)}",
                "digest": {"sha256": sha256("\n".join(lines).encode()).hexdigest()},
            }
        ],
        "predicateType": SIGNING_KEYS,
        "predicate": write(announced),
    }
    envelope = envelopes.sign(statement, signers)
    eras([*history, envelope])
    return envelope


def eras(history: Sequence[bytes]) -> tuple[Era, ...]:
    """Check a history, oldest envelope first. Raises `VerificationFailed`."""
    checked: list[tuple[_Announced, tuple[PublicKey, ...]]] = []
    previous: str | None = None
    for data in history:
        signed = envelopes.read(data)
        announced = _announced(signed.statement())
        keys = _keys(announced)
        if announced.number != len(checked) or announced.previous != previous:
            raise VerificationFailed("the history of signing keys has a gap")
        new = {key.keyid for key in keys}
        old = {key.keyid for key in checked[-1][1]} if checked else new
        by = set(signed.check(key_ring(*keys, *(checked[-1][1] if checked else ()))))
        if by != {signature.keyid for signature in signed.signatures}:
            raise VerificationFailed("the introduction of signing keys is signed by a stranger")
        if not new <= by:
            raise VerificationFailed("a new signing key has not signed its own introduction")
        if not by & old:
            raise VerificationFailed("new signing keys were not introduced by the ones before")
        if checked and announced.since <= checked[-1][0].since:
            raise VerificationFailed("the history of signing keys goes back in time")
        checked.append((announced, keys))
        previous = sha256(data).hexdigest()
    ends = [later.since for (_, _), (later, _) in pairwise(checked)]
    return tuple(
        Era(number=one.number, since=one.since, until=until, keys=keys)
        for (one, keys), until in zip(checked, [*ends, None][: len(checked)], strict=True)
    )


def read_history(data: bytes) -> tuple[Era, ...]:
    """A history as published: one envelope per line. Raises `VerificationFailed`."""
    if len(data) > MAX_BYTES:
        raise VerificationFailed("the history of signing keys is too large")
    lines = data.split(b"\n")
    if lines.pop() != b"" or not lines:
        raise VerificationFailed("the history of signing keys is empty or was cut")
    return eras(lines)


def trusted(history: Sequence[Era], given: Mapping[str, PublicKey]) -> dict[str, PublicKey]:
    """The keys given, and all of the history when one of them is in it: a history of strangers vouches for nothing."""
    all_keys = key_ring(*(key for era in history for key in era.keys))
    return {**all_keys, **given} if set(all_keys) & set(given) else dict(given)


def retired(history: Sequence[Era]) -> dict[str, datetime]:
    """When each key that is no longer used was retired."""
    current = {key.keyid for key in history[-1].keys} if history else set()
    return {
        key.keyid: era.until
        for era in history
        for key in era.keys
        if era.until is not None and key.keyid not in current
    }


def _announced(statement: dict[str, JSON]) -> _Announced:
    if statement.get("predicateType") != SIGNING_KEYS or statement.get("_type") != STATEMENT_TYPE:
        raise VerificationFailed("the statement does not introduce signing keys")
    return read(_Announced, statement.get("predicate"), "predicate")


def _keys(announced: _Announced) -> tuple[PublicKey, ...]:
    try:
        keys = tuple(load_public(line.encode()) for line in announced.keys)
    except UsageError as error:
        raise VerificationFailed(error.message) from None
    if not keys:
        raise VerificationFailed("the history of signing keys introduces no key")
    return keys
