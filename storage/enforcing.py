"""Making holds effective in the stores: barriers, and what is pushed down into them.

A hold that is written down as *placing* keeps: every batch that reads the holds from now on sees it. Here the exclusive
barrier is passed in every store in scope, so that every batch that could have missed it has ended; then it is effective.
Linearizable: once `place` or `resume` has returned, nothing in scope is destroyed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path

from retention.decide import Criteria
from retention.errors import Refused, RetentionError, SettingsError, StoreUnavailable, Unavailable, UsageError
from retention.holds import HoldState, Matter, Scope
from retention.schedule import Schedule, TableLocation, TreeLocation
from storage.contract import Stores, copies_of
from storage.files import row_vault
from storage.holding import NO_PLACE, Holding
from storage.ledger.cases import Case, CaseState, Part
from storage.ledger.holds import HoldFile
from storage.ledger.ledger import Ledger
from storage.planning import criteria_for, store_of
from storage.signatures import Signing

BARRIER_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A hold that is effective in every store in scope, and how long that took (seconds)."""

    file: HoldFile
    stores: tuple[str, ...]
    seconds: float
    uncopied: tuple[RetentionError, ...] = ()
    """Why rows that it keeps are not in their vault yet. It keeps them where they are, and the next pass copies them."""


class Enforcing:
    """Makes holds effective. ``now`` gives the current time; nothing below reads a clock of its own.

    ``root_of``: the root folder of a store of files, for the vaults of tables.
    """

    def __init__(
        self, *, ledger: Ledger, stores: Stores, schedule: Schedule, now: Callable[[], datetime],
        root_of: Callable[[str], Path],
    ) -> None:  # fmt: skip
        self._root_of = root_of
        self.holding = Holding(ledger=ledger, schedule=schedule, now=now)
        self._ledger = ledger
        self._stores = stores
        self._schedule = schedule
        self._now = now

    def place(
        self, scope: Scope, matter: Matter, by: Signing, *, sealed: bool = False, continuing: bool = True,
        review_every_days: int | None = 90, need_to_know: Iterable[str] = (), nondisclosure_until: date | None = None,
        links: Iterable[str] = (), told: Iterable[str] = (),
    ) -> Placed:  # fmt: skip
        """Place a hold (`Holding.place`) and make it effective: it is when this returns.

        Raises what `Holding.place` raises, `UsageError` when no store in scope has an address, and `StoreUnavailable` when
        one cannot be reached: then the hold is written down and keeps, but is not confirmed everywhere; `resume` completes it.
        """
        self.check(scope)
        file = self.holding.place(
            scope,
            matter,
            by,
            sealed=sealed,
            continuing=continuing,
            review_every_days=review_every_days,
            need_to_know=need_to_know,
            nondisclosure_until=nondisclosure_until,
            links=links,
            told=told,
        )
        return self.resume(file.id, actor=by.person.name)

    def check(self, scope: Scope) -> None:
        """`Holding.check`, and that a place it matches can be reached from here at all."""
        self.holding.check(scope)
        if not self.stores_in_scope(scope):
            raise UsageError(*NO_PLACE)

    def resume(self, id: str, *, actor: str, copying: bool = True) -> Placed:
        """Pass the barriers of a hold that is still *placing* and make it effective. Any number may do so at once.

        ``copying``: copy live rows that it keeps into their vault afterwards. A vault that is missing makes it no less effective.

        Raises `Refused` for a hold in another state, `StoreUnavailable` when a store does not answer or has no address: the hold
        stays as it is, and keeps.
        """
        began = time.monotonic()
        file = self._ledger.holds.get(id)
        if file.state is not HoldState.PLACING:
            raise Refused(
                f"hold {id} is {file.state.value}: there is nothing to complete",
                f"see: retention hold show {id}",
            )
        placed = self._complete(file, actor, began)
        return replace(placed, uncopied=tuple(self.copy_rows(placed.file.scope))) if copying else placed

    def _complete(self, seen: HoldFile, actor: str, began: float) -> Placed:
        names = self._pass_barriers(seen)
        try:
            file = self.holding.take_effect(seen, actor=actor)
        except (
            Refused
        ):  # somebody else completed it, which is as well; or changed it, and then this was for what it was
            file = self._ledger.holds.get(seen.id)
            if file.state is HoldState.PLACING:
                return self._complete(file, actor, began)
        return Placed(file=file, stores=tuple(names), seconds=time.monotonic() - began)

    def _pass_barriers(self, file: HoldFile) -> list[str]:
        id, scope = file.id, file.scope
        reached = self.stores_in_scope(scope)
        names = sorted({*reached, *self._stores_worked_on(scope)})
        if not reached:
            raise StoreUnavailable(
                f"hold {id} is written down and keeps, but no store in its scope has an address here",
                "set the addresses of the stores: RETENTION_STORES__NAME__URL (or __ROOT)",
            )
        # First every barrier, then what is copied or locked: a copy that is there already must not go in between.
        steps: list[tuple[str, Callable[[str], None]]] = [(name, self._pass_barrier) for name in names]
        for name, step in (*steps, *((name, lambda one: self._preserve(one, scope)) for name in names)):
            try:
                step(name)
            except (StoreUnavailable, SettingsError) as error:
                raise StoreUnavailable(
                    f"hold {id} is written down and keeps, but store {name} did not confirm it: {error.message}",
                    f"when the store answers: retention hold place --resume {id} --as NAME",
                ) from None
        return names

    def _pass_barrier(self, name: str) -> None:
        store_of(self._stores, name).barrier(BARRIER_SECONDS)

    def stores_in_scope(self, scope: Scope) -> list[str]:
        """Names of the stores that hold record types in scope and have an address."""
        names = {
            location.store
            for record_type in self._schedule.record_types
            for location in record_type.locations
            if scope.touches(record_type.id, *location.stores)
        }
        return sorted(name for name in names if name in self._stores)

    def preserve(self) -> list[RetentionError]:
        """Push the holds in force down into every store, and let go of what was released. Returns what could not be done."""
        trouble: list[RetentionError] = []
        for name in self._stores:
            try:
                self._preserve(name)
            except (Unavailable, SettingsError) as error:
                trouble.append(error)
        return [*trouble, *self.copy_rows()]

    def copy_rows(self, scope: Scope | None = None) -> list[RetentionError]:
        """Copy live rows that holds keep into their vaults, where the schedule says so: what is new or was edited since the last pass.

        At the tables that a scope touches, at all of them without one. Returns what could not be done; nothing of it depends on
        whether anything is held, so that it may be told to anybody.
        """
        trouble: list[RetentionError] = []
        today = self._now().astimezone(self._schedule.library.zone).date()
        for record_type in self._schedule.record_types:
            for location in record_type.locations:
                vault = location.in_vault(record_type.id) if isinstance(location, TableLocation) else None
                if vault is None or location.store not in self._stores:
                    continue
                if scope is not None and not scope.touches(record_type.id, *location.stores):
                    continue
                criteria = criteria_for(self._schedule, record_type, location.name, today)
                try:
                    self._copy_rows_at(criteria, vault)
                except RetentionError as error:
                    place = f"{record_type.id}/{location.name}"
                    message = (
                        f"rows of {place} that a hold may keep are not copied into the vault: {error.message}"
                    )
                    trouble.append(StoreUnavailable(message, error.hint))
        return trouble

    def _copy_rows_at(self, criteria: Criteria, vault: TreeLocation) -> None:
        location = criteria.location
        holds = self._ledger.holds.in_force().touching(criteria.record_type.id, *location.stores)
        store = store_of(self._stores, location.store)
        copies = partial(copies_of, store, criteria)
        row_vault.keep(copies, holds, vault=self._root_of(vault.store), below=vault.path, now=self._now())

    def _preserve(self, name: str, scope: Scope | None = None) -> None:
        """The push-down into one store, at the locations that a scope touches (at all of them without one)."""
        today = self._now().astimezone(self._schedule.library.zone).date()
        for record_type in self._schedule.record_types:
            for location in record_type.locations:
                if location.store != name:
                    continue
                if scope is None or scope.touches(record_type.id, *location.stores):
                    self._preserve_at(criteria_for(self._schedule, record_type, location.name, today))

    def _preserve_at(self, criteria: Criteria) -> None:
        """Again when a hold came or went meanwhile: what this one let go of may be what the other has to keep."""
        location, seen = criteria.location, -1
        while (view := self._ledger.holds.in_force()).epoch != seen:
            seen = view.epoch
            touching = view.touching(criteria.record_type.id, *location.stores)
            store_of(self._stores, location.store).preserve(criteria, touching)

    def _stores_worked_on(self, scope: Scope) -> set[str]:
        """Stores in which a batch may be in flight, with or without an address here.

        A case keeps to the schedule it was opened under: that may name stores that are no longer in the one in force. A case
        opened after the hold was written down cannot miss it.
        """
        return {
            part.store
            for case in self._ledger.cases.list(state=CaseState.STARTED)
            for part in case.parts
            if case.destroying_since is not None
            and scope.touches(case.record_type, *self._names_of(case, part, scope))
        }

    def _names_of(self, case: Case, part: Part, scope: Scope) -> tuple[str, ...]:
        """What the store of a part is called by holds. Of a location that the schedule no longer has, nobody can say: any name."""
        try:
            now = self._schedule.record_type(case.record_type).location(part.location).stores
            return (part.store, *now)  # the location may have moved to another store since
        except KeyError:
            return (part.store, *scope.stores)
