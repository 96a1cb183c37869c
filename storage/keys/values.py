"""What the key store tells and is told. No value here holds key material, but for `NewObject`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from retention.records import Personal, Span
from storage.keys.secret import SecretKey

Trigger = date | datetime
"""An aware datetime, a naive one (read in the location's zone), or a local day. One location has one kind."""

MethodCap = Literal["clear", "cryptographic-erase"]
"""The most a certificate may claim (NIST SP 800-88 words)."""


class ObjectState(StrEnum):
    SEALING = "sealing"
    """Its key exists; the sealed copy is not finished. Counts in no cohort; the plaintext is still there."""
    SEALED = "sealed"
    WITHDRAWN = "withdrawn"
    """Sealed, and to be erased alone (consent withdrawn): the next run destroys its data key."""
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of one object to be sealed. Subject, camera, branch and span are kept sealed with the object's own data key.

    ``size``: bytes of plaintext (0 for columns). ``seconds``: of footage. ``plaintext_since``: when it is known to have been
    stored unencrypted; ``None`` = sealed from birth.
    """

    record_type: str
    location: str
    store: str
    trigger: Trigger
    span: Span
    subject: Personal[str] | None = None
    camera: str | None = None
    branch: str | None = None
    size: int = 0
    seconds: float = 0.0
    plaintext_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """``id``: 16 hex digits. ``kid``: 32. Wipe the key when the sealed copy is written."""

    id: str
    kid: str
    key: SecretKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """A living cohort: what dies with one key. Objects under a hold are not in it.

    ``trigger_first``/``trigger_last`` only ever widen (an object that left does not narrow them), so a cohort is never due too
    early. ``last_seq``: the newest object that was ever in it; see `Writing.looked_at`. ``unsealed_before``: how many were stored
    unencrypted first.
    """

    id: str
    kid: str
    record_type: str
    location: str
    store: str
    period: str
    objects: int
    trigger_first: Trigger
    trigger_last: Trigger
    size: int
    seconds: float
    unsealed_before: int
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedObject:
    """One object of the registry. ``holds``: ids of the holds under whose keys its data key lies; then ``cohort`` is ``None``.

    ``seq``: order of finishing, -1 while sealing. ``size``: bytes of plaintext, ``sealed_size`` of ciphertext. ``digest``: SHA-256
    (hex) of the sealed copy.
    """

    id: str
    kid: str
    seq: int
    cohort: str | None
    holds: tuple[str, ...]
    record_type: str
    location: str
    store: str
    period: str
    trigger: Trigger
    size: int
    sealed_size: int
    seconds: float
    plaintext_since: datetime | None
    state: ObjectState
    digest: str
    reason: str
    """Why it was withdrawn; "" otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What became of the keys that these witnesses destroyed, for a certificate.

    ``kids``: ids of the keys destroyed (cohort keys, and data keys that went alone). ``root``: the root versions that could still
    open a former version of the store, as in force at the destruction. ``windows``: what stands in the way of *final*, with the day it
    ends (``None``: nobody can say yet, as long as the rotation is outstanding); () = nothing does. ``irrecoverable_from``: when the last
    of these roots was gone, and no process can have had a key in its memory any more; ``None`` before that.
    """

    kids: tuple[str, ...]
    objects: int
    size: int
    seconds: float
    unsealed_before: int
    root: str
    method_cap: MethodCap
    windows: tuple[tuple[str, date | None], ...]
    irrecoverable_from: datetime | None
