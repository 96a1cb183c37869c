"""Media destroyed by hand: plan, approve, attest, witness. Nothing is destroyed from here; what people sign is checked, kept and certified.

At every step, holds are asked for anew: a lot that a hold touches goes no further, and no more is said than that it is to be
retained. Refuses a step out of its turn, an act by somebody whose role does not let them, and one person in both parts of a pair.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from retention import dates, media
from retention.approval import Approval, given
from retention.certificate import text_problems
from retention.decide import holds_on
from retention.document import read, write
from retention.envelope import sign
from retention.errors import Refused, UsageError
from retention.facts import Authority, Identity, Medium, Method, State, Statement
from retention.holds import Hold
from retention.layout import compile_layout
from retention.media import Lot, Step
from retention.permissions import Act
from retention.records import Personal, Record, Span
from retention.schedule import Location, RecordType, Schedule, TreeLocation, TriggerKind
from retention.signed import from_text
from retention.signing import Signer
from storage.certifying import Certifier
from storage.ledger.ledger import Ledger
from storage.ledger.media import LotFile, StepTaken
from storage.log import Log
from storage.signatures import Signing, authorise, key_of

SOFTWARE = "retention"
RETAINED = "these media are to be retained: do not destroy them"
_ACTS = {
    Step.PLAN: Act.DESTROY_MEDIA, Step.APPROVE: Act.WITNESS_MEDIA, Step.ATTEST: Act.DESTROY_MEDIA, Step.WITNESS: Act.WITNESS_MEDIA,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How it was done, as the one who did it says."""

    method: Method
    technique: str
    destroyed_at: datetime


