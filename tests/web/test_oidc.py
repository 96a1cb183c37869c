"""Signing in at an identity provider: a real one, in a process of its own. It says who somebody is; who may come in is said here."""

from __future__ import annotations

import html
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from sqlalchemy import select

from console.cli.serve_console import registration_of
from console.web.oidc import PAUSE, SECONDS, Registration, subject
from flows.settings import load_settings
from retention.errors import SettingsError, UsageError
from storage.ledger import tables
from storage.ledger.person_steps import PersonStep
from storage.statements import verify_statements
from tests.servers.oidc import CLIENT, FLAWS, SECRET, Provider, provider
from tests.web.house import House, listening
from tests.web.house import house as make_house
from tests.web.test_bad_input import signature

MEI = "mei.lind@library.example"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with provider(tmp_path_factory.mktemp("provider")) as made:
        yield made


@pytest.fixture
def desk(tmp_path: Path, there: Provider) -> Iterator[House]:
    """The director is entered under the provider's name for them."""
    there.flawed("")
    registration = Registration(issuer=there.issuer, client_id=CLIENT, client_secret=SECRET)
    with make_house(tmp_path, registration=registration) as made:
        bind(made, there, "director", MEI)
        yield made


def bind(house: House, there: Provider, name: str, user: str | None) -> None:
    known = None if user is None else subject(there.issuer, user)
    house.ledger.accounts.bind(name, known, actor="test", at=house.clock())


def left(client: httpx.Client, **query: str) -> str:
    """The provider's address that the console sends a browser to."""
    sent = client.get(f"/sign-in/oidc?{urlencode(query)}")
    assert sent.status_code == 303
    return sent.headers["location"]


def come_back(client: httpx.Client, there: Provider, user: str = MEI, **query: str) -> httpx.Response:
    return client.get(there.sign_in(left(client, **query), user))


def refused(answer: httpx.Response, why: str) -> bool:
    assert "__Host-retention=" not in answer.headers.get("set-cookie", "")
    return answer.status_code == 422 and "You are not signed in" in answer.text and why in answer.text


def test_somebody_signs_in_there_and_comes_back_to_where_they_wanted(desk: House, there: Provider) -> None:
    with desk.client() as client:
        assert "Sign in with single sign-on" in client.get("/sign-in?next=/cases").text
        done = come_back(client, there, next="/cases")
        assert (done.status_code, done.headers["location"]) == (303, "/cases")
        assert client.get("/account.json").json()["account"]["name"] == "director"
        (session,) = desk.ledger.accounts.sessions("director", desk.clock())
        assert session.how == "oidc"
        assert "__Host-retention-oidc" not in client.cookies


def test_the_provider_is_asked_with_a_challenge_a_state_and_a_nonce_each_made_once(
    desk: House, there: Provider
) -> None:
    with desk.client() as client:
        asked = [parse_qs(urlsplit(left(client)).query) for _ in range(2)]
        cookie = client.cookies["__Host-retention-oidc"]
    for query in asked:
        assert query["response_type"] == ["code"]
        assert query["scope"] == ["openid"]
        assert query["code_challenge_method"] == ["S256"]
        assert query["redirect_uri"] == [f"{desk.origin}/sign-in/oidc/callback"]
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
        assert len(asked[0][name][0]) >= 43
    assert asked[1]["state"][0] not in cookie


@pytest.mark.parametrize("flaw", [flaw for flaw in FLAWS if flaw])
def test_a_token_that_is_wrong_in_one_thing_signs_nobody_in(desk: House, there: Provider, flaw: str) -> None:
    there.flawed(flaw)
    with desk.client() as client:
        assert refused(come_back(client, there), "is not valid")
        assert client.get("/account").status_code == 303
        there.flawed("")
        assert come_back(client, there).status_code == 303


