"""Documents served and given for holds: kept encrypted in a folder of the state directory, found by their digest.

The file's name is a keyed digest: whoever has a document cannot tell from the folder whether it was served here. A file is
never changed; the same document twice is one file. It is kept before its hold is signed: what no hold came to have goes again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from retention.errors import LedgerUnavailable, UsageError
from storage.ledger.sealing import Sealer

MOST_BYTES = 64 * 1024 * 1024
"""Largest document: it is sealed in one piece."""


class Documents:
    def __init__(self, folder: Path, sealer: Sealer) -> None:
        self._folder = folder
        self._sealer = sealer

    def keep(self, content: bytes) -> str:
        """Keep a document, durable. Returns its SHA-256 (hex). Raises `UsageError` for an empty or too large one, `LedgerUnavailable`."""
        if not content.strip():
            raise UsageError("the document is empty", "give the document as it was received")
        if len(content) > MOST_BYTES:
            raise UsageError(
                f"the document has more than {MOST_BYTES // 1024**2} MiB", "give a smaller copy of it"
            )
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._alone() as folder:
                if path.exists():
                    os.utime(path)  # young again: whoever gives it now has yet to sign
                    return digest
                sealed = self._sealer.seal(content, _row(digest))
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(sealed)
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(path)
                os.fsync(folder)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise LedgerUnavailable(
                f"{self._folder}: {error.strerror}", "the document must be kept before the hold is"
            ) from None
        return digest

    def forget(self, *, but: Collection[str], before: datetime) -> int:
        """Delete what was given before then and never came to belong to a hold. Returns how many. Raises `LedgerUnavailable`.

        ``but``: the digests of every document of the ledger, read after ``before``.
        """
        kept = {self._path(digest).name for digest in but}
        count = 0
        try:
            if not self._folder.exists():
                return 0
            with self._alone():
                for path in self._folder.iterdir():
                    if path.name not in kept and path.stat().st_mtime < before.timestamp():
                        path.unlink()
                        count += 1
        except OSError as error:
            raise LedgerUnavailable(f"{self._folder}: {error.strerror}", "look at the state folder") from None
        return count

    def open(self, digest: str) -> bytes:
        """A document again. Raises `UsageError` when it was never kept here, `LedgerUnavailable` when it is not readable or not what it was."""
        try:
            sealed = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise UsageError(
                f"document {digest[:16]} is not kept here", "holds of earlier versions kept digests only"
            ) from None
        except OSError as error:
            raise LedgerUnavailable(
                f"document {digest[:16]}: {error.strerror}", "look at the state folder"
            ) from None
        content = self._sealer.open(sealed, _row(digest))
        if hashlib.sha256(content).hexdigest() != digest:
            raise LedgerUnavailable(
                f"document {digest[:16]} is not what it was", "restore the state folder from its backup"
            )
        return content

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """The folder's descriptor, locked: nothing is given again while it is looked at whether it may go."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{self._sealer.mark('document', digest)}.sealed"


def _row(digest: str) -> str:
    return f"D:{digest}"
