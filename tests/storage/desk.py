"""Everything a clerk needs to write a ledger by hand: people, cases, batches, holds; and a way in behind the ledger's back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, create_engine, insert, select
from sqlalchemy.pool import NullPool

from retention.exports import Basis, Export, Step
from retention.facts import Medium
from retention.holds import HoldState, Matter, MatterKind, Scope
from retention.media import Lot
from retention.media import Step as MediaStep
from retention.note import NoteKey
from retention.permissions import Role
from retention.records import Personal
from retention.schedule import ApprovalKind
from retention.signing import P256, PublicKey, generate
from storage.ledger import tables
from storage.ledger.batches import Range
from storage.ledger.cases import Case, CaseState, Lease, Part, new_case_id
from storage.ledger.certificates import Certificate
from storage.ledger.connection import stamp
from storage.ledger.holds import HoldAction, HoldFile
from storage.ledger.ledger import Ledger
from storage.ledger.media import StepTaken
from storage.ledger.passkeys import Passkey
from storage.ledger.people import Person, SignedDecision
from storage.log import Log
from storage.log_places import FolderPlace
from storage.signatures import Signatory, Signing
from storage.staff import Staff

NOW = datetime(2025, 6, 2, 15, 0, tzinfo=UTC)
SEALING_KEY = b"k" * 32
LEAF = b"l" * 32
SUBJECT, OFFICER, BADGE = "zqcanary-patron-7305511", "zqcanary-officer-dubois", "zqcanary-badge-991"
MATTER = Matter(
    number="2025-17",
    kind=MatterKind.SUBPOENA,
    issuing_authority="District Court",
    officer=OFFICER,
    officer_badge=BADGE,
)


LOG_SIGNER = generate("log")
LOG_KEY = NoteKey(name="library.example/log", public=LOG_SIGNER.public)


def log_at(folder: Path, ledger: Ledger) -> Log:
    """A transparency log of the ledger's entries, published in a folder."""
    return Log(place=FolderPlace(folder), ledger=ledger, key=LOG_KEY, signer=LOG_SIGNER)


def folder_of(log: Log) -> Path:
    """Where `log_at` published it."""
    assert isinstance(log.files, FolderPlace)
    return log.files.folder


class Clock:
    """A clock that stands still until told; every look is a millisecond."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


@contextmanager
def behind_its_back(url: str) -> Iterator[Connection]:
    """A connection as somebody with the database's password has it: no part of the product in between. Commits."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        yield connection


def without_triggers(connection: Connection, *tables: str) -> None:
    """What an attacker who owns the database does first. ``tables``: those meant, else events and holds."""
    if connection.dialect.name == "sqlite":
        named = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for name in named.scalars().all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
    else:
        for table in tables or ("event", "hold"):
            connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")


def person(ledger: Ledger, name: str, role: Role = Role.CUSTODIAN, at: datetime = NOW) -> Signatory:
    key = generate(name)
    added = Person(
        name=name,
        full_name=name.title(),
        title="Custodian",
        role=role,
        public_key=key.public.text,
        added_at=at,
    )
    ledger.people.add(added, actor="test")
    return Signatory(person=added, key=key)


def given_passkey(
    ledger: Ledger, by: Signing, public: PublicKey, *, credential: str = "AAAA", label: str = "phone", at: datetime = NOW
) -> Passkey:  # fmt: skip
    """A passkey of somebody's, who signs for it."""
    staff = Staff(ledger=ledger, now=lambda: at)
    return staff.add_passkey(by, credential=credential, public=public, label=label)


def part(items: int, *, number: int = 0, first: int = 0, content: bytes = b"") -> Part:
    return Part(
        number=number,
        location=f"shelf-{number}",
        store="simulator",
        items=items,
        first_ordinal=first,
        length=len(content),
        digest=hashlib.sha256(content).hexdigest(),
    )


def opened(ledger: Ledger, *, items: int = 3, parts: tuple[Part, ...] = (), at: datetime = NOW) -> Case:
    """A case in the ledger, without a spool."""
    return ledger.cases.open(
        id=new_case_id(at),
        record_type="loans",
        on=date(2025, 6, 2),
        schedule=("5c" * 32, "1", "# frozen"),
        manifest_digest="d1" * 32,
        parts=parts or (part(items),),
        approval_kind=ApprovalKind.STANDING,
        survey={"shelf-0": {"due": items, "past_maximum": 0, "oldest": None, "newest": None, "volume": 0, "seconds": 0}},
        brakes={},
        actor="test",
        epoch=0,
        at=at,
    )  # fmt: skip


def begun(ledger: Ledger, *, items: int = 3, at: datetime = NOW) -> tuple[Case, Lease]:
    """A case that is being destroyed, and the lease to go on."""
    case = opened(ledger, items=items, at=at)
    lease = ledger.cases.acquire(case.record_type, at=at)
    ledger.cases.begin_destroying(case, cleared_by=(), actor="test", at=at)
    return ledger.cases.get(case.id), lease


