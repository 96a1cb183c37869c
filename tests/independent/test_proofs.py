"""Our roots, inclusion and consistency proofs are ones to an implementation of RFC 9162 that somebody else wrote."""

from __future__ import annotations

import random
from hashlib import sha256
from typing import NamedTuple

import pytest
from scitt_cose.merkle import merkle_root, verify_consistency, verify_inclusion

from retention.checkpoint import open_checkpoint, read_proof
from retention.log_files import LogFolder
from retention.tiles import Hashes
from retention.tree import inclusion_path, root
from retention.verify_log import proof_of
from storage.ledger.ledger import Ledger
from tests.storage.desk import LOG_KEY, SEALING_KEY, log_at
from tests.storage.test_log import many

SIZES = (1, 2, 3, 7, 8, 255, 256, 257, 511, 700)
ENTRIES = [f"entry {number}".encode().hex() for number in range(SIZES[-1])]


class Logged(NamedTuple):
    files: LogFolder
    roots: dict[int, str]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    """A published log, and the root that its checkpoint had at each size."""
    folder = tmp_path_factory.mktemp("log")
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}", SEALING_KEY)
    ledger.connection.upgrade()
    log, roots = log_at(folder / "log", ledger), {}
    for size in SIZES:
        many(ledger, size - ledger.log.size())
        log.publish()
        opened = open_checkpoint(log.files.checkpoint() or b"", [LOG_KEY])
        roots[opened.root.size] = opened.root.hash.hex()
    ledger.close()
    return Logged(LogFolder(folder / "log"), roots)


def flipped(path: list[str], chance: random.Random) -> list[str]:
    number = chance.randrange(len(path))
    data = bytearray.fromhex(path[number])
    data[chance.randrange(32)] ^= 1 << chance.randrange(8)
    return [*path[:number], data.hex(), *path[number + 1 :]]


def test_the_root_of_every_checkpoint_is_theirs(logged: Logged) -> None:
    assert {size: merkle_root(ENTRIES[:size]) for size in SIZES} == logged.roots


def test_they_verify_our_inclusion_proofs_and_no_changed_one(logged: Logged) -> None:
    chance = random.Random(9162)
    opened = open_checkpoint(logged.files.checkpoint() or b"", [LOG_KEY])
    for index in (0, 1, 254, 255, 256, 510, 511, 512, 698, 699, *chance.sample(range(700), 40)):
        proof = read_proof(proof_of(logged.files, opened, index).encode())
        path = [one.hex() for one in proof.path]
        assert verify_inclusion(ENTRIES[index], index, 700, path, logged.roots[700])
        assert not verify_inclusion(ENTRIES[index - 1], index, 700, path, logged.roots[700])
        assert not verify_inclusion(ENTRIES[index], index - 1, 700, path, logged.roots[700])
        assert not verify_inclusion(ENTRIES[index], index, 700, flipped(path, chance), logged.roots[700])


def test_they_verify_our_consistency_proofs_between_all_checkpoints_and_no_changed_one(
    logged: Logged,
) -> None:
    chance = random.Random(6962)
    for old in SIZES:
        for new in SIZES:
            if old > new:
                continue
            path = [one.hex() for one in Hashes(logged.files.hashes, new).consistency(old)]
            assert verify_consistency(logged.roots[old], logged.roots[new], old, new, path)
            if path:
                assert not verify_consistency(
                    logged.roots[old], logged.roots[new], old, new, flipped(path, chance)
                )
                assert not verify_consistency("00" * 32, logged.roots[new], old, new, path)


def test_the_tree_of_a_certificate_is_theirs() -> None:
    """The same tree as the log's, over hashes of leaves that are there already."""
    entries = [bytes([number]) * 3 for number in range(21)]
    hashes = [sha256(b"\x00" + entry).digest() for entry in entries]
    texts = [entry.hex() for entry in entries]
    assert root(hashes).hash.hex() == merkle_root(texts)
    for index in range(21):
        path = [one.hex() for one in inclusion_path(hashes, index)]
        assert verify_inclusion(texts[index], index, 21, path, merkle_root(texts))
