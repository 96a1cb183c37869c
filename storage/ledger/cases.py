"""Cases, their parts, the lease on a record type, and the kill switch."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from retention.errors import LedgerUnavailable, Refused, UsageError
from retention.outcomes import CODES, Outcome
from retention.schedule import ApprovalKind
from storage.ledger import tables
from storage.ledger.connection import Entry, LedgerConnection, stamp, unstamp
from storage.ledger.log_entries import EntryKind, append_noted

LEASE = timedelta(seconds=60)
"""How long a lease lives without a sign of life. Every batch renews it; the token, not the time, makes it safe."""


class CaseState(StrEnum):
    STARTED = "started"
    """Opened; waits for approval, is being worked on, or was interrupted. A stuck *started* never expires."""
    CLOSED = "closed"
    """Every item has an outcome."""
    FAILED = "failed"
    """The canary showed that the store does not destroy; nothing more was touched."""
    RETURNED = "returned"
    """A person sent it back; nothing was destroyed after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One location's share of a case: ``length`` bytes of manifest with ``items`` lines, SHA-256 ``digest`` (hex)."""

    number: int
    location: str
    store: str
    items: int
    first_ordinal: int
    length: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One disposition case. ``survey``: counts by location as planned; ``brakes``: limits it exceeded when it was opened."""

    id: str
    record_type: str
    on: date
    schedule_digest: str
    manifest_digest: str
    items: int
    approval_kind: ApprovalKind
    opened_at: datetime
    opened_by: str
    opened_epoch: int
    survey: Mapping[str, Any]
    brakes: Mapping[str, str]
    state: CaseState
    closed_at: datetime | None
    destroying_since: datetime | None
    cleared_by: tuple[int, ...]
    """Ids of the approvals under which destroying began."""
    parts: tuple[Part, ...]

    @property
    def records(self) -> int:
        """How many records its items stand for: more than items where many are sealed under one key."""
        return max(self.items, sum(int(entry.get("records", 0)) for entry in self.survey.values()))

    def records_without(self, positions: Collection[int]) -> int:
        """How many records go when the items at these positions stay. Where an item stands for many records, nobody knows how
        many stay with it, and it is at most so many."""
        going = 0
        for part in self.parts:
            stays = sum(0 <= position - part.first_ordinal < part.items for position in positions)
            records = max(part.items, int(self.survey[part.location].get("records", 0)))
            going += 0 if stays == part.items else records - stays
        return going


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on one record type. ``token`` must still be current whenever something is written under it."""

    name: str
    token: int


def new_case_id(at: datetime) -> str:
    """An opaque id: the UTC day it was opened and 32 random bits."""
    return f"C{at.astimezone(UTC):%Y%m%d}-{secrets.token_hex(4)}"


