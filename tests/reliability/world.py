"""A small library around the choke point: two simulated stores, a real ledger, workers that can lose power at any step.

It keeps its own book of what was really destroyed (`Watched`), and judges the ledger and the certificates by that book.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

from retention.decide import Criteria, Due, decide
from retention.errors import RetentionError
from retention.holds import Hold, Matter, MatterKind, Scope
from retention.loader import load
from retention.outcomes import CODES, OPEN, Outcome
from retention.permissions import Role
from retention.records import Personal, Record, Span
from retention.schedule import Schedule
from retention.signing import SigningKey, generate
from storage.certifying import Certifier
from storage.contract import Pace, Stores
from storage.destroy import Destroyer
from storage.enforcing import Enforcing
from storage.holding import Holding
from storage.ledger.batches import ELSEWHERE
from storage.ledger.cases import CaseState
from storage.ledger.ledger import Ledger
from storage.ledger.people import Person
from storage.planning import criteria_for, open_case
from storage.signatures import Signatory
from storage.spool import Spool
from tests.simulator.power import Power, PowerCut
from tests.simulator.store import SimulatorStore, parse
from tests.simulator.target import Address, Item, Target
from tests.storage.desk import log_at
from tests.storage.published import begun, ended

TEXT = """
version = "1"
[library]
organization = "Prairie Creek Library District"
custodian = "Library Director"
time-zone = "UTC"
fiscal-year-start = "07-01"
[store.ils]
kind = "database"
title = "Circulation"
[store.kiosk]
kind = "database"
title = "Sign-in kiosk"
""" + "".join(
    f"""
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
disposition = "{disposition}"
approval = "standing"
limits = {{ records = 1000000 }}
effective-from = 2020-01-01
"""
    + "".join(
        f"""
[[record-type.{name}.location]]
name = "{place}"
store = "{store}"
table = "{place.replace("-", "_")}"
key = "id"
trigger-column = "finished_at"
trigger-kind = "timestamp"
time-zone = "UTC"
subject = "patron"
{extra}
"""
        for place in places
    )
    for name, disposition, store, places, extra in (
        ("loans", "purge", "ils", ("loan", "aged-loan"), ""),
        ("requests", "anonymize", "ils", ("request",), 'clear = ["patron"]'),
        ("sign-ins", "purge", "kiosk", ("sign-in",), ""),
    )
)

START = datetime(2025, 6, 2, 2, 0, tzinfo=UTC)
LEASE_IS_OVER = timedelta(minutes=2)
MATTER = Matter(number="M-1", kind=MatterKind.SUBPOENA, issuing_authority="District Court")
PATIENCE = 0.05
"""Seconds. Everything in the machine runs in one thread: whoever waits for a lock, waits in vain."""


COMPILED: dict[Any, Any] = {}


@cache
def read_schedule(text: str) -> Schedule:
    """Read once: it is the same text for every case of every world."""
    return load(text, "policies.toml")


Cell = tuple[Address, int]
"""One version of one record: what a manifest line names."""


class Watched(Target):
    """Writes down every destruction at the moment it happens, and asks at that very moment whether it was allowed."""

    def __init__(self, world: World, *, transactional: bool) -> None:
        super().__init__(transactional=transactional, patience=PATIENCE)
        self._world = world
        self.destroyed: set[Cell] = set()
        self.removed: set[Cell] = set()
        """Taken away by somebody else, or overwritten by another record of the same key."""
        self.returned: set[Cell] = set()
        """Destroyed, and then another record of the same key came. A read-back of an interrupted batch sees that one: it
        claims less than was done, since nobody can tell it from the old one changed in place."""

    def erase(self, address: Address, item: Item, *, anonymize: bool) -> bool:
        gone = super().erase(address, item, anonymize=anonymize)
        if gone:
            self.destroyed.add((address, item.version))
            self._world.judge(item.record)
            self._world.require_begun(item.record.record_type)
        return gone

    def put(self, record: Record) -> None:
        address = ((record.record_type, record.location), record.key.reveal())
        before = self.find(address)
        super().put(record)
        if before is not None:
            self.removed.add((address, before.version))
        self.returned |= {cell for cell in self.destroyed if cell[0] == address}

    def remove(self, place: tuple[str, str], key: str) -> None:
        item = self.find((place, key))
        super().remove(place, key)
        if item is not None:
            self.removed.add(((place, key), item.version))


class Powered:
    """Every call of a public method of what is inside is a step on a machine's power; what it gives out is powered too."""

    def __init__(self, inside: object, power: Power, name: str) -> None:
        self._inside = inside
        self._power = power
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._inside, attribute)
        name = f"{self._name}.{attribute}"
        if callable(found):

            def call(*given: Any, **named: Any) -> Any:
                self._power.step(name)
                return found(*given, **named)

            return call
        if type(found).__module__.startswith("storage."):
            return Powered(found, self._power, name)
        return found


