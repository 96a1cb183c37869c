"""Lists of the pages are found by an index on both engines, whatever the ledger has grown to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Select

from storage.ledger import lists
from storage.ledger.cases import CaseState
from storage.ledger.certificates import attested_query
from tests.web.house import House

BEFORE = (datetime(2025, 6, 2, tzinfo=UTC), "C20250602-00000000")
QUERIES: dict[str, Select[Any]] = {
    "cases": lists.cases_query(None, None, None, 50),
    "cases, the next page": lists.cases_query(None, None, BEFORE, 50),
    "open cases": lists.cases_query(CaseState.STARTED, None, None, 50),
    "certificates": lists.certificates_query(None, "", None, 50),
    "certificates, the next page": lists.certificates_query(None, "", BEFORE, 50),
    "certificates of a case": lists.certificates_query(None, "C20250602-00000000", None, 50),
    "certificates of media": attested_query("", None, 50),
    "certificates of media, the next page": attested_query("", BEFORE, 50),
    "the certificate of one lot": attested_query("M20250602-00000000", None, 50),
    "events": lists.events_query(None, None, 50),
    "events, the next page": lists.events_query(None, 1000, 50),
    "events about something": lists.events_query("C20250602-00000000", None, 50),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_list_is_found_by_an_index(house: House, name: str) -> None:
    query = QUERIES[name].compile(house.ledger.connection.engine, compile_kwargs={"literal_binds": True})
    with house.ledger.connection.read() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")]
    steps = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    assert steps
    assert all("INDEX" in step or "PRIMARY KEY" in step or step == "SCAN event" for step in steps), plan
    if name == "events":
        assert not any("TEMP B-TREE" in step for step in plan), "the newest are read from the end, not sorted"
