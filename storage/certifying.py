"""Certificates of destruction, built from read-backs only: step 10, and step 11 (provisional → final, or → superseded).

Counts and leaves come from the outcomes in the ledger, which hold what a read-back saw; nothing else can enter. The leaf
file is durable beside the evidence before its certificate is written down.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from dateutil.relativedelta import relativedelta

from retention import certificate as form
from retention import facts
from retention.decide import Criteria
from retention.envelope import read as read_envelope
from retention.envelope import sign
from retention.errors import Unavailable, VerificationFailed
from retention.exports import third_parties
from retention.logged import Ended, Events
from retention.outcomes import OPEN, OUTCOMES, Outcome
from retention.schedule import ApprovalKind, Period, RecordType, Schedule, TreeLocation
from retention.signing import Signer
from storage import case_entries
from storage.contract import Claim, Stores
from storage.keys.values import Erasure
from storage.leaf_order import LeafOrder
from storage.ledger.batches import ELSEWHERE
from storage.ledger.cases import Case, CaseState
from storage.ledger.certificates import Certificate
from storage.ledger.ledger import Ledger
from storage.ledger.log_entries import EntryKind
from storage.log import Log
from storage.planning import criteria_for, store_of
from storage.rulings import standing_at
from storage.sealed import erasures
from storage.signatures import approval_of, verified_approvals
from storage.worklist import Tally, tally

SOFTWARE = "retention"
OPEN_STATES = frozenset({facts.State.PROVISIONAL.value, facts.State.SUPERSEDED.value})
"""Certificates that another one may still follow as final."""


@dataclass(kw_only=True)
class _Seen:
    """What the ledger's outcomes say of a case, folded once."""

    counts: dict[int, Counter[Outcome]] = field(default_factory=dict)
    witnesses: dict[int, list[str]] = field(default_factory=dict)
    """By part: the transactions in which something was destroyed."""
    first: datetime | None = None
    last: datetime | None = None
    epoch: int = 0
    checked: datetime | None = None


