"""Sealing a sealed file anew: another data key, another ciphertext, no plaintext on any disk.

1. a new key, in the cohort of the old one's period
2. the new copy is written beside the old one, synchronised, and takes its name
3. it is read back whole and compared with what the old one opens to
4. the registry has it as *sealed*; the old key is destroyed, and its wrappers are dirty until the next rotation
5. the old ciphertext is removed

A crash before 4 leaves the old object as it was; the next `retention seal` takes the half away.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from retention.errors import Refused, RetentionError, SealedUnreadable
from retention.schedule import TreeLocation
from storage.files.sealed_name import read_name
from storage.files.tree import Tree, join
from storage.keys.keystore import KeyStore
from storage.keys.values import ObjectState
from storage.sealed.opening import find, open_below
from storage.sealed.sealing_file import Bench, NotSealed, disk
from storage.sealed.stream import SealedReader


def reseal(
    root: Path,
    location: TreeLocation,
    keys: KeyStore,
    id: str,
    *,
    now: Callable[[], datetime],
    pulse: Callable[[], object] = lambda: None,
) -> str:
    """Seal an object anew. Returns the new object's id. Raises `Refused`, `KeyDestroyed`, `SealedUnreadable`, `StoreUnavailable`."""
    old = keys.object(id)
    if old.state in (ObjectState.SEALING, ObjectState.WITHDRAWN):
        raise Refused(
            f"object {id} is {old.state.value}", "only what is sealed, and is to stay, is sealed anew"
        )
    facts = keys.facts_of(id)
    with disk(), Tree(root, location.path) as tree:
        folder, name = find(tree, location, id)
        found = read_name(name)
        assert found is not None  # it was found by its name
        original = join(folder, found.original)
        bench = Bench(tree, keys, now, pulse)
        with open_below(tree, folder, name) as file, _reader(keys, id, file) as plain:
            modified = os.fstat(file.fileno()).st_mtime_ns
            new = keys.begin_sealing(facts, period=old.period, at=now())
            try:
                with new.key as key:
                    bench.write(original, new.id, plain, modified, key.reveal())
                size, digest = bench.compare(original, new.id, plain)
                keys.finish_sealing(new.id, sealed_size=size, digest=digest, at=now())
            except (NotSealed, RetentionError, OSError) as error:
                with suppress(RetentionError):  # the first failure is the one to tell
                    bench.take_away(original, new.id)
                if isinstance(error, NotSealed):
                    raise SealedUnreadable(
                        f"object {id} was not sealed anew: {error.why}",
                        "nothing was changed; see whether the disk is in order",
                    ) from None
                raise
        keys.supersede(id, new.id, at=now())
        os.unlink(name, dir_fd=tree.open(folder))
        os.fsync(tree.open(folder))
    return new.id


def _reader(keys: KeyStore, id: str, file: io.FileIO) -> SealedReader:
    with keys.key_of(id) as key:
        return SealedReader(file, key=key.reveal(), associated=id.encode())
