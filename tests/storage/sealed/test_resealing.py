"""Sealing anew: another key and another ciphertext for the same content, at no moment without one that opens."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retention.errors import KeyDestroyed, Refused, SealedUnreadable, StoreUnavailable
from retention.holds import Scope
from storage.keys.ground import Ground
from storage.keys.keystore import KeyStore
from storage.keys.values import ObjectState
from storage.sealed import resealing, sealing_file, stream
from storage.sealed.resealing import reseal
from storage.sealed.stream import FIRST
from tests.storage.files.shelf import EXPORTS, LONG_AGO, NOW, hold
from tests.storage.sealed.safe import Safe
from tests.storage.sealed.test_sealing_interrupted import Calls, Cut, Killed

CONTENT = "patron,4711\n" * (FIRST // 6)


@pytest.fixture
def safe(tmp_path: Path, keys: KeyStore) -> Safe:
    return sealed(tmp_path / "root", keys)


def sealed(root: Path, keys: KeyStore, content: str = CONTENT) -> Safe:
    safe = Safe.at(root, EXPORTS, keys)
    safe.shelf.write("vendor/a", text=content)
    assert safe.seal().sealed == 1
    return safe


def again(safe: Safe) -> str:
    return reseal(safe.shelf.root, EXPORTS, safe.keys, safe.sealed()["vendor/a"], now=lambda: NOW)


def test_the_content_gets_another_key_and_another_file(safe: Safe) -> None:
    old = safe.sealed()["vendor/a"]
    before = (safe.shelf.place / safe.names()[0]).read_bytes()
    with safe.keys.key_of(old) as key:
        kept = bytes(key.reveal())
    new = again(safe)
    assert safe.sealed() == {"vendor/a": new}
    assert safe.names() == [f"vendor/a.{new}.sealed"]
    assert safe.opened("vendor/a") == CONTENT.encode()
    path = safe.shelf.place / safe.names()[0]
    assert path.read_bytes() != before
    assert path.stat().st_mtime == LONG_AGO.timestamp()
    with safe.keys.key_of(new) as key:
        assert bytes(key.reveal()) != kept
    with pytest.raises(KeyDestroyed):
        safe.keys.key_of(old)


def test_the_registry_knows_the_new_one_as_it_knew_the_old_one(safe: Safe) -> None:
    old = safe.keys.object(safe.sealed()["vendor/a"])
    (cohort,) = safe.keys.cohorts("files", "exports")
    one = safe.keys.object(again(safe))
    for name in (
        "record_type",
        "location",
        "store",
        "period",
        "trigger",
        "size",
        "seconds",
        "plaintext_since",
        "cohort",
    ):
        assert getattr(one, name) == getattr(old, name)
    assert safe.keys.object(old.id).reason == f"resealed as {one.id}"
    (after,) = safe.keys.cohorts("files", "exports")
    assert (after.objects, after.size, after.unsealed_before) == (1, cohort.size, 1)
    assert after.last_seq > cohort.last_seq


def test_the_old_key_is_worthless_in_older_stores_after_the_next_rotation(safe: Safe) -> None:
    again(safe)
    report = safe.keys.rotate(at=NOW)
    assert report.rotated
    assert report.replaced == 1  # the cohort's key, which the old one had left
    assert safe.opened("vendor/a") == CONTENT.encode()


def test_what_is_held_can_be_resealed_and_waits_for_its_hold_to_look_again(safe: Safe) -> None:
    placed = hold(Scope(stores=frozenset({"disk"})))
    ground = Ground.of(safe.criteria)
    assert safe.keys.reconcile(ground, [placed], at=NOW) == 1
    again(safe)
    assert [cohort.objects for cohort in safe.keys.cohorts("files", "exports")] == [1]
    assert safe.keys.reconcile(ground, [placed], at=NOW) == 1
    assert safe.keys.cohorts("files", "exports") == []
    assert safe.opened("vendor/a") == CONTENT.encode()


def test_withdrawn_and_destroyed_objects_are_not_sealed_anew(safe: Safe) -> None:
    id = safe.sealed()["vendor/a"]
    safe.keys.withdraw(id, reason="asked for", at=NOW)
    with pytest.raises(Refused, match="withdrawn"):
        again(safe)
    with safe.keys.gate(at=NOW) as writing:
        writing.destroy([id], witness="a test")
        writing.commit()
    with pytest.raises(KeyDestroyed):
        again(safe)


def test_a_damaged_file_is_refused_and_stays_as_it_is(safe: Safe) -> None:
    path = safe.shelf.place / safe.names()[0]
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1
    path.write_bytes(raw)
    with pytest.raises(SealedUnreadable):
        again(safe)
    assert safe.names() == [str(path.relative_to(safe.shelf.place))]
    assert safe.objects(ObjectState.SEALING) == []


def test_a_full_disk_changes_nothing(safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
    before = safe.names()

    def full(*_args: Any, **_kwargs: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(sealing_file, "seal", full)
        with pytest.raises(StoreUnavailable, match="full"):
            again(safe)
    assert safe.names() == before
    assert safe.opened("vendor/a") == CONTENT.encode()


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_something_opens_and_the_next_sealing_tidies_up(
    tmp_path: Path, keys_at: Callable[[Path], KeyStore], monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    def cut_short(safe: Safe, cut: Cut) -> bool:
        with monkeypatch.context() as patched:
            patched.setattr(sealing_file, "os", Calls(cut))
            patched.setattr(resealing, "os", Calls(cut))
            for name in ("begin_sealing", "finish_sealing", "supersede"):
                patched.setattr(safe.keys, name, cut.around(getattr(safe.keys, name)))
            try:
                again(safe)
            except Killed:
                return False
            return True

    counting = Cut()
    assert cut_short(sealed(tmp_path / "count", keys_at(tmp_path / "keys"), "short"), counting)
    for number in range(1, counting.calls + 1):
        safe = sealed(tmp_path / f"root-{number}", keys_at(tmp_path / f"keys-{number}"), "short")
        assert not cut_short(safe, Cut(number, after=after))
        safe.seal()
        assert safe.objects(ObjectState.SEALING) == []
        living = [one.id for one in safe.objects(ObjectState.SEALED)]
        assert 1 <= len(living) <= 2
        for id in living:
            content = (safe.shelf.place / f"vendor/a.{id}.sealed").read_bytes()
            with safe.keys.key_of(id) as key:
                opened = stream.pieces(io.BytesIO(content), key=key.reveal(), associated=id.encode())
                assert b"".join(map(bytes, opened)) == b"short"
        assert all(name.endswith(".sealed") for name in safe.names())
