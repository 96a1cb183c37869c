"""Tiles give the roots and proofs that the tree gives, at every size; entries go in and come out."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retention.errors import UsageError, VerificationFailed
from retention.tiles import MAX_ENTRY, Hashes, Tile, all_tiles, bundle, bundles, entry_hash, grown, unbundle
from retention.tree import Root, consistent, includes, inclusion_path, root

MOST = 66_000
SIZES = st.one_of(st.integers(1, 600), st.sampled_from([255, 256, 257, 65_535, 65_536, 65_537, MOST]))


@cache
def leaf(number: int) -> bytes:
    return entry_hash(str(number).encode())


class Shelf:
    """Tiles in memory, written by as many steps as asked for."""

    def __init__(self, *sizes: int) -> None:
        self.tiles: dict[Tile, bytes] = {}
        old = 0
        for size in sizes:
            for tile, data in grown(self.read, old, [leaf(number) for number in range(old, size)]):
                assert len(data) == 32 * tile.width
                assert self.tiles.setdefault(tile, data) == data, "a tile never changes"
            old = size
        self.size = old

    def read(self, tile: Tile) -> bytes:
        return self.tiles[tile]

    @property
    def hashes(self) -> Hashes:
        return Hashes(self.read, self.size)


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf(1, 3, 255, 256, 300, 511, 512, 1000, 65_535, 65_537, MOST)


@cache
def plain_root(size: int) -> Root:
    return root([leaf(number) for number in range(size)])


@pytest.mark.parametrize(
    ("index", "path"),
    [(0, "000"), (67, "067"), (1000, "x001/000"), (1234067, "x001/x234/067")],
)
def test_a_tile_lies_where_the_specification_says(index: int, path: str) -> None:
    assert Tile(level=0, index=index, width=256).path == f"tile/0/{path}"
    assert Tile(level=None, index=index, width=5).path == f"tile/entries/{path}.p/5"


def test_a_log_has_the_tiles_of_its_size() -> None:
    """The example of the specification."""
    found = list(all_tiles(70_000))
    count = {level: [tile.width for tile in found if tile.level == level] for level in range(4)}
    assert count == {0: [256] * 273 + [112], 1: [256, 17], 2: [1], 3: []}
    assert [tile.width for tile in bundles(300)] == [256, 44]
    assert [(tile.level, tile.width) for tile in all_tiles(256)] == [(0, 256), (1, 1)]


def test_growing_in_steps_writes_every_tile_of_the_last_size(shelf: Shelf) -> None:
    assert set(all_tiles(MOST)) <= set(shelf.tiles)


@settings(max_examples=60, deadline=None)
@given(size=SIZES, data=st.data())
def test_tiles_give_the_roots_and_proofs_of_the_tree(shelf: Shelf, size: int, data: st.DataObject) -> None:
    hashes = Hashes(lambda tile: shelf.tiles.get(tile) or _full(shelf, tile), size)
    whole = plain_root(size)
    assert hashes.root() == whole
    index = data.draw(st.integers(0, size - 1))
    path = hashes.inclusion(index)
    if size <= 600:
        assert list(path) == inclusion_path([leaf(number) for number in range(size)], index)
    assert hashes.leaf(index) == leaf(index)
    assert includes(whole, leaf(index), index, path)
    assert not includes(whole, leaf(index + 1), index, path)
    old = data.draw(st.integers(1, min(size, 600)))
    proof = hashes.consistency(old)
    assert consistent(plain_root(old), whole, proof)
    for broken in _broken(proof):
        assert not consistent(plain_root(old), whole, broken)
    if old < size:
        assert not consistent(Root(old, b"x" * 32), whole, proof)
        assert not consistent(plain_root(old), Root(size, b"x" * 32), proof)
        assert not consistent(whole, plain_root(old), proof), "a log never gets smaller"


def _full(shelf: Shelf, tile: Tile) -> bytes:
    """A part of a tile that is larger by now."""
    width = next(
        width
        for width in range(256, 0, -1)
        if Tile(level=tile.level, index=tile.index, width=width) in shelf.tiles
    )
    return shelf.tiles[Tile(level=tile.level, index=tile.index, width=width)][: 32 * tile.width]


def _broken(path: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    changed = [
        (*path[:place], bytes([one[0] ^ 1]) + one[1:], *path[place + 1 :]) for place, one in enumerate(path)
    ]
    return [*changed, (*path, b"x" * 32), *([path[:-1], path[1:]] if path else [])]


def test_what_is_not_there_is_not_proven(shelf: Shelf) -> None:
    for wrong in (-1, MOST):
        with pytest.raises(UsageError):
            shelf.hashes.inclusion(wrong)
        with pytest.raises(UsageError):
            shelf.hashes.leaf(wrong)
    with pytest.raises(UsageError):
        shelf.hashes.consistency(MOST + 1)
    with pytest.raises(VerificationFailed):
        Hashes(lambda _tile: b"short", 300).root()


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=40))
def test_a_bundle_gives_back_its_entries(entries: list[bytes]) -> None:
    data = bundle(entries)
    assert unbundle(data) == entries
    if data:
        with pytest.raises(VerificationFailed):
            unbundle(data[:-1])


def test_a_bundle_refuses_what_it_cannot_hold() -> None:
    for wrong in (b"", b"x" * (MAX_ENTRY + 1)):
        with pytest.raises(UsageError):
            bundle([wrong])
    for hostile in (b"\x00\x00", b"\xff", b"\x00\x01x" * 257):
        with pytest.raises(VerificationFailed):
            unbundle(hostile)
