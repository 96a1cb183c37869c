"""One ledger in which everything is in every state that a page may find it in, and the app before it, in this process.

The states of a case, a hold, a person and so on stand in `STATES`; ``ids`` says what is in which of them. Where a state depends on
who looks (*mine*, *author*), each role has one of its own.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from argon2 import PasswordHasher

from console.web.acting import Operation
from console.web.app import make_app
from console.web.desk import Desk
from console.web.oidc import Provider, Registration
from console.web.pages.account import ETHICS
from retention.holds import Scope
from retention.loader import load
from retention.permissions import Role
from retention.schedule import ApprovalKind
from storage.hold_care import HoldCare
from storage.holding import Holding
from storage.ledger.cases import CaseState, Part, new_case_id
from storage.ledger.drafts import DraftKind
from storage.ledger.holds import HoldFile
from storage.ledger.ledger import Ledger
from storage.rehearsal import Rehearsal, SignatureNeeded
from storage.rulings import Rulings
from storage.signatures import Signatory
from tests.console.library import POLICIES
from tests.retention.authenticator import authenticator
from tests.storage.desk import MATTER, SEALING_KEY, certificate, given_passkey, part, person
from tests.web.house import NAMES, PASSWORD, desk_of

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""Of every person: these tests are about who may, not about guessing."""
ORIGIN = "http://localhost:8448"
STATES: dict[str, tuple[str, ...]] = {
    "-": ("",),
    "case": (
        "waiting", "approved once", "approved by me", "author", "voided", "cooling off", "extended", "begun", "closed", "returned", "unknown",
    ),
    "hold": (
        "requested", "placing", "provisional by me", "provisional by another", "lapsed", "active", "release requested by me",
        "release requested by another", "in grace", "released", "declined", "sealed known", "sealed unknown", "unknown",
    ),
    "person": ("enabled", "disabled", "self", "unknown"),
    "draft": ("waiting", "done", "another's", "unknown"),
    "question": ("mine", "another's", "unknown"),
    "passkey": ("mine", "retired", "another's"),
    "certificate": ("forged", "unknown"),
    "rule": (
        "no standing approval", "proposed by me", "proposed by another", "in force", "approved case by case", "unknown",
    ),
}  # fmt: skip
SLOW = POLICIES.replace('cooling-off = "P0D"', 'cooling-off = "P7D"')
RULES = {"proposed by another": "second-checkouts", "in force": "third-checkouts"}
_FIRST = POLICIES[
    POLICIES.index("[record-type.past-checkouts]") : POLICIES.index("[record-type.vendor-exports]")
]
MORE = POLICIES + "\n".join(
    _FIRST.replace("past-checkouts", name).replace('"loan"', f'"{name[:5]}"') for name in RULES.values()
)
"""With further record types of the first one's kind, for every state of a standing approval."""
LOBBY = Scope(cameras=frozenset({"lobby"}))
GRACE = timedelta(days=7)


