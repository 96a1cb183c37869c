"""What people do wrong, and what happens meanwhile: a clear message at the field, nothing typed is lost, nothing is half done."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from console.web import typed
from console.web.pages.events import harmless
from retention.schedule import ApprovalKind
from storage.ledger.cases import Case, Part, new_case_id
from storage.ledger.ledger import Ledger
from tests.console.library import POLICIES
from tests.storage.desk import part
from tests.web.house import PASSWORD, House

DENVER = ZoneInfo("America/Denver")
HOLD = {
    "number": "2025-17", "kind": "subpoena", "authority": "District Court", "record_types": "past-checkouts", "subjects": "101\n102",
    "do": "place",
}  # fmt: skip
PDF = b"%PDF-1.7\nSubpoena\n"


def opened(house: House, ledger: Ledger | None = None) -> Case:
    """A case that waits for two people."""
    at, ledger = house.clock(), ledger or house.ledger
    survey = {
        "due": 3,
        "population": 9,
        "kept": {"no-trigger": 2},
        "oldest": None,
        "newest": None,
        "past_maximum": 0,
    }
    return ledger.cases.open(
        id=new_case_id(at), record_type="vendor-exports", on=at.date(), schedule=(house.desk.schedule.digest, "1", POLICIES),
        manifest_digest="d1" * 32, parts=(named("agency"),), approval_kind=ApprovalKind.TWO_PERSON, survey={"agency": survey},
        brakes={}, actor="test", epoch=0, at=at,
    )  # fmt: skip


def named(location: str) -> Part:
    return replace(part(3), location=location, store="exports")


def signature(house: House, client: httpx.Client, path: str, name: str) -> dict[str, str]:
    """The form that signs what waits at a path."""
    statement = client.get(f"{path}/statement").content
    return {"signature": base64.b64encode(house.people[name].key.sign(statement)).decode()}


def approving(house: House, client: httpx.Client, case: Case, records: str = "3") -> httpx.Response:
    """Approve what the page shows."""
    page = client.get(f"/cases/{case.id}").text
    seen = re.search(r'name="seen" value="([^"]+)"', page)
    assert seen is not None
    return client.post(f"/cases/{case.id}/approve", data={"records": records, "seen": seen[1]})


def test_a_form_sent_twice_does_nothing_the_second_time(house: House) -> None:
    case = opened(house)
    with house.client("director") as client:
        path = approving(house, client, case).headers["location"]
        form = signature(house, client, path, "director")
        answers = [client.post(path, data=form) for _ in range(3)]
    assert {answer.headers["location"] for answer in answers} == {f"/cases/{case.id}"}
    assert len(house.ledger.people.decisions(case.id)) == 1


def test_a_page_that_is_out_of_date_says_what_changed_and_does_nothing(house: House) -> None:
    case = opened(house)
    with house.client("director") as client, house.client("deputy") as other:
        path = approving(house, client, case).headers["location"]
        form = signature(house, client, path, "director")
        placed = other.post("/holds/new", data=HOLD)
        assert placed.status_code == 403, "a second custodian begins nothing"
        with house.client("director") as again:
            hold = again.post("/holds/new", data={**HOLD, "record_types": "vendor-exports"}).headers[
                "location"
            ]
            assert again.post(hold, data=signature(house, again, hold, "director")).status_code == 303
        stale = client.post(path, data=form)
    assert stale.status_code == 422
    assert "no longer as it was when you looked" in stale.text
    assert house.ledger.people.decisions(case.id) == []


def test_two_approvers_at_once_both_count_and_one_person_counts_once(house: House) -> None:
    case = opened(house)
    with house.client("director") as one, house.client("director") as same, house.client("deputy") as other:
        ways = [
            (client, approving(house, client, case).headers.get("location")) for client in (one, same, other)
        ]
        names = ("director", "director", "deputy")
        forms = [
            signature(house, client, path, name)
            for (client, path), name in zip(ways, names, strict=True)
            if path
        ]
        statuses = [
            client.post(path, data=form).status_code for (client, path), form in zip(ways, forms, strict=True)
        ]
    assert statuses == [303, 422, 303]
    assert sorted(decision.person for decision in house.ledger.people.decisions(case.id)) == [
        "deputy",
        "director",
    ]


def test_somebody_elses_signature_and_a_wrong_one_are_refused(house: House) -> None:
    case = opened(house)
    with house.client("director") as client:
        path = approving(house, client, case).headers["location"]
        for name in ("deputy", "auditor"):
            assert client.post(path, data=signature(house, client, path, name)).status_code == 422
        for text in ("", "nonsense!", "YQ=="):
            answer = client.post(path, data={"signature": text})
            assert answer.status_code == 422
            assert 'id="signature-error"' in answer.text
        with house.client("deputy") as other:
            assert other.get(path).status_code == 404
    assert house.ledger.people.decisions(case.id) == []


def test_what_was_typed_when_the_session_ended_is_there_after_signing_in(house: House) -> None:
    with house.client("director") as client:
        house.clock.ahead += timedelta(minutes=31)
        form = {**HOLD, "page": "/holds/new", "number": "zqcanary <script>alert(1)</script>"}
        sent = client.post("/holds/new", data=form)
        assert sent.status_code == 303
        draft = sent.headers["location"].partition("draft=")[2]
        assert draft
        with house.client("deputy") as other:
            assert "zqcanary" not in other.get(f"/holds/new?draft={draft}").text
        back = client.post("/sign-in", data={"name": "director", "password": PASSWORD, "draft": draft})
        assert back.headers["location"] == f"/holds/new?draft={draft}"
        page = client.get(back.headers["location"]).text
    assert "zqcanary &lt;script&gt;" in page
    assert "<script>alert" not in page
    assert ">101\n102</textarea>" in page
    assert house.ledger.connection.path is not None
    assert b"zqcanary" not in house.ledger.connection.path.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("order.pdf", b"MZ\x90\x00", "not a document of a kind"),
        ("order.pdf", b"", "empty"),
        ("order.pdf", b"%PDF-" + b"x" * (100 * 1024 * 1024), "too large"),
    ],
)
def test_a_document_that_cannot_be_taken_is_named_at_its_field_and_nothing_typed_is_lost(
    house: House, name: str, content: bytes, told: str
) -> None:
    with house.client("director") as client:
        answer = client.post("/holds/new", data=HOLD, files={"document": (name, content)})
    assert answer.status_code == 422
    error = re.search(r'id="document-error">([^<]+)<', answer.text)
    assert error is not None
    assert told in error[1]
    assert 'value="2025-17"' in answer.text
    assert house.ledger.holds.list() == []


def test_a_document_chosen_before_the_preview_goes_with_the_hold_and_with_nobody_elses(house: House) -> None:
    """A browser never fills in a file twice: a subpoena chosen before the preview, or beside a mistake, must not be lost unseen."""
    given = {"document": ("subpoena <i>.pdf", PDF)}
    with house.client("director") as client:
        wrong = client.post("/holds/new", data={**HOLD, "since": "2026-02-31"}, files=given)
        asked = client.post("/holds/new", data={**HOLD, "do": "preview"}, files=given)
        shown = client.get(asked.headers["location"])
        drafts = [re.search(r'name="given" value="([^"]+)"', page.text) for page in (wrong, shown)]
        for page, draft in zip((wrong, shown), drafts, strict=True):
            assert "You chose subpoena &lt;i&gt;.pdf" in page.text
            assert draft is not None
            sign = client.post("/holds/new", data={**HOLD, "given": draft[1]}).headers["location"]
            assert hashlib.sha256(PDF).hexdigest() in client.get(sign).text
            with house.client("counsel") as other:
                theirs = other.post("/holds/request", data={**HOLD, "given": draft[1]})
                assert (theirs.status_code, "Choose it again" in theirs.text) == (422, True)
    assert house.ledger.holds.list() == []


def test_a_holds_page_tells_times_on_the_librarys_clock_and_record_types_by_their_titles(
    house: House,
) -> None:
    with house.client("director") as client:
        form = {**HOLD, "since": "2026-01-15 02:30", "until": "2026-07-15"}
        sign = client.get(client.post("/holds/new", data=form).headers["location"]).text
    told = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", sign))
    assert told["Keeps record types"] == "Past checkouts"
    assert told["Keeps patrons"] == "2 patrons"
    assert told["Keeps from"] == "15 January 2026, 02:30 MST"
    assert told["Keeps until"] == "15 July 2026, 23:59:59 MDT"


def test_names_with_markup_are_shown_as_they_are(house: House) -> None:
    evil = "<img src=x onerror=alert(1)> & “Co.”"
    with house.client("director") as client:
        path = client.post("/holds/new", data={**HOLD, "authority": evil}).headers["location"]
        page = client.get(path).text
    assert "<img" not in page
    assert html.escape(evil, quote=False) in page.replace("&#34;", '"').replace("&#39;", "'")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2025-03-09 02:30", "skipped this time"),
        ("2025-11-02 01:30", "showed this time twice"),
        ("yesterday", "not a time"),
        ("2025-13-01 10:00", "not a time"),
        ("0001-01-01 00:00+14:00", "out of range"),
    ],
)
def test_a_time_that_does_not_exist_or_exists_twice_is_asked_again(
    house: House, text: str, told: str
) -> None:
    with house.client("director") as client:
        answer = client.post("/holds/new", data={**HOLD, "since": text})
    assert answer.status_code == 422
    error = re.search(r'id="since-error">([^<]+)<', answer.text)
    assert error is not None
    assert told in error[1]


def test_a_time_that_was_shown_twice_is_taken_with_its_offset() -> None:
    first = typed.moment("2025-11-02 01:30-06:00", DENVER)
    assert first == datetime(2025, 11, 2, 7, 30, tzinfo=UTC)
    assert typed.moment("2025-06-02 14:30", DENVER) == datetime(2025, 6, 2, 20, 30, tzinfo=UTC)
    assert typed.day("2025-06-02") == date(2025, 6, 2)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_cell_of_a_download_is_a_formula(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert harmless("C20250602-1") == "C20250602-1"
