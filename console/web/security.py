"""What is asked of every request before a page sees it, and said with every answer. Plain ASGI, outermost first:

`Guard` answers what failed unexpectedly (one of the three doors of the broad ``except``), refuses other hosts, other sites'
forms and bodies that are too large, and adds the headers. A form of another site never reaches a page, whatever cookie it carries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request

from console.cli.fault import keep
from console.web.desk import Desk
from console.web.problems import Problem, answer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE = {"GET", "HEAD", "OPTIONS"}
MAX_BODY = 1024 * 1024
MAX_UPLOAD = 128 * 1024 * 1024
"""Of a form with a document. What is over the limit of a document is read and forgotten, so that the field can say so."""
UPLOADS = "/holds/"
"""Where documents are sent to. A form is kept in memory: nobody who is not signed in makes us keep large ones."""
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with that, browsers say Origin: null about our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), publickey-credentials-get=(self), publickey-credentials-create=(self)",
}
STATIC = "/static/"
JSON_SUFFIX = ".json"


class Guard:
    def __init__(self, app: App, desk: Desk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                self._add_headers(scope, message)
            await send(message)

        _read_suffix(scope)
        scope["state"]["desk"] = self._desk
        request = Request(scope, receive)
        try:
            problem = self._refusal(request)
            if problem is not None:
                await _drain(request, MAX_UPLOAD)
                await answer(request, problem)(scope, receive, sending)
            else:
                await self._app(scope, _counted(request, receive), sending)
        except TooLarge:
            await answer(request, _TOO_LARGE)(scope, receive, sending)
        except Exception as error:  # noqa: BLE001  # one of the three doors: an unknown error must not quote data
            keep(error, self._desk.errors, self._desk.now())
            if not begun:
                await answer(request, _UNEXPECTED)(scope, receive, sending)

    def _refusal(self, request: Request) -> Problem | None:
        headers = request.headers
        if headers.get("host") != self._desk.host:
            return Problem(421, "This is not the address of these pages", f"Open {self._desk.origin}")
        if request.method not in SAFE and not is_own(headers, self._desk.origin):
            return Problem(
                403, "This form came from another site", "Nothing was done. Open the page here and send it again."
            )  # fmt: skip
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit_of(request):
            return _TOO_LARGE
        return None

    def _add_headers(self, scope: Scope, message: Message) -> None:
        headers = MutableHeaders(raw=message.setdefault("headers", []))
        headers.update(HEADERS)
        if self._desk.origin.startswith("https:"):
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if not scope["path"].startswith(STATIC):
            headers["Cache-Control"] = "no-store"


class TooLarge(Exception):
    """More came than was announced."""


_TOO_LARGE = Problem(
    413, "What was sent is too large", "Nothing was done. Send a smaller file: documents have at most 20 MB."
)
_UNEXPECTED = Problem(
    500,
    "Something unexpected happened",
    "It was written down where it happened, without any data. Tell whoever looks after this program.",
)


def is_own(headers: Headers, origin: str) -> bool:
    """Whether a request that changes something comes from a page of ours.

    By what the browser itself says, which no page can forge: ``Sec-Fetch-Site``, and ``Origin``. *same-site* is not ours:
    another port of the same machine is another site's.
    """
    site, source = headers.get("sec-fetch-site"), headers.get("origin")
    if site is None and source is None:
        return False
    return site in (None, "same-origin") and source in (None, origin)


def limit_of(request: Request) -> int:
    """The largest body of a request, in bytes."""
    form = request.headers.get("content-type", "").startswith("multipart/form-data")
    return MAX_UPLOAD if form and request.scope["path"].startswith(UPLOADS) else MAX_BODY


def _counted(request: Request, receive: Receive) -> Receive:
    limit, seen = limit_of(request), 0

    async def counting() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise TooLarge
        return message

    return counting


async def _drain(request: Request, at_most: int) -> None:
    """Read and forget: a browser shows an answer only when it could send everything."""
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > at_most:
            return


def _read_suffix(scope: Scope) -> None:
    """``/cases.json`` is ``/cases`` as JSON."""
    path = scope["path"]
    scope.setdefault("state", {})["json"] = False
    if path.endswith(JSON_SUFFIX) and not path.startswith(STATIC) and path != "/openapi.json":
        scope["path"] = path.removesuffix(JSON_SUFFIX) or "/"
        scope["state"]["json"] = True
