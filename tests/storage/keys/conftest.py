"""A key store on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.keys.vault import Vault
from tests.storage.keys.vault import vault as opened


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Vault]:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    with opened(tmp_path, url) as made:
        yield made


@pytest.fixture
def sqlite_vault(tmp_path: Path) -> Iterator[Vault]:
    """For what does not depend on the engine."""
    with opened(tmp_path) as made:
        yield made
