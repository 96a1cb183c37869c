from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.house import House
from tests.web.house import house as make_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with make_house(tmp_path) as made:
        yield made
