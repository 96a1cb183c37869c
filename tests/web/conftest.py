from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.conftest import running
from tests.web.browser import chromium
from tests.web.house import House
from tests.web.house import house as make_house
from tests.web.site import Standing, standing


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with make_house(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """One site for a module: its tests tell one story, or only look."""
    with pytest.MonkeyPatch.context() as patch, standing(tmp_path_factory.mktemp("site"), patch) as made:
        yield made


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with ExitStack() as stack:
        yield running(chromium(), stack)
