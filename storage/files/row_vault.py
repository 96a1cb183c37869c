"""Copies of live rows in the evidence vault: staff go on editing a row that a hold keeps, and what stood in it has to stay.

A copy is one version of one row with what hangs on it (`storage.row_copy`), in a file of its own: a row that was edited is a further
file, one that was not is not written again, and nothing is ever overwritten. The name is a keyed digest of the content: it tells
neither row, patron nor hold, nor how many holds there are. Each is written aside, made to last, read back and compared, then named;
what a killed pass left is swept by the next one. Nothing here destroys a copy: it is a record like another, kept by every hold in whose
scope it lies, and goes through the choke point.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retention.errors import StoreUnavailable
from retention.holds import Hold
from storage.files.lines import from_text
from storage.files.tree import unavailable
from storage.files.vault import APPEND, INDEX, MARK, NEW, UNFINISHED, digest_of, line_of, opened, synchronise

NAMING = ".naming.key"
"""File with the key that copies are named by. Without it a new one is made, and every row copied once more."""
TAKEN = ".taken"
"""File with the snapshots that were copied whole, each as a keyed digest."""
_KEY_BYTES = 32
_UNNAMED, _NAMED = 0o600, 0o400
"""Mode of a copy until the index names it, and from then on."""


def keep(
    copies: Callable[[Sequence[Hold]], Iterable[Sequence[bytes]]], holds: Sequence[Hold], *, vault: Path, below: str, now: datetime
) -> int:  # fmt: skip
    """Write what is not in the vault yet of ``copies(holds)``, at ``below``, as old as ``now``. Returns how much. May be killed and
    called again. A snapshot is copied whole once; later versions of its rows are not its own.

    Asks for the vault even where there is nothing to copy: whether one is missing must not tell whether anything is held.
    Raises `StoreUnavailable`; what was written until then stays, whole.
    """
    done = 0
    with opened(vault) as index:
        try:
            key = _key(vault)
            shelf = _Shelf(vault=vault, below=below, key=key, index=index, now=now)
            marks = {
                hold.id: hmac.digest(key, f"{below} {hold.id} {hold.epoch}".encode(), "sha256").hex()
                for hold in holds
                if hold.existing_by is not None
            }
            taken = _taken(vault)
            for some in copies([hold for hold in holds if marks.get(hold.id) not in taken]):
                done += shelf.keep(some)
            _note_taken(vault, sorted({*marks.values()} - taken))
        except OSError as error:
            raise unavailable(error.errno, "the vault") from None
    return done


def _taken(vault: Path) -> set[str]:
    """Keyed digests of the snapshots that were copied whole."""
    try:
        return set((vault / TAKEN).read_text(encoding="ascii").split())
    except FileNotFoundError:
        return set()


def _note_taken(vault: Path, marks: Sequence[str]) -> None:
    """Made even with nothing to note: that it is there tells nothing."""
    descriptor = os.open(vault / TAKEN, APPEND, 0o600)
    try:
        os.write(descriptor, "".join(f"{mark}\n" for mark in marks).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, kw_only=True)
class _Shelf:
    """The copies of one location. ``index``: the descriptor of the vault's index, which is locked."""

    vault: Path
    below: str
    key: bytes
    index: int
    now: datetime

    def keep(self, some: Sequence[bytes]) -> int:
        """Some copies at once: written, made to last together, then named in the index. Raises ``OSError``."""
        written = 0
        lines, unnamed, touched = [], [], {self.vault / self.below}
        for content in some:
            name = hmac.digest(self.key, content, "sha256").hex()
            path = f"{self.below}/{name[:2]}/{name}.jsonl"
            target = self.vault / path
            mode = _mode(target)
            if mode == _NAMED:
                continue
            if mode is None:
                _write(content, target, self.vault / UNFINISHED, self.now)
                written += 1
            touched.add(target.parent)
            unnamed.append(target)
            lines.append(line_of(path, len(content), hashlib.sha256(content).hexdigest()))
        if unnamed:
            for folder in sorted(touched):
                synchronise(folder)
            os.write(self.index, b"".join(lines))
            os.fsync(self.index)
            for target in unnamed:
                target.chmod(_NAMED)
        return written


def _mode(path: Path) -> int | None:
    try:
        return path.lstat().st_mode & 0o777
    except FileNotFoundError:
        return None


def _write(content: bytes, target: Path, unfinished: Path, now: datetime) -> None:
    partial = unfinished / secrets.token_hex(8)
    moment = round(now.timestamp() * 1e6) * 1000
    descriptor = os.open(partial, NEW, _UNNAMED)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.utime(descriptor, ns=(moment, moment))
        os.fsync(descriptor)
        if digest_of(descriptor) != hashlib.sha256(content).hexdigest():
            raise StoreUnavailable("the vault gives back other bytes than it was given", "replace its disk")
        target.parent.mkdir(exist_ok=True, mode=0o700)
        partial.rename(target)
    finally:
        os.close(descriptor)
        with suppress(OSError):
            partial.unlink(missing_ok=True)  # gone under its name by now, or not to be one


def _key(vault: Path) -> bytes:
    """Called with the vault locked."""
    path = vault / NAMING
    with suppress(FileNotFoundError):
        return path.read_bytes()
    partial = vault / UNFINISHED / NAMING
    with os.fdopen(os.open(partial, NEW, 0o600), "wb") as file:
        file.write(secrets.token_bytes(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    synchronise(vault)
    return path.read_bytes()


@dataclass(kw_only=True)
class Condition:
    """How the copies of a vault are. ``missing``: not there, and not gone through the choke point. ``changed``: not what was copied."""

    copies: int = 0
    missing: int = 0
    changed: int = 0
    unreadable: int = 0
    """Lines of the index that are none."""

    @property
    def sound(self) -> bool:
        return not (self.missing or self.changed or self.unreadable)


def examine(vault: Path) -> Condition:
    """Read every copy of a row back and compare; of footage, that it is there and as long. Raises `StoreUnavailable`."""
    if not (vault / MARK).exists():
        raise StoreUnavailable(
            "the vault is not there",
            "see whether its disk is mounted; a new one is made by: retention db upgrade",
        )
    found = Condition()
    expected: dict[str, tuple[int, str] | None] = {}
    try:
        with (vault / INDEX).open("rb") as index:
            for line in index:
                try:
                    said = json.loads(line)
                    path = from_text(said["path"])
                    expected[path] = None if "gone" in said else (said["size"], said["sha256"])
                except (ValueError, KeyError, TypeError):
                    found.unreadable += 1
    except FileNotFoundError:
        return found
    except OSError as error:
        raise unavailable(error.errno, "the vault") from None
    for path, wanted in expected.items():
        if wanted is not None:
            _examine_one(vault / path, *wanted, found)
    return found


def _examine_one(path: Path, size: int, digest: str, found: Condition) -> None:
    found.copies += 1
    try:
        if path.suffix != ".jsonl":
            found.changed += path.lstat().st_size != size
            return
        with path.open("rb") as file:
            found.changed += digest_of(file.fileno()) != digest
    except FileNotFoundError:
        found.missing += 1
    except OSError as error:
        raise unavailable(error.errno, "the vault") from None
