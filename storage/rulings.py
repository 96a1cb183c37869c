"""What people decide on a whole record type: standing approvals of its rule, and putting its disposition off. Ledger and schedule only.

Refuses: a standing approval for a rule whose cases are approved one by one, without an end or for more than two years, agreed to by
whoever proposed it, or agreed to after the rule changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime

from dateutil.relativedelta import relativedelta

from retention.approval import Approval, given
from retention.certificate import text_problems
from retention.document import read, write
from retention.errors import Refused, UsageError, VerificationFailed
from retention.facts import Standing
from retention.permissions import Act, may
from retention.ruling import (
    Ruling,
    RulingKind,
    RulingStatement,
    StandingApproval,
    digest_of,
    extended_until,
    standing_approvals,
    statement,
)
from retention.schedule import ApprovalKind, RecordType, Schedule
from retention.signed import from_text
from retention.verify_signed import verify_signed
from storage.ledger.ledger import Ledger
from storage.ledger.rulings import SignedRuling
from storage.signatures import Signing, authorise, key_of

LONGEST = relativedelta(years=2)
"""A standing approval is given anew at least that often."""


def rulings_of(ledger: Ledger, record_type: str) -> list[Ruling]:
    """Every ruling on a record type, oldest first, its signature checked. Raises `VerificationFailed`."""
    return [_verified(ledger, one) for one in ledger.rulings.of(record_type)]


def _verified(ledger: Ledger, one: SignedRuling) -> Ruling:
    person = ledger.people.get(one.person)
    signed = from_text(one.signature, person.public)
    said = json.loads(json.dumps(one.statement))
    verify_signed(signed, key_of(ledger, person, signed, one.at), said, what="the signature of a ruling")
    value = read(RulingStatement, said, "ruling")
    written = (one.record_type, one.kind, one.person, one.until, one.at.replace(microsecond=0))
    if (value.record_type, value.kind.value, value.person, value.until, value.at) != written:
        raise VerificationFailed(
            f"a ruling on {one.record_type} is not what was signed", "compare the ledger with its backup"
        )
    role = ledger.people.role_at(one.person, one.at)
    if not may(role, Act.SECOND):
        raise VerificationFailed(
            f"a ruling on {one.record_type} is by somebody who may not", "compare the ledger with its backup"
        )
    return Ruling(
        kind=value.kind, person=value.person, rule=value.rule, until=value.until, reason=value.reason, at=one.at,
        first=may(role, Act.APPROVE), digest=digest_of(said),
    )  # fmt: skip


def standing_at(ledger: Ledger, record_type: RecordType, begun: datetime, on: date) -> Standing | None:
    """The standing approval of a rule that was in force when a case began, as it stands in a certificate; ``None`` without one.

    What was signed since leaves it as it was. Nothing either where a person gave a reason, in an earlier version, that cannot
    stand in a certificate.
    """
    agreed, _ = standing_approvals(one for one in rulings_of(ledger, record_type.id) if one.at <= begun)
    if agreed is None or not agreed.covers(record_type.digest, on):
        return None
    signed = {digest_of(one.statement): one for one in ledger.rulings.of(record_type.id)}
    standing = Standing(
        id=agreed.id, rule=agreed.rule, until=agreed.until, proposed=_as_given(ledger, signed[agreed.proposal]),
        agreed=_as_given(ledger, signed[agreed.agreement]),
    )  # fmt: skip
    return None if any(text_problems(write(standing))) else standing


def _as_given(ledger: Ledger, one: SignedRuling) -> Approval:
    person = ledger.people.get(one.person)
    signed = from_text(one.signature, person.public)
    key = key_of(ledger, person, signed, one.at)
    return given(signed, key, dict(one.statement), person=person.full_name, title=person.title)


def write_ruling(
    ledger: Ledger, by: Signing, *, record_type: str, rule: str, kind: RulingKind, until: date | None, reason: str, now: datetime,
) -> None:  # fmt: skip
    """Sign a ruling and write it down: the last step, everything that could refuse it was asked before."""
    at = by.at or now
    said = statement(
        record_type=record_type,
        rule=rule,
        kind=kind,
        until=until,
        person=by.person.name,
        reason=reason,
        at=at,
    )
    ledger.rulings.add(
        SignedRuling(
            record_type=record_type, kind=kind.value, until=until, person=by.person.name, statement=said,
            signature=by.sign(said).text, at=at,
        )
    )  # fmt: skip


class Rulings:
    """Rulings under the schedule in force."""

    def __init__(self, *, ledger: Ledger, schedule: Schedule, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._schedule = schedule
        self._now = now

    def today(self) -> date:
        return self._now().astimezone(self._schedule.library.zone).date()

    def extended(self, record_type: str) -> date | None:
        """The day to which its disposition is put off; ``None`` when it is not."""
        return extended_until(rulings_of(self._ledger, record_type), self.today())

    def standing(self, record_type: str) -> tuple[StandingApproval | None, StandingApproval | None]:
        """The standing approval agreed upon, and the one that waits for a second person; neither need cover the rule as it is now."""
        return standing_approvals(rulings_of(self._ledger, record_type))

    def propose(self, record_type: str, by: Signing, until: date, reason: str) -> None:
        """The first of two people approves a rule until a day, that day included."""
        person = authorise(self._ledger, by, Act.APPROVE)
        rule = self._rule(record_type)
        if not reason.strip():
            raise UsageError("a standing approval is given for a reason", "say why with --reason")
        for problem in text_problems(reason.strip()):
            raise UsageError(f"this reason cannot stand in a certificate: {problem}", "say it otherwise")
        today = self.today()
        if not today <= until <= today + LONGEST:
            raise UsageError(
                "a standing approval ends within two years", "give its last day with --until YYYY-MM-DD"
            )
        self._ledger.require_ready(self._now())
        _, waiting = self.standing(record_type)
        if waiting is not None and waiting.proposed_by != person.name and waiting.rule == rule.digest:
            raise Refused(
                f"{waiting.proposed_by} has proposed one until {waiting.until}",
                "agree to it, or revoke it first",
            )
        self._write(by, rule, RulingKind.PROPOSED, until, reason.strip())

    def agree(self, record_type: str, by: Signing) -> StandingApproval:
        """The second person."""
        person = authorise(self._ledger, by, Act.SECOND)
        rule = self._rule(record_type)
        self._ledger.require_ready(self._now())
        _, waiting = self.standing(record_type)
        if waiting is None:
            raise Refused(
                f"nobody has proposed a standing approval of {record_type}", "one custodian proposes it first"
            )
        if waiting.proposed_by == person.name:
            raise Refused(f"{person.name} proposed it", "somebody else has to agree")
        if not (waiting.rule == rule.digest and self.today() <= waiting.until):
            raise Refused("the rule has changed since, or the time is over", "it has to be proposed anew")
        self._write(by, rule, RulingKind.AGREED, waiting.until, "")
        agreed, _ = self.standing(record_type)
        expected = (rule.digest, waiting.until, by.person.name)
        if agreed is None or (agreed.rule, agreed.until, agreed.agreed_by) != expected:
            raise Refused("it was revoked or proposed anew meanwhile", "see: retention standing list")
        return agreed

    def revoke(self, record_type: str, by: Signing, reason: str) -> None:
        """End a standing approval, and what was proposed, at once: no further case begins under it."""
        authorise(self._ledger, by, Act.SECOND)
        if not reason.strip():
            raise UsageError("a standing approval is revoked for a reason", "say why with --reason")
        self._ledger.require_ready(self._now())
        if self.standing(record_type) == (None, None):
            raise Refused(f"there is no standing approval of {record_type}", "see: retention standing list")
        write_ruling(
            self._ledger, by, record_type=record_type, rule="", kind=RulingKind.REVOKED, until=None, reason=reason.strip(), now=self._now(),
        )  # fmt: skip

    def _rule(self, name: str) -> RecordType:
        try:
            record_type = self._schedule.record_type(name)
        except KeyError:
            known = ", ".join(one.id for one in self._schedule.record_types)
            raise UsageError(f"there is no record type {name}", f"one of: {known}") from None
        if record_type.approval is not ApprovalKind.STANDING:
            raise Refused(
                f"cases of {name} are approved one by one ({record_type.approval.value})",
                "the schedule says so: approval = …",
            )
        return record_type

    def _write(self, by: Signing, rule: RecordType, kind: RulingKind, until: date, reason: str) -> None:
        write_ruling(
            self._ledger, by, record_type=rule.id, rule=rule.digest, kind=kind, until=until, reason=reason, now=self._now()
        )  # fmt: skip
