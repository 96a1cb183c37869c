"""What people sign: the kinds of statements, where each stands in the ledger, and whether every one there is signed by whom it says.

A row of the ledger has columns beside the statement; they have to say the same, else somebody changed what people decided.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table, select

from retention.approval import TYPE as APPROVAL
from retention.approval import WITHOUT_EPOCH, Decision
from retention.document import JSON, write
from retention.errors import UsageError, VerificationFailed
from retention.ruling import TYPE as RULING
from retention.signed import from_text
from retention.verify_signed import verify_signed
from storage.dispositions import EXCEPTION
from storage.hold_proof import HoldProof
from storage.hold_steps import STATEMENT_TYPE as HOLD_ACTION
from storage.ledger import tables
from storage.ledger.connection import unstamp
from storage.ledger.ledger import Ledger
from storage.ledger.passkeys import ADDED, ENDED, RETIRED
from storage.ledger.people import Person
from storage.ledger.person_steps import PersonStepKind
from storage.personal_keys import PASSKEY
from storage.role_proof import RoleProof
from storage.signatures import key_of, marked_epoch
from storage.staff import ETHICS, PEOPLE

MAX_VALUES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """``noun``: of one such statement. ``columns``: what stands in the table and, under the second name, in the statement."""

    noun: str
    table: Table
    columns: Mapping[str, str]
    older: str | None = None
    """The type of an earlier version, which still stands where it was signed."""

    def differs(self, row: Row[Any], said: Mapping[str, Any]) -> bool:
        """Whether the statement says something else than the row, or nothing about it."""
        columns = row._mapping
        return said.get("at") != write(unstamp(row.at)) or any(
            columns[column]
            not in (said[member] if isinstance(said.get(member), list) else [said.get(member)])
            for column, member in self.columns.items()
        )


KINDS: dict[str, Kind] = {
    APPROVAL: Kind(
        noun="decision on a case", table=tables.approval, columns={"case_id": "case", "decision": "decision"},
        older=WITHOUT_EPOCH,
    ),
    HOLD_ACTION: Kind(
        noun="step of a hold", table=tables.hold_action,
        columns={"hold_id": "hold", "action": "action", "person": "person", "document_digest": "document"},
    ),
    EXCEPTION: Kind(
        noun="exception from a case", table=tables.item_exception,
        columns={"case_id": "case", "ordinal": "positions", "person": "person"},
    ),
    RULING: Kind(
        noun="decision on a record type", table=tables.ruling,
        columns={"record_type": "recordType", "kind": "kind", "until": "until", "person": "person"},
    ),
}  # fmt: skip


NOUNS = {type: kind.noun for type, kind in KINDS.items()} | {
    ETHICS: "acknowledgement of the code of ethics",
    PASSKEY: "passkey of your own",
    PEOPLE: "act in managing people",
}
MANAGING = (
    "person.added", "person.role", "person.disabled", "person.enabled", "account.invited", "account.bound", "account.unbound", ENDED,
)  # fmt: skip
"""Kinds of events with such an act."""


def noun_of(statement: JSON) -> str:
    """What a statement is that somebody is asked to sign. Raises `UsageError` for what is none of ours."""
    noun = NOUNS.get(str(statement.get("type"))) if isinstance(statement, dict) else None
    if noun is None:
        raise UsageError("this is not a statement that people sign here", "give exactly what the page shows")
    return noun


def in_words(statement: Mapping[str, JSON]) -> Iterator[str]:
    """Everything a statement says, line by line; nothing is left out. Raises `UsageError` for one that cannot be told."""
    yield f"{noun_of(dict(statement))}:"
    for name, value in statement.items():
        if name == "type":
            continue
        values = value if isinstance(value, list) else [value]
        if len(values) > MAX_VALUES or not all(_plain(one) for one in (name, *values)):
            raise UsageError("this statement holds something that cannot be shown", "do not sign it")
        yield f"  {name}: {', '.join(str(one) for one in values if one is not None) or 'none'}"


def _plain(value: JSON) -> bool:
    return (
        value is None
        or isinstance(value, int)
        or (isinstance(value, str) and (value == "" or value.isprintable()))
    )


def verify_statements(ledger: Ledger) -> int:
    """Check every signature in the ledger: by a key that its person had then, over what the row says.

    Returns how many, but for the steps of sealed holds: they are checked, and in no number that is told.
    Raises `VerificationFailed` with the first that is not.
    """
    people = {person.name: person for person in ledger.people.list()}
    rows = sum(_verify_rows(ledger, people, type, kind) for type, kind in KINDS.items())
    secret = sum(len(file.actions) for file in ledger.holds.every() if file.sealed)
    _verify_steps(ledger)
    RoleProof(ledger).require()
    if (at := ledger.connection.last_event_at()) is not None:
        HoldProof(ledger).require_all(at)
    events = (
        _verify_ethics(ledger, people) + _verify_passkeys(ledger, people) + _verify_managing(ledger, people)
    )
    return rows - secret + events + _verify_media(ledger, people)


def _verify_rows(ledger: Ledger, people: Mapping[str, Person], type: str, kind: Kind) -> int:
    with ledger.connection.read() as connection:
        rows = connection.execute(select(kind.table).order_by(kind.table.c.id)).all()
    for row in rows:
        what = f"{kind.noun} {row.id}"
        said = _object(row.statement, what)
        _verify(ledger, people[row.person], said, row.signature, at=unstamp(row.at), what=what)
        known = said.get("type") in (type, kind.older)
        if not known or kind.differs(row, said) or (type == APPROVAL and _redated(ledger, row, said)):
            raise VerificationFailed(f"{what} is not what was signed", "compare the ledger with its backup")
    return len(rows)


def _redated(ledger: Ledger, row: Row[Any], said: Mapping[str, JSON]) -> bool:
    """Whether an approval's row gives another hold epoch than was signed."""
    if said.get("type") != APPROVAL or row.decision != Decision.APPROVE.value:
        return "holdEpoch" in said
    marked = marked_epoch(ledger, case=row.case_id, person=row.person, at=unstamp(row.at), epoch=row.epoch)
    return said.get("holdEpoch") != marked


