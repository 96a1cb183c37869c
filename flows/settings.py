"""Settings: addresses, folders and secrets of one site. From the environment, ``.env`` or a secrets directory; never from
the schedule.

Every name begins with ``RETENTION_``; nested ones use two underscores: ``RETENTION_STORES__ILS__URL``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as Unreadable

from retention.clearance import Requirements
from retention.errors import SettingsError
from storage.keys.roots.root import RootKind

LOG_URL = r"^s3://[a-z0-9][a-z0-9.-]+(/[^\s]*)?$"
"""A log in a bucket."""


class BucketAccess(BaseModel):
    """How a bucket is reached."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str = Field(default="", pattern=r"^(https?://[^/]+/?)?$")
    """Of a server other than AWS."""
    region: str = ""
    addressing: Literal["auto", "path", "virtual"] = "auto"
    access_key: SecretStr | None = None
    """Without it: as AWS's own tools find credentials, such as the role of the machine."""
    secret_key: SecretStr | None = None
    session_token: SecretStr | None = None
    ca_bundle: Path | None = None


class StoreSettings(BucketAccess):
    """Address of one store: ``url`` of a database (SQLAlchemy form), ``root`` folder of a file or footage store, or ``bucket``."""

    url: SecretStr | None = None
    root: Annotated[Path | None, BeforeValidator(lambda given: given or None)] = None
    """An empty one is none: it must not mean the current folder."""
    recorder: Path | None = None
    """Database file of the recorder that writes here (Frigate's ``frigate.db``), where the schedule names one."""
    bucket: str = Field(default="", max_length=255)
    prefix: str = Field(default="", max_length=512)
    """What all keys of the store begin with; a slash is added."""
    gate: Path | None = None
    """Folder of the bucket's hold gate, shared by all machines that work on it; by default in the state folder."""
    workers: int | None = Field(default=None, ge=1, le=32)
    """Batches side by side; by default what suits the store."""
    batch: int | None = Field(default=None, ge=1, le=100_000)
    """Largest batch, in records; by default what suits the store."""
    rest: float = Field(default=0.0, ge=0.0, le=20.0)
    """Pause after each batch, as a share of the time it took."""


class WitnessSettings(BaseModel):
    """A witness of the transparency log. ``key``: as it publishes it, ``NAME+HASH+BASE64``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https?://[^\s]+$")
    """What its submission addresses begin with."""
    key: str = Field(max_length=200)


class Settings(BaseSettings):
    """One site's settings."""

    model_config = SettingsConfigDict(
        env_prefix="RETENTION_", env_nested_delimiter="__", env_file=".env", extra="ignore", frozen=True,
        secrets_dir=os.environ.get("RETENTION_SECRETS_DIR"),
    )  # fmt: skip

    policies: Path = Path("policies.toml")
    state_dir: Path = Path("state")
    """Ledger (by default), spool, keys and evidence."""
    ledger_url: SecretStr | None = None
    """SQLAlchemy URL of the ledger; by default SQLite in the state directory."""
    evidence_dir: Path | None = None
    """Where certificates are published; by default ``evidence`` in the state directory."""
    log_dir: Path | None = None
    """Where the transparency log is published; by default ``log`` beside the certificates."""
    log_url: str | None = Field(default=None, pattern=LOG_URL, max_length=1024)
    """The same in a bucket instead of a folder: ``s3://bucket/prefix``."""
    log_s3: BucketAccess = BucketAccess()
    """How that bucket is reached."""
    witnesses: dict[str, WitnessSettings] = {}
    """Asked once a run to cosign the log's checkpoint; by default none."""
    log_name: str | None = None
    """The log's name, for instance the address under which the library publishes it; by default made from its key."""
    signing_kms: str | None = None
    """The P-256 signing key, when it lives in AWS KMS: id, ARN or alias. Region and rights come from the AWS environment."""
    tsa_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    """Time-stamping authority (RFC 3161) for signed PDFs and, once a day, for a stamp over the log; by default none is asked."""
    opening_days: int = Field(default=730, ge=0, le=36500)
    """Days after the end of a case for which single records can be proven from its certificate."""
    keyring: Path = Path("~/.config/retention/keys")
    """Where ``--as NAME`` looks for a person's signing key."""
    keys_url: SecretStr | None = None
    """SQLAlchemy URL of the key store; by default SQLite in the state directory."""
    keys_root: RootKind = RootKind.LOCAL
    """What opens the key store: a file (``local``), AWS KMS (``kms``), or both (``two-share``)."""
    keys_root_dir: Path | None = None
    """Root files and shares; by default ``roots`` in the state directory."""
    keys_backups_dir: Path | None = None
    """The key store's own backups; by default ``key-backups`` in the state directory."""
    keys_kms_region: str | None = None
    keys_kms_endpoint: str | None = None
    """Another address than AWS's own, for a KMS behind a private endpoint."""
    keys_kms_window_days: int = Field(default=30, ge=7, le=30)
    """Days for which a deleted root can still be called back."""
    grace_days: int = Field(default=7, ge=1, le=3650)
    """Days between the second signature of a release and the moment a hold no longer keeps."""
    standing_approvals: Literal["optional", "required"] = "optional"
    """Whether rules with ``approval = "standing"`` need a standing approval by two people before anything goes under them."""
    ethics: Literal["optional", "required"] = "optional"
    """Whether who approves must have acknowledged the code of ethics this year."""
    seal: str = "45 1 * * *"
    """Cron of the sealing run, before the nightly one."""
    nightly: str = "15 2 * * *"
    """Cron of the nightly run, in the library's time zone."""
    remind: str = "0 8 * * 1-5"
    """Cron of the reminders."""
    notices: SecretStr | None = None
    """Where notices go: addresses as Apprise writes them (``mailtos://…``, ``slack://…``, ``json://…``), separated by spaces."""
    scan: str = "30 4 * * 0"
    """Cron of the scan for personal data that nobody answers for."""
    scan_paths: str = ""
    """What to scan, joined by ``:``: folders, names of bucket stores, ``s3://bucket/prefix``; by default all file stores and buckets."""
    barcodes: str = "2:14"
    """The library's own patron barcodes: ``prefix:length``, joined by commas; ``:none`` behind it without a check digit."""
    region: str = Field(default="US", pattern="^[A-Z]{2}$")
    """Where telephone numbers without a country code are from."""
    coverage: str = "0 6 * * 1"
    """Cron of the look for what no rule speaks about."""
    console_origin: str | None = None
    """The pages' address as browsers name it, such as ``https://retention.library.example``; by default this machine's own."""
    console_host: str = "127.0.0.1"
    """Where the pages listen. Other machines come in through a reverse proxy, which has the certificate."""
    console_port: int = Field(default=8448, ge=1, le=65535)
    console_oidc_issuer: str | None = None
    """The identity provider that people may sign in at, exactly as it writes its issuer; by default none."""
    console_oidc_client_id: str = ""
    """What the pages are called there. Their callback is ``/sign-in/oidc/callback`` below their own address."""
    console_oidc_client_secret: SecretStr | None = None
    """Without it: as a public client, by PKCE alone."""
    stores: dict[str, StoreSettings] = {}

    @property
    def notices_to(self) -> tuple[str, ...]:
        return () if self.notices is None else tuple(self.notices.get_secret_value().split())

    @property
    def required(self) -> Requirements:
        return Requirements(standing=self.standing_approvals == "required", ethics=self.ethics == "required")

    @property
    def origin(self) -> str:
        """The pages' address as browsers name it."""
        return self.console_origin or f"http://localhost:{self.console_port}"

    @property
    def ledger(self) -> str:
        if self.ledger_url is not None:
            return self.ledger_url.get_secret_value()
        return f"sqlite:///{(self.state_dir / 'ledger.db').absolute()}"

    @property
    def evidence(self) -> Path:
        return self.evidence_dir or self.state_dir / "evidence"

    @property
    def log(self) -> Path:
        return self.log_dir or self.evidence / "log"


def load_settings() -> Settings:
    """Read the settings. Raises `SettingsError` that names the variable, never its value."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        name = "RETENTION_" + "__".join(str(part).upper() for part in first["loc"])
        raise SettingsError(f"setting {name}: {first['msg']}", "see docs/settings.md") from None
    except Unreadable:
        raise SettingsError(
            "RETENTION_STORES is not JSON",
            "rather one variable per store: RETENTION_STORES__ILS__URL; see docs/settings.md",
        ) from None
