"""Wires the concrete parts together by hand. The one place that knows which store class serves which kind."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import date, datetime
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path

import boto3

from flows.buckets import address, log_place
from flows.clock import clock
from flows.settings import Settings, StoreSettings
from retention.decide import Criteria
from retention.errors import (
    KeyStoreUnavailable,
    LedgerUnavailable,
    ScheduleInvalid,
    SettingsError,
    StoreUnavailable,
    UsageError,
)
from retention.loader import load
from retention.note import COSIGNATURE, NoteKey
from retention.schedule import ConsentRecord, Disposition, Schedule, StoreDeclaration, StoreKind, TreeLocation
from retention.signing import load_private
from storage import witnessing
from storage.certifying import Certifier
from storage.consents import Consents, Recorded
from storage.contract import Pace, Store, pace_of
from storage.destroy import Destroyer
from storage.disposing_media import MediaDisposal
from storage.dispositions import Dispositions
from storage.documents import Documents
from storage.enforcing import Enforcing
from storage.files import vault
from storage.files.facts import NoRegister, Register
from storage.files.store import FileStore
from storage.hold_care import HoldCare
from storage.holding import Holding
from storage.keys.keystore import KeyStore
from storage.keys.opening import KeySite
from storage.keys.worker import KeyWorker
from storage.kms_signing import KmsSigner
from storage.ledger.exports import Snapshot
from storage.ledger.ledger import Ledger
from storage.ledger.sealing import KEY_BYTES
from storage.log import Log
from storage.paper import document_key
from storage.paper.document_key import DocumentKey
from storage.rulings import Rulings
from storage.s3.store import S3Store
from storage.s3.wire import Address
from storage.scanning.known import Known
from storage.sealed.remembering import remembered
from storage.sealed.store import SealedStore
from storage.signatures import Signatory
from storage.signing_keys import SigningKeys
from storage.spool import Spool, create_private
from storage.sql.store import SqlStore
from storage.staff import Staff
from storage.witnessing import Witness

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
    def keys(self) -> KeyStore:
        """The key store. What needs its root is better asked of `key_worker`."""
        return key_site(self.settings).open()

    @cached_property
    def key_worker(self) -> KeyWorker:
        return KeyWorker(key_site(self.settings))

    def require_keys(self) -> None:
        """The key store is there, and no older than the ledger knows it. Raises `KeyStoreUnavailable`.

        Asked before anything that changes keys: work on a restored store would carry its epoch past the one that gives it away.
        """
        self.keys.require_ready(at_least=remembered(self.ledger))

    @property
    def seals(self) -> bool:
        """Whether anything is kept sealed here: by the schedule in force, or by an earlier one whose keys still live."""
        shredded = any(one.disposition is Disposition.CRYPTO_SHRED for one in self.schedule.record_types)
        return shredded or self._has_sealed

    @cached_property
    def _has_sealed(self) -> bool:
        try:
            return bool(remembered(self.ledger) or self.keys.overview().types)
        except KeyStoreUnavailable:
            return False  # nothing that the schedule in force shreds: the site can do without

    @cached_property
    def stores(self) -> StoreMap:
        declared = {store.name: store for store in self.schedule.stores}
        return StoreMap(
            declared, self.settings, self.now, self._sealing if self.seals else None,
            lambda: LaterRegister(self.ledger.exports.snapshot, self._consents),
        )  # fmt: skip

    def _consents(self, recorded: ConsentRecord) -> Recorded:
        """Who consents at this moment, as another store says. Raises `StoreUnavailable`."""
        try:
            store = self.stores.database(recorded.store)
        except SettingsError as error:
            raise StoreUnavailable(f"who consents cannot be asked: {error.message}", error.hint) from None
        with closing(store), closing(store.consenting(recorded)) as stretches:
            return Recorded(recorded, stretches)

    def _sealing(self, store: Store) -> Store:
        """A store with its sealed side."""
        return SealedStore(
            store, self.keys, worker=self.key_worker, remover=store if isinstance(store, FileStore) else None,
            remembered=lambda: remembered(self.ledger), now=self.now,
        )  # fmt: skip

    @cached_property
    def known(self) -> Known:
        """Marks of people whose records were destroyed, for the residual sweep."""
        return Known(self.settings.state_dir / "known")

    @cached_property
    def spool(self) -> Spool:
        return Spool(self.settings.state_dir / "cases")

    @cached_property
    def signing_keys(self) -> SigningKeys:
        """The library's own keys."""
        kms = self.settings.signing_kms
        return SigningKeys(
            folder=self.settings.state_dir, evidence=self.settings.evidence, ledger=self.ledger, name=self.settings.state_dir.name,
            log_name=self.settings.log_name,
            service=None if kms is None else lambda: KmsSigner(boto3.client("kms"), kms, name=self.settings.state_dir.name),
        )  # fmt: skip

    @cached_property
    def document_key(self) -> DocumentKey:
        """The service's key for PDFs, with its certificate. A site may put a certificate of its own authority in place of it."""
        return document_key.load(self._secret("document-signing.pem"), self._secret("document-signing.crt"))

    @cached_property
    def certifier(self) -> Certifier:
        return Certifier(
            ledger=self.ledger, stores=self.stores, evidence=self.settings.evidence, signers=self.signing_keys.signers(),
            version=version("retention"), log=self.log,
        )  # fmt: skip

    @cached_property
    def log(self) -> Log:
        """The transparency log, signed by a key of its own that outlives the signing keys."""
        return Log(
            place=log_place(self.settings),
            ledger=self.ledger,
            key=self.signing_keys.log_key(),
            signer=self.signing_keys.log_signer(),
        )

    @cached_property
    def witnesses(self) -> tuple[Witness, ...]:
        """Who is asked to cosign the log. Raises `SettingsError`."""
        found = []
        for name, settings in sorted(self.settings.witnesses.items()):
            try:
                key = NoteKey.parse(settings.key)
            except UsageError:
                key = None
            if key is None or key.kind != COSIGNATURE:
                raise SettingsError(
                    f"witness {name} has no key that cosigns", f"set RETENTION_WITNESSES__{name.upper()}__KEY as it publishes it: NAME+HASH+BASE64"
                )  # fmt: skip
            found.append(Witness(key=key, post=witnessing.over_http(settings.url)))
        return tuple(found)

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
            required=self.settings.required,
        )

    @cached_property
    def dispositions(self) -> Dispositions:
        return Dispositions(
            ledger=self.ledger, now=self.now, read_schedule=frozen, required=self.settings.required
        )

    @cached_property
    def staff(self) -> Staff:
        return Staff(ledger=self.ledger, now=self.now)

    @cached_property
    def rulings(self) -> Rulings:
        return Rulings(ledger=self.ledger, schedule=self.schedule, now=self.now)

    @cached_property
    def enforcing(self) -> Enforcing:
        return Enforcing(
            ledger=self.ledger, stores=self.stores, schedule=self.schedule, now=self.now, root_of=self.stores.root_of
        )  # fmt: skip

    @cached_property
    def hold_care(self) -> HoldCare:
        return HoldCare(ledger=self.ledger, schedule=self.schedule, now=self.now)

    @cached_property
    def documents(self) -> Documents:
        """What was served and given for holds."""
        return Documents(self.settings.state_dir / "documents", self.ledger.sealer)

    @property
    def holding(self) -> Holding:
        return self.enforcing.holding

    @cached_property
    def media(self) -> MediaDisposal:
        return MediaDisposal(
            ledger=self.ledger, schedule=self.schedule, log=lambda: self.log, signers=self.signing_keys.signers,
            certifier=lambda: self.certifier, version=version("retention"), now=self.now,
        )  # fmt: skip

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
        """Make what a new site needs: state folder, ledger and key store with their keys, signing key. Keeps what is there. Says what it did."""
        done: list[str] = []
        folder = self.settings.state_dir
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (folder / "sealing.key").exists():
            write_secret(folder / "sealing.key", secrets.token_bytes(KEY_BYTES))
            done.append("made the ledger's sealing key")
        done += self.signing_keys.make()
        if not (folder / "document-signing.pem").exists():
            pem, certificate = document_key.make(self._signs_as(), at=self.now())
            write_secret(folder / "document-signing.pem", pem)
            self.settings.evidence.mkdir(parents=True, exist_ok=True)
            for place in (folder, self.settings.evidence):
                (place / "document-signing.crt").write_bytes(certificate)
            done.append("made the key that signs certificates as PDF")
        revision = self.ledger.connection.upgrade()
        self.signing_keys.introduce(at=self.now(), actor="upgrade")
        self.log.publish()
        done.append(f"the ledger is at revision {revision}")
        done.append(f"the key store is at revision {self.keys.upgrade(at=self.now())}")
        with suppress(
            UsageError, ScheduleInvalid
        ):  # a site may be set up first; the run says what is missing
            done += self._make_vaults()
        return done

    def _make_vaults(self) -> list[str]:
        """A folder in its vault for each location that has one. Only here: an empty folder may be a disk that is not mounted."""
        return [
            f"made the vault of {record_type.id}/{location.name} in store {location.store}"
            for record_type in self.schedule.record_types
            for location in record_type.locations
            if isinstance(location, TreeLocation) and location.vault_of is not None
            if vault.make(self.stores.root_of(location.store), location.path)
        ]

    def _signs_as(self) -> str:
        """The name in the certificate for PDFs: the library's, or the state folder's where there is no schedule yet."""
        try:
            return self.schedule.library.organization
        except (UsageError, ScheduleInvalid):
            return self.settings.state_dir.name

    def close(self) -> None:
        for name in ("stores", "keys", "ledger"):
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


