"""Survey and plan: what a record type has, what of it is due, and why the rest stays. Writes nothing in any store."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any

from retention.decide import Criteria, KeepReason
from retention.errors import LedgerUnavailable, Refused, SettingsError, StoreUnavailable, VerificationFailed
from retention.schedule import Location, RecordType, Schedule
from storage.contract import Finding, Store, Stores, Survey
from storage.ledger.cases import Case, CaseState, Part, new_case_id
from storage.ledger.ledger import Ledger
from storage.spool import Spool

Progress = Callable[[str, int], None]
"""Called with a location's name and how many of its records were looked at so far."""

BRANCHES, OTHERS = 100, "(others)"
CASES_COMPARED = 3
"""How many earlier cases the jump brake looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One location's survey and its manifest part."""

    part: Part
    survey: Survey


@dataclass(kw_only=True)
class Plan:
    """What would be destroyed for one record type on a day. ``digest`` binds schedule, day and manifest parts."""

    record_type: RecordType
    on: date
    schedule_digest: str
    locations: list[Planned] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    brakes: Mapping[str, str] = field(default_factory=dict)
    """Limits of the rule that it exceeds: name (records, percent, jump) → in words."""

    @property
    def due(self) -> int:
        return sum(planned.part.items for planned in self.locations)

    @property
    def records(self) -> int:
        """How many records go with the items that are due."""
        return sum(planned.survey.records for planned in self.locations)

    @property
    def population(self) -> int:
        return sum(planned.survey.population for planned in self.locations)

    @property
    def kept(self) -> Counter[KeepReason]:
        total: Counter[KeepReason] = Counter()
        for planned in self.locations:
            total.update(planned.survey.kept)
        return total

    @property
    def fatal(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.fatal]

    @property
    def digest(self) -> str:
        """Manifest digest: SHA-256 (hex) over schedule digest, record type, day and each part's place and digest."""
        lines = [self.schedule_digest, self.record_type.id, self.on.isoformat()]
        lines += [
            f"{p.part.number} {p.part.store} {p.part.location} {p.part.items} {p.part.digest}"
            for p in self.locations
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def store_of(stores: Stores, name: str) -> Store:
    """The store of that name. Raises `SettingsError` when settings give it no address."""
    try:
        return stores[name]
    except KeyError:
        raise SettingsError(
            f"store {name} has no address",
            f"set RETENTION_STORES__{name.upper().replace('-', '_')}__URL (or __ROOT)",
        ) from None


def criteria_for(schedule: Schedule, record_type: RecordType, location: str, on: date) -> Criteria:
    return Criteria(
        record_type=record_type, location=record_type.location(location), library=schedule.library, on=on
    )


@contextmanager
def looking_at(location: Location) -> Iterator[None]:
    """Inside, a store that does not answer is named with the location that was looked at."""
    try:
        yield
    except StoreUnavailable as error:
        place = f"{location.name} in store {location.store}"
        raise type(error)(f"{place}: {error.message}", error.hint) from None


def plan(
    *, ledger: Ledger, stores: Stores, spool: Spool, schedule: Schedule, record_type: RecordType, on: date,
    case_id: str | None, progress: Progress = lambda _location, _count: None,
) -> Plan:  # fmt: skip
    """Survey every location of a record type. With ``case_id`` the manifests are frozen in that case's spool folder.

    Raises `StoreUnavailable`, `SettingsError`. A location that is not as the schedule says shows in ``findings`` and is not
    surveyed; with a fatal finding nothing of this record type may be destroyed.
    """
    planned = Plan(record_type=record_type, on=on, schedule_digest=schedule.digest)
    ordinal = 0
    for location in record_type.locations:
        store = store_of(stores, location.store)
        criteria = criteria_for(schedule, record_type, location.name, on)
        with looking_at(location):
            findings = store.check(criteria)
        planned.findings += findings
        if any(finding.fatal for finding in findings):
            continue
        holds = ledger.holds.in_force().touching(record_type.id, *location.stores)
        number = len(planned.locations)
        with looking_at(location), spool.writer(case_id, number) as writer:
            survey = store.survey(criteria, holds, writer.write, partial(progress, location.name))
        planned.findings += survey.findings
        if survey.due != writer.items:
            raise VerificationFailed(
                f"store {location.store} counted {survey.due} due records and wrote {writer.items} into the manifest",
                "report this: it is a fault",
            )
        part = Part(
            number=number, location=location.name, store=location.store, items=writer.items, first_ordinal=ordinal,
            length=writer.length, digest=writer.digest,
        )  # fmt: skip
        ordinal += writer.items
        planned.locations.append(Planned(part=part, survey=survey))
    planned.brakes = brakes(planned, earlier_items(ledger, record_type.id))
    return planned


def earlier_items(ledger: Ledger, record_type: str) -> list[int]:
    """Sizes in records of the last executed cases of a record type, newest first."""
    closed = ledger.cases.list(state=CaseState.CLOSED, record_type=record_type, limit=CASES_COMPARED)
    return [case.records for case in closed]


def brakes(planned: Plan, earlier: Sequence[int]) -> dict[str, str]:
    """Which limits of the rule the plan exceeds: name → in words for a custodian."""
    limits = planned.record_type.limits
    found: dict[str, str] = {}
    due = planned.records
    if limits.records is not None and due > limits.records:
        found["records"] = f"{due} records are more than the limit of {limits.records}"
    if limits.percent is not None and due and due * 100 > limits.percent * planned.population:
        share = due * 100 / max(planned.population, due)
        found["percent"] = f"{share:.1f} % of all records are more than the limit of {limits.percent:g} %"
    if limits.jump is not None and earlier and due > limits.jump * max(earlier):
        found["jump"] = (
            f"{due} records are more than {limits.jump:g} times any of the last cases ({max(earlier)})"
        )
    return found


def open_case(
    *, ledger: Ledger, stores: Stores, spool: Spool, schedule: Schedule, schedule_text: str, record_type: RecordType, on: date,
    actor: str, now: datetime, progress: Progress = lambda _location, _count: None,
) -> tuple[Plan, Case | None]:  # fmt: skip
    """Step 1. Freeze a plan and open its case. No case is opened when nothing is due.

    Raises `Refused` when a location is not as the schedule says.
    """
    case_id = new_case_id(now)

    def state(id: str) -> CaseState | None:
        return ledger.cases.state(id, at=now)

    sweep(ledger, spool, now)
    with spool.opening():
        spool.create(case_id)
        try:
            planned, case = _freeze(
                ledger=ledger, stores=stores, spool=spool, schedule=schedule, schedule_text=schedule_text, record_type=record_type,
                on=on, actor=actor, now=now, progress=progress, case_id=case_id,
            )  # fmt: skip
        except BaseException:
            # The ledger may have the case although it did not say so. When it cannot be asked, the folder stays for the sweep.
            with suppress(LedgerUnavailable):
                if state(case_id) is None:
                    spool.discard(case_id)
            raise
        if case is None:
            spool.discard(case_id)
        else:
            spool.mark_opened(case_id)
    return planned, case


def sweep(ledger: Ledger, spool: Spool, now: datetime) -> None:
    """Remove what ended cases left in the spool: those sent back from a page, which does not reach it, and those of a crash."""
    spool.sweep(lambda id: ledger.cases.state(id, at=now))


def _freeze(
    *, ledger: Ledger, stores: Stores, spool: Spool, schedule: Schedule, schedule_text: str, record_type: RecordType, on: date,
    actor: str, now: datetime, progress: Progress, case_id: str,
) -> tuple[Plan, Case | None]:  # fmt: skip
    epoch = ledger.holds.epoch()
    planned = plan(
        ledger=ledger, stores=stores, spool=spool, schedule=schedule, record_type=record_type, on=on, case_id=case_id,
        progress=progress,
    )  # fmt: skip
    if planned.fatal:
        first = planned.fatal[0]
        raise Refused(f"{record_type.id}: {first.message}", first.hint)
    if planned.due == 0:
        ledger.note(
            "case.nothing-due", actor=actor, subject=record_type.id,
            body={"on": on.isoformat(), "schedule": schedule.digest, "population": planned.population}, at=now,
        )  # fmt: skip
        return planned, None
    case = ledger.cases.open(
        id=case_id, record_type=record_type.id, on=on, schedule=(schedule.digest, schedule.version, schedule_text),
        manifest_digest=planned.digest, parts=[p.part for p in planned.locations], approval_kind=record_type.approval,
        survey=survey_summary(planned), brakes=planned.brakes, actor=actor, epoch=epoch, at=now,
    )  # fmt: skip
    return planned, case


def spread(survey: Survey) -> list[dict[str, Any]]:
    """Records due by branch and year of their trigger, ``None`` for what is not known. Of very many branches the smallest are told
    as one: the ledger keeps figures, and a column that names as many is no branch."""
    sizes: Counter[str | None] = Counter()
    for (branch, _), count in survey.spread.items():
        sizes[branch] += count
    told = {branch for branch, _ in sizes.most_common(BRANCHES)}
    found: Counter[tuple[str | None, int | None]] = Counter()
    for (branch, year), count in survey.spread.items():
        found[branch if branch in told else OTHERS, year] += count
    by_name = sorted(found.items(), key=lambda one: (one[0][0] or "", one[0][1] or 0))
    return [{"branch": branch, "year": year, "records": count} for (branch, year), count in by_name]


def survey_summary(planned: Plan) -> Mapping[str, Any]:
    """The plan's figures as the ledger keeps them: counts and dates by location, nothing of any record."""
    return {
        planned_at.part.location: {
            "store": planned_at.part.store,
            "due": planned_at.part.items,
            "records": planned_at.survey.records,
            "withdrawn": planned_at.survey.withdrawn,
            "population": planned_at.survey.population,
            "kept": {reason.value: count for reason, count in sorted(planned_at.survey.kept.items())},
            "oldest": planned_at.survey.oldest.isoformat() if planned_at.survey.oldest else None,
            "newest": planned_at.survey.newest.isoformat() if planned_at.survey.newest else None,
            "past_maximum": planned_at.survey.past_maximum,
            "spread": spread(planned_at.survey),
            "volume": planned_at.survey.volume,
            "seconds": planned_at.survey.seconds,
        }
        for planned_at in planned.locations
    }
