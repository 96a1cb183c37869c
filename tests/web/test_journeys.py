"""Two stories in a real browser over a real site: a case from queue to certificate, a hold from subpoena to release.

With and without JavaScript; two people in two browsers; signatures by `retention sign` and by passkey.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.browser import NARROW, accessible, visitor
from tests.web.site import Standing

PDF = b"%PDF-1.7\nSubpoena duces tecum\n"


def paste(site: Standing, page: Page, name: str) -> None:
    """Sign what the page shows with one's own key, as somebody without a passkey does."""
    link = page.get_by_role("link", name="Download the statement").get_attribute("href")
    statement = page.request.get(f"{site.house.origin}{link}").body()
    page.get_by_label("Signature").fill(site.signature(statement, name))
    page.get_by_role("button", name="Sign and do it").click()


def by_keyboard(page: Page, name: str | re.Pattern[str]) -> None:
    """Go to something by its name and press Enter."""
    found = page.get_by_role("link", name=name).or_(page.get_by_role("button", name=name))
    chosen = found.or_(page.locator("summary").filter(has_text=name)).first
    chosen.focus()
    expect(chosen).to_be_focused()
    page.keyboard.press("Enter")


def with_passkey(site: Standing, page: Page, name: str) -> None:
    """A virtual authenticator in this browser, and a passkey in it for whoever is signed in, who signs for it."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }  # fmt: skip
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto("/account")
    page.get_by_label("Name of a new passkey").fill("test authenticator")
    page.get_by_role("button", name="Add a passkey…").click()
    expect(page).to_have_url(re.compile("/sign/"))
    accessible(page)
    paste(site, page, name)
    expect(page.get_by_role("listitem").filter(has_text="test authenticator")).to_be_visible()


@pytest.mark.slow
def test_a_case_goes_from_the_queue_to_its_certificate(site: Standing, browser: Browser) -> None:
    (waiting,) = [one.id for one in site.house.ledger.cases.list() if one.record_type == "vendor-exports"]
    with (
        visitor(browser, site.house, "director") as director,
        visitor(browser, site.house, "deputy", java_script_enabled=False, viewport=NARROW) as deputy,
    ):
        # The director, with a passkey
        with_passkey(site, director, "director")
        accessible(director)
        director.goto("/")
        director.get_by_role("link", name="Exports to vendors: 3 records").click()
        director.get_by_role("button", name="Show a sample").click()
        site.keeper()
        expect(director.get_by_text("3 of 3 items, evenly over the list")).to_be_visible()
        accessible(director)
        director.get_by_role("button", name="Take these out…").click()
        expect(director.get_by_label("Why they stay")).to_be_focused()
        director.get_by_label("How many records are to go").fill("2")
        director.get_by_role("button", name="Approve…").click()
        expect(director.locator("#errors")).to_contain_text("is not about 2 records")
        accessible(director)
        director.get_by_label("How many records are to go").fill("3")
        director.get_by_text("Lift the brake “records” for this case").click()
        director.get_by_role("button", name="Approve…").click()
        director.get_by_role("button", name="Sign with a passkey").click()
        expect(director.get_by_text("approved by Ada Berg")).to_be_visible()

        # The same person again: four eyes
        director.get_by_label("How many records are to go").fill("3")
        director.get_by_text("Lift the brake “records” for this case").click()
        director.get_by_role("button", name="Approve…").click()
        expect(director.locator("#errors")).to_contain_text("has approved case")

        # The deputy, without JavaScript on a narrow screen
        deputy.goto(f"/cases/{waiting}")
        expect(deputy.get_by_text("approved by Ada Berg")).to_be_visible()
        accessible(deputy)
        deputy.get_by_label("How many records are to go").fill("3")
        deputy.get_by_text("Lift the brake “records” for this case").click()
        deputy.get_by_role("button", name="Approve…").click()
        paste(site, deputy, "deputy")
        expect(deputy.get_by_text("approved by Béla Novák")).to_be_visible()

        # The next run carries it out, and the certificate has both
        site.run("run", "--execute")
        assert site.library.exports() == []
        director.goto(f"/cases/{waiting}")
        expect(director.get_by_text("Since you last looked")).to_be_visible()
        accessible(director)
        director.get_by_role("link", name=re.compile(f"^{waiting}-")).click()
        expect(director.get_by_text("Verified just now")).to_be_visible()
        expect(director.get_by_text("Approved by Ada Berg, Library Director")).to_be_visible()
        expect(director.get_by_text("Approved by Béla Novák, Deputy Director")).to_be_visible()
        accessible(director)
        with director.expect_download() as download:
            director.get_by_role("link", name="Download the bundle").click()
        assert download.value.suggested_filename == f"{waiting}-1.zip"


@pytest.mark.slow
def test_a_hold_goes_from_subpoena_to_release(site: Standing, browser: Browser, tmp_path: Path) -> None:
    document = tmp_path / "subpoena.pdf"
    document.write_bytes(PDF)
    with (
        visitor(browser, site.house, "director", java_script_enabled=False) as director,
        visitor(browser, site.house, "deputy") as deputy,
        visitor(browser, site.house, "counsel", viewport=NARROW) as counsel,
    ):
        # Counsel records what came in, by keyboard on a narrow screen, and verifies it
        counsel.goto("/holds")
        by_keyboard(counsel, "Record a request")
        expect(counsel.get_by_role("heading", name="Record a request")).to_be_visible()
        accessible(counsel)
        counsel.get_by_role("textbox", name="Number", exact=True).fill("2035-CV-16")
        counsel.get_by_label("Issued by").fill("Police")
        counsel.get_by_text("Past checkouts").click()
        counsel.get_by_label("Patrons").fill("104")
        counsel.get_by_label("From").fill("2035-03-11 02:30")
        by_keyboard(counsel, "Go on to sign…")
        expect(counsel.locator("#errors")).to_contain_text("skipped this time")
        accessible(counsel)
        counsel.get_by_label("From").fill("2035-03-01")
        by_keyboard(counsel, "Go on to sign…")
        paste(site, counsel, "counsel")
        expect(counsel.get_by_text("nobody has decided on it, and it keeps nothing")).to_be_visible()
        by_keyboard(counsel, "Counsel's word on the request")
        counsel.get_by_label("Is the request what it claims to be?").select_option("verified")
        accessible(counsel)
        by_keyboard(counsel, "Sign it…")
        paste(site, counsel, "counsel")
        expect(counsel.get_by_text("Verified", exact=True)).to_be_visible()

        # The director declines it, and places a hold on the subpoena that follows
        director.goto("/")
        director.get_by_role("link", name=re.compile("^Request H")).click()
        expect(director.get_by_text("It keeps nothing yet.")).to_be_visible()
        accessible(director)
        director.get_by_label("Why it is not placed").fill("the subpoena has come")
        director.get_by_role("button", name="Decline…").click()
        paste(site, director, "director")
        expect(director.get_by_text("Declined: it was never placed")).to_be_visible()
        director.goto("/holds")
        director.get_by_role("link", name="Place a hold").click()
        director.get_by_role("textbox", name="Number", exact=True).fill("2035-CV-17 <b>&amp;")
        director.get_by_label("Issued by").fill("District Court")
        director.get_by_label("The document served").set_input_files(document)
        director.get_by_text("Past checkouts").click()
        director.get_by_label("Patrons").fill("101\n102")
        director.get_by_role("button", name="Preview what it keeps").click()
        site.keeper()
        director.get_by_role("link", name="Look again").click()
        expect(director.get_by_text("It would keep 6 records and stop 0 cases.")).to_be_visible()
        expect(director.get_by_text(re.compile("6 records, from 2035-.* to 2035-"))).to_be_visible()
        accessible(director)
        assert (
            director.get_by_role("textbox", name="Number", exact=True).input_value() == "2035-CV-17 <b>&amp;"
        )
        director.get_by_label("The document served").set_input_files(document)
        director.get_by_role("button", name="Go on to sign…").click()
        accessible(director)
        paste(site, director, "director")
        expect(director.get_by_text("Written down and keeps")).to_be_visible()
        site.keeper()
        director.get_by_role("link", name="Look again").click()
        expect(director.get_by_text("waits for a second custodian to confirm it")).to_be_visible()
        expect(director.get_by_text("You placed it: somebody else confirms it.")).to_be_visible()

        deputy.goto("/")
        deputy.get_by_role("link", name=re.compile("^Hold H")).click()
        expect(deputy.get_by_text("2035-CV-17 <b>&amp;")).to_be_visible()
        deputy.get_by_role("button", name="Confirm this hold…").click()
        paste(site, deputy, "deputy")
        expect(deputy.get_by_text("In force.")).to_be_visible()
        accessible(deputy)

        # Somebody is told and acknowledges it; it is widened, and reviewed
        director.reload()
        hold = director.url
        director.get_by_text("Tell people to preserve").click()
        director.get_by_text("Operator Example").click()
        director.get_by_role("button", name="Write down who was told…").click()
        paste(site, director, "director")
        expect(director.get_by_text("Not acknowledged yet by")).to_be_visible()
        accessible(director)
        with visitor(browser, site.house, "operator", viewport=NARROW) as operator:
            operator.get_by_role("link", name=re.compile("^Told of hold H")).click()
            expect(operator.get_by_role("heading", name="You were told of this hold")).to_be_visible()
            accessible(operator)
            operator.goto("/holds/told")
            accessible(operator)
            by_keyboard(operator, re.compile("^Acknowledge hold H"))
            paste(site, operator, "operator")
            expect(operator.get_by_text("Not acknowledged yet by")).to_have_count(0)
            expect(operator.get_by_text("2035-CV-17")).to_have_count(0)
        director.get_by_role("link", name="Widen it…").click()
        expect(director.get_by_role("heading", name="What it keeps now")).to_be_visible()
        director.get_by_label("Patrons").fill("103")
        accessible(director)
        director.get_by_role("button", name="Go on to sign…").click()
        paste(site, director, "director")
        site.keeper()
        director.goto(hold)
        expect(director.get_by_text("3 patrons")).to_be_visible()
        director.get_by_text("Review it").click()
        director.get_by_label("It stays. Next review on").fill("2036-01-15")
        director.get_by_role("button", name="Sign the review…").click()
        paste(site, director, "director")
        expect(director.get_by_text("15 January 2036")).to_be_visible()

        director.get_by_label("The document that ends the duty").set_input_files(document)
        director.get_by_role("button", name="Ask for the release…").click()
        paste(site, director, "director")
        deputy.goto("/")
        deputy.get_by_role("link", name=re.compile("^Hold H")).click()
        deputy.get_by_role("button", name="Approve the release…").click()
        paste(site, deputy, "deputy")
        expect(deputy.get_by_text("In force until its grace period ends.")).to_be_visible()
        site.house.clock.ahead += timedelta(days=7, minutes=1)
        site.run("run", "--execute")
    with visitor(browser, site.house, "auditor") as auditor:
        auditor.goto("/holds?released=yes")
        expect(auditor.get_by_text("released", exact=True)).to_be_visible()
        expect(auditor.get_by_text("2035-CV-17")).to_have_count(0)
        accessible(auditor)