def test_the_state_has_to_be_the_one_of_this_browser(desk: House, there: Provider) -> None:
    """Else a stranger finishes their own sign-in in somebody's browser, who then works in the stranger's name."""
    with desk.client() as client, desk.client() as stranger:
        before = there.asked()
        theirs = there.sign_in(left(stranger), MEI)
        assert refused(client.get(theirs), "was not begun here")
        left(client)
        assert refused(client.get(theirs), "was not begun here")
        own = there.sign_in(left(client), MEI)
        for wrong in ({"state": "x"}, {"state": ""}, {"state": "é"}):
            query = {name: values[0] for name, values in parse_qs(urlsplit(own).query).items()}
            assert refused(
                client.get(f"/sign-in/oidc/callback?{urlencode(query | wrong)}"), "was not begun here"
            )
            own = there.sign_in(left(client), MEI)
        assert refused(client.get("/sign-in/oidc/callback"), "was not begun here")
        assert there.asked() == before, "no code was exchanged"


def test_a_cookie_that_is_not_ours_or_too_old_begins_nothing(desk: House, there: Provider) -> None:
    with desk.client() as client:
        back = there.sign_in(left(client), MEI)
        kept = client.cookies["__Host-retention-oidc"]
        for cookie in ("", "x", "AAAA" * 20, kept[:-4] + "AAA=", kept[::-1]):
            client.cookies.clear()
            client.cookies.set("__Host-retention-oidc", cookie, domain="localhost.local")
            assert refused(client.get(back), "was not begun here")
        back = there.sign_in(left(client), MEI)
        desk.clock.ahead += timedelta(minutes=11)
        assert refused(client.get(back), "took too long")


def test_a_code_is_good_once_and_only_with_its_verifier(desk: House, there: Provider) -> None:
    with desk.client() as client:
        first = there.sign_in(left(client), MEI)
        cookie = client.cookies["__Host-retention-oidc"]
        assert client.get(first).status_code == 303
        client.cookies.clear()
        client.cookies.set("__Host-retention-oidc", cookie, domain="localhost.local")
        assert refused(client.get(first), "is not valid")
        code = parse_qs(urlsplit(there.sign_in(left(client), MEI)).query)["code"][0]
        state = parse_qs(urlsplit(left(client)).query)["state"][0]
        other = f"/sign-in/oidc/callback?{urlencode({'code': code, 'state': state})}"
        assert refused(client.get(other), "is not valid"), "the challenge belongs to another verifier"


def test_an_answer_of_another_provider_is_not_taken(desk: House, there: Provider) -> None:
    with desk.client() as client:
        back = there.sign_in(left(client), MEI)
        assert refused(client.get(f"{back}&iss=https%3A%2F%2Fevil.example"), "is not valid")


def test_somebody_who_does_not_sign_in_there_is_told_so(desk: House, there: Provider) -> None:
    with desk.client() as client:
        back = there.sign_in(left(client), "")
        assert "error=access_denied" in back
        assert refused(client.get(back), "did not sign you in")


def test_nobody_comes_to_be_by_signing_in(desk: House, there: Provider) -> None:
    people = desk.ledger.people.list()
    with desk.client() as client:
        assert refused(come_back(client, there, "stranger"), "Nobody here is entered")
        assert refused(come_back(client, there, "director"), "Nobody here is entered")
        bind(desk, there, "director", None)
        assert refused(come_back(client, there), "Nobody here is entered")
    assert desk.ledger.people.list() == people


def test_somebody_disabled_does_not_come_in_and_does_not_stay_in(desk: House, there: Provider) -> None:
    with desk.client() as client:
        assert come_back(client, there).status_code == 303
        assert client.get("/account").status_code == 200
        step = PersonStep(person="director", step="disabled", value="", actor="test", at=desk.clock())
        desk.ledger.steps.take(step)
        assert client.get("/account").status_code == 303
        assert refused(come_back(client, there), "Nobody here is entered")


def test_a_subject_is_one_person_and_a_change_ends_their_sessions(desk: House, there: Provider) -> None:
    with pytest.raises(UsageError, match="signs in as director already"):
        bind(desk, there, "deputy", MEI)
    with desk.client() as client:
        assert come_back(client, there).status_code == 303
        bind(desk, there, "director", "another")
        assert client.get("/account").status_code == 303
        bind(desk, there, "deputy", MEI)
        assert come_back(client, there).status_code == 303
        assert client.get("/account.json").json()["account"]["name"] == "deputy"


def test_the_same_subject_at_another_provider_is_somebody_else() -> None:
    assert subject("https://a.example", "7") != subject("https://b.example", "7")


