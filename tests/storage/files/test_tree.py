"""Walking a tree without being led out of it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from retention.errors import StoreUnavailable
from storage.files import tree as module
from storage.files.tree import MAX_DEPTH, Bar, Barred, Tree


def walked(root: Path, below: str = "") -> tuple[list[str], Counter[Bar]]:
    bars: Counter[Bar] = Counter()
    with Tree(root, below) as tree:
        paths = [
            visit.path
            for visit in tree.walk(lambda path: path.endswith(".event"), lambda bar: bars.update((bar,)))
        ]
    return paths, bars


def test_folders_come_outer_first_and_by_name(tmp_path: Path) -> None:
    for name in ("b/x", "a/z", "a/y", "c"):
        (tmp_path / "top" / name).mkdir(parents=True)
    assert walked(tmp_path, "top")[0] == ["", "a", "a/y", "a/z", "b", "b/x", "c"]


def test_a_leaf_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "a.event/inner").mkdir(parents=True)
    assert walked(tmp_path)[0] == [""]


def test_entries_come_by_inode_with_their_kind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    with Tree(tmp_path, "") as tree:
        entries = tree.list("")
    assert {entry.name: entry.kind for entry in entries} == {
        "folder": "d",
        "file": "f",
        "link": "l",
        "pipe": "o",
    }
    assert [entry.inode for entry in entries] == sorted(entry.inode for entry in entries)


def test_a_link_to_a_folder_is_never_followed(tmp_path: Path) -> None:
    (tmp_path / "outside/inner").mkdir(parents=True)
    (tmp_path / "root/real").mkdir(parents=True)
    (tmp_path / "root/way").symlink_to(tmp_path / "outside")
    assert walked(tmp_path / "root")[0] == ["", "real"]
    with Tree(tmp_path / "root", "") as tree:
        for path in ("way", "way/inner", "real/../real", "..", "./real", "real//real"):
            with pytest.raises(Barred) as caught:
                tree.open(path)
            assert caught.value.bar is Bar.LINK
    for below in ("way", "way/inner", "../outside", "real/../../outside"):
        with pytest.raises(StoreUnavailable):
            Tree(tmp_path / "root", below)


def test_a_folder_exchanged_for_a_link_after_it_was_opened_stays_the_folder_it_was(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/theirs").touch()
    (tmp_path / "root/folder").mkdir(parents=True)
    (tmp_path / "root/folder/ours").touch()
    with Tree(tmp_path / "root", "") as tree:
        tree.open("folder")
        (tmp_path / "root/folder").rename(tmp_path / "aside")
        (tmp_path / "root/folder").symlink_to(tmp_path / "outside")
        assert [entry.name for entry in tree.list("folder")] == ["ours"]
        tree.forget("folder")
        with pytest.raises(Barred) as caught:
            tree.open("folder")
        assert caught.value.bar is Bar.LINK


def test_another_file_system_is_not_entered() -> None:
    """/dev has others mounted in it on every Linux machine (pts, shm)."""
    with Tree(Path("/dev"), "") as tree, pytest.raises(Barred) as caught:
        tree.open("pts")
    assert caught.value.bar is Bar.MOUNT
    with pytest.raises(StoreUnavailable, match="another file system"):
        Tree(Path("/dev"), "pts")


def test_the_same_file_system_mounted_inside_again_is_not_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bind mount keeps the device number; its mount id tells it. Mounting needs rights that a test may not have, so the id
    that the kernel would give is put in; that real mounts have different ids is shown on /dev."""
    (tmp_path / "bound").mkdir()
    real = module._mount_id
    dev, pts = os.open("/dev", os.O_RDONLY), os.open("/dev/pts", os.O_RDONLY)
    assert real(dev) != real(pts)
    assert real(dev).startswith(b"mnt_id")
    os.close(dev)
    os.close(pts)
    inode = (tmp_path / "bound").stat().st_ino
    monkeypatch.setattr(
        module, "_mount_id", lambda one: b"mnt_id: 9" if os.fstat(one).st_ino == inode else real(one)
    )
    assert walked(tmp_path) == ([""], Counter({Bar.MOUNT: 1}))


def test_a_folder_that_cannot_be_reached_is_told_and_does_not_stop_the_walk(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * (MAX_DEPTH + 1))
    deep.mkdir(parents=True)
    (tmp_path / "e").mkdir()
    paths, bars = walked(tmp_path)
    assert "e" in paths
    assert len(paths) == MAX_DEPTH + 2
    assert bars == Counter({Bar.DENIED: 1})


def test_many_folders_need_few_descriptors(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}").mkdir()
    with Tree(tmp_path, "") as tree:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # counting descriptors, not files
        for number in range(300):
            os.fstat(tree.open(f"{number:03}"))
        assert len(os.listdir("/proc/self/fd")) - before <= module.FOLDERS_KEPT_OPEN  # noqa: PTH208  # see above
        os.fstat(tree.open("000"))


def test_every_descriptor_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208  # see above
    walked(tmp_path)
    with pytest.raises(StoreUnavailable):
        Tree(tmp_path, "missing")
    with pytest.raises(StoreUnavailable):
        Tree(tmp_path / "missing", "")
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208  # see above


@pytest.mark.parametrize("root", ["zqcanary", "zqcanary\0", "x" * 300])
def test_a_missing_root_is_told_without_its_path(tmp_path: Path, root: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        Tree(tmp_path / root, "")
    assert "zqcanary" not in f"{caught.value!r}"
