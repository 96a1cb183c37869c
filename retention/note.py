"""Signed notes (C2SP signed-note): a text and the signatures under it, as transparency logs and their witnesses write them.

Refuses every spelling but one, so that a changed bit anywhere is a refused note. A signature by a key nobody gave counts for
nothing; one that names a given key and does not verify under it fails the whole note. Ed25519 only (types 0x01 and 0x04).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from retention.errors import UsageError, VerificationFailed
from retention.signing import MAX_KEY_FILE, OTHER_KINDS, PublicKey, Signer, decode

MAX_BYTES = 64 * 1024
MAX_SIGNATURES = 16
ED25519, COSIGNATURE = 0x01, 0x04
_DASH = "\u2014 "
_HASH_BYTES = 4
_LAST_SECOND = 253402300799
"""The last second of the year 9999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """A named Ed25519 key: of a log (``kind`` 0x01) or of a witness (0x04), which signs a time, too."""

    name: str
    public: PublicKey
    kind: int = ED25519

    def __post_init__(self) -> None:
        if (
            not name_is_good(self.name)
            or self.kind not in (ED25519, COSIGNATURE)
            or self.public.kind != "ed25519"
        ):
            raise UsageError("this is not the key of a log or a witness", "expected NAME+HASH+BASE64")

    @property
    def hash(self) -> bytes:
        """The four bytes by which a signature names its key."""
        return sha256(f"{self.name}\n".encode() + bytes((self.kind,)) + self.public.raw).digest()[
            :_HASH_BYTES
        ]

    @property
    def text(self) -> str:
        """The key as notes write it: ``NAME+HASH+BASE64``."""
        material = base64.b64encode(bytes((self.kind,)) + self.public.raw).decode("ascii")
        return f"{self.name}+{self.hash.hex()}+{material}"

    @property
    def line(self) -> str:
        """One line of a key file: ``retention-log NAME+HASH+BASE64``."""
        return OTHER_KINDS[self.kind == COSIGNATURE] + self.text

    @classmethod
    def parse(cls, text: str) -> NoteKey:
        """Raises `UsageError`."""
        name, _, rest = text.partition("+")
        hash_, _, material = rest.partition("+")
        raw = decode(material, "the key of a log")
        key = cls(name=name, public=PublicKey(raw[1:]), kind=raw[0] if raw else 0)
        if key.text != text or key.hash.hex() != hash_:
            raise UsageError("the key of a log does not have the hash written in it")
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    name: str
    hash: bytes
    sig: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signature that was found good. ``at``: the time a witness signed with it."""

    key: NoteKey
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A parsed note. That it parsed says nothing about its signatures: call `check`."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        """The note's one spelling."""
        lines = [
            f"{_DASH}{one.name} {base64.b64encode(one.hash + one.sig).decode('ascii')}\n"
            for one in self.signatures
        ]
        return f"{self.text}\n{''.join(lines)}".encode()

    def check(self, keys: Iterable[NoteKey]) -> tuple[Signed, ...]:
        """The given keys that signed, in the note's order. Raises `VerificationFailed` when one of them signed wrongly."""
        known = {(key.name, key.hash): key for key in keys}
        good = []
        for signature in self.signatures:
            key = known.get((signature.name, signature.hash))
            if key is None:
                continue
            message, at, sig = self.text.encode(), None, signature.sig
            if key.kind == COSIGNATURE:
                seconds = int.from_bytes(sig[:8], "big")
                if len(sig) != 8 + 64 or not 0 < seconds <= _LAST_SECOND:
                    raise VerificationFailed(f"the cosignature of {key.name} is malformed")
                message, sig = cosigned(self.text, seconds), sig[8:]
                at = datetime.fromtimestamp(seconds, UTC)
            if not key.public.verifies(sig, message):
                raise VerificationFailed(f"the signature of {key.name} is not valid")
            good.append(Signed(key=key, at=at))
        return tuple(good)


def sign(text: str, key: NoteKey, signer: Signer) -> Note:
    """A note with one signature. Raises `UsageError` when the signer's key is another one."""
    _require(key, signer, ED25519)
    return Note(
        text=text, signatures=(NoteSignature(name=key.name, hash=key.hash, sig=signer.sign(text.encode())),)
    )


def cosign(note: Note, key: NoteKey, signer: Signer, at: datetime) -> Note:
    """The note with the cosignature of a witness who saw it at that time (C2SP tlog-cosignature, ``cosignature/v1``)."""
    _require(key, signer, COSIGNATURE)
    seconds = int(at.timestamp())
    sig = seconds.to_bytes(8, "big") + signer.sign(cosigned(note.text, seconds))
    return Note(
        text=note.text, signatures=(*note.signatures, NoteSignature(name=key.name, hash=key.hash, sig=sig))
    )


def cosigned(text: str, seconds: int) -> bytes:
    """What a witness signs."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def read(data: bytes) -> Note:
    """Parse a note strictly. Raises `VerificationFailed`; time and memory are bounded by `MAX_BYTES`."""
    if not data or len(data) > MAX_BYTES:
        raise VerificationFailed("the note is empty" if not data else "the note is too large")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise VerificationFailed("the note is not text") from None
    text, gap, below = whole.rpartition("\n\n")
    lines = below.split("\n")
    if not gap or lines.pop() != "" or not 1 <= len(lines) <= MAX_SIGNATURES:
        raise VerificationFailed(f"a note has a text, an empty line and 1 to {MAX_SIGNATURES} signatures")
    if any(ord(letter) < 32 and letter != "\n" for letter in whole):
        raise VerificationFailed("the note holds control characters")
    note = Note(text=f"{text}\n", signatures=tuple(map(_signature, lines)))
    if len({(one.name, one.hash) for one in note.signatures}) != len(note.signatures):
        raise VerificationFailed("a key signs a note once")
    return note


def load_keys(data: bytes) -> tuple[NoteKey, ...]:
    """The keys of logs and witnesses in a key file; none where it has other lines only. Raises `UsageError`."""
    if len(data) > MAX_KEY_FILE:
        raise UsageError("this is not a public key: the file is too large")
    keys = []
    for line in data.decode("utf-8", "replace").splitlines():
        for number, word in enumerate(OTHER_KINDS):
            if line.startswith(word):
                key = NoteKey.parse(line.removeprefix(word).strip())
                if key.kind != (ED25519, COSIGNATURE)[number]:
                    raise UsageError("this line names a key of another kind")
                keys.append(key)
    return tuple(keys)


def name_is_good(name: str) -> bool:
    """Whether this may name a key: not empty, no space, no plus, no control character."""
    return bool(name) and name.isprintable() and not any(letter.isspace() or letter == "+" for letter in name)


def _signature(line: str) -> NoteSignature:
    name, _, text = line.removeprefix(_DASH).partition(" ")
    try:
        data = decode(text, "a signature of the note")
    except UsageError as error:
        raise VerificationFailed(error.message) from None
    if not line.startswith(_DASH) or not name_is_good(name) or len(data) <= _HASH_BYTES:
        raise VerificationFailed("a signature of the note is malformed")
    return NoteSignature(name=name, hash=data[:_HASH_BYTES], sig=data[_HASH_BYTES:])


def _require(key: NoteKey, signer: Signer, kind: int) -> None:
    if signer.keyid != key.public.keyid or key.kind != kind:
        raise UsageError("this key does not sign under that name")
