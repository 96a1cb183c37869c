"""The doors of the pages: every route says which act it is, and nobody comes in whose role does not let them.

A route without an act cannot be made here. What a case or a hold allows in its state, four eyes and the need to know are
decided where it is acted upon, as at the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Request
from fastapi.encoders import jsonable_encoder
from starlette.responses import JSONResponse, RedirectResponse, Response

from console.web.desk import Desk
from console.web.problems import SignInFirst
from console.web.templates import render, wants_json
from console.web.wording import on_the_clock
from retention.errors import UsageError
from retention.permissions import Act, may
from storage.ledger.accounts import Session
from storage.ledger.people import Person

COOKIE = "__Host-retention"
Handler = TypeVar("Handler", bound=Callable[..., Any])


class Everyone(Enum):
    """Who may come in without an act: anybody at all."""

    PUBLIC = "public"


PUBLIC = Everyone.PUBLIC


class Forbidden(Exception):
    """The role of whoever is signed in does not let them."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request of one person; ``person`` and ``session`` are ``None`` for somebody who is not signed in."""

    request: Request
    desk: Desk
    session: Session | None
    person: Person | None

    @property
    def who(self) -> Person:
        """Whoever is signed in. Raises `SignInFirst`."""
        if self.person is None:
            raise SignInFirst
        return self.person

    def may(self, act: Act) -> bool:
        return self.person is not None and may(self.person.role, act)

    def on_the_clock(self, at: datetime) -> str:
        """A moment as the library's clock shows it."""
        return on_the_clock(at, self.desk.schedule.library.zone)

    @property
    def is_swap(self) -> bool:
        """Whether only a part of the page is asked for."""
        return self.request.headers.get("hx-request") == "true"

    def page(
        self, template: str, *, title: str, facts: Mapping[str, Any], status: int = 200, **context: Any
    ) -> Response:
        """A page, or its facts as JSON. ``context``: what only the page needs (form fields, errors)."""
        if wants_json(self.request):
            body = {**facts, "errors": context["errors"]} if context.get("errors") else dict(facts)
            return JSONResponse(jsonable_encoder(body), status_code=status)
        return render(self.request, template, {"title": title, **facts, **context}, status=status)

    def see(self, path: str) -> Response:
        """Go on to another page after something was done."""
        return RedirectResponse(path, status_code=303)


class Admit:
    """The check at a door. ``act``: what somebody does who goes through."""

    def __init__(self, act: Act | Everyone) -> None:
        self.act = act

    def __call__(self, request: Request) -> None:
        desk: Desk = request.state.desk
        session, person = _who(request, desk)
        request.state.visit = Visit(request=request, desk=desk, session=session, person=person)
        if isinstance(self.act, Everyone):
            return
        if person is None:
            raise SignInFirst
        if not may(person.role, self.act):
            raise Forbidden


def _who(request: Request, desk: Desk) -> tuple[Session | None, Person | None]:
    token = request.cookies.get(COOKIE)
    session = None if not token else desk.ledger.accounts.session(token, desk.now())
    request.state.expired = None
    if session is None:
        return None, None
    if session.is_over(desk.now()):
        request.state.expired = session.person
        return None, None
    try:
        person = desk.ledger.people.get(session.person)
    except UsageError:
        return None, None
    return (None, None) if person.disabled else (session, person)


def visit_of(request: Request) -> Visit:
    visit: Visit = request.state.visit
    return visit


Here = Annotated[Visit, Depends(visit_of)]
"""The visit, in a handler's arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One route. ``fields``: names of its form's fields, for the OpenAPI document."""

    method: str
    path: str
    act: Act | Everyone
    fields: Sequence[str]
    handler: Callable[..., Any]

    def hang(self, app: FastAPI) -> None:
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in self.fields}}
        form = {"requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}}
        app.add_api_route(
            self.path, self.handler, methods=[self.method], dependencies=[Depends(Admit(self.act))], response_model=None,
            responses=_ANSWERS, summary=(self.handler.__doc__ or "").strip().split("\n")[0] or None,
            openapi_extra={"x-act": self.act.value, **(form if self.method == "POST" else {})},
        )  # fmt: skip


class Doors(list[Door]):
    """The routes of one subject, in the order in which they are tried."""

    def get(self, path: str, act: Act | Everyone) -> Callable[[Handler], Handler]:
        return self._door("GET", path, act, ())

    def post(
        self, path: str, act: Act | Everyone, *, fields: Sequence[str] = ()
    ) -> Callable[[Handler], Handler]:
        return self._door("POST", path, act, fields)

    def _door(
        self, method: str, path: str, act: Act | Everyone, fields: Sequence[str]
    ) -> Callable[[Handler], Handler]:
        def made(handler: Handler) -> Handler:
            self.append(Door(method=method, path=path, act=act, fields=fields, handler=handler))
            return handler

        return made


_PROBLEM = {
    "application/problem+json": {
        "schema": {
            "type": "object",
            "properties": {
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
            },
        }
    }
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The page, or its facts", "content": {"application/json": {}, "text/html": {}}},
    303: {"description": "Done, or sign in first: see the other page"},
    401: {"description": "Sign in first", "content": _PROBLEM},
    403: {"description": "Not for this role, or from another site", "content": _PROBLEM},
    404: {"description": "There is no such thing for you", "content": _PROBLEM},
    409: {"description": "Refused by a rule", "content": _PROBLEM},
    413: {"description": "Too large", "content": _PROBLEM},
    421: {"description": "Another host", "content": _PROBLEM},
    422: {"description": "What was typed is not usable; the fields are named", "content": _PROBLEM},
    429: {"description": "Too many failed sign-ins", "content": _PROBLEM},
    503: {"description": "The ledger does not answer", "content": _PROBLEM},
}


def admission_of(route: Any) -> Admit | None:
    """The check of a route; ``None`` where it has none."""
    for dependency in getattr(route, "dependencies", ()):
        if isinstance(dependency.dependency, Admit):
            return dependency.dependency
    return None
