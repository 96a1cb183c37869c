"""Whatever the document of the pages allows, and what it does not: no server error. Bounded examples, as each role in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok

from tests.web.house import House
from tests.web.house import house as make_house

EXAMPLES = 6


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with make_house(tmp_path_factory.mktemp("schema")) as made:
        yield made


@pytest.mark.slow
def test_nothing_that_can_be_sent_is_a_server_error(open_house: House) -> None:
    with open_house.client("director") as director, open_house.client("administrator") as administrator:
        schema = schemathesis.openapi.from_dict(director.get("/openapi.json").json())
        operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
        assert len(operations) > 20
        seen: set[int] = set()
        for operation in operations:
            if operation.path in ("/sign-out", "/account/password", "/account/sessions"):
                continue

            @given(case=operation.as_strategy())
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                derandomize=True,
            )
            def ask(case: Any) -> None:
                client = administrator if case.path.startswith("/people") else director
                sent = case.as_transport_kwargs(base_url=open_house.origin)
                sent["headers"] = {**dict(sent.get("headers") or {}), "Origin": open_house.origin}
                sent.pop("cookies", None)
                try:
                    answer = client.request(**sent)
                except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError):
                    return  # nothing that a client can send
                seen.add(answer.status_code)
                assert answer.status_code < 500, (case.method, case.path, answer.status_code)

            ask()
    assert {200, 303, 404, 422} <= seen
    assert not open_house.desk.errors.exists()
