"""Every signature in the ledger is checked, and whoever changes what people decided is found out."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Table, insert, text

from retention import approval
from retention.document import JSON, encode, write
from retention.errors import UsageError, VerificationFailed
from retention.holds import HoldState, Scope
from retention.permissions import Role
from retention.ruling import TYPE as RULING
from retention.signing import generate
from storage.dispositions import EXCEPTION
from storage.hold_steps import STATEMENT_TYPE as HOLD_ACTION
from storage.ledger import tables
from storage.ledger.connection import stamp
from storage.ledger.holds import HoldAction, HoldFile
from storage.ledger.ledger import Ledger
from storage.ledger.passkeys import Passkey
from storage.ledger.people import Person
from storage.ledger.person_steps import PersonStep
from storage.personal_keys import PASSKEY
from storage.signatures import Signatory, Signing, marked_epoch
from storage.staff import Staff
from storage.statements import KINDS, MANAGING, in_words, noun_of, verify_statements
from tests.retention.authenticator import Authenticator, authenticator
from tests.storage.browser import Touching
from tests.storage.desk import MATTER, NOW, behind_its_back, given_passkey, opened, person, without_triggers

HOUR = timedelta(hours=1)
AT = write(NOW)


@dataclass(frozen=True, kw_only=True)
class Written:
    """A row as it is written, and the statement that goes with it."""

    table: Table
    row: dict[str, Any]
    statement: dict[str, JSON]


def rows(ledger: Ledger, case: str, hold: str) -> dict[str, Written]:
    return {
        "hold": Written(
            table=tables.hold_action,
            row={"hold_id": hold, "action": "review", "person": "director", "document_digest": "d" * 64, "epoch": 3},
            statement={"type": HOLD_ACTION, "hold": hold, "action": "review", "person": "director", "document": "d" * 64, "at": AT},
        ),
        "exception": Written(
            table=tables.item_exception,
            row={"case_id": case, "ordinal": 2, "reason": b"x", "person": "director", "epoch": 3},
            statement={"type": EXCEPTION, "case": case, "positions": [1, 2], "person": "director", "at": AT},
        ),
        "ruling": Written(
            table=tables.ruling,
            row={"record_type": "loans", "kind": "extended", "until": "2026-01-01", "person": "director"},
            statement={"type": RULING, "recordType": "loans", "kind": "extended", "until": "2026-01-01", "person": "director", "at": AT},
        ),
        "approval": Written(
            table=tables.approval,
            row={"case_id": case, "decision": "approve", "person": "director", "epoch": 3},
            statement=approval.statement(
                case=case, manifest="d1" * 32, schedule="5c" * 32, record_type="loans", items=3,
                decision=approval.Decision.APPROVE, at=NOW,
                hold_epoch=marked_epoch(ledger, case=case, person="director", at=NOW, epoch=3),
            ),
        ),
    }  # fmt: skip


def write_row(ledger: Ledger, written: Written, signature: str) -> None:
    values = {"at": stamp(NOW), "statement": json.dumps(written.statement), "signature": signature}
    with ledger.connection.write(NOW) as entry:
        entry.connection.execute(insert(written.table).values(**values, **written.row))


@dataclass(frozen=True, kw_only=True)
class Office:
    ledger: Ledger
    director: Signatory
    phone: Authenticator
    rows: dict[str, Written]


def settled(ledger: Ledger) -> Office:
    """A director with a passkey, a case, and a hold as it is placed: two signed statements."""
    director, phone = person(ledger, "director"), authenticator()
    given_passkey(ledger, director, phone.public)
    hold = placed(ledger, director)
    return Office(ledger=ledger, director=director, phone=phone, rows=rows(ledger, opened(ledger).id, hold))


def placed(ledger: Ledger, by: Signing) -> str:
    statement: dict[str, JSON] = {
        "type": HOLD_ACTION, "hold": "H1", "action": "place", "person": by.person.name, "document": None, "at": AT,
    }  # fmt: skip
    action = HoldAction(
        action="place", person=by.person.name, document_digest=None, statement=statement, signature=by.sign(statement).text,
        epoch=0, at=NOW,
    )  # fmt: skip
    file = HoldFile(
        id="H1", state=HoldState.PLACING, scope=Scope(record_types=frozenset({"loans"})), matter=MATTER, sealed=False,
        continuing=True, placed_by=by.person.name, placed_at=NOW, review_every_days=None,
    )  # fmt: skip
    return ledger.holds.add(file, action, at=NOW).id


def test_statements_signed_by_own_keys_and_passkeys_are_all_looked_at(ledger: Ledger) -> None:
    office = settled(ledger)
    assert verify_statements(ledger) == 2
    for one in office.rows.values():
        for signed in (office.director.sign(one.statement), office.phone.sign(one.statement)):
            write_row(ledger, one, signed.text)
    assert verify_statements(ledger) == 10
    ledger.people.retire_passkey("AAAA", actor="director", at=NOW + HOUR)
    assert verify_statements(ledger) == 10


def test_a_step_signed_when_signatures_were_written_in_hex_is_still_one(sqlite_ledger: Ledger) -> None:
    office = settled(sqlite_ledger)
    one = office.rows["hold"]
    signature = office.director.key.sign(encode(one.statement))
    write_row(sqlite_ledger, one, signature.hex())
    assert verify_statements(sqlite_ledger) == 3
    write_row(sqlite_ledger, one, bytes([signature[0] ^ 1, *signature[1:]]).hex())
    with pytest.raises(VerificationFailed, match="step of a hold 3 is not valid"):
        verify_statements(sqlite_ledger)


@pytest.mark.parametrize("name", ["hold", "exception", "ruling", "approval"])
def test_a_row_that_is_not_what_was_signed_is_found(sqlite_ledger: Ledger, name: str) -> None:
    office = settled(sqlite_ledger)
    one = office.rows[name]
    others = {other.statement["type"]: other.statement for other in office.rows.values()}
    wrong: list[dict[str, JSON]] = [
        {**one.statement, member: "other"}
        for member in [*KINDS[str(one.statement["type"])].columns.values(), "at"]
    ]
    wrong += [{key: value for key, value in one.statement.items() if key != "at"}]
    wrong += [other for type, other in others.items() if type != one.statement["type"]]
    for number, statement in enumerate(wrong):
        row = {**one.row}
        write_row(
            sqlite_ledger,
            Written(table=one.table, row=row, statement=statement),
            office.director.sign(statement).text,
        )
        with pytest.raises(VerificationFailed, match="is not what was signed"):
            verify_statements(sqlite_ledger)
        undo(sqlite_ledger, one.table)
        assert verify_statements(sqlite_ledger) <= 2, number


def undo(ledger: Ledger, table: Table) -> None:
    """As somebody who owns the database can."""
    with behind_its_back(str(ledger.connection.engine.url)) as connection:
        without_triggers(connection)
        connection.execute(text(f"DELETE FROM {table.name}"))


def test_a_signature_by_a_key_that_was_not_theirs_then_is_found(sqlite_ledger: Ledger) -> None:
    office = settled(sqlite_ledger)
    one = office.rows["ruling"]
    deputy = person(sqlite_ledger, "deputy")
    late = authenticator()
    given_passkey(sqlite_ledger, office.director, late.public, credential="BBBB", label="late", at=NOW + HOUR)
    own, phone = office.director.sign(one.statement), office.phone.sign(one.statement)
    for signature in (
        deputy.sign(one.statement).text,
        late.sign(one.statement).text,
        Authenticator(key=office.director.key).sign(one.statement).text,
        authenticator().sign(one.statement).text,
        replace(phone, signature=own.signature).text,
        replace(phone, assertion=None).text,
        own.text[:-4] + ("BA==" if own.text.endswith("AA==") else "AA=="),
        "",
    ):
        write_row(sqlite_ledger, one, signature)
        with pytest.raises(VerificationFailed):
            verify_statements(sqlite_ledger)
        undo(sqlite_ledger, one.table)
    write_row(sqlite_ledger, one, phone.text)
    assert verify_statements(sqlite_ledger) == 4


def passkey_statement(phone: Authenticator) -> dict[str, JSON]:
    return {
        "type": PASSKEY, "person": "director", "credential": "CCCC", "public": phone.public.line.removesuffix(" passkey"),
        "label": "phone", "at": AT,
    }  # fmt: skip


def write_passkey(ledger: Ledger, phone: Authenticator, signed: dict[str, Any]) -> None:
    """As somebody would who writes into the ledger's tables."""
    passkey = Passkey(credential="CCCC", person="director", public=phone.public, label="phone", added_at=NOW)
    ledger.people.add_passkey(passkey, actor="director", signed=signed)


