"""A ledger, a spool and a destroyer around one store of the contract suite, and people who decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retention import approval
from retention.approval import Decision
from retention.permissions import Role
from retention.schedule import (
    ApprovalKind,
    Limits,
    Period,
    RecordType,
    Schedule,
    StoreDeclaration,
    StoreKind,
)
from retention.signing import SigningKey, generate
from retention.verify import Report, verify
from storage.certifying import Certifier
from storage.contract import Store
from storage.destroy import Destroyer
from storage.enforcing import Enforcing
from storage.ledger.cases import Case
from storage.ledger.people import Person, SignedDecision
from storage.planning import Plan, open_case
from storage.signatures import Signatory, Signing, marked_epoch
from storage.spool import Spool
from tests.contract.harness import LIBRARY, ON, StoreHarness
from tests.storage.desk import log_at
from tests.storage.ledgers import new_ledger


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.at = datetime(2025, 6, 2, 15, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


class Workbench:
    """Everything of one site, on one store. ``again()`` is the same site in a new process."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        record_type: RecordType,
        *,
        clock: Clock | None = None,
        key: SigningKey | None = None,
        residual: tuple[tuple[str, Period], ...] = (),
    ) -> None:
        self.folder = folder
        self.store = store
        self.clock = clock or Clock()
        self.key = key or generate("workbench")
        location = record_type.locations[0]
        declared = StoreDeclaration(
            name=location.store, kind=StoreKind.FILES, title="Suite", residual=residual
        )
        self.schedule = Schedule(
            version="1", digest="5c" * 32, library=LIBRARY, stores=(declared,), record_types=(record_type,)
        )
        self.record_type = record_type
        self.stores = {location.store: store}
        self.ledger = new_ledger(folder / "ledger.db")
        self.spool = Spool(folder / "cases")
        self.certifier = Certifier(
            ledger=self.ledger,
            stores=self.stores,
            evidence=folder / "evidence",
            signers=(self.key,),
            version="0",
            log=log_at(folder / "log", self.ledger),
        )
        self.destroyer = Destroyer(
            ledger=self.ledger,
            stores=self.stores,
            spool=self.spool,
            certifier=self.certifier,
            now=self.clock,
            read_schedule=lambda _text: self.schedule,
        )
        self.enforcing = Enforcing(
            ledger=self.ledger,
            stores=self.stores,
            schedule=self.schedule,
            now=self.clock,
            root_of=folder.joinpath,
        )

    @classmethod
    def around(
        cls,
        folder: Path,
        harness: StoreHarness,
        *,
        approval_kind: ApprovalKind = ApprovalKind.STANDING,
        limits: Limits | None = None,
        cooling_off: Period | None = None,
        residual: tuple[tuple[str, Period], ...] = (),
    ) -> Workbench:
        """A workbench around a harness's store, with the suite's record type changed as told."""
        record_type = replace(
            harness.criteria(ON).record_type,
            approval=approval_kind,
            limits=limits or Limits(),
            cooling_off=cooling_off or Period(),
        )
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, harness.store, record_type, residual=residual)

    def again(self, store: Store) -> Workbench:
        """The same site after a restart: new connections, new store object."""
        self.ledger.close()
        return Workbench(self.folder, store, self.record_type, clock=self.clock, key=self.key)

    def open(self) -> tuple[Plan, Case | None]:
        return open_case(
            ledger=self.ledger,
            stores=self.stores,
            spool=self.spool,
            schedule=self.schedule,
            schedule_text="# frozen",
            record_type=self.record_type,
            on=ON,
            actor="test",
            now=self.clock(),
        )

    def opened(self) -> Case:
        _, case = self.open()
        assert case is not None
        return case

    def person(self, name: str, role: Role = Role.CUSTODIAN) -> Signatory:
        key = generate(name)
        person = Person(
            name=name,
            full_name=name.title(),
            title="Library Director",
            role=role,
            public_key=key.public.text,
            added_at=self.clock(),
        )
        self.ledger.people.add(person, actor="test")
        return Signatory(person=person, key=key)

    def approve(self, case: Case, by: Signing, *, lifts: tuple[str, ...] = ()) -> None:
        at, epoch = self.clock(), self.ledger.holds.epoch()
        statement = approval.statement(
            case=case.id,
            manifest=case.manifest_digest,
            schedule=case.schedule_digest,
            record_type=case.record_type,
            items=case.items,
            decision=Decision.APPROVE,
            at=at,
            lifts=lifts,
            hold_epoch=marked_epoch(self.ledger, case=case.id, person=by.person.name, at=at, epoch=epoch),
        )
        self.ledger.people.sign_off(
            SignedDecision(
                case_id=case.id,
                person=by.person.name,
                decision="approve",
                statement=statement,
                signature=by.sign(statement).text,
                epoch=epoch,
                at=at,
            )
        )

    def verified(self, certificate_id: str) -> Report:
        """The certificate as published, checked as an auditor does."""
        path = self.folder / "evidence" / f"{certificate_id}.dsse.json"
        leaves = path.with_name(f"{certificate_id}.leaves").read_bytes()
        return verify(path.read_bytes(), keys={self.key.keyid: self.key.public}, leaves=leaves)

    def close(self) -> None:
        self.ledger.close()
