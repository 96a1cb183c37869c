"""What every root promises: make a version of itself, wrap under it, and destroy it for good.

A version is made once and never changed; rotation makes a new one and destroys the old one. No adapter says *gone* of a version it
merely cannot see: that would make a certificate final too early.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from retention.errors import SettingsError
from storage.keys.secret import SecretKey
from storage.keys.wrapping import Place


class RootKind(StrEnum):
    LOCAL = "local"
    KMS = "kms"
    TWO_SHARE = "two-share"


class RootState(StrEnum):
    """What the world says of a version, whatever the key store has written down."""

    USABLE = "usable"
    DISABLED = "disabled"
    SCHEDULED = "scheduled"
    """Its deletion is under way and can still be cancelled."""
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """``until``: when a scheduled one is gone. ``by``: what a gone one ended by: ``file``, ``kms`` or ``share``."""

    state: RootState
    until: datetime | None = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootVersion:
    """``reference``: name of the KMS key, "" for none. ``body``: the KMS's share, encrypted by it. ``kid``: commits to a root key that
    we can see; "" where it never leaves the KMS. ``until``: when its deletion was promised for."""

    id: str
    number: int
    kind: RootKind
    reference: str
    body: bytes | None
    kid: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new version, durable outside the key store."""

    reference: str = ""
    body: bytes | None = None
    kid: str = ""


class OpenRoot(Protocol):
    """A version that was opened for use, for as long as its context lasts."""

    def wrap(self, key: SecretKey, place: Place) -> bytes: ...

    def unwrap(self, body: bytes, place: Place) -> SecretKey:
        """Raises `KeyUnreadable` or `KeyStoreUnavailable`."""
        ...

    def take_over(self, old: OpenRoot, body: bytes, before: Place, after: Place) -> bytes:
        """The wrap again, under this version instead of the old one."""
        ...


class Root(Protocol):
    """One kind of root."""

    def create(self, id: str, *, again: bool) -> Made:
        """A new version. ``again``: an earlier attempt under this id was interrupted, and nothing was wrapped under it."""
        ...

    def open(self, version: RootVersion) -> AbstractContextManager[OpenRoot]:
        """Raises `KeyStoreUnavailable` (lost, disabled, scheduled, denied) or `KeyUnreadable` (not the one that is registered)."""
        ...

    def standing(self, version: RootVersion, *, at: datetime) -> Standing:
        """Ask the world. Raises `KeyStoreUnavailable` when it does not answer, or not in a way that can be trusted."""
        ...

    def end(self, version: RootVersion, *, at: datetime) -> Standing:
        """Destroy or schedule. May be repeated."""
        ...

    def lying_here(self) -> set[str]:
        """Ids of all versions that lie on this machine, whether the key store knows them or not."""
        ...


def through_memory(new: OpenRoot, old: OpenRoot, body: bytes, before: Place, after: Place) -> bytes:
    """`OpenRoot.take_over` for roots that cannot do it without showing us the key."""
    with old.unwrap(body, before) as key:
        return new.wrap(key, after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """The kinds this site knows, and the one that new versions are made of. A site may change its kind: the next rotation does it."""

    chosen: RootKind
    known: Mapping[RootKind, Root]

    def of(self, kind: RootKind) -> Root:
        if kind not in self.known:
            raise SettingsError(
                f"the key store has a root of kind {kind.value}, which this site has no settings for",
                "see docs/keys.md: RETENTION_KEYS_KMS_REGION names where a KMS root lives",
            )
        return self.known[kind]

    @property
    def new(self) -> Root:
        return self.of(self.chosen)
