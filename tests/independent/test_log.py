"""The log is one to the checksum database of Go: checkpoint, tiles, entries, inclusion and consistency."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from retention.log_files import LogFolder
from retention.tiles import Hashes
from retention.verify_log import proof_of
from storage.ledger.ledger import Ledger
from tests.independent.tools import sumdb_verifier
from tests.storage.desk import LOG_KEY, SEALING_KEY, log_at
from tests.storage.test_log import many

SIZES = (1, 2, 7, 256, 257, 700)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sumdb_verifier(tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same log at several sizes, below a folder each."""
    folder = tmp_path_factory.mktemp("logs")
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}", SEALING_KEY)
    ledger.connection.upgrade()
    log = log_at(folder / "log", ledger)
    for size in SIZES:
        many(ledger, size - ledger.log.size())
        log.publish()
        shutil.copytree(folder / "log", folder / str(size))
    ledger.close()
    return folder


def verified(program: Path, folder: Path, *more: str | Path, key: str = LOG_KEY.text) -> bool:
    words = [program, folder, key, *(more or ("", "", ""))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert "panic" not in done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("size", SIZES)
def test_go_verifies_every_entry_of_every_size(program: Path, logs: Path, size: int) -> None:
    assert verified(program, logs / str(size))


def test_go_verifies_our_proofs(program: Path, logs: Path, tmp_path: Path) -> None:
    files = LogFolder(logs / "700")
    log = log_at(logs / "700", None)  # type: ignore[arg-type]  # reads only
    opened = log.opened()
    assert opened is not None
    for index in (0, 255, 256, 511, 512, 699):
        proof, entry = tmp_path / "proof", tmp_path / "entry"
        proof.write_bytes(proof_of(files, opened, index).encode())
        entry.write_bytes(f"entry {index}".encode())
        assert verified(program, logs / "700", "", proof, entry)
        entry.write_bytes(b"another")
        assert not verified(program, logs / "700", "", proof, entry)
    for old in SIZES[:-1]:
        path = Hashes(files.hashes, 700).consistency(old)
        text = ",".join(base64.b64encode(one).decode() for one in path)
        assert verified(program, logs / "700", logs / str(old) / "checkpoint", "", "", text)


def test_go_rejects_what_was_changed(program: Path, logs: Path, tmp_path: Path) -> None:
    assert not verified(program, logs / "7", key=LOG_KEY.text.replace("library", "another"))
    assert not verified(program, logs / "2", logs / "7" / "checkpoint", "", "")
    for name in ("checkpoint", "tile/0/000.p/7", "tile/entries/000.p/7"):
        changed = tmp_path / name.replace("/", "-")
        shutil.copytree(logs / "7", changed)
        data = bytearray((changed / name).read_bytes())
        data[len(data) // 2] ^= 1
        (changed / name).write_bytes(data)
        assert not verified(program, changed)
