"""Where a list goes on: sealed, so that neither a number nor a gap between two tells of what is not shown."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime

from console.web.desk import Desk
from console.web.problems import NotFound
from retention.errors import LedgerUnavailable

_ROW = "console-cursor"
_WIDTH = 96
"""Bytes: every cursor is as long, or its length would tell how many digits a number has."""


def seal(desk: Desk, *where: str | int) -> str:
    sealed = desk.sealer.seal(json.dumps(where).encode().ljust(_WIDTH), _ROW)
    return base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("=")


def read(desk: Desk, cursor: str) -> list[str | int]:
    """Raises `NotFound` for a cursor that this desk did not make."""
    try:
        sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        where: list[str | int] = json.loads(desk.sealer.open(sealed, _ROW))
    except (LedgerUnavailable, binascii.Error, ValueError):
        raise NotFound from None
    return where


def moment(desk: Desk, cursor: str) -> tuple[datetime, str] | None:
    """A moment and an id; ``None`` for no cursor."""
    if not cursor:
        return None
    where = read(desk, cursor)
    if len(where) != 2:
        raise NotFound
    try:
        return datetime.fromisoformat(str(where[0])), str(where[1])
    except ValueError:
        raise NotFound from None
