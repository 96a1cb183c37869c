"""Talking to AWS KMS: the calls we make, and what their errors mean. Nothing but ids is ever sent in the clear."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from retention.errors import KeyStoreUnavailable, KeyUnreadable, SettingsError

ATTEMPTS = 5
"""Tries of one call; botocore waits longer after each (mode *standard*)."""
_BUSY = frozenset(
    {
        "ThrottlingException", "Throttling", "RequestLimitExceeded", "LimitExceededException", "KMSInternalException",
        "DependencyTimeoutException", "KeyUnavailableException", "InternalFailure", "ServiceUnavailable",
    }
)  # fmt: skip
_UNREADABLE = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_STATE = frozenset({"KMSInvalidStateException", "DisabledException"})


class NoSuchKey(KeyStoreUnavailable):
    """The KMS that answers does not know the key. That is not yet: it is gone."""


class _Meta(Protocol):
    @property
    def region_name(self) -> str: ...


class KmsClient(Protocol):
    """What we use of boto3's KMS client."""

    @property
    def meta(self) -> _Meta: ...
    def create_key(self, **arguments: Any) -> Any: ...
    def list_keys(self, **arguments: Any) -> Any: ...
    def describe_key(self, **arguments: Any) -> Any: ...
    def encrypt(self, **arguments: Any) -> Any: ...
    def decrypt(self, **arguments: Any) -> Any: ...
    def re_encrypt(self, **arguments: Any) -> Any: ...
    def generate_data_key(self, **arguments: Any) -> Any: ...
    def schedule_key_deletion(self, **arguments: Any) -> Any: ...


def connect(region: str | None, endpoint: str | None) -> KmsClient:
    """A client with the credentials of this process's environment. Raises `SettingsError` without a region."""
    config = Config(
        retries={"mode": "standard", "max_attempts": ATTEMPTS}, connect_timeout=5, read_timeout=15
    )
    try:
        client: KmsClient = Session().client("kms", region_name=region, endpoint_url=endpoint, config=config)
    except NoRegionError:
        raise SettingsError("the KMS root needs a region", "set RETENTION_KEYS_KMS_REGION") from None
    except (BotoCoreError, ValueError):
        raise SettingsError(
            "the KMS cannot be reached with these settings",
            "look at RETENTION_KEYS_KMS_REGION and RETENTION_KEYS_KMS_ENDPOINT",
        ) from None
    return client


def region_of(name: str) -> str:
    """The region of an ARN: ``arn:aws:kms:REGION:ACCOUNT:key/ID``."""
    parts = name.split(":")
    return parts[3] if len(parts) > 5 else ""


@contextmanager
def asking(what: str) -> Iterator[None]:
    """A call to the KMS; its errors as ours: `KeyStoreUnavailable` or `KeyUnreadable`."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        raise _translated(code, what) from None
    except NoCredentialsError:
        raise KeyStoreUnavailable(
            "there are no credentials for the KMS",
            "give this process AWS credentials (environment, profile or instance role)",
        ) from None
    except BotoCoreError as error:
        raise KeyStoreUnavailable(
            f"the KMS does not answer ({type(error).__name__})",
            "look at the network, RETENTION_KEYS_KMS_REGION and RETENTION_KEYS_KMS_ENDPOINT",
        ) from None


def _translated(code: str, what: str) -> KeyStoreUnavailable | KeyUnreadable:
    if code in _BUSY:
        return KeyStoreUnavailable(f"the KMS is too busy to {what} ({code})", "try again later")
    if code in _UNREADABLE:
        return KeyUnreadable(
            "a wrap does not open under its root in the KMS",
            "the key store is damaged or not the one that belongs to this root: restore its newest backup",
        )
    if code in _STATE:
        return KeyStoreUnavailable(
            f"the KMS refuses to {what}: the key is disabled or to be deleted",
            "a disabled key can be enabled, a scheduled deletion cancelled, in the KMS",
        )
    if code == "NotFoundException":
        return NoSuchKey(
            f"the KMS refuses to {what}: there is no such key",
            "look at the account, RETENTION_KEYS_KMS_REGION and RETENTION_KEYS_KMS_ENDPOINT",
        )
    return KeyStoreUnavailable(
        f"the KMS refuses to {what} ({code})",
        "look at the permissions of this process's AWS credentials, and at region and account (docs/keys.md)",
    )