def key_site(settings: Settings) -> KeySite:
    """Where the key store, its roots and its backups are."""
    url = None if settings.keys_url is None else settings.keys_url.get_secret_value()
    return KeySite(
        url=url or f"sqlite:///{(settings.state_dir / 'keys.db').absolute()}",
        kind=settings.keys_root,
        roots=settings.keys_root_dir or settings.state_dir / "roots",
        backups=settings.keys_backups_dir or settings.state_dir / "key-backups",
        region=settings.keys_kms_region,
        endpoint=settings.keys_kms_endpoint,
        window_days=settings.keys_kms_window_days,
    )


class LaterRegister:
    """The registry of exports at the moment when it is first asked: most locations never ask."""

    def __init__(self, snapshot: Callable[[], Snapshot], asking: Callable[[ConsentRecord], Consents]) -> None:
        self._snapshot = snapshot
        self._asking = asking
        self._asked: dict[ConsentRecord, Consents] = {}

    @cached_property
    def _now(self) -> Snapshot:
        return self._snapshot()

    def produced(self, store: str, path: str) -> datetime | None:
        return self._now.produced(store, path)

    def identity(self, store: str, path: str) -> tuple[int, int, int] | None:
        return self._now.identity(store, path)

    def withdrew(self, subject: str) -> bool:
        return self._now.withdrew(subject)

    def consents(self, recorded: ConsentRecord) -> Consents:
        if recorded not in self._asked:
            self._asked[recorded] = self._asking(recorded)
        return self._asked[recorded]


