"""What the pages work with, and the wiring of it from plain addresses. One of the two places that put parts together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from retention.errors import LedgerUnavailable, SettingsError, UsageError
from retention.loader import load
from retention.schedule import Schedule
from storage.ledger.ledger import Ledger
from storage.ledger.sealing import Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """``log``, ``evidence``: the published folders, read only. ``origin``: as browsers name it, ``https://console.example``.

    ``errors``: where descriptions of unexpected errors are kept, without data.
    """

    ledger: Ledger
    sealer: Sealer
    schedule: Schedule
    log: Path
    evidence: Path
    errors: Path
    origin: str
    now: Callable[[], datetime]

    @property
    def host(self) -> str:
        """Host and port, as in the ``Host`` header."""
        return urlsplit(self.origin).netloc

    def today(self) -> date:
        """The current day in the library's time zone."""
        return self.now().astimezone(self.schedule.library.zone).date()


def open_desk(
    *, ledger_url: str, state: Path, policies: Path, log: Path, evidence: Path, origin: str, now: Callable[[], datetime]
) -> Desk:  # fmt: skip
    """The desk of a site. Raises `SettingsError` for an origin that is none, `LedgerUnavailable`, `ScheduleInvalid`."""
    try:
        key = (state / "sealing.key").read_bytes()
    except OSError:
        raise LedgerUnavailable(
            f"{state / 'sealing.key'} is missing",
            "a new site: retention db upgrade; otherwise restore it from your backup",
        ) from None
    try:
        text = policies.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{policies}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}", "set RETENTION_POLICIES"
        ) from None
    require_origin(origin)
    ledger = Ledger(ledger_url, key)
    ledger.connection.require_current()
    return Desk(
        ledger=ledger, sealer=Sealer(key), schedule=load(text, str(policies)), log=log, evidence=evidence,
        errors=state / "errors", origin=origin, now=now,
    )  # fmt: skip


def require_origin(origin: str) -> None:
    """Raises `SettingsError` unless browsers keep secure cookies for it: https, or this machine itself."""
    parts = urlsplit(origin)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    whole = f"{parts.scheme}://{parts.netloc}" == origin and parts.hostname
    if not whole or parts.scheme not in ("http", "https") or (parts.scheme == "http" and not local):
        raise SettingsError(
            "RETENTION_CONSOLE_ORIGIN is not an address that pages can have",
            "scheme, host and port without a path: https://retention.library.example; http only for localhost",
        )