class Certifier:
    """Builds, signs and keeps certificates. ``evidence``: folder for leaf files and published copies of the envelopes.
    ``log``: where everything signed here is entered, after it stands in the ledger."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        stores: Stores,
        evidence: Path,
        signers: Sequence[Signer],
        version: str,
        log: Log,
    ) -> None:
        self._ledger = ledger
        self._log = log
        self._stores = stores
        self._evidence = evidence
        self._signers = signers
        self._version = version

    def begin(self, case: Case, *, cleared_by: Sequence[int], at: datetime, actor: str) -> None:
        """End of step 3: the log says that the case begins, before any of it is destroyed. A case that goes on has it already.

        Nothing may be destroyed when this raises: `Refused`, `Unavailable`, `VerificationFailed`, `LedgerUnavailable`.
        """
        opening = None
        if self._ledger.log.find(case.id, EntryKind.CASE_STARTED) is None:
            opening = case_entries.started(case, self._signers, at=at)
        self._ledger.cases.begin_destroying(case, cleared_by=cleared_by, actor=actor, at=at, opening=opening)
        self._log.publish()

    def certify(self, case: Case, schedule: Schedule, *, at: datetime, actor: str) -> Certificate:
        """Step 10: certify and close a case of which every item has an outcome and something was destroyed.

        Raises `VerificationFailed` rather than certify more than was read back.
        """
        return self._issue(case, schedule, at=at, actor=actor, before=None)

    def close_without(self, case: Case, counts: Mapping[Outcome, int], *, at: datetime, actor: str) -> None:
        """Step 10 for a case that destroyed nothing: no certificate, but an entry in the log that says so."""
        self._end_without(case, counts, Ended.CLOSED, {"certificate": None}, at=at, actor=actor)

    def fail(
        self, case: Case, counts: Mapping[Outcome, int], reason: str, *, at: datetime, actor: str
    ) -> None:
        """End a case whose canary was still there, and say so in the log."""
        self._end_without(case, counts, Ended.FAILED, {"reason": reason}, at=at, actor=actor)

    def _end_without(
        self, case: Case, counts: Mapping[Outcome, int], how: Ended, told: Mapping[str, Any], *, at: datetime, actor: str
    ) -> None:  # fmt: skip
        body = {"counts": {outcome.value: count for outcome, count in counts.items()}, **told}
        record = case_entries.nothing_destroyed(case, counts, how, self._signers, at=at)
        self._ledger.cases.close(case.id, CaseState(how.value), actor=actor, at=at, body=body, record=record)
        self._log.publish()

    def anchor(self, *, at: datetime, actor: str) -> bool:
        """Enter the head of the ledger's chain of events into the log, once a day (UTC). Returns whether it did."""
        last = self._ledger.log.last(EntryKind.EVENTS)
        if last is not None and last.at.date() >= at.astimezone(UTC).date():
            return False
        head = self._ledger.log.head()
        entry = Events(seq=head.seq, head=head.hash, at=at)
        self._ledger.log.append(
            EntryKind.EVENTS, str(head.seq), sign(entry.statement(), self._signers), actor=actor, at=at
        )
        self._log.publish()
        return True

    def catch_up(self, *, at: datetime, actor: str) -> None:
        """Finish what a killed run left: entries that are not in the log's files, envelopes that were not published. And let
        the log say of a case that began that it was sent back: whoever returns one has no key to sign that with."""
        for begun in self._ledger.log.begun():
            case = self._ledger.cases.get(begun.subject)
            if case.state is CaseState.RETURNED:
                record = case_entries.nothing_destroyed(
                    case, self._tally(case).counts, Ended.RETURNED, self._signers, at=case.closed_at or at
                )
                self._ledger.log.append(EntryKind.NOTHING_DESTROYED, case.id, record, actor=actor, at=at)
        self._log.publish()
        for certificate in self._ledger.certificates.list():
            if not self.path(certificate).exists():
                self.publish(certificate)

    def follow_up(
        self, certificate: Certificate, schedule: Schedule, *, at: datetime, actor: str
    ) -> Certificate | None:
        """Step 11: what follows a case's latest certificate, or ``None`` when nothing does yet.

        Provisional again, when the day on which the last copy of destroyed keys will be gone has become known. Final, once every
        window is over; never when an outcome is unknown: nobody could say later what nobody saw then. Superseded, when the
        store says that what was certified no longer holds. Asks a store only about sealed records; raises `StoreUnavailable`
        when it does not answer.
        """
        case = self._ledger.cases.get(certificate.case_id)
        if self._ledger.certificates.get(case.id).id != certificate.id:
            return None
        witnesses = erasures.witnesses(self._ledger, case)
        doubt = erasures.doubt(self._stores, case, schedule, witnesses)
        if doubt:
            return self._supersede(certificate, case, doubt, at=at, actor=actor)
        final_from = certificate.final_from
        erased = erasures.erased(self._stores, case, schedule, witnesses)
        if erased:
            ended = max(batch.at for batch in self._ledger.batches.settled(case.id))
            windows = self._windows(case, schedule, ended, erased)
            final_from, _ = form.irrecoverable_from(facts.Residual(windows=windows))
            if erasures.outlasts(erased.values(), certificate.final_from):
                return self._supersede(certificate, case, erasures.REVIVED, at=at, actor=actor)
        if certificate.state not in OPEN_STATES or final_from is None:
            return None
        over = at.astimezone(UTC).date() >= final_from and not self._tally(case).counts[Outcome.UNKNOWN]
        if not over and certificate.final_from is not None:
            return None
        return self._issue(case, schedule, at=at, actor=actor, before=certificate)

    def path(self, certificate: Certificate) -> Path:
        """Where the envelope is published; the leaf file lies beside it with the suffix ``.leaves``."""
        return self._evidence / f"{certificate.id}.dsse.json"

    def page_path(self, certificate: Certificate) -> Path:
        """Where the page for people is published (`storage.paper`), beside the envelope."""
        return self._evidence / f"{certificate.id}.pdf"

    def publish(self, certificate: Certificate) -> Path:
        """Write the envelope's file (again), whole or not at all: the ledger has it in any case. Raises `Unavailable`."""
        return self._publish(self.path(certificate), certificate.envelope)

    def publish_page(self, certificate: Certificate, page: bytes) -> Path:
        """Write the page's file, whole or not at all. Raises `Unavailable`."""
        return self._publish(self.page_path(certificate), page)

    def _publish(self, path: Path, content: bytes) -> Path:
        partial = path.with_name(path.name + ".partial")
        self._make_folder()
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise _unwritable(error) from None
        return path

    def _make_folder(self) -> None:
        try:
            self._evidence.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(error) from None

    def _tally(self, case: Case) -> Tally:
        return tally(case, self._ledger.batches.settled(case.id))

    def _issue(
        self, case: Case, schedule: Schedule, *, at: datetime, actor: str, before: Certificate | None
    ) -> Certificate:
        id = f"{case.id}-{_number(before) + 1}"
        self._require_certifiable(case, schedule)
        self._make_folder()
        seen, root, digest = self._fold(case, self._evidence / f"{id}.leaves")
        record_type = schedule.record_type(case.record_type)
        erased = erasures.erased(self._stores, case, schedule, seen.witnesses)
        windows = self._windows(case, schedule, _known(seen.last), erased)
        final_from, _ = form.irrecoverable_from(facts.Residual(windows=windows))
        is_final = (
            final_from is not None
            and at.astimezone(UTC).date() >= final_from
            and not _total(seen, Outcome.UNKNOWN)
        )
        state = facts.State.FINAL if is_final else facts.State.PROVISIONAL
        whole = form.Certificate(
            identity=facts.Identity(
                id=id, case=case.id, state=state, issued=at, organization=schedule.library.organization,
                custodian=schedule.library.custodian, software=SOFTWARE, version=self._version,
                supersedes=None if before is None else before.id,
            ),
            authority=self._authority(case, schedule, record_type, seen),
            what=self._what(case, schedule, seen, erased),
            how=facts.How(
                started=_known(seen.first), ended=_known(seen.last),
                keys_destroyed=tuple(kid for erasure in erased.values() for kid in erasure.kids),
                root=next((erasure.root for erasure in erased.values()), None),
            ),
            verification=facts.Verification(method="every item read back in the store after its destruction was committed"),
            people=facts.People(
                preparer=self._preparer(case),
                destroyer=facts.Component(name=f"{SOFTWARE} storage.destroy", version=self._version),
                verifier=facts.Component(name=f"{SOFTWARE} read-back", version=self._version),
                approvals=tuple(
                    approval_of(self._ledger, decision)
                    for decision, _ in verified_approvals(self._ledger, case)
                    if decision.id in case.cleared_by
                ),
                standing=self._standing(case, schedule, record_type),
            ),
            statement=facts.Statement(holds_checked_at=_known(seen.checked), hold_epoch=self._ledger.holds.published(seen.epoch, case.id)),
            residual=facts.Residual(windows=windows, third_parties=self._third_parties(case, record_type)),
            evidence=self._evidence_now(root, case.items),
        )  # fmt: skip
        closing = {"counts": {outcome.value: _total(seen, outcome) for outcome in Outcome}, "certificate": id}
        return self._give_out(
            whole, digest, final_from, actor=actor, closing=closing if before is None else None
        )

    def _standing(self, case: Case, schedule: Schedule, record_type: RecordType) -> facts.Standing | None:
        begun = case.destroying_since
        if record_type.approval is not ApprovalKind.STANDING or begun is None:
            return None
        return standing_at(self._ledger, record_type, begun, begun.astimezone(schedule.library.zone).date())

    def _preparer(self, case: Case) -> facts.Person:
        """Who opened the case: the service, or a person who ran it by hand."""
        on = case.opened_at.date()
        for person in self._ledger.people.list():
            if person.name == case.opened_by:
                return facts.Person(name=person.full_name, title=person.title, on=on)
        return facts.Person(name=case.opened_by, title="retention scheduler", on=on)

    def _supersede(
        self, before: Certificate, case: Case, reason: str, *, at: datetime, actor: str
    ) -> Certificate | None:
        """Say that the certificate before no longer holds. Its facts stay what they were; its dates do not.

        Taken from the certificate and not from the store: a store that was restored no longer knows what it had destroyed.
        """
        if before.state == facts.State.SUPERSEDED.value:
            return None
        was = form.facts_of(read_envelope(before.envelope).statement())
        id = f"{case.id}-{_number(before) + 1}"
        self._make_folder()
        _, _, digest = self._fold(case, self._evidence / f"{id}.leaves")
        whole = form.Certificate(
            identity=replace(
                was.identity, id=id, state=facts.State.SUPERSEDED, issued=at, version=self._version, supersedes=before.id, reason=reason
            ),
            authority=was.authority, what=was.what, how=was.how, verification=was.verification, people=was.people,
            statement=was.statement, residual=replace(was.residual, windows=(*was.residual.windows, erasures.DOUBTFUL)),
            evidence=self._evidence_now(was.evidence.root, was.evidence.leaves),
        )  # fmt: skip
        return self._give_out(whole, digest, None, actor=actor, closing=None)

    def _evidence_now(self, root: str, leaves: int) -> facts.Evidence:
        """With the keys that sign now, and the checkpoint of the log before this certificate."""
        opened = self._log.publish().opened
        return facts.Evidence(
            root=root,
            leaves=leaves,
            signed_by=tuple(signer.keyid for signer in self._signers),
            checkpoint=None if opened is None else base64.b64encode(opened.stamped).decode("ascii"),
        )

    def _give_out(
        self, whole: form.Certificate, digest: str, final_from: date | None, *, actor: str, closing: Mapping[str, Any] | None
    ) -> Certificate:  # fmt: skip
        """Sign, write down, publish."""
        identity = whole.identity
        issued = Certificate(
            id=identity.id, case_id=identity.case, state=identity.state.value,
            envelope=sign(form.statement(whole), self._signers), leaves_digest=digest, final_from=final_from, at=identity.issued,
        )  # fmt: skip
        self._ledger.certificates.issue(issued, actor=actor, closing=closing)
        self._log.publish()
        self.publish(issued)
        return issued

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        try:
            folder = tempfile.TemporaryDirectory(dir=self._evidence, prefix=".leaves-")
        except OSError as error:
            raise _unwritable(error) from None
        with folder as name:
            yield Path(name)

    def _require_certifiable(self, case: Case, schedule: Schedule) -> None:
        """The frozen schedule, one outcome per line of the manifest, no batch that nobody has looked at."""
        if schedule.digest != case.schedule_digest:
            raise VerificationFailed(
                f"this is not the schedule that case {case.id} ran under", "certify under the frozen schedule"
            )
        if self._ledger.batches.open_intents(case.id):
            raise VerificationFailed(f"a batch of case {case.id} has not been read back", "run it again")
        if self._tally(case).remaining(case):
            raise VerificationFailed(
                f"case {case.id} does not have exactly one outcome per item", "run it again"
            )

    def _fold(self, case: Case, leaves_file: Path) -> tuple[_Seen, str, str]:
        """Counts, times, the Merkle root (hex) and the digest of the leaf file, from the concluded batches."""
        seen = _Seen(
            counts={part.number: Counter() for part in case.parts},
            witnesses=erasures.witnesses(self._ledger, case),
        )
        with (
            self._scratch() as scratch,
            LeafOrder(scratch) as order,
        ):
            for batch in self._ledger.batches.settled(case.id, with_leaves=True):
                final = [code for code in batch.codes if code not in (OPEN, ELSEWHERE)]
                if len(batch.leaves) != 32 * len(final):
                    raise VerificationFailed(
                        f"a batch of case {case.id} has not one leaf per outcome",
                        "compare the ledger with its backup",
                    )
                seen.counts[batch.range.part].update(OUTCOMES[code] for code in final)
                order.add(batch.leaves)
                seen.first = min(filter(None, (seen.first, batch.intended_at)))
                seen.last = max(filter(None, (seen.last, batch.at)))
                seen.checked = max(filter(None, (seen.checked, batch.intended_at)))
                seen.epoch = max(seen.epoch, batch.epoch)
            root = order.save(leaves_file)
        if root.size != case.items or sum(map(Counter.total, seen.counts.values())) != case.items:
            raise VerificationFailed(
                f"case {case.id} does not have exactly one outcome per item", "run it again"
            )
        return seen, root.hash.hex(), _sha256(leaves_file)

    def _authority(
        self, case: Case, schedule: Schedule, record_type: RecordType, seen: _Seen
    ) -> facts.Authority:
        destroyed = _total(seen, Outcome.DESTROYED)
        # Which ones stayed is not known here: those past their maximum may be among them, so at least so many went.
        stayed = case.records if case.records != case.items else case.items - destroyed
        past = sum(entry["past_maximum"] for entry in case.survey.values())
        past_maximum = past if destroyed == case.items else max(0, past - stayed)
        withdrawn = min(
            sum(entry.get("withdrawn", 0) for entry in case.survey.values()), _total(seen, Outcome.DESTROYED)
        )
        return facts.Authority.of(
            schedule, record_type, on=case.on, minimum_met_on=case.on, past_maximum=past_maximum, withdrawn=withdrawn
        )  # fmt: skip

    def _what(self, case: Case, schedule: Schedule, seen: _Seen, erased: Mapping[int, Erasure]) -> facts.What:
        earliest = [date.fromisoformat(entry["oldest"]) for entry in case.survey.values() if entry["oldest"]]
        latest = [date.fromisoformat(entry["newest"]) for entry in case.survey.values() if entry["newest"]]
        dated = bool(earliest) and bool(latest)
        return facts.What(
            manifest_digest=case.manifest_digest,
            items=case.items,
            earliest=min(earliest) if dated else None,
            latest=max(latest) if dated else None,
            locations=tuple(
                self._location(case, schedule, part.number, seen, erased.get(part.number))
                for part in case.parts
            ),
        )

    def _location(
        self, case: Case, schedule: Schedule, number: int, seen: _Seen, erasure: Erasure | None
    ) -> facts.LocationReport:
        part, counts = case.parts[number], seen.counts[number]
        record_type = schedule.record_type(case.record_type)
        claim = self._claim(criteria_for(schedule, record_type, part.location, case.on), part.store)
        if erasure is None:
            surveyed: Mapping[str, float] = case.survey[part.location]
            whole = counts[Outcome.DESTROYED] == part.items
            size, seconds = (surveyed[name] if whole else 0 for name in ("volume", "seconds"))
        else:
            size, seconds = erasure.size, erasure.seconds
        return facts.LocationReport(
            location=part.location, store=part.store, copy_class=_copy_class(record_type, part.location), destroyed=counts[Outcome.DESTROYED],
            already_absent=counts[Outcome.ALREADY_ABSENT], withheld=counts[Outcome.WITHHELD],
            not_destroyed=counts[Outcome.NOT_DESTROYED], unknown=counts[Outcome.UNKNOWN],
            seen_absent=counts[Outcome.DESTROYED] + counts[Outcome.ALREADY_ABSENT],
            size=int(size) or None, seconds=int(seconds) or None,
            objects=None if erasure is None else erasure.objects,
            unsealed_before=None if erasure is None else erasure.unsealed_before,
            method=erasures.method(claim, erasure), technique=claim.technique, verification=claim.verification,
            not_claimed=claim.not_claimed,
        )  # fmt: skip

    def _claim(self, criteria: Criteria, store: str) -> Claim:
        return store_of(self._stores, store).claim(criteria)

    def _third_parties(self, case: Case, record_type: RecordType) -> tuple[str, ...]:
        """Who else has copies of what the registry knows to have lain here, and what of that is attested."""
        places = []
        for part in case.parts:
            location = record_type.location(part.location)
            if isinstance(location, TreeLocation):
                places.append((part.store, f"{location.path}/" if location.path else ""))
        return third_parties(self._ledger.exports.list(), places, case.opened_at) if places else ()

    def _windows(
        self, case: Case, schedule: Schedule, ended: datetime, erased: Mapping[int, Erasure]
    ) -> tuple[facts.Window, ...]:
        """The copies that outlive the destruction: as the schedule declares them, gone from the day after their period; and
        those of destroyed keys, as the key store says it today."""
        stores = sorted({part.store for part in case.parts})
        declared = [
            facts.Window(copy=copy, store=name, until=_gone(ended.date(), period))
            for name in stores
            for copy, period in schedule.store(name).residual
        ]
        return (*declared, *erasures.windows(erased.values()))


def _unwritable(error: OSError) -> Unavailable:
    return Unavailable(
        f"the evidence folder cannot be written: {os.strerror(error.errno or 0)}",
        "see whether its disk is full or in order; the ledger has the certificate",
    )


def _copy_class(record_type: RecordType, location: str) -> str:
    """Footage that was copied out for a hold is a copy; whatever else a location holds is the record itself."""
    place = record_type.location(location)
    return "evidence copy" if isinstance(place, TreeLocation) and place.vault_of else "primary"


def _gone(day: date, period: Period) -> date:
    return day + relativedelta(years=period.years, months=period.months, days=period.days + 1)


def _number(certificate: Certificate | None) -> int:
    """Certificates of a case are counted: ``CASE-1``, ``CASE-2``."""
    return 0 if certificate is None else int(certificate.id.rpartition("-")[2])


def _known(at: datetime | None) -> datetime:
    if at is None:
        raise VerificationFailed("a case without a single batch certifies nothing")
    return at


def _total(seen: _Seen, outcome: Outcome) -> int:
    return sum(counts[outcome] for counts in seen.counts.values())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
