"""Backups of the key store: one SQLite file each, whatever the store lives in; and putting one back.

A backup holds wraps and no root: it opens nothing by itself, and nothing at all once its root has been rotated away.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, func, insert, select

from retention.errors import KeyStoreUnavailable, Refused, UsageError
from storage.keys import tables
from storage.keys.database import KeyDatabase
from storage.spool import make_durable

KEPT = 14
"""Backups kept in the folder; older ones open nothing any more and are removed."""
_ROWS = 5000


def make(db: KeyDatabase, folder: Path, name: str) -> Path:
    """A backup under that name, durable, readable by its owner only; in place of one that is there. Raises `KeyStoreUnavailable`."""
    path, draft = folder / name, folder / f".{name}"
    with _disk(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        if db.sqlite:
            _copy_sqlite(db, draft)
        else:
            _dump(db, draft)
        _as_one_file(draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.rename(path)
        make_durable(folder)
    return path


def listed(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("keys-*.db"), reverse=True)


def prune(folder: Path) -> None:
    with _disk(folder):
        for path in listed(folder)[KEPT:]:
            path.unlink()


@contextmanager
def aside(backup: Path, folder: Path) -> Iterator[KeyDatabase]:
    """The backup as a key store of its own, on a copy in a private folder, removed afterwards. The backup itself is not touched."""
    copy = folder / "restored.db"
    with _disk(folder):
        os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        copy.write_bytes(backup.read_bytes())
    db = KeyDatabase(f"sqlite:///{copy.absolute()}")
    try:
        db.require_current()
        yield db
    finally:
        db.close()


def restore(backup: Path, db: KeyDatabase, scratch: Path) -> int:
    """Put a backup's content into an empty key store. How many rows. Raises `Refused` when there is something in it."""
    if not backup.is_file():
        raise UsageError(f"{backup} is not there", "name a file of the backups folder")
    with aside(backup, scratch) as source, source.reading() as read, db.writing() as write:
        for table in tables.metadata.sorted_tables:
            if write.execute(select(func.count()).select_from(table)).scalar():
                raise Refused(
                    "the key store is not empty: it is not overwritten", "move it away first (docs/keys.md)"
                )
        return _copy(read, write)


def _copy_sqlite(db: KeyDatabase, draft: Path) -> None:
    """SQLite's online backup: a consistent snapshot beside writers."""
    with db.answering(), db.engine.connect() as connection, closing(sqlite3.connect(draft)) as target:
        raw = connection.connection.driver_connection
        if not isinstance(raw, sqlite3.Connection):
            raise TypeError("not SQLite")
        raw.backup(target)


def _dump(db: KeyDatabase, draft: Path) -> None:
    target = KeyDatabase(f"sqlite:///{draft.absolute()}")
    try:
        target.upgrade()
        with db.reading() as read, target.writing() as write:
            _copy(read, write)
    finally:
        target.close()


def _copy(read: Connection, write: Connection) -> int:
    count = 0
    for table in tables.metadata.sorted_tables:
        rows = read.execution_options(yield_per=_ROWS).execute(select(table))
        for part in rows.partitions():
            write.execute(insert(table), [dict(row._mapping) for row in part])
            count += len(part)
        if table.autoincrement_column is not None and write.dialect.name == "postgresql":
            # Rows that bring their number with them do not move PostgreSQL's own counter.
            newest = select(func.max(table.autoincrement_column)).scalar_subquery()
            counter = func.pg_get_serial_sequence(table.name, table.autoincrement_column.name)
            write.execute(select(func.setval(counter, func.coalesce(newest, 1))))
    return count


def _as_one_file(draft: Path) -> None:
    """Without a log beside it: a backup is one file, to be carried away as such."""
    with closing(sqlite3.connect(draft)) as connection:
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA journal_mode=DELETE")


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        told = os.strerror(error.errno or 0)
    except sqlite3.Error as error:
        told = type(error).__name__
    else:
        return
    raise KeyStoreUnavailable(
        f"a backup of the key store cannot be read or written in {folder}: {told}",
        "make room, or look at the rights of the folder, and run it again: nothing was lost",
    )
