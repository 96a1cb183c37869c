"""The spool: private, durable before its case is opened, and never removed under a case that may be open."""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from retention.errors import LedgerUnavailable, UsageError, VerificationFailed
from storage.ledger.cases import Case, CaseState
from storage.spool import EVIDENCE_KEY_BYTES, Spool
from tests.storage.desk import part

LINES = b'"1"\n"zqcanary-file.csv"\n"3"\n'


def written(spool: Spool, case_id: str = "C1", lines: bytes = LINES) -> Case:
    spool.create(case_id)
    with spool.writer(case_id, 0) as writer:
        writer.write(lines[:4])
        writer.write(lines[4:])
    assert (writer.items, writer.length) == (3, len(lines))
    made = replace(part(3, content=lines), digest=writer.digest)
    return cast("Case", SimpleNamespace(id=case_id, parts=(made,)))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "state" / "cases")


def test_a_manifest_is_read_as_it_was_written(spool: Spool) -> None:
    case = written(spool)
    spool.verify(case)
    with spool.open(case.id, case.parts[0]) as manifest:
        assert manifest.lines(0, 2) == ([b'"1"', b'"zqcanary-file.csv"'], 24)
        assert manifest.lines(24, 9) == ([b'"3"'], len(LINES))
    assert len(spool.evidence_key("C1")) == EVIDENCE_KEY_BYTES


