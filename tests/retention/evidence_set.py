"""Two certificates of one library in one log, each with its leaves, proof and an opened record: all that an outsider gets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retention import checkpoint as checkpoints
from retention import envelope
from retention.certificate import statement
from retention.checkpoint import Checkpoint, open_checkpoint
from retention.leaves import leaf, leaves, salts
from retention.log_files import LogFiles, LogFolder
from retention.note import NoteKey
from retention.opening import Opening
from retention.outcomes import Outcome
from retention.signing import P256, PublicKey, generate, key_ring
from retention.tiles import Hashes, Tile, bundle, bundles, entry_hash, grown
from retention.tree import inclusion_path, root, shuffled, split
from retention.verify_log import LogEvidence, proof_of
from tests.retention.certificate_facts import LIBRARY, certificate, key

SECOND = generate("library", P256)
SIGNERS = (LIBRARY, SECOND)
KEYS: dict[str, PublicKey] = key_ring(LIBRARY.public, SECOND.public)
LOG = key("log")
LOG_KEY = NoteKey(name="library.example/log", public=LOG.public)
OUTCOMES = [Outcome.DESTROYED] * 4 + [one for one in Outcome if one is not Outcome.DESTROYED]


OTHERS = [envelope.sign({"predicateType": "other", "number": number}, SIGNERS) for number in range(6)]
"""Entries of the log that are no certificates."""


@dataclass(frozen=True, kw_only=True)
class Handed:
    """What is handed over for one certificate."""

    envelope: bytes
    leaves: bytes
    opened: Opening
    proof: bytes


def written(folder: Path, entries: list[bytes]) -> LogFolder:
    """A log of these entries, in a folder."""
    files = LogFolder(folder)

    def write(tile: Tile, data: bytes) -> None:
        path = folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    for tile, data in grown(files.hashes, 0, [entry_hash(entry) for entry in entries]):
        write(tile, data)
    for tile in bundles(len(entries)):
        write(tile, bundle(entries[tile.index * 256 : tile.index * 256 + tile.width]))
    whole = Hashes(files.hashes, len(entries)).root()
    (folder / "checkpoint").write_bytes(
        checkpoints.sign(Checkpoint(origin=LOG_KEY.name, root=whole), LOG_KEY, LOG)
    )
    return files


def made(salt_key: bytes, id: str, cards: list[str]) -> tuple[bytes, bytes, Opening]:
    """A certificate over the loans of eight cards; the third one is opened."""
    references = [f"evergreen/circulations/{card}" for card in cards]
    hashes = leaves(salt_key, 0, references, OUTCOMES)
    sorted_ = shuffled(hashes)
    whole = certificate(
        identity__id=id,
        evidence__root=root([sorted_]).hash.hex(),
        evidence__signed_by=tuple(one.keyid for one in SIGNERS),
    )
    data = envelope.sign(statement(whole), SIGNERS)
    salt = salts(salt_key, 2, 1)
    index = split(sorted_).index(leaf(salt, references[2], OUTCOMES[2]))
    opened = Opening(
        envelope=data, record=references[2], kid=None, outcome=OUTCOMES[2], salt=salt, index=index,
        path=tuple(inclusion_path(split(sorted_), index)),
    )  # fmt: skip
    return data, sorted_, opened


def handed(folder: Path) -> tuple[LogFolder, Handed, Handed]:
    """The log below ``folder``, among three other entries, and what is handed over for each of two certificates."""
    both = [
        made(bytes([number]) * 32, f"C-{number}", [str(29_000_000 + 8 * number + card) for card in range(8)])
        for number in (1, 2)
    ]
    files = written(folder, [OTHERS[0], both[0][0], OTHERS[1], both[1][0], OTHERS[2]])
    opened = open_checkpoint(files.checkpoint() or b"", [LOG_KEY])
    first, second = (
        Handed(envelope=data, leaves=leaf_file, opened=opening, proof=proof_of(files, opened, index).encode())
        for (data, leaf_file, opening), index in zip(both, (1, 3), strict=True)
    )
    return files, first, second


def log_given(files: LogFiles | None = None, proof: bytes | None = None, *older: bytes) -> LogEvidence:
    return LogEvidence(keys=(LOG_KEY,), files=files, proof=proof, older=older)
