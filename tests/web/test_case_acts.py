"""What people do with a case and a rule in pages, beside approving: take items out, put off, standing approvals. Each signed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from console.web.pages.asking import CASE_NAMED
from retention.ruling import RulingKind
from storage.ledger.cases import CaseState
from tests.web.house import PASSWORD, House
from tests.web.test_bad_input import approving, opened, signature

JSON = {"Accept": "application/json"}


def done(house: House, client: httpx.Client, name: str, path: str, form: dict[str, Any]) -> httpx.Response:
    """An act, rehearsed and signed: where it goes on to."""
    sent = client.post(path, data=form)
    assert sent.status_code == 303, sent.text
    way = sent.headers["location"]
    return client.post(way, data=signature(house, client, way, name))


def asked(house: House, client: httpx.Client, case: str) -> str:
    """A question for the case's items by their keys, answered as the keeper does; its id."""
    where = client.post(f"/cases/{case}/find", data={"references": "zqcanary-1\n\nzqcanary-2\n"})
    (question,) = house.ledger.questions.waiting()
    assert (question.kind, dict(question.body)) == (
        CASE_NAMED,
        {"case": case, "references": ["zqcanary-1", "zqcanary-2"]},
    )
    items = [
        {"ordinal": number, "location": "agency", "key": f"zqcanary-{number}", "there": True, "date": None, "branch": None}
        for number in (1, 2)
    ]  # fmt: skip
    house.ledger.questions.answer(question.id, {"case": case, "items": items, "of": 3}, at=house.clock())
    assert f"items={question.id}" in where.headers["location"]
    return question.id


def test_items_that_were_named_are_taken_out_and_the_number_to_type_is_what_would_go(house: House) -> None:
    case = opened(house).id
    with house.client("director") as client:
        items = asked(house, client, case)
        page = client.get(f"/cases/{case}?items={items}").text
        assert 'value="2" aria-label="Take out position 2"' in page
        form = {"positions": ["1", "2"], "except_reason": "zqcanary asked", "items": items}
        assert done(house, client, "director", f"/cases/{case}/except", form).status_code == 303
        told = client.get(f"/cases/{case}", headers=JSON).json()
        assert [(one["position"], one["person"]) for one in told["excepted"]] == [
            (1, "director"),
            (2, "director"),
        ]
        assert (told["case"]["records"], told["case"]["going"]) == (3, 1)
        page = client.get(f"/cases/{case}?items={items}").text
        assert "<strong>1 record</strong> of 3 would go" in page
        assert 'name="positions"' not in page, "both were taken out"
        assert "zqcanary asked" not in page
        assert approving(house, client, house.ledger.cases.get(case), "3").status_code == 422
        assert approving(house, client, house.ledger.cases.get(case), "1").status_code == 303
    assert [one.reason for one in house.ledger.exceptions.of(case)] == ["zqcanary asked"] * 2
    assert house.ledger.connection.path is not None
    assert b"zqcanary" not in house.ledger.connection.path.read_bytes()


def test_nothing_typed_about_a_case_is_lost_on_an_error_or_with_the_session(house: House) -> None:
    case = opened(house).id
    with house.client("director") as client:
        items = asked(house, client, case)
        form = {"positions": "2", "except_reason": "", "items": items}
        answer = client.post(f"/cases/{case}/except", data=form)
        assert (answer.status_code, 'id="except_reason-error"' in answer.text) == (422, True)
        assert 'value="2" aria-label="Take out position 2" checked' in answer.text
        answer = client.post(f"/cases/{case}/except", data={"except_reason": "why <b>", "items": items})
        assert (answer.status_code, 'id="positions"' in answer.text) == (422, True)
        assert 'value="why &lt;b&gt;"' in answer.text
        for wrong, told in (("soon", "not a day"), ("", "first day"), ("2020-01-01", "not in the future")):
            answer = client.post(f"/cases/{case}/extend", data={"until": wrong, "extend_reason": "audit"})
            assert (answer.status_code, told in answer.text) == (422, True)
            assert 'value="audit"' in answer.text
        answer = client.post(f"/cases/{case}/extend", data={"until": "x"}, headers=JSON)
        assert answer.json()["errors"].keys() == {"until", "extend_reason"}
        assert client.post(f"/cases/{case}/find", data={"references": " \n"}).status_code == 422
        house.clock.ahead += timedelta(minutes=31)
        sent = client.post(
            f"/cases/{case}/except", data={**form, "except_reason": "kept <i>", "page": f"/cases/{case}"}
        )
        draft = sent.headers["location"].partition("draft=")[2]
        back = client.post("/sign-in", data={"name": "director", "password": PASSWORD, "draft": draft})
        page = client.get(back.headers["location"]).text
        assert 'value="kept &lt;i&gt;"' in page
        assert 'aria-label="Take out position 2" checked' in page
    assert house.ledger.exceptions.of(case) == []


