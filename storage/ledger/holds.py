"""Holds in the ledger: their whole record sealed, their state, their signed history, and the epoch.

The epoch advances with every change to any hold. A batch reads the holds after it has taken its gate; epoch and last
signature let it keep what it read before when nothing changed. Both are asked for, since a ledger that was restored from a
backup counts the same epochs again.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from threading import Lock
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, func, insert, select, update

from retention.errors import LedgerUnavailable, Refused, UsageError
from retention.holds import CounselVerification, Hold, HoldState, Matter, Scope
from retention.records import Personal
from storage.ledger import tables
from storage.ledger.connection import Entry, LedgerConnection, stamp, unstamp
from storage.ledger.sealing import Sealer

EPOCH = "hold-epoch"
_PAST = {
    "acknowledge": "acknowledged",
    "review": "reviewed",
    "link": "linked",
    "verify": "verified",
    "tell": "told",
}
"""How an event calls a step that leaves the hold's state as it is."""
_MATTER = TypeAdapter(Matter)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldAction:
    """One signed step in a hold's life."""

    action: str
    person: str
    document_digest: str | None
    statement: Mapping[str, Any]
    signature: str
    epoch: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFile:
    """The full record of a hold, for those who may see it."""

    id: str
    state: HoldState
    scope: Scope
    matter: Matter = field(repr=False)
    sealed: bool
    continuing: bool
    placed_by: str
    placed_at: datetime
    review_every_days: int | None
    provisional_until: datetime | None = None
    grace_until: datetime | None = None
    review_on: date | None = None
    need_to_know: tuple[str, ...] = ()
    """Names of those who may see a sealed hold (`storage.seeing`)."""
    nondisclosure_until: date | None = None
    """Until then nobody may lift the seal; then somebody may, it never lifts itself."""
    links: tuple[str, ...] = ()
    """Ids of holds that belong with it."""
    told: tuple[str, ...] = ()
    """Names of those who were told to preserve, and have to acknowledge it."""
    requested_by: str | None = None
    declined_because: str | None = field(default=None, repr=False)
    taken_at: datetime | None = None
    """Of a snapshot: when it was effective everywhere, as it was last widened."""
    epoch: int = 0
    """Hold epoch at which it was placed or last widened."""
    revision: int = 0
    """How often it was changed in anything but its state."""
    actions: tuple[HoldAction, ...] = ()

    @property
    def hold(self) -> Hold:
        return Hold(
            id=self.id,
            state=self.state,
            scope=self.scope,
            sealed=self.sealed,
            continuing=self.continuing,
            epoch=self.epoch,
            taken_at=self.taken_at,
        )

    @property
    def lapsed(self) -> bool:
        """In grace because nobody confirmed it in time, and not because a release was approved."""
        ending = [step.action for step in self.actions if step.action.endswith("-release")]
        return self.state is HoldState.IN_GRACE and ending[-1:] != ["approve-release"]

    @property
    def unconfirmed(self) -> bool:
        """It waits for a second person, in time or after it lapsed."""
        return self.state is HoldState.PROVISIONAL or self.lapsed

    @property
    def unverified(self) -> bool:
        """A request that counsel has not looked at."""
        return self.state is HoldState.REQUESTED and self.matter.counsel is CounselVerification.UNVERIFIED

    @property
    def unacknowledged(self) -> tuple[str, ...]:
        """Who was told and has not said yet that they know."""
        return tuple(name for name in self.told if name not in self.done_by("acknowledge"))

    @property
    def documents(self) -> tuple[str, ...]:
        """SHA-256 (hex) of what was served for it and given for its steps."""
        digests = (self.matter.document_digest, *(step.document_digest for step in self.actions))
        return tuple(dict.fromkeys(digest for digest in digests if digest))

    def done_by(self, action: str) -> tuple[str, ...]:
        """Who did that, in order, over the whole life of the hold."""
        return tuple(step.person for step in self.actions if step.action == action)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldView:
    """All holds in force at an epoch. ``placing``: at least one of them is not effective everywhere yet."""

    epoch: int
    holds: tuple[Hold, ...]
    placing: bool
    _changed: dict[tuple[str, frozenset[str]], int] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def changed(self, record_type: str, stores: frozenset[str]) -> int:
        """The highest epoch of an open (not sealed) hold that touches these records; 0 without one. Found once for each view."""
        key = (record_type, stores)
        if key not in self._changed:
            touching = self.touching(record_type, *stores)
            self._changed[key] = max((hold.epoch for hold in touching if not hold.sealed), default=0)
        return self._changed[key]

    def touching(self, record_type: str, *stores: str) -> tuple[Hold, ...]:
        """``stores``: the names of a location's store (`Location.stores`)."""
        return tuple(hold for hold in self.holds if hold.scope.touches(record_type, *stores))


