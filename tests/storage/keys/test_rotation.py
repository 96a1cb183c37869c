"""Rotation of the root: killed anywhere it goes on, loses no survivor, and calls nothing final too early."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from retention.errors import KeyDestroyed, KeyStoreUnavailable, KeyUnreadable, Refused
from storage.database import stamp
from storage.keys import replacing
from storage.keys.values import NewObject
from tests.simulator.power import Power, PowerCut
from tests.storage.desk import behind_its_back
from tests.storage.keys.crashing import powered
from tests.storage.keys.vault import FAST, Adversary, Vault, Wrap, hold, raw, seized
from tests.storage.keys.vault import vault as opened


class Scene:
    """Survivors in two cohorts and under a hold, one of them in a cohort that two others have left; two keys destroyed."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.adversary = Adversary.watching(vault.store)
        self.kept = [vault.seal(number, subject=f"p{number}") for number in (1, 2, 3)]
        gone = [vault.seal(4, subject="p4"), vault.seal(5, subject="p5", period="2025-02")]
        vault.hold(hold("H-1", "p3"))
        self.gone = gone
        self.witness = vault.destroy(gone[0].id, vault.cohort_of(gone[1].id))

    def require_whole(self) -> None:
        """Every survivor opens, nothing that was destroyed does, and what the adversary opens is final for nobody."""
        for one in self.kept:
            with self.vault.store.key_of(one.id) as key:
                assert bytes(key.reveal()) == bytes(one.key.reveal())
        for one in self.gone:
            with pytest.raises(KeyDestroyed):
                self.vault.store.key_of(one.id)
        reached = set(self.adversary.opens(seized(self.vault.folder)))
        final = self.vault.store.erasure([self.witness]).windows == ()
        assert not (final and reached & {one.kid for one in self.gone})
        assert {one.kid for one in self.kept} <= reached


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A scene in a folder, to be copied: building it takes longer than a rotation."""

    folder: Path
    kept: list[NewObject]
    gone: list[NewObject]
    witness: str
    adversary: set[Wrap]

    @contextmanager
    def copied(self) -> Iterator[Scene]:
        folder = Path(tempfile.mkdtemp(prefix="retention-cut-", dir=FAST))
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        scene = object.__new__(Scene)
        scene.vault, scene.adversary = Vault(folder), Adversary(kept=set(self.adversary))
        scene.kept, scene.gone, scene.witness = self.kept, self.gone, self.witness
        scene.adversary.watch(scene.vault.store)
        try:
            yield scene
        finally:
            scene.vault.store.close()
            shutil.rmtree(folder)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("scene")
    with opened(folder) as vault:
        scene = Scene(vault)
        return Prepared(
            folder=folder, kept=scene.kept, gone=scene.gone, witness=scene.witness, adversary=scene.adversary.kept
        )  # fmt: skip


@pytest.fixture
def scene(vault: Vault) -> Scene:
    return Scene(vault)


@pytest.fixture
def sqlite_scene(sqlite_vault: Vault) -> Scene:
    return Scene(sqlite_vault)


def test_after_a_rotation_no_older_store_opens_what_was_destroyed(scene: Scene) -> None:
    store = scene.vault.store
    before = scene.adversary.opens(seized(scene.vault.folder))
    assert {one.kid for one in scene.gone} <= set(before), "the adversary of this test is blind"
    report = store.rotate(at=scene.vault.now())
    assert (report.rotated, report.replaced, report.proven) == (True, 1, 3)
    assert store.erasure([scene.witness]).windows == ()
    assert scene.adversary.opens(seized(scene.vault.folder)) == raw(scene.kept)
    scene.require_whole()


def test_without_a_destruction_there_is_no_rotation(vault: Vault) -> None:
    vault.seal()
    assert not vault.store.rotate(at=vault.now()).rotated
    assert vault.store.rotate(at=vault.now(), force=True).rotated


def cut(scene: Scene, step: int) -> bool:
    """A rotation that finds no power at its so-manieth step, and the machine up again. Whether it got that far."""
    power = Power()
    power.cut_at(step)
    with powered(power), suppress(PowerCut):
        scene.vault.store.rotate(at=scene.vault.now())
    scene.vault.reopen()
    scene.adversary.watch(scene.vault.store)
    scene.require_whole()
    return power.dead


def test_a_power_cut_at_any_step_of_a_rotation_loses_nothing(prepared: Prepared) -> None:
    """Before, in and after every transaction, and every making and destroying of a root or a backup; then on to the end."""
    for step in range(1, 200):
        with prepared.copied() as scene:
            reached = cut(scene, step)
            scene.vault.store.rotate(at=scene.vault.now())
            scene.require_whole()
            assert scene.vault.store.erasure([scene.witness]).windows == ()
            assert len(seized(scene.vault.folder)) == 1
        if not reached:
            break
    assert 50 < step < 199


def test_several_power_cuts_in_a_row_lose_nothing_either(prepared: Prepared) -> None:
    """At random steps, until a rotation gets through."""
    chance, cuts = random.Random(7), 0
    while cuts < 60:
        with prepared.copied() as scene:
            while cut(scene, chance.randrange(1, 70)):
                cuts += 1
            scene.vault.store.rotate(at=scene.vault.now())
            scene.require_whole()
            assert scene.vault.store.erasure([scene.witness]).windows == ()


def test_what_is_destroyed_during_a_rotation_waits_for_the_next(sqlite_scene: Scene) -> None:
    """Its wraps may stand under the new root in some older store."""
    vault = sqlite_scene.vault
    power = Power()
    power.cut_before("before make")
    with powered(power), suppress(PowerCut):
        vault.store.rotate(at=vault.now())
    assert vault.store.overview().unfinished
    witness = vault.destroy(sqlite_scene.kept[0].id)
    vault.store.rotate(at=vault.now())
    assert vault.store.erasure([sqlite_scene.witness]).windows == ()
    assert vault.store.erasure([witness]).windows != ()
    vault.store.rotate(at=vault.now())
    assert vault.store.erasure([witness]).windows == ()
    assert sqlite_scene.kept[0].kid not in sqlite_scene.adversary.opens(seized(vault.folder))


def test_a_large_wrapper_is_replaced_in_strides(sqlite_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacing, "STRIDE", 3)
    made = [sqlite_vault.seal() for _ in range(10)]
    sqlite_vault.destroy(made[0].id)
    report = sqlite_vault.store.rotate(at=sqlite_vault.now())
    assert (report.replaced, report.rewrapped) == (1, 9)
    for one in made[1:]:
        sqlite_vault.store.key_of(one.id).wipe()


def test_what_leaves_a_wrapper_while_it_is_being_replaced_is_cut_off_too(
    sqlite_vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing, "STRIDE", 3)
    adversary = Adversary.watching(sqlite_vault.store)
    made = [sqlite_vault.seal() for _ in range(10)]
    sqlite_vault.destroy(made[0].id)
    power = Power()
    power.cut_before("before its commit", 4)
    with powered(power), suppress(PowerCut):
        sqlite_vault.store.rotate(at=sqlite_vault.now())
    assert len(sqlite_vault.rows("SELECT kid FROM wrapping_key")) == 2
    sqlite_vault.destroy(made[1].id)
    sqlite_vault.destroy(made[9].id)
    for _ in range(2):
        sqlite_vault.store.rotate(at=sqlite_vault.now())
    reached = set(adversary.opens(seized(sqlite_vault.folder)))
    assert reached == {one.kid for one in made[2:9]}


def test_a_backup_that_was_damaged_before_it_was_proven_is_made_anew(sqlite_scene: Scene) -> None:
    vault = sqlite_scene.vault
    power = Power()
    power.cut_before("after make")
    with powered(power), suppress(PowerCut):
        vault.store.rotate(at=vault.now())
    for path in (vault.folder / "backups").glob("keys-*"):
        path.write_bytes(b"damaged")
    vault.store.rotate(at=vault.now())
    sqlite_scene.require_whole()


def test_a_survivor_that_does_not_open_keeps_the_old_root(scene: Scene) -> None:
    store = scene.vault.store
    with store.db.writing() as connection:
        connection.exec_driver_sql(f"DELETE FROM wrap WHERE child = '{scene.kept[0].kid}'")
    with pytest.raises(KeyUnreadable):
        store.rotate(at=scene.vault.now())
    assert store.erasure([scene.witness]).windows != ()
    assert len(seized(scene.vault.folder)) == 2


def test_a_reader_that_holds_the_log_stops_the_rotation_before_the_old_root_goes(sqlite_scene: Scene) -> None:
    vault = sqlite_scene.vault
    vault.store.db._patience = 0.1
    reader = sqlite3.connect(vault.file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM wrap").fetchone()
    with pytest.raises(KeyStoreUnavailable, match="a reader holds it"):
        vault.store.rotate(at=vault.now())
    assert vault.store.overview().pending_truncation is not None
    assert vault.store.erasure([sqlite_scene.witness]).windows != ()
    reader.close()
    vault.store.rotate(at=vault.now())
    assert vault.store.overview().pending_truncation is None
    assert vault.store.erasure([sqlite_scene.witness]).windows == ()


def test_only_one_rotation_at_a_time(scene: Scene) -> None:
    other = scene.vault.opened()
    try:
        with other.db.turn(), pytest.raises(Refused, match="another rotation"):
            scene.vault.store.rotate(at=scene.vault.now())
    finally:
        other.close()
    scene.vault.store.rotate(at=scene.vault.now())


def test_a_full_disk_costs_nothing_but_time(sqlite_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = sqlite_scene.vault

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(KeyStoreUnavailable, match="No space left") as caught:
            vault.store.rotate(at=vault.now())
    assert "nothing was lost" in caught.value.hint
    sqlite_scene.require_whole()
    vault.store.rotate(at=vault.now())
    sqlite_scene.require_whole()


def seal_many(vault: Vault) -> None:
    for _ in range(200):
        vault.seal()


def test_a_full_database_is_told_as_such(sqlite_vault: Vault) -> None:
    sqlite_vault.seal()
    raw_connection = sqlite_vault.store.db.engine.raw_connection()
    pages = raw_connection.cursor().execute("PRAGMA page_count").fetchone()[0]
    raw_connection.cursor().execute(f"PRAGMA max_page_count = {pages}")
    raw_connection.close()
    before = len(list(sqlite_vault.store.objects()))
    with pytest.raises(KeyStoreUnavailable, match="full"):
        seal_many(sqlite_vault)
    sqlite_vault.reopen()
    for one in sqlite_vault.store.objects():
        sqlite_vault.store.key_of(one.id).wipe()
    assert len(list(sqlite_vault.store.objects())) >= before


def test_a_lost_root_is_told_and_nothing_is_called_destroyed(scene: Scene) -> None:
    vault = scene.vault
    vault.reopen()
    path = next((vault.folder / "roots").glob("*.root"))
    path.rename(vault.folder / "aside")
    with pytest.raises(KeyStoreUnavailable, match="root of the key store is missing") as caught:
        vault.store.key_of(scene.kept[0].id)
    assert "put it back" in caught.value.hint
    with pytest.raises(KeyStoreUnavailable):
        vault.store.rotate(at=vault.now())
    assert vault.store.erasure([scene.witness]).windows != ()
    (vault.folder / "aside").rename(path)
    scene.require_whole()


def test_a_wrong_root_is_told(scene: Scene) -> None:
    vault = scene.vault
    vault.reopen()
    path = next((vault.folder / "roots").glob("*.root"))
    path.write_bytes(os.urandom(32))
    with pytest.raises(KeyUnreadable, match="not the root that this key store was wrapped with"):
        vault.store.key_of(scene.kept[0].id)
    path.write_bytes(b"short")
    with pytest.raises(KeyUnreadable, match="32 bytes"):
        vault.store.key_of(scene.kept[0].id)


def test_a_root_that_others_may_read_is_refused(sqlite_scene: Scene) -> None:
    vault = sqlite_scene.vault
    vault.reopen()
    path = next((vault.folder / "roots").glob("*.root"))
    path.chmod(0o640)
    with pytest.raises(KeyStoreUnavailable, match="read by others"):
        vault.store.key_of(sqlite_scene.kept[0].id)


def test_nothing_is_called_gone_beside_a_root_that_nobody_accounts_for(sqlite_scene: Scene) -> None:
    vault = sqlite_scene.vault
    stranger = vault.folder / "roots" / "R000000000000.root"
    stranger.write_bytes(os.urandom(32))
    with pytest.raises(Refused, match="does not know: R000000000000"):
        vault.store.rotate(at=vault.now())
    stranger.unlink()
    vault.store.rotate(at=vault.now())


def test_an_older_store_put_back_after_a_rotation_opens_nothing_and_says_so(sqlite_scene: Scene) -> None:
    vault = sqlite_scene.vault
    older = vault.store.back_up(at=vault.now())
    epoch_seen = vault.store.epoch()
    vault.store.rotate(at=vault.now())
    vault.store.close()
    for ending in ("", "-wal", "-shm"):
        vault.file.with_name(f"keys.db{ending}").unlink(missing_ok=True)
    shutil.copyfile(older, vault.file)
    vault.reopen()
    assert vault.store.epoch() == epoch_seen
    with pytest.raises(KeyStoreUnavailable, match="older than it was"):
        vault.store.require_ready(at_least=epoch_seen + 1)
    with pytest.raises(KeyStoreUnavailable, match="root of the key store is missing"):
        vault.store.key_of(sqlite_scene.kept[0].id)


def test_a_drill_shows_what_an_older_backup_still_opens(scene: Scene) -> None:
    vault = scene.vault
    vault.store.back_up(at=vault.now())
    drilled = vault.store.drill(at=vault.now())
    assert (drilled.known, drilled.destroyed, drilled.survivors) == (5, 2, 3)
    assert (drilled.destroyed_opened, drilled.survivors_opened) == (0, 3)
    vault.store.rotate(at=vault.now())
    again = vault.store.drill(at=vault.now())
    assert (again.known, again.destroyed, again.survivors) == (5, 2, 3)
    assert (again.destroyed_opened, again.survivors_opened, again.passed) == (0, 0, True)


def test_a_drill_fails_when_something_destroyed_opens_again(vault: Vault) -> None:
    gone = vault.seal()
    before = vault.store.back_up(at=vault.now())
    vault.destroy(vault.cohort_of(gone.id))
    drilled = vault.store.drill(at=vault.now(), previous=before)
    assert (drilled.destroyed_opened, drilled.passed) == (1, False)
    vault.store.rotate(at=vault.now())
    assert vault.store.drill(at=vault.now(), previous=before).passed


def test_a_backup_put_back_into_an_empty_store_opens_every_survivor(scene: Scene) -> None:
    vault = scene.vault
    vault.store.rotate(at=vault.now())
    backup = vault.store.back_up(at=vault.now())
    assert backup.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Refused, match="not empty"):
        vault.store.restore(backup)
    url = "" if vault.store.db.sqlite else vault.url
    if url:
        with behind_its_back(url) as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
    else:
        vault.store.close()
        vault.file.unlink()
    vault.reopen()
    vault.store.db.upgrade()
    vault.store.restore(backup)
    vault.store.require_ready()
    scene.adversary.watch(vault.store)
    scene.require_whole()
    made = vault.seal(9)
    vault.destroy(vault.cohort_of(made.id))
    vault.store.rotate(at=vault.now())


def test_the_last_backups_are_kept_and_older_ones_removed(sqlite_vault: Vault) -> None:
    for _ in range(17):
        sqlite_vault.store.back_up(at=sqlite_vault.now())
    sqlite_vault.seal()
    sqlite_vault.store.rotate(at=sqlite_vault.now(), force=True)
    assert len(list((sqlite_vault.folder / "backups").iterdir())) == 14


def test_a_killed_worker_is_followed_by_one_that_goes_on(sqlite_scene: Scene) -> None:
    """SIGKILL to the process itself, wherever it happens to be."""
    vault = sqlite_scene.vault
    job = _job(vault)
    for delay in (0.5, 0.8, 1.0, 1.1, 1.2, 1.3):
        worker = subprocess.Popen(
            [sys.executable, "-m", "storage.keys.worker"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert worker.stdin is not None
        worker.stdin.write(job)
        worker.stdin.close()
        time.sleep(delay)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        sqlite_scene.adversary.look(vault.store)
        sqlite_scene.require_whole()
    vault.reopen()
    sqlite_scene.adversary.watch(vault.store)
    vault.store.rotate(at=vault.now())
    sqlite_scene.require_whole()
    assert vault.store.erasure([sqlite_scene.witness]).windows == ()
    assert len(seized(vault.folder)) == 1


def _job(vault: Vault) -> bytes:
    told = {
        "job": "rotate", "at": stamp(vault.now()), "url": vault.url, "kind": "local", "roots": str(vault.folder / "roots"),
        "backups": str(vault.folder / "backups"), "region": None, "endpoint": None, "window_days": 30,
        "arguments": {"force": True},
    }  # fmt: skip
    return json.dumps(told).encode()