class Cases:
    def __init__(self, connection: LedgerConnection) -> None:
        self._db = connection

    def open(
        self, *, id: str, record_type: str, on: date, schedule: tuple[str, str, str], manifest_digest: str, parts: Iterable[Part],
        approval_kind: ApprovalKind, survey: Mapping[str, Any], brakes: Mapping[str, str], actor: str, epoch: int, at: datetime,
    ) -> Case:  # fmt: skip
        """Step 1: write the case down. ``schedule``: digest, version and whole text it runs under."""
        parts = tuple(parts)
        digest, version, body = schedule
        with self._db.write(at) as entry:
            known = entry.connection.execute(
                select(tables.schedule_version.c.digest).where(tables.schedule_version.c.digest == digest)
            ).scalar()
            if known is None:
                entry.connection.execute(
                    insert(tables.schedule_version).values(
                        digest=digest, version=version, body=body, first_used_at=stamp(at)
                    )
                )
                entry.record("schedule.first-used", actor=actor, subject=digest, body={"version": version})
            entry.connection.execute(
                insert(tables.case_file).values(
                    id=id, record_type=record_type, on_day=on.isoformat(), schedule_digest=digest,
                    manifest_digest=manifest_digest, items=sum(part.items for part in parts), approval_kind=approval_kind.value,
                    opened_at=stamp(at), opened_by=actor, opened_epoch=epoch, survey=json.dumps(survey, sort_keys=True),
                    brakes=json.dumps(dict(brakes), sort_keys=True), state=CaseState.STARTED.value,
                )
            )  # fmt: skip
            for part in parts:
                entry.connection.execute(
                    insert(tables.part).values(
                        case_id=id, number=part.number, location=part.location, store=part.store, items=part.items,
                        first_ordinal=part.first_ordinal, length=part.length, digest=part.digest,
                    )
                )  # fmt: skip
            entry.record(
                "case.started", actor=actor, subject=id,
                body={"record_type": record_type, "on": on.isoformat(), "schedule": digest, "manifest": manifest_digest,
                      "items": sum(part.items for part in parts), "brakes": sorted(brakes)},
            )  # fmt: skip
        return self.get(id)

    def get(self, id: str) -> Case:
        """Raises `UsageError` for an unknown id."""
        with self._db.read() as connection:
            row = connection.execute(select(tables.case_file).where(tables.case_file.c.id == id)).first()
            if row is None:
                raise UsageError(f"there is no case {id}", "see: retention case list")
            parts = connection.execute(
                select(tables.part).where(tables.part.c.case_id == id).order_by(tables.part.c.number)
            )
            return _case(row, parts.all())

    def list(
        self, *, state: CaseState | None = None, record_type: str | None = None, limit: int = 1000
    ) -> list[Case]:
        """Newest first."""
        query = (
            select(tables.case_file)
            .order_by(tables.case_file.c.opened_at.desc(), tables.case_file.c.id)
            .limit(limit)
        )
        if state is not None:
            query = query.where(tables.case_file.c.state == state.value)
        if record_type is not None:
            query = query.where(tables.case_file.c.record_type == record_type)
        with self._db.read() as connection:
            rows = connection.execute(query).all()
            found = query.with_only_columns(tables.case_file.c.id).subquery()
            parts: dict[str, list[Row[Any]]] = {row.id: [] for row in rows}
            of = select(tables.part).join(found, found.c.id == tables.part.c.case_id)
            for part in connection.execute(of.order_by(tables.part.c.number)):
                parts[part.case_id].append(part)
        return [_case(row, parts[row.id]) for row in rows]

    def schedule_text(self, digest: str) -> str:
        """The whole text of a schedule that a case ran under. Raises `LedgerUnavailable` when the ledger lost it."""
        query = select(tables.schedule_version.c.body).where(tables.schedule_version.c.digest == digest)
        with self._db.read() as connection:
            body = connection.execute(query).scalar()
        if body is None:
            raise LedgerUnavailable(
                f"the ledger has no schedule {digest[:12]}", "restore the ledger from its backup"
            )
        return str(body)

    def begin_destroying(
        self, case: Case, *, cleared_by: Iterable[int], actor: str, at: datetime, opening: bytes | None = None
    ) -> None:
        """Note that approvals and brakes were passed and batches begin (or go on after an interruption).

        ``cleared_by``: ids of the approvals that counted; written once, when the first batch begins. ``opening``: what the
        log is to say about it, with a place there from this transaction on. Raises `Refused` when the case has ended meanwhile.
        """
        cleared = sorted(cleared_by)
        kind = "case.destroying" if case.destroying_since is None else "case.resumed"
        with self._db.write(at) as entry:
            require_started(entry, case.id)
            if case.destroying_since is None:
                entry.connection.execute(
                    update(tables.case_file)
                    .where(tables.case_file.c.id == case.id)
                    .values(destroying_since=stamp(at), cleared_by=json.dumps(cleared))
                )
            entry.record(
                kind,
                actor=actor,
                subject=case.id,
                body={"approvals": cleared} if case.destroying_since is None else {},
            )
            if opening is not None:
                append_noted(entry, EntryKind.CASE_STARTED, case.id, opening, actor=actor)

    def close(
        self, id: str, state: CaseState, *, actor: str, at: datetime, body: Mapping[str, Any], record: bytes | None = None
    ) -> None:  # fmt: skip
        """From *started* to an end state, once, without a certificate. ``record``: what the log is to say about it, with a
        place there from this transaction on.

        Raises `Refused` when somebody else ended it, or when something was destroyed or may have been: that is certified.
        """
        with self._db.write(at) as entry:
            if _has_destroyed(entry, id):
                raise Refused(
                    f"case {id} has destroyed records: only finishing it certifies them",
                    "finish it: retention run --execute",
                )
            if record is not None:
                append_noted(entry, EntryKind.NOTHING_DESTROYED, id, record, actor=actor)
            end_case(entry, id, state, actor=actor, body=body)

    def state(self, id: str, *, at: datetime) -> CaseState | None:
        """The state of a case, ``None`` for one that was never opened. Waits for a commit that is still under way."""
        with self._db.write(at) as entry:
            state = entry.connection.execute(
                select(tables.case_file.c.state).where(tables.case_file.c.id == id)
            ).scalar()
        return None if state is None else CaseState(state)

    # -- lease -----------------------------------------------------------------------------------------------------

    def acquire(self, name: str, *, at: datetime) -> Lease:
        """Take the lease on a record type. Raises `Refused` while another live process has it."""
        owner = f"{socket.gethostname()}:{os.getpid()}:{_process_start(os.getpid())}"
        with self._db.write(at) as entry:
            row = entry.connection.execute(select(tables.lease).where(tables.lease.c.name == name)).first()
            if row is not None and unstamp(row.expires_at) > at and not _is_dead(row.owner):
                raise Refused(
                    f"another run is working on {name}",
                    f"wait until it ends; its lease ends by itself at {row.expires_at}",
                )
            token = entry.next("lease")
            entry.connection.execute(delete(tables.lease).where(tables.lease.c.name == name))
            entry.connection.execute(
                insert(tables.lease).values(name=name, token=token, owner=owner, expires_at=stamp(at + LEASE))
            )
        return Lease(name=name, token=token)

    def renew(self, lease: Lease, *, at: datetime) -> None:
        """A sign of life without a case. Raises `Refused` when the lease was lost to another process."""
        with self._db.write(at) as entry:
            _renew(entry, lease)

    def release(self, lease: Lease, *, at: datetime) -> None:
        with self._db.write(at) as entry:
            entry.connection.execute(
                delete(tables.lease).where(
                    tables.lease.c.name == lease.name, tables.lease.c.token == lease.token
                )
            )

    # -- kill switch -----------------------------------------------------------------------------------------------

    def halted(self) -> str | None:
        """The reason of the engaged kill switch, or ``None``."""
        query = select(tables.switch.c.reason).where(tables.switch.c.name == "halt", tables.switch.c.engaged)
        with self._db.read() as connection:
            reason = connection.execute(query).scalar()
        return None if reason is None else str(reason)

    def halt(self, engaged: bool, *, reason: str, actor: str, at: datetime) -> None:
        """Engage or lift the kill switch: nothing is destroyed while it is engaged."""
        with self._db.write(at) as entry:
            entry.connection.execute(delete(tables.switch).where(tables.switch.c.name == "halt"))
            entry.connection.execute(
                insert(tables.switch).values(
                    name="halt", engaged=engaged, reason=reason, by=actor, at=stamp(at)
                )
            )
            entry.record(
                "halt.engaged" if engaged else "halt.lifted",
                actor=actor,
                subject="halt",
                body={"reason": reason},
            )


