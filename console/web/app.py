"""The app of the pages, put together by hand."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from console.web import problems
from console.web.desk import Desk
from console.web.doors import Doors, Forbidden, Here
from console.web.forms import read_form
from console.web.pages import (
    account,
    asking,
    cases,
    certificates,
    events,
    forecast,
    hold_care,
    hold_change,
    hold_life,
    hold_new,
    holds,
    oidc,
    people,
    queue,
    schedule,
    sign_in,
    signing,
    standing,
)
from console.web.problems import BadForm, NotFound, Problem, SignInFirst, answer, problem_of
from console.web.security import SAFE, Guard
from console.web.templates import wants_json
from retention.errors import RetentionError, UsageError
from retention.permissions import Act
from storage.ledger.drafts import DraftKind

STATIC = Path(__file__).parent / "static"
SECRETS = frozenset({"current", "password", "again", "code"})
"""Fields that are never kept in a draft."""


class Static(StaticFiles):
    """Files of this version: they change only with it, and a reload after an update asks again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response


def make_app(desk: Desk) -> FastAPI:
    app = FastAPI(
        title="Retention", version=version("retention"), openapi_url=None, docs_url=None, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    app.add_middleware(Guard, desk=desk)
    app.mount("/static", Static(directory=STATIC), name="static")
    for doors in (
        sign_in.doors, oidc.doors, queue.doors, cases.doors, hold_new.doors, holds.doors, hold_life.doors, hold_change.doors, hold_care.doors, certificates.doors, events.doors, schedule.doors, account.doors, people.doors, asking.doors, forecast.doors, standing.doors, signing.doors,
        _document(app),
    ):  # fmt: skip
        for door in doors:
            door.hang(app)
    app.add_exception_handler(SignInFirst, _sign_in_first)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(NotFound, _not_found)
    app.add_exception_handler(BadForm, _bad_form)
    app.add_exception_handler(RequestValidationError, _bad_form)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RetentionError, _refused)
    return app


def _document(app: FastAPI) -> Doors:
    doors = Doors()

    @doors.get("/openapi.json", Act.READ)
    def openapi(visit: Here) -> Response:
        """This document."""
        return JSONResponse(app.openapi())

    return doors


async def _sign_in_first(request: Request, error: Exception) -> Response:
    """To the form, and back afterwards. What was being typed when the session ended is kept, sealed, for that person."""
    draft = ""
    if request.method not in SAFE:
        draft = await _keep_typed(request)
    if wants_json(request):
        return answer(request, Problem(401, "Sign in first", "The session is over, or there is none."))
    wanted = {"next": request.url.path + (f"?{request.url.query}" if request.url.query else "")}
    asked = {"draft": draft} if draft else wanted if request.method in SAFE else {}
    return RedirectResponse(f"/sign-in?{urlencode(asked)}" if asked else "/sign-in", status_code=303)


async def _keep_typed(request: Request) -> str:
    """Only for somebody whose session just ended: nobody else fills the ledger."""
    person, desk = request.state.expired, request.state.desk
    if person is None:
        return ""
    form = await read_form(request)
    values = {name: list(values) for name, values in form.values.items() if name not in SECRETS}
    body = {"page": form.one("page") or request.url.path, "values": values}
    return await run_in_threadpool(desk.ledger.drafts.keep, person, DraftKind.TYPED, body, desk.now())


def _forbidden(request: Request, error: Exception) -> Response:
    role = request.state.visit.who.role.value
    return answer(
        request,
        Problem(
            403, "This is not for your role", f"You are signed in as {role}. Somebody else has to do it."
        ),
    )


def _not_found(request: Request, error: Exception) -> Response:
    return answer(request, problems.NOT_FOUND)


def _bad_form(request: Request, error: Exception) -> Response:
    return answer(request, problems.BAD_FORM)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return answer(request, problems.NOT_FOUND)
    if error.status_code == 405:
        return answer(request, Problem(405, "This page is not used that way"))
    return answer(request, Problem(error.status_code, "This request cannot be answered"))


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RetentionError)
    if isinstance(error, UsageError) and request.method in SAFE:
        return answer(request, problems.NOT_FOUND)
    return answer(request, problem_of(error))
