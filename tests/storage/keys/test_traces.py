"""What a destroyed key leaves behind: no wrap in the files, no raw key anywhere, nothing in the memory of the process that had it destroyed.

Each scan shows first that it finds what is there.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlalchemy import event

from tests.storage.keys.test_adversary import PATRONS, PERIODS
from tests.storage.keys.vault import Adversary, Vault, hold, raw, seized
from tests.storage.keys.vault import vault as opened


def found(needles: Iterable[bytes], paths: Iterable[Path]) -> set[bytes]:
    hay = [path.read_bytes() for path in paths if path.is_file()]
    return {needle for needle in needles if any(needle in each for each in hay)}


def live_files(vault: Vault) -> list[Path]:
    """The store's own files, and whatever else SQLite may have left beside them."""
    return [path for path in vault.folder.iterdir() if path.is_file()]


def lived_through(vault: Vault, seed: int) -> Adversary:
    """A history with expiry, holds, releases, early erasure and rotation."""
    chance, adversary, holds = random.Random(seed), Adversary.watching(vault.store), {}
    for _ in range(60):
        act = chance.choice(("seal", "seal", "seal", "seal", "hold", "release", "expire", "erase", "rotate"))
        cohorts = vault.store.cohorts("loans", "loan")
        if act == "seal":
            vault.seal(subject=chance.choice(PATRONS), period=chance.choice(PERIODS))
        elif act == "hold":
            subject = chance.choice(PATRONS)
            holds[f"H-{subject}"] = hold(f"H-{subject}", subject)
            vault.hold(*holds.values())
        elif act == "release" and holds:
            holds.pop(chance.choice(sorted(holds)))
            vault.hold(*holds.values())
        elif act == "expire" and cohorts:
            vault.destroy(chance.choice(cohorts).id)
        elif act == "erase" and cohorts:
            inside = [
                one.id
                for one in vault.store.objects()
                if one.cohort == cohorts[0].id and one.state == "sealed"
            ]
            vault.destroy(chance.choice(inside))
        elif act == "rotate":
            vault.store.rotate(at=vault.now())
    vault.store.rotate(at=vault.now(), force=True)
    return adversary


@pytest.mark.parametrize("seed", range(3))
def test_no_removed_wrap_is_left_in_the_files_of_the_key_store(sqlite_vault: Vault, seed: int) -> None:
    adversary = lived_through(sqlite_vault, seed)
    now = Adversary(kept=set())
    now.look(sqlite_vault.store)
    here = {wrap[4] for wrap in now.kept}
    removed = {wrap[4] for wrap in adversary.kept} - here
    assert len(removed) > 20
    assert found(here, live_files(sqlite_vault)) == here
    assert found(removed, live_files(sqlite_vault)) == set()


def test_the_scan_would_find_a_removed_wrap(tmp_path: Path) -> None:
    """The same with the log left alone and ``secure_delete`` off: it is there."""
    with opened(tmp_path) as vault:
        event.listen(
            vault.store.db.engine, "connect", lambda raw_connection, _: raw_connection.execute("PRAGMA secure_delete=OFF")
        )  # fmt: skip
        vault.store.db.engine.dispose()
        vault.store.db.truncate = lambda at: True  # type: ignore[method-assign]
        adversary = lived_through(vault, 0)
        now = Adversary(kept=set())
        now.look(vault.store)
        removed = {wrap[4] for wrap in adversary.kept} - {wrap[4] for wrap in now.kept}
        assert found(removed, live_files(vault))


def test_a_cohorts_wrap_is_gone_from_the_files_as_soon_as_it_is_destroyed(sqlite_vault: Vault) -> None:
    made = sqlite_vault.seal()
    cohort = sqlite_vault.store.cohorts("loans", "loan")[0]
    (body,) = (
        bytes(row[0]) for row in sqlite_vault.rows(f"SELECT body FROM wrap WHERE child = '{cohort.kid}'")
    )
    assert found([body], live_files(sqlite_vault))
    sqlite_vault.destroy(cohort.id)
    assert not found([body], live_files(sqlite_vault))
    assert sqlite_vault.file.with_name("keys.db-wal").stat().st_size == 0
    assert made.kid


def test_no_raw_key_is_in_any_file(sqlite_vault: Vault) -> None:
    made = [sqlite_vault.seal(subject=patron) for patron in PATRONS]
    sqlite_vault.hold(hold("H-1", PATRONS[0]))
    sqlite_vault.store.back_up(at=sqlite_vault.now())
    sqlite_vault.destroy(made[1].id)
    sqlite_vault.store.rotate(at=sqlite_vault.now())
    everything = [path for path in sqlite_vault.folder.rglob("*") if path.is_file()]
    roots = list(seized(sqlite_vault.folder).values())
    assert found(roots, everything) == set(roots), "the scan is blind"
    keys = list(raw(made).values())
    needles = keys + [key.hex().encode() for key in keys]
    assert found(needles, everything) == set()
    assert found(roots, [path for path in everything if path.suffix != ".root"]) == set()


_LONG_LIVED = """
import sys
from pathlib import Path
from storage.keys.opening import KeySite
from storage.keys.roots.root import RootKind
from storage.keys.worker import KeyWorker
from tests.storage.keys.vault import NOW, criteria, hold

folder, cohort, marker = Path(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.stdin.readline())
site = KeySite(url=f"sqlite:///{folder}/keys.db", kind=RootKind.LOCAL, roots=folder / "roots", backups=folder / "backups")
store, worker = site.open(), KeyWorker(site)
assert worker.reconcile(criteria(), [hold("H-1", "p1")], at=NOW) == 1
with store.gate(at=NOW) as writing:
    writing.destroy([cohort], witness="w")
    writing.commit()
assert worker.rotate(at=NOW).rotated
print("done", flush=True)
sys.stdin.readline()
"""


def test_the_process_that_has_keys_destroyed_never_sees_one(sqlite_vault: Vault) -> None:
    vault = sqlite_vault
    adversary = Adversary.watching(vault.store)
    held, gone = vault.seal(1, subject="p1"), vault.seal(2, subject="p2")
    cohort, roots = vault.cohort_of(gone.id), seized(vault.folder)
    upper = adversary.reaches(roots)[0].values()
    marker = random.Random(1).randbytes(32)
    process = subprocess.Popen(
        [sys.executable, "-c", _LONG_LIVED, str(vault.folder), cohort],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(marker.hex().encode() + b"\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"done\n"
    memory = memory_of(process.pid)
    process.communicate(b"\n", timeout=30)
    adversary.look(vault.store)
    after = seized(vault.folder)
    secrets = {
        *raw([held, gone]).values(),
        *roots.values(),
        *after.values(),
        *upper,
        *adversary.reaches(after)[0].values(),
    }
    assert len(secrets) >= 6
    assert marker in memory, "the scan is blind"
    assert [
        secret.hex()[:8] for secret in secrets if secret in memory or secret.hex().encode() in memory
    ] == []


def memory_of(pid: int) -> bytes:
    """All that a process may write to: heap, stack, and what it mapped for itself."""
    parts = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            ranged = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if ranged:
                start, end = int(ranged[1], 16), int(ranged[2], 16)
                try:
                    memory.seek(start)
                    parts.append(memory.read(end - start))
                except (OSError, OverflowError):  # a page that is only reserved
                    continue
    return b"".join(parts)