def test_a_passkey_that_its_person_signed_for_is_one(sqlite_ledger: Ledger) -> None:
    office, second = settled(sqlite_ledger), authenticator()
    said = passkey_statement(second)
    write_passkey(sqlite_ledger, second, {"statement": said, "signature": office.phone.sign(said).text})
    assert verify_statements(sqlite_ledger) == 3


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("nothing", "is not signed"), ("itself", "by no key that"), ("somebody else", "is not valid"),
        ("credential", "is not what was signed"), ("public", "is not what was signed"), ("label", "is not what was signed"),
        ("person", "is not what was signed"), ("type", "is not what was signed"), ("at", "is not what was signed"),
    ],
)  # fmt: skip
def test_a_passkey_that_its_person_did_not_sign_for_is_found(
    sqlite_ledger: Ledger, wrong: str, why: str
) -> None:
    office, second = settled(sqlite_ledger), authenticator()
    said = passkey_statement(second)
    said |= {wrong: "other"} if wrong in said else {}
    others: dict[str, Signing] = {
        "itself": Touching(person=office.director.person, passkey=second),
        "somebody else": person(sqlite_ledger, "deputy"),
    }
    by = others.get(wrong, office.director)
    signed = {} if wrong == "nothing" else {"statement": said, "signature": by.sign(said).text}
    write_passkey(sqlite_ledger, second, signed)
    with pytest.raises(VerificationFailed, match=why):
        verify_statements(sqlite_ledger)


