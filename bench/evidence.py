"""What a certificate costs beside the hashes it cannot do without, how long one proof takes, and that memory does not grow.

Ours: leaves, tree, leaves file, statement, both signatures, the ledger's row and the log, for a case of so many items, durable
on disk. The peer computes two SHA-256 per item with ``hashlib`` (a leaf and a node) and keeps nothing.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from bench.report import Findings, Goal
from bench.sizes import Scale
from retention import envelope
from retention.certificate import statement
from retention.leaves import leaves
from retention.log_files import LogFolder
from retention.note import NoteKey
from retention.outcomes import Outcome
from retention.signing import P256, generate, key_ring
from retention.steps import Result
from retention.verify import verify
from retention.verify_log import LogEvidence, proof_of
from storage.leaf_order import LeafOrder
from storage.ledger.ledger import Ledger
from storage.ledger.log_entries import EntryKind
from storage.log import Log
from storage.log_places import FolderPlace
from tests.retention.certificate_facts import certificate, place

ITEMS = {"full": 1_000_000, "small": 50_000, "tiny": 2_000}
MEMORY = {"full": (10_000, 10_000_000), "small": (10_000, 200_000), "tiny": (1_000, 5_000)}
ENTRIES = {"full": 20_000, "small": 2_000, "tiny": 300}
BATCH = 5_000
SIGNERS = (generate("bench"), generate("bench", P256))
LOG_SIGNER = generate("log")
LOG_KEY = NoteKey(name="bench.example/log", public=LOG_SIGNER.public)


def measure(scale: Scale) -> Findings:
    items, entries = scale.of(ITEMS), scale.of(ENTRIES)
    found = Findings(
        bench="evidence", title=f"A certificate for {items:,} items, and one proof in a log of {entries:,} entries",
        sizes={"items": items, "entries": entries, "memory": list(scale.of(MEMORY))},
    )  # fmt: skip
    cost = found.measure(
        "certificate", "s", "two SHA-256 per item in hashlib", goal=Goal(value=2.0, at_least=False)
    )
    for number in range(scale.pairs):
        ours = certify(scale.folder / f"site-{number}", items)
        cost.add(ours, hashes(items))
    proofs = found.measure(
        "verify one certificate in the log", "ms", goal=Goal(value=50.0, at_least=False, of_ours=True)
    )
    for milliseconds in one_proof(scale.folder / "proof", entries):
        proofs.add(milliseconds)
    few, many = (peak(scale.folder / str(count), count) for count in scale.of(MEMORY))
    found.measure(
        f"peak memory, {scale.of(MEMORY)[1]:,} items", "MB", f"{scale.of(MEMORY)[0]:,} items", goal=Goal(value=1.5, at_least=False)
    ).add(many, few)  # fmt: skip
    return found


def hashes(items: int) -> float:
    """The peer. Returns seconds."""
    began = time.perf_counter()
    leaf, pair = b"\x00" + b"x" * 95, b"\x01" + b"y" * 64
    for _ in range(items):
        sha256(leaf).digest()
        sha256(pair).digest()
    return time.perf_counter() - began


def batches(items: int) -> Iterator[bytes]:
    """The leaves of a case, as the choke point makes them: batch by batch."""
    outcomes = [Outcome.DESTROYED] * BATCH
    for first in range(0, items, BATCH):
        count = min(BATCH, items - first)
        references = [f"evergreen/circulations/{first + number}" for number in range(count)]
        yield leaves(b"k" * 32, first, references, outcomes[:count])


def certify(folder: Path, items: int) -> float:
    """A certificate from leaves to log, at a site that exists. Returns seconds."""
    folder.mkdir()
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}", b"k" * 32)
    ledger.connection.upgrade()
    log = Log(place=FolderPlace(folder / "log"), ledger=ledger, key=LOG_KEY, signer=LOG_SIGNER)
    began = time.perf_counter()
    with LeafOrder(folder) as order:
        for batch in batches(items):
            order.add(batch)
        root = order.save(folder / "case.leaves")
    whole = certificate(
        what__items=items, evidence__leaves=items, evidence__root=root.hash.hex(), people__approvals=(), authority__approval="standing",
        evidence__signed_by=tuple(signer.keyid for signer in SIGNERS), authority__past_maximum=0,
        what__locations=(
            place(destroyed=items, seen_absent=items, already_absent=0, withheld=0, not_destroyed=0, unknown=0),
        ),
    )  # fmt: skip
    data = envelope.sign(statement(whole), SIGNERS)
    ledger.log.append(EntryKind.CERTIFICATE, "bench", data, actor="bench", at=whole.identity.issued)
    opened = log.publish().opened
    assert opened is not None
    assert opened.root.size == 1
    ledger.close()
    return time.perf_counter() - began


def one_proof(folder: Path, entries: int) -> list[float]:
    """Milliseconds to verify one certificate, its place in the log and its path, after import; ten times."""
    folder.mkdir()
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}", b"k" * 32)
    ledger.connection.upgrade()
    whole = certificate(evidence__signed_by=tuple(signer.keyid for signer in SIGNERS))
    data = envelope.sign(statement(whole), SIGNERS)
    with ledger.connection.write(whole.identity.issued) as entry:
        entry.connection.exec_driver_sql(
            "INSERT INTO log_entry WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
            "SELECT i, 'certificate', 'c-' || i, CAST('entry ' || i AS BLOB), '2026-11-20T12:00:00.000000Z' FROM n",
            (entries - 1,),
        )
    ledger.log.append(EntryKind.CERTIFICATE, "bench", data, actor="bench", at=whole.identity.issued)
    log = Log(place=FolderPlace(folder / "log"), ledger=ledger, key=LOG_KEY, signer=LOG_SIGNER)
    opened = log.publish().opened
    assert opened is not None
    ledger.close()
    proof = proof_of(log.files, opened, entries - 1).encode()
    given = LogEvidence(keys=(LOG_KEY,), files=LogFolder(folder / "log"), proof=proof)
    keys = key_ring(*(signer.public for signer in SIGNERS))
    spent = []
    for _ in range(10):
        began = time.perf_counter()
        report = verify(data, keys=keys, leaves=None, log=given)
        spent.append(1000 * (time.perf_counter() - began))
        assert report.ok
        assert report.steps[7].result is Result.PASSED
    return spent


def peak(folder: Path, items: int) -> float:
    """Peak resident memory in MB (10^6 bytes) of a process that certifies so many items."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.evidence", str(folder), str(items)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return int(done.stdout) * 1024 / 1e6


if __name__ == "__main__":
    certify(Path(sys.argv[1]), int(sys.argv[2]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
