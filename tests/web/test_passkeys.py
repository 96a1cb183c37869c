"""Passkeys in the pages: a session says who somebody is and gives nobody a key; one that signs already does."""

import json

import httpx
import pytest

from retention.document import JSON
from storage.signatures import Signatory
from storage.statements import verify_statements
from tests.retention.authenticator import Authenticator, authenticator
from tests.storage.browser import answered, made
from tests.web.house import House


@pytest.fixture
def phone() -> Authenticator:
    return authenticator()


def offer(house: House, client: httpx.Client, phone: Authenticator) -> httpx.Response:
    """What a browser sends when somebody at the page adds a passkey."""
    asked = client.get("/account/passkeys/options").text
    form = {"passkey": made(asked, phone, origin=house.origin), "label": "phone"}
    return client.post("/account/passkeys", data=form)


def statement_of(client: httpx.Client, page: str) -> dict[str, JSON]:
    statement: dict[str, JSON] = json.loads(client.get(f"{page}/statement").text)
    return statement


def sign(client: httpx.Client, page: str, by: Signatory) -> httpx.Response:
    signature = by.sign(statement_of(client, page)).signature
    return client.post(page, data={"signature": signature})


def test_a_session_alone_adds_no_passkey(house: House, phone: Authenticator) -> None:
    """Whoever invites the director, or has their cookie, is signed in as them and has none of their keys."""
    with house.client("director") as client:
        page = offer(house, client, phone).headers["location"]
        assert page.startswith("/sign/")
        asked = client.get(f"{page}/options").text
        assert phone.public.line.split()[1] in client.get(page).text
        for form in (
            {"signature": ""},
            {"signature": house.people["administrator"].sign(statement_of(client, page)).signature},
            {"passkey": answered(asked, phone, origin=house.origin)},
        ):
            assert client.post(page, data=form).status_code == 422
    assert list(house.ledger.people.passkeys("director")) == []
    assert verify_statements(house.ledger) == 0


def test_an_own_key_signs_for_a_passkey_and_that_for_the_next(house: House, phone: Authenticator) -> None:
    with house.client("director") as client:
        page = offer(house, client, phone).headers["location"]
        done = sign(client, page, house.people["director"])
        assert (done.status_code, done.headers["location"]) == (303, "/account#passkeys")
        assert [one.public for one in house.ledger.people.passkeys("director")] == [phone.public]

        stick = authenticator()
        page = offer(house, client, stick).headers["location"]
        asked = client.get(f"{page}/options").text
        form = {"passkey": answered(asked, phone, origin=house.origin)}
        assert client.post(page, data=form).status_code == 303
    assert [one.public for one in house.ledger.people.passkeys("director")] == [phone.public, stick.public]
    assert verify_statements(house.ledger) == 2


def test_a_passkey_that_somebody_has_is_refused_before_it_is_signed(
    house: House, phone: Authenticator
) -> None:
    with house.client("director") as client:
        sign(client, offer(house, client, phone).headers["location"], house.people["director"])
    with house.client("deputy") as client:
        refused = offer(house, client, phone)
    assert refused.status_code == 422
    assert "already" in refused.text
