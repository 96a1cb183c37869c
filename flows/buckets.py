"""Addresses of buckets from settings, and the place of the transparency log: a folder, or a bucket."""

from __future__ import annotations

import re

from pydantic import SecretStr

from flows.settings import LOG_URL, BucketAccess, Settings, load_settings
from retention.errors import SettingsError, UsageError
from storage.log_places import FolderPlace, LogPlace
from storage.s3.log_bucket import BucketPlace
from storage.s3.wire import Address


def address(what: str, variable: str, access: BucketAccess, *, bucket: str, prefix: str) -> Address:
    """``variable``: what the names of its settings begin with. Raises `SettingsError`."""
    if (access.access_key is None) != (access.secret_key is None):
        raise SettingsError(
            f"{what} has half of its credentials", f"set {variable}ACCESS_KEY and {variable}SECRET_KEY, or neither"
        )  # fmt: skip
    prefix = prefix.strip("/")
    return Address(
        bucket=bucket, prefix=f"{prefix}/" if prefix else "", endpoint=access.endpoint, region=access.region,
        addressing=access.addressing, access_key=_revealed(access.access_key), secret_key=_revealed(access.secret_key),
        session_token=_revealed(access.session_token), ca_bundle=access.ca_bundle,
    )  # fmt: skip


def log_place(settings: Settings) -> LogPlace:
    """Where the log is published. Raises `SettingsError`."""
    if settings.log_url is None:
        return FolderPlace(settings.log)
    if settings.log_dir is not None:
        raise SettingsError("the log has two places", "set RETENTION_LOG_DIR or RETENTION_LOG_URL, not both")
    return _log_bucket(settings, settings.log_url)


def log_at(url: str) -> LogPlace:
    """A log in a bucket that somebody names, reached as the settings say that the site's own is. Raises `UsageError`, and
    `SettingsError` where they say nothing: what credentials lie around on a machine is no answer."""
    if not re.fullmatch(LOG_URL, url):
        raise UsageError(f"{url}: not the address of a log in a bucket", "write s3://BUCKET/PREFIX")
    settings = load_settings()
    if settings.log_url is None and settings.log_s3 == BucketAccess():
        raise SettingsError(
            "no setting says how the log's bucket is reached",
            "set RETENTION_LOG_S3__REGION, and keys or an endpoint where needed; or give a copy of the log in a folder",
        )
    return _log_bucket(settings, url)


def _log_bucket(settings: Settings, url: str) -> LogPlace:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return BucketPlace(
        address("the log", "RETENTION_LOG_S3__", settings.log_s3, bucket=bucket, prefix=prefix)
    )


def _revealed(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()