@dataclass
class World:
    folder: Path
    ledger: Ledger
    desk: Desk
    at: datetime
    people: dict[str, Signatory] = field(default_factory=dict)
    ids: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """By subject, state and name of who looks; "" for whoever looks."""
    keys: dict[str, str] = field(default_factory=dict)
    """The id of a passkey of each person."""
    cookies: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.transport = httpx.ASGITransport(app=make_app(self.desk))

    def id(self, subject: str, state: str, name: str) -> str:
        return self.ids.get((subject, state, name)) or self.ids[subject, state, ""]

    def keep(self) -> None:
        """From now on `restore` brings this back."""
        self._copy("ledger.db", "kept.db")

    def restore(self) -> None:
        self._copy("kept.db", "ledger.db")

    def _copy(self, source: str, target: str) -> None:
        with (
            closing(sqlite3.connect(self.folder / source)) as one,
            closing(sqlite3.connect(self.folder / target)) as other,
        ):
            one.backup(other)

    # -- making it -------------------------------------------------------------------------------------------------

    @property
    def holding(self) -> Holding:
        return Holding(ledger=self.ledger, schedule=self.desk.schedule, now=self.now)

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def provisional(self, by: str, scope: Scope = LOBBY) -> HoldFile:
        file = self.holding.place(scope, MATTER, self.people[by])
        return self.holding.take_effect(file, actor="test")

    def active(self, by: str = "colleague") -> HoldFile:
        confirming = "deputy" if by != "deputy" else "colleague"
        return self.holding.confirm(self.provisional(by).id, self.people[confirming])

    def asked(self, by: str) -> HoldFile:
        return self.holding.request_release(self.active().id, self.people[by], b"%PDF-1.7 release")

    def case(
        self, *, actor: str = "test", text: str = POLICIES, record_type: str = "vendor-exports",
        kind: ApprovalKind = ApprovalKind.TWO_PERSON,
    ) -> str:  # fmt: skip
        location, store = (
            ("agency", "exports") if record_type == "vendor-exports" else ("recordings", "cameras")
        )
        whole = part(3)
        survey = {
            "due": 3, "population": 9, "kept": {}, "oldest": None, "newest": None, "past_maximum": 0, "volume": 0, "seconds": 0,
        }  # fmt: skip
        return self.ledger.cases.open(
            id=new_case_id(self.now()), record_type=record_type, on=self.at.date(), schedule=(load(text, "p").digest, "1", text),
            manifest_digest="d1" * 32, parts=(Part(number=0, location=location, store=store, items=3, first_ordinal=0, length=whole.length, digest=whole.digest),),
            approval_kind=kind, survey={location: survey}, brakes={}, actor=actor, epoch=0, at=self.at,
        ).id  # fmt: skip

    def approved(self, case: str, *names: str) -> str:
        for name in names:
            self.desk.dispositions.approve(case, self.people[name], records=3)
        return case

    def draft(self, name: str, operation: Operation = ETHICS) -> str:
        """An act of a person that waits for its signature."""
        values, at = {"year": self.at.year}, self.now()
        by = self.people[name]
        try:
            operation.run(self.desk, Rehearsal(person=by.person, public=by.public, at=at), values)
        except SignatureNeeded as needed:
            body = {
                "act": operation.name,
                "values": values,
                "statement": needed.statement,
                "at": at.isoformat(),
            }
            return self.ledger.drafts.keep(name, DraftKind.TO_SIGN, body, at)
        raise AssertionError("nothing was to be signed")

    def signature(self, draft: str, name: str) -> str:
        """What its owner would paste; something else where there is nothing to sign."""
        found = self.ledger.drafts.get(draft, name, DraftKind.TO_SIGN, self.desk.now())
        return "" if found is None else self.people[name].sign(found.body["statement"]).signature


def world(folder: Path) -> World:
    """Everything, in every state."""
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}", SEALING_KEY)
    ledger.connection.upgrade()
    begun = datetime.now(UTC) - timedelta(days=20)
    here: list[World] = []

    def now() -> datetime:
        return here[0].now()

    provider = Provider(Registration(issuer="http://127.0.0.1:9", client_id="console"), ORIGIN, now)
    desk = replace(desk_of(folder, ledger, ORIGIN, now, provider), schedule=load(MORE, "policies.toml"))
    made = World(folder=folder, ledger=ledger, desk=desk, at=begun)
    here.append(made)
    everybody = {name: role for role, name in NAMES.items()} | {
        "colleague": Role.CUSTODIAN,
        "gone": Role.CUSTODIAN,
    }
    for name, role in everybody.items():
        made.people[name] = person(ledger, name, role, at=made.now())
        ledger.accounts.set_password(name, CHEAP, actor="test", at=made.now())
    _holds(made)
    _cases(made)
    _rules(made)
    _people(made)
    made.keep()
    return made


def _holds(made: World) -> None:
    def known(state: str, file: HoldFile, name: str = "") -> None:
        made.ids["hold", state, name] = file.id

    holding, people = made.holding, made.people
    known("lapsed", made.provisional("colleague"))
    ended = made.asked("colleague")
    known("released", holding.approve_release(ended.id, people["deputy"], timedelta(days=1)))
    made.at = datetime.now(UTC) - timedelta(hours=1)
    holding.lapse(GRACE, actor="test")
    holding.end_grace(actor="test")
    known("requested", holding.request(LOBBY, MATTER, people["colleague"]))
    known("placing", holding.place(LOBBY, MATTER, people["colleague"]))
    told = made.active()
    care = HoldCare(ledger=made.ledger, schedule=made.desk.schedule, now=made.now)
    known("active", care.tell(told.id, people["colleague"], sorted(NAMES.values())))
    known("provisional by another", made.provisional("colleague"))
    known("provisional by me", made.provisional("director"))
    known("release requested by another", made.asked("colleague"))
    known("release requested by me", made.asked("director"))
    known("in grace", holding.approve_release(made.asked("colleague").id, people["deputy"], GRACE))
    declined = holding.request(LOBBY, MATTER, people["colleague"])
    known("declined", holding.decline(declined.id, people["colleague"], "nothing in writing"))
    knowing = sorted({*NAMES.values(), "colleague"})
    sealed = holding.place(LOBBY, MATTER, people["colleague"], sealed=True, need_to_know=knowing)
    known("sealed known", holding.take_effect(sealed, actor="test"))
    secret = holding.place(LOBBY, MATTER, people["colleague"], sealed=True, need_to_know=["colleague"])
    known("sealed unknown", holding.take_effect(secret, actor="test"))
    made.ids["hold", "unknown", ""] = "H20200101-00000000"


