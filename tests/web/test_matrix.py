"""The authorization matrix: every route, every role, every state that it may find something in, and what comes of it.

A route without a row fails, and so does a row without a route. Every answer is looked at in this process, without a browser, on one
ledger that is put back after whatever wrote into it (`tests.web.states`).

``P`` a page; ``S`` see the next page (done, or rehearsed and now to be signed); ``R`` refused, by a rule or at a field; ``F`` not for
that role; ``N`` not there, for them; ``A`` sign in first; ``E`` the identity provider does not answer. One letter: in every state.
Columns: the roles custodian, second custodian, counsel, operator, auditor, administrator; then nobody.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import httpx
import pytest

from console.web import cursor
from retention.permissions import Act, Role, may
from retention.signing import generate
from tests.web.house import NAMES, PASSWORD
from tests.web.states import ORIGIN, STATES, World, world
from tests.web.test_bad_input import HOLD, PDF
from tests.web.test_security import routes

TABLE = """
GET /sign-in                                       -            S S S S S S P
POST /sign-in                                      -            S S S S S S S
GET /sign-in/options                               -            P P P P P P P
POST /sign-in/passkey                              -            R R R R R R R
POST /sign-out                                     -            S S S S S S S
GET /invitation                                    -            P P P P P P P
POST /invitation                                   -            R R R R R R R
GET /sign-in/oidc                                  -            E E E E E E E
GET /sign-in/oidc/callback                         -            R R R R R R R
GET /                                              -            P P P P P P A
GET /cases                                         -            P P P P P P A
GET /cases/{id}                                    case         PPPPPPPPPPN PPPPPPPPPPN PPPPPPPPPPN PPPPPPPPPPN PPPPPPPPPPN PPPPPPPPPPN A
POST /cases/{id}/sample                            case         SSSSSSSSSSN SSSSSSSSSSN F           F           F           F           A
GET /cases/{id}/progress                           case         PPPPPPPPPPN PPPPPPPPPPN PPPPPPPPPPN PPPPPPPPPPN PPPPPPPPPPN PPPPPPPPPPN A
POST /cases/{id}/approve                           case         SSRRSSSRRRN SSRRSRSRRRN F           F           F           F           A
POST /cases/{id}/withdraw                          case         RRSRSRRRRRN RRSRRSRRRRN F           F           F           F           A
POST /cases/{id}/return                            case         SSSSSSSSRRN F           F           F           F           F           A
POST /cases/{id}/find                              case         SSSSSSSSSSN SSSSSSSSSSN F           F           F           F           A
POST /cases/{id}/except                            case         SSSSSSSRRRN F           F           F           F           F           A
POST /cases/{id}/extend                            case         SSSSSSSSRRN F           F           F           F           F           A
POST /cases/{id}/cancel-extension                  case         RRRRRRSRRRN F           F           F           F           F           A
GET /standing                                      -            P P P P P P A
GET /standing/{record_type}                        rule         PPPPNN PPPPNN PPPPNN PPPPNN PPPPNN PPPPNN A
POST /standing/{record_type}/propose               rule         SSRSNN F      F      F      F      F      A
POST /standing/{record_type}/agree                 rule         RRSRNN RSSRNN F      F      F      F      A
POST /standing/{record_type}/revoke                rule         RSSSNN RSSSNN F      F      F      F      A
GET /holds                                         -            P P P P P P A
GET /holds/new                                     -            P F F F F F A
POST /holds/new                                    -            S F F F F F A
GET /holds/request                                 -            P F P F F F A
POST /holds/request                                -            S F S F F F A
GET /holds/told                                    -            P P P P P P A
GET /holds/{id}                                    hold         PPPPPPPPPPPPNN PPPPPPPPPPPPNN PPPPPPPPPPPPNN PPPPPPPPPPPPNN PPPPPPPPPPPPNN PPPPPPPPPPPPNN A
GET /holds/{id}/state                              hold         PPPPPPPPPPPPNN PPPPPPPPPPPPNN PPPPPPPPPPPPNN PPPPPPPPPPPPNN PPPPPPPPPPPPNN PPPPPPPPPPPPNN A
POST /holds/{id}/confirm                           hold         RRRSSRRRRRRSNN RRSSSRRRRRRSNN F              F              F              F              A
POST /holds/{id}/release                           hold         RRSSRSRRRRRSNN F              F              F              F              F              A
POST /holds/{id}/approve-release                   hold         RRRRRRRSRRRRNN RRRRRRSSRRRRNN F              F              F              F              A
POST /holds/{id}/cancel-release                    hold         RRRRRRSSSRRRNN F              F              F              F              F              A
POST /holds/{id}/accept                            hold         SRRRRRRRRRRRNN F              F              F              F              F              A
POST /holds/{id}/decline                           hold         SRRRRRRRRRRRNN F              F              F              F              F              A
GET /holds/{id}/widen                              hold         PPPPPPPPPPPPNN F              F              F              F              F              A
POST /holds/{id}/widen                             hold         RSSSRSRRRRRSNN F              F              F              F              F              A
GET /holds/{id}/narrow                             hold         PPPPPPPPPPPPNN F              F              F              F              F              A
POST /holds/{id}/narrow                            hold         RRSSRSRRRRRSNN F              F              F              F              F              A
POST /holds/{id}/link                              hold         SSSSRSSSSSSSNN F              F              F              F              F              A
POST /holds/{id}/verify                            hold         SSSSSSSSSRRSNN F              SSSSSSSSSRRSNN F              F              F              A
POST /holds/{id}/review                            hold         RSSSSSSSSRRSNN F              F              F              F              F              A
POST /holds/{id}/tell                              hold         RSSSSSSSSRRSNN F              F              F              F              F              A
POST /holds/{id}/acknowledge                       hold         RRRRRSRRRRRRNN RRRRRSRRRRRRNN RRRRRSRRRRRRNN RRRRRSRRRRRRNN RRRRRSRRRRRRNN RRRRRSRRRRRRNN A
POST /holds/{id}/know                              hold         RRRRRRRRRRRSNN RRRRRRRRRRRSNN RRRRRRRRRRRSNN F              F              F              A
POST /holds/{id}/unseal                            hold         RRRRRRRRRRRSNN F              F              F              F              F              A
POST /holds/{id}/subjects                          hold         PPPPPPPPPPPPNN PPPPPPPPPPPPNN PPPPPPPPPPPPNN F              F              F              A
POST /holds/{id}/document                          hold         N              N              N              F              F              F              A
GET /certificates                                  -            P P P P P P A
GET /certificates/{id}                             certificate  RN RN RN RN RN RN A
GET /certificates/{id}/envelope                    certificate  PN PN PN PN PN PN A
GET /certificates/{id}/page                        certificate  N  N  N  N  N  N  A
GET /certificates/{id}/bundle                      certificate  PN PN PN PN PN PN A
GET /events                                        -            P P P P P P A
GET /events.csv                                    -            P P P P P P A
GET /schedule                                      -            P P P P P P P
GET /undecided                                     -            P P P P P P A
GET /account                                       -            P P P P P P A
POST /account/password                             -            S S S S S S A
POST /account/ethics                               -            S S S S S S A
POST /account/sessions                             -            S S S S S S A
GET /account/passkeys/options                      -            P P P P P P A
POST /account/passkeys                             -            R R R R R R A
POST /account/passkeys/{keyid}/retire              passkey      SRN SRN SRN SRN SRN SRN A
GET /people                                        -            F F F F F P A
GET /people/new                                    -            F F F F F P A
POST /people/new                                   -            F F F F F S A
GET /people/{name}                                 person       F    F    F    F    F    PPPN A
POST /people/{name}/role                           person       F    F    F    F    F    SSRN A
POST /people/{name}/disable                        person       F    F    F    F    F    SRSN A
POST /people/{name}/enable                         person       F    F    F    F    F    RSRN A
POST /people/{name}/invite                         person       F    F    F    F    F    SRSN A
POST /people/{name}/oidc                           person       F    F    F    F    F    SSSN A
POST /people/{name}/passkeys/{keyid}/retire        person       F    F    F    F    F    SSSN A
GET /questions/{id}                                question     PNN PNN PNN PNN PNN PNN A
GET /forecast                                      -            P P P P P P A
POST /forecast                                     -            S S S S S S A
GET /sign/{id}                                     draft        PSNN PSNN PSNN PSNN PSNN PSNN A
GET /sign/{id}/statement                           draft        PPNN PPNN PPNN PPNN PPNN PPNN A
GET /sign/{id}/options                             draft        PPNN PPNN PPNN PPNN PPNN PPNN A
POST /sign/{id}                                    draft        SSNN SSNN SSNN SSNN SSNN SSNN A
GET /openapi.json                                  -            P P P P P P A
"""
T = TypeVar("T")
LETTERS = {200: "P", 303: "S", 401: "A", 403: "F", 404: "N", 409: "R", 422: "R", 429: "R", 503: "E"}
ROLES = (*Role, None)
Form = dict[str, Any]


def approving(made: World, id: str, _name: str) -> Form:
    """With what the page shows of the case as it is."""
    known = id != made.ids["case", "unknown", ""]
    if not known:
        return {"records": "3", "seen": cursor.seal(made.desk, id, 0)}
    seen = made.desk.dispositions.review(id)
    return {"records": str(seen.going), "seen": cursor.seal(made.desk, id, seen.epoch)}


def signing(made: World, id: str, name: str) -> Form:
    return {"signature": made.signature(id, name)}


def adding(_made: World, _id: str, _name: str) -> Form:
    public = generate("mei").public.line
    return {"name": "mei", "full_name": "Mei Lind", "title": "T", "role": "auditor", "public": public}


def signing_in(_made: World, _id: str, name: str) -> Form:
    return {"name": name or "director", "password": PASSWORD}


def by_and_by(field: str, days: int = 10, **more: Any) -> Callable[[World, str, str], Form]:
    """A day to come, beside what else is typed."""
    return lambda made, _id, _name: {field: str(made.at.date() + timedelta(days=days)), **more}


def linking(made: World, _id: str, _name: str) -> Form:
    return {"links": made.ids["hold", "lapsed", ""]}


FORMS: dict[str, Form | Callable[[World, str, str], Form]] = {
    "/cases/{id}/approve": approving, "/cases/{id}/return": {"reason": "not now"}, "/holds/new": HOLD, "/sign/{id}": signing,
    "/people/new": adding, "/people/{name}/role": {"role": "operator"}, "/people/{name}/oidc": {"subject": "s-1"}, "/sign-in": signing_in,
    "/cases/{id}/find": {"references": "101"}, "/cases/{id}/except": {"positions": "2", "except_reason": "asked for"},
    "/cases/{id}/extend": by_and_by("until", extend_reason="audit"), "/cases/{id}/cancel-extension": {"cancel_reason": "over"},
    "/standing/{record_type}/propose": by_and_by("until", 90, reason="reviewed"),
    "/standing/{record_type}/revoke": {"revoke_reason": "a new law"},
    "/holds/request": HOLD, "/holds/{id}/decline": {"reason": "nothing in writing"}, "/holds/{id}/widen": {"cameras": "hall"},
    "/holds/{id}/narrow": {"cameras": "lobby", "since": "2025-06-02 10:00", "until": "2025-06-02 12:00"}, "/holds/{id}/link": linking,
    "/holds/{id}/verify": {"verdict": "verified"}, "/holds/{id}/review": by_and_by("next_review"), "/holds/{id}/tell": {"told": "colleague"},
    "/holds/{id}/know": {"remove": "auditor"},
    "/account/password": {"current": PASSWORD, "password": "seven quiet herons", "again": "seven quiet herons"},
}  # fmt: skip
"""What is typed, so that nothing but the state refuses it."""
ATTEMPTS = {"/sign-in", "/sign-in/passkey", "/invitation"}
"""Where what is refused is written down too. Elsewhere it is not, and what waits for a signature is its owner's alone."""
UPLOADS = {"/holds/{id}/release", "/holds/{id}/narrow"}


