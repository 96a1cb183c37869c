"""What people do with holds, as far as the ledger goes: request, place, widen, confirm, release. Reaches no store (`storage.enforcing` does).

A hold is written down as *placing* and keeps from then on. It is effective everywhere once its barriers have been passed. One that
nobody confirms lapses, with a grace period. A release needs two people, a document and a grace period. A hold is never deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta

from retention.errors import Refused, UsageError
from retention.holds import CounselVerification, HoldState, Matter, MatterKind, Scope
from retention.permissions import Act
from storage.hold_steps import Steps, new_hold_id
from storage.ledger.holds import HoldFile
from storage.seeing import known_to, seen
from storage.signatures import Signing, authorise

PROVISIONAL = timedelta(days=14)
"""How long a hold may wait for its confirmation before it lapses."""
NO_PLACE = ("no place in the schedule matches this scope", "see the record types and stores of policies.toml")


class Holding(Steps):
    """The life of a hold from request to release."""

    def place(
        self, scope: Scope, matter: Matter, by: Signing, *, sealed: bool = False, continuing: bool = True,
        review_every_days: int | None = 90, id: str | None = None, need_to_know: Iterable[str] = (),
        nondisclosure_until: date | None = None, links: Iterable[str] = (), told: Iterable[str] = (),
        instead_of: HoldFile | None = None,
    ) -> HoldFile:  # fmt: skip
        """Write a hold down as *placing*: it keeps from now on, and is effective once `Enforcing.resume` has passed its barriers.

        ``id``: from `new_hold_id`, when it was shown before. ``need_to_know``: who else may see a sealed hold. Raises
        `UsageError` for an empty or impossible scope, `Refused` for a person who may not, a matter that counsel rejected, and an
        officer's verbal request, which is recorded first. Neither of these two where it is placed ``instead_of`` one that keeps for the
        same matter: that was decided then, and to keep less of it needs no new decision.
        """
        authorise(self._ledger, by, Act.PLACE_HOLD)
        self.check(scope)
        if instead_of is None or not instead_of.state.keeps or instead_of.matter != matter:
            _not_verbal(matter)
            _not_rejected(matter)
        file = self._file(
            HoldState.PLACING, scope, matter, by, sealed=sealed, continuing=continuing, id=id, need_to_know=need_to_know,
            nondisclosure_until=nondisclosure_until, links=links, told=told, review_every_days=review_every_days,
        )  # fmt: skip
        return self._add(file, "place", by)

    def request(
        self, scope: Scope, matter: Matter, by: Signing, *, sealed: bool = False, continuing: bool = True, id: str | None = None,
        need_to_know: Iterable[str] = (), nondisclosure_until: date | None = None,
    ) -> HoldFile:  # fmt: skip
        """Record a request that nobody has decided on: an officer's verbal one, an unverified letter. It keeps nothing, and is placed
        as it was asked for: as a snapshot, unless ``continuing``."""
        authorise(self._ledger, by, Act.REQUEST_HOLD)
        self.check(scope)
        file = self._file(
            HoldState.REQUESTED, scope, matter, by, sealed=sealed, continuing=continuing, id=id, need_to_know=need_to_know,
            nondisclosure_until=nondisclosure_until,
        )  # fmt: skip
        return self._add(file, "request", by)

    def accept(self, id: str, by: Signing) -> HoldFile:
        """Decide to place a recorded request: *placing* from now on, as with `place`."""
        file = self._of(
            id, by, Act.PLACE_HOLD, HoldState.REQUESTED, otherwise="there is no request to decide on"
        )
        self.check(file.scope)
        _not_rejected(file.matter)
        now = self._now()
        return self._revise(
            file, "place", by, to=HoldState.PLACING, placed_by=by.person.name, provisional_until=now + PROVISIONAL,
            review_on=_review_on(by.at or now, file.review_every_days),
        )  # fmt: skip

    def decline(self, id: str, by: Signing, reason: str) -> HoldFile:
        """Decide not to place a recorded request, for good."""
        file = self._of(
            id, by, Act.PLACE_HOLD, HoldState.REQUESTED, otherwise="there is no request to decide on"
        )
        if not reason.strip():
            raise UsageError("a request is declined with a reason", "say why with --reason")
        return self._revise(file, "decline", by, to=HoldState.DECLINED, declined_because=reason.strip())

    def widen(self, id: str, scope: Scope, by: Signing) -> HoldFile:
        """Keep more. The hold is *placing* again until `Enforcing.resume` has passed the barriers of the wider scope, and keeps all
        of it from now on. Raises `Refused` for a scope that leaves out anything kept before.
        """
        file = self._of(
            id, by, Act.PLACE_HOLD, HoldState.PLACING, HoldState.PROVISIONAL, HoldState.ACTIVE,
            otherwise="it cannot be widened",
        )  # fmt: skip
        self.check(scope)
        if scope == file.scope or not scope.covers(file.scope):
            raise Refused(
                f"this scope does not widen hold {id}: it has to keep all that the hold keeps, and more",
                "to keep less: retention hold narrow",
            )
        return self._revise(file, "widen", by, to=HoldState.PLACING, scope=scope, taken_at=None)

    def check_narrower(self, id: str, scope: Scope, by: Signing) -> HoldFile:
        """The hold that a narrower one would take the place of. Raises `Refused` when its release could not be requested.

        A hold is never narrowed itself: the narrower one is placed beside it, and its own release needs what any release needs.
        """
        file = self._of(
            id, by, Act.PLACE_HOLD, HoldState.PROVISIONAL, HoldState.ACTIVE, otherwise="it cannot be narrowed"
        )
        self.check(scope)
        if scope == file.scope or not file.scope.covers(scope):
            raise Refused(f"this scope is not within that of hold {id}", "to keep more: retention hold widen")
        return file

    def narrow(self, id: str, scope: Scope, by: Signing, *, as_id: str | None = None) -> HoldFile:
        """Place a narrower hold beside this one: of the same matter, with its lists, linked to it. Raises what `check_narrower` raises.

        Both keep until the release of the wide one, which is requested apart, is over. ``as_id``: from `new_hold_id`.
        """
        old = self.check_narrower(id, scope, by)
        return self.place(
            scope, old.matter, by, sealed=old.sealed, continuing=old.continuing, need_to_know=known_to(old) if old.sealed else (),
            nondisclosure_until=old.nondisclosure_until, links=[old.id], told=old.told, review_every_days=old.review_every_days,
            instead_of=old, id=as_id,
        )  # fmt: skip

    def take_effect(self, file: HoldFile, *, actor: str) -> HoldFile:
        """Every store in scope has confirmed a hold that was *placing*: it is *provisional*, or *active* if it was confirmed before it
        was widened. Raises `Refused` if it was changed meanwhile.

        A snapshot is taken at this moment and at none before: until now a batch that had not seen the hold could have been under way.
        """
        to = HoldState.ACTIVE if file.done_by("confirm") else HoldState.PROVISIONAL
        now = self._now()
        taken = None if file.continuing else replace(file, taken_at=now)
        return self._ledger.holds.move(file, to=to, actor=actor, at=now, revised=taken)

    def confirm(self, id: str, by: Signing) -> HoldFile:
        """A second person confirms a provisional hold, or one that lapsed. Raises `Refused` for the person who placed it."""
        file = self._of(id, by, Act.CONFIRM_HOLD)
        if by.person.name == file.placed_by:
            raise Refused(
                f"{by.person.name} placed hold {id} and cannot confirm it", "a second custodian has to"
            )
        if not file.unconfirmed:
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
        file = self._of(
            id, by, Act.PLACE_HOLD, HoldState.ACTIVE, HoldState.PROVISIONAL, otherwise="its release cannot be requested"
        )  # fmt: skip
        digest = hashlib.sha256(document).hexdigest()
        return self._move(file, HoldState.RELEASE_REQUESTED, "request-release", by, document_digest=digest)

    def approve_release(self, id: str, by: Signing, grace: timedelta) -> HoldFile:
        """The second person approves; after the grace period the hold no longer keeps. Raises `Refused` for the first one."""
        file = self._of(id, by, Act.CONFIRM_HOLD)
        _positive(grace)
        if file.state is not HoldState.RELEASE_REQUESTED:
            raise Refused(
                f"hold {id} is {file.state.value}: no release was requested",
                "request it first, with its document",
            )
        asked = [step for step in file.actions if step.action == "request-release"][-1]
        if by.person.name == asked.person:
            raise Refused(
                f"{by.person.name} requested the release of hold {id} and cannot approve it",
                "a second custodian has to",
            )
        return self._move(
            file,
            HoldState.IN_GRACE,
            "approve-release",
            by,
            document_digest=asked.document_digest,
            grace=grace,
        )

    def cancel_release(self, id: str, by: Signing) -> HoldFile:
        """Undo a requested release, or one in grace: the hold is what it was before, as it never ceased to keep."""
        file = self._of(
            id, by, Act.PLACE_HOLD, HoldState.RELEASE_REQUESTED, HoldState.IN_GRACE,
            otherwise="there is no release to cancel",
        )  # fmt: skip
        if file.lapsed:
            raise Refused(
                f"hold {id} lapsed, no release of it was approved: there is no release to cancel",
                f"a second custodian confirms it: retention hold confirm {id} --as NAME",
            )
        before = HoldState.ACTIVE if file.done_by("confirm") else HoldState.PROVISIONAL
        return self._move(file, before, "cancel-release", by)

    def lapse(self, grace: timedelta, *, actor: str) -> list[str]:
        """Every hold that nobody confirmed in time begins its grace period, in which it still can be confirmed. Returns their ids.

        A sealed hold does not lapse: nobody may be reminded of it.
        """
        _positive(grace)
        now = self._now()
        self._ledger.require_ready(now)
        overdue = [
            file for file in self._ledger.holds.list()
            if file.state is HoldState.PROVISIONAL and not file.sealed
            and file.provisional_until is not None and file.provisional_until <= now
        ]  # fmt: skip
        return self._move_all(overdue, HoldState.IN_GRACE, actor, now, now + grace)

    def end_grace(self, *, actor: str) -> list[str]:
        """Release every hold whose grace period is over. Returns the ids that may be told: those of sealed ones may not."""
        now = self._now()
        self._ledger.require_ready(now)
        over = [
            file for file in self._ledger.holds.list()
            if file.state is HoldState.IN_GRACE and file.grace_until is not None and file.grace_until <= now
        ]  # fmt: skip
        sealed = {file.id for file in over if file.sealed}
        return [id for id in self._move_all(over, HoldState.RELEASED, actor, now) if id not in sealed]

    def _move_all(
        self,
        files: list[HoldFile],
        to: HoldState,
        actor: str,
        now: datetime,
        grace_until: datetime | None = None,
    ) -> list[str]:
        moved: list[str] = []
        for file in files:
            try:
                self._ledger.holds.move(file, to=to, actor=actor, at=now, grace_until=grace_until)
            except Refused:  # somebody confirmed it, or cancelled the release, at this moment: it keeps
                continue
            moved.append(file.id)
        return moved

    def _file(
        self, state: HoldState, scope: Scope, matter: Matter, by: Signing, *, sealed: bool, id: str | None,
        need_to_know: Iterable[str], nondisclosure_until: date | None, continuing: bool = True, links: Iterable[str] = (),
        told: Iterable[str] = (), review_every_days: int | None = 90,
    ) -> HoldFile:  # fmt: skip
        """A new hold. Raises `UsageError` for people and holds that are not there, and for a list of who may see what everybody sees."""
        now, name = self._now(), by.person.name
        known, told = {*need_to_know}, sorted({*told})
        if not sealed and (known or nondisclosure_until is not None):
            raise UsageError(
                "only a sealed hold has a need-to-know list and a day until which it may not be told",
                "add --sealed",
            )
        for person in (*known, *told):
            self._ledger.people.get(person)
        known |= {name} if sealed else set()
        if sealed and not known.issuperset(told):
            raise UsageError(
                "somebody is told of a sealed hold and not on its need-to-know list",
                "put them on it: --need-to-know",
            )
        linked = sorted({seen(self._ledger, link, name).id for link in links})
        placing = state is HoldState.PLACING
        return HoldFile(
            id=id or new_hold_id(now), state=state, scope=scope, matter=matter, sealed=sealed, continuing=continuing,
            placed_by=name if placing else "", placed_at=now, review_every_days=review_every_days,
            provisional_until=now + PROVISIONAL if placing else None,
            review_on=_review_on(by.at or now, review_every_days) if placing else None, need_to_know=tuple(sorted(known)),
            nondisclosure_until=nondisclosure_until, links=tuple(linked), told=tuple(told), requested_by=None if placing else name,
        )  # fmt: skip

    def _add(self, file: HoldFile, action: str, by: Signing) -> HoldFile:
        now = file.placed_at
        self._ledger.require_ready(now)
        return self._ledger.holds.add(file, self._signed(file, action, by, now), at=now)

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


def _review_on(now: datetime, every_days: int | None) -> date | None:
    return None if every_days is None else (now + timedelta(days=every_days)).date()


def _not_verbal(matter: Matter) -> None:
    if matter.kind is MatterKind.VERBAL_REQUEST:
        raise Refused(
            "a verbal request is not placed as it comes",
            "record it: retention hold request; then decline it, or decide to place it: retention hold accept",
        )


def _not_rejected(matter: Matter) -> None:
    if matter.counsel is CounselVerification.REJECTED:
        raise Refused(
            "counsel rejected this request: no hold is placed for it", "record the request with your counsel"
        )


def _positive(grace: timedelta) -> None:
    if grace <= timedelta(0):
        raise UsageError("a release needs a grace period", "give at least a day")


def _all_known(what: str, given: Iterable[str], known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise UsageError(f"there is no {what} {unknown[0]}", f"one of: {', '.join(sorted(known))}")
