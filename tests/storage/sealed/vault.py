"""A library whose clips are sealed: real files, a real key store with a root in a file, a real ledger. Nothing decides here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from retention import envelope
from retention.decide import Criteria
from retention.errors import KeyDestroyed
from retention.holds import Scope
from retention.loader import load
from retention.outcomes import Outcome
from retention.records import Span
from retention.schedule import Schedule
from retention.signing import SigningKey, generate
from retention.verify import Report, verify
from storage.certifying import Certifier
from storage.contract import Store
from storage.destroy import Destroyer, Disposal
from storage.enforcing import Enforcing
from storage.files.sealed_name import sealed_name
from storage.files.store import FileStore
from storage.keys.keystore import KeyStore
from storage.keys.roots.kms import KmsRoot
from storage.keys.roots.local import LocalRoot
from storage.keys.roots.root import Root, RootKind, Roots
from storage.keys.values import Facts
from storage.ledger.cases import Case
from storage.ledger.certificates import Certificate
from storage.ledger.ledger import Ledger
from storage.planning import Plan, criteria_for, open_case
from storage.sealed.remembering import remember, remembered
from storage.sealed.store import SealedStore
from storage.spool import Spool
from tests.simulator.kms import Kms
from tests.storage.desk import SEALING_KEY, Clock, log_at
from tests.storage.ledgers import new_ledger
from tests.storage.sealed.inside import InsideWorker

TEXT = """
version = "1"
[library]
organization = "Prairie Creek Library District"
custodian = "Library Director"
time-zone = "UTC"
fiscal-year-start = "07-01"
[store.cameras]
kind = "footage"
title = "Cameras"
{residual}
[record-type.clips]
title = "Incident clips"
description = "Invented"
owner = "Facilities"
personal-data = ["images"]
trigger = "recorded"
cutoff = "day"
authority = "Camera policy"
minimum = "P30D"
maximum = "P90D"
disposition = "crypto-shred"
approval = "standing"
limits = {{ records = {records} }}
effective-from = 2020-01-01
[[record-type.clips.location]]
name = "clips"
store = "cameras"
path = "clips"
template = "{{camera}}/{{Y}}{{m}}{{d}}-{{H}}{{M}}{{S}}.mp4"
trigger-kind = "name"
time-zone = "UTC"
max-length = "PT10M"
subject = "unknown"
"""
LENGTH = timedelta(minutes=5)


class Vault:
    """``keys``, ``store``: as a process has them; `reopened` gives what the next process has."""

    def __init__(
        self, folder: Path, *, clock: Clock | None = None, residual: str = "", records: int = 100_000, first: bool = True,
        kms: Callable[[], datetime] | None = None, keys_url: str = "",
    ) -> None:  # fmt: skip
        self.folder = folder
        self.clock = clock or Clock()
        self.keys_url = keys_url or f"sqlite:///{folder / 'keys.db'}"
        self.kms = None if kms is None else Kms(now=kms)
        self.text = TEXT.format(residual=residual, records=records)
        self.schedule: Schedule = load(self.text, "policies.toml")
        self.files = folder / "cameras" / "clips"
        self.files.mkdir(parents=True, exist_ok=True)
        (folder / "cameras" / "mounted").touch()
        self.signer: SigningKey = generate("test")
        if first:
            new_ledger(folder / "ledger.db").close()
        self.open()
        if first:
            self.keys.upgrade(at=self.clock())

    def open(self) -> None:
        """Everything that lives in a process, made anew."""
        self.ledger = Ledger(f"sqlite:///{self.folder / 'ledger.db'}", SEALING_KEY)
        known: dict[RootKind, Root] = {RootKind.LOCAL: LocalRoot(self.folder / "roots")}
        if self.kms is not None:
            known[RootKind.KMS] = KmsRoot(self.kms.client(), window_days=7)
        roots = Roots(chosen=RootKind.LOCAL if self.kms is None else RootKind.KMS, known=known)
        self.keys = KeyStore(self.keys_url, roots, backups=self.folder / "key-backups")
        inner = FileStore("cameras", self.folder / "cameras", now=self.clock)
        self.store: Store = SealedStore(
            inner, self.keys, worker=InsideWorker(self.keys), remover=inner, remembered=lambda: remembered(self.ledger), now=self.clock
        )  # fmt: skip
        self.assemble(self.ledger, self.store)

    def assemble(self, ledger: Ledger, store: Store) -> None:
        """What carries out cases, on this ledger and this store."""
        stores = {"cameras": store}
        self.spool = Spool(self.folder / "cases")
        self.certifier = Certifier(
            ledger=ledger,
            stores=stores,
            evidence=self.folder / "evidence",
            signers=[self.signer],
            version="0",
            log=log_at(self.folder / "log", ledger),
        )
        self.destroyer = Destroyer(
            ledger=ledger, stores=stores, spool=self.spool, certifier=self.certifier, now=self.clock
        )
        self.enforcing = Enforcing(
            ledger=ledger, stores=stores, schedule=self.schedule, now=self.clock, root_of=self.folder.joinpath
        )
        self.holding = self.enforcing.holding
        self.working = ledger, stores

    def close(self) -> None:
        self.keys.close()
        self.ledger.close()

    # Sealing, as `retention seal` does it

    def seal(
        self, number: int, *, days: float, camera: str = "door", plaintext_since: datetime | None = None
    ) -> str:
        """A clip that was recorded so many days ago, sealed under the cohort of its day. Returns the object's id."""
        trigger = (self.clock.at - timedelta(days=days)).replace(microsecond=0)
        facts = Facts(
            record_type="clips", location="clips", store="cameras", trigger=trigger, span=Span(start=trigger - LENGTH, end=trigger),
            camera=camera, branch="main", size=1000, seconds=LENGTH.total_seconds(), plaintext_since=plaintext_since,
        )  # fmt: skip
        new = self.keys.begin_sealing(facts, period=trigger.date().isoformat(), at=self.clock())
        plain = self.files / camera / f"{trigger:%Y%m%d-%H%M%S}.mp4"
        path = Path(sealed_name(str(plain), new.id))
        path.parent.mkdir(exist_ok=True)
        with new.key as key:
            path.write_bytes(AESGCM(key.reveal()).encrypt(bytes(12), f"clip {number}".encode(), b""))
        self.keys.finish_sealing(new.id, sealed_size=path.stat().st_size, digest="0" * 64, at=self.clock())
        return new.id

    def opens(self, id: str) -> bool:
        """Whether anybody with the key store and its root can read the clip. Anything but a destroyed key is an error."""
        try:
            with self.keys.key_of(id) as key:
                material = bytes(key.reveal())
        except KeyDestroyed:
            return False
        (path,) = self.files.rglob(f"*.{id}.sealed")
        return AESGCM(material).decrypt(bytes(12), path.read_bytes(), b"").startswith(b"clip ")

    def ciphertext(self, id: str) -> bool:
        return bool(list(self.files.rglob(f"*.{id}.sealed")))

    # The night

    @property
    def criteria(self) -> Criteria:
        return criteria_for(self.schedule, self.schedule.record_type("clips"), "clips", self.clock.at.date())

    def plan(self, on: date | None = None) -> tuple[Plan, Case | None]:
        ledger, stores = self.working
        return open_case(
            ledger=ledger, stores=stores, spool=self.spool, schedule=self.schedule, schedule_text=self.text,
            record_type=self.schedule.record_type("clips"), on=on or self.clock.at.date(), actor="test", now=self.clock(),
        )  # fmt: skip

    def case(self) -> Case:
        _, case = self.plan()
        assert case is not None
        return case

    def night(self) -> Disposal:
        """A case and what came of it, without step 11."""
        return self.destroyer.dispose(self.case().id)

    def rotate(self) -> bool:
        rotated = self.keys.rotate(at=self.clock()).rotated
        remember(self.ledger, self.keys.epoch(), actor="test", at=self.clock())
        return rotated

    def follow_up(self, certificate: Certificate) -> Certificate | None:
        return self.certifier.follow_up(certificate, self.schedule, at=self.clock(), actor="test")

    # Evidence

    def predicate(self, certificate: Certificate) -> dict[str, Any]:
        return cast("dict[str, Any]", envelope.read(certificate.envelope).statement()["predicate"])

    def verified(self, certificate: Certificate) -> Report:
        leaves = (self.folder / "evidence" / f"{certificate.id}.leaves").read_bytes()
        key = self.signer.public
        return verify(certificate.envelope, keys={key.keyid: key}, leaves=leaves)

    # Keeping and bringing back an older state, as a restore from backup does

    def save(self, name: str) -> None:
        self.close()
        for what in ("keys.db", "roots"):
            copy = self.folder / name / what
            copy.parent.mkdir(exist_ok=True)
            source = self.folder / what
            shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
        self.open()

    def bring_back(self, name: str) -> None:
        self.close()
        for what in ("keys.db", "roots"):
            target = self.folder / what
            shutil.rmtree(target) if target.is_dir() else target.unlink()
            source = self.folder / name / what
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        for left in ("keys.db-wal", "keys.db-shm"):
            (self.folder / left).unlink(missing_ok=True)
        self.open()


def destroyed(disposal: Disposal) -> int:
    return disposal.counts[Outcome.DESTROYED]


def on_camera(*cameras: str) -> Scope:
    return Scope(record_types=frozenset({"clips"}), cameras=frozenset(cameras))


def everything_said(vault: Vault) -> bytes:
    """Whatever leaves the process: the ledger with its log, evidence, events."""
    found = [path for path in (vault.folder / "evidence").rglob("*") if path.is_file()]
    found += list(vault.folder.glob("ledger.db*"))
    said = b"".join(path.read_bytes() for path in found)
    return said + json.dumps([event.body for event in vault.ledger.events(limit=10_000)]).encode()
