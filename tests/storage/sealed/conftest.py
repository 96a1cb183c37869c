"""Real key stores on SQLite, with a root in a file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from storage.keys.keystore import KeyStore
from storage.keys.roots.local import LocalRoot
from storage.keys.roots.root import RootKind, Roots
from tests.storage.files.shelf import NOW
from tests.storage.sql.conftest import database, mariadb_database, postgresql_database, sqlite_database

__all__ = ["database", "mariadb_database", "postgresql_database", "sqlite_database"]
"""Fixtures of the database stores, used here too."""


def open_keys(folder: Path) -> KeyStore:
    """The key store in a folder; empty when there is none yet."""
    folder.mkdir(exist_ok=True)
    roots = Roots(chosen=RootKind.LOCAL, known={RootKind.LOCAL: LocalRoot(folder / "roots")})
    return KeyStore(f"sqlite:///{folder / 'keys.db'}", roots, backups=folder / "backups")


@pytest.fixture(scope="session")
def new_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key store as it is made, to be copied: making one runs every migration."""
    folder = tmp_path_factory.mktemp("new") / "keys"
    store = open_keys(folder)
    store.upgrade(at=NOW)
    store.close()
    return folder


@pytest.fixture
def keys_at(new_keys: Path) -> Iterator[Callable[[Path], KeyStore]]:
    """A key store in the folder given, as many as a test asks for."""
    with ExitStack() as stack:

        def made(folder: Path) -> KeyStore:
            shutil.copytree(new_keys, folder)
            store = open_keys(folder)
            stack.callback(store.close)
            return store

        yield made


@pytest.fixture
def keys(keys_at: Callable[[Path], KeyStore], tmp_path: Path) -> KeyStore:
    return keys_at(tmp_path / "key store")
