"""A root in AWS KMS. Cohort and hold keys are encrypted by it one by one, so that the root key never leaves the KMS.

A version is a KMS key that we made. Rotating is CreateKey, ReEncrypt, ScheduleKeyDeletion: the KMS's own "automatic rotation" keeps
the old material and destroys nothing. Looks at KeyState before every use, since not every server that speaks the protocol does.
Refuses to schedule the deletion of a key that it did not make.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from retention.errors import KeyStoreUnavailable, KeyUnreadable, SettingsError
from storage.keys.roots.kms_client import KmsClient, NoSuchKey, asking, region_of
from storage.keys.roots.root import Made, OpenRoot, RootState, RootVersion, Standing, through_memory
from storage.keys.secret import KEY_BYTES, SecretKey
from storage.keys.wrapping import Place, committed

SHORTEST_DAYS, LONGEST_DAYS = 7, 30
"""Waiting period of ScheduleKeyDeletion. Some servers accept shorter ones; AWS does not."""
DESCRIPTION = "retention root "
_STATES = {
    "Enabled": RootState.USABLE,
    "PendingDeletion": RootState.SCHEDULED,
    "PendingReplicaDeletion": RootState.SCHEDULED,
}


class KmsKeys:
    """The life of our KMS keys, with every answer checked."""

    def __init__(self, client: KmsClient, *, window_days: int) -> None:
        if not SHORTEST_DAYS <= window_days <= LONGEST_DAYS:
            raise SettingsError(
                f"the KMS deletes keys after {SHORTEST_DAYS} to {LONGEST_DAYS} days",
                "set RETENTION_KEYS_KMS_WINDOW_DAYS",
            )
        self.client = client
        self._window_days = window_days

    def make(self, id: str, *, again: bool) -> str:
        """The name (ARN) of a new key, or of the one that an interrupted attempt made."""
        left = self._left_over(id) if again else None
        if left is not None:
            return left
        with asking("make a root key"):
            made = self.client.create_key(
                Description=DESCRIPTION + id, KeySpec="SYMMETRIC_DEFAULT", KeyUsage="ENCRYPT_DECRYPT"
            )
        return str(made["KeyMetadata"]["Arn"])

    def _left_over(self, id: str) -> str | None:
        marker: dict[str, str] = {}
        while True:
            with asking("list its keys"):
                page = self.client.list_keys(Limit=1000, **marker)
            for key in page["Keys"]:
                found = self._described(str(key["KeyArn"]))
                if found is not None and found["Description"] == DESCRIPTION + id:
                    return str(found["Arn"])
            if not page.get("Truncated"):
                return None
            marker = {"Marker": str(page["NextMarker"])}

    def _described(self, name: str) -> dict[str, Any] | None:
        if region_of(name) != self.client.meta.region_name:
            raise KeyStoreUnavailable(
                f"the root lives in KMS region {region_of(name)}, the settings say {self.client.meta.region_name}",
                f"set RETENTION_KEYS_KMS_REGION={region_of(name)}",
            )
        try:
            with asking("describe the root key"):
                found: dict[str, Any] = self.client.describe_key(KeyId=name)["KeyMetadata"]
        except NoSuchKey:
            return None
        return found

    def require_usable(self, name: str) -> None:
        """Raises `KeyStoreUnavailable`: never let a key that is to die, or that somebody switched off, do anything."""
        found = self._described(name)
        state = None if found is None else str(found["KeyState"])
        if state != "Enabled":
            raise KeyStoreUnavailable(
                f"the root key in the KMS is not usable: {state or 'it does not exist'}",
                "a disabled key can be enabled, a scheduled deletion cancelled, in the KMS; look at region and account first",
            )

    def standing(self, name: str, *, promised: datetime | None, at: datetime) -> Standing:
        """``promised``: the deletion date that the KMS gave. A key that is missing before that date is not gone, but elsewhere."""
        found = self._described(name)
        if found is None:
            if promised is None or at < promised:
                raise KeyStoreUnavailable(
                    "the KMS does not know a root key whose deletion is not due yet",
                    "look at the account, RETENTION_KEYS_KMS_REGION and RETENTION_KEYS_KMS_ENDPOINT: it may be another KMS",
                )
            return Standing(state=RootState.GONE, by="kms")
        state = _STATES.get(str(found["KeyState"]), RootState.DISABLED)
        date = found.get("DeletionDate")
        until = date.astimezone(UTC) if isinstance(date, datetime) else None
        return Standing(state=state, until=until if state is RootState.SCHEDULED else None)

    def schedule(self, name: str, *, promised: datetime | None, at: datetime) -> Standing:
        found = self._described(name)
        if found is not None and not str(found["Description"]).startswith(DESCRIPTION):
            raise KeyStoreUnavailable(
                "the old root is a KMS key that was not made by this program: it is not deleted",
                "delete it in the KMS, if nothing else uses it",
            )
        now = self.standing(name, promised=promised, at=at)
        if found is None or now.state not in {RootState.USABLE, RootState.DISABLED}:
            return now
        with asking("schedule the deletion of the old root"):
            self.client.schedule_key_deletion(
                KeyId=str(found["KeyId"]), PendingWindowInDays=self._window_days
            )
        then = self.standing(name, promised=promised, at=at)
        if then.state is RootState.SCHEDULED and then.until is not None:
            shortest = at + timedelta(days=SHORTEST_DAYS) - timedelta(hours=1)
            return Standing(state=then.state, until=max(then.until, shortest))
        raise KeyStoreUnavailable(
            "the KMS took the deletion of the old root, but does not show it as scheduled",
            "look at the key in the KMS, then: retention keys rotate",
        )


class OpenKms:
    """A KMS key, asked for every wrap."""

    def __init__(self, keys: KmsKeys, name: str) -> None:
        self._keys = keys
        self.name = name

    def wrap(self, key: SecretKey, place: Place) -> bytes:
        self._keys.require_usable(self.name)
        with asking("encrypt under the root"):
            answer = self._keys.client.encrypt(
                KeyId=self.name, Plaintext=bytes(key.reveal()), EncryptionContext=place.context
            )
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, body: bytes, place: Place) -> SecretKey:
        self._keys.require_usable(self.name)
        with asking("decrypt under the root"):
            answer = self._keys.client.decrypt(
                KeyId=self.name, CiphertextBlob=body, EncryptionContext=place.context
            )
        return committed(secret(answer["Plaintext"], place.child), place)

    def take_over(self, old: OpenRoot, body: bytes, before: Place, after: Place) -> bytes:
        """Between two KMS keys the wrapped key does not leave the KMS."""
        if not isinstance(old, OpenKms):
            return through_memory(self, old, body, before, after)
        old._keys.require_usable(old.name)
        self._keys.require_usable(self.name)
        with asking("encrypt again under the new root"):
            answer = self._keys.client.re_encrypt(
                CiphertextBlob=body, SourceKeyId=old.name, SourceEncryptionContext=before.context,
                DestinationKeyId=self.name, DestinationEncryptionContext=after.context,
            )  # fmt: skip
        return bytes(answer["CiphertextBlob"])


class KmsRoot:
    """``window_days``: how long a destroyed version can still be called back (7 to 30)."""

    def __init__(self, client: KmsClient, *, window_days: int) -> None:
        self._keys = KmsKeys(client, window_days=window_days)

    def create(self, id: str, *, again: bool) -> Made:
        return Made(reference=self._keys.make(id, again=again))

    @contextmanager
    def open(self, version: RootVersion) -> Iterator[OpenRoot]:
        self._keys.require_usable(version.reference)
        yield OpenKms(self._keys, version.reference)

    def standing(self, version: RootVersion, *, at: datetime) -> Standing:
        return self._keys.standing(version.reference, promised=version.until, at=at)

    def end(self, version: RootVersion, *, at: datetime) -> Standing:
        return self._keys.schedule(version.reference, promised=version.until, at=at)

    def lying_here(self) -> set[str]:
        """Nothing: an account's keys are not counted for this."""
        return set()


def secret(answered: bytes, child: str) -> SecretKey:
    """What the KMS decrypted, as a key. Raises `KeyUnreadable` when it is none."""
    if len(answered) != KEY_BYTES:
        raise KeyUnreadable(
            f"what the KMS opened is not key {child}", "restore the newest backup of the key store"
        )
    return SecretKey(answered)