def intended(
    ledger: Ledger,
    case: Case,
    lease: Lease,
    *,
    staged: str = "CCC",
    where: Range | None = None,
    at: datetime = NOW,
) -> int:
    return ledger.batches.intend(
        case,
        where or Range(part=0, offset=0, first=0, items=len(staged)),
        staged=staged,
        witness="7",
        epoch=0,
        lease=lease,
        actor="test",
        at=at,
    )  # fmt: skip


def concluded(
    ledger: Ledger, case: Case, lease: Lease, intent: int, *, codes: str = "DDD", at: datetime = NOW
) -> None:
    final = sum(codes.count(letter) for letter in "DAWNU")
    ledger.batches.conclude(
        case, intent, codes=codes, leaves=LEAF * final, settled=False, lease=lease, actor="test", at=at
    )


def certificate(
    case: Case, number: int = 1, *, state: str = "provisional", at: datetime = NOW
) -> Certificate:
    return Certificate(
        id=f"{case.id}-{number}",
        case_id=case.id,
        state=state,
        envelope=b"{}",
        leaves_digest="0" * 64,
        final_from=None,
        at=at,
    )


def act(by: Signatory, action: str = "place", at: datetime = NOW) -> HoldAction:
    return HoldAction(
        action=action,
        person=by.person.name,
        document_digest=None,
        statement={"action": action, "at": at.isoformat()},
        signature=by.key.sign(f"{action} {at}".encode()).hex(),
        epoch=0,
        at=at,
    )


def written_hold(
    ledger: Ledger, by: Signatory, id: str = "H1", scope: Scope | None = None, at: datetime = NOW, *,
    state: HoldState = HoldState.PLACING,
) -> HoldFile:  # fmt: skip
    """A hold as *placing*."""
    return ledger.holds.add(
        HoldFile(
            id=id,
            state=state,
            scope=scope or Scope(subjects=frozenset({Personal(SUBJECT)})),
            matter=MATTER,
            sealed=True,
            continuing=True,
            placed_by=by.person.name,
            placed_at=at,
            review_every_days=90,
            provisional_until=at + timedelta(days=14),
            review_on=date(2025, 9, 1),
        ),
        act(by, at=at),
        at=at,
    )


def export(id: str = "E1", **changed: Any) -> Export:
    return replace(
        Export(
            id=id, store="exports", path=Personal(f"agency/{SUBJECT}.csv"), purpose="collection", recipient="Agency",
            ground="ORS 357.400", consent="", columns=("cardnumber",), rows=3, size=99, digest="5a" * 32, identity=(1, 99, 7),
            produced_at=NOW, basis=Basis.DECLARED, first_seen=NOW, attestation=True,
        ),
        **changed,
    )  # fmt: skip


def lot(id: str = "M1") -> Lot:
    paper = Medium(
        make="", model="", serial="", property_number=None, media_type="paper", source="desk", categorization="confidential"
    )  # fmt: skip
    return Lot(
        id=id, authorities=(), earliest=date(2020, 1, 1), latest=date(2020, 12, 31), planned=NOW, media=(paper,)
    )  # fmt: skip


def rows_of_decisions(case: Case) -> dict[Table, dict[str, object]]:
    """A row for each table of what people decide."""
    signed = {"person": "director", "statement": "{}", "signature": "c2ln"}
    return {
        tables.person_step: {"person": "director", "step": "role", "value": "custodian", "actor": "test"},
        tables.item_exception: {"case_id": case.id, "ordinal": 0, "reason": b"x", "epoch": 2, **signed},
        tables.ruling: {"record_type": "loans", "kind": "extended", "until": "2026-01-01", **signed},
    }


def filled(ledger: Ledger) -> Case:
    """At least one row in every table. Returns the closed case."""
    director = person(ledger, "director")
    written_hold(ledger, director)
    case, lease = begun(ledger)
    ledger.people.sign_off(
        SignedDecision(
            case_id=case.id,
            person="director",
            decision="approve",
            statement={"case": case.id},
            signature="c2ln",
            epoch=1,
            at=NOW,
        )
    )
    concluded(ledger, case, lease, intended(ledger, case, lease))
    ledger.exports.register([export()], actor="test", at=NOW)
    ledger.exports.take("E1", Step.GONE, actor="test", at=NOW)
    ledger.exports.withdraw([SUBJECT], withdrawn=True, actor="test", at=NOW)
    ledger.certificates.issue(certificate(case), actor="test", closing={"counts": {}})
    ledger.cases.halt(True, reason="drill", actor="test", at=NOW)
    given_passkey(ledger, director, generate("x", P256).public, credential="Y3JlZA")
    planned = StepTaken(
        step=MediaStep.PLAN,
        person="director",
        statement={},
        signature="c2ln",
        epoch=ledger.holds.epoch(),
        at=NOW,
    )
    ledger.media.plan(lot(), planned)
    with ledger.connection.write(NOW) as entry:
        for table, row in rows_of_decisions(case).items():
            entry.connection.execute(insert(table).values(at=stamp(NOW), **row))
        body = select(tables.hold.c.body).where(tables.hold.c.id == "H1").scalar_subquery()
        entry.connection.execute(
            insert(tables.hold_revision).values(hold_id="H1", number=1, body=body, epoch=2, at=stamp(NOW))
        )
    closed = ledger.cases.get(case.id)
    assert closed.state is CaseState.CLOSED
    return closed
