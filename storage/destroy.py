"""The choke point: the one place where anything is destroyed, for rows, files, objects, footage and keys alike.

The steps are numbered; the same numbers stand in `docs/choke-point.md` and in the names of the tests.

 1. open the case in the ledger (`storage.planning.open_case`)
 2. approvals: the right people, four eyes, cooling-off over, not voided by a new hold or a changed manifest
 3. brakes: limits of the rule, jump, kill switch; the log says that the case begins; the canary, one record that goes alone
    through steps 4 to 9
 4. per batch, take the hold gate in the target itself, then read the holds and their epoch from the ledger
 5. stage the batch: still due under the frozen rule, in the manifest, not taken out by a person, not held, not blocked. It may only
    shrink
 6. write the intent to the ledger and commit
 7. destroy in the store and commit
 8. read back: absent, or not. A timeout is *unknown* until a read-back says otherwise
 9. write the outcomes to the ledger and commit; let go of the gate
10. close the case; build the certificate from read-backs only; sign
11. follow up what is not final yet: replace the root key, remove ciphertext, provisional → final (`storage.certifying.follow_up`)

It refuses to guess: without the ledger, the gate, the manifest or the frozen schedule it destroys nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from threading import Event

from retention.clearance import Clearance, Requirements
from retention.decide import Criteria
from retention.errors import Refused, StoreUnavailable, VerificationFailed
from retention.leaves import leaves as make_leaves
from retention.leaves import reference
from retention.outcomes import CODES, Fate, Outcome, Presence
from retention.schedule import Disposition, Schedule
from storage.certifying import Certifier
from storage.clearing import NONE, ReadSchedule, clearance, frozen_schedule, read_frozen
from storage.contract import Batch, Pace, Staged, Store, Stores, pace_of
from storage.four_eyes import require_people
from storage.hold_proof import HoldProof
from storage.ledger.batches import CHOSEN, ELSEWHERE, Intent, Range
from storage.ledger.cases import Case, CaseState, Lease, Part
from storage.ledger.certificates import Certificate
from storage.ledger.ledger import Ledger
from storage.letters import (
    FAILURES,
    final_runs,
    outcome_letters,
    outcome_of,
    seen_letter,
    settled_letter,
    staged_letters,
)
from storage.planning import criteria_for, store_of
from storage.role_proof import RoleProof
from storage.sealed.remembering import KEY_STORE, remember
from storage.spool import Spool
from storage.worklist import Slice, Slicer, Tally, tally

BARRIER_SECONDS = 30.0
MIN_BATCH = 100
LINES_AT_ONCE = 10_000
PLACING_PATIENCE = 2.0
"""Seconds a batch waits before it takes the gate while a hold is being placed, so that the placing is not starved."""
STAGE_TRIES = 4
"""How often a batch is tried, each time smaller, when the store is busy before anything was certain."""

Progress = Callable[[int, int], None]
"""Called with items done and items in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposal:
    """What became of a case in this run. ``waiting``: why it was not carried out now ("" when it was)."""

    case: Case
    counts: Counter[Outcome] = field(default_factory=Counter)
    certificate: Certificate | None = None
    waiting: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A case being worked on, with what was frozen for it."""

    case: Case
    schedule: Schedule
    lease: Lease
    key: bytes
    asked: Mapping[int, Criteria]
    """By part. Made once: a store remembers what it made of them, as long as they are the same objects."""

    excepted: frozenset[int] = frozenset()
    """Positions in the manifest that people took out. None is added once destroying has begun."""

    alike: frozenset[tuple[int, bytes]] = frozenset()
    """Their lines, by part. A row of a file is known by its content: an equal one must not take it along."""

    def criteria(self, part: Part) -> Criteria:
        return self.asked[part.number]

    def without_excepted(self, part: Part, piece: Slice) -> Slice:
        """What may be put before the store at all."""
        first = part.first_ordinal + piece.where.first
        left = [
            (pick, line)
            for pick, line in zip(piece.picks, piece.lines, strict=True)
            if first + pick not in self.excepted and (part.number, line) not in self.alike
        ]
        return Slice(
            where=piece.where, picks=tuple(pick for pick, _ in left), lines=tuple(line for _, line in left)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shift:
    """What the workers on one part of a case share."""

    work: _Work
    part: Part
    slicer: Slicer
    done: _Done
    stop: Event = field(default_factory=Event)


class Destroyer:
    """Carries out cases. One instance per process; every method may be called again after a crash."""

    def __init__(
        self, *, ledger: Ledger, stores: Stores, spool: Spool, certifier: Certifier, now: Callable[[], datetime],
        actor: str = "scheduler", read_schedule: ReadSchedule = read_frozen, pace: Callable[[Store, Criteria], Pace] = pace_of,
        required: Requirements = NONE,
    ) -> None:  # fmt: skip
        self._read_schedule = read_schedule
        self._required = required
        self._pace = pace
        self._ledger = ledger
        self._stores = stores
        self._spool = spool
        self._certifier = certifier
        self._now = now
        self._proof = HoldProof(ledger)
        self._roles = RoleProof(ledger)
        self._actor = actor

    # -- the way of a case -----------------------------------------------------------------------------------------

    def dispose(self, case_id: str, progress: Progress = lambda _done, _all: None) -> Disposal:
        """Steps 2 to 10 for one case, going on where an earlier run stopped.

        Raises `Refused` (kill switch, other run, ended case), `StoreUnavailable` and `LedgerUnavailable` (run it again),
        `VerificationFailed` (manifest or ledger altered). What was destroyed until then is in the ledger.
        """
        now = self._now()
        self._ledger.require_ready(now)
        case = self._ledger.cases.get(case_id)
        if case.state is not CaseState.STARTED:
            raise Refused(
                f"case {case_id} has already ended ({case.state.value})",
                f"see: retention case show {case_id}",
            )
        lease = self._ledger.cases.acquire(case.record_type, at=now)
        try:
            case = self._ledger.cases.get(case_id)
            work = self._frozen(case, lease)
            self._settle(work)
            self._roles.require()  # 2. before what people signed is judged by their roles
            verdict = self.clearance(case, work.schedule)
            if not verdict.ready:
                return Disposal(
                    case=case,
                    counts=tally(case, self._ledger.batches.settled(case.id)).counts,
                    waiting=verdict.reason,
                )
            return self._carry_out(work, verdict, progress)
        finally:
            self._ledger.cases.release(lease, at=self._now())

    def settle(self) -> list[str]:
        """Settle every interrupted batch of every case by reading back. Returns the ids of the cases concerned."""
        now = self._now()
        self._ledger.require_ready(now)
        cases = sorted({intent.case_id for intent in self._ledger.batches.open_intents()})
        for case_id in cases:
            case = self._ledger.cases.get(case_id)
            lease = self._ledger.cases.acquire(case.record_type, at=self._now())
            try:
                self._settle(self._frozen(case, lease))
            finally:
                self._ledger.cases.release(lease, at=self._now())
        return cases

    def clearance(self, case: Case, schedule: Schedule) -> Clearance:
        """Step 2. Whether the case may be carried out now, and if not, why. See `storage.clearing`."""
        return clearance(self._ledger, case, schedule, self._now(), self._required)

    def _frozen(self, case: Case, lease: Lease) -> _Work:
        schedule = frozen_schedule(self._ledger, case, self._read_schedule)
        self._spool.verify(case)
        record_type = schedule.record_type(case.record_type)
        asked = {
            part.number: criteria_for(schedule, record_type, part.location, case.on) for part in case.parts
        }
        return _Work(
            case=case, schedule=schedule, lease=lease, key=self._spool.evidence_key(case.id), asked=asked
        )

    def _carry_out(self, work: _Work, verdict: Clearance, progress: Progress) -> Disposal:
        case = work.case
        self._halt_if_told()  # 3.
        require_people(self._ledger, case, verdict.counted)  # 2. once more, whatever was decided
        self._certifier.begin(case, cleared_by=verdict.counted, at=self._now(), actor=self._actor)
        excepted = frozenset(self._ledger.exceptions.ordinals(case.id))
        work = replace(work, excepted=excepted, alike=self._lines_of(case, excepted))
        state = tally(case, self._ledger.batches.settled(case.id))
        done = _Done(case.items, sum(state.counts.values()), progress)
        if not state.counts[Outcome.DESTROYED] and not self._canary(work, state, done):  # 3.
            return self._fail(work)
        for part in case.parts:
            state = tally(case, self._ledger.batches.settled(case.id))
            self._work_off(work, part, state, done)
        return self._close(work)

    def _lines_of(self, case: Case, ordinals: frozenset[int]) -> frozenset[tuple[int, bytes]]:
        """Lines of the manifest at these positions, by part."""
        found: set[tuple[int, bytes]] = set()
        for part in case.parts:
            mine = {it - part.first_ordinal for it in ordinals if 0 <= it - part.first_ordinal < part.items}
            if not mine:
                continue
            with self._spool.open(case.id, part) as manifest:
                at = offset = 0
                while at <= max(mine):
                    lines, offset = manifest.lines(offset, LINES_AT_ONCE)
                    found |= {(part.number, line) for place, line in enumerate(lines, at) if place in mine}
                    at += len(lines)
        return frozenset(found)

    # -- step 3: the canary ----------------------------------------------------------------------------------------

    def _canary(self, work: _Work, state: Tally, done: _Done) -> bool:
        """One record alone through steps 4 to 9. Withheld and absent ones prove nothing: the next one is tried.

        False when the store did not destroy it although it said so: then nothing more is touched.
        """
        for part in work.case.parts:
            with self._spool.open(work.case.id, part) as manifest:
                slicer = Slicer(part, manifest, state)
                while (piece := slicer.take(1)) is not None:
                    self._halt_if_told()
                    codes, _ = self._batch(work, part, piece)
                    done.add(len(piece.lines))
                    if CODES[Outcome.DESTROYED] in codes:
                        return True
                    if CODES[Outcome.NOT_DESTROYED] in codes:
                        return False
                    if CODES[Outcome.UNKNOWN] in codes:
                        raise StoreUnavailable(
                            "nobody can say whether the canary record was destroyed",
                            "look at the store, then run again",
                        )
        return True

    def _fail(self, work: _Work) -> Disposal:
        counts = tally(work.case, self._ledger.batches.settled(work.case.id)).counts
        failed = (
            "the canary record was still there after it was destroyed: the store does not do what it says"
        )
        self._certifier.fail(work.case, counts, "canary", at=self._now(), actor=self._actor)
        self._spool.discard(work.case.id)
        return Disposal(case=self._ledger.cases.get(work.case.id), counts=counts, failed=failed)

    # -- steps 4 to 9 ----------------------------------------------------------------------------------------------

    def _work_off(self, work: _Work, part: Part, state: Tally, done: _Done) -> None:
        workers = max(1, self._pace(store_of(self._stores, part.store), work.criteria(part)).workers)
        with self._spool.open(work.case.id, part) as manifest:
            shift = _Shift(work=work, part=part, slicer=Slicer(part, manifest, state), done=done)
            if workers == 1:
                self._worker(shift)
                return
            with ThreadPoolExecutor(workers, thread_name_prefix="destroy") as pool:
                running = [pool.submit(self._worker, shift) for _ in range(workers)]
                try:
                    wait(running, return_when=FIRST_EXCEPTION)
                finally:
                    shift.stop.set()
            for future in running:
                future.result()

    def _worker(self, shift: _Shift) -> None:
        store = store_of(self._stores, shift.part.store)
        pace = self._pace(store, shift.work.criteria(shift.part))
        size = pace.first
        while not shift.stop.is_set():
            self._halt_if_told()
            piece = shift.slicer.take(size)
            if piece is None:
                return
            began = time.monotonic()
            codes, at_store = self._batch(shift.work, shift.part, piece)
            shift.done.add(len(piece.lines))
            if len(piece.lines) > 1 and not set(codes) - FAILURES - {ELSEWHERE}:
                raise StoreUnavailable(
                    f"store {store.name} destroyed nothing of a whole batch",
                    "look at the store, then run again",
                )
            took = time.monotonic() - began
            size = _next_size(size, len(piece.lines), at_store, pace)
            if pace.rest:
                shift.stop.wait(took * pace.rest)

    def _batch(self, work: _Work, part: Part, piece: Slice) -> tuple[str, float]:
        """One batch, tried again while the store is busy before anything was certain. See `_attempt`."""
        for attempt in range(STAGE_TRIES):
            try:
                return self._attempt(work, part, piece)
            except _NothingDone as busy:
                if attempt == STAGE_TRIES - 1:
                    raise busy.cause from None
                time.sleep(0.1 * 2**attempt)
        raise AssertionError("unreachable")

    def _attempt(self, work: _Work, part: Part, piece: Slice) -> tuple[str, float]:
        """Steps 4 to 9. Returns the outcome letters over the whole range (``.`` for lines that are not part of the batch), and
        the seconds the store took for steps 5, 7 and 8. The pace follows these: what the ledger and the gate take does not shrink
        with the batch, and would make batches shrink until they did nothing else."""
        store = store_of(self._stores, part.store)
        self._wait_while_placing()
        with ExitStack() as gate:
            try:
                batch = gate.enter_context(store.batch(work.criteria(part)))  # 4.
                view = self._ledger.holds.in_force()
                self._proof.require(view, self._now())
                began = time.monotonic()
                offered = work.without_excepted(part, piece) if work.excepted else piece
                staged = batch.stage(
                    offered.lines, view.touching(work.case.record_type, *work.criteria(part).location.stores)
                )  # 5.
            except StoreUnavailable as error:
                raise _NothingDone(error) from None
            staging = time.monotonic() - began
            letters = staged_letters(offered, staged, withheld=piece.picks)
            intent_id = self._ledger.batches.intend(  # 6.
                work.case, piece.where, staged=letters, witness=staged.witness, epoch=view.epoch, lease=work.lease,
                actor=self._actor, at=self._now(),
            )  # fmt: skip
            began = time.monotonic()
            seen = self._destroy_and_read_back(batch, staged)  # 7. 8.
            at_store = staging + time.monotonic() - began
            codes = outcome_letters(letters, seen)
            lines = dict(zip(piece.picks, piece.lines, strict=True))
            self._conclude(work, piece.where, lines, intent_id=intent_id, codes=codes, settled=False)  # 9.
        return codes, at_store

    @staticmethod
    def _destroy_and_read_back(batch: Batch, staged: Staged) -> list[str]:
        if not staged.chosen:
            return []
        batch.destroy()  # 7.
        seen = batch.read_back()  # 8.
        if len(seen) != len(staged.chosen):
            raise StoreUnavailable(
                "the store read back another number of items than it destroyed", "report this: it is a fault"
            )
        if staged.witness and set(seen) == {Presence.UNREADABLE}:
            # Nobody knows yet: the intent stays open, and the next run settles it by asking for the transaction's fate and
            # reading back again. A store without transactions has no fate to ask for: what it doubts now would pass for
            # destroyed then, even a file that somebody moved away.
            raise StoreUnavailable(
                "the store could not be read back after a batch", "run again when it answers"
            )
        return [seen_letter(presence) for presence in seen]

    def _conclude(
        self,
        work: _Work,
        where: Range,
        lines: Mapping[int, bytes],
        *,
        intent_id: int,
        codes: str,
        settled: bool,
    ) -> None:
        """Step 9: the outcomes, and one salted leaf per item that has one."""
        part = work.case.parts[where.part]
        store = store_of(self._stores, part.store)
        kids = self._kids(store, work.criteria(part), lines)
        leaves = [
            make_leaves(
                work.key,
                part.first_ordinal + where.first + run[0],
                [reference(part.store, part.location, store.reference(lines[position])) for position in run],
                [outcome_of(codes[position]) for position in run],
                None if kids is None else [kids[position] for position in run],
            )
            for run in final_runs(codes)
        ]
        self._ledger.batches.conclude(
            work.case, intent_id, codes=codes, leaves=b"".join(leaves), settled=settled, lease=work.lease, actor=self._actor,
            at=self._now(),
        )  # fmt: skip

    @staticmethod
    def _kids(
        store: Store, criteria: Criteria, lines: Mapping[int, bytes]
    ) -> Mapping[int, str | None] | None:
        """Which key each item was sealed under; ``None`` where nothing is sealed."""
        if store.sealed is None:
            return None
        return dict(zip(lines, store.sealed.kids(criteria, list(lines.values())), strict=True))

    # -- after a crash ---------------------------------------------------------------------------------------------

    def _settle(self, work: _Work) -> None:
        """Give every interrupted batch of the case its outcome by reading back, before anything new starts."""
        intents = self._ledger.batches.open_intents(work.case.id)
        if not intents:
            return
        for name in sorted({work.case.parts[intent.range.part].store for intent in intents}):
            store_of(self._stores, name).barrier(BARRIER_SECONDS)
        for intent in intents:
            self._settle_one(work, intent)

    def _settle_one(self, work: _Work, intent: Intent) -> None:
        part = work.case.parts[intent.range.part]
        store = store_of(self._stores, part.store)
        with self._spool.open(work.case.id, part) as manifest:
            lines, _ = manifest.lines(intent.range.offset, intent.range.items)
        chosen = [position for position, letter in enumerate(intent.staged) if letter == CHOSEN]
        fate = store.fate(intent.witness) if chosen else Fate.COMMITTED
        seen = store.presence(work.criteria(part), [lines[position] for position in chosen]) if chosen else []
        if len(seen) > 1 and set(seen) == {Presence.UNREADABLE}:
            raise StoreUnavailable(
                f"store {part.store} cannot say what became of an interrupted batch",
                "run again when it answers",
            )
        codes = outcome_letters(intent.staged, [settled_letter(fate, presence) for presence in seen])
        self._conclude(
            work, intent.range, dict(enumerate(lines)), intent_id=intent.id, codes=codes, settled=True
        )

    # -- step 10 ---------------------------------------------------------------------------------------------------

    def _close(self, work: _Work) -> Disposal:
        case = self._ledger.cases.get(work.case.id)
        state = tally(case, self._ledger.batches.settled(case.id))
        if state.remaining(case):
            raise VerificationFailed(
                f"{state.remaining(case)} items of case {case.id} have no outcome", "run it again"
            )
        certificate = None
        if state.counts[Outcome.DESTROYED]:
            certificate = self._certifier.certify(case, work.schedule, at=self._now(), actor=self._actor)
        else:
            self._certifier.close_without(case, state.counts, at=self._now(), actor=self._actor)
        self._remember(work)
        self._spool.drop_manifests(case.id)
        return Disposal(case=self._ledger.cases.get(case.id), counts=state.counts, certificate=certificate)

    def _remember(self, work: _Work) -> None:
        """How far the key store is, so that an older one is noticed."""
        for name in sorted({part.store for part in work.case.parts}):
            sealed = store_of(self._stores, name).sealed
            if (
                sealed is not None
                and work.schedule.record_type(work.case.record_type).disposition is Disposition.CRYPTO_SHRED
            ):
                remember(self._ledger, sealed.epoch(), actor=self._actor, at=self._now())

    # -- step 11 ---------------------------------------------------------------------------------------------------

    def clear_ciphertext(self, schedule: Schedule, on: date) -> int:
        """Remove the ciphertext that destroyed keys left behind. Returns how many files went.

        Nothing that anybody could read goes, so nobody approves it; the kill switch stops it all the same. Raises `Refused`,
        `StoreUnavailable`.
        """
        removed = 0
        for record_type in schedule.record_types:
            if record_type.disposition is not Disposition.CRYPTO_SHRED:
                continue
            for location in record_type.locations:
                self._halt_if_told()
                sealed = store_of(self._stores, location.store).sealed
                if sealed is not None:
                    removed += sealed.remove_unreadable(
                        criteria_for(schedule, record_type, location.name, on)
                    )
        if removed:
            self._ledger.note(
                "ciphertext.removed",
                actor=self._actor,
                subject=KEY_STORE,
                body={"files": removed},
                at=self._now(),
            )
        return removed

    # -- small things ----------------------------------------------------------------------------------------------

    def _halt_if_told(self) -> None:
        reason = self._ledger.cases.halted()
        if reason is not None:
            raise Refused(f"the kill switch is engaged: {reason}", "lift it: retention halt --lift")

    def _wait_while_placing(self) -> None:
        deadline = time.monotonic() + PLACING_PATIENCE
        while self._ledger.holds.in_force().placing and time.monotonic() < deadline:
            time.sleep(0.02)


class _Done:
    """Counts finished items over all workers and tells the progress."""

    def __init__(self, items: int, done: int, progress: Progress) -> None:
        self._items = items
        self._done = done
        self._progress = progress

    def add(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self._items)


class _NothingDone(Exception):
    """The store was busy before anything was certain: no intent was written, nothing was destroyed."""

    def __init__(self, cause: StoreUnavailable) -> None:
        super().__init__(cause)
        self.cause = cause


def _next_size(size: int, items: int, took: float, pace: Pace) -> int:
    """Aim at batches of ``pace.seconds``: at most double or halve, so that one odd batch does not swing the next."""
    if items < size or took <= 0:
        return size
    return min(pace.most, max(MIN_BATCH, int(size * min(2.0, max(0.5, pace.seconds / took)))))