def _cases(made: World) -> None:
    def known(state: str, id: str, name: str = "") -> None:
        made.ids["case", state, name] = id

    people, dispositions = made.people, made.desk.dispositions
    known("waiting", made.case())
    known("approved once", made.approved(made.case(), "colleague"))
    known("approved by me", made.approved(made.case(), "colleague"))
    known("author", made.case(actor="colleague"))
    for name in ("director", "deputy"):
        known("approved by me", made.approved(made.case(), name), name)
        known("author", made.case(actor=name), name)
    voided = made.approved(made.case(), "colleague", "director")
    dispositions.except_items(voided, people["colleague"], [0], "asked for")
    known("voided", voided)
    known("cooling off", made.approved(made.case(text=SLOW), "colleague", "deputy"))
    put_off = made.case(record_type="camera-footage")
    dispositions.extend(put_off, people["colleague"], made.at.date() + timedelta(days=10), "audit")
    known("extended", made.case(record_type="camera-footage"))
    begun, closed, returned = (made.case(kind=ApprovalKind.STANDING) for _ in range(3))
    for id in (begun, closed):
        made.ledger.cases.begin_destroying(
            made.ledger.cases.get(id), cleared_by=(), actor="test", at=made.now()
        )
    known("begun", begun)
    made.ledger.certificates.issue(
        certificate(made.ledger.cases.get(closed), at=made.now()), actor="test", closing={"counts": {}}
    )
    known("closed", closed)
    made.ids["certificate", "forged", ""] = f"{closed}-1"
    made.ids["certificate", "unknown", ""] = "C20200101-00000000-1"
    dispositions.return_case(returned, people["colleague"], "not now")
    known("returned", returned)
    assert made.ledger.cases.get(returned).state is CaseState.RETURNED
    known("unknown", "C20200101-00000000")


def _rules(made: World) -> None:
    rulings, until = (
        Rulings(ledger=made.ledger, schedule=made.desk.schedule, now=made.now),
        made.at.date() + timedelta(days=90),
    )
    ids = {
        "no standing approval": "camera-footage",
        "approved case by case": "vendor-exports",
        "unknown": "nothing",
        **RULES,
    }
    for state, record_type in ids.items():
        made.ids["rule", state, ""] = record_type
    made.ids["rule", "proposed by me", ""] = "past-checkouts"
    rulings.propose("past-checkouts", made.people["director"], until, "reviewed")
    for record_type in RULES.values():
        rulings.propose(record_type, made.people["colleague"], until, "reviewed")
    rulings.agree(RULES["in force"], made.people["deputy"])


def _people(made: World) -> None:
    ledger, ids = made.ledger, made.ids
    for number, (name, by) in enumerate(made.people.items()):
        keys = []
        for old in (False, True):
            public = authenticator().public
            credential = f"AAA{number}{'BC'[old]}AA"
            given_passkey(ledger, by, public, credential=credential, label="phone", at=made.now())
            keys.append(public.keyid)
            if old:
                ledger.people.retire_passkey(credential, actor=name, at=made.now())
        made.keys[name] = ids["passkey", "mine", name] = keys[0]
        ids["passkey", "retired", name] = keys[1]
        ids["person", "self", name] = name
        ids["draft", "waiting", name] = made.draft(name)
        done = made.draft(name)
        found = ledger.drafts.get(done, name, DraftKind.TO_SIGN, made.at)
        assert found is not None
        assert ledger.drafts.use(found, made.now())
        ids["draft", "done", name] = done
        ids["question", "mine", name] = ledger.questions.ask(
            "forecast", {"months": 3}, person=name, at=made.now()
        )
    for subject, own in (("draft", "waiting"), ("question", "mine"), ("passkey", "mine")):
        ids[subject, "another's", ""] = ids[subject, own, "colleague"]
    for subject in ("draft", "question"):
        ids[subject, "unknown", ""] = "nothing"
    ids["person", "enabled", ""] = "colleague"
    ids["person", "disabled", ""] = "gone"
    ids["person", "unknown", ""] = "nobody"
    made.desk.staff.disable("gone", made.people["administrator"])
    made.cookies = {name: ledger.accounts.start(name, "password", made.now()) for name in made.people}
    made.cookies["expired"] = ledger.accounts.start("director", "password", made.at - timedelta(minutes=31))
