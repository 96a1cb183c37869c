"""The one clock of the program, for whoever runs: nothing below reads one."""

from __future__ import annotations

from datetime import UTC, datetime


def clock() -> datetime:
    return datetime.now(UTC)