def test_a_passkey_without_an_event_is_found(sqlite_ledger: Ledger) -> None:
    settled(sqlite_ledger)
    with sqlite_ledger.connection.write(NOW) as entry:
        row = {
            "credential": "CCCC",
            "person": "director",
            "public_key": authenticator().public.line,
            "label": "x",
        }
        entry.connection.execute(insert(tables.passkey).values(added_at=stamp(NOW), **row))
    with pytest.raises(VerificationFailed, match="of director is not signed"):
        verify_statements(sqlite_ledger)


@pytest.mark.parametrize("statement", ["", "{", "[]", "null", "[" * 5000, '{"type":1.5}'])
def test_a_statement_that_is_none_is_one_failure(sqlite_ledger: Ledger, statement: str) -> None:
    office = settled(sqlite_ledger)
    one = office.rows["ruling"]
    with sqlite_ledger.connection.write(NOW) as entry:
        values = {
            "at": stamp(NOW),
            "statement": statement,
            "signature": office.director.sign(one.statement).text,
        }
        entry.connection.execute(insert(one.table).values(**values, **one.row))
    with pytest.raises(VerificationFailed):
        verify_statements(sqlite_ledger)


def test_a_statement_is_told_whole(sqlite_ledger: Ledger) -> None:
    for one in settled(sqlite_ledger).rows.values():
        told = "\n".join(in_words(one.statement))
        for name, value in one.statement.items():
            if name != "type":
                assert f"  {name}: " in told
                for part in value if isinstance(value, list) else [value]:
                    assert str("none" if part is None else part) in told


@pytest.mark.parametrize(
    "more",
    [{"x": {"y": 1}}, {"x": "a\nb"}, {"x": ["\u202e"]}, {"x": [[1]]}, {"a\nb": 1}, {"x": ["1"] * 10_001}],
)
def test_a_statement_that_could_hide_something_is_not_told(
    sqlite_ledger: Ledger, more: dict[str, JSON]
) -> None:
    statement = settled(sqlite_ledger).rows["hold"].statement
    with pytest.raises(UsageError, match="cannot be shown"):
        list(in_words({**statement, **more}))


