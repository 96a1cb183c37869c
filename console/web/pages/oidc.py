"""Signing in at the identity provider: there, and back again."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from console.web.doors import PUBLIC, Doors, Here, Visit
from console.web.oidc import CALLBACK, LIFE, Provider, seal, unseal
from console.web.pages.sign_in import is_active, local, welcome
from console.web.problems import NotFound, explained
from retention.errors import Refused, Unavailable

doors = Doors()
COOKIE = "__Host-retention-oidc"
MAX_NEXT = 1500
"""Longest address to come back to: a cookie has about 4 KB."""


@doors.get("/sign-in/oidc", PUBLIC)
def leave(visit: Here, next: str = "/", draft: str = "") -> Response:
    """Go to the identity provider."""
    provider = _provider(visit)
    wanted = local(next) if len(next) <= MAX_NEXT else "/"
    try:
        address, away = provider.send(next=wanted, draft=draft[:64])
    except Unavailable as error:
        return _form(visit, error, status=503)
    response = RedirectResponse(address, status_code=303)
    cookie = seal(visit.desk.sealer, away)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(LIFE.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",
    )
    return response


@doors.get(CALLBACK, PUBLIC)
def come_back(visit: Here) -> Response:
    """Come back from the identity provider."""
    provider = _provider(visit)
    try:
        away = unseal(visit.desk.sealer, visit.request.cookies.get(COOKIE))
        back = provider.come_back(away, visit.request.query_params)
        # 7. Somebody whom an administrator entered
        name = visit.desk.ledger.accounts.bound(back.subject)
        if name is None or not is_active(visit, name):
            raise Refused("nobody here is entered under what you are called there", "ask an administrator")
        response = welcome(visit, name, "oidc", next=away.next, draft=away.draft, id_token=back.id_token)
    except Unavailable as error:
        response = _form(visit, error, status=503)
    except Refused as error:
        response = _form(visit, error, status=422)
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


def _provider(visit: Visit) -> Provider:
    if visit.desk.provider is None:
        raise NotFound
    return visit.desk.provider


def _form(visit: Visit, error: Refused | Unavailable, *, status: int) -> Response:
    return visit.page(
        "sign_in.html", title="Sign in", facts={"refused": explained(error)}, status=status, next="/", draft="", name="", errors={}
    )  # fmt: skip