class MediaDisposal:
    """``certifier``: publishes the file of a certificate that stands in the ledger."""

    def __init__(
        self, *, ledger: Ledger, schedule: Schedule, log: Callable[[], Log], signers: Callable[[], Sequence[Signer]],
        certifier: Callable[[], Certifier], version: str, now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._schedule = schedule
        self._log = log
        self._signers = signers
        self._certifier = certifier
        self._version = version
        self._clock = now

    def plan(
        self,
        by: Signing,
        *,
        record_types: Sequence[str],
        earliest: date,
        latest: date,
        items: Sequence[Medium],
    ) -> LotFile:
        """The first custodian: what is to be destroyed. Raises `UsageError`, `Refused`."""
        authorise(self._ledger, by, Act.DESTROY_MEDIA)
        now = self._ready()
        if earliest > latest:
            raise UsageError("the inclusive dates are not in order", "exchange --from and --to")
        lot = Lot(
            id=f"M{now:%Y%m%d}-{secrets.token_hex(4)}", authorities=self._authorities(tuple(dict.fromkeys(record_types)), latest, now),
            earliest=earliest, latest=latest, planned=now, media=tuple(items),
        )  # fmt: skip
        for problem in (*media.media_problems(lot), *text_problems(write(lot))):
            raise UsageError(problem, "see docs/media.md")
        return self._ledger.media.plan(lot, self._step(lot, Step.PLAN, by, now))

    def approve(self, lot_id: str, by: Signing) -> LotFile:
        """The second custodian: it may be destroyed. Raises `Refused`, `UsageError`."""
        file, now = self._turn(lot_id, Step.APPROVE, by)
        if file.lot.schedule != self._schedule.digest:
            raise Refused(
                f"the schedule was changed since lot {lot_id} was planned", "plan it anew under this one"
            )
        return self._ledger.media.take(lot_id, self._step(file.lot, Step.APPROVE, by, now))

    def attest(self, lot_id: str, by: Signing, account: Account) -> LotFile:
        """The one who destroyed it, or had it destroyed before their eyes: how and when. Raises `Refused`, `UsageError`."""
        file, now = self._turn(lot_id, Step.ATTEST, by)
        account = replace(
            account, technique=account.technique.strip(), destroyed_at=_whole(account.destroyed_at)
        )
        approved = file.taken(Step.APPROVE)
        assert approved is not None  # its turn came after it
        if not approved.at <= account.destroyed_at <= now:
            raise UsageError(
                "the destruction does not lie between the approval and now",
                "nothing is attested that was done without approval",
            )
        for problem in (
            *media.media_problems(file.lot, account.method, account.technique),
            *text_problems(account.technique),
        ):
            raise UsageError(problem, "see docs/media.md")
        return self._ledger.media.take(lot_id, self._step(file.lot, Step.ATTEST, by, now, account))

    def witness(self, lot_id: str, by: Signing) -> LotFile:
        """The one who saw it: the same account, and the certificate with it. Raises `Refused`, `UsageError`."""
        file, now = self._turn(lot_id, Step.WITNESS, by)
        attested = file.taken(Step.ATTEST)
        assert attested is not None  # its turn came after it
        told = read(media.StepStatement, dict(attested.statement), "step")
        assert told.method is not None
        assert told.technique is not None
        assert told.destroyed_at is not None
        account = Account(method=told.method, technique=told.technique, destroyed_at=told.destroyed_at)
        taken = self._step(file.lot, Step.WITNESS, by, now, account)
        certificate = self._certificate(replace(file, steps=(*file.steps, taken)), account, now)
        file = self._ledger.media.take(lot_id, taken, certificate=certificate)
        self._log().publish()
        self._certifier().publish(self._ledger.certificates.get(lot_id))
        return file

    def _ready(self) -> datetime:
        now = _whole(self._clock())
        self._ledger.require_ready(self._clock())
        return now

    def _turn(self, lot_id: str, step: Step, by: Signing) -> tuple[LotFile, datetime]:
        authorise(self._ledger, by, _ACTS[step])
        now = self._ready()
        file = self._ledger.media.get(lot_id)
        if file.next is not step:
            turn = "it is certified" if file.next is None else f"the next step is: {file.next.value}"
            raise Refused(
                f"it is not the turn of {step.value} on lot {lot_id}: {turn}",
                f"see: retention media show {lot_id}",
            )
        for first in map(file.taken, media.APART.get(step, ())):
            if first is not None and first.person == by.person.name:
                raise Refused(
                    f"{by.person.name} took the step {first.step.value} of lot {lot_id} and cannot {step.value} it",
                    "somebody else has to",
                )
        return file, now

    def _step(
        self, lot: Lot, step: Step, by: Signing, now: datetime, account: Account | None = None
    ) -> StepTaken:
        """The signed step. Raises `Refused` where a hold touches the lot."""
        epoch = self._unheld(lot)
        at = now if by.at is None else by.at
        statement = media.said(
            lot, step, at=at, hold_epoch=self._ledger.holds.published(epoch, lot.id), method=None if account is None else account.method,
            technique=None if account is None else account.technique, destroyed_at=None if account is None else account.destroyed_at,
        )  # fmt: skip
        return StepTaken(
            step=step, person=by.person.name, statement=statement, signature=by.sign(statement).text, epoch=epoch, at=at
        )  # fmt: skip

    def _unheld(self, lot: Lot) -> int:
        """The hold epoch, at which no hold touches the lot. A hold that is only being placed touches it already."""
        view = self._ledger.holds.in_force()
        for name in lot.record_types:
            location = TreeLocation(
                name=lot.id, store=lot.id, zone=self._schedule.library.zone, trigger_kind=TriggerKind.MODIFIED, subject="unknown",
                path="", template="{path}",
            )  # fmt: skip
            record = Record(
                record_type=name, store=lot.id, location=lot.id, key=Personal(lot.id), trigger=lot.latest, span=self._span(lot)
            )  # fmt: skip
            if holds_on(record, location, [self._widened(hold, name) for hold in view.holds]):
                raise Refused(RETAINED, "ask the custodian; the lot can go on when that is over")
        return view.epoch

    def _widened(self, hold: Hold, name: str) -> Hold:
        """The hold as it applies to a box of paper or a disk: nobody can say which store, branch or camera its content is of.

        A hold on cameras is about records that have one: kinds of record that never do are not touched by it.
        """
        scope = replace(hold.scope, stores=frozenset(), branches=frozenset())
        known = next((one for one in self._schedule.record_types if one.id == name), None)
        if known is None or any(map(_names_camera, known.locations)):
            scope = replace(scope, cameras=frozenset())
        return replace(hold, scope=scope)

    def _span(self, lot: Lot) -> Span:
        zone = self._schedule.library.zone
        start = datetime.combine(lot.earliest, time.min, zone) - timedelta(days=1)
        end = datetime.combine(lot.latest, time.max, zone) + timedelta(days=1)
        return Span(start=start.astimezone(UTC), end=end.astimezone(UTC))

    def _authorities(self, record_types: Sequence[str], latest: date, now: datetime) -> tuple[Authority, ...]:
        """Under which rules, each with its minimum over. Raises `Refused` while one is not, `UsageError` for an unknown kind."""
        zone = self._schedule.library.zone
        today = now.astimezone(zone).date()
        found = []
        for name in record_types:
            record_type = self._known(name)
            if record_type.effective_from > today:
                raise Refused(f"the rule of {name} is not in effect yet", "wait until it is")
            over = max(
                dates.due_day(latest, rule.minimum, record_type.cutoff, self._schedule.library) for rule in record_type.rules
            )  # fmt: skip
            if over >= today:
                raise Refused(
                    f"the minimum of {name} is not over until {over.isoformat()}",
                    "records of that age must be kept",
                )
            found.append(Authority.of(self._schedule, record_type, on=today, minimum_met_on=over))
        return tuple(found)

    def _known(self, name: str) -> RecordType:
        known = {one.id: one for one in self._schedule.record_types}
        if name not in known:
            raise UsageError(f"there is no record type {name}", f"one of: {', '.join(sorted(known))}")
        return known[name]

    def _signed(self, taken: StepTaken) -> Approval:
        """A step as it stands in the certificate. Raises `VerificationFailed` when it is by no key of the person's."""
        person = self._ledger.people.get(taken.person)
        signed = from_text(taken.signature, person.public)
        key = key_of(self._ledger, person, signed, taken.at)
        return given(signed, key, dict(taken.statement), person=person.full_name, title=person.title)

    def _certificate(self, file: LotFile, account: Account, now: datetime) -> bytes:
        lot, witnessed = file.lot, file.steps[-1]
        signers = self._signers()
        opened = self._log().publish().opened
        facts = media.Attested(
            identity=Identity(
                id=lot.id, case=lot.id, state=State.FINAL, issued=now, organization=self._schedule.library.organization,
                custodian=self._schedule.library.custodian, software=SOFTWARE, version=self._version,
            ),
            lot=lot, method=account.method, technique=account.technique,
            destroyed_at=account.destroyed_at,
            signed=tuple(map(self._signed, file.steps)),
            statement=Statement(
                holds_checked_at=witnessed.at, hold_epoch=self._ledger.holds.published(witnessed.epoch, lot.id)
            ),
            evidence=media.Trail(
                digest=lot.digest, signed_by=tuple(signer.keyid for signer in signers),
                checkpoint=None if opened is None else base64.b64encode(opened.stamped).decode("ascii"),
            ),
        )  # fmt: skip
        said = media.statement(facts)
        for problem in media.step_problems(facts):
            raise Refused(f"the lot cannot be certified: {problem}", "plan it anew")
        return sign(said, signers)


def _whole(moment: datetime) -> datetime:
    """To the second, as statements write it."""
    return moment.astimezone(UTC).replace(microsecond=0)


def _names_camera(location: Location) -> bool:
    return isinstance(location, TreeLocation) and compile_layout(location.template).names_camera