@dataclass(frozen=True, kw_only=True)
class Row:
    method: str
    path: str
    subject: str
    outcomes: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def line(self) -> str:
        told = [one[0] if len(set(one)) == 1 else one for one in self.outcomes]
        width = len(STATES[self.subject])
        return f"{self.key:<50} {self.subject:<12} " + " ".join(f"{one:<{width}}" for one in told).rstrip()


@dataclass(frozen=True, kw_only=True)
class Looking:
    """Who looks: by name, "" for nobody."""

    name: str
    cookie: str


def rows() -> Iterator[Row]:
    for line in filter(None, (line.strip() for line in TABLE.splitlines())):
        method, path, *rest = line.split()
        told = " ".join(rest[: -len(ROLES)])
        width = len(STATES[told])
        outcomes = tuple(one * width if len(one) == 1 else one for one in rest[-len(ROLES) :])
        assert all(len(one) == width for one in outcomes), f"{line}: one letter for each state of {told}"
        yield Row(method=method, path=path, subject=told, outcomes=outcomes)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    built = world(tmp_path_factory.mktemp("world"))
    yield built
    built.ledger.close()


def test_every_route_has_its_row_and_every_row_its_route(made: World) -> None:
    known = [row.key for row in rows()]
    there = {f"{method} {path}" for method, path, _ in routes(made.desk)}
    assert sorted(there - set(known)) == [], "routes without a row: add them to TABLE"
    assert sorted(set(known) - there) == [], "rows without a route"
    assert len(known) == len(set(known))


