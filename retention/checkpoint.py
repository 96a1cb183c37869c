"""Checkpoints of a transparency log (C2SP tlog-checkpoint): its size and root, signed. And the proof that an entry is in it.

Refuses what is not by the log's own key, however well it is cosigned: a witness says that a log grew, not that it is ours.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from retention import note as notes
from retention.errors import UsageError, VerificationFailed
from retention.note import Note, NoteKey, Signed
from retention.signing import Signer, decode
from retention.tree import HASH_BYTES, Root, includes

MAX_ENTRIES = 2**48
_PROOF = "c2sp.org/tlog-proof@v1"
_MAX_PATH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """``origin``: the log's name. ``extra``: lines a log may add; ours adds none."""

    origin: str
    root: Root
    extra: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is signed."""
        root = base64.b64encode(self.root.hash).decode("ascii")
        return "".join(f"{line}\n" for line in (self.origin, str(self.root.size), root, *self.extra))


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A checkpoint whose signature by the log was found good. ``witnesses``: who cosigned it, of those asked for."""

    checkpoint: Checkpoint
    note: Note
    witnesses: tuple[Signed, ...] = ()

    @property
    def root(self) -> Root:
        return self.checkpoint.root

    @property
    def stamped(self) -> bytes:
        """What a time stamp is over: the note with the log's signature alone, the same however often it was cosigned."""
        own = [one for one in self.note.signatures if one.name == self.checkpoint.origin]
        return Note(text=self.note.text, signatures=tuple(own[:1])).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """That an entry stands at ``index`` in the log of a checkpoint (C2SP tlog-proof). ``note``: the checkpoint as signed."""

    index: int
    path: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        hashes = "".join(f"{base64.b64encode(one).decode('ascii')}\n" for one in self.path)
        return f"{_PROOF}\nindex {self.index}\n{hashes}\n".encode() + self.note

    def proves(self, root: Root, leaf: bytes) -> bool:
        return includes(root, leaf, self.index, self.path)


def sign(checkpoint: Checkpoint, key: NoteKey, signer: Signer) -> bytes:
    """The checkpoint as the log publishes it."""
    if key.name != checkpoint.origin:
        raise UsageError("a log signs checkpoints under its own name")
    return notes.sign(checkpoint.text, key, signer).encode()


def open_checkpoint(data: bytes, keys: Iterable[NoteKey], witnesses: Iterable[NoteKey] = ()) -> Opened:
    """Read a checkpoint and check its signatures. Raises `VerificationFailed` unless one of the log keys ``keys`` signed it."""
    note = notes.read(data)
    checkpoint = parse(note.text)
    own = [key for key in keys if key.kind == notes.ED25519 and key.name == checkpoint.origin]
    signed = note.check([*own, *(key for key in witnesses if key.kind == notes.COSIGNATURE)])
    if not any(one.at is None for one in signed):
        raise VerificationFailed("the checkpoint is not signed by a given key of its log")
    return Opened(
        checkpoint=checkpoint, note=note, witnesses=tuple(one for one in signed if one.at is not None)
    )


def parse(text: str) -> Checkpoint:
    """Raises `VerificationFailed`."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() != "" or not all(lines):
        raise VerificationFailed("the checkpoint does not have its three lines")
    origin, size, root, *extra = lines
    number = whole_number(size, "the size of the checkpoint")
    if not notes.name_is_good(origin):
        raise VerificationFailed("the checkpoint does not name its log")
    return Checkpoint(
        origin=origin, root=Root(number, hash_of(root, "the root of the checkpoint")), extra=tuple(extra)
    )


def read_proof(data: bytes) -> Proof:
    """Parse a proof strictly; what it leads to is for `Proof.proves`. Raises `VerificationFailed`."""
    if len(data) > notes.MAX_BYTES:
        raise VerificationFailed("the proof is too large")
    head, gap, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise VerificationFailed("the proof is not text") from None
    if len(lines) > 1 and lines[1].startswith("extra "):
        raise VerificationFailed("the proof carries data that nothing vouches for")
    if not gap or len(lines) < 2 or lines[0] != _PROOF or not lines[1].startswith("index "):
        raise VerificationFailed("the file is not a proof of a transparency log")
    if len(lines) - 2 > _MAX_PATH:
        raise VerificationFailed("the proof is longer than any log is high")
    path = tuple(hash_of(line, "a hash of the proof") for line in lines[2:])
    return Proof(
        index=whole_number(lines[1].removeprefix("index "), "the index of the proof"), path=path, note=note
    )


def whole_number(text: str, what: str) -> int:
    """A decimal number in its one spelling. Raises `VerificationFailed`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 15) or str(number := int(text)) != text:
        raise VerificationFailed(f"{what} is not a whole number in its one spelling")
    if number > MAX_ENTRIES:
        raise VerificationFailed(f"{what} is larger than any log")
    return number


def hash_of(text: str, what: str) -> bytes:
    """32 bytes in base64. Raises `VerificationFailed`."""
    try:
        data = decode(text, what)
    except UsageError as error:
        raise VerificationFailed(error.message) from None
    if len(data) != HASH_BYTES:
        raise VerificationFailed(f"{what} is not a hash")
    return data
