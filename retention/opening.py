"""An opened record: a small file that proves what became of one record of a case, and says nothing about any other.

It holds the certificate, the record's reference, its outcome and salt, and the path from its leaf to the certificate's Merkle
root. Whoever has it knows one reference, which they were given on purpose; the hashes of the path are of salted leaves.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from retention import envelope as envelopes
from retention.certificate import PREDICATE_TYPE
from retention.document import JSON, encode, parse
from retention.errors import UsageError, VerificationFailed
from retention.facts import Facts
from retention.leaves import SALT_BYTES, leaf, writable, written
from retention.outcomes import Outcome
from retention.signing import decode
from retention.tree import HASH_BYTES, Root, includes

TYPE = f"{PREDICATE_TYPE.rpartition('/certificate-of-destruction/')[0]}/opened-record/v1"
_MEMBERS = {"type", "certificate", "record", "kid", "outcome", "salt", "index", "path"}
_MAX_PATH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """``envelope``: the certificate's DSSE bytes. ``record``: ``store/location/key``. ``index``: the leaf's place, sorted."""

    envelope: bytes
    record: str
    kid: str | None
    outcome: Outcome
    salt: bytes
    index: int
    path: tuple[bytes, ...]

    @property
    def leaf(self) -> bytes:
        return leaf(self.salt, self.record, self.outcome, self.kid)

    @property
    def sentence(self) -> str:
        """What is proven, without the record's reference."""
        if self.outcome is Outcome.WITHHELD:
            return "the record named in the file was withheld: retained, not eligible"
        return f"the record named in the file: {self.outcome.value}"

    def problems(self, facts: Facts) -> Iterator[str]:
        """Step 11 of a verification."""
        root = Root(facts.evidence.leaves, bytes.fromhex(facts.evidence.root))
        if not includes(root, self.leaf, self.index, self.path):
            yield "the opened record is not one of this certificate, or not with this outcome"

    def encode(self) -> bytes:
        """The file, canonical JSON."""
        path: list[JSON] = [base64.b64encode(one).decode("ascii") for one in self.path]
        return encode(
            {
                "type": TYPE, "certificate": parse(self.envelope, "the envelope"), "record": writable(self.record), "kid": self.kid,
                "outcome": self.outcome.value, "salt": self.salt.hex(), "index": self.index, "path": path,
            }
        )  # fmt: skip


def is_opening(data: bytes) -> bool:
    """Whether a file says that it is an opened record; whether it is one, `read` decides."""
    return data.startswith(b"{") and data.rstrip().endswith(f'"type":"{TYPE}"}}'.encode())


def read(data: bytes) -> Opening:
    """Parse strictly. Raises `VerificationFailed`."""
    value = parse(data, "the opened record")
    if not isinstance(value, dict) or set(value) != _MEMBERS or value["type"] != TYPE:
        raise VerificationFailed("the file is not an opened record")
    record, kid, salt, index, path = (value[name] for name in ("record", "kid", "salt", "index", "path"))
    if not (
        isinstance(record, str)
        and isinstance(kid, str | None)
        and isinstance(salt, str)
        and type(index) is int
        and isinstance(path, list)
        and len(path) <= _MAX_PATH
        and all(isinstance(one, str) for one in path)
    ):
        raise VerificationFailed("the opened record has a member of another kind")
    try:
        salted = bytes.fromhex(salt)
        hashes = tuple(decode(cast("str", one), "a hash of the opened record") for one in path)
        outcome = Outcome(str(value["outcome"]))
    except (ValueError, UsageError):
        raise VerificationFailed("the opened record holds what is no salt, hash or outcome") from None
    if len(salted) != SALT_BYTES or salted.hex() != salt or any(len(one) != HASH_BYTES for one in hashes):
        raise VerificationFailed("the opened record holds what is no salt or hash")
    envelope = encode(value["certificate"])
    envelopes.read(envelope)
    return Opening(
        envelope=envelope, record=written(record), kid=kid, outcome=outcome, salt=salted, index=index, path=hashes
    )  # fmt: skip