def test_the_table_forbids_what_the_permissions_do_not_give(made: World) -> None:
    acts = {f"{method} {path}": admission.act for method, path, admission in routes(made.desk)}
    for row in rows():
        act = acts[row.key]
        for role, letters in zip(ROLES, row.outcomes, strict=True):
            if role is None:
                assert (set(letters) == {"A"}) is isinstance(act, Act), row.key
            elif isinstance(act, Act) and not may(role, act):
                assert set(letters) == {"F"}, (row.key, role)
            else:
                assert "F" not in letters, (row.key, role)


def run(work: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own: the browser's driver may have left an event loop running in this one."""
    with ThreadPoolExecutor(1) as beside:
        return beside.submit(asyncio.run, work).result()


def test_every_route_answers_every_role_in_every_state_as_the_table_says(made: World) -> None:
    found = run(look(made, [*rows()]))
    wrong = [(row, one) for row, one in zip(rows(), found, strict=True) if row != one]
    assert not wrong, "\n".join(f"  said   {row.line}\n  found  {one.line}" for row, one in wrong)


def test_whoever_is_disabled_or_whose_session_is_over_is_asked_to_sign_in_everywhere(made: World) -> None:
    async def statuses() -> list[tuple[str, str]]:
        async with httpx.AsyncClient(transport=made.transport, base_url=ORIGIN) as client:
            return [
                (
                    row.key,
                    await outcome(
                        made, client, row, STATES[row.subject][0], Looking(name="director", cookie=cookie)
                    ),
                )
                for row in rows()
                for cookie in (made.cookies["gone"], made.cookies["expired"])
                if row.outcomes[-1][0] == "A"
            ]

    assert {letter for _, letter in run(statuses())} == {"A"}
    made.restore()


async def look(made: World, asked: list[Row]) -> list[Row]:
    async with httpx.AsyncClient(transport=made.transport, base_url=ORIGIN) as client:
        return [
            Row(
                method=row.method, path=row.path, subject=row.subject,
                outcomes=tuple([await seen(made, client, row, role) for role in ROLES]),
            )
            for row in asked
        ]  # fmt: skip


async def seen(made: World, client: httpx.AsyncClient, row: Row, role: Role | None) -> str:
    """One letter for each state."""
    name = "" if role is None else NAMES[role]
    who = Looking(name=name, cookie=made.cookies.get(name, ""))
    return "".join([await outcome(made, client, row, state, who) for state in STATES[row.subject]])


async def outcome(made: World, client: httpx.AsyncClient, row: Row, state: str, who: Looking) -> str:
    name = who.name
    id = "" if row.subject == "-" else made.id(row.subject, state, name or "director")
    values = {"id": id, "name": id, "credential": id, "keyid": made.keys.get(id, id), "record_type": id}
    path = re.sub(r"\{(\w+)\}", lambda found: values[found[1]], row.path)
    form = FORMS.get(row.path, {})
    headers = {"Accept": "application/json", "Origin": ORIGIN}
    client.cookies.clear()
    if who.cookie:
        headers["Cookie"] = f"__Host-retention={who.cookie}"
    if row.method == "GET":
        answer = await client.get(path, headers=headers)
    else:
        typed = form(made, id, name) if callable(form) else form
        files = {"document": ("release.pdf", PDF)} if row.path in UPLOADS else None
        answer = await client.post(path, headers=headers, data=typed, files=files)
    letter = LETTERS[answer.status_code]
    rehearsed = answer.headers.get("location", "").startswith("/sign/")
    if row.method == "POST" and (letter == "S" or row.path in ATTEMPTS) and not rehearsed:
        made.restore()
    return letter
