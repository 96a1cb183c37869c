"""Steps 8 to 10 of a verification: that a certificate stands in the library's transparency log, since when, and that the log
only ever grew. Needs files alone: the log's folder, or a proof that was made from it.

Refuses to take a log's word about itself: a checkpoint counts when a given key of the log signed it, a path when it leads to
that checkpoint's root. What was not given is *not checked*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from retention.checkpoint import Opened, Proof, open_checkpoint, read_proof
from retention.errors import UsageError, VerificationFailed
from retention.log_files import LogFiles
from retention.logged import entry_of
from retention.note import NoteKey
from retention.signing import decode
from retention.steps import Result, Step, unchecked
from retention.tiles import WIDTH, Hashes, Tile, entry_hash
from retention.tree import HASH_BYTES, Root, consistent, includes

CheckStamp = Callable[[bytes, bytes], datetime]
"""Takes a time stamp and what it is over; gives its time or raises `VerificationFailed`. See `retention.time_stamp`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvidence:
    """What a verifier was given about the log. ``older``: checkpoints that somebody kept. ``stamp``: a time stamp."""

    keys: tuple[NoteKey, ...]
    witnesses: tuple[NoteKey, ...] = ()
    files: LogFiles | None = None
    proof: bytes | None = None
    older: tuple[bytes, ...] = ()
    stamp: bytes | None = None
    check_stamp: CheckStamp | None = None


class Identified(Protocol):
    @property
    def issued(self) -> datetime: ...


class Trailing(Protocol):
    @property
    def checkpoint(self) -> str | None:
        """Base64 of the log's checkpoint before it."""
        ...