def test_a_provider_that_changes_its_keys_is_asked_again(desk: House, there: Provider) -> None:
    with desk.client() as client:
        assert come_back(client, there).status_code == 303
        there.rotate()
        assert come_back(client, there).status_code == 303


@pytest.mark.parametrize("next", ["//evil.example/", "https://evil.example/", "/" + "x" * 3000])
def test_nobody_is_sent_to_another_site_afterwards(desk: House, there: Provider, next: str) -> None:
    with desk.client() as client:
        assert come_back(client, there, next=next).headers["location"] == "/"


def test_the_ledger_and_what_is_told_hold_no_token_and_no_subject(desk: House, there: Provider) -> None:
    with desk.client() as client:
        done = come_back(client, there)
    told = done.text + "".join(event.body for event in desk.ledger.events())
    assert MEI not in told
    assert "eyJ" not in told
    assert SECRET not in repr(desk.desk.provider) + repr(desk.desk)


def test_without_a_provider_there_is_no_such_page(house: House) -> None:
    with house.client() as client:
        assert client.get("/sign-in/oidc").status_code == 404
        assert client.get("/sign-in/oidc/callback?code=x&state=y").status_code == 404
        assert "single sign-on" not in client.get("/sign-in").text


def test_a_provider_that_does_not_answer_or_is_another_one_is_said_so(
    tmp_path: Path, there: Provider
) -> None:
    silent = Registration(issuer="http://127.0.0.1:9", client_id=CLIENT)
    other = Registration(issuer=there.issuer + "/", client_id=CLIENT)
    for registration, why in ((silent, "does not answer"), (other, "not the one that was configured")):
        folder = tmp_path / why.replace(" ", "-")
        folder.mkdir()
        with make_house(folder, registration=registration) as house, house.client() as client:
            answer = client.get("/sign-in/oidc")
            assert answer.status_code == 503
            assert why in answer.text


def test_a_provider_that_hangs_takes_no_page_along(tmp_path: Path) -> None:
    """Anybody may ask for it, without signing in: forty at once are all that pages are answered by."""
    with listening() as silent:
        silent.listen(128)
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        registration = Registration(issuer=issuer, client_id=CLIENT)
        with (
            make_house(tmp_path, registration=registration) as house,
            house.client() as client,
            ThreadPoolExecutor(50) as beside,
        ):
            began = time.monotonic()
            asked = [beside.submit(client.get, "/sign-in/oidc") for _ in range(50)]
            time.sleep(0.5)
            assert client.get("/sign-in").status_code == 200
            assert time.monotonic() - began < SECONDS / 2
            assert {one.result().status_code for one in asked} == {503}
            took = time.monotonic() - began
            assert SECONDS - 1 < took < 2 * SECONDS, "those few wait side by side"
            began = time.monotonic()
            assert "does not answer" in client.get("/sign-in/oidc").text
            assert time.monotonic() - began < SECONDS / 2, "it is remembered"


def test_a_provider_that_was_away_is_asked_again_after_a_pause(tmp_path: Path, there: Provider) -> None:
    registration = Registration(issuer=there.issuer, client_id=CLIENT, client_secret=SECRET)
    with make_house(tmp_path, registration=registration) as house, house.client() as client:
        provider = house.desk.provider
        assert provider is not None
        provider.registration = replace(registration, issuer="http://127.0.0.1:9")
        assert client.get("/sign-in/oidc").status_code == 503
        provider.registration = registration
        house.clock.ahead += PAUSE - timedelta(seconds=5)
        assert client.get("/sign-in/oidc").status_code == 503
        house.clock.ahead += timedelta(seconds=5)
        assert client.get("/sign-in/oidc").status_code == 303


@pytest.mark.parametrize(
    "issuer", ["", "library.example", "http://library.example", "ftp://library.example", "https://", "https://a/?x", "https://[x", "https://a/\r\nX: y",
               "https://a/ b", "https://ä.example"]
)  # fmt: skip
def test_a_provider_is_reached_over_tls_alone(issuer: str) -> None:
    with pytest.raises(SettingsError, match="OIDC_ISSUER"):
        Registration(issuer=issuer, client_id=CLIENT)
    with pytest.raises(SettingsError, match="CLIENT_ID"):
        Registration(issuer="https://login.library.example", client_id="")


