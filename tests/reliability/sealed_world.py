"""A vault that can lose power before any step, with a book of its own: what was sealed, what must live, what a certificate may say."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from sqlalchemy import select

from retention.errors import Refused, RetentionError, StoreUnavailable
from retention.holds import HoldState
from storage.files.store import FileStore
from storage.keys import tables
from storage.keys.keystore import KeyStore
from storage.ledger.cases import CaseState
from storage.ledger.certificates import Certificate
from storage.ledger.ledger import Ledger
from storage.sealed.remembering import remembered
from storage.sealed.store import SealedStore
from tests.reliability.world import COMPILED, LEASE_IS_OVER, Powered
from tests.simulator.power import Power, PowerCut
from tests.storage.desk import MATTER, person
from tests.storage.sealed.inside import InsideWorker
from tests.storage.sealed.vault import Vault, on_camera

RELEASE = b"The court releases the library."


class PoweredKeys(Powered):
    """The key store on a machine's power; what happens inside the gate is steps, too."""

    @contextmanager
    def gate(self, *, at: datetime) -> Iterator[Any]:
        self._power.step("keys.gate")
        with self._inside.gate(at=at) as writing:  # type: ignore[attr-defined]  # a key store
            yield Powered(writing, self._power, "writing")


class SealedWorld:
    """``book``: camera and trigger of everything sealed, by id. ``kept``: what a hold in force protects."""

    def __init__(self, folder: Path, *, first: bool = True) -> None:
        self.power = Power()
        self.vault = Vault(folder, first=first)
        self.book: dict[str, tuple[str, datetime]] = {}
        self.withdrawn: set[str] = set()
        self.kept: dict[str, set[str]] = {}
        self.number = 0
        self.last: list[str] = []
        """Steps of the last action that the power lasted for."""
        self.people = [person(self.vault.ledger, name) for name in ("amara", "boris")] if first else []
        self._on_power()

    def copied(self, folder: Path) -> SealedWorld:
        """The same world again, in another folder."""
        self.vault.close()
        shutil.copytree(self.vault.folder, folder)
        other = SealedWorld(folder, first=False)
        other.book, other.withdrawn = dict(self.book), set(self.withdrawn)
        other.kept, other.number = {id: set(kept) for id, kept in self.kept.items()}, self.number
        other.vault.signer = self.vault.signer
        other.vault.clock.at = self.vault.clock.at
        other._on_power()
        other.people = self.people
        return other

    def _on_power(self) -> None:
        vault = self.vault
        # Statements are compiled once for all worlds: a world has its own engines and would compile every one anew.
        for database in (vault.keys.db, vault.ledger.connection):
            database.engine = database.engine.execution_options(compiled_cache=COMPILED)
        keys = cast("KeyStore", PoweredKeys(vault.keys, self.power, "keys"))
        ledger = cast("Ledger", Powered(vault.ledger, self.power, "ledger"))
        inner = FileStore("cameras", vault.folder / "cameras", now=vault.clock)
        self.keys = keys
        store = SealedStore(
            inner, keys, worker=InsideWorker(keys), remover=inner, remembered=lambda: remembered(vault.ledger), now=vault.clock
        )  # fmt: skip
        vault.assemble(ledger, store)

    def do(self, action: Callable[[], object], cut: int | None = None) -> bool:
        """Do it; after a power cut everything in the process is gone and comes up anew. Whether the power lasted."""
        if cut is not None:
            self.power.cut_at(cut)
        try:
            with suppress(Refused, StoreUnavailable):
                action()
        except PowerCut:
            self.power.restore()
            self.vault.close()
            self.vault.open()
            self._on_power()
            self.vault.clock.at += LEASE_IS_OVER
            return False
        self.last = list(self.power.trace)
        self.power.restore()
        return True

    # What happens at a library

    def seal(self, days: int, camera: str) -> str:
        self.number += 1
        id = self.vault.seal(self.number, days=days + self.number / 100_000, camera=camera)
        self.book[id] = camera, self.vault.keys.object(id).trigger  # type: ignore[assignment]  # clips have a time
        return id

    def pass_days(self, days: int) -> None:
        self.vault.clock.at += timedelta(days=days)

    def withdraw(self, id: str) -> None:
        if self.vault.opens(id) and id not in self.withdrawn:
            self.withdrawn.add(id)
            self.vault.keys.withdraw(id, reason="consent withdrawn", at=self.vault.clock())

    def place(self, camera: str) -> None:
        hold = self.vault.enforcing.place(on_camera(camera), MATTER, self.people[0]).file
        self.kept[hold.id] = {
            id for id, (seen_by, _) in self.book.items() if seen_by == camera and self.vault.opens(id)
        }

    def release_all(self) -> None:
        holding = self.vault.holding
        self.kept.clear()
        for file in self.vault.ledger.holds.list():
            with suppress(RetentionError):
                holding.request_release(file.id, self.people[0], RELEASE)
                holding.approve_release(file.id, self.people[1], timedelta(days=1))
        self.vault.clock.at += timedelta(days=2)
        holding.end_grace(actor="test")
        self.vault.enforcing.preserve()

    def night(self) -> None:
        """What a nightly run does."""
        vault = self.vault
        vault.enforcing.preserve()
        vault.destroyer.settle()
        ledger, _ = vault.working
        open_cases = ledger.cases.list(state=CaseState.STARTED)
        case = open_cases[-1] if open_cases else vault.plan()[1]
        if case is not None:
            vault.destroyer.dispose(case.id)
        self.keys.rotate(at=vault.clock())
        vault.destroyer.clear_ciphertext(vault.schedule, vault.clock.at.date())
        for certificate in self.certificates():
            vault.follow_up(certificate)

    def certificates(self) -> list[Certificate]:
        """The latest of each case."""
        latest: dict[str, Certificate] = {}
        for certificate in self.vault.ledger.certificates.list():
            latest.setdefault(certificate.case_id, certificate)
        return list(latest.values())

    # What must be true at every moment

    def check(self) -> None:
        today = self.vault.clock.at.date()
        gone = {id for id in self.book if not self.vault.opens(id)}
        early = {id for id in gone - self.withdrawn if self.book[id][1].date() + timedelta(days=30) >= today}
        assert not early, "destroyed before its minimum was over"
        held = set().union(*self.kept.values())
        assert not gone & held, "destroyed under a hold"
        certified = 0
        living = self._living_kids()
        for certificate in self.certificates():
            said = self.vault.predicate(certificate)
            certified += said["summary"]["objects"]
            assert self.vault.verified(certificate).ok
            assert not living & set(said["how"]["keysDestroyed"]), "certified and still there"
            if certificate.state == "final":
                erasure = self._erasure(certificate)
                assert erasure.windows == (), "final while a root lives that could open an older key store"
        assert certified <= len(gone), "more certified than is gone"
        self.gone, self.certified = gone, certified

    def _living_kids(self) -> set[str]:
        with self.vault.keys.db.reading() as connection:
            kids = set(connection.execute(select(tables.wrapping_key.c.kid)).scalars())
            return kids | set(connection.execute(select(tables.wrap.c.child)).scalars()) - {
                self.vault.keys.object(id).kid for id in self.book if not self.vault.opens(id)
            }

    def _erasure(self, certificate: Certificate) -> Any:
        witnesses = [
            batch.witness
            for batch in self.vault.ledger.batches.settled(certificate.case_id)
            if "D" in batch.codes
        ]
        return self.vault.keys.erasure(witnesses)

    def finish(self) -> None:
        """The nights that follow a bad one: everything is done, certified, final, and nothing that lives is lost."""
        for hold in self.vault.ledger.holds.list():
            if hold.state is HoldState.PLACING:
                self.vault.enforcing.resume(hold.id, actor="test")
        for _ in range(2):
            self.vault.clock.at += LEASE_IS_OVER
            self.night()
        self.check()
        assert self.vault.ledger.batches.open_intents() == []
        assert self.certified == len(self.gone), "gone and not certified"
        assert {one.state for one in self.certificates()} <= {"final"}
        today = self.vault.clock.at.date()
        held = {
            id
            for id, (camera, _) in self.book.items()
            for hold in self.vault.ledger.holds.in_force().holds
            if camera in hold.scope.cameras
        }
        due = {id for id, (_, trigger) in self.book.items() if trigger.date() + timedelta(days=30) < today}
        assert self.gone >= (due | self.withdrawn) - held
        assert not [id for id in self.gone if self.vault.ciphertext(id)]
