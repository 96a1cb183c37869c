"""Verify a whole transparency log from its files: signature, every tile, every entry, and that it continues older checkpoints.

Needs what `retention.verify` needs, and reads each file once. Raises `VerificationFailed` with the first thing that is wrong;
an empty folder is an error, not a good log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from retention import envelope as envelopes
from retention.case_lives import Begun, Lives
from retention.certificate import PREDICATE_TYPE
from retention.checkpoint import Opened, open_checkpoint
from retention.document import JSON, parse
from retention.errors import UsageError, VerificationFailed
from retention.log_files import LogFiles
from retention.logged import LARGE
from retention.note import NoteKey
from retention.signing import PublicKey
from retention.tiles import WIDTH, Hashes, Tile, all_tiles, bundles, entry_hash
from retention.tree import Tree, root, split
from retention.verify_log import require_continued

_SHORT = PREDICATE_TYPE.rpartition("/certificate-of-destruction/")[0] + "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A log that is in order. ``kinds``: its entries by kind. ``begun``: cases that began and have not ended.
    ``continues``: sizes of the older checkpoints given."""

    opened: Opened
    kinds: Counter[str] = field(default_factory=Counter)
    begun: tuple[Begun, ...] = ()
    continues: tuple[int, ...] = ()


def verify_folder(
    files: LogFiles, *, logs: Sequence[NoteKey], ring: Mapping[str, PublicKey], witnesses: Sequence[NoteKey] = (),
    older: Sequence[bytes] = (), each: Callable[[int, bytes], None] = lambda _position, _entry: None,
) -> Whole:  # fmt: skip
    """``logs``: keys of the log; ``ring``: keys that sign its entries. ``each`` is told every entry that was found good."""
    if not logs or not ring:
        raise UsageError(
            "no key of the log given: nothing can be checked", "name the library's public keys with --key"
        )
    data = files.checkpoint()
    if data is None:
        raise VerificationFailed("there is no checkpoint in the log's folder")
    opened = open_checkpoint(data, logs, witnesses)
    size = opened.root.size
    kinds: Counter[str] = Counter()
    lives = Lives()
    tree = Tree()
    for bundle in bundles(size):
        entries = files.entries(bundle)
        hashes = b"".join(map(entry_hash, entries))
        if files.hashes(Tile(level=0, index=bundle.index, width=bundle.width)) != hashes:
            raise VerificationFailed(
                f"entries {bundle.index * WIDTH} and following are not those the log's hashes are of"
            )
        tree.append(hashes)
        for number, entry in enumerate(entries, bundle.index * WIDTH):
            kind, statement = _told(number, entry, ring)
            kinds[kind] += 1
            lives.see(number, statement)
            each(number, entry)
    if tree.root() != opened.root:
        raise VerificationFailed("the log's entries do not have the root that is signed")
    for tile in all_tiles(size):
        if tile.level:
            _follows(files, tile)
    return Whole(
        opened=opened, kinds=kinds, begun=lives.open, continues=_continues(files, opened, logs, older)
    )


def _told(position: int, entry: bytes, ring: Mapping[str, PublicKey]) -> tuple[str, Mapping[str, JSON]]:
    """The kind of an entry and its statement; of one entered by its digest, what the entry says of that."""
    value = parse(entry, f"entry {position} of the log")
    if isinstance(value, dict) and value.get("type") == LARGE:
        return "large-envelope", value
    try:
        signed = envelopes.read(entry)
        signed.check(ring)
        statement = signed.statement()
    except VerificationFailed as error:
        raise VerificationFailed(f"entry {position} of the log: {error.message}") from None
    return str(statement.get("predicateType")).removeprefix(_SHORT).partition("/")[0], statement


def _follows(files: LogFiles, tile: Tile) -> None:
    assert tile.level is not None
    for number, one in enumerate(split(files.hashes(tile)), tile.index * WIDTH):
        below = files.hashes(Tile(level=tile.level - 1, index=number, width=WIDTH))
        if root([below]).hash != one:
            raise VerificationFailed(f"{tile.path} of the log does not follow from the tiles below it")


def _continues(
    files: LogFiles, opened: Opened, logs: Sequence[NoteKey], older: Sequence[bytes]
) -> tuple[int, ...]:
    hashes = Hashes(files.hashes, opened.root.size)
    sizes = []
    for data in older:
        old = open_checkpoint(data, logs)
        require_continued(old, opened, hashes)
        sizes.append(old.root.size)
    return tuple(sorted(sizes))