class Holds:
    def __init__(self, connection: LedgerConnection, sealer: Sealer) -> None:
        self._db = connection
        self._sealer = sealer
        self._cache: tuple[str | None, HoldView] | None = None
        self._all: tuple[tuple[int, str | None], tuple[HoldFile, ...]] | None = None
        self._lock = Lock()
        self._read = lru_cache(maxsize=4096)(self._unsealed)

    def epoch(self) -> int:
        query = select(tables.counter.c.value).where(tables.counter.c.name == EPOCH)
        with self._db.read() as connection:
            return int(connection.execute(query).scalar() or 0)

    def in_force(self) -> HoldView:
        """Every hold that keeps something now. Read it after taking the gate, never before."""
        with self._db.read() as connection:
            epoch, signature = _standing(connection)
            with self._lock:
                if self._cache is not None and (self._cache[1].epoch, self._cache[0]) == (epoch, signature):
                    return self._cache[1]
            kept = tables.hold.c.state.in_([state.value for state in HoldState if state.keeps])
            rows = connection.execute(select(tables.hold).where(kept)).all()
            revised = connection.execute(
                select(tables.hold_revision)
                .join(tables.hold, tables.hold.c.id == tables.hold_revision.c.hold_id)
                .where(kept)
                .order_by(tables.hold_revision.c.number)
            ).all()
        latest = {revision.hold_id: revision for revision in revised}
        holds = tuple(self._open(row, latest.get(row.id)).hold for row in rows)
        view = HoldView(
            epoch=epoch, holds=holds, placing=any(hold.state is HoldState.PLACING for hold in holds)
        )
        with self._lock:
            self._cache = (signature, view)
        return view

    def get(self, id: str) -> HoldFile:
        """Raises `UsageError` for an unknown id."""
        with self._db.read() as connection:
            row = connection.execute(select(tables.hold).where(tables.hold.c.id == id)).first()
            if row is None:
                raise UsageError(f"there is no hold {id}", "see: retention hold list")
            query = (
                select(tables.hold_action)
                .where(tables.hold_action.c.hold_id == id)
                .order_by(tables.hold_action.c.id)
            )
            revision = (
                select(tables.hold_revision)
                .where(tables.hold_revision.c.hold_id == id)
                .order_by(tables.hold_revision.c.number.desc())
                .limit(1)
            )
            return self._open(row, connection.execute(revision).first(), connection.execute(query).all())

    def list(self, *, released: bool = False) -> list[HoldFile]:
        """Newest first; released and declined ones only when asked for."""
        ended = () if released else (HoldState.RELEASED.value, HoldState.DECLINED.value)
        with self._db.read() as connection:
            return self._files(connection, without=ended)

    def placing(self) -> builtins.list[str]:
        """Ids of the holds that are not effective everywhere yet, oldest first. Reads nothing of what they are about."""
        query = (
            select(tables.hold.c.id)
            .where(tables.hold.c.state == HoldState.PLACING.value)
            .order_by(tables.hold.c.placed_at, tables.hold.c.id)
        )
        with self._db.read() as connection:
            return [*connection.execute(query).scalars()]

    def published(self, epoch: int, subject: str) -> int:
        """What stands for an epoch where others read it: a keyed number that does not count. An epoch would tell whoever compares two
        of them that a hold was placed between, though they may see none. ``subject``: apart for each document.
        """
        return int(self._sealer.mark("epoch", f"{subject} {epoch}")[:12], 16)

    def mark(self, file: HoldFile) -> str:
        """A keyed digest (hex) of what a hold is about, for statements: it binds scope, matter and flags, and tells nobody any of it."""
        review_on = None if file.review_on is None else file.review_on.isoformat()
        return self._sealer.mark("hold", json.dumps([file.id, _body(file), review_on], sort_keys=True))

    def every(self) -> tuple[HoldFile, ...]:
        """All holds, released ones too, newest first; read again only when one of them changed."""
        with self._db.read() as connection:
            now = _standing(connection)
            with self._lock:
                if self._all is not None and self._all[0] == now:
                    return self._all[1]
            found = tuple(self._files(connection))
        with self._lock:
            self._all = (now, found)
        return found

    def _files(self, connection: Connection, *, without: Sequence[str] = ()) -> builtins.list[HoldFile]:
        """Newest first, however many in three queries. ``without``: states to leave out."""
        kept = tables.hold.c.state.not_in(without)
        rows = connection.execute(
            select(tables.hold).where(kept).order_by(tables.hold.c.placed_at.desc(), tables.hold.c.id)
        ).all()
        steps: dict[str, builtins.list[Row[Any]]] = {}
        action, revision = tables.hold_action, tables.hold_revision
        taken = select(action).join(tables.hold, tables.hold.c.id == action.c.hold_id).where(kept)
        for step in connection.execute(taken.order_by(action.c.id)):
            steps.setdefault(step.hold_id, []).append(step)
        revised = select(revision).join(tables.hold, tables.hold.c.id == revision.c.hold_id).where(kept)
        latest = {one.hold_id: one for one in connection.execute(revised.order_by(revision.c.number))}
        return [self._open(row, latest.get(row.id), steps.get(row.id, ())) for row in rows]

    def documents(self) -> frozenset[str]:
        """SHA-256 (hex) of every document that a hold ever had: of what it was placed on in each of its versions, and of each step."""
        with self._db.read() as connection:
            steps = connection.execute(select(tables.hold_action.c.document_digest)).scalars().all()
            rows = {row.id: row for row in connection.execute(select(tables.hold))}
            revisions = connection.execute(select(tables.hold_revision)).all()
        versions = [*((row, None) for row in rows.values()), *((rows[one.hold_id], one) for one in revisions)]
        matters = [self._open(row, revision).matter for row, revision in versions]
        return frozenset(one for one in (*steps, *(matter.document_digest for matter in matters)) if one)

    def add(self, file: HoldFile, action: HoldAction, *, at: datetime) -> HoldFile:
        """Write a new hold down, *placing* or *requested*. Durable: from now on every batch that reads the holds sees it.

        Raises `LedgerUnavailable` with another sealing key than that of the holds in force: nobody could read them all.
        """
        self.in_force()
        with self._db.write(at) as entry:
            epoch = entry.next(EPOCH)
            entry.connection.execute(
                insert(tables.hold).values(
                    id=file.id, state=file.state.value, body=self._seal(file, epoch), placed_at=stamp(file.placed_at),
                    provisional_until=None if file.provisional_until is None else stamp(file.provisional_until),
                    review_on=None if file.review_on is None else file.review_on.isoformat(), epoch=epoch,
                )
            )  # fmt: skip
            _act(entry, file.id, action, epoch)
            entry.record(
                f"hold.{file.state.value}", actor=action.person, subject=file.id, body={"epoch": epoch}
            )
        return self.get(file.id)

    def move(
        self, seen: HoldFile, *, to: HoldState, actor: str, at: datetime, action: HoldAction | None = None,
        grace_until: datetime | None = None, revised: HoldFile | None = None,
    ) -> HoldFile:  # fmt: skip
        """Change a hold, once, from what the caller saw: its state and how many actions led there.

        ``revised``: what it is to be from now on, where more than its state changes. A hold that comes (again) to *placing* has the
        present epoch: approvals given before are void for what it touches.

        Raises `Refused` when either has changed meanwhile: the same state may have been reached again by other people.
        """
        id = seen.id
        with self._db.write(at) as entry:
            epoch = entry.next(EPOCH)
            values: dict[str, Any] = {"state": to.value}
            if seen.state is HoldState.REQUESTED and revised is not None and to is HoldState.PLACING:
                until = revised.provisional_until
                values |= {
                    "placed_at": stamp(at),
                    "provisional_until": None if until is None else stamp(until),
                }
            if to is not HoldState.RELEASED:
                values["grace_until"] = None if grace_until is None else stamp(grace_until)
            actions = select(func.count()).where(tables.hold_action.c.hold_id == id).scalar_subquery()
            moved = entry.connection.execute(
                update(tables.hold)
                .where(tables.hold.c.id == id, tables.hold.c.state == seen.state.value)
                .where(actions == len(seen.actions))
                .values(**values)
            )
            if moved.rowcount != 1:
                raise Refused(
                    f"hold {id} was changed meanwhile, it is no longer the {seen.state.value} one that was looked at",
                    f"see: retention hold show {id}",
                )
            if action is not None:
                _act(entry, id, action, epoch)
            if revised is not None:
                _revise(
                    entry,
                    revised,
                    self._seal(revised, epoch if to is HoldState.PLACING else seen.epoch),
                    epoch,
                )
            kind = (
                to.value
                if action is None or to is not seen.state
                else _PAST.get(action.action, action.action)
            )
            entry.record(
                f"hold.{kind}", actor=actor, subject=id, body={"from": seen.state.value, "epoch": epoch}
            )
        return self.get(id)

    def _seal(self, file: HoldFile, epoch: int) -> bytes:
        """``epoch``: at which it was placed or last widened."""
        return self._sealer.seal(
            json.dumps({**_body(file), "epoch": epoch}, sort_keys=True).encode(), file.id
        )

    def _open(self, row: Row[Any], revision: Row[Any] | None, actions: Any = ()) -> HoldFile:
        try:
            file = self._file(row, self._read((revision or row).body, row.id), actions)
            if revision is None:
                return file
            on = revision.review_on
            return replace(
                file, revision=revision.number, review_on=None if on is None else date.fromisoformat(on)
            )
        except (ValueError, KeyError, TypeError):
            raise LedgerUnavailable(
                f"hold {row.id} cannot be read by this version",
                "it was written by a newer version: install that one",
            ) from None

    def _unsealed(self, sealed: bytes, id: str) -> Mapping[str, Any]:
        """What these very bytes say: one hold that changed does not make all the others be opened again."""
        body = json.loads(self._sealer.open(sealed, id))
        return {
            **body,
            "scope": scope_from_json(body["scope"]),
            "matter": _MATTER.validate_python(body["matter"]),
        }

    @staticmethod
    def _file(row: Row[Any], body: Mapping[str, Any], actions: Any) -> HoldFile:
        return HoldFile(
            id=row.id,
            state=HoldState(row.state),
            scope=body["scope"],
            matter=body["matter"],
            sealed=body["sealed"],
            continuing=body["continuing"],
            placed_by=body["placed_by"],
            placed_at=unstamp(row.placed_at),
            review_every_days=body["review_every_days"],
            provisional_until=None if row.provisional_until is None else unstamp(row.provisional_until),
            grace_until=None if row.grace_until is None else unstamp(row.grace_until),
            review_on=None if row.review_on is None else date.fromisoformat(row.review_on),
            need_to_know=tuple(body.get("need_to_know", ())),
            nondisclosure_until=_day(body.get("nondisclosure_until")),
            links=tuple(body.get("links", ())),
            told=tuple(body.get("told", ())),
            requested_by=body.get("requested_by"),
            declined_because=body.get("declined_because"),
            taken_at=None if body.get("taken_at") is None else unstamp(body["taken_at"]),
            epoch=body.get("epoch", row.epoch),
            actions=tuple(
                HoldAction(
                    action=step.action, person=step.person, document_digest=step.document_digest,
                    statement=json.loads(step.statement), signature=step.signature, epoch=step.epoch, at=unstamp(step.at),
                )
                for step in actions
            ),
        )  # fmt: skip


