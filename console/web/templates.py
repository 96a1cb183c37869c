"""Pages from templates, and the same facts as JSON. Everything is escaped; nothing that is missing is passed over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from console.web import wording

environment = Environment(
    loader=PackageLoader("console.web", "pages_html"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip
environment.filters.update(wording.FILTERS)
environment.globals.update(wording.GLOBALS)


def wants_json(request: Request) -> bool:
    """By the address (``.json``), or because it is the first thing that the client accepts."""
    accepts = request.headers.get("accept", "")
    return bool(request.scope.get("state", {}).get("json")) or accepts.split(",")[0].strip().startswith(
        ("application/json", "application/problem+json")
    )


def render(request: Request, template: str, context: Mapping[str, Any], *, status: int = 200) -> Response:
    """``context`` with ``visit``: who looks, ``None`` where nobody is known."""
    visit = getattr(request.state, "visit", None)
    schedule = request.state.desk.schedule
    known = {"visit": visit, "request": request, "library": schedule.library, "zone": schedule.library.zone}
    page = environment.get_template(template).render({**known, **context})
    return HTMLResponse(page, status_code=status)