@pytest.mark.parametrize("statement", [None, [], {}, {"type": "https://example/other"}, {"type": ["x"]}, "x"])
def test_what_people_do_not_sign_here_is_refused(statement: JSON) -> None:
    with pytest.raises(UsageError, match="not a statement that people sign here"):
        noun_of(statement)


def managed(ledger: Ledger) -> None:
    """Each act of an administrator, signed."""
    root, phone = person(ledger, "root", Role.ADMINISTRATOR), generate("phone")
    given_passkey(ledger, person(ledger, "ada"), phone.public)
    key = generate("mei").public.text
    staff = Staff(ledger=ledger, now=lambda: NOW)
    mei = Person(name="mei", full_name="Mei Lind", title="T", role=Role.AUDITOR, public_key=key, added_at=NOW)
    staff.add(mei, root)
    staff.give_role("mei", Role.OPERATOR, root)
    staff.invite("mei", root)
    staff.bind("mei", "https://login.library.example m", root)
    staff.bind("mei", None, root)
    staff.disable("mei", root)
    staff.enable("mei", root)
    staff.retire_passkey("ada", phone.public.keyid, root)


def test_every_act_of_whoever_manages_people_is_signed_and_checked(sqlite_ledger: Ledger) -> None:
    managed(sqlite_ledger)
    kinds = {event.kind for event in sqlite_ledger.events(limit=100) if "statement" in event.body}
    assert kinds - {"passkey.added"} == set(MANAGING)
    assert verify_statements(sqlite_ledger) == 9


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"value":"operator"', '"value":"custodian"'), ('"act":"person.role"', '"act":"person.enabled"'),
        ('"before":"auditor"', '"before":"operator"'), ('"subject":"mei"', '"subject":"ada"'), ('"person":"root"', '"person":"ada"'),
        ('"signature":"', '"signature":"AAAA'),
    ],
)  # fmt: skip
def test_an_act_that_is_not_what_was_signed_is_found(sqlite_ledger: Ledger, old: str, new: str) -> None:
    managed(sqlite_ledger)
    with behind_its_back(str(sqlite_ledger.connection.engine.url)) as connection:
        without_triggers(connection)
        changed = connection.execute(
            text("UPDATE event SET body = replace(body, :old, :new) WHERE kind = 'person.role'"),
            {"old": old, "new": new},
        )
        assert changed.rowcount == 1
    with pytest.raises(VerificationFailed):
        verify_statements(sqlite_ledger)


def test_once_an_act_was_signed_every_later_one_of_a_person_is(sqlite_ledger: Ledger) -> None:
    """What a program that was taken over would write: it has the right to, and nobody's key."""
    for name, role in (("mei", Role.OPERATOR), ("old", Role.ADMINISTRATOR)):
        person(sqlite_ledger, name, role)
    step = PersonStep(person="mei", step="role", value="custodian", actor="old", at=NOW)
    sqlite_ledger.steps.take(step)
    assert verify_statements(sqlite_ledger) == 0, "as older versions wrote it"
    Staff(ledger=sqlite_ledger, now=lambda: NOW).invite(
        "mei", person(sqlite_ledger, "root", Role.ADMINISTRATOR)
    )
    assert verify_statements(sqlite_ledger) == 1
    sqlite_ledger.steps.take(replace(step, value="administrator"))
    with pytest.raises(VerificationFailed, match="is not signed"):
        verify_statements(sqlite_ledger)


def test_a_role_that_stands_in_no_event_is_found(sqlite_ledger: Ledger) -> None:
    managed(sqlite_ledger)
    with sqlite_ledger.connection.write(NOW) as entry:
        row = {"person": "mei", "step": "role", "value": "custodian", "actor": "root"}
        entry.connection.execute(insert(tables.person_step).values(at=stamp(NOW), **row))
    with pytest.raises(VerificationFailed, match=r"step \(role\) of mei stands in no event"):
        verify_statements(sqlite_ledger)