def test_everything_in_it_is_private(spool: Spool) -> None:
    written(spool)
    spool.mark_opened("C1")
    for path in (spool.root, *spool.root.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_digest_of_a_manifest_tells_nobody_which_record_is_in_it(spool: Spool) -> None:
    """It stands in certificates. A case of one record, and somebody who tries all card numbers."""
    digests = set()
    for case in ("C1", "C2"):
        spool.create(case)
        with spool.writer(case, 0) as writer:
            writer.write(b'"29000001"\n')
        digests.add(writer.digest)
    assert len(digests) == 2, "the same record twice does not show"
    guesses = [f'"{card}"\n'.encode() for card in range(29_000_000, 29_000_010)]
    assert digests.isdisjoint(hashlib.sha256(guess).hexdigest() for guess in guesses)
    assert digests.isdisjoint(digest_of(b"", guess) for guess in guesses)
    assert digests & {digest_of(spool.evidence_key("C1"), guess) for guess in guesses}, "it would be seen"


def digest_of(key: bytes, lines: bytes) -> str:
    return hmac.digest(hmac.digest(key, b"manifest", "sha256"), lines, "sha256").hex()


def test_a_dry_run_counts_and_digests_and_leaves_nothing(spool: Spool) -> None:
    with spool.writer(None, 0) as writer:
        writer.write(LINES)
    assert (writer.items, writer.length) == (3, len(LINES))
    assert not spool.root.exists()


def test_names_and_content_are_on_the_disk_before_the_case_is_opened(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    written(spool)
    assert synced[-2:] == ["part-0.lines", "C1"]
    assert synced.index("evidence.key") < synced.index("cases")


@pytest.mark.parametrize("change", [LINES + b'"4"\n', LINES[:-4], LINES.replace(b"1", b"2"), b""])
def test_a_changed_manifest_is_found(spool: Spool, change: bytes) -> None:
    case = written(spool)
    (spool.root / "C1" / "part-0.lines").write_bytes(change)
    with pytest.raises(VerificationFailed, match="not the one that was frozen") as caught:
        spool.verify(case)
    assert "zqcanary" not in str(caught.value)


def test_what_is_gone_is_unavailable(spool: Spool) -> None:
    case = written(spool)
    (spool.root / "C1" / "part-0.lines").unlink()
    with pytest.raises(LedgerUnavailable, match="is gone"):
        spool.verify(case)
    (spool.root / "C1" / "evidence.key").write_bytes(b"short")
    with pytest.raises(LedgerUnavailable, match="evidence key"):
        spool.evidence_key("C1")
    with pytest.raises(LedgerUnavailable, match="evidence key"):
        spool.evidence_key("C2")


def test_a_folder_is_made_once(spool: Spool) -> None:
    written(spool)
    with pytest.raises(LedgerUnavailable):
        spool.create("C1")
    with pytest.raises(LedgerUnavailable):
        spool.writer("C1", 0)


def test_a_full_disk_is_an_error_of_ours_that_names_no_record(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.create("C1")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "zqcanary-file.csv")

    monkeypatch.setattr(os, "fsync", full)
    writer = spool.writer("C1", 0)
    writer.write(LINES)
    with pytest.raises(LedgerUnavailable, match="No space left") as caught:
        writer.__exit__(None, None, None)
    assert "zqcanary" not in str(caught.value)
    with pytest.raises(LedgerUnavailable, match="No space left"):
        spool.create("C2")


@pytest.mark.parametrize("name", ["", ".", "..", "../ledger", "C1/..", "/etc", "C1\n", "-r"])
def test_nothing_outside_a_case_folder_is_ever_touched(spool: Spool, name: str) -> None:
    written(spool)
    for action in (spool.discard, spool.drop_manifests, spool.create, spool.evidence_key, spool.mark_opened):
        with pytest.raises(UsageError):
            action(name)
    assert len(list((spool.root / "C1").iterdir())) == 2


def test_manifests_go_and_the_evidence_key_stays(spool: Spool) -> None:
    written(spool)
    spool.drop_manifests("C1")
    assert [path.name for path in (spool.root / "C1").iterdir()] == ["evidence.key"]
    spool.drop_manifests("C1")
    spool.drop_manifests("C2")
    spool.discard("C1")
    spool.discard("C1")
    assert list(spool.root.iterdir()) == []


def swept(spool: Spool, known: Mapping[str, CaseState]) -> dict[str, list[str]]:
    spool.sweep(known.get)
    return {
        folder.name: sorted(path.name for path in folder.iterdir()) for folder in sorted(spool.root.iterdir())
    }


def test_a_sweep_removes_what_a_crash_left_and_nothing_else(spool: Spool) -> None:
    for number in range(7):
        written(spool, f"C{number}")
    for number in (2, 4, 6):
        spool.mark_opened(f"C{number}")
    known = {
        "C1": CaseState.STARTED,  # killed before it was marked
        "C2": CaseState.STARTED,
        "C3": CaseState.CLOSED,  # killed before its manifest was dropped
        "C4": CaseState.CLOSED,
        "C5": CaseState.RETURNED,
    }
    left = swept(spool, known)
    whole = ["evidence.key", "part-0.lines"]
    assert left == {
        "C1": whole,
        "C2": ["evidence.key", "opened", "part-0.lines"],
        "C3": ["evidence.key"],
        "C4": ["evidence.key", "opened"],
        "C6": [
            "evidence.key",
            "opened",
            "part-0.lines",
        ],  # opened, and this ledger does not know it: another ledger
    }
    assert swept(spool, known) == left


def test_a_sweep_without_a_ledger_removes_nothing(spool: Spool) -> None:
    written(spool)

    def unavailable(_id: str) -> CaseState | None:
        raise LedgerUnavailable("the ledger does not answer")

    with pytest.raises(LedgerUnavailable):
        spool.sweep(unavailable)
    assert (spool.root / "C1" / "part-0.lines").exists()
    with spool.opening():
        pass


def test_nothing_is_swept_while_somebody_opens_a_case(spool: Spool) -> None:
    with spool.opening(), spool.opening():
        written(spool)
        assert "C1" in swept(spool, {})
    assert swept(spool, {}) == {}


def test_a_spool_without_a_folder_is_swept_in_peace(tmp_path: Path) -> None:
    Spool(tmp_path / "none").sweep(lambda _id: None)


def test_a_part_of_another_number_is_another_file(spool: Spool) -> None:
    written(spool)
    with pytest.raises(LedgerUnavailable), spool.open("C1", part(1, number=1)):
        pass