def test_a_case_is_put_off_and_that_is_undone(house: House) -> None:
    case = opened(house).id
    until = (house.desk.today() + timedelta(days=3)).isoformat()
    with house.client("director") as client:
        form = {"until": until, "extend_reason": "audit"}
        assert done(house, client, "director", f"/cases/{case}/extend", form).status_code == 303
        assert house.ledger.cases.get(case).state is CaseState.RETURNED
        told = client.get(f"/cases/{case}", headers=JSON).json()
        assert told["extended"] == until
        page = client.get(f"/cases/{case}").text
        assert "put off: no case is opened before" in page
        way = f"/cases/{case}/cancel-extension"
        assert client.post(way, data={"cancel_reason": ""}).status_code == 422
        house.clock.ahead += timedelta(seconds=2)
        assert done(house, client, "director", way, {"cancel_reason": "over"}).status_code == 303
        assert client.get(f"/cases/{case}", headers=JSON).json()["extended"] is None
        answer = client.post(way, data={"cancel_reason": "over"})
        assert (answer.status_code, "is not put off" in answer.text) == (422, True)


def test_a_rule_is_approved_by_two_people_and_revoked_by_one(house: House) -> None:
    path = "/standing/past-checkouts"
    until = (house.desk.today() + timedelta(days=100)).isoformat()
    with house.client("director") as director, house.client("deputy") as deputy:
        assert director.get("/standing/vendor-exports").status_code == 404, (
            "its cases are approved one by one"
        )
        assert deputy.post(f"{path}/propose", data={"until": until, "reason": "x"}).status_code == 403
        answer = director.post(f"{path}/propose", data={"until": "2999-01-01", "reason": "of <b>"})
        assert (answer.status_code, "within two years" in answer.text) == (422, True)
        assert 'value="of &lt;b&gt;"' in answer.text
        assert (
            done(
                house, director, "director", f"{path}/propose", {"until": until, "reason": "board"}
            ).status_code
            == 303
        )
        assert director.post(f"{path}/agree").status_code == 422, "somebody else agrees"
        assert f"{path}/agree" not in director.get(path).text
        waiting = {one["path"]: one["yours"] for one in deputy.get("/", headers=JSON).json()["waiting"]}
        assert waiting[path]
        waiting = {one["path"]: one["yours"] for one in director.get("/", headers=JSON).json()["waiting"]}
        assert not waiting[path]
        assert done(house, deputy, "deputy", f"{path}/agree", {}).status_code == 303
        told = deputy.get(path, headers=JSON).json()
        assert (told["state"], told["until"], told["agreed_by"]) == ("in force", until, "deputy")
        house.clock.ahead += timedelta(seconds=2)
        assert deputy.post(f"{path}/revoke", data={"revoke_reason": " "}).status_code == 422
        assert (
            done(house, deputy, "deputy", f"{path}/revoke", {"revoke_reason": "new system"}).status_code
            == 303
        )
        (one,) = [
            one
            for one in deputy.get("/standing", headers=JSON).json()["standing"]
            if one["record_type"] == "past-checkouts"
        ]
        assert one["state"] == "none"
    kinds = [one.kind for one in house.ledger.rulings.of("past-checkouts")]
    assert kinds == [RulingKind.PROPOSED.value, RulingKind.AGREED.value, RulingKind.REVOKED.value]


@pytest.mark.parametrize("path", ["except", "extend", "cancel-extension"])
def test_a_second_custodian_neither_takes_out_nor_puts_off(house: House, path: str) -> None:
    case = opened(house).id
    with house.client("deputy") as client:
        assert client.post(f"/cases/{case}/{path}").status_code == 403
        assert "/except" not in client.get(f"/cases/{case}").text
    assert json.loads(json.dumps(house.ledger.exceptions.of(case))) == []
