"""A location whose files are sealed, with a real key store beside it, and ways to look at what lies there."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from retention.decide import Criteria
from retention.schedule import Disposition, TreeLocation
from storage.files.sealed_name import read_name
from storage.keys.keystore import KeyStore
from storage.keys.values import ObjectState, SealedObject
from storage.sealed import stream
from storage.sealed.sealing import FileSealer
from storage.sealed.sealing_result import Sealing
from tests.storage.files.shelf import Shelf, criteria_for


def shredded(criteria: Criteria) -> Criteria:
    """The same location under a schedule that seals."""
    record_type = replace(criteria.record_type, disposition=Disposition.CRYPTO_SHRED)
    return replace(criteria, record_type=record_type)


@dataclass(kw_only=True)
class Safe:
    """A shelf of files and the key store for them."""

    shelf: Shelf
    keys: KeyStore
    pulse: Callable[[], object] = lambda: None

    @classmethod
    def at(cls, root: Path, location: TreeLocation, keys: KeyStore) -> Safe:
        return cls(shelf=Shelf(root=root, location=location), keys=keys)

    @property
    def criteria(self) -> Criteria:
        return shredded(criteria_for(self.shelf.location, self.shelf.on))

    @property
    def sealer(self) -> FileSealer:
        return FileSealer(self.criteria, self.shelf.root, self.keys, now=lambda: self.now, pulse=self.pulse)

    @property
    def now(self) -> datetime:
        return self.shelf.now

    def seal(self) -> Sealing:
        return self.sealer.seal()

    def names(self) -> list[str]:
        """Every file below the location, sorted."""
        place = self.shelf.place
        return sorted(str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir())

    def sealed(self) -> dict[str, str]:
        """Whole sealed files: the original's path and the object's id."""
        found = [read_name(name) for name in self.names()]
        return {name.original: name.id for name in found if name is not None and name.whole}

    def opened(self, original: str) -> bytes:
        """What the sealed copy of that file holds."""
        id = self.sealed()[original]
        content = (self.shelf.place / f"{original}.{id}.sealed").read_bytes()
        with self.keys.key_of(id) as key:
            return b"".join(
                map(bytes, stream.pieces(io.BytesIO(content), key=key.reveal(), associated=id.encode()))
            )

    def fatal(self) -> list[str]:
        """Why nothing may be destroyed at the location now."""
        return [found.message for found in self.shelf.store.check(self.criteria) if found.fatal]

    def objects(self, state: ObjectState | None = None) -> list[SealedObject]:
        found = self.keys.objects(record_type=self.criteria.record_type.id, location=self.shelf.location.name)
        return [one for one in found if state is None or one.state is state]
