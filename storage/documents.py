"""Documents served and given for holds: kept encrypted in a folder of the state directory, found by their digest.

The file's name is a keyed digest: whoever has a document cannot tell from the folder whether it was served here. A file is
never changed; the same document twice is one file.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
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
        if path.exists():
            return digest
        sealed = self._sealer.seal(content, _row(digest))
        draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            _make_durable(self._folder)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise LedgerUnavailable(
                f"{self._folder}: {error.strerror}", "the document must be kept before the hold is"
            ) from None
        return digest

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

    def _path(self, digest: str) -> Path:
        return self._folder / f"{self._sealer.mark('document', digest)}.sealed"


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _row(digest: str) -> str:
    return f"D:{digest}"
