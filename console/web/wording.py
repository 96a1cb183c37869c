"""How facts are told in pages: numbers, days, moments, sizes, states. The words are those of the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, tzinfo
from typing import Any
from urllib.parse import quote

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from console.cli import words
from retention.dates import parse_period
from retention.permissions import Act
from retention.schedule import Period


def number(value: int) -> str:
    return f"{value:,}"


def day(value: date | None) -> str:
    """ "2 June 2025"."""
    return "" if value is None else f"{value.day} {value:%B %Y}"


@pass_context
def moment(context: Context, value: datetime | None) -> Markup:
    """On the library's clock, with its zone, and machine readable."""
    if value is None:
        return Markup("")
    return Markup('<time datetime="{}">{}</time>').format(
        value.isoformat(timespec="seconds"), on_the_clock(value, context["zone"])
    )


def on_the_clock(value: datetime, zone: tzinfo, *, to_the_second: bool = False) -> str:
    """A moment as the library's clock shows it; seconds where it is told to the second, and has some."""
    local = value.astimezone(zone)
    seconds = f":{local:%S}" if to_the_second and local.second else ""
    return f"{local.day} {local:%B %Y}, {local:%H:%M}{seconds} {local.tzname()}"


def short(digest: str) -> str:
    """A digest as people compare it."""
    return digest[:12]


def path(value: object) -> str:
    """One piece of an address."""
    return quote(str(value), safe="")


def period(value: Period | None) -> str:
    """ "7 years", "1 month and 15 days"; "" for none."""
    if value is None:
        return ""
    parts = [
        words.plural(number, unit)
        for number, unit in ((value.years, "year"), (value.months, "month"), (value.days, "day"))
        if number
    ]
    return words.listed(parts) if parts else "no time"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "number": number, "day": day, "moment": moment, "short": short, "seg": path, "plural": words.plural,
}  # fmt: skip
NAVIGATION = (
    ("/", "Queue"),
    ("/holds", "Holds"),
    ("/cases", "Cases"),
    ("/certificates", "Certificates"),
    ("/standing", "Standing"),
    ("/schedule", "Schedule"),
    ("/forecast", "Forecast"),
    ("/undecided", "Cannot decide"),
    ("/events", "Events"),
)


def section(path: str) -> str:
    """The page of the navigation that a path belongs to."""
    return "/" if path == "/" else f"/{path.split('/')[1]}"


CASE_SHORT = {"started": "Open", "closed": "Done", "returned": "Sent back", "failed": "Stopped"}
CASE_COLOUR = {"started": "wait", "closed": "done", "returned": "plain", "failed": "stop"}
HOLD_COLOUR = {
    "requested": "wait", "declined": "plain", "placing": "wait", "provisional": "wait", "active": "done", "release-requested": "wait",
    "in-grace": "wait", "released": "plain",
}  # fmt: skip
STANDING_COLOUR = {
    "in force": "done", "waits for a second person": "wait", "over, or the rule changed": "stop", "none": "plain",
}  # fmt: skip
CERTIFICATE_COLOUR = {"final": "done", "provisional": "wait", "superseded": "stop"}

GLOBALS: Mapping[str, Any] = {
    "words": words, "NAVIGATION": NAVIGATION, "section": section, "period": period, "parse_period": parse_period, "Act": Act, "CASE_SHORT": CASE_SHORT,
    "CASE_COLOUR": CASE_COLOUR, "HOLD_COLOUR": HOLD_COLOUR, "CERTIFICATE_COLOUR": CERTIFICATE_COLOUR,
    "STANDING_COLOUR": STANDING_COLOUR,
}  # fmt: skip
