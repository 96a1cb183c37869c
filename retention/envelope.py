"""Envelope: a DSSE v1 envelope around an in-toto statement, signed by one or more keys.

Refuses every spelling but one: an envelope is canonical JSON with canonical base64, so that the same evidence is the
same bytes everywhere and a changed bit anywhere is a refused envelope. Source: the DSSE specification
(secure-systems-lab/dsse, protocol.md and envelope.md); payload type of in-toto attestations.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retention.document import JSON, MAX_BYTES, encode, parse
from retention.errors import UsageError, VerificationFailed
from retention.signing import PublicKey, Signer, decode

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_SIGNATURES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A parsed envelope. That it parsed says nothing about its signatures: call `check`."""

    payload: bytes
    signatures: tuple[Signature, ...]
    payload_type: str = PAYLOAD_TYPE

    @property
    def signed(self) -> bytes:
        """The bytes that are signed."""
        return pae(self.payload_type, self.payload)

    def encode(self) -> bytes:
        """The envelope's one spelling. Raises `VerificationFailed` when larger than a reader would take."""
        signatures: list[JSON] = [{"keyid": s.keyid, "sig": _base64(s.sig)} for s in self.signatures]
        data = encode(
            {"payload": _base64(self.payload), "payloadType": self.payload_type, "signatures": signatures}
        )
        if len(data) > MAX_BYTES:
            raise VerificationFailed("the envelope would be larger than a verifier reads")
        return data

    def statement(self) -> dict[str, JSON]:
        """The payload, strictly parsed. Raises `VerificationFailed`."""
        value = parse(self.payload, "the statement")
        if not isinstance(value, dict):
            raise VerificationFailed("the statement is not a JSON object")
        return value

    def check(self, keys: Mapping[str, PublicKey]) -> tuple[str, ...]:
        """The key ids, among those given, that signed. Raises `VerificationFailed` unless there is at least one.

        A signature that names a given key and does not verify under it fails the whole envelope, even beside a good
        one. Signatures by keys that were not given count for nothing. Raises `UsageError` without any key.
        """
        if not keys:
            raise UsageError("no key given: a signature cannot be checked", "name the library's public key")
        good = []
        for signature in self.signatures:
            key = keys.get(signature.keyid)
            if key is None:
                continue
            if key.keyid != signature.keyid or not key.verifies(signature.sig, self.signed):
                raise VerificationFailed(f"the signature of key {signature.keyid} is not valid")
            good.append(signature.keyid)
        if not good:
            raise VerificationFailed("no signature by a given key")
        return tuple(good)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding of DSSE v1: ``"DSSEv1" SP len(type) SP type SP len(payload) SP payload``."""
    name = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def sign(statement: Mapping[str, JSON], signers: Sequence[Signer]) -> bytes:
    """The envelope of a statement, signed by each signer in turn. Raises `UsageError` without a signer or with one twice."""
    return _signed(Envelope(payload=encode(dict(statement)), signatures=()), signers).encode()


def countersign(data: bytes, signers: Sequence[Signer]) -> bytes:
    """The same envelope with more signatures, after those it has."""
    return _signed(read(data), signers).encode()


def _signed(envelope: Envelope, signers: Sequence[Signer]) -> Envelope:
    made = tuple(Signature(keyid=signer.keyid, sig=signer.sign(envelope.signed)) for signer in signers)
    signatures = envelope.signatures + made
    if not made:
        raise UsageError("an envelope needs a signer")
    if len({signature.keyid for signature in signatures}) != len(signatures):
        raise UsageError("a key signs an envelope once")
    return Envelope(payload=envelope.payload, signatures=signatures)


def read(data: bytes) -> Envelope:
    """Parse an envelope strictly, without looking into its payload. Raises `VerificationFailed`."""
    value = parse(data, "the envelope")
    if not isinstance(value, dict) or set(value) != {"payload", "payloadType", "signatures"}:
        raise VerificationFailed("the file is not a DSSE envelope")
    payload, listed = value["payload"], value["signatures"]
    if value["payloadType"] != PAYLOAD_TYPE:
        raise VerificationFailed(f"the envelope's payload type is not {PAYLOAD_TYPE}")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_SIGNATURES:
        raise VerificationFailed(f"an envelope has 1 to {MAX_SIGNATURES} signatures")
    signatures = []
    for member in listed:
        if (
            not isinstance(member, dict)
            or set(member) != {"keyid", "sig"}
            or not isinstance(member["keyid"], str)
        ):
            raise VerificationFailed("a signature of the envelope is malformed")
        signatures.append(Signature(keyid=member["keyid"], sig=_bytes(member["sig"], "a signature")))
    if len({signature.keyid for signature in signatures}) != len(signatures):
        raise VerificationFailed("the envelope names a key twice")
    return Envelope(payload=_bytes(payload, "the payload"), signatures=tuple(signatures))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(value: JSON, what: str) -> bytes:
    if not isinstance(value, str):
        raise VerificationFailed(f"{what} must be text")
    try:
        return decode(value, what)
    except UsageError as error:
        raise VerificationFailed(error.message) from None
