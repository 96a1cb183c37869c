"""What the log is told of a case beside its certificates: that it began, and that it ended without destroying anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from retention.envelope import sign
from retention.logged import CaseStarted, Ended, NothingDestroyed
from retention.outcomes import Outcome
from retention.signing import Signer
from storage.ledger.cases import Case


def started(case: Case, signers: Sequence[Signer], *, at: datetime) -> bytes:
    """A signed *case started*."""
    entry = CaseStarted(
        case=case.id, record_type=case.record_type, schedule_digest=case.schedule_digest, manifest_digest=case.manifest_digest,
        on=case.on, started=at,
    )  # fmt: skip
    return sign(entry.statement(), signers)


def nothing_destroyed(
    case: Case, counts: Mapping[Outcome, int], how: Ended, signers: Sequence[Signer], *, at: datetime
) -> bytes:
    """A signed *nothing destroyed*. Raises `VerificationFailed` when something was: that is certified."""
    entry = NothingDestroyed(
        case=case.id, record_type=case.record_type, schedule_digest=case.schedule_digest, manifest_digest=case.manifest_digest,
        on=case.on, ended=how, closed=at, items=case.items, already_absent=counts.get(Outcome.ALREADY_ABSENT, 0),
        withheld=counts.get(Outcome.WITHHELD, 0), not_destroyed=counts.get(Outcome.NOT_DESTROYED, 0),
        unknown=counts.get(Outcome.UNKNOWN, 0), not_reached=case.items - sum(counts.values()),
    )  # fmt: skip
    return sign(entry.statement(), signers)
