"""Wires the concrete parts together by hand. The one place that knows which store class serves which kind."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path

import boto3

from flows.settings import Settings, StoreSettings
from retention.errors import LedgerUnavailable, SettingsError, UsageError
from retention.loader import load
from retention.schedule import Schedule, StoreDeclaration, StoreKind
from retention.signing import load_private
from storage.certifying import Certifier
from storage.contract import Pace, Store
from storage.destroy import Destroyer
from storage.files.store import FileStore
from storage.holding import Holding, Signatory
from storage.kms_signing import KmsSigner
from storage.ledger.ledger import Ledger
from storage.ledger.sealing import KEY_BYTES
from storage.log import Log
from storage.signing_keys import SigningKeys
from storage.spool import Spool, create_private
from storage.sql.store import SqlStore


def clock() -> datetime:
    """The one clock of the program."""
    return datetime.now(UTC)


loaded = lru_cache(maxsize=8)(load)
"""`load`, each text once per process: a schedule is a frozen value, and a night asks for it at every step."""


def frozen(text: str) -> Schedule:
    """The schedule that a case was opened under."""
    return loaded(text, "schedule (frozen with the case)")


class Site:
    """One site's parts, each made when first asked for. Close it when done."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = clock) -> None:
        self.settings = settings
        self.now = now

    @cached_property
    def schedule_text(self) -> str:
        path = self.settings.policies
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}", "set RETENTION_POLICIES"
            ) from None

    @cached_property
    def schedule(self) -> Schedule:
        """The schedule in force. Raises `ScheduleInvalid` with every problem."""
        return loaded(self.schedule_text, str(self.settings.policies))

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.settings.ledger, self._sealing_key())

    @cached_property
    def stores(self) -> StoreMap:
        return StoreMap({store.name: store for store in self.schedule.stores}, self.settings, self.now)

    @cached_property
    def spool(self) -> Spool:
        return Spool(self.settings.state_dir / "cases")

    @cached_property
    def keys(self) -> SigningKeys:
        """The library's own keys."""
        kms = self.settings.signing_kms
        return SigningKeys(
            folder=self.settings.state_dir, evidence=self.settings.evidence, ledger=self.ledger, name=self.settings.state_dir.name,
            log_name=self.settings.log_name,
            service=None if kms is None else lambda: KmsSigner(boto3.client("kms"), kms, name=self.settings.state_dir.name),
        )  # fmt: skip

    @cached_property
    def certifier(self) -> Certifier:
        return Certifier(
            ledger=self.ledger, stores=self.stores, evidence=self.settings.evidence, signers=self.keys.signers(),
            version=version("retention"), log=self.log,
        )  # fmt: skip

    @cached_property
    def log(self) -> Log:
        """The transparency log, signed by a key of its own that outlives the signing keys."""
        return Log(
            folder=self.settings.log,
            ledger=self.ledger,
            key=self.keys.log_key(),
            signer=self.keys.log_signer(),
        )

    @cached_property
    def destroyer(self) -> Destroyer:
        return Destroyer(
            ledger=self.ledger,
            stores=self.stores,
            spool=self.spool,
            certifier=self.certifier,
            now=self.now,
            read_schedule=frozen,
            pace=self.stores.pace,
        )

    @cached_property
    def holding(self) -> Holding:
        return Holding(ledger=self.ledger, stores=self.stores, schedule=self.schedule, now=self.now)

    def today(self) -> date:
        """The current day in the library's time zone."""
        return self.now().astimezone(self.schedule.library.zone).date()

    def signatory(self, name: str, key_file: Path | None = None) -> Signatory:
        """A person with the secret from their key file. Raises `UsageError` when there is none."""
        person = self.ledger.people.get(name)
        path = key_file or self.settings.keyring.expanduser() / f"{name}.pem"
        try:
            pem = path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"{path}: {error.strerror}", "give the key file with --key-file, or set RETENTION_KEYRING"
            ) from None
        return Signatory(person=person, key=load_private(pem, name=name))

    def set_up(self) -> list[str]:
        """Make what a new site needs: state folder, ledger, sealing key, signing key. Keeps what is there. Says what it did."""
        done: list[str] = []
        folder = self.settings.state_dir
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (folder / "sealing.key").exists():
            write_secret(folder / "sealing.key", secrets.token_bytes(KEY_BYTES))
            done.append("made the ledger's sealing key")
        done += self.keys.make()
        revision = self.ledger.connection.upgrade()
        self.keys.introduce(at=self.now(), actor="upgrade")
        self.log.publish()
        done.append(f"the ledger is at revision {revision}")
        return done

    def close(self) -> None:
        for name in ("stores", "ledger"):
            if name in self.__dict__:
                self.__dict__[name].close()

    def _sealing_key(self) -> bytes:
        return self._secret("sealing.key")

    def _secret(self, name: str) -> bytes:
        try:
            return (self.settings.state_dir / name).read_bytes()
        except OSError:
            raise LedgerUnavailable(
                f"{self.settings.state_dir / name} is missing",
                "a new site: retention db upgrade; otherwise restore it from your backup",
            ) from None


class StoreMap(Mapping[str, Store]):
    """The stores that settings give an address, each opened when first asked for."""

    def __init__(
        self, declared: Mapping[str, StoreDeclaration], settings: Settings, now: Callable[[], datetime]
    ) -> None:
        self._declared = declared
        self._settings = settings
        self._now = now
        self._open: dict[str, Store] = {}

    def __getitem__(self, name: str) -> Store:
        if name not in self._open:
            self._open[name] = self._make(self._declared[name])
        return self._open[name]

    def __contains__(self, name: object) -> bool:
        return name in self._declared and self._key(str(name)) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(name for name in self._declared if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def pace(self, store: Store) -> Pace:
        """How fast a store is worked on: its own pace, changed by the site's settings."""
        key = self._key(store.name)
        own = self._settings.stores[key] if key is not None else StoreSettings()
        most = own.batch or store.pace.most
        return replace(
            store.pace,
            workers=own.workers or store.pace.workers,
            first=min(store.pace.first, most),
            most=most,
            rest=own.rest,
        )

    def close(self) -> None:
        for store in self._open.values():
            store.close()

    def _key(self, name: str) -> str | None:
        wanted = name.lower().replace("-", "_")
        return next((key for key in self._settings.stores if key.lower().replace("-", "_") == wanted), None)

    def _make(self, declared: StoreDeclaration) -> Store:
        key = self._key(declared.name)
        if key is None:
            raise KeyError(declared.name)
        settings = self._settings.stores[key]
        if declared.kind is StoreKind.DATABASE:
            if settings.url is None:
                raise SettingsError(
                    f"store {declared.name} is a database and needs an address",
                    f"set RETENTION_STORES__{key.upper()}__URL",
                )
            return SqlStore(declared.name, settings.url.get_secret_value())
        if settings.root is None:
            raise SettingsError(
                f"store {declared.name} is a folder and needs its root",
                f"set RETENTION_STORES__{key.upper()}__ROOT",
            )
        return FileStore(declared.name, settings.root, now=self._now)


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read. Raises ``FileExistsError`` rather than replace one."""
    with create_private(path) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
