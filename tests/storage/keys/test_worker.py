"""The process that works with keys: its answers and errors come back, and nothing of a key does."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from retention.errors import KeyStoreUnavailable, KeyUnreadable, UsageError
from storage.keys.opening import KeySite
from storage.keys.roots.root import RootKind
from storage.keys.worker import KeyWorker
from tests.storage.keys.vault import NAME, Vault, criteria, hold


def worker(vault: Vault) -> KeyWorker:
    return KeyWorker(site_of(vault))


def site_of(vault: Vault) -> KeySite:
    return KeySite(
        url=vault.url, kind=RootKind.LOCAL, roots=vault.folder / "roots", backups=vault.folder / "backups"
    )  # fmt: skip


def test_its_answers_are_those_of_the_key_store(sqlite_vault: Vault) -> None:
    vault = sqlite_vault
    held, gone = vault.seal(1, subject="p1"), vault.seal(2)
    assert worker(vault).reconcile(criteria(), [hold("H-1", "p1")], at=vault.now()) == 1
    assert vault.store.object(held.id).holds == ("H-1",)
    with vault.store.gate(at=vault.now()) as writing:
        assert writing.looked_at(hold("H-1", "p1"), criteria()) == vault.store.object(gone.id).seq
    backup = worker(vault).back_up(at=vault.now())
    assert backup.is_file()
    vault.destroy(vault.cohort_of(gone.id))
    report = worker(vault).rotate(at=vault.now())
    assert (report.rotated, report.proven, len(report.settled.gone)) == (True, 1, 1)
    drilled = worker(vault).drill(at=vault.now(), previous=backup)
    assert (drilled.destroyed, drilled.destroyed_opened, drilled.survivors) == (1, 0, 1)


def test_its_errors_are_those_of_the_key_store(sqlite_vault: Vault) -> None:
    vault = sqlite_vault
    made = vault.seal(1, subject="p1")
    with pytest.raises(UsageError, match="no backup"):
        worker(vault).drill(at=vault.now())
    with vault.store.db.writing() as connection:
        connection.exec_driver_sql(f"DELETE FROM wrap WHERE child = '{made.kid}'")
    with pytest.raises(KeyUnreadable) as caught:
        worker(vault).reconcile(criteria(), [hold("H-1", "p1")], at=vault.now())
    assert caught.value.hint


def test_an_unexpected_end_is_told_without_what_it_was_about(
    sqlite_vault: Vault, capfd: pytest.CaptureFixture[str]
) -> None:
    vault = sqlite_vault
    vault.seal(1, subject=NAME)
    broken = KeySite(
        url=vault.url, kind=RootKind.LOCAL, roots=vault.folder / "roots", backups=Path("/proc/none")
    )
    with pytest.raises(KeyStoreUnavailable):
        KeyWorker(broken).back_up(at=vault.now())
    done = subprocess.run(
        [sys.executable, "-m", "storage.keys.worker"], input=json.dumps({"url": NAME}).encode(), capture_output=True, check=False
    )  # fmt: skip
    assert done.returncode != 0
    assert b"KeyError" in done.stderr
    assert NAME.encode() not in done.stdout + done.stderr
    assert NAME not in "".join(capfd.readouterr())


def test_no_core_dump_and_nobody_looks_into_its_memory() -> None:
    told = subprocess.run(
        [
            sys.executable, "-c",
            "import ctypes, resource; from storage.keys.worker import harden; harden();"
            "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))",
        ],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert told.split() == ["(0,", "0)", "0"]
    assert resource.getrlimit(resource.RLIMIT_CORE) is not None


def test_an_address_with_a_password_is_not_shown(sqlite_vault: Vault) -> None:
    site = KeySite(
        url="postgresql://keys:zqcanary@db/keys", kind=RootKind.LOCAL, roots=Path("r"), backups=Path("b")
    )  # fmt: skip
    assert "zqcanary" not in repr(site)