def test_the_settings_of_a_site_say_how_it_is_known_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert registration_of(load_settings()) is None
    monkeypatch.setenv("RETENTION_CONSOLE_OIDC_ISSUER", "https://login.library.example")
    with pytest.raises(SettingsError, match="CLIENT_ID"):
        registration_of(load_settings())
    monkeypatch.setenv("RETENTION_CONSOLE_OIDC_CLIENT_ID", CLIENT)
    assert registration_of(load_settings()) == Registration(
        issuer="https://login.library.example", client_id=CLIENT
    )
    monkeypatch.setenv("RETENTION_CONSOLE_OIDC_CLIENT_SECRET", SECRET)
    settings = load_settings()
    found = registration_of(settings)
    assert found is not None
    assert found.client_secret == SECRET
    assert SECRET not in repr(settings) + repr(found)


def token_row(house: House) -> bytes | None:
    with house.ledger.connection.read() as connection:
        row = connection.execute(select(tables.session.c.id_token)).scalar()
    return None if row is None else bytes(row)


def test_who_signs_out_is_signed_out_there_too(desk: House, there: Provider) -> None:
    ended = len(there.ended())
    with desk.client() as client:
        assert come_back(client, there).status_code == 303
        kept = token_row(desk)
        assert kept is not None, "the token stays here, sealed"
        assert b"eyJ" not in kept
        assert "id_token" not in client.get("/account.json").text
        out = client.post("/sign-out")
        assert (out.status_code, "Sign out there too" in out.text) == (200, True)
        assert "Sign out</button>" not in out.text, "nobody is signed in on this page"
        address = out.headers["refresh"].removeprefix("0; url=")
        assert html.escape(address) in out.text
        assert token_row(desk) is None
        assert client.get("/").status_code == 303
    back = there.client.get(address)
    assert (back.status_code, back.headers["location"]) == (303, f"{desk.origin}/sign-in")
    assert there.ended()[ended:] == [MEI]


def test_where_the_provider_offers_no_end_or_is_away_the_session_here_ends_all_the_same(
    tmp_path: Path, there: Provider
) -> None:
    there.flawed("")
    there.announces(False)
    registration = Registration(issuer=there.issuer, client_id=CLIENT, client_secret=SECRET)
    try:
        with make_house(tmp_path, registration=registration) as house, house.client() as client:
            bind(house, there, "director", MEI)
            for away in (False, True):
                assert come_back(client, there).status_code == 303
                provider = house.desk.provider
                assert provider is not None
                if away:
                    provider.registration = replace(registration, issuer="http://127.0.0.1:9")
                    house.clock.ahead += timedelta(minutes=29)
                    client.get("/")
                    house.clock.ahead += timedelta(minutes=29)
                    client.get("/")
                    house.clock.ahead += timedelta(minutes=10)
                done = client.post("/sign-out")
                assert (done.status_code, done.headers["location"]) == (303, "/sign-in")
                assert client.get("/account").status_code == 303
    finally:
        there.announces(True)


def test_an_administrator_enters_a_person_under_a_name_of_the_provider_in_the_pages(
    desk: House, there: Provider
) -> None:
    with desk.client("administrator") as client, desk.client() as other:
        for subject_typed in ("", "a\nb", "x" * 256):
            refused_at = client.post("/people/deputy/oidc", data={"subject": subject_typed})
            assert refused_at.status_code == 422
            assert "no subject" in refused_at.text
        taken = client.post("/people/deputy/oidc", data={"subject": MEI})
        assert (taken.status_code, "signs in as director already" in taken.text) == (422, True)
        page = client.post("/people/deputy/oidc", data={"subject": "bela"}).headers["location"]
        assert "bela" not in client.get(f"{page}/statement").text
        assert client.post(page, data=signature(desk, client, page, "administrator")).status_code == 303
        assert come_back(other, there, "bela").status_code == 303
        page = client.post("/people/deputy/oidc", data={"remove": "yes"}).headers["location"]
        assert client.post(page, data=signature(desk, client, page, "administrator")).status_code == 303
        assert refused(come_back(other, there, "bela"), "Nobody here is entered")
    assert verify_statements(desk.ledger) == 2
