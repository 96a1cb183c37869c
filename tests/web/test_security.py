"""What is asked of every request: the right host, a form of our own, a body of bearable size; and what every answer says."""

import re
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute

from console.web import app
from console.web.app import make_app
from console.web.desk import Desk
from console.web.doors import Admit, admission_of
from tests.web.house import House


def routes(desk: Desk) -> list[tuple[str, str, Admit]]:
    """Method, path and check of every route."""
    found = []
    for route in make_app(desk).routes:
        if isinstance(route, APIRoute):
            admission = admission_of(route)
            assert admission is not None, f"{route.path} does not say which act it is"
            found += [(method, route.path, admission) for method in sorted(route.methods or ())]
    return found


def test_every_route_says_which_act_it_is(house: House) -> None:
    assert len(routes(house.desk)) > 5
    others = [
        route
        for route in make_app(house.desk).routes
        if not isinstance(route, APIRoute) and route.path != "/static"  # type: ignore[attr-defined]
    ]
    assert not others, "a route that is no door"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "SELF"}, 303),
        ({"Origin": "SELF"}, 303),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:1"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "SELF"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_a_form_of_another_site_does_nothing(house: House, headers: dict[str, str], status: int) -> None:
    sent = {name: value.replace("SELF", house.origin) for name, value in headers.items()}
    with house.client("director") as client:
        token = client.cookies["__Host-retention"]
    with httpx.Client(base_url=house.origin, headers={"Cookie": f"__Host-retention={token}"}) as client:
        assert client.post("/sign-out", headers=sent).status_code == status
        assert client.get("/").status_code == (200 if status == 403 else 303)


def test_another_host_name_is_not_answered(house: House) -> None:
    with house.client("director") as client:
        assert client.get("/", headers={"Host": "rebound.example"}).status_code == 421


def test_every_answer_is_wrapped_in_the_same_headers(house: House) -> None:
    with house.client("director") as client:
        for path in ("/", "/sign-in", "/nowhere", "/openapi.json", "/static/console.css"):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "default-src 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert ("no-store" in headers["cache-control"]) is (not path.startswith("/static"))
            assert "server" not in headers


def test_a_body_that_is_too_large_is_refused_whole(house: House) -> None:
    with house.client("director") as client:
        answer = client.post("/sign-in", data={"name": "x" * 2_000_000})
        assert answer.status_code == 413
        assert "too large" in answer.text

        def endless() -> object:
            for _ in range(40):
                yield b"name=" + b"x" * 65536

        chunked = client.post(
            "/sign-in",
            content=endless(),  # type: ignore[arg-type]
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert chunked.status_code == 413


def test_only_where_documents_go_a_large_form_is_read(house: House) -> None:
    sent = {"document": ("subpoena.pdf", b"%PDF-" + b"x" * 2_000_000)}
    with house.client() as nobody:
        for path in ("/sign-in", "/sign-in/passkey", "/invitation", "/account/password", "/holds"):
            assert nobody.post(path, files=sent).status_code == 413, path
        assert nobody.post("/holds/new", files=sent).headers["location"] == "/sign-in"


def test_an_unexpected_error_quotes_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("zqcanary-patron")

    with house.client("director") as client:
        monkeypatch.setattr(house.ledger.people, "get", broken)
        page, document = client.get("/"), client.get("/", headers={"Accept": "application/json"})
    for answer in (page, document):
        assert answer.status_code == 500
        assert "zqcanary" not in answer.text
        assert "Traceback" not in answer.text
    assert document.headers["content-type"] == "application/problem+json"
    kept = "".join(path.read_text() for path in house.desk.errors.iterdir())
    assert "ValueError" in kept
    assert "zqcanary" not in kept


def test_every_form_leads_back_to_a_page_when_the_session_ended_meanwhile(house: House) -> None:
    """By its field, or because what it is sent to is a page too; signing in and out needs none."""
    pages = {path for method, path, _ in routes(house.desk) if method == "GET"}
    forms = [
        (template.name, form)
        for template in sorted((Path(app.__file__).parent / "pages_html").glob("*.html"))
        for form in re.findall(r'<form[^>]*method="post".*?(?:</form>|endmacro)', template.read_text(), re.DOTALL)
    ]  # fmt: skip
    assert len(forms) > 30
    for name, form in forms:
        action = re.sub(r"{{.*?}}", "{id}", form.partition('action="')[2].partition('"')[0])
        assert 'name="page"' in form or action in pages or action.startswith("/sign-"), (name, action)
