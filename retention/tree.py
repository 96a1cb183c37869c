"""Merkle tree of RFC 6962 §2.1 over leaf hashes: root, inclusion path, and the check of paths (RFC 9162 §2.1.3 and §2.1.4).

Takes leaf *hashes* (see `retention.leaves`), not leaf data. In a certificate the leaves stand sorted by their hash: the
hashes are salted, so their order says nothing about the order of the records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from operator import lt

from retention.errors import UsageError

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""Root of a tree without leaves (RFC 6962). No certificate has one."""

_LEVEL = 12
_CHUNK = HASH_BYTES << _LEVEL


@dataclass(frozen=True, slots=True)
class Root:
    """What a certificate commits to."""

    size: int
    hash: bytes


def node(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Tree:
    """Computes the root while leaves arrive: keeps one hash per level and at most 4,096 leaves.

    A compact range: the perfect subtrees left of the next leaf, largest first.
    """

    size: int = 0
    _range: list[tuple[int, bytes]] = field(default_factory=list)
    _waiting: bytearray = field(default_factory=bytearray)

    def append(self, hashes: bytes) -> None:
        """Add leaf hashes, concatenated. Raises `UsageError` when the length is not a multiple of 32."""
        if len(hashes) % HASH_BYTES:
            raise UsageError(f"leaf hashes have {HASH_BYTES} bytes each")
        self.size += len(hashes) // HASH_BYTES
        self._waiting += hashes
        if len(self._waiting) < _CHUNK:
            return
        whole = len(self._waiting) // _CHUNK * _CHUNK
        data = bytes(self._waiting[:whole])
        del self._waiting[:whole]
        for start in range(0, whole, _CHUNK):
            _push(self._range, _LEVEL, perfect(data[start : start + _CHUNK]))

    def root(self) -> Root:
        """The root over what was appended so far; more may be appended afterwards."""
        parts = list(self._range)
        for leaf in split(bytes(self._waiting)):
            _push(parts, 0, leaf)
        if not parts:
            return Root(0, EMPTY_ROOT)
        result = parts[-1][1]
        for _, left in reversed(parts[:-1]):
            result = node(left, result)
        return Root(self.size, result)


def _push(parts: list[tuple[int, bytes]], level: int, subtree: bytes) -> None:
    while parts and parts[-1][0] == level:
        subtree = node(parts.pop()[1], subtree)
        level += 1
    parts.append((level, subtree))


def perfect(data: bytes) -> bytes:
    """The root over concatenated hashes whose number is a power of two."""
    while len(data) > HASH_BYTES:
        data = b"".join([sha256(b"\x01" + data[i : i + 64]).digest() for i in range(0, len(data), 64)])
    return data


def root(blocks: Iterable[bytes]) -> Root:
    """The root over leaf hashes that come one by one or in concatenated blocks, in O(log n) memory beside a block."""
    tree = Tree()
    for block in blocks:
        tree.append(block)
    return tree.root()


def split(hashes: bytes) -> list[bytes]:
    """The single hashes of a block."""
    return [hashes[i : i + HASH_BYTES] for i in range(0, len(hashes), HASH_BYTES)]


def shuffled(hashes: bytes) -> bytes:
    """The leaves of a small case in their order in the tree: sorted. `storage.leaf_order` does the same for any number."""
    return b"".join(sorted(split(hashes)))


def ascending(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same blocks; raises `UsageError` as soon as a hash does not come strictly after the one before it."""
    last = b""
    for block in blocks:
        hashes = [last, *split(block)]
        if not all(map(lt, hashes, hashes[1:])):
            raise UsageError("leaf hashes are not in ascending order")
        last = hashes[-1]
        yield block


def inclusion_path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Audit path of the leaf at ``index`` (0-based), lowest sibling first. Takes all leaves: for small trees."""
    if not 0 <= index < len(hashes):
        raise UsageError("there is no such leaf")
    path: list[bytes] = []
    level = list(hashes)
    while len(level) > 1:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        odd = level[-1:] if len(level) % 2 else []
        level = [node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)] + odd
        index >>= 1
    return path


def includes(root: Root, leaf: bytes, index: int, path: Sequence[bytes]) -> bool:
    """Whether the path proves that ``leaf`` stands at ``index`` in the tree of that root (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < root.size or len(leaf) != HASH_BYTES:
        return False
    position, last, result = index, root.size - 1, leaf
    for sibling in path:
        if last == 0 or len(sibling) != HASH_BYTES:
            return False
        if position & 1 or position == last:
            result = node(sibling, result)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            result = node(result, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and result == root.hash


def consistent(old: Root, new: Root, path: Sequence[bytes]) -> bool:
    """Whether the path proves that the tree of ``new`` begins with the tree of ``old`` (RFC 9162 §2.1.4.2)."""
    if old.size in (0, new.size):
        return not path and (old.hash == new.hash if old.size else old.hash == EMPTY_ROOT)
    if old.size > new.size or any(len(one) != HASH_BYTES for one in path):
        return False
    position, last = old.size - 1, new.size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    rest = list(path) if position else [old.hash, *path]
    if not rest:
        return False
    before = after = rest[0]
    for sibling in rest[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            before, after = node(sibling, before), node(sibling, after)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            after = node(after, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and before == old.hash and after == new.hash
