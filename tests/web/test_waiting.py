"""The first page: what waits for whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from retention.holds import Scope
from storage.holding import PROVISIONAL
from tests.storage.desk import MATTER
from tests.web.house import Hands, House


def waiting(house: House, name: str) -> dict[str, tuple[bool, str]]:
    """What the first page tells somebody, by its path: whether it is theirs, and why it waits."""
    with house.client(name) as client:
        told: list[dict[str, Any]] = client.get("/", headers={"Accept": "application/json"}).json()["waiting"]
    return {one["path"]: (one["yours"], one["why"]) for one in told}


def test_a_hold_that_lapsed_waits_for_a_second_person_who_finds_the_button(house: House) -> None:
    holding = house.desk.holding
    scope = Scope(record_types=frozenset({"past-checkouts"}))
    placing = holding.place(scope, MATTER, house.people["director"])
    file = holding.take_effect(placing, actor="test")
    assert isinstance(house.clock, Hands)
    house.clock.ahead = PROVISIONAL
    assert holding.lapse(timedelta(days=7), actor="test") == [file.id]
    path = f"/holds/{file.id}"
    assert waiting(house, "deputy")[path][0]
    assert "in time" in waiting(house, "deputy")[path][1]
    assert not waiting(house, "director")[path][0], "whoever placed it does not confirm it"
    with house.client("deputy") as client:
        page = client.get(path).text
    assert f"{path}/confirm" in page
    with house.client("director") as client:
        assert f"{path}/cancel-release" not in client.get(path).text, "no release was approved"
