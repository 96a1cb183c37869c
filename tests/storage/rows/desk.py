"""One folder with files of rows, and the few moves of a case on them. Rows are due when their patron withdrew, or after 60 days."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from retention.condition import Compare
from retention.decide import Criteria
from retention.holds import Hold, HoldState, Scope
from retention.outcomes import Presence
from retention.records import Personal
from retention.schedule import ConsentRecord, Disposition, ExportRule, Period, Rows, TreeLocation, TriggerKind
from storage.consents import Consents, Recorded
from storage.contract import Survey
from storage.files.facts import NoRegister, Register
from storage.files.store import FileStore
from tests.contract.harness import criteria_for

ZONE = ZoneInfo("America/Denver")
NOW = datetime(2026, 6, 15, 18, tzinfo=UTC)
ON = NOW.date()
ADA, BELA, CLEO = "21234000000011", "21234000000029", "21234000000037"

LOCATION = TreeLocation(
    name="vendor-rows", store="exports", zone=ZONE, trigger_kind=TriggerKind.NAME, subject="cardnumber",
    consent=Compare("withdrawn", "=", False), path="vendor", template="{any}-{Y}-{m}-{d}.{ext}",
    rows=Rows(key=("cardnumber",)),
)  # fmt: skip


class Withdrawn(NoRegister):
    """These people withdrew their consent."""

    def __init__(self, *subjects: str) -> None:
        self._subjects = subjects

    def withdrew(self, subject: str) -> bool:
        return subject in self._subjects


RECORD = ConsentRecord(store="ils", table="opted_in", subject="card")
RECORDED = replace(
    LOCATION,
    export=ExportRule(purpose="a study", recipient="University", consent="opted in", recorded=RECORD),
)
"""The same, where another store records who consents."""


class OptedIn(Withdrawn):
    """These people consent, as another store says; who is in ``unclear``, nobody can tell."""

    def __init__(
        self, people: Collection[str], *, noted: Sequence[str] = (), unclear: Sequence[str] = ()
    ) -> None:
        super().__init__(*noted)
        self._stretches = [[(one, True) for one in people], [(one, False) for one in unclear]]

    def consents(self, recorded: ConsentRecord) -> Consents:
        return Recorded(recorded, self._stretches)


@dataclass(kw_only=True)
class Desk:
    root: Path
    location: TreeLocation = LOCATION
    withdrawn: tuple[str, ...] = (ADA,)
    disposition: Disposition = Disposition.PURGE
    on: date = ON
    findings: list[str] = field(default_factory=list)
    register: Register | None = None

    @property
    def store(self) -> FileStore:
        return FileStore(
            "exports",
            self.root,
            now=lambda: NOW,
            register=lambda: self.register or Withdrawn(*self.withdrawn),
        )

    @property
    def criteria(self) -> Criteria:
        whole = criteria_for(self.location, self.on, self.disposition)
        rule = replace(whole.record_type.rules[0], minimum=Period(), maximum=Period(days=60))
        return Criteria(
            record_type=replace(whole.record_type, rules=(rule,)),
            location=self.location,
            library=replace(whole.library, zone=ZONE),
            on=self.on,
        )

    def put(self, name: str, content: bytes) -> Path:
        path = self.root / "vendor" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        stamp = (NOW - timedelta(days=3)).timestamp()
        os.utime(path, (stamp, stamp))
        return path

    def survey(self, *holds: Hold) -> tuple[Survey, list[bytes]]:
        written: list[bytes] = []
        found = self.store.survey(self.criteria, holds, written.append, lambda _: None)
        return found, b"".join(written).splitlines()

    def destroy(self, *holds: Hold, lines: Sequence[bytes] | None = None) -> list[Presence]:
        with self.store.batch(self.criteria) as batch:
            staged = batch.stage(self.survey()[1] if lines is None else lines, holds)
            if staged.chosen:
                batch.destroy()
            return batch.read_back()


def hold_on(*subjects: str) -> Hold:
    return Hold(
        id="hold-1",
        state=HoldState.ACTIVE,
        scope=Scope(subjects=frozenset(Personal(subject) for subject in subjects)),
    )
