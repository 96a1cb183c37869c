"""Every page in a real browser: no violation of WCAG 2.2 AA, at a desk and on 320 pixels, by keyboard, and as JSON."""

from __future__ import annotations

import io
import json
import zipfile

import httpx
from playwright.sync_api import Browser, expect

from retention.permissions import Act
from tests.web.browser import NARROW, accessible, visitor
from tests.web.house import PASSWORD
from tests.web.site import Standing


def paths(site: Standing) -> list[str]:
    (waiting,) = [one.id for one in site.house.ledger.cases.list() if one.state.value == "started"]
    certificate = site.house.ledger.certificates.list()[0].id
    return [
        "/", "/cases", f"/cases/{waiting}", "/standing", "/standing/past-checkouts", "/holds", "/holds/new", "/holds/request", "/holds/told",
        "/certificates", f"/certificates/{certificate}", "/events", "/schedule",
        "/undecided", "/forecast", "/account", "/nowhere",
    ]  # fmt: skip


def test_every_page_is_accessible_on_a_narrow_screen(site: Standing, browser: Browser) -> None:
    with visitor(browser, site.house, viewport=NARROW) as page:
        for path in ("/sign-in", "/invitation", "/schedule"):
            page.goto(path)
            accessible(page)
        page.goto("/sign-in")
        page.get_by_label("Name").fill("nobody")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.locator("#errors")).to_contain_text("is not right")
        accessible(page)
    with visitor(browser, site.house, "director", viewport=NARROW) as page:
        for path in paths(site):
            page.goto(path)
            accessible(page)


def test_the_pages_about_people_are_accessible_on_a_narrow_screen(site: Standing, browser: Browser) -> None:
    with visitor(browser, site.house, "administrator", viewport=NARROW) as page:
        for path in ("/people", "/people/director", "/people/administrator"):
            page.goto(path)
            accessible(page)
        page.goto("/people/new")
        page.get_by_label("Short name").fill("Mei <b>")
        for label in ("Full name", "Title", "Public key"):
            page.get_by_label(label).fill("x")
        page.get_by_role("button", name="Go on to sign").click()
        expect(page.locator("#errors")).to_contain_text("is not a short name")
        accessible(page)
        page.goto("/people/auditor")
        page.get_by_role("button", name="Invite").click()
        expect(page.get_by_role("heading", name="Sign that you invite")).to_be_visible()
        accessible(page)


def test_a_forecast_is_drawn_and_told_in_a_table(site: Standing, browser: Browser) -> None:
    with visitor(browser, site.house, "director") as page:
        page.goto("/forecast")
        page.get_by_role("button", name="Count what comes due").click()
        site.keeper()
        page.get_by_role("link", name="Show the forecast").click()
        expect(page.get_by_role("img", name="Bar chart")).to_be_visible()
        expect(page.get_by_role("row", name="Past checkouts")).to_be_visible()
        accessible(page)


def test_signing_in_and_opening_a_page_takes_a_keyboard_only(site: Standing, browser: Browser) -> None:
    with visitor(browser, site.house) as page:
        page.goto("/sign-in")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("() => document.activeElement.id") == "name":
                break
        page.keyboard.type("auditor")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("() => document.activeElement.textContent") == "Certificates":
                break
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Certificates of destruction")).to_be_visible()


def test_every_page_answers_json_and_is_in_the_document(site: Standing) -> None:
    with site.house.client("director") as client:
        document = client.get("/openapi.json").json()
        for path in paths(site):
            by_name, by_wish = client.get(f"{path}.json" if path != "/" else "/.json"), accepted(client, path)
            assert by_name.status_code == by_wish.status_code
            assert by_name.headers["content-type"] == by_wish.headers["content-type"]
            if path != "/nowhere":
                assert by_name.status_code == 200
                assert by_name.json().keys() == by_wish.json().keys()
    acts = {act.value for act in Act} | {"public"}
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["x-act"] in acts


MEDIA = "make,model,serial,property_number,media_type,source,categorization\nAcme,D2,ZA7,LIB-7,hard-disk,recorder at Main,confidential\n"


def test_a_certificate_of_media_is_found_shown_verified_and_handed_on(
    site: Standing, browser: Browser
) -> None:
    path = site.library.root / "media.csv"
    path.write_text(MEDIA)
    site.run(
        "person",
        "add",
        "guard",
        "--full-name",
        "Guy Guard",
        "--title",
        "Guard",
        "--role",
        "second-custodian",
        "--as",
        "administrator",
    )
    planned = site.run(
        "media", "plan", "--media", str(path), "--record-type", "camera-footage", "--record-type", "past-checkouts", "--from", "2034-01-01",
        "--to", "2034-12-31", "--as", "director", "--json",
    )  # fmt: skip
    lot = str(json.loads(planned)["lot"]["id"])
    site.run("media", "approve", lot, "--as", "deputy")
    site.run("media", "attest", lot, "--method", "destroy", "--technique", "shredder", "--as", "director")
    site.run("media", "witness", lot, "--as", "guard")
    site.run("certificate", "pdf", lot)
    with visitor(browser, site.house, "auditor", viewport=NARROW) as page:
        page.goto("/certificates?record_type=camera-footage")
        page.get_by_role("link", name=lot).click()
        for told in ("Verified just now", "Attested by people", "ZA7", "Witnessed by Guy Guard, Guard"):
            expect(page.locator("main")).to_contain_text(told)
        expect(page.get_by_role("link", name="Download the PDF")).to_be_visible()
        accessible(page)
    with site.house.client("auditor") as client:
        found = client.get("/certificates.json", params={"text": lot}).json()["certificates"]
        assert [(one["record_types"], one["attested"]) for one in found] == [
            (["camera-footage", "past-checkouts"], True)
        ]
        listed = client.get("/certificates.json").json()["certificates"]
        assert [one["id"] == lot for one in listed] == [True, False, False]
        assert (
            client.get("/certificates.json", params={"record_type": "vendor-exports"}).json()["certificates"]
            == []
        )
        assert client.get(f"/certificates/{lot}.json").json()["verification"]["ok"] is True
        assert client.get(f"/certificates/{lot}/page").content.startswith(b"%PDF-")
        with zipfile.ZipFile(io.BytesIO(client.get(f"/certificates/{lot}/bundle").content)) as packed:
            packed.extractall(site.library.root / "bundle")
    assert "failed" not in site.run("certificate", "verify", str(site.library.root / "bundle" / lot))


def accepted(client: httpx.Client, path: str) -> httpx.Response:
    return client.get(path, headers={"Accept": "application/json"})