def _standing(connection: Connection) -> tuple[int, str | None]:
    """Epoch and last signature: with both as before, no hold has changed."""
    action = tables.hold_action
    last = select(action.c.signature).order_by(action.c.id.desc()).limit(1)
    epoch = select(tables.counter.c.value).where(tables.counter.c.name == EPOCH)
    now = connection.execute(
        select(epoch.scalar_subquery().label("epoch"), last.scalar_subquery().label("signature"))
    ).one()
    return int(now.epoch or 0), now.signature


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _revise(entry: Entry, file: HoldFile, body: bytes, epoch: int) -> None:
    entry.connection.execute(
        insert(tables.hold_revision).values(
            hold_id=file.id, number=file.revision + 1, body=body, epoch=epoch, at=stamp(entry.at),
            review_on=None if file.review_on is None else file.review_on.isoformat(),
        )
    )  # fmt: skip


def _act(entry: Entry, hold_id: str, action: HoldAction, epoch: int) -> None:
    entry.connection.execute(
        insert(tables.hold_action).values(
            hold_id=hold_id, action=action.action, person=action.person, document_digest=action.document_digest,
            statement=json.dumps(action.statement, sort_keys=True), signature=action.signature, epoch=epoch, at=stamp(action.at),
        )
    )  # fmt: skip


