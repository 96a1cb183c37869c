"""The private spool of cases: frozen manifests and the evidence key, beside the ledger, mode 0600.

A manifest holds the keys of records, so it never goes into the ledger; the ledger has its digest, and so has the certificate. The
digest is keyed with the case's evidence key: of a case with one record, a plain one would tell the record to whoever tries all
card numbers. It is durable before its case is opened, and removed when the case has ended. What a crash left behind is swept up before the next case is opened.
Refuses to remove the folder of a case that may be open: only `Spool.sweep` looks for leftovers, and it asks the ledger.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from retention.errors import LedgerUnavailable, UsageError, VerificationFailed
from storage.ledger.cases import Case, CaseState, Part

EVIDENCE_KEY_BYTES = 32
_CASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_OPENED = "opened"
"""A file in the folder of a case that is in the ledger: such a folder is never taken for a leftover."""


@contextmanager
def _disk() -> Iterator[None]:
    """A disk that fails is an error of ours; no path of a record is in it, only case ids are."""
    try:
        yield
    except OSError as error:
        raise LedgerUnavailable(
            f"the spool of cases cannot be read or written: {os.strerror(error.errno or 0)}",
            "see whether its disk is full or in order, and whether this user may write there",
        ) from None


def make_durable(folder: Path) -> None:
    """fsync a folder, so that names made or removed in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_private(path: Path) -> BinaryIO:
    """A new file that only its owner may read, open for writing. Raises ``FileExistsError`` rather than replace one."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _digesting(key: bytes) -> hmac.HMAC:
    """The digest of a manifest, to be fed."""
    return hmac.new(hmac.digest(key, b"manifest", "sha256"), digestmod="sha256")


class ManifestWriter:
    """Writes one part's lines, counting and digesting them. Use as a context manager; durable when it ends well."""

    def __init__(self, path: Path | None, key: bytes = b"") -> None:
        self._path = path
        with _disk():
            self._file = None if path is None else create_private(path)
        self._digest = _digesting(key)
        self.items = 0
        self.length = 0

    def write(self, lines: bytes) -> None:
        """Whole lines. Raises `LedgerUnavailable` when the disk is full."""
        self._digest.update(lines)
        self.items += lines.count(b"\n")
        self.length += len(lines)
        if self._file is not None:
            with _disk():
                self._file.write(lines)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def __enter__(self) -> ManifestWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None or self._path is None:
            return
        if kind is not None:
            with suppress(OSError):
                self._file.close()
            return
        with _disk(), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
            make_durable(self._path.parent)


