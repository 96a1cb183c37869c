"""The nightly work as plain functions: settle, end grace periods, plan, carry out, follow up. Runs with or without Prefect.

A dry run (``execute=False``) surveys and says what would be destroyed; it writes nothing, neither in a store nor in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Protocol

from flows import notices, shredding
from flows.exports import sight_exports
from flows.shredding import Shredded
from flows.wiring import Site, frozen
from retention.checkpoint import Opened
from retention.errors import (
    Refused,
    RetentionError,
    SettingsError,
    StoreUnavailable,
    Unavailable,
    UsageError,
    VerificationFailed,
)
from retention.note import NoteKey
from retention.permissions import Act
from retention.schedule import RecordType
from storage.destroy import Disposal
from storage.ledger.cases import Case, CaseState
from storage.ledger.certificates import Certificate
from storage.opening import expire
from storage.planning import Plan, open_case, plan, sweep
from storage.signatures import Signing, authorise
from storage.time_stamping import over_http, stamp
from storage.witnessing import ask_all

ACTOR = "scheduler"


class Watcher(Protocol):
    """Told of progress; a terminal draws bars with it, Prefect an artifact. Counts only, never a record."""

    def surveying(self, record_type: str, location: str, looked_at: int) -> None: ...

    def destroying(self, case: str, done: int, items: int) -> None: ...


class Silent:
    """A watcher that shows nothing."""

    def surveying(self, record_type: str, location: str, looked_at: int) -> None:
        return None

    def destroying(self, case: str, done: int, items: int) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One record type in one run: its plan (``None`` when an open case was continued), and what became of its case."""

    record_type: str
    plan: Plan | None = None
    case: Case | None = None
    disposal: Disposal | None = None
    error: RetentionError | None = None
    extended: date | None = None
    """The day to which people put its disposition off."""


@dataclass(kw_only=True)
class Run:
    """A whole run."""

    on: date
    execute: bool
    settled: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    unpreserved: list[RetentionError] = field(default_factory=list)
    """Stores into which the holds could not be pushed down. What they would have kept is kept all the same, by step 5."""
    shredded: Shredded = field(default_factory=Shredded)
    followed: list[Certificate] = field(default_factory=list)
    """Certificates that follow earlier ones: final, with a date that has become known, or superseded."""
    results: list[Result] = field(default_factory=list)

    @property
    def notice(self) -> dict[str, int]:
        """What people have to know who are not looking."""
        failed = [
            one for one in self.results if one.error is not None or (one.disposal and one.disposal.failed)
        ]
        braked = [
            one for one in self.results if one.plan is not None and one.case is not None and one.case.brakes
        ]
        unfinished = bool(self.unpreserved or self.shredded.trouble)
        return {"unfinished": int(unfinished), "failed": len(failed), "braked": len(braked)}


def chosen_types(site: Site, names: Iterable[str]) -> list[RecordType]:
    """The record types of these ids, or all. Raises `UsageError` for an unknown one."""
    wanted = list(names)
    known = {record_type.id: record_type for record_type in site.schedule.record_types}
    for name in wanted:
        if name not in known:
            raise UsageError(f"there is no record type {name}", f"one of: {', '.join(sorted(known))}")
    return [known[name] for name in wanted] if wanted else list(site.schedule.record_types)


def run(
    site: Site, *, on: date | None = None, record_types: Iterable[str] = (), execute: bool = False, watcher: Watcher | None = None,
    stop: Callable[[], bool] = lambda: False, by: Signing | None = None,
) -> Run:  # fmt: skip
    """Apply the schedule on a day (today by default).

    With ``execute``: settles interrupted batches first, ends grace periods, continues open cases, opens new ones, carries
    out what may be carried out. One record type's failure does not keep the others from running; it is in its result.
    Raises `Refused` for a day to come with ``execute``: what is due tomorrow is not due. ``by``: who runs it by hand; the cases it
    opens are theirs, and they approve none of them.
    """
    actor = ACTOR if by is None else authorise(site.ledger, by, Act.RUN).name
    watcher = watcher or Silent()
    today = site.today()
    day = on or today
    if execute and day > today:
        raise Refused(
            f"{day.isoformat()} has not come: nothing is destroyed before its day",
            "leave out --execute to look ahead",
        )
    site.ledger.require_ready(site.now())
    outcome = Run(on=day, execute=execute)
    if execute:
        outcome.released, outcome.unpreserved, outcome.settled = prepare(site)
    for record_type in chosen_types(site, record_types):
        if stop():
            break
        try:
            outcome.results.append(_apply(site, record_type, outcome, watcher, actor))
        except RetentionError as error:
            outcome.results.append(Result(record_type=record_type.id, error=error))
    if execute:
        outcome.shredded, outcome.followed = finish(site)
        notices.tell(site, outcome.notice)
    return outcome


def chosen_day(site: Site, on: date | None, *, execute: bool) -> date:
    """The day to apply the schedule on: today by default. Raises `Refused` for a day to come with ``execute``."""
    today = site.today()
    if execute and on is not None and on > today:
        raise Refused(
            f"{on.isoformat()} has not come: nothing is destroyed before its day",
            "leave out --execute to look ahead",
        )
    return on or today