def _verify_ethics(ledger: Ledger, people: Mapping[str, Person]) -> int:
    """Acknowledgements stand in the chain of events, each with its statement and signature."""
    count = 0
    for what, row, body, said, _ in _signed_events(
        ledger, people, ETHICS, (f"person.{PersonStepKind.ETHICS.value}",)
    ):
        if write(unstamp(row.at)) != said.get("at") or str(said.get("year")) != body.get("value"):
            raise VerificationFailed(f"{what} is not what was signed", "compare the ledger with its backup")
        count += 1
    return count


def _verify_passkeys(ledger: Ledger, people: Mapping[str, Person]) -> int:
    """Every passkey: one that its owner did not sign for, with a key they had before, signs for somebody else."""
    known = {one.credential: one for one in ledger.people.passkeys()}
    found = set()
    for what, row, _, said, keyid in _signed_events(ledger, people, PASSKEY, (ADDED,)):
        passkey = known.get(str(said.get("credential")))
        if (
            passkey is None
            or (passkey.person, passkey.line, passkey.label) != (row.subject, said.get("public"), said.get("label"))
            or not write(passkey.added_at) == said.get("at") == write(unstamp(row.at))
            or passkey.public.keyid == keyid
        ):  # fmt: skip
            raise VerificationFailed(f"{what} is not what was signed", "compare the ledger with its backup")
        found.add(passkey.credential)
    for passkey in known.values():
        if passkey.credential not in found:
            raise VerificationFailed(
                f"passkey {passkey.public.keyid} of {passkey.person} is not signed",
                "compare the ledger with its backup",
            )
    return len(found)


def _verify_managing(ledger: Ledger, people: Mapping[str, Person]) -> int:
    """Acts of whoever manages people, where somebody was named: nobody is where the site has no administrator. Older versions had
    nothing signed; from the first signed act on every one of a person's is. An act may have been rehearsed a while before it was done."""
    count = 0
    for what, row, body, said, keyid in _signed_events(ledger, people, PEOPLE, MANAGING):
        if (
            (said.get("act"), said.get("subject")) != (row.kind, row.subject)
            or str(said.get("at")) > str(write(unstamp(row.at)))
            or any(body.get(name, said.get(name)) != said.get(name) for name in ("value", "role", "keyid"))
            or (row.kind == ENDED and keyid == said.get("keyid"))
        ):
            raise VerificationFailed(f"{what} is not what was signed", "compare the ledger with its backup")
        count += 1
    return count