class Issued(Protocol):
    """What these steps must know of a certificate, of whatever kind."""

    @property
    def identity(self) -> Identified: ...

    @property
    def evidence(self) -> Trailing: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Where the certificate stands in a checkpointed log."""

    opened: Opened
    index: int


def log_steps(envelope: bytes, facts: Issued, given: LogEvidence | None) -> tuple[Step, Step, Step]:
    """Steps 8, 9 and 10."""
    if given is None or (given.files is None and given.proof is None):
        why = "no log and no proof given"
        if given is not None and (given.older or given.stamp is not None):
            raise UsageError(
                "an older checkpoint or a time stamp needs the log", "name its folder with --log"
            )
        return unchecked(8, why), unchecked(9, why), unchecked(10, why)
    if not given.keys:
        raise UsageError(
            "no key of the log given: a checkpoint cannot be checked", "name the library's public keys"
        )
    try:
        found = _included(envelope, given)
    except VerificationFailed as error:
        why = "step 8 failed"
        return (
            Step(number=8, result=Result.FAILED, detail=error.message),
            unchecked(9, why),
            unchecked(10, why),
        )
    root = found.opened.root
    cosigned = [
        f"cosigned by {one.key.name} at {one.at:%Y-%m-%dT%H:%M:%SZ}" for one in found.opened.witnesses
    ]
    told = ", ".join([f"entry {found.index} of {root.size} in {found.opened.checkpoint.origin}", *cosigned])
    return (
        Step(number=8, result=Result.PASSED, detail=told),
        _tried(9, lambda: _consistent(facts, found, given)),
        _tried(10, lambda: _stamped(facts, found, given)),
    )


def _tried(number: int, check: Callable[[], Step]) -> Step:
    try:
        return check()
    except VerificationFailed as error:
        return Step(number=number, result=Result.FAILED, detail=error.message)


def _included(envelope: bytes, given: LogEvidence) -> _Found:
    """Step 8."""
    leaf = entry_hash(entry_of(envelope))
    index = None
    if given.proof is not None:
        proof = read_proof(given.proof)
        opened = open_checkpoint(proof.note, given.keys, given.witnesses)
        if not proof.proves(opened.root, leaf):
            raise VerificationFailed("the proof does not lead from this certificate to the checkpoint's root")
        index = proof.index
        if given.files is None:
            return _Found(opened=opened, index=index)
    assert given.files is not None
    data = given.files.checkpoint()
    if data is None:
        raise VerificationFailed("there is no checkpoint in the log's folder")
    opened = open_checkpoint(data, given.keys, given.witnesses)
    hashes = Hashes(given.files.hashes, opened.root.size)
    if index is None:
        index = find(given.files, opened.root, leaf)
    if index >= opened.root.size or not includes(opened.root, leaf, index, hashes.inclusion(index)):
        raise VerificationFailed("the certificate is not in the log at its place")
    return _Found(opened=opened, index=index)


def find(files: LogFiles, root: Root, leaf: bytes) -> int:
    """The place of a leaf hash in a log. Raises `VerificationFailed` when it has none."""
    for number in range(0, root.size, WIDTH):
        tile = Tile(level=0, index=number // WIDTH, width=min(WIDTH, root.size - number))
        row = files.hashes(tile)
        at = row.find(leaf)
        while at % HASH_BYTES and at >= 0:
            at = row.find(leaf, at + 1)
        if at >= 0:
            return number + at // HASH_BYTES
    raise VerificationFailed("the certificate is not in the log")


def embedded(facts: Issued, keys: tuple[NoteKey, ...]) -> Opened | None:
    """The checkpoint inside a certificate, checked; ``None`` in the first entry of a log. Raises `VerificationFailed`."""
    if facts.evidence.checkpoint is None:
        return None
    try:
        return open_checkpoint(decode(facts.evidence.checkpoint, "the checkpoint in the certificate"), keys)
    except UsageError as error:
        raise VerificationFailed(error.message) from None


def _consistent(facts: Issued, found: _Found, given: LogEvidence) -> Step:
    """Step 9."""
    own = embedded(facts, given.keys)
    if own is not None and own.root.size > found.index:
        raise VerificationFailed("the certificate names a checkpoint that is not before it")
    older = [open_checkpoint(data, given.keys) for data in given.older]
    older += [own] if own is not None else []
    if not older:
        return unchecked(9, "no older checkpoint given, and none in the certificate")
    size = found.opened.root.size
    hashes = None if given.files is None else Hashes(given.files.hashes, size)
    for one in older:
        if hashes is None and one.root.size < size:
            return unchecked(9, "no log given")
        require_continued(one, found.opened, hashes or Hashes(_no_tiles, size))
    sizes = ", ".join(str(size) for size in sorted({one.root.size for one in older}))
    return Step(number=9, result=Result.PASSED, detail=f"continues checkpoints over {sizes}")


def _stamped(facts: Issued, found: _Found, given: LogEvidence) -> Step:
    """Step 10."""
    stamp, opened = given.stamp, found.opened
    if stamp is None and given.files is not None:
        pair = given.files.stamp_after(found.index)
        if pair is not None:
            opened, stamp = open_checkpoint(pair[0], given.keys), pair[1]
    if stamp is None:
        return unchecked(10, "no time stamp given")
    if given.check_stamp is None:
        return unchecked(10, "no certificate of a time-stamping authority given")
    if opened.root != found.opened.root:
        assert given.files is not None
        require_continued(opened, found.opened, Hashes(given.files.hashes, found.opened.root.size))
    at = given.check_stamp(stamp, opened.stamped)
    if at < facts.identity.issued:
        raise VerificationFailed("the time stamp is older than the certificate says it is")
    return Step(number=10, result=Result.PASSED, detail=f"in the log before {at:%Y-%m-%dT%H:%M:%SZ}")


def require_continued(old: Opened, new: Opened, hashes: Hashes) -> tuple[bytes, ...]:
    """The proof that a log continues an older checkpoint. Raises `VerificationFailed` when it does not."""
    if old.checkpoint.origin != new.checkpoint.origin:
        raise VerificationFailed("the older checkpoint is of another log")
    if old.root.size > new.root.size:
        raise VerificationFailed(
            f"the log had {old.root.size} entries and shows {new.root.size}: it was rolled back"
        )
    proof = hashes.consistency(old.root.size)
    if not consistent(old.root, new.root, proof):
        raise VerificationFailed(
            f"the log was forked: it does not continue its first {old.root.size} entries"
        )
    return proof


def _no_tiles(tile: Tile) -> bytes:
    raise VerificationFailed(f"{tile.path} of the log was not given")


def proof_of(files: LogFiles, opened: Opened, index: int) -> Proof:
    """The proof that an entry stands in a checkpointed log."""
    path = Hashes(files.hashes, opened.root.size).inclusion(index)
    return Proof(index=index, path=path, note=opened.note.encode())