class StoreMap(Mapping[str, Store]):
    """The stores that settings give an address, each opened when first asked for."""

    def __init__(
        self, declared: Mapping[str, StoreDeclaration], settings: Settings, now: Callable[[], datetime],
        sealing: Callable[[Store], Store] | None = None,
        register: Callable[[], Register] = NoRegister,
    ) -> None:  # fmt: skip
        self._register = register
        self._declared = declared
        self._settings = settings
        self._now = now
        self._sealing = sealing
        self._open: dict[str, Store] = {}

    def __getitem__(self, name: str) -> Store:
        if name not in self._open:
            store = self._make(self._declared[name])
            if self._sealing is not None and not isinstance(store, S3Store):  # objects go as they are
                store = self._sealing(store)
            self._open[name] = store
        return self._open[name]

    def __contains__(self, name: object) -> bool:
        return name in self._declared and self._key(str(name)) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(name for name in self._declared if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def pace(self, store: Store, criteria: Criteria) -> Pace:
        """How fast a location is worked on: as its store says, changed by the site's settings."""
        key = self._key(store.name)
        own = self._settings.stores[key] if key is not None else StoreSettings()
        usual = pace_of(store, criteria)
        most = own.batch or usual.most
        return replace(
            usual,
            workers=own.workers or usual.workers,
            first=min(usual.first, most),
            most=most,
            rest=own.rest,
        )

    def root(self, name: str) -> Path | None:
        """The root folder of a store; ``None`` for one without."""
        key = self._key(name)
        return None if key is None else self._settings.stores[key].root

    def root_of(self, name: str) -> Path:
        """The root folder of a store of files or footage. Raises `SettingsError`."""
        root = self.root(name)
        if root is None:
            key = self._key(name) or name
            raise SettingsError(
                f"store {name} is a folder and needs its root",
                f"set RETENTION_STORES__{key.upper().replace('-', '_')}__ROOT",
            )
        return root

    def database(self, name: str) -> SqlStore:
        """A store of kind database, opened anew: close it. Raises `SettingsError`."""
        key = self._key(name)
        url = None if key is None else self._settings.stores[key].url
        if url is None:
            raise SettingsError(
                f"store {name} is a database and needs an address",
                f"set RETENTION_STORES__{(key or name).upper().replace('-', '_')}__URL",
            )
        return SqlStore(name, url.get_secret_value())

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
        if declared.kind is StoreKind.DATABASE:
            return self.database(declared.name)
        if declared.kind is StoreKind.S3:
            return self._bucket(declared.name, key, self._settings.stores[key])
        return FileStore(
            declared.name,
            self.root_of(declared.name),
            now=self._now,
            root_of=self.root_of,
            recorder=self._settings.stores[key].recorder,
            register=self._register,
        )

    def state_of(self, name: str) -> Path:
        """The private folder of a store, for what it must remember."""
        return self._settings.state_dir / "stores" / name

    def address(self, name: str) -> Address:
        """Where the bucket of a store of kind s3 is. Raises `SettingsError`."""
        key = self._key(name) or name
        settings = self._settings.stores.get(key, StoreSettings())
        variable = f"RETENTION_STORES__{key.upper().replace('-', '_')}__"
        if not settings.bucket:
            raise SettingsError(f"store {name} needs the name of its bucket", f"set {variable}BUCKET")
        return address(f"store {name}", variable, settings, bucket=settings.bucket, prefix=settings.prefix)

    def _bucket(self, name: str, key: str, settings: StoreSettings) -> Store:
        where = self.address(name)
        if settings.gate is None and not self._settings.ledger.startswith("sqlite"):
            # With the ledger on a server other machines may work on the bucket, and a gate of our own would not stop them.
            raise SettingsError(
                f"store {name} needs a gate that all machines share", f"set RETENTION_STORES__{key.upper()}__GATE to a folder on a disk they share"
            )  # fmt: skip
        return S3Store(
            name, where, state=self.state_of(name), gate=settings.gate, now=self._now, register=self._register
        )


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read. Raises ``FileExistsError`` rather than replace one."""
    with create_private(path) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
