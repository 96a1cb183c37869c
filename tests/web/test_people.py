"""Managing people in the pages: every act is signed, nobody lifts themself, and what a session alone can do is nothing."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest

from retention.permissions import Role
from retention.signing import P256, generate
from storage.ledger.drafts import DraftKind
from storage.personal_keys import keys_of
from storage.statements import verify_statements
from tests.retention.authenticator import authenticator, b64url
from tests.storage.browser import answered, credential
from tests.storage.desk import given_passkey
from tests.web.house import PASSWORD, House
from tests.web.test_bad_input import signature

NEW = {"name": "mei", "full_name": "Mei Lind", "title": "Branch Manager", "role": "custodian"}


def begun(client: httpx.Client, path: str, **form: str) -> str:
    """The page to sign an act at."""
    sent = client.post(path, data=form)
    assert sent.status_code == 303, sent.text
    return sent.headers["location"]


def signed(house: House, client: httpx.Client, page: str, name: str = "administrator") -> httpx.Response:
    return client.post(page, data=signature(house, client, page, name))


def page_of(house: House, path: str) -> str:
    with house.client("administrator") as client:
        return client.get(path).text


def error_at(answer: httpx.Response) -> str:
    assert answer.status_code == 422
    return re.sub(r".*id=\"errors\"|</ul>.*", "", answer.text, flags=re.DOTALL)


def role(house: House, name: str) -> Role:
    return house.ledger.people.get(name).role


def test_a_role_is_given_by_a_signature_and_not_by_a_session(house: House) -> None:
    with house.client("administrator") as client:
        page = begun(client, "/people/operator/role", role="custodian")
        assert "custodian" in client.get(page).text
        for form in ({"signature": ""}, signature(house, client, page, "director")):
            assert client.post(page, data=form).status_code == 422
        assert role(house, "operator") is Role.OPERATOR
        done = signed(house, client, page)
        assert (done.status_code, done.headers["location"]) == (303, "/people/operator")
        assert signed(house, client, page).status_code == 303, "a form sent twice"
        facts = client.get("/people/operator.json").json()["person"]
    assert [(one["step"], one["value"], one["actor"]) for one in facts["steps"]] == [
        ("role", "custodian", "administrator")
    ]
    assert verify_statements(house.ledger) == 1


def test_nobody_changes_their_own_role_and_an_administrator_approves_nothing(house: House) -> None:
    with house.client("administrator") as client:
        refused = client.post("/people/administrator/role", data={"role": "custodian"})
        assert "Nobody changes their own role" in error_at(refused)
        assert "Give this role" not in client.get("/people/administrator").text
        assert client.post("/cases/C1/approve").status_code == 403
        assert client.post("/people/operator/role", data={"role": "king"}).status_code == 422
        assert client.get("/people/nobody").status_code == 404
        assert client.post("/people/nobody/disable").status_code == 404


def test_of_two_administrators_at_once_the_second_is_told_that_something_changed(house: House) -> None:
    house.add("other", Role.ADMINISTRATOR)
    with house.client("administrator") as one, house.client("other") as two:
        first = begun(one, "/people/operator/role", role="custodian")
        second = begun(two, "/people/operator/role", role="auditor")
        assert signed(house, one, first).status_code == 303
        assert "is not what would be done now" in client_error(signed(house, two, second, "other"))
        assert role(house, "operator") is Role.CUSTODIAN
        enabling = begun(one, "/people/operator/disable")
        assert signed(house, one, enabling).status_code == 303
        again = begun(one, "/people/operator/enable")
        demoted = begun(two, "/people/operator/role", role="auditor")
        assert signed(house, two, demoted, "other").status_code == 303
        assert signed(house, one, again).status_code == 422, "they would be enabled as something else"
        last = begun(two, "/people/administrator/disable")
        waiting = begun(one, "/people/deputy/disable")
        assert signed(house, two, last, "other").status_code == 303
        assert one.get(waiting).status_code == 303, "signed out"
    assert not house.ledger.people.get("deputy").disabled
    assert role(house, "operator") is Role.AUDITOR


def client_error(answer: httpx.Response) -> str:
    assert answer.status_code == 422
    return answer.text


def test_somebody_disabled_is_out_at_once_and_comes_back_enabled(house: House) -> None:
    with house.client("administrator") as client, house.client("auditor") as auditor:
        assert signed(house, client, begun(client, "/people/auditor/disable")).status_code == 303
        assert auditor.get("/").status_code == 303
        assert "is disabled" in error_at(client.post("/people/auditor/invite"))
        assert "disabled already" in error_at(client.post("/people/auditor/disable"))
        assert signed(house, client, begun(client, "/people/auditor/enable")).status_code == 303
        assert auditor.get("/").status_code == 200
        last = begun(client, "/people/administrator/disable")
        assert "The last administrator" in client.get(last).text
    assert verify_statements(house.ledger) == 2


def test_an_act_that_failed_unexpectedly_was_not_done_and_can_be_signed_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.client("administrator") as client:
        page = begun(client, "/people/auditor/disable")
        sent = signature(house, client, page, "administrator")
        with monkeypatch.context() as broken:
            broken.delattr("storage.staff.Staff.disable")
            assert client.post(page, data=sent).status_code == 500
        assert client.get(page).status_code == 200, "it still waits for its signature"
        assert client.post(page, data=sent).status_code == 303
    assert house.ledger.people.get("auditor").disabled


def test_a_person_is_added_with_a_key_of_their_own_and_invited(house: House) -> None:
    key = generate("mei")
    markup = NEW | {"full_name": "<b>Mei</b> & “Lind”", "public": key.public.line}
    with house.client("administrator") as client, house.client() as mei:
        page = begun(client, "/people/new", **markup)
        assert client.get(page).text.count("&lt;b&gt;Mei&lt;/b&gt;") >= 1
        assert 'href="/people"' in client.get(page).text
        assert signed(house, client, page).headers["location"] == "/people/mei"
        assert "<b>Mei" not in client.get("/people").text + client.get("/people/mei").text
        invited = signed(house, client, begun(client, "/people/mei/invite")).headers["location"]
        code = client.get(invited.replace("?", ".json?")).json()["person"]["code"]
        assert code in client.get(invited).text
        house.add("other", Role.ADMINISTRATOR)
        with house.client("other") as other:
            assert code not in other.get(invited).text
        form = {"code": code, "password": "seven quiet herons", "again": "seven quiet herons"}
        assert mei.post("/invitation", data=form).status_code == 303
        assert mei.get("/").status_code == 200
        assert code not in client.get(invited).text, "it was used"
    assert keys_of(house.ledger, house.ledger.people.get("mei")) == (key.public,)
    assert verify_statements(house.ledger) == 2


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", "Mei Lind", "is not a short name"), ("name", "console", "the program uses"), ("name", "new", "the program uses"), ("name", "director.json", "the program uses"),
        ("name", "director", "already a person"), ("full_name", "DIRECTOR", "already a person"), ("full_name", "a\u202eb", "not printable"),
        ("title", "", "title is empty"), ("role", "king", "one of the roles"), ("public", "", "no public key"), ("public", "x", "not a public key"),
        ("public", generate("m", P256).public.line, "Ed25519"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_new_person_is_said_at_its_field_and_the_rest_is_kept(
    house: House, field: str, value: str, told: str
) -> None:
    form = NEW | {"public": generate("mei").public.line} | {field: value}
    with house.client("administrator") as client:
        answer = client.post("/people/new", data=form)
    assert told in error_at(answer)
    kept = "title" if field != "title" else "full_name"
    assert f'value="{form[kept]}"' in answer.text
    assert [one.name for one in house.ledger.people.list() if one.name == "mei"] == []


def test_what_was_typed_when_the_session_ended_is_there_again(house: House) -> None:
    with house.client("administrator") as client:
        house.clock.ahead += timedelta(minutes=31)
        sent = client.post("/people/new", data=NEW | {"page": "/people/new", "public": "retention-ed25519 X"})
        draft = sent.headers["location"].partition("draft=")[2]
        form = {"name": "administrator", "password": PASSWORD, "draft": draft}
        back = client.post("/sign-in", data=form).headers["location"]
        page = client.get(back).text
    for where in ("/people/auditor", "/account"):
        told = page_of(house, where).partition("<main")[2]
        assert re.findall(r'name="page" value="([^"]+)"', told) == [where] * told.count("<form"), (
            "back to the page"
        )
    for typed in ('value="Mei Lind"', 'value="custodian" selected', ">retention-ed25519 X</textarea>"):
        assert typed in page
    assert house.ledger.drafts.get(draft, "administrator", DraftKind.TYPED, house.clock()) is not None


def test_a_passkey_ends_by_another_key_of_its_owner_or_by_an_administrator(house: House) -> None:
    """Whoever sits at an open session, or took the passkey itself, ends none."""
    phone, stick = authenticator(), authenticator()
    for one, label in ((phone, "phone"), (stick, "stick")):
        given_passkey(
            house.ledger, house.people["director"], one.public, credential=b64url(credential(one)), label=label, at=house.clock()
        )  # fmt: skip
    with house.client("director") as client:
        page = begun(client, f"/account/passkeys/{phone.public.keyid}/retire")
        assert "the password and the passkey “stick”" in client.get(page).text
        asked = client.get(f"{page}/options").text
        assert b64url(credential(stick)) in asked
        assert b64url(credential(phone)) not in asked
        for key, status in ((phone, 422), (stick, 303)):
            form = {"passkey": answered(asked, key, origin=house.origin)}
            assert client.post(page, data=form).status_code == status
        assert client.post("/account/passkeys/p256:00/retire").status_code == 404
        assert client.post(f"/account/passkeys/{phone.public.keyid}/retire").status_code == 422, "once"
    with house.client("administrator") as client:
        page = begun(client, f"/people/director/passkeys/{stick.public.keyid}/retire")
        assert signed(house, client, page).status_code == 303
    assert [one.signs(None) for one in house.ledger.people.passkeys("director")] == [False, False]
    assert verify_statements(house.ledger) == 4
