from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.errors import Unavailable, UsageError
from retention.tree import (
    EMPTY_ROOT,
    Root,
    Tree,
    ascending,
    includes,
    inclusion_path,
    node,
    root,
    shuffled,
    split,
)
from storage import leaf_order
from storage.leaf_order import LeafOrder

# Leaf data and roots of the first n leaves, from the test vectors of Certificate Transparency (RFC 6962 implementations).
VECTOR_LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
VECTOR_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
hashes = st.lists(st.binary(min_size=32, max_size=32), max_size=70)


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, on leaf hashes."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + by_definition(leaves[:k]) + by_definition(leaves[k:])).digest()


@pytest.mark.parametrize("count", range(1, 9))
def test_known_vectors_of_rfc_6962(count: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(data)) for data in VECTOR_LEAVES[:count]]
    assert root(leaves) == Root(count, bytes.fromhex(VECTOR_ROOTS[count - 1]))


def test_the_empty_tree_has_the_root_of_rfc_6962() -> None:
    assert root([]) == Root(0, EMPTY_ROOT)
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(hashes, st.integers(1, 9))
def test_a_streamed_root_is_the_root_of_the_definition(leaves: list[bytes], step: int) -> None:
    blocks = [b"".join(leaves[i : i + step]) for i in range(0, len(leaves), step)]
    assert root(blocks) == root(leaves) == Root(len(leaves), by_definition(leaves))


@pytest.mark.parametrize("count", [4095, 4096, 4097, 8191, 8192, 12_289, 20_000])
def test_a_root_over_many_leaves_is_the_root_of_the_definition(count: int) -> None:
    leaves = [leaf_hash(str(i).encode()) for i in range(count)]
    tree = Tree()
    for i in range(0, count, 1000):
        tree.append(b"".join(leaves[i : i + 1000]))
        assert tree.root().hash == by_definition(leaves[: i + 1000])


@given(hashes.filter(bool), st.data())
def test_every_leaf_has_a_path_that_proves_it_and_nothing_else(
    leaves: list[bytes], data: st.DataObject
) -> None:
    whole = root(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = inclusion_path(leaves, index)
    assert includes(whole, leaves[index], index, path)
    assert not includes(whole, leaf_hash(b"foreign"), index, path)
    assert not includes(whole, leaves[index], index, [*path, bytes(32)])
    assert not path or not includes(whole, leaves[index], index, path[:-1])
    assert not includes(whole, leaves[index], len(leaves), path)
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        changed = [*path[:place], node(path[place], b""), *path[place + 1 :]]
        assert not includes(whole, leaves[index], index, changed)


def test_a_path_for_a_leaf_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError):
        inclusion_path([bytes(32)], 1)


def test_half_a_hash_is_refused() -> None:
    with pytest.raises(UsageError):
        root([bytes(31)])


def test_order_is_checked() -> None:
    block = b"".join(bytes([i]) * 32 for i in range(4))
    assert root(ascending([block])) == root([block])
    for wrong in ([block[32:], block[:32]], [block, block[-32:]]):
        with pytest.raises(UsageError, match="ascending"):
            root(ascending(wrong))


@given(hashes)
def test_the_order_in_the_tree_does_not_depend_on_the_order_of_the_records(leaves: list[bytes]) -> None:
    assert shuffled(b"".join(leaves)) == shuffled(b"".join(reversed(leaves))) == b"".join(sorted(leaves))


@pytest.mark.parametrize("count", [0, 1, 255, 256, 1000, 5000])
def test_leaves_spooled_in_runs_come_back_sorted(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaf_order, "RUN", 256)
    data = b"".join(leaf_hash(str(i).encode()) for i in range(count))
    with LeafOrder(tmp_path) as order:
        for start in range(0, len(data), 32 * 77):
            order.add(data[start : start + 32 * 77])
        assert list(tmp_path.iterdir()) == []
        assert b"".join(order.blocks()) == shuffled(data)
        saved = order.save(tmp_path / "C-1.leaves")
    assert order.size == count
    assert saved == root([shuffled(data)])
    assert (tmp_path / "C-1.leaves").read_bytes() == shuffled(data)
    assert [path.name for path in tmp_path.iterdir()] == ["C-1.leaves"]
    assert (tmp_path / "C-1.leaves").stat().st_mode & 0o777 == 0o600


def test_leaves_with_the_same_first_byte_come_back_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaf_order, "RUN", 4)
    leaves = [b"\xff" + os.urandom(31) for _ in range(30)]
    with LeafOrder(tmp_path) as order:
        order.add(b"".join(leaves))
        assert split(b"".join(order.blocks())) == sorted(leaves)


def test_a_disk_that_fails_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be written or read"):
        LeafOrder(tmp_path / "missing")
    with LeafOrder(tmp_path) as order:
        order.add(bytes(32))
        with pytest.raises(Unavailable):
            order.save(tmp_path / "missing" / "C-1.leaves")