def _verify_media(ledger: Ledger, people: Mapping[str, Person]) -> int:
    """Every step about media destroyed by hand: over the lot as it is sealed in the ledger."""
    files = ledger.media.list()
    for file in files:
        for taken in file.steps:
            what = f"step {taken.step.value} of lot {file.lot.id}"
            said = dict(taken.statement)
            _verify(ledger, people[taken.person], said, taken.signature, at=taken.at, what=what)
            shown = file.lot.id, file.lot.digest, taken.step.value, write(taken.at)
            if (said.get("lot"), said.get("digest"), said.get("step"), said.get("at")) != shown:
                raise VerificationFailed(
                    f"{what} is not what was signed", "compare the ledger with its backup"
                )
    return sum(len(file.steps) for file in files)


def _verify_steps(ledger: Ledger) -> None:
    """What became of people stands in the chain of events too: a role that is only in its own table was given by nobody."""
    event, step = tables.event.c, tables.person_step.c
    kinds = {f"person.{kind.value}": kind.value for kind in PersonStepKind} | {ENDED: RETIRED}
    with ledger.connection.read() as connection:
        told = connection.execute(
            select(event.subject, event.kind, event.at, event.body).where(event.kind.in_(kinds))
        ).all()
        rows = connection.execute(select(step.person, step.step, step.at, step.value)).all()
    known: Counter[tuple[str, str, str, str]] = Counter()
    for row in told:
        body = _object(row.body, "an event about a person")
        value = body.get("keyid" if row.kind == ENDED else "value")
        known[row.subject, kinds[row.kind], row.at, str(value)] += 1
    missing = Counter((row.person, row.step, row.at, row.value) for row in rows) - known
    for person, kind, _, _ in missing:
        raise VerificationFailed(
            f"a step ({kind}) of {person} stands in no event", "compare the ledger with its backup"
        )


def _signed_events(
    ledger: Ledger, people: Mapping[str, Person], type: str, kinds: Sequence[str]
) -> Iterator[tuple[str, Row[Any], dict[str, JSON], dict[str, JSON], str]]:
    """Events with a statement of whoever acted, checked: what each is called, its row, its body, the statement, the key's id."""
    event, begun = tables.event.c, type != PEOPLE
    with ledger.connection.read() as connection:
        rows = connection.execute(select(tables.event).where(event.kind.in_(kinds)).order_by(event.seq)).all()
    for row in rows:
        what = f"{NOUNS[type]} in event {row.seq}"
        body = _object(row.body, what)
        unsigned = "statement" not in body and "signature" not in body
        if unsigned and not (begun and (type != PEOPLE or row.actor in people)):
            continue
        begun = True
        said, signature, person = body.get("statement"), body.get("signature"), people.get(row.actor)
        if not isinstance(said, dict) or not isinstance(signature, str) or person is None:
            raise VerificationFailed(f"{what} is not signed", "compare the ledger with its backup")
        _verify(ledger, person, said, signature, at=unstamp(row.at), what=what)
        if (said.get("type"), said.get("person")) != (type, row.actor):
            raise VerificationFailed(f"{what} is not what was signed", "compare the ledger with its backup")
        yield what, row, body, said, from_text(signature, person.public).keyid


def _verify(
    ledger: Ledger, person: Person, said: dict[str, JSON], signature: str, *, at: datetime, what: str
) -> None:
    """``what``: names it in errors."""
    signed = from_text(signature, person.public)
    verify_signed(signed, key_of(ledger, person, signed, at), said, what=f"the signature of {what}")


def _object(text: str, what: str) -> dict[str, JSON]:
    try:
        said: JSON = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise VerificationFailed(f"{what} has no statement", "compare the ledger with its backup")
    return said