def end_case(entry: Entry, id: str, state: CaseState, *, actor: str, body: Mapping[str, Any]) -> None:
    """End a case inside a transaction of the caller's."""
    ended = entry.connection.execute(
        update(tables.case_file)
        .where(tables.case_file.c.id == id, tables.case_file.c.state == CaseState.STARTED.value)
        .values(state=state.value, closed_at=stamp(entry.at))
    )
    if ended.rowcount != 1:
        raise Refused(f"case {id} has already ended", f"see: retention case show {id}")
    entry.record(f"case.{state.value}", actor=actor, subject=id, body=body)


def require_started(entry: Entry, id: str) -> None:
    """Raises `Refused` when the case has ended, `UsageError` when there is none, so that the transaction is not committed."""
    state = entry.connection.execute(
        select(tables.case_file.c.state).where(tables.case_file.c.id == id)
    ).scalar()
    if state is None:
        raise UsageError(f"there is no case {id}", "see: retention case list")
    if state != CaseState.STARTED.value:
        raise Refused(f"case {id} has already ended", f"see: retention case show {id}")


def require_not_begun(entry: Entry, id: str) -> None:
    """Raises `Refused` once destroying has begun under the case, so that the transaction is not committed."""
    begun = entry.connection.execute(
        select(tables.case_file.c.destroying_since).where(tables.case_file.c.id == id)
    ).scalar()
    if begun is not None:
        raise Refused(
            f"destroying has begun under case {id}",
            "to stop everything now: retention halt; to keep something: retention hold place",
        )


