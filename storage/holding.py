"""What people do with holds, as far as the ledger goes: place, confirm, release. Reaches no store (`storage.enforcing` does).

A hold is written down as *placing* and keeps from then on. It is effective everywhere once its barriers have been passed.
A release needs two people, a document and a grace period. A hold is never deleted.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta

from retention.document import JSON, write
from retention.errors import Refused, UsageError
from retention.holds import CounselVerification, HoldState, Matter, Scope
from retention.permissions import Act
from retention.schedule import Schedule
from storage.ledger.holds import HoldAction, HoldFile
from storage.ledger.ledger import Ledger
from storage.signatures import Signing, authorise

PROVISIONAL = timedelta(days=14)
"""How long a hold stays provisional before its confirmation is overdue. It keeps all the same."""
STATEMENT_TYPE = "https://retention.example/hold-action/v1"
NO_PLACE = ("no place in the schedule matches this scope", "see the record types and stores of policies.toml")


class Holding:
    """Changes holds. ``now`` gives the current time; nothing below reads a clock of its own."""

    def __init__(self, *, ledger: Ledger, schedule: Schedule, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._schedule = schedule
        self._now = now

    def place(
        self, scope: Scope, matter: Matter, by: Signing, *, sealed: bool = False, continuing: bool = True,
        review_every_days: int | None = 90, id: str | None = None,
    ) -> HoldFile:  # fmt: skip
        """Write a hold down as *placing*: it keeps from now on, and is effective once `Enforcing.resume` has passed its barriers.

        ``id``: from `new_hold_id`, when it was shown before. Raises `UsageError` for an empty or impossible scope, `Refused`
        for a person who may not or a matter that counsel rejected.
        """
        authorise(self._ledger, by, Act.PLACE_HOLD)
        self.check(scope)
        if matter.counsel is CounselVerification.REJECTED:
            raise Refused(
                "counsel rejected this request: no hold is placed for it",
                "record the request with your counsel",
            )
        now = self._now()
        self._ledger.require_ready(now)
        review_on: date | None = (
            None if review_every_days is None else (now + timedelta(days=review_every_days)).date()
        )
        file = HoldFile(
            id=id or new_hold_id(now), state=HoldState.PLACING, scope=scope, matter=matter, sealed=sealed, continuing=continuing, placed_by=by.person.name,
            placed_at=now, review_every_days=review_every_days, provisional_until=now + PROVISIONAL, review_on=review_on,
        )  # fmt: skip
        return self._ledger.holds.add(file, self._signed(file, "place", by, now), at=now)

    def take_effect(self, seen: HoldFile, *, actor: str) -> HoldFile:
        """Every store in scope has confirmed a hold that was *placing*: it is *provisional*. Raises `Refused` if it was changed meanwhile."""
        return self._ledger.holds.move(seen, to=HoldState.PROVISIONAL, actor=actor, at=self._now())

    def confirm(self, id: str, by: Signing) -> HoldFile:
        """A second person confirms a provisional hold. Raises `Refused` for the person who placed it."""
        authorise(self._ledger, by, Act.CONFIRM_HOLD)
        file = self._ledger.holds.get(id)
        if by.person.name == file.placed_by:
            raise Refused(
                f"{by.person.name} placed hold {id} and cannot confirm it", "a second custodian has to"
            )
        if file.state is not HoldState.PROVISIONAL:
            raise Refused(
                f"hold {id} is {file.state.value}: there is nothing to confirm",
                f"see: retention hold show {id}",
            )
        return self._move(file, HoldState.ACTIVE, "confirm", by)

    def request_release(self, id: str, by: Signing, document: bytes) -> HoldFile:
        """The first of two people asks for the release and gives the document (court's release, matter closed)."""
        authorise(self._ledger, by, Act.PLACE_HOLD)
        if not document.strip():
            raise UsageError(
                "the release document is empty", "give the document that ends the duty to preserve"
            )
        file = self._ledger.holds.get(id)
        if file.state not in (HoldState.ACTIVE, HoldState.PROVISIONAL):
            raise Refused(
                f"hold {id} is {file.state.value}: its release cannot be requested",
                f"see: retention hold show {id}",
            )
        digest = hashlib.sha256(document).hexdigest()
        return self._move(file, HoldState.RELEASE_REQUESTED, "request-release", by, document_digest=digest)

    def approve_release(self, id: str, by: Signing, grace: timedelta) -> HoldFile:
        """The second person approves; after the grace period the hold no longer keeps. Raises `Refused` for the first one."""
        authorise(self._ledger, by, Act.CONFIRM_HOLD)
        if grace <= timedelta(0):
            raise UsageError("a release needs a grace period", "give at least a day")
        file = self._ledger.holds.get(id)
        if file.state is not HoldState.RELEASE_REQUESTED:
            raise Refused(
                f"hold {id} is {file.state.value}: no release was requested",
                "request it first, with its document",
            )
        if by.person.name == _last(file, "request-release"):
            raise Refused(
                f"{by.person.name} requested the release of hold {id} and cannot approve it",
                "a second custodian has to",
            )
        return self._move(file, HoldState.IN_GRACE, "approve-release", by, grace=grace)

    def cancel_release(self, id: str, by: Signing) -> HoldFile:
        """Undo a requested release, or one in grace: the hold is what it was before, as it never ceased to keep."""
        authorise(self._ledger, by, Act.PLACE_HOLD)
        file = self._ledger.holds.get(id)
        if file.state not in (HoldState.RELEASE_REQUESTED, HoldState.IN_GRACE):
            raise Refused(
                f"hold {id} is {file.state.value}: there is no release to cancel",
                f"see: retention hold show {id}",
            )
        before = HoldState.ACTIVE if file.done_by("confirm") else HoldState.PROVISIONAL
        return self._move(file, before, "cancel-release", by)

    def end_grace(self, *, actor: str) -> list[str]:
        """Release every hold whose grace period is over. Returns their ids."""
        now = self._now()
        self._ledger.require_ready(now)
        over = [
            file for file in self._ledger.holds.list()
            if file.state is HoldState.IN_GRACE and file.grace_until is not None and file.grace_until <= now
        ]  # fmt: skip
        released: list[str] = []
        for file in over:
            try:
                self._ledger.holds.move(file, to=HoldState.RELEASED, actor=actor, at=now)
            except Refused:  # somebody cancelled the release at this moment: it keeps
                continue
            released.append(file.id)
        return released

    def _move(
        self, file: HoldFile, to: HoldState, action: str, by: Signing, *, document_digest: str | None = None,
        grace: timedelta | None = None,
    ) -> HoldFile:  # fmt: skip
        now = self._now()
        self._ledger.require_ready(now)
        step = self._signed(file, action, by, now, document_digest)
        return self._ledger.holds.move(
            file,
            to=to,
            actor=by.person.name,
            at=now,
            action=step,
            grace_until=None if grace is None else now + grace,
        )

    def _signed(
        self, file: HoldFile, action: str, by: Signing, now: datetime, document_digest: str | None = None
    ) -> HoldAction:
        """The step, signed. ``body`` binds what the hold is about, without telling it to whoever reads the statement."""
        at = by.at or now
        statement: dict[str, JSON] = {
            "type": STATEMENT_TYPE, "hold": file.id, "action": action, "person": by.person.name, "document": document_digest,
            "body": self._ledger.holds.mark(file), "at": write(at),
        }  # fmt: skip
        return HoldAction(
            action=action, person=by.person.name, document_digest=document_digest, statement=statement,
            signature=by.sign(statement).text, epoch=0, at=at,
        )  # fmt: skip

    def check(self, scope: Scope) -> None:
        """Raises `UsageError` for a scope that is empty, impossible, or names what the schedule does not know."""
        if scope.is_empty:
            raise UsageError(
                "a hold with an empty scope is refused",
                "name a record type, store, subject, camera, branch or time",
            )
        given = (*scope.cameras, *scope.branches, *(subject.reveal() for subject in scope.subjects))
        if any(value != value.strip() or not value for value in given):
            raise UsageError(
                "a subject, camera or branch of the hold is empty or begins or ends with a space",
                "give it exactly as the records have it",
            )
        if any(at is not None and at.tzinfo is None for at in (scope.since, scope.until)):
            raise UsageError("a time of the hold has no time zone", "give times with their zone")
        if min(scope.margin_before, scope.margin_after) < timedelta(0):
            raise UsageError("a margin of the hold is negative", "margins widen a hold, they never narrow it")
        if scope.since is not None and scope.until is not None and scope.since > scope.until:
            raise UsageError("the hold's time range ends before it begins", "exchange --from and --until")
        known = {record_type.id for record_type in self._schedule.record_types}
        _all_known("record type", scope.record_types, known)
        _all_known("store", scope.stores, {store.name for store in self._schedule.stores})
        if not any(
            scope.touches(record_type.id, *location.stores)
            for record_type in self._schedule.record_types
            for location in record_type.locations
        ):
            raise UsageError(*NO_PLACE)


def new_hold_id(now: datetime) -> str:
    """An id that says the day and nothing else."""
    return f"H{now.astimezone(UTC):%Y%m%d}-{secrets.token_hex(4)}"


def _last(file: HoldFile, action: str) -> str:
    return [step.person for step in file.actions if step.action == action][-1]


def _all_known(what: str, given: Iterable[str], known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise UsageError(f"there is no {what} {unknown[0]}", f"one of: {', '.join(sorted(known))}")
