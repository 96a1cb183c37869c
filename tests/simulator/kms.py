"""A strict AWS KMS with a clock: what moto lets through, this refuses as AWS does.

Disabled and pending-deletion keys do nothing; windows are 7 to 30 days; a key is gone when its window is over, and its ciphertexts with it;
an encryption context must match; a client speaks for one region. Same method names and errors as boto3's client.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ACCOUNT = "123456789012"


@dataclass(kw_only=True)
class _Key:
    arn: str
    description: str
    material: bytes
    state: str = "Enabled"
    deleted_on: datetime | None = None


@dataclass(kw_only=True)
class Kms:
    """The service. ``troubles``: error codes that the next calls get, in order; "" for none. ``calls``: names of all calls, with their arguments."""

    now: Callable[[], datetime]
    keys: dict[str, _Key] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def client(self, region: str = "eu-west-1") -> KmsClientDouble:
        return KmsClientDouble(self, region)

    def cancel_deletion(self, arn: str) -> None:
        """As an administrator does: the key is disabled afterwards."""
        key = self.key(arn, "PendingDeletion")
        key.state, key.deleted_on = "Disabled", None

    def key(self, name: str, *states: str) -> _Key:
        key = self.keys.get(name)
        if key is not None and key.deleted_on is not None and self.now() >= key.deleted_on:
            del self.keys[name]
            key = None
        if key is None:
            raise refusal("NotFoundException")
        if states and key.state not in states:
            raise refusal("DisabledException" if key.state == "Disabled" else "KMSInvalidStateException")
        return key


class KmsClientDouble:
    """What `boto3.client("kms")` is for us."""

    def __init__(self, kms: Kms, region: str) -> None:
        self._kms = kms
        self.meta = SimpleNamespace(region_name=region)

    def create_key(self, **given: Any) -> Any:
        self._called("create_key", given)
        arn = f"arn:aws:kms:{self.meta.region_name}:{ACCOUNT}:key/{uuid.uuid4()}"
        self._kms.keys[arn] = _Key(arn=arn, description=given["Description"], material=os.urandom(32))
        return {"KeyMetadata": self._metadata(self._kms.keys[arn])}

    def list_keys(self, **given: Any) -> Any:
        """Two to a page, so that paging is seen."""
        self._called("list_keys", given)
        names = sorted(name for name in list(self._kms.keys) if self._here(name))
        start = int(given.get("Marker", 0))
        page = [{"KeyArn": name, "KeyId": name.rpartition("/")[2]} for name in names[start : start + 2]]
        return {"Keys": page, "Truncated": start + 2 < len(names), "NextMarker": str(start + 2)}

    def describe_key(self, **given: Any) -> Any:
        self._called("describe_key", given)
        return {"KeyMetadata": self._metadata(self._found(given["KeyId"]))}

    def encrypt(self, **given: Any) -> Any:
        self._called("encrypt", given)
        key = self._found(given["KeyId"], "Enabled")
        return {
            "CiphertextBlob": self._sealed(key, given["Plaintext"], given["EncryptionContext"]),
            "KeyId": key.arn,
        }

    def decrypt(self, **given: Any) -> Any:
        self._called("decrypt", given)
        key = self._found(given["KeyId"], "Enabled")
        return {
            "Plaintext": self._opened(key, given["CiphertextBlob"], given["EncryptionContext"]),
            "KeyId": key.arn,
        }

    def re_encrypt(self, **given: Any) -> Any:
        self._called("re_encrypt", given)
        source = self._found(given["SourceKeyId"], "Enabled")
        target = self._found(given["DestinationKeyId"], "Enabled")
        opened = self._opened(source, given["CiphertextBlob"], given["SourceEncryptionContext"])
        return {"CiphertextBlob": self._sealed(target, opened, given["DestinationEncryptionContext"])}

    def generate_data_key(self, **given: Any) -> Any:
        self._called("generate_data_key", given)
        key, made = self._found(given["KeyId"], "Enabled"), os.urandom(given["NumberOfBytes"])
        return {"Plaintext": made, "CiphertextBlob": self._sealed(key, made, given["EncryptionContext"])}

    def schedule_key_deletion(self, **given: Any) -> Any:
        self._called("schedule_key_deletion", given)
        if not 7 <= given["PendingWindowInDays"] <= 30:
            raise refusal("ValidationException")
        key = self._found(given["KeyId"], "Enabled", "Disabled")
        key.state = "PendingDeletion"
        key.deleted_on = self._kms.now() + timedelta(days=given["PendingWindowInDays"])
        return {"KeyId": key.arn, "DeletionDate": key.deleted_on, "KeyState": key.state}

    def _called(self, name: str, given: Mapping[str, Any]) -> None:
        self._kms.calls.append((name, given))
        trouble = self._kms.troubles.pop(0) if self._kms.troubles else ""
        if trouble:
            raise refusal(trouble)

    def _here(self, name: str) -> bool:
        return bool(name.split(":")[3] == self.meta.region_name)

    def _found(self, name: str, *states: str) -> _Key:
        """By ARN, or by id in this client's region."""
        if not name.startswith("arn:"):
            name = f"arn:aws:kms:{self.meta.region_name}:{ACCOUNT}:key/{name}"
        if not self._here(name):
            raise refusal("NotFoundException")
        return self._kms.key(name, *states)

    def _metadata(self, key: _Key) -> dict[str, Any]:
        told = {
            "Arn": key.arn,
            "KeyId": key.arn.rpartition("/")[2],
            "Description": key.description,
            "KeyState": key.state,
        }
        return told if key.deleted_on is None else {**told, "DeletionDate": key.deleted_on}

    def _sealed(self, key: _Key, plain: bytes, context: Mapping[str, str]) -> bytes:
        nonce = os.urandom(12)
        return nonce + AESGCM(key.material).encrypt(nonce, plain, _bound(context))

    def _opened(self, key: _Key, sealed: bytes, context: Mapping[str, str]) -> bytes:
        try:
            return AESGCM(key.material).decrypt(sealed[:12], sealed[12:], _bound(context))
        except InvalidTag:
            raise refusal("InvalidCiphertextException") from None


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "refused"}}, "operation")


def _bound(context: Mapping[str, str]) -> bytes:
    return json.dumps(context, sort_keys=True).encode()
