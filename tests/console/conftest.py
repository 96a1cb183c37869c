"""A fresh library for every test, and a shell whose settings are that library's."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.console.library import NOW, Library, build

SET_UP = datetime(2025, 1, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State and keys of a new site (``new``) and of one with two custodians (``staffed``), made once and copied."""
    root = tmp_path_factory.mktemp("furnished")
    library = build(root)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in library.settings().items():
            patch.setenv(name, value)
        # Set up long ago: a command with the real clock may run in it, too.
        library.now = SET_UP
        library.done("db", "upgrade")
        library.now = NOW
        shutil.copytree(library.state, root / "new" / "state")
        library.add_people("ada", "bela")
        shutil.copytree(library.state, root / "staffed" / "state")
        shutil.copytree(root / "keys", root / "staffed" / "keys")
    return root


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A library before its first ``db upgrade``."""
    library = build(tmp_path)
    for name, value in library.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return library


@pytest.fixture
def library(bare: Library, furnished: Path) -> Library:
    """A library with a ledger."""
    shutil.copytree(furnished / "new", bare.root, dirs_exist_ok=True)
    return bare


@pytest.fixture
def staffed(bare: Library, furnished: Path) -> Library:
    """A library with two custodians, ada and bela."""
    shutil.copytree(furnished / "staffed", bare.root, dirs_exist_ok=True)
    return bare