class Spool:
    """Case folders below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, case_id: str) -> Path:
        """Make the folder of a new case with a fresh evidence key. Raises `LedgerUnavailable`."""
        folder = self._folder(case_id)
        with _disk():
            self._make_root()
            folder.mkdir(mode=0o700)
            with create_private(folder / "evidence.key") as file:
                file.write(secrets.token_bytes(EVIDENCE_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            make_durable(folder)
            make_durable(self.root)
        return folder

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Around everything between `create` and the case's entry in the ledger: nobody sweeps meanwhile."""
        with _disk():
            lock = self._open_root()
        try:
            with _disk():
                fcntl.flock(lock, fcntl.LOCK_SH)
            yield
        finally:
            os.close(lock)

    def mark_opened(self, case_id: str) -> None:
        """The case is in the ledger."""
        with _disk():
            (self._folder(case_id) / _OPENED).touch(mode=0o600)
            make_durable(self._folder(case_id))

    def sweep(self, state: Callable[[str], CaseState | None]) -> None:
        """Remove what a crash left behind: folders of cases that were never opened, manifests of cases that have ended.

        ``state``: what the ledger says of a case, ``None`` when it knows of none. While somebody opens a case nothing is done.
        """
        with _disk():
            lock = self._open_root()
        try:
            with _disk():
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                names = sorted(path.name for path in self.root.iterdir() if _CASE_ID.fullmatch(path.name))
            for name in names:
                self._sweep_one(name, state)
        finally:
            os.close(lock)

    def _sweep_one(self, case_id: str, state: Callable[[str], CaseState | None]) -> None:
        folder = self._folder(case_id)
        with _disk():
            marked = (folder / _OPENED).exists()
            if marked and next(folder.glob("*.lines"), None) is None:
                return
        known = state(case_id)
        if known is None:
            if not marked:
                self.discard(case_id)
        elif known is CaseState.CLOSED:
            self.drop_manifests(case_id)
        elif known is not CaseState.STARTED:
            self.discard(case_id)

    def writer(self, case_id: str | None, part: int) -> ManifestWriter:
        """A writer for a part of a case; without a case it only counts and digests (a dry run)."""
        if case_id is None:
            return ManifestWriter(None)
        return ManifestWriter(self._manifest(case_id, part), self.evidence_key(case_id))

    def evidence_key(self, case_id: str) -> bytes:
        """The secret from which the salts of the case's leaves come. Raises `LedgerUnavailable` when it is gone."""
        try:
            key = (self._folder(case_id) / "evidence.key").read_bytes()
        except OSError:
            key = b""
        if len(key) != EVIDENCE_KEY_BYTES:
            raise LedgerUnavailable(
                f"the evidence key of case {case_id} is gone", "restore the spool folder from its backup"
            )
        return key

    def has_evidence_key(self, case_id: str) -> bool:
        """Whether single records of the case can still be opened."""
        return (self._folder(case_id) / "evidence.key").is_file()

    def with_evidence_key(self) -> list[str]:
        """The cases whose key still lives."""
        with _disk():
            paths = list(self.root.glob("*/evidence.key"))
        return sorted(path.parent.name for path in paths if _CASE_ID.fullmatch(path.parent.name))

    def drop_evidence_key(self, case_id: str) -> None:
        """End the key's life. The file system, and backups of the spool, may keep it longer: docs/certificate.md says so."""
        folder = self._folder(case_id)
        with _disk():
            (folder / "evidence.key").unlink(missing_ok=True)
            make_durable(folder)

    def verify(self, case: Case) -> None:
        """The manifests are still those the ledger knows. Raises `VerificationFailed`."""
        key = self.evidence_key(case.id)
        for part in case.parts:
            digest = _digesting(key)
            with self.open(case.id, part) as file:
                while block := file.read(1 << 20):
                    digest.update(block)
            if digest.hexdigest() != part.digest:
                raise VerificationFailed(
                    f"the manifest of case {case.id} ({part.location}) is not the one that was frozen",
                    f"return the case: retention case return {case.id}",
                )

    @contextmanager
    def open(self, case_id: str, part: Part) -> Iterator[Manifest]:
        """A part's manifest for reading. Raises `LedgerUnavailable` when it is gone."""
        try:
            manifest = Manifest(self._manifest(case_id, part.number))
        except OSError:
            raise LedgerUnavailable(
                f"the manifest of case {case_id} ({part.location}) is gone",
                "restore the spool folder from its backup",
            ) from None
        try:
            yield manifest
        finally:
            manifest.close()

    def drop_manifests(self, case_id: str) -> None:
        """Remove the frozen manifests of an ended case; the evidence key stays for the certificate's later states."""
        folder = self._folder(case_id)
        with _disk():
            for path in folder.glob("*.lines"):
                path.unlink(missing_ok=True)
            if folder.exists():
                make_durable(folder)

    def discard(self, case_id: str) -> None:
        """Remove the folder of a case that was never opened or certified nothing. What cannot be removed is swept up later."""
        folder = self._folder(case_id)
        with suppress(OSError):
            (folder / _OPENED).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def _manifest(self, case_id: str, part: int) -> Path:
        return self._folder(case_id) / f"part-{part}.lines"

    def _folder(self, case_id: str) -> Path:
        """Never the root itself or anything outside it. Raises `UsageError`."""
        if not _CASE_ID.fullmatch(case_id):
            raise UsageError("this is not the id of a case", "see: retention case list")
        return self.root / case_id

    def _make_root(self) -> None:
        if not self.root.is_dir():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            make_durable(self.root.parent)

    def _open_root(self) -> int:
        """A descriptor to lock: shared by those who open a case, exclusive for the sweep."""
        self._make_root()
        return os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


class Manifest:
    """Reads lines of a frozen manifest."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")

    def read(self, size: int) -> bytes:
        with _disk():
            return self._file.read(size)

    def lines(self, offset: int, count: int) -> tuple[list[bytes], int]:
        """Up to ``count`` lines from a byte offset, without their newlines, and the offset after them."""
        with _disk():
            self._file.seek(offset)
            lines = list(islice(self._file, count))
        return [line[:-1] for line in lines], offset + sum(map(len, lines))

    def close(self) -> None:
        self._file.close()
