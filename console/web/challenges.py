"""Challenges for passkeys: random, for one purpose and one person, valid for some minutes, answered once by the browser that asked.

Kept sealed in a cookie of that browser; what was answered is noted as a failed attempt would be, so that no answer counts twice.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from console.web.desk import Desk
from retention.errors import LedgerUnavailable, Refused

COOKIE = "__Host-retention-passkey"
LIVES = timedelta(minutes=5)
_ROW = "console-challenge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    bytes: bytes
    cookie: str


def make(desk: Desk, purpose: str, person: str) -> Challenge:
    challenge = secrets.token_bytes(32)
    body = {
        "challenge": challenge.hex(), "purpose": purpose, "person": person, "until": (desk.now() + LIVES).isoformat(),
    }  # fmt: skip
    sealed = desk.sealer.seal(json.dumps(body).encode(), _ROW)
    return Challenge(bytes=challenge, cookie=base64.urlsafe_b64encode(sealed).decode("ascii"))


def remember(response: Response, challenge: Challenge) -> None:
    response.set_cookie(
        COOKIE, challenge.cookie, max_age=int(LIVES.total_seconds()), path="/", secure=True, httponly=True, samesite="strict"
    )  # fmt: skip


def take(request: Request, desk: Desk, purpose: str, person: str) -> bytes:
    """The challenge of this browser, once. Raises `Refused` for none, an old one, one of another purpose or person, or a used one."""
    refused = Refused("this passkey was asked for too long ago, or elsewhere", "try again")
    try:
        sealed = base64.urlsafe_b64decode(request.cookies.get(COOKIE, ""))
        body = json.loads(desk.sealer.open(sealed, _ROW))
    except (LedgerUnavailable, binascii.Error, ValueError):
        raise refused from None
    until = datetime.fromisoformat(body["until"])
    if (body["purpose"], body["person"]) != (purpose, person) or until <= desk.now():
        raise refused
    if not desk.ledger.accounts.once(desk.sealer.mark("challenge", body["challenge"]), until, desk.now()):
        raise refused
    return bytes.fromhex(body["challenge"])
