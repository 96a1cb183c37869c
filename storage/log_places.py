"""Where a transparency log is published: `LogPlace`, and `FolderPlace`, a folder. A bucket is in `storage.s3.log_bucket`."""

from __future__ import annotations

import os
import shutil
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from retention.errors import Unavailable
from retention.log_files import LogFiles, LogFolder


class LogPlace(LogFiles):
    """Files of a log that may be written, by one writer at a time (`storage.log`). Every method raises `Unavailable` when the place
    does not answer: then nobody knows whether a file is missing, and none may be taken for torn."""

    @property
    @abstractmethod
    def shown(self) -> str:
        """The place, for people."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Durably, whole or not at all."""

    @abstractmethod
    def replace(self, name: str, data: bytes, before: bytes | None) -> None:
        """`write`, where the file is still ``before`` (``None``: where there is none), as far as the place can tell. Raises
        `Unavailable` when somebody else wrote it meanwhile."""

    @abstractmethod
    def drop(self, below: str) -> None:
        """Remove the files in a folder of the log. What cannot be removed stays: it is superfluous, not wrong."""


class FolderPlace(LogFolder, LogPlace):
    """A log in a folder of this machine, or one that it shares."""

    @property
    def shown(self) -> str:
        return str(self.folder)

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        partial = path.with_name(path.name + ".partial")
        with _disk():
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def replace(self, name: str, data: bytes, before: bytes | None) -> None:
        self.write(name, data)  # a folder cannot tell; one writer at a time is what keeps others out

    def drop(self, below: str) -> None:
        shutil.rmtree(self.folder / below, ignore_errors=True)


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"the log cannot be read or written: {os.strerror(error.errno or 0)}",
            "see whether its disk is full or in order; the ledger has the entries",
        ) from None
