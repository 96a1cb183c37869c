"""What people do with holds in the pages, without a browser: every step is rehearsed, signed, and in the ledger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from retention.holds import CounselVerification, HoldState
from retention.widening import Restriction
from storage.ledger.holds import HoldFile
from tests.web.house import PASSWORD, House
from tests.web.test_bad_input import HOLD, PDF, signature

REQUEST = {**HOLD, "kind": "verbal-request", "authority": "Police", "officer": "Dana Roe"}
DOCUMENT = {"document": ("order.pdf", PDF)}


def done(
    house: House, name: str, path: str, sent: Mapping[str, str] | None = None, *, signatures: int = 1, document: bool = False
) -> str:  # fmt: skip
    """Send a form as somebody, sign what it asks for, and come to the page that it ends at."""
    with house.client(name) as client:
        answer = client.post(path, data=sent or {}, files=DOCUMENT if document else None)
        for _ in range(signatures):
            assert answer.status_code == 303, answer.text
            where = answer.headers["location"]
            assert where.startswith("/sign/")
            assert client.get(where).status_code == 200
            answer = client.post(where, data=signature(house, client, where, name))
        assert answer.status_code == 303
        ended = answer.headers["location"]
        assert client.get(ended).status_code == 200
    return ended


def error(answer: httpx.Response, field: str) -> str:
    assert answer.status_code == 422
    found = re.search(rf'href="#{field}">([^<]+)<', answer.text)
    assert found is not None, answer.text
    return found[1]


def file(house: House, path: str) -> HoldFile:
    return house.ledger.holds.get(path.split("/")[2])


@pytest.fixture
def placed(house: House) -> str:
    """The page of a hold that the stores have confirmed."""
    path = done(house, "director", "/holds/new", HOLD)
    house.desk.holding.take_effect(file(house, path), actor="test")
    return path


def test_a_verbal_request_is_recorded_verified_and_placed_by_a_custodian(house: House) -> None:
    with house.client("director") as client:
        assert "verbal request is not placed" in error(client.post("/holds/new", data=REQUEST), "kind")
    path = done(house, "counsel", "/holds/request", {**REQUEST, "snapshot": "yes"})
    assert (file(house, path).state, file(house, path).requested_by) == (HoldState.REQUESTED, "counsel")
    with house.client("counsel") as client:
        assert "Place this hold" not in client.get(path).text
        assert path in client.get("/holds").text, "what waits for a decision is in the list"
    done(house, "counsel", f"{path}/verify", {"verdict": "verified"})
    assert file(house, path).matter.counsel is CounselVerification.VERIFIED
    done(house, "director", f"{path}/accept")
    assert (file(house, path).state, file(house, path).placed_by) == (HoldState.PLACING, "director")
    assert not file(house, path).continuing, "as it was asked for"


def test_a_request_is_declined_with_a_reason_and_never_after_counsel_rejected_it_placed(house: House) -> None:
    path = done(house, "director", "/holds/request", REQUEST)
    done(house, "counsel", f"{path}/verify", {"verdict": "rejected"})
    with house.client("director") as client:
        assert "counsel rejected" in error(client.post(f"{path}/accept"), "accept-hold").lower()
        assert "why" in error(client.post(f"{path}/decline", data={"reason": " "}), "reason")
    done(house, "director", f"{path}/decline", {"reason": "nothing in writing"})
    assert file(house, path).declined_because == "nothing in writing"
    with house.client("auditor") as client:
        assert path not in client.get("/holds").text
        assert path in client.get("/holds?released=yes").text
        assert "nothing in writing" not in client.get(path).text + client.get(f"{path}.json").text


def test_a_hold_is_widened_and_where_that_would_narrow_it_the_field_says_so(
    house: House, placed: str
) -> None:
    with house.client("director") as client:
        typed = {"cameras": "door", "subjects": "103", "since": "2025-01-01"}
        answer = client.post(f"{placed}/widen", data=typed)
        assert "would narrow it" in error(answer, "cameras")
        assert "would narrow it" in error(answer, "since")
        assert ">103</textarea>" in answer.text
        assert "Say what" in error(client.post(f"{placed}/widen", data={}), "record_types")
        both = {"subjects": "103", "lifted": Restriction.SUBJECT.value}
        assert "at once" in error(client.post(f"{placed}/widen", data=both), "subjects")
    done(house, "director", f"{placed}/widen", {"subjects": "103"})
    assert sorted(one.reveal() for one in file(house, placed).scope.subjects) == ["101", "102", "103"]
    house.desk.holding.take_effect(file(house, placed), actor="test")
    done(house, "director", f"{placed}/widen", {"lifted": "subject"})
    assert file(house, placed).scope.subjects == frozenset()
    assert file(house, placed).scope.record_types == {"past-checkouts"}


def test_a_hold_is_narrowed_by_two_signatures_and_keeps_all_the_while(house: House, placed: str) -> None:
    sent = {"record_types": "past-checkouts", "subjects": "101"}
    with house.client("director") as client:
        form = client.get(f"{placed}/narrow").text
        assert 'value="past-checkouts" checked' in form
        assert "101" not in form, "patrons' numbers are shown to nobody who did not ask for them"
        assert "document" in error(client.post(f"{placed}/narrow", data=sent), "document")
        wider = client.post(f"{placed}/narrow", data={"subjects": "101"}, files=DOCUMENT)
        assert "not within" in error(wider, "record_types")
    ended = done(house, "director", f"{placed}/narrow", sent, signatures=2, document=True)
    assert ended == placed
    narrow = next(one for one in house.ledger.holds.list() if one.id != file(house, placed).id)
    assert file(house, placed).state is HoldState.RELEASE_REQUESTED
    assert (narrow.state, narrow.matter) == (HoldState.PLACING, file(house, placed).matter)
    with house.client("auditor") as client:
        for one, other in ((placed, narrow.id), (f"/holds/{narrow.id}", file(house, placed).id)):
            assert f"/holds/{other}" in client.get(one).text


def test_whoever_signs_only_the_narrower_hold_has_both(house: House, placed: str) -> None:
    sent = {"record_types": "past-checkouts", "subjects": "101"}
    with house.client("director") as client:
        first = client.post(f"{placed}/narrow", data=sent, files=DOCUMENT).headers["location"]
        second = client.post(first, data=signature(house, client, first, "director")).headers["location"]
        assert second.startswith("/sign/")
        assert client.post(first, data=signature(house, client, first, "director")).headers["location"] == placed  # fmt: skip
    assert file(house, placed).state is HoldState.PROVISIONAL
    assert len(house.ledger.holds.list()) == 2


def test_whoever_was_told_finds_the_hold_and_acknowledges_it_without_reading_the_matter(
    house: House, placed: str
) -> None:
    with house.client("operator") as client:
        assert "told of no hold" in client.get("/holds/told").text
        assert "not among those told" in error(client.post(f"{placed}/acknowledge"), "acknowledge-hold")
    done(house, "director", f"{placed}/tell", {"told": "operator"})
    with house.client("operator") as client:
        assert f"{placed}/acknowledge" in client.get("/holds/told").text
        assert any(one["yours"] and "told" in one["why"] for one in client.get("/.json").json()["waiting"])
        waits = client.post(f"{placed}/acknowledge").headers["location"]
        assert HOLD["number"] not in client.get(waits).text
        assert client.get("/holds/told.json").json()["unacknowledged"] == [file(house, placed).id]
    done(house, "operator", f"{placed}/acknowledge")
    assert file(house, placed).unacknowledged == ()
    with house.client("operator") as client:
        assert "You acknowledged it" in client.get("/holds/told").text


def test_a_review_sets_the_next_day_and_links_go_both_ways(house: House, placed: str) -> None:
    other = done(house, "director", "/holds/new", HOLD)
    with house.client("director") as client:
        past = client.post(f"{placed}/review", data={"next_review": "2020-01-01"})
        assert "to come" in error(past, "next_review")
        assert "not a day" in error(client.post(f"{placed}/review", data={"next_review": "soon"}), "next_review")  # fmt: skip
        itself = client.post(f"{placed}/link", data={"links": file(house, placed).id})
        assert "itself" in error(itself, "links")
    on = (house.clock() + timedelta(days=30)).date()
    done(house, "director", f"{placed}/review", {"next_review": on.isoformat()})
    assert file(house, placed).review_on == on
    done(house, "director", f"{placed}/link", {"links": file(house, other).id})
    with house.client("auditor") as client:
        assert client.get(f"{other}.json").json()["hold"]["links"] == [file(house, placed).id]


def test_a_sealed_hold_has_its_list_and_its_day_and_is_unsealed_after_it(house: House) -> None:
    until = (house.clock() + timedelta(days=2)).date()
    sealed = {**HOLD, "sealed": "yes", "need_to_know": "deputy", "nondisclosure_until": until.isoformat()}
    with house.client("director") as client:
        open_ = client.post("/holds/new", data={**sealed, "sealed": ""})
        for field in ("need_to_know", "nondisclosure_until"):
            assert "tick" in error(open_, field)
        told = client.post("/holds/new", data={**sealed, "told": "auditor"})
        assert "may not see it" in error(told, "told")
    path = done(house, "director", "/holds/new", {**sealed, "told": "deputy"})
    assert file(house, path).nondisclosure_until == until
    with house.client("auditor") as client:
        assert client.get(path).status_code == 404
    done(house, "director", f"{path}/know", {"add": "auditor"})
    with house.client("auditor") as client:
        page = client.get(path)
        assert (page.status_code, HOLD["number"] in page.text) == (200, False)
    done(house, "deputy", f"{path}/know", {"remove": "auditor"})
    with house.client("director") as client:
        assert "may not be told of" in error(client.post(f"{path}/unseal"), "unseal-hold")
    assert done(house, "deputy", f"{path}/know", {"remove": "deputy"}) == "/holds"
    house.clock.ahead += timedelta(days=4)
    done(house, "director", f"{path}/unseal")
    with house.client("auditor") as client:
        assert client.get(path).status_code == 200


def test_patrons_and_documents_are_shown_to_whoever_asks_and_that_is_written_down(house: House) -> None:
    path = done(house, "director", "/holds/new", HOLD, document=True)
    (digest,) = file(house, path).documents
    with house.client("counsel") as client:
        assert ">101<" not in client.get(path).text
        assert ">101<" in client.post(f"{path}/subjects").text
        given = client.post(f"{path}/document", data={"digest": digest})
        assert (given.content, given.headers["content-type"]) == (PDF, "application/octet-stream")
        assert re.fullmatch(r'attachment; filename="H[\w-]+\.pdf"', given.headers["content-disposition"])
        assert client.post(f"{path}/document", data={"digest": "00" * 32}).status_code == 404
    kinds = [event.kind for event in house.ledger.events(subject=file(house, path).id)]
    assert {"hold.subjects-read", "hold.document-opened"} <= set(kinds)


def test_a_lapsed_hold_says_so_and_is_confirmed_by_another(house: House, placed: str) -> None:
    house.clock.ahead += timedelta(days=15)
    assert house.desk.holding.lapse(timedelta(days=7), actor="test") == [file(house, placed).id]
    with house.client("deputy") as client:
        assert "It lapsed" in client.get(placed).text
        assert ">lapsed<" in client.get("/holds").text
    done(house, "deputy", f"{placed}/confirm")
    assert file(house, placed).state is HoldState.ACTIVE


def test_what_was_typed_on_a_holds_page_is_there_after_signing_in(house: House, placed: str) -> None:
    with house.client("director") as client:
        for path, back, field in (("review", placed, "next_review"), ("narrow", f"{placed}/narrow", "since")):
            page = client.get(placed if path == "review" else back).text
            hidden = re.search(rf'action="{placed}/{path}".*?name="page" value="([^"]+)"', page, re.DOTALL)
            assert hidden is not None
            house.clock.ahead += timedelta(minutes=31)
            sent = client.post(f"{placed}/{path}", data={"page": hidden[1], field: "zq-typed"})
            draft = sent.headers["location"].partition("draft=")[2]
            signed_in = {"name": "director", "password": PASSWORD, "draft": draft}
            where = client.post("/sign-in", data=signed_in).headers["location"]
            assert where == f"{back}?draft={draft}"
            assert 'value="zq-typed"' in client.get(where).text


def test_a_day_alone_is_kept_to_its_end_and_a_moment_that_is_none_is_refused(house: House) -> None:
    sent = {**HOLD, "since": "2025-06-01", "until": "2025-06-02", "received_at": "2025-06-02 14:30"}
    path = done(house, "director", "/holds/new", sent)
    scope = file(house, path).scope
    assert scope.since == datetime(2025, 6, 1, 6, tzinfo=UTC)
    assert scope.until == datetime(2025, 6, 3, 6, tzinfo=UTC) - timedelta(microseconds=1)
    assert file(house, path).matter.received_at == datetime(2025, 6, 2, 20, 30, tzinfo=UTC)
    with house.client("director") as client:
        for name in ("since", "received_at"):
            answer = client.post("/holds/new", data={**HOLD, name: "2025-03-09 02:30"})
            assert "skipped" in error(answer, name)
        assert "needs the time" in error(client.post("/holds/new", data={**HOLD, "before": "15"}), "before")
        assert "not a day" in error(client.post("/holds/new", data={**HOLD, "until": "2025-02-30"}), "until")
