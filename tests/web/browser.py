"""Debian's Chromium, driven by Playwright: nothing is downloaded, nothing talks to the outside."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.servers.process import ServerUnavailable
from tests.web.house import PASSWORD, House

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-component-update", "--disable-sync",
)  # fmt: skip
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
SCRIPTS_RAN = "() => typeof window.htmx !== 'undefined'"
NARROW = {"width": 320, "height": 640}
SMALL_TARGETS = """() => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")]
    .filter((it) => it.offsetParent !== null && !it.closest("p, dd, .usa-list, .usa-checkbox"))
    .map((it) => [it.outerHTML.slice(0, 90), it.getBoundingClientRect()])
    .filter(([, box]) => box.width > 0 && (box.width < 24 || box.height < 24))
    .map(([html, box]) => `${Math.round(box.width)}x${Math.round(box.height)} ${html}`)"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Raises `ServerUnavailable` where there is none."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise ServerUnavailable("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield browser
        browser.close()


@contextmanager
def visitor(browser: Browser, house: House, name: str | None = None, **options: Any) -> Iterator[Page]:
    """A browser of somebody's own, signed in through the form. ``options``: of the browser's context."""
    context: BrowserContext = browser.new_context(base_url=house.origin, **options)
    context.set_default_timeout(20_000)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None
    )
    if name is not None:
        page.goto("/sign-in")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url("**/")
    try:
        yield page
        assert not faults, "errors in the page, or something its policy forbids"
    finally:
        context.close()


def accessible(page: Page) -> None:
    """No violation of WCAG 2.2 AA that axe finds, no target under 24 pixels, no scrolling sideways."""
    if page.evaluate(SCRIPTS_RAN):
        _look_at(page, page.url)
        return
    # axe needs scripts: the same page as it came, in a browser that has them, but without ours.
    browser = page.context.browser
    assert browser is not None
    context = browser.new_context(viewport=page.viewport_size)
    try:
        twin, content = context.new_page(), page.content()
        twin.route("**/*.js", lambda route: route.abort())
        twin.route(
            page.url, lambda route: route.fulfill(body=content, content_type="text/html; charset=utf-8")
        )
        twin.goto(page.url)
        _look_at(twin, page.url)
    finally:
        context.close()


def _look_at(page: Page, url: str) -> None:
    found = Axe().run(page, options=RULES)
    told = [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']]}"
        for one in found.response["violations"]
    ]
    assert not told, (url, told)
    small = page.evaluate(SMALL_TARGETS)
    assert not small, (url, small)
    sideways = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert sideways <= 0, (url, "scrolls sideways", sideways)


def picture(page: Page, folder: Path, name: str) -> None:
    page.screenshot(path=folder / f"{name}.png", full_page=True)
