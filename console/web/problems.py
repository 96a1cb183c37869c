"""What went wrong, told to a person or as a problem document (RFC 9457). Never a traceback, never a value somebody typed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from console.web.templates import render, wants_json
from retention.errors import (
    Refused,
    RetentionError,
    Unavailable,
    UsageError,
    VerificationFailed,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """``status``: of HTTP. ``title``: what is wrong. ``detail``: what to do about it."""

    status: int
    title: str
    detail: str = ""


class SignInFirst(Exception):
    """Nobody is signed in, or the session is over. ``draft``: where what was being sent is kept."""

    def __init__(self, draft: str | None = None) -> None:
        super().__init__(draft)
        self.draft = draft


class BadForm(Exception):
    """What was sent is not a form."""


class NotFound(Exception):
    """There is no such page, or none for this person: the two look alike."""


BAD_FORM = Problem(422, "What was sent is not a form", "Nothing was done. Open the page and send it again.")
NOT_FOUND = Problem(404, "There is no such page", "It may have been moved, or never have been there.")
STATUS: tuple[tuple[type[RetentionError], int], ...] = (
    (Refused, 409),
    (UsageError, 422),
    (VerificationFailed, 409),
    (Unavailable, 503),
)
_COMMAND = re.compile(r"\bretention [a-z]|--[a-z]")
"""A hint for the command line does not help in a page."""


def sentence(message: str) -> str:
    """An error's message, to stand at a field."""
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")


def explained(error: RetentionError) -> str:
    """An error, to stand at a field: what is wrong, and what to do about it."""
    hint = _hint(error)
    return sentence(error.message) + (f" {sentence(hint)}" if hint else "")


def problem_of(error: RetentionError) -> Problem:
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 503)
    title = error.message[:1].upper() + error.message[1:]
    return Problem(status, title, _hint(error))


def _hint(error: RetentionError) -> str:
    return "" if _COMMAND.search(error.hint) else error.hint[:1].upper() + error.hint[1:]


def answer(request: Request, problem: Problem) -> Response:
    if wants_json(request):
        body = {
            "type": "about:blank",
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
        }
        return JSONResponse(body, status_code=problem.status, media_type="application/problem+json")
    return render(
        request, "problem.html", {"title": problem.title, "problem": problem}, status=problem.status
    )
