"""The care of a hold while it lives: counsel's word, reviews, who was told, what belongs together, who may see it.

None of these changes what a hold keeps, and none of them releases it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from retention.errors import Refused, UsageError
from retention.holds import CounselVerification, HoldState
from retention.permissions import Act, may
from storage.hold_steps import Steps
from storage.ledger.holds import HoldFile
from storage.seeing import known_to, seen
from storage.signatures import Signing

LIVING = tuple(state for state in HoldState if state.keeps)


class HoldCare(Steps):
    """Steps that leave a hold's state as it is. All are signed."""

    def verify(self, id: str, by: Signing, verdict: CounselVerification) -> HoldFile:
        """Counsel says whether the request is what it claims to be. A hold that was placed keeps all the same: its release is another matter."""
        file = self._of(
            id, by, Act.VERIFY_REQUEST, HoldState.REQUESTED, *LIVING, otherwise="there is nothing to verify"
        )
        if verdict is CounselVerification.UNVERIFIED:
            raise UsageError("a request is verified or rejected", "give --verified or --rejected")
        return self._revise(file, "verify", by, matter=replace(file.matter, counsel=verdict))

    def review(self, id: str, by: Signing, next_on: date) -> HoldFile:
        """Somebody looked whether the duty to preserve lasts: it does, and the next to look will do so on this day."""
        file = self._of(id, by, Act.PLACE_HOLD, *LIVING, otherwise="there is nothing to review")
        if next_on <= self._today():
            raise UsageError("the next review has to be on a day to come", "give it with --next YYYY-MM-DD")
        return self._revise(file, "review", by, review_on=next_on)

    def tell(self, id: str, by: Signing, names: Iterable[str]) -> HoldFile:
        """Put people on the list of those who were told to preserve. Each acknowledges it."""
        file = self._of(id, by, Act.PLACE_HOLD, *LIVING, otherwise="there is nobody to tell of it")
        told = sorted({*file.told, *(self._ledger.people.get(name).name for name in names)})
        if file.sealed and not set(known_to(file)).issuperset(told):
            raise Refused(
                "somebody is told of a sealed hold and not on its need-to-know list",
                f"put them on it first: retention hold know {id} --add NAME",
            )
        if told == sorted(file.told):
            raise UsageError("these people are on the list already", f"see: retention hold show {id}")
        return self._revise(file, "tell", by, told=tuple(told))

    def acknowledge(self, id: str, by: Signing) -> HoldFile:
        """Somebody who was told says that they know."""
        file = self._of(id, by, Act.ACKNOWLEDGE, *LIVING, otherwise="there is nothing to acknowledge")
        name = by.person.name
        if name not in file.told:
            raise Refused(
                f"{name} is not among those told of hold {id}",
                f"a custodian does it: retention hold tell {id}",
            )
        if name not in file.unacknowledged:
            raise Refused(f"{name} acknowledged hold {id} already", f"see: retention hold show {id}")
        return self._move_within(file, "acknowledge", by)

    def link(self, id: str, by: Signing, others: Iterable[str]) -> HoldFile:
        """Say that holds belong together: another one of the same matter, another matter about the same records."""
        file = self._of(id, by, Act.PLACE_HOLD)
        linked = {*file.links, *(seen(self._ledger, other, by.person.name).id for other in others)}
        if id in linked:
            raise UsageError("a hold is not linked to itself", "name the other one")
        if linked == set(file.links):
            raise UsageError("these holds are linked already", f"see: retention hold show {id}")
        return self._revise(file, "link", by, links=tuple(sorted(linked)))

    def know(self, id: str, by: Signing, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> HoldFile:
        """Change who may see a sealed hold; only somebody who does may. Somebody who could release it must remain."""
        file = self._of(id, by, Act.READ_MATTERS)
        if not file.sealed:
            raise Refused(f"hold {id} is not sealed: everybody may see it", f"see: retention hold show {id}")
        before = set(known_to(file))
        known = (before | {self._ledger.people.get(name).name for name in add}) - set(remove)
        if known == before:
            raise UsageError(
                "this changes nothing about who may see the hold", f"see: retention hold show {id}"
            )
        if not any(self._could_release(name) for name in known):
            raise Refused(
                f"nobody would be left who could ever release hold {id}",
                "leave a custodian on its need-to-know list",
            )
        told = tuple(name for name in file.told if name in known)
        return self._revise(file, "know", by, need_to_know=tuple(sorted(known)), told=told)

    def unseal(self, id: str, by: Signing) -> HoldFile:
        """From now on everybody may see the hold. Raises `Refused` before the day until which it may not be told, and while nobody has
        confirmed it in time: a sealed hold does not lapse, and without its seal it would at once.
        """
        file = self._of(id, by, Act.PLACE_HOLD)
        if not file.sealed:
            raise Refused(f"hold {id} is not sealed", f"see: retention hold show {id}")
        if file.nondisclosure_until is not None and self._today() <= file.nondisclosure_until:
            raise Refused(
                f"hold {id} may not be told of until {file.nondisclosure_until.isoformat()} is over",
                "an order that lifts the secrecy earlier is a matter for your counsel",
            )
        overdue = file.provisional_until is not None and file.provisional_until <= self._now()
        if (
            overdue
            and file.state in (HoldState.PLACING, HoldState.PROVISIONAL)
            and not file.done_by("confirm")
        ):
            raise Refused(
                f"hold {id} was not confirmed in time: without its seal it would lapse at once",
                f"a second custodian confirms it first: retention hold confirm {id} --as NAME",
            )
        return self._revise(file, "unseal", by, sealed=False, need_to_know=(), nondisclosure_until=None)

    def _could_release(self, name: str) -> bool:
        person = self._ledger.people.get(name)
        return not person.disabled and may(person.role, Act.PLACE_HOLD)

    def _move_within(self, file: HoldFile, action: str, by: Signing) -> HoldFile:
        now = self._now()
        self._ledger.require_ready(now)
        step = self._signed(file, action, by, now)
        return self._ledger.holds.move(
            file, to=file.state, actor=by.person.name, at=now, action=step, grace_until=file.grace_until
        )
