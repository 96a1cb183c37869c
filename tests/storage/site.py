"""A small library with two simulated stores around a ledger of either engine. Nothing decides here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

from retention.holds import Scope
from retention.loader import load
from retention.records import Personal, Record, Span
from retention.schedule import Schedule
from retention.signing import SigningKey, generate
from storage.certifying import Certifier
from storage.contract import Pace
from storage.destroy import Destroyer
from storage.enforcing import Enforcing
from storage.hold_care import HoldCare
from storage.ledger.cases import Case
from storage.ledger.ledger import Ledger
from storage.planning import Plan, open_case
from storage.spool import Spool
from tests.simulator.store import SimulatorStore
from tests.simulator.target import Target
from tests.storage.desk import Clock, log_at

LIBRARY = """
version = "1"
[library]
organization = "Prairie Creek Library District"
custodian = "Library Director"
time-zone = "UTC"
fiscal-year-start = "07-01"
[store.ils]
kind = "database"
title = "Circulation"
residual = { backups = "P35D" }
[store.kiosk]
kind = "database"
title = "Sign-in kiosk"
"""
RECORD_TYPE = """
[record-type.{name}]
title = "{name}"
description = "Invented"
owner = "Circulation"
personal-data = ["patron"]
trigger = "finished"
cutoff = "day"
authority = "Policy 4.2"
minimum = "P30D"
maximum = "P60D"
disposition = "purge"
approval = "{approval}"
limits = {{ {limits} }}
effective-from = 2020-01-01
"""
LOCATION = """
[[record-type.{name}.location]]
name = "{place}"
store = "{store}"
table = "{table}"
key = "id"
trigger-column = "finished_at"
trigger-kind = "timestamp"
time-zone = "UTC"
subject = "patron"
"""
PLACES = {"loans": (("loan", "ils"), ("aged-loan", "ils")), "sign-ins": (("sign-in", "kiosk"),)}
TWO_PEOPLE = 'two-person"\ncooling-off = "P0D'
"""For ``approval``."""
SMALL = Pace(workers=1, first=3, most=3)


def text(*, approval: str = "standing", limits: str = "records = 1000000", without: str = "") -> str:
    """The schedule as a file; ``without`` a record type it once had."""
    told = LIBRARY
    for name, places in PLACES.items():
        if name != without:
            told += RECORD_TYPE.format(name=name, approval=approval, limits=limits)
            for place, store in places:
                told += LOCATION.format(name=name, place=place, store=store, table=place.replace("-", "_"))
    return told


class Site:
    """``stores`` may be changed by a test: one taken away has no address any more."""

    def __init__(self, ledger: Ledger, folder: Path, **schedule: str) -> None:
        self.ledger = ledger
        self.folder = folder
        self.clock = Clock()
        self.text = text(**schedule)
        self.schedule: Schedule = load(self.text, "policies.toml")
        self.targets = {name: Target(patience=2.0) for name in ("ils", "kiosk")}
        for name, places in PLACES.items():
            for place, store in places:
                self.targets[store].known.add((name, place))
        self.stores = {
            name: SimulatorStore(target, name=name, pace=SMALL) for name, target in self.targets.items()
        }
        self.spool = Spool(folder / "cases")
        self.signer: SigningKey = generate("test")
        self.certifier = Certifier(
            ledger=ledger,
            stores=self.stores,
            evidence=folder / "evidence",
            signers=[self.signer],
            version="0",
            log=log_at(folder / "log", ledger),
        )
        self.destroyer = Destroyer(
            ledger=ledger, stores=self.stores, spool=self.spool, certifier=self.certifier, now=self.clock
        )
        self.enforcing = self.enforcing_under(self.schedule)
        self.holding = self.enforcing.holding
        self.care = HoldCare(ledger=ledger, schedule=self.schedule, now=self.clock)

    def enforcing_under(self, schedule: Schedule) -> Enforcing:
        return Enforcing(
            ledger=self.ledger,
            stores=self.stores,
            schedule=schedule,
            now=self.clock,
            root_of=self.folder.joinpath,
        )

    @property
    def today(self) -> date:
        return self.clock.at.date()

    def add(self, place: str, number: int, *, days: int = 45, subject: str | None = "p-1") -> None:
        """A record that ended so many days ago; more than 30 is due."""
        name, store = next(
            (name, store) for name, places in PLACES.items() for found, store in places if found == place
        )
        trigger = self.clock.at - timedelta(days=days)
        self.targets[store].put(
            Record(
                record_type=name,
                store=store,
                location=place,
                key=Personal(f"{number:03}"),
                trigger=trigger,
                span=Span(start=trigger - timedelta(hours=1), end=trigger),
                subject=None if subject is None else Personal(subject),
            )
        )

    def left(self, place: str) -> list[str]:
        return sorted(
            item.record.key.reveal()
            for target in self.targets.values()
            for found in target.known
            if found[1] == place
            for item in target.at(found)
        )

    def open(
        self, record_type: str = "loans", now: Callable[[], datetime] | None = None, actor: str = "test"
    ) -> tuple[Plan, Case | None]:
        return open_case(
            ledger=self.ledger,
            stores=self.stores,
            spool=self.spool,
            schedule=self.schedule,
            schedule_text=self.text,
            record_type=self.schedule.record_type(record_type),
            on=self.today,
            actor=actor,
            now=(now or self.clock)(),
        )

    def opened(self, record_type: str = "loans", actor: str = "test") -> Case:
        _, case = self.open(record_type, actor=actor)
        assert case is not None
        return case


def about(*subjects: str, record_type: str = "loans") -> Scope:
    return Scope(
        record_types=frozenset({record_type}), subjects=frozenset(Personal(subject) for subject in subjects)
    )
