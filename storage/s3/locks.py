"""Object Lock: what the store itself refuses to delete, and whether it really does.

Locks are of single versions. Retention (governance or compliance) has a day, a legal hold has none. Nothing here shortens or
bypasses one, also where the credentials could: whoever locked an object had a reason that this program does not know.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from retention.errors import StoreUnavailable
from storage.s3.failures import answered
from storage.s3.items import Item, data_versions
from storage.s3.listing import Entry
from storage.s3.wire import Wire

SIDE_BY_SIDE = 8
FOREVER = "locked in the store without a date"
ABSENT_CODES = frozenset({
    "ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "InvalidRequest", "NotImplemented", "MethodNotAllowed",
    "404", "405", "501",
})  # fmt: skip
"""Answers that mean: no such lock here, or a server that knows none."""
CANARY = ".retention-canary/"
_NO_DATE = datetime.max.replace(tzinfo=UTC)


class Locks:
    """The locks of one bucket. Remembers what it was told of the bucket as a whole."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._enabled: bool | None = None
        self._default = False
        self.unasked = False
        """Whether we may not even ask if the bucket has Object Lock."""
        self.enforced: bool | None = None
        """What `probe` found; ``None``: not probed, or it could not be."""

    @property
    def enabled(self) -> bool:
        """Whether the bucket has Object Lock. Raises `StoreUnavailable` when that cannot be told for want of an answer."""
        if self._enabled is None:
            answer = self.wire.ask("get_object_lock_configuration")
            if isinstance(answer, str):
                if answer not in ABSENT_CODES and answer != "AccessDenied":
                    raise answered(answer)
                # Without the permission to ask: what is locked will be refused, and read back as not destroyed.
                self._enabled = False
                self.unasked = answer == "AccessDenied"
            else:
                settings = answer.get("ObjectLockConfiguration", {})
                self._enabled = settings.get("ObjectLockEnabled") == "Enabled"
                self._default = bool(settings.get("Rule"))
        return self._enabled

    @property
    def by_default(self) -> bool:
        """Whether every new version is locked for a time by the bucket's own rule."""
        return self.enabled and self._default

    def until(self, items: Sequence[Item], now: datetime) -> dict[str, str]:
        """By key, the items of which a version is locked after ``now`` (aware), and until when, in words.

        A version whose locks cannot be asked for counts as free: the store refuses to delete it if it is not.
        """
        pairs = [(item, entry) for item in items for entry in data_versions(item.entries)]
        with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="locks") as pool:
            ends = pool.map(lambda pair: self._until(pair[1]), pairs)
            latest: dict[str, datetime] = {}
            for (item, _), end in zip(pairs, ends, strict=True):
                if end is not None and end > now:
                    latest[item.key] = max(end, latest.get(item.key, end))
        return {
            key: FOREVER if end == _NO_DATE else f"not destroyable until {end.date().isoformat()}: locked in the store"
            for key, end in latest.items()
        }  # fmt: skip

    def held(self, entry: Entry) -> bool:
        """Whether a legal hold is on a version. Raises `StoreUnavailable` when that cannot be told."""
        answer = self.wire.get("get_object_legal_hold", Key=entry.key, VersionId=entry.version)
        if answer.status == 200:
            return answer.xml().findtext("Status") == "ON"
        if answer.code in ABSENT_CODES or answer.code in ("NoSuchVersion", "NoSuchKey"):
            return False
        raise answered(answer.code)

    def put(self, entry: Entry, *, on: bool) -> bool:
        """Put a legal hold on a version, or take it off. False: the version is gone. Raises `StoreUnavailable`."""
        answer = self.wire.ask(
            "put_object_legal_hold", Key=entry.key, VersionId=entry.version, LegalHold={"Status": "ON" if on else "OFF"}
        )  # fmt: skip
        if isinstance(answer, str):
            if answer in ("NoSuchVersion", "NoSuchKey", "404"):
                return False
            raise answered(answer)
        return True

    def probe(self) -> bool | None:
        """Put an object, a legal hold on it, and try to delete it: whether the store refuses, as it must.

        Once per store. ``None`` where it cannot be tried: no permission to write, or a bucket that would lock the canary itself.
        """
        if self.enforced is None and self.enabled and not self._default:
            self.enforced = self._probed()
        return self.enforced

    def _probed(self) -> bool | None:
        key = f"{self.wire.address.prefix}{CANARY}{secrets.token_hex(8)}"
        put = self.wire.ask("put_object", Key=key, Body=b"canary")
        if isinstance(put, str):
            return None
        version = str(put.get("VersionId", "null"))
        try:
            held = self.wire.ask(
                "put_object_legal_hold", Key=key, VersionId=version, LegalHold={"Status": "ON"}
            )
            if isinstance(held, str):
                return None
            refused = isinstance(self.wire.ask("delete_object", Key=key, VersionId=version), str)
            there = not isinstance(self.wire.ask("head_object", Key=key, VersionId=version), str)
            return refused and there
        finally:
            self.wire.ask("put_object_legal_hold", Key=key, VersionId=version, LegalHold={"Status": "OFF"})
            gone = self.wire.ask("delete_object", Key=key, VersionId=version)
            if isinstance(gone, str) and gone not in ("NoSuchVersion", "NoSuchKey"):
                raise StoreUnavailable(
                    "the canary object of the lock probe could not be removed", f"remove what is below {CANARY} of the store"
                )  # fmt: skip

    def _until(self, entry: Entry) -> datetime | None:
        answer = self.wire.get("head_object", Key=entry.key, VersionId=entry.version)
        if answer.status != 200:
            return None
        if answer.headers.get("x-amz-object-lock-legal-hold") == "ON":
            return _NO_DATE
        text = answer.headers.get("x-amz-object-lock-retain-until-date")
        if not text:
            return None
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            return _NO_DATE  # locked, and nobody can say how long
