"""What the pages work with, and the wiring of it from plain addresses. One of the two places that put parts together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from console.web.oidc import Provider, Registration
from retention.clearance import Requirements
from retention.errors import LedgerUnavailable, SettingsError, UsageError
from retention.loader import load
from retention.log_files import LogFiles
from retention.schedule import Schedule
from storage.clearing import NONE
from storage.dispositions import Dispositions
from storage.documents import Documents
from storage.hold_care import HoldCare
from storage.holding import Holding
from storage.ledger.ledger import Ledger
from storage.ledger.sealing import Sealer
from storage.rulings import Rulings
from storage.staff import Staff


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """``log``: the published log, wherever its files are; ``evidence``: the published folder; both are only read. ``origin``: as browsers name it, ``https://console.example``.

    ``errors``: where descriptions of unexpected errors are kept, without data.
    """

    ledger: Ledger
    sealer: Sealer
    schedule: Schedule
    log: LogFiles
    evidence: Path
    errors: Path
    origin: str
    now: Callable[[], datetime]
    documents: Documents
    """Papers served and given for holds, sealed."""
    grace_days: int = 7
    """Between the second signature of a release and the moment a hold no longer keeps."""
    provider: Provider | None = None
    """Where people sign in beside their passwords, if anywhere."""
    required: Requirements = NONE
    """What the site asks for beyond its schedule, in a page as at the command line."""

    @property
    def host(self) -> str:
        """Host and port, as in the ``Host`` header."""
        return urlsplit(self.origin).netloc

    @property
    def dispositions(self) -> Dispositions:
        return Dispositions(ledger=self.ledger, now=self.now, required=self.required)

    @property
    def rulings(self) -> Rulings:
        return Rulings(ledger=self.ledger, schedule=self.schedule, now=self.now)

    @property
    def holding(self) -> Holding:
        return Holding(ledger=self.ledger, schedule=self.schedule, now=self.now)

    @property
    def staff(self) -> Staff:
        return Staff(ledger=self.ledger, now=self.now)

    @property
    def hold_care(self) -> HoldCare:
        return HoldCare(ledger=self.ledger, schedule=self.schedule, now=self.now)

    def title_of(self, record_type: str) -> str:
        """What a record type is called; its id when the schedule in force no longer has it."""
        found = (one.title for one in self.schedule.record_types if one.id == record_type)
        return next(found, record_type)

    def today(self) -> date:
        """The current day in the library's time zone."""
        return self.now().astimezone(self.schedule.library.zone).date()


def open_desk(
    *, ledger_url: str, state: Path, policies: Path, log: LogFiles, evidence: Path, origin: str, now: Callable[[], datetime],
    grace_days: int, registration: Registration | None = None, required: Requirements = NONE,
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
        errors=state / "errors", origin=origin, now=now, grace_days=grace_days,
        documents=Documents(state / "documents", Sealer(key)),
        provider=None if registration is None else Provider(registration, origin, now), required=required,
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