def _body(file: HoldFile) -> dict[str, Any]:
    """What is sealed of a hold."""
    # Of a snapshot alone: what was signed of other holds was signed without it.
    taken = {} if file.taken_at is None else {"taken_at": stamp(file.taken_at)}
    return {
        **taken,
        "scope": scope_to_json(file.scope),
        "matter": _MATTER.dump_python(file.matter, mode="json"),
        "sealed": file.sealed,
        "continuing": file.continuing,
        "placed_by": file.placed_by,
        "review_every_days": file.review_every_days,
        "need_to_know": sorted(file.need_to_know),
        "nondisclosure_until": None
        if file.nondisclosure_until is None
        else file.nondisclosure_until.isoformat(),
        "links": sorted(file.links),
        "told": sorted(file.told),
        "requested_by": file.requested_by,
        "declined_because": file.declined_because,
    }


def scope_to_json(scope: Scope) -> dict[str, Any]:
    return {
        "record_types": sorted(scope.record_types),
        "stores": sorted(scope.stores),
        "subjects": sorted(subject.reveal() for subject in scope.subjects),
        "cameras": sorted(scope.cameras),
        "branches": sorted(scope.branches),
        "since": None if scope.since is None else stamp(scope.since),
        "until": None if scope.until is None else stamp(scope.until),
        "margin_before": scope.margin_before.total_seconds(),
        "margin_after": scope.margin_after.total_seconds(),
    }


def scope_from_json(body: Mapping[str, Any]) -> Scope:
    return Scope(
        record_types=frozenset(body["record_types"]),
        stores=frozenset(body["stores"]),
        subjects=frozenset(Personal(subject) for subject in body["subjects"]),
        cameras=frozenset(body["cameras"]),
        branches=frozenset(body["branches"]),
        since=None if body["since"] is None else unstamp(body["since"]),
        until=None if body["until"] is None else unstamp(body["until"]),
        margin_before=timedelta(seconds=body["margin_before"]),
        margin_after=timedelta(seconds=body["margin_after"]),
    )
