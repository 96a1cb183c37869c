"""A fresh library for every test, and a shell whose settings are that library's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.console.library import Library, build, furnish


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State and keys of a new site (``new``) and of one with two custodians (``staffed``), made once and copied."""
    return furnish(tmp_path_factory.mktemp("furnished"))


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