def _has_destroyed(entry: Entry, id: str) -> bool:
    """Whether a batch of the case destroyed something, or was begun and nobody has looked yet."""
    outcome = tables.outcome.c
    batches = (
        select(tables.intent.c.id)
        .outerjoin(tables.outcome, outcome.intent_id == tables.intent.c.id)
        .where(tables.intent.c.case_id == id)
        .where(outcome.intent_id.is_(None) | outcome.codes.contains(CODES[Outcome.DESTROYED]))
    )
    return entry.connection.execute(batches.limit(1)).first() is not None


def keep_lease(entry: Entry, lease: Lease, case: Case) -> None:
    """Renew the lease inside a transaction; raises `Refused` when it was lost, so that the transaction is not committed."""
    if lease.name != case.record_type:
        raise Refused(
            f"the lease on {lease.name} is no right to {case.record_type}", "report this: it is a fault"
        )
    _renew(entry, lease)


def _renew(entry: Entry, lease: Lease) -> None:
    renewed = entry.connection.execute(
        update(tables.lease)
        .where(tables.lease.c.name == lease.name, tables.lease.c.token == lease.token)
        .values(expires_at=stamp(entry.at + LEASE))
    )
    if renewed.rowcount != 1:
        raise Refused(
            f"this run lost its lease on {lease.name} to another run", "the other run goes on with the work"
        )


def _process_start(pid: int) -> str:
    """Start time of a process in clock ticks since boot, so that a reused process id is not taken for the old one."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123  # a kernel file
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _is_dead(owner: str) -> bool:
    """Whether the process that holds a lease is known to be gone: same machine, and no such process any more."""
    host, pid, started = owner.rsplit(":", 2)
    if host != socket.gethostname() or not started:
        return False
    return _process_start(int(pid)) != started


def _case(row: Row[Any], parts: Iterable[Row[Any]]) -> Case:
    return Case(
        id=row.id,
        record_type=row.record_type,
        on=date.fromisoformat(row.on_day),
        schedule_digest=row.schedule_digest,
        manifest_digest=row.manifest_digest,
        items=row.items,
        approval_kind=ApprovalKind(row.approval_kind),
        opened_at=unstamp(row.opened_at),
        opened_by=row.opened_by,
        opened_epoch=row.opened_epoch,
        survey=json.loads(row.survey),
        brakes=json.loads(row.brakes),
        state=CaseState(row.state),
        closed_at=None if row.closed_at is None else unstamp(row.closed_at),
        destroying_since=None if row.destroying_since is None else unstamp(row.destroying_since),
        cleared_by=tuple(json.loads(row.cleared_by or "[]")),
        parts=tuple(
            Part(
                number=part.number, location=part.location, store=part.store, items=part.items,
                first_ordinal=part.first_ordinal, length=part.length, digest=part.digest,
            )
            for part in parts
        ),
    )  # fmt: skip