@dataclass(kw_only=True)
class Worker:
    """One process on a machine of its own: its power, its connections, its destroyer."""

    power: Power
    ledger: Ledger
    stores: Stores
    spool: Spool
    certifier: Certifier
    destroyer: Destroyer
    enforcing: Enforcing

    @property
    def holding(self) -> Holding:
        return self.enforcing.holding


@dataclass
class World:
    """``folder``: empty and private. ``blank``: an up-to-date empty ledger file to begin with."""

    folder: Path
    blank: Path
    now: datetime = START
    effective: dict[str, Hold] = field(default_factory=dict)
    """Holds whose placing has returned and whose release has not begun to take effect: these must keep."""
    violations: list[str] = field(default_factory=list)
    manifests: dict[str, dict[int, list[bytes]]] = field(default_factory=dict)
    """Every opened case's lines by part, copied before anybody works on it."""

    def __post_init__(self) -> None:
        self.schedule = read_schedule(TEXT)
        self.targets = {"ils": Watched(self, transactional=True), "kiosk": Watched(self, transactional=False)}
        for record_type in self.schedule.record_types:
            for location in record_type.locations:
                self.targets[location.store].known.add((record_type.id, location.name))
        self._signer: SigningKey = generate("test")
        self._seen = b""
        self._under_way: set[str] = set()
        shutil.copy(self.blank, self.folder / "ledger.db")
        self.ledger = Ledger(f"sqlite:///{self.folder / 'ledger.db'}", bytes(32))
        # Statements are compiled once for all worlds: a world has its own engine and would compile every one anew.
        connection = self.ledger.connection
        connection.engine = connection.engine.execution_options(compiled_cache=COMPILED)
        self._spool = Spool(self.folder / "spool")
        self.people = [self._person(name) for name in ("amara", "boris")]
        self.workers = [self._worker(), self._worker()]

    def _person(self, name: str) -> Signatory:
        key = generate(name)
        person = Person(
            name=name, full_name=name.title(), title="Custodian", role=Role.CUSTODIAN, public_key=key.public.text, added_at=self.now
        )  # fmt: skip
        self.ledger.people.add(person, actor="test")
        return Signatory(person=person, key=key)

    def _worker(self) -> Worker:
        power = Power()
        ledger = cast("Ledger", Powered(self.ledger, power, "ledger"))
        spool = cast("Spool", Powered(self._spool, power, "spool"))
        stores = {
            name: SimulatorStore(target, name=name, power=power, pace=PACE)
            for name, target in self.targets.items()
        }
        certifier = Certifier(
            ledger=ledger,
            stores=stores,
            evidence=self.folder / "evidence",
            signers=[self._signer],
            version="0",
            log=log_at(self.folder / "log", ledger),
        )
        return Worker(
            power=power,
            ledger=ledger,
            stores=stores,
            spool=spool,
            certifier=certifier,
            destroyer=Destroyer(
                ledger=ledger,
                stores=stores,
                spool=spool,
                certifier=certifier,
                now=self.clock,
                read_schedule=read_schedule,
            ),
            enforcing=Enforcing(
                ledger=ledger,
                stores=stores,
                schedule=self.schedule,
                now=self.clock,
                root_of=self.folder.joinpath,
            ),
        )

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=10)
        return self.now

    @property
    def today(self) -> date:
        return self.now.date()

    def criteria(self, record_type: str, location: str) -> Criteria:
        return criteria_for(self.schedule, self.schedule.record_type(record_type), location, self.today)

    # What happens in the library.

    def add(self, record_type: str, location: str, number: int, days_ago: int, subject: str | None) -> None:
        """One more record, or the old one of that number changed."""
        store = self.schedule.record_type(record_type).location(location).store
        trigger = datetime.combine(self.today, time(12), UTC) - timedelta(days=days_ago)
        with suppress(TimeoutError):  # locked by a batch: the library's own software gives up
            self.targets[store].put(
                Record(
                    record_type=record_type,
                    store=store,
                    location=location,
                    key=Personal(f"{number:03}"),
                    trigger=trigger,
                    span=Span(start=trigger - timedelta(hours=1), end=trigger),
                    subject=None if subject is None else Personal(subject),
                )
            )

    def remove(self, record_type: str, location: str, number: int) -> None:
        store = self.schedule.record_type(record_type).location(location).store
        with suppress(TimeoutError):
            self.targets[store].remove((record_type, location), f"{number:03}")

    # What the product does. Every one may be cut off by a power cut or end in one of the product's errors.

    def attempt(self, worker: Worker, action: Callable[[], object]) -> BaseException | None:
        """Do it on this worker; after a power cut the machine comes up again."""
        try:
            action()
        except (PowerCut, RetentionError) as ended:
            return ended
        finally:
            worker.power.interrupt = None
            worker.power.restore()
        return None

    def open(self, worker: Worker, record_type: str) -> None:
        planned, case = open_case(
            ledger=worker.ledger, stores=worker.stores, spool=worker.spool, schedule=self.schedule, schedule_text=TEXT,
            record_type=self.schedule.record_type(record_type), on=self.today, actor="scheduler", now=self.clock(),
        )  # fmt: skip
        assert (case is None) is (planned.due == 0)

    def remember_manifests(self) -> None:
        """Copy the frozen lines of every case that is open now."""
        for case in self.ledger.cases.list(state=CaseState.STARTED):
            if case.id not in self.manifests:
                copied = self.manifests[case.id] = {}
                for part in case.parts:
                    with self._spool.open(case.id, part) as manifest:
                        copied[part.number] = manifest.lines(0, part.items)[0]

    def dispose(self, worker: Worker, case_id: str) -> None:
        worker.destroyer.dispose(case_id)

    def place(self, worker: Worker, scope: Scope) -> None:
        placed = worker.enforcing.place(scope, MATTER, self.people[0])
        self.effective[placed.file.id] = placed.file.hold

    def complete_placing(self, worker: Worker) -> None:
        for file in self.ledger.holds.list():
            if file.state.value == "placing":
                placed = worker.enforcing.resume(file.id, actor="test")
                self.effective[file.id] = placed.file.hold

    def release(self, worker: Worker, id: str) -> None:
        worker.holding.request_release(id, self.people[0], b"order")
        worker.holding.approve_release(id, self.people[1], timedelta(days=1))

    def end_grace(self, worker: Worker) -> None:
        """From the moment it is asked for, holds whose grace is over need not keep any more."""
        for file in self.ledger.holds.list():
            if file.grace_until is not None and file.grace_until <= self.now:
                self.effective.pop(file.id, None)
        worker.holding.end_grace(actor="test")

    # Judgement.

    def judge(self, record: Record) -> None:
        """Called at the moment of a destruction."""
        decision = decide(record, self.criteria(record.record_type, record.location), self.effective.values())
        if not isinstance(decision, Due):
            self.violations.append(
                f"{record.record_type} {record.key.reveal()} was destroyed: {decision.reasons}"
            )

    def require_begun(self, record_type: str) -> None:
        """Called at the moment of a destruction: the published log says that a case of that type began, and not that it ended."""
        log = self.folder / "log"
        seen = (log / "checkpoint").read_bytes() if (log / "checkpoint").is_file() else b""
        if seen != self._seen:
            self._seen, over = seen, ended(log)
            self._under_way = {type for case, type in begun(log).items() if case not in over}
        if record_type not in self._under_way:
            self.violations.append(f"{record_type} went, and the log does not say that a case began")

    def outcomes(self, case_id: str) -> dict[Cell, Outcome]:
        """What the ledger says of each line of a case. Two outcomes for one line are a violation."""
        case = self.ledger.cases.get(case_id)
        letters = {code: outcome for outcome, code in CODES.items()}
        found: dict[Cell, Outcome] = {}
        for batch in self.ledger.batches.settled(case_id):
            part = case.parts[batch.range.part]
            for position, code in enumerate(batch.codes):
                if code in (OPEN, ELSEWHERE):
                    continue
                key, version = parse(self.manifests[case_id][part.number][batch.range.first + position])
                cell = (((case.record_type, part.location), key), version)
                if cell in found:
                    self.violations.append(f"a line of {case_id} has two outcomes")
                found[cell] = letters[code]
        return found

    def all_destroyed(self) -> set[Cell]:
        return {cell for target in self.targets.values() for cell in target.destroyed}

    def check(self) -> None:
        """The invariants that hold at every moment."""
        self.remember_manifests()
        claimed: Counter[Cell] = Counter()
        destroyed = self.all_destroyed()
        removed_at_kiosk = self.targets["kiosk"].removed
        for case_id in self.manifests:
            for cell, outcome in self.outcomes(case_id).items():
                address, version = cell
                if outcome in (Outcome.DESTROYED, Outcome.ALREADY_ABSENT):
                    item = self._find(address)
                    if item is not None and item.version == version:
                        self.violations.append(f"{case_id} says {outcome} of a record that is still there")
                if outcome is Outcome.DESTROYED:
                    claimed[cell] += 1
                    # Without transactions nobody can tell our own unlinking from somebody else's after a crash.
                    if cell not in destroyed and cell not in removed_at_kiosk:
                        self.violations.append(
                            f"{case_id} says destroyed of a record that it did not destroy"
                        )
        if claimed and max(claimed.values()) > 1:
            self.violations.append("one destruction is claimed twice")
        for certificate in self.ledger.certificates.list():
            told = certified(certificate.envelope)
            seen = Counter(self.outcomes(certificate.case_id).values())
            if told != seen[Outcome.DESTROYED] or not told:
                self.violations.append(f"{certificate.id} claims {told} of {seen}")
        assert self.violations == [], self.violations

    def _find(self, address: Address) -> Item | None:
        return next(
            (item for target in self.targets.values() if (item := target.find(address)) is not None), None
        )

    def finish(self) -> None:
        """All faults end, everything interrupted is settled and carried to its end: then nothing destroyed is uncertified."""
        for target in self.targets.values():
            target.faults.commits.clear()
            target.faults.stubborn.clear()
            target.faults.unreachable = False
        self.remember_manifests()
        worker = self.workers[0]
        self.now += LEASE_IS_OVER
        with suppress(PowerCut):
            worker.destroyer.settle()
        assert self.ledger.batches.open_intents() == []
        for case in self.ledger.cases.list(state=CaseState.STARTED):
            self.now += LEASE_IS_OVER
            worker.destroyer.dispose(case.id)
        assert self.ledger.cases.list(state=CaseState.STARTED) == []
        worker.certifier.catch_up(at=self.clock(), actor="test")
        self.check()
        certified_cases = {certificate.case_id for certificate in self.ledger.certificates.list()}
        claimed = {
            cell
            for case_id in certified_cases
            for cell, outcome in self.outcomes(case_id).items()
            if outcome is Outcome.DESTROYED
        }
        returned = {cell for target in self.targets.values() for cell in target.returned}
        uncertified = self.all_destroyed() - claimed - returned
        assert not uncertified, f"{len(uncertified)} destroyed, and no certificate says so"
        assert self.ledger.connection.verify_chain() > 0
        assert set(begun(self.folder / "log")) == ended(self.folder / "log")
        assert self.ledger.log.begun() == []

    def close(self) -> None:
        self.ledger.close()


PACE = Pace(workers=1, first=3, most=3)
"""Small batches, one after the other: every interleaving is the machine's choice."""


def certified(envelope: bytes) -> int:
    """How many destroyed records a certificate claims, read from its envelope without the product's help."""
    statement = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    return sum(int(place["destroyed"]) for place in statement["predicate"]["what"]["locations"])