def prepare(site: Site) -> tuple[list[str], list[RetentionError], list[str]]:
    """What precedes anything new: end grace periods, push the holds down, settle interrupted batches.

    Finishes first what an interrupted run left of its evidence: a log that disagrees with the ledger stops everything here.
    Returns the holds released, the stores that could not be pushed into, and the cases settled.
    """
    site.ledger.require_ready(site.now())
    site.certifier.catch_up(at=site.now(), actor=ACTOR)
    site.holding.lapse(timedelta(days=site.settings.grace_days), actor=ACTOR)
    return site.holding.end_grace(actor=ACTOR), site.enforcing.preserve(), settle(site)


def begin(
    site: Site, record_type: RecordType, day: date, watcher: Watcher, actor: str = ACTOR
) -> tuple[Plan | None, Case | None]:
    """Step 1 for a record type: its open case, if there is one; otherwise a fresh plan, and a new case if anything is due.

    Neither while people have put its disposition off.
    """
    sight_exports(site, [record_type])
    open_cases = site.ledger.cases.list(state=CaseState.STARTED, record_type=record_type.id)
    if open_cases:
        return None, open_cases[-1]
    if site.rulings.extended(record_type.id) is not None:
        return None, None
    return open_case(
        ledger=site.ledger, stores=site.stores, spool=site.spool, schedule=site.schedule, schedule_text=site.schedule_text,
        record_type=record_type, on=day, actor=actor, now=site.now(),
        progress=lambda location, count: watcher.surveying(record_type.id, location, count),
    )  # fmt: skip


def _apply(site: Site, record_type: RecordType, run: Run, watcher: Watcher, actor: str) -> Result:
    def surveyed(location: str, count: int) -> None:
        watcher.surveying(record_type.id, location, count)

    extended = site.rulings.extended(record_type.id)
    if not run.execute:
        planned = plan(
            ledger=site.ledger, stores=site.stores, spool=site.spool, schedule=site.schedule, record_type=record_type, on=run.on,
            case_id=None, progress=surveyed,
        )  # fmt: skip
        return Result(record_type=record_type.id, plan=planned, extended=extended)
    fresh, case = begin(site, record_type, run.on, watcher, actor)
    disposal = None if case is None else dispose(site, case.id, watcher)
    return Result(record_type=record_type.id, plan=fresh, case=case, disposal=disposal, extended=extended)


def dispose(site: Site, case_id: str, watcher: Watcher | None = None) -> Disposal:
    """Carry one case out as far as it may be."""
    watcher = watcher or Silent()
    return site.destroyer.dispose(case_id, lambda done, items: watcher.destroying(case_id, done, items))


def settle(site: Site) -> list[str]:
    """Read back every interrupted batch, and sweep the spool. Returns the ids of the cases concerned."""
    settled = site.destroyer.settle()
    sweep(site.ledger, site.spool, site.now())
    return settled


def finish(site: Site) -> tuple[Shredded, list[Certificate]]:
    """Step 11: replace the root key and remove ciphertext, say what has become of certificates, care for the evidence. Trouble is in the first."""
    shredded = shredding.finish(site, actor=ACTOR)
    followed: list[Certificate] = []
    # Only what was sealed has anything new to tell before its day, or after it is final.
    for certificate in site.ledger.certificates.latest(final_by=None if site.seals else site.now().date()):
        case = site.ledger.cases.get(certificate.case_id)
        schedule = frozen(site.ledger.cases.schedule_text(case.schedule_digest))
        try:
            follower = site.certifier.follow_up(certificate, schedule, at=site.now(), actor=ACTOR)
        except (StoreUnavailable, SettingsError, VerificationFailed) as error:
            shredded.trouble.append(error)
            continue
        if follower is not None:
            followed.append(follower)
    keep_evidence(site)
    return shredded, followed


def keep_evidence(site: Site) -> None:
    """The daily care of the evidence: the day's events into the log, a time stamp over it, what its witnesses sign, and the end of
    old keys of leaves."""
    site.certifier.anchor(at=site.now(), actor=ACTOR)
    expire(
        site.ledger, site.spool, keep=timedelta(days=site.settings.opening_days), at=site.now(), actor=ACTOR
    )
    opened, url = site.log.opened(), site.settings.tsa_url
    if opened is not None and url is not None:
        _stamp(site, opened, url)

    def trouble(key: NoteKey, error: RetentionError) -> None:
        site.ledger.note(
            "log.not-cosigned", actor=ACTOR, subject=key.name, body={"reason": error.message}, at=site.now()
        )

    ask_all(site.log, site.witnesses, trouble)


def _stamp(site: Site, opened: Opened, url: str) -> None:
    try:
        stamp(site.log.files, opened, over_http(url))
    except Unavailable as error:  # the next run asks again; what was destroyed is certified all the same
        site.ledger.note(
            "log.not-stamped", actor=ACTOR, subject=str(opened.root.size), body={"reason": error.message}, at=site.now()
        )  # fmt: skip
