"""Signing in and out: sessions on the server, one cookie, and nothing that tells names apart."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from storage.ledger.drafts import DraftKind
from tests.web.house import PASSWORD, House


def test_somebody_who_is_not_signed_in_is_asked_to_and_comes_back(house: House) -> None:
    with house.client() as client:
        asked = client.get("/?x=1")
        assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=%2F%3Fx%3D1")
        done = sign_in(client, "director", next="/?x=1")
        assert (done.status_code, done.headers["location"]) == (303, "/?x=1")
        assert client.get("/").status_code == 200


def test_the_cookie_is_bound_to_this_host_and_out_of_reach_of_scripts(house: House) -> None:
    with house.client() as client:
        given = sign_in(client, "director").headers["set-cookie"]
    assert given.startswith("__Host-retention=")
    for attribute in ("HttpOnly", "Secure", "Path=/", "SameSite=lax"):
        assert attribute in given
    assert "Domain" not in given


def test_an_unknown_name_and_a_wrong_password_look_alike(house: House) -> None:
    with house.client() as client:
        unknown = sign_in(client, "nobody")
        wrong = sign_in(client, "director", "not the password at all")
    assert unknown.status_code == wrong.status_code == 422
    assert unknown.text.replace("nobody", "director") == wrong.text


def test_signing_in_again_gives_another_cookie_and_ends_the_one_before(house: House) -> None:
    with house.client("director") as client:
        before = client.cookies["__Host-retention"]
        assert sign_in(client, "director").status_code == 303
    with httpx.Client(base_url=house.origin, cookies={"__Host-retention": before}) as old:
        assert old.get("/").status_code == 303


def test_signing_out_ends_the_session_on_the_server(house: House) -> None:
    with house.client("director") as client:
        token = client.cookies["__Host-retention"]
        assert client.post("/sign-out").status_code == 303
    with httpx.Client(base_url=house.origin, cookies={"__Host-retention": token}) as old:
        assert old.get("/").status_code == 303


@pytest.mark.parametrize(
    ("step", "times", "lives"),
    [
        (timedelta(minutes=31), 1, False),
        (timedelta(minutes=29), 5, True),
        (timedelta(minutes=29), 25, False),
    ],
)
def test_a_session_ends_when_idle_and_after_twelve_hours(
    house: House, step: timedelta, times: int, lives: bool
) -> None:
    with house.client("director") as client:
        statuses = []
        for _ in range(times):
            house.clock.ahead += step
            statuses.append(client.get("/").status_code)
    assert (statuses[-1] == 200) is lives


def test_after_too_many_failures_even_the_right_password_waits(house: House) -> None:
    with house.client() as client:
        for _ in range(5):
            assert sign_in(client, "director", "wrong wrong wrong wrong").status_code == 422
        assert sign_in(client, "director").status_code == 429
        assert sign_in(client, "deputy").status_code == 303
        house.clock.ahead += timedelta(minutes=16)
        assert sign_in(client, "director").status_code == 303


def test_strangers_who_fail_without_a_name_shut_out_nobody_elsewhere(house: House) -> None:
    accounts, now = house.ledger.accounts, house.clock()
    for number in range(60):
        assert accounts.begin("", f"203.0.113.{number}", now)
    for _ in range(29):
        assert accounts.begin("", "203.0.113.1", now)
    assert not accounts.begin("", "203.0.113.1", now), "one address has its limit"
    code = accounts.invite("auditor", actor="test", at=now)
    with house.client() as client:
        form = {"code": code, "password": "seven quiet herons", "again": "seven quiet herons"}
        assert client.post("/invitation", data=form).status_code == 303


def test_what_succeeds_is_not_counted(house: House) -> None:
    with house.client() as client:
        for _ in range(8):
            assert sign_in(client, "director", "wrong wrong wrong wrong").status_code == 422
            assert sign_in(client, "director").status_code == 303
    accounts, now = house.ledger.accounts, house.clock()
    for _ in range(60):
        assert accounts.begin("deputy", "203.0.113.1", now)
        accounts.succeeded("deputy", "203.0.113.1", now)


def test_attempts_at_once_are_as_many_as_one_after_the_other(house: House) -> None:
    def attempt(_: int) -> int:
        with house.client() as client:
            return sign_in(client, "director", "wrong wrong wrong wrong").status_code

    with ThreadPoolExecutor(12) as beside:
        statuses = sorted(beside.map(attempt, range(12)))
    assert statuses == [422] * 5 + [429] * 7


def test_the_present_password_is_not_guessed_from_within(house: House) -> None:
    """By somebody with another person's session."""
    new = "seven quiet herons"
    with house.client("director") as client:
        form = {"current": "wrong wrong wrong", "password": new, "again": new}
        for _ in range(5):
            assert client.post("/account/password", data=form).status_code == 422
        assert client.post("/account/password", data=form | {"current": PASSWORD}).status_code == 429
        house.clock.ahead += timedelta(minutes=16)
        assert client.post("/account/password", data=form | {"current": PASSWORD}).status_code == 303


def test_no_password_is_kept_of_a_form_that_came_too_late(house: House) -> None:
    with house.client("director") as client:
        house.clock.ahead += timedelta(minutes=31)
        form = {
            "current": PASSWORD,
            "password": f"{PASSWORD} 2",
            "again": f"{PASSWORD} 2",
            "page": "/account",
        }
        asked = client.post("/account/password", data=form).headers["location"]
    (draft,) = parse_qs(urlsplit(asked).query)["draft"]
    kept = house.ledger.drafts.get(draft, "director", DraftKind.TYPED, house.clock())
    assert kept is not None
    assert kept.body == {"page": "/account", "values": {"page": ["/account"]}}


def test_an_invitation_sets_a_password_once(house: House) -> None:
    code = house.ledger.accounts.invite("auditor", actor="test", at=house.clock())
    password = "seven quiet herons"
    with house.client() as client:
        short = client.post("/invitation", data={"code": code, "password": "short", "again": "short"})
        assert short.status_code == 422
        assert "At least" in short.text
        form = {"code": code, "password": password, "again": password}
        assert client.post("/invitation", data=form).status_code == 303
        assert client.get("/").status_code == 200
        again = client.post("/invitation", data=form)
        assert "is not valid" in again.text
    with house.client() as client:
        assert sign_in(client, "auditor", password).status_code == 303


@pytest.mark.parametrize("next", ["//evil.example/", "https://evil.example/", "/\\evil.example", "/\n/x"])
def test_nobody_is_sent_to_another_site_after_signing_in(house: House, next: str) -> None:
    with house.client() as client:
        assert sign_in(client, "director", next=next).headers["location"] == "/"


def sign_in(client: httpx.Client, name: str, password: str = PASSWORD, next: str = "/") -> httpx.Response:
    return client.post("/sign-in", data={"name": name, "password": password, "next": next})
